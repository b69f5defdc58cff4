"""This process and those that it starts: how it is told to stop, and what must not outlive it."""
