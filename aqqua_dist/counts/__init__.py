"""Objects to counts per sample, taxon and size, corrected for the classifier."""
