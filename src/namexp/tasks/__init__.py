"""What can be learned. ``known`` is the list; every other room here is one task and knows no other."""
