"""Rankers without training, in the same table as the model: popularity and transition counts."""
