"""Fitting the noise of pictures to noisy/clean pairs."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np

from noisegen.errors import InputError
from noisegen.picture.grain import Covariance, kernel_of
from noisegen.picture.levels import Moments, Strength, fit_strength, moments
from noisegen.picture.parameters import Floats, Picture, PictureNoise

Model = Literal["awgn", "heteroscedastic", "heteroscedastic-covariance"]
"""White noise of one strength a channel; of a strength by level; that with grain and channels."""

MODELS: tuple[Model, ...] = get_args(Model)
"""The models, simplest first."""

QUANTILES = 9
"""Quantiles of the pictures' strengths that are kept; of fewer pictures, each strength."""


@dataclass(frozen=True)
class Fit:
    """A fit and what it was made of.

    Attributes
    ----------
    noise
        What was fitted.
    pairs, pixels
        Number of pairs, and of pixels in all of them.
    offset
        Mean of noisy minus clean in R, G and B, 1 is white minus black. The model has no such
        offset: where it is not small beside the noise the pairs do not fit together.
    strengths
        Strength of each pair's picture: its standard deviation by level is so many times the
        model's.
    """

    noise: PictureNoise
    pairs: int
    pixels: int
    offset: tuple[float, float, float]
    strengths: tuple[float, ...]


def fit(pairs: Iterable[tuple[Picture, Picture]], model: Model) -> Fit:
    """Fit a model to noisy/clean pairs.

    Parameters
    ----------
    pairs
        (clean, noisy) pictures, (H, W, 3) uint8 or uint16, all of one type. Walked through once,
        and a second time for the covariance; they are not held in memory.
    model
        What to fit.

    Raises
    ------
    InputError
        If there are no pairs, some differ in depth, or too little of them is unclipped.
    """
    pictures: list[Moments] = []
    whites: set[int] = set()
    offset, pixels = np.zeros(3), 0
    for clean, noisy in pairs:
        white = int(np.iinfo(clean.dtype).max)
        whites.add(white)
        pictures.append(moments(clean, noisy))
        offset += (noisy.mean((0, 1)) - clean.mean((0, 1))) / white * clean[..., 0].size
        pixels += clean[..., 0].size
    if not pictures:
        raise InputError("there are no pairs to fit noise to")
    if len(whites) > 1:
        raise InputError(
            "some pairs have 8 bits and some 16, whose noise is rounded differently: fit them apart"
        )
    found = fit_strength(pictures, rounding=1 / (12 * whites.pop() ** 2))
    if found is None:
        raise InputError(
            "black and white cut the noise off on both sides at every level of a channel, so that "
            "its strength cannot be told; give pairs with weaker noise"
        )
    noise = _noise(found, model, np.sum([picture.pixels for picture in pictures], axis=0))
    if model == "heteroscedastic-covariance":
        covariance = Covariance(noise)
        for (clean, noisy), strength in zip(pairs, found.pictures, strict=True):
            covariance.add(clean, noisy, strength)
        noise = replace(noise, kernel=kernel_of(covariance.correlation()))
    r, g, b = (offset / pixels).tolist()
    return Fit(noise, len(pictures), pixels, (r, g, b), tuple(found.pictures.tolist()))


def _noise(found: Strength, model: Model, pixels: Floats) -> PictureNoise:
    """Return white noise of the strength that was found: by level, or the mean of all pixels."""
    strength = _quantiles(found.pictures)
    table = PictureNoise(
        tuple(found.level.tolist()),
        tuple(tuple(row) for row in np.sqrt(found.variance).tolist()),
        strength=strength,
    )
    if model != "awgn":
        return table
    levels = np.broadcast_to(np.linspace(0, 1, pixels.shape[1]), pixels.shape)
    mean = (pixels * table.std_at(levels) ** 2).sum(1) / pixels.sum(1)
    return PictureNoise((0.0,), tuple((s,) for s in np.sqrt(mean).tolist()), strength=strength)


def _quantiles(strengths: Floats) -> tuple[float, ...]:
    """Return quantiles of the pictures' strengths whose draws have a mean square of 1."""
    noisy = strengths[strengths > 0]
    if len(noisy) < 2:
        return (1.0,)
    ends = np.log(np.quantile(noisy, np.linspace(0, 1, min(len(noisy), QUANTILES))))
    # The mean of e^(2 q) along a line from a to b is (e^2b - e^2a) / (2b - 2a).
    a, b = 2 * ends[:-1], 2 * ends[1:]
    step = np.maximum(b - a, 1e-9)
    mean = (np.exp(a) * np.expm1(step) / step).mean()
    return tuple(np.exp(ends - np.log(mean) / 2).tolist())
