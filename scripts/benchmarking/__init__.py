"""Timing namexp against neural-amp-modeler: two processes, one in each program's environment."""
