"""Exports to samples, objects and counts; a module per format."""
