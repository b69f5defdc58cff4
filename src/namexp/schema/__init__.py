"""What a config may say, typed and checked. Knows no torch: starts in milliseconds."""
