"""Files that others may have written: read within limits, and refused in one line where they are damaged."""
