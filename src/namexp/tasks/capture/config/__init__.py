"""What the config of a capture may say. No torch."""
