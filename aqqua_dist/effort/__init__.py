"""How much water was looked at."""
