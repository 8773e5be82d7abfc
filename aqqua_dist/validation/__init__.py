"""Is the map right where nobody sampled."""
