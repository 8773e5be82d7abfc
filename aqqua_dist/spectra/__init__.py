"""Particle and biovolume size spectra."""
