"""Outputs of image models."""
