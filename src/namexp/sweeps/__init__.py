"""Many trainings: which jobs there are, what has become of each, and what they share."""
