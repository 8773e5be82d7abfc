"""What a model has learned and how far to trust it."""
