"""Cameras and data sets that noisegen knows by name."""
