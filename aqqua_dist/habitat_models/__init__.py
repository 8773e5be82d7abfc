"""Rows to a fitted family and its members."""
