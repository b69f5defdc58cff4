"""Sound as numbers: files, levels, and the recordings that namexp makes itself."""
