"""Restormer as a denoiser of sRGB pictures."""

from denoisers.models.plain import page

ENTRY = page("restormer")
