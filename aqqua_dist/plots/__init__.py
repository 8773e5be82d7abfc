"""The print style of every figure."""
