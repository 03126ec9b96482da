"""From noisy/clean pairs to the strength of their noise: by clean level, and by picture.

The variance of picture i, channel k at clean level b is taken as s_i² f_k(b)²: one curve for all
pictures, and one number each for how strong their noise is (their ISO, above all). Both are found
in turn by weighted least squares, so that a level which only noisy pictures have is not taken for a
noisy level.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from noisegen.picture.parameters import Floats, Picture

LEVELS = 256
"""Clean levels that are told apart; 16-bit codes go to the nearest."""

NODES = 17
"""Levels of the fitted table, evenly spaced from black to white."""

REACH = 3.0
"""Standard deviations of noise that black or white must not cut off."""

_ROUNDS = 30
_SMOOTHNESS = 0.1  # a step between nodes weighs as much as a hundredth of an average level
_LEAST = 1e-3  # of the mean variance; keeps weights finite where a curve touches zero


class Moments(NamedTuple):
    """Sums over the pixels of one picture, by channel and clean level; 1 is white minus black.

    Attributes
    ----------
    pixels
        (3, levels) number of pixels.
    below, above
        (3, levels) sums of the squared differences of noisy values below and above their clean one.
    """

    pixels: Floats
    below: Floats
    above: Floats


class Strength(NamedTuple):
    """A fitted strength.

    Attributes
    ----------
    level
        (n,) levels of the table, from 0 to 1.
    variance
        (3, n) variance there, in the mean over the pixels of all pictures.
    pictures
        (pairs,) strength of each picture; the mean of its square over all pixels is 1.
    """

    level: Floats
    variance: Floats
    pictures: Floats


def moments(clean: Picture, noisy: Picture) -> Moments:
    """Sum up a pair: (H, W, 3) uint8 or uint16 each, of one size and type."""
    white = int(np.iinfo(clean.dtype).max)
    sums = np.zeros((3, 3, LEVELS))
    for k in range(3):
        c = clean[..., k].astype(np.int64).ravel()
        d = noisy[..., k].ravel() - c
        level = (c * (LEVELS - 1) + white // 2) // white
        squares = (d / white) ** 2
        sums[0, k] = np.bincount(level, minlength=LEVELS)
        sums[1, k] = np.bincount(level, squares * (d < 0), LEVELS)
        sums[2, k] = np.bincount(level, squares * (d > 0), LEVELS)
    return Moments(*sums.astype(np.float32))


def fit_strength(pictures: Sequence[Moments], rounding: float) -> Strength | None:
    """Fit the curve of every channel and the strength of every picture.

    Where black or white cuts one side of the noise off, the other side speaks for both: the noise
    is taken as symmetric about the clean value. Where both are cut off nothing is said.

    Parameters
    ----------
    pictures
        What :func:`moments` gave of each.
    rounding
        Variance of rounding to the pictures' codes, which is taken off.

    Returns
    -------
    Strength or None
        None if a channel is cut off on both sides at every level that it has.
    """
    pixels, below, above = (np.array(part, np.float64) for part in zip(*pictures, strict=True))
    total = np.maximum(pixels, 1)
    level = np.linspace(0, 1, LEVELS)
    share = np.ones(len(pixels))
    # To begin with the larger side stands for both: clipping only ever takes away.
    pooled = [part.sum(0) for part in (pixels, below, above)]
    curve = _table(2 * np.maximum(pooled[1], pooled[2]) / np.maximum(pooled[0], 1), pooled[0])
    for _ in range(_ROUNDS):
        there = _at_levels(curve)
        own = share[:, None, None] * there
        reach = REACH * np.sqrt(own)
        low, high = level < reach, level > 1 - reach
        squares = np.where(low, 2 * above, np.where(high, 2 * below, below + above))
        # A Gaussian's mean square of n values scatters by √(2/n), that of one half by √(5/n).
        weight = pixels * np.where(low | high, 0.4, 1.0) * ~(low & high)
        variance = squares / total - rounding
        if not weight.any(axis=(0, 2)).all():
            return None
        weight = weight / (own + rounding) ** 2
        # Least squares of variance = share * curve: over the levels of a picture, then over them.
        fits = (weight * there * variance).sum((1, 2))
        share = np.maximum(fits, 0) / np.maximum((weight * there**2).sum((1, 2)), 1e-300)
        share *= pixels.sum() / max((pixels.sum((1, 2)) * share).sum(), 1e-300)
        by_picture = share[:, None, None]
        worth = (weight * by_picture**2).sum(0)
        curve = _table((weight * by_picture * variance).sum(0) / np.maximum(worth, 1e-300), worth)
    return Strength(np.linspace(0, 1, NODES), curve, np.sqrt(share))


def _table(variance: Floats, worth: Floats) -> Floats:
    """Fit (3, NODES) variances, linear between nodes and not below zero, to (3, LEVELS) ones.

    Weighted least squares. Between levels that hardly a pixel has the table goes on in a straight
    line, beyond them at the last value.

    Parameters
    ----------
    variance
        Variances of single levels.
    worth
        Inverse variances of these estimates, up to a factor.
    """
    from scipy.optimize import nnls  # files and samples do without it

    basis = _basis()
    steps = _SMOOTHNESS * np.diff(np.eye(NODES), axis=0)
    out = np.zeros((3, NODES))
    for k, (values, weight) in enumerate(zip(variance, worth, strict=True)):
        unit = float((weight * np.maximum(values, 0)).sum() / max(weight.sum(), 1e-300))
        if unit > 0:
            scale = np.sqrt(weight / weight.mean())
            rows = np.concatenate([scale[:, None] * basis, steps])
            wanted = np.concatenate([scale * values / unit, np.zeros(NODES - 1)])
            out[k] = unit * nnls(rows, wanted)[0]
    return out


def _at_levels(curve: Floats) -> Floats:
    """Return the variances of a table at all levels, no smaller than what keeps weights finite."""
    mean = curve.mean(1, keepdims=True)
    return np.asarray(np.maximum(curve @ _basis().T, _LEAST * np.maximum(mean, 1e-12)))


def _basis() -> Floats:
    """Return (LEVELS, NODES) weights of the nodes at every level."""
    position = np.linspace(0, NODES - 1, LEVELS)
    return np.asarray(np.maximum(1 - np.abs(position[:, None] - np.arange(NODES)), 0))
