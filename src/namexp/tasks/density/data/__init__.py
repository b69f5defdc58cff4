"""What a density of images is learned from."""
