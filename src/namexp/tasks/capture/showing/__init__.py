"""What a capture shows: the picture of a run, and how it sounds."""
