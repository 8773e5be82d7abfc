"""Exports of EcoTaxa."""
