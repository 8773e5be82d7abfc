"""Exports of EcoPart."""
