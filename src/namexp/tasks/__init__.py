"""What is learned: one LightningModule per objective."""
