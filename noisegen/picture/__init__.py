"""Noise of rendered sRGB pictures: what it is, how it is drawn, how it is fitted to pairs."""

from noisegen.picture.apply import add_noise
from noisegen.picture.fit import MODELS, Fit, Model, fit
from noisegen.picture.parameters import PictureNoise

__all__ = ["MODELS", "Fit", "Model", "PictureNoise", "add_noise", "fit"]
