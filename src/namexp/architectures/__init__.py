"""What a network is, in numbers: every size that its shape depends on, and what follows. No torch."""
