"""A search with Optuna as one of Hydra's sweepers."""
