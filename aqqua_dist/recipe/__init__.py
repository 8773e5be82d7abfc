"""A study as data."""
