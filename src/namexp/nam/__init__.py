"""The ``.nam`` file: read every version, write 0.7.0, verify, describe."""
