"""From clips of speech to batches of segments."""
