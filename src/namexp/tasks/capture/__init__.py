"""Learning to sound like an amp: all that only this task knows."""
