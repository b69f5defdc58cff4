"""Runs side by side, drawn. Reads run directories; knows no task."""
