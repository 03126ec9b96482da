"""NeCA: noise of rendered sRGB pictures with the grain of a camera, learned from pairs."""

from noisegen.neca.card import Card
from noisegen.neca.model import Neca, load, save
from noisegen.neca.networks import CorrelationNet, GainNet, LevelNet
from noisegen.neca.sampling import Sampler
from noisegen.neca.windows import Window

__all__ = [
    "Card",
    "CorrelationNet",
    "GainNet",
    "LevelNet",
    "Neca",
    "Sampler",
    "Window",
    "load",
    "save",
]
