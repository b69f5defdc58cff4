"""What a density of images looks like."""
