"""What the study of recipes trains on and with."""
