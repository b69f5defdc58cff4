"""What is learned from, whatever it is: in which order, and from where."""
