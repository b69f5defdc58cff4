"""Loggers: metrics.csv and Weights & Biases. The only room that imports wandb."""
