"""A density's weights in files."""
