"""What happens beside a training, the same for every task."""
