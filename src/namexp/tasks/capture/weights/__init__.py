"""Weights that are there: the best ones of a run, those of a file, and the file that is made of them."""
