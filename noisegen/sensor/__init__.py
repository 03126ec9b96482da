"""Sensor noise: levels, noise figures, models, and what they do to a mosaic."""

from noisegen.sensor.apply import add_noise, amplify, variance
from noisegen.sensor.batch import Address, BatchLevels, Figures, Present, add_noise_batch, variances
from noisegen.sensor.body import BodyFigures, BodyParameters
from noisegen.sensor.estimate import NoiseEstimate, estimate_noise
from noisegen.sensor.models import MODELS, NoiseModel, get, names
from noisegen.sensor.parameters import Levels, NoiseParameters
from noisegen.sensor.pattern import BodyBatch, Pattern, pattern

__all__ = [
    "MODELS",
    "Address",
    "BatchLevels",
    "BodyBatch",
    "BodyFigures",
    "BodyParameters",
    "Figures",
    "Levels",
    "NoiseEstimate",
    "NoiseModel",
    "NoiseParameters",
    "Pattern",
    "Present",
    "add_noise",
    "add_noise_batch",
    "amplify",
    "estimate_noise",
    "get",
    "names",
    "pattern",
    "variance",
    "variances",
]
