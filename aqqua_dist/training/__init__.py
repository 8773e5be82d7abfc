"""Observations of any kind to training rows."""
