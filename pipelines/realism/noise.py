"""From a noisy and a clean picture to a noise field that no longer depends on the level.

Camera noise varies with the level, and two sets that are compared rarely show the same scenes. So
everything but the noise's strength is measured on *standard* noise: n = noisy − clean, less its
mean and over its standard deviation at that level of that picture and channel. (Means other than
0 come from clipping, and from exposures that differ between the halves of a real pair.) Levels at
which the limits of the codes cut much of the noise off are left out whole: to leave out single
clipped pixels would select the noise by its value.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

MAX_CLIPPED = 0.25
"""Levels are known at which at most this share of the noisy values lies at a limit."""

MAX_BINS = 32
"""Levels that a picture's noise is standardised at."""

MIN_PIXELS = 256
"""Pixels of such a level: its mean, subtracted, lowers correlations by 1/256 at most."""

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class NoiseField:
    """The noise of one pair.

    Attributes
    ----------
    level, noise
        (H, W, C) float32 clean level, and noisy − clean, both in units of 1/255 of the range.
    centred
        (H, W, C) float32 noise with mean 0 at every level.
    standard
        (H, W, C) float32 noise with mean 0 and variance 1 at every level; 0 where it is not known.
    known
        (H, W, C) where `standard` is known.
    """

    level: Floats
    noise: Floats
    centred: Floats
    standard: Floats
    known: npt.NDArray[np.bool_]


def noise_field(
    clean: npt.NDArray[Any],
    noisy: npt.NDArray[Any],
    low: npt.ArrayLike = 0,
    top: npt.ArrayLike | None = None,
    limits: tuple[npt.ArrayLike, npt.ArrayLike] | None = None,
) -> NoiseField:
    """Return the noise of a pair.

    Parameters
    ----------
    clean, noisy
        (H, W, C), alike in size and type.
    low, top
        Values of the levels 0 and 255, each one number or C of them; without `top`, the largest
        value of the integer type.
    limits
        Values at and beyond which a noisy value is clipped; without them, `low` and `top`.
    """
    low = np.asarray(low, np.float32)
    top = np.asarray(np.iinfo(clean.dtype).max if top is None else top, np.float32)
    unit = 255 / (top - low)
    level = (clean.astype(np.float32) - low) * unit
    noise = (noisy.astype(np.float32) - clean.astype(np.float32)) * unit
    least, greatest = (low, top) if limits is None else map(np.asarray, limits)
    clipped = (noisy <= least) | (noisy >= greatest)
    channels = (
        _centre(level[..., c], noise[..., c], clipped[..., c]) for c in range(noise.shape[2])
    )
    centred, scale = (np.stack(parts, -1) for parts in zip(*channels, strict=True))
    return NoiseField(level, noise, centred, centred * scale, scale > 0)


def _centre(level: Floats, noise: Floats, clipped: npt.NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Return one channel's noise with mean 0 at each level, and 1 over its standard deviation.

    The latter is 0 where it is not known.
    """
    at = _levels_of_equal_count(level.ravel())
    count = np.maximum(np.bincount(at), 1)
    centred = noise.ravel() - (np.bincount(at, noise.ravel()) / count)[at]
    variance = np.bincount(at, centred**2) / count
    share = np.bincount(at, clipped.ravel()) / count
    known = (share <= MAX_CLIPPED) & (variance > 0) & (count >= MIN_PIXELS // 2)
    scale = np.divide(1, np.sqrt(variance), out=np.zeros_like(variance), where=known)
    shape = noise.shape
    return (
        centred.astype(np.float32).reshape(shape),
        scale[at].astype(np.float32).reshape(shape),
    )


def _levels_of_equal_count(level: Floats) -> npt.NDArray[np.intp]:
    """Number the pixels' levels, in groups of about as many pixels each."""
    bins = int(np.clip(level.size // MIN_PIXELS, 1, MAX_BINS))
    edges = np.unique(np.quantile(level, np.linspace(0, 1, bins + 1)[1:-1]))
    return np.searchsorted(edges, level, side="right")
