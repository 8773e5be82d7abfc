"""Counts over volumes, per sample and zone, with members."""
