"""The run directory: what lies where, written so that nothing is lost."""
