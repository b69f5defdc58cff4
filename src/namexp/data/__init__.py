"""Recordings to windows to batches."""
