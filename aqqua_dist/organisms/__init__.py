"""What an image shows: which taxon, how large, how much carbon."""
