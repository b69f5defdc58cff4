"""From recordings to batches of windows."""
