"""Embeddings to moments, components, novelty and morphotypes."""
