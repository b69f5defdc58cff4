"""Where a training is told: metrics.csv, Weights & Biases, TensorBoard. The only room that imports wandb."""
