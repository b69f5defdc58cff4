"""One training, whatever is learned. Knows no task, no model, no loss."""
