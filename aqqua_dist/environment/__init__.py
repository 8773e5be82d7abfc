"""The catalogue of layers to the cube of a study, and the match-up."""
