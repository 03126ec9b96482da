"""The physics of camera noise: raw files, sensor noise, the ISP and its inverse."""

__version__ = "0.1.0"
