"""Several processes for one training: who they are, how they start, what they share."""
