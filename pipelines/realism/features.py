"""What tells one noise from another: numbers that describe a patch of noise.

All but the strength are of standard noise (:mod:`pipelines.realism.noise`); the strength is
measured against one curve of variance over level for all sets that are compared. So neither the
scene nor its levels tell where a patch comes from.
"""

from itertools import combinations, pairwise

import numpy as np
import numpy.typing as npt

from pipelines.realism.measures import Array, blocks, level_bin
from pipelines.realism.noise import NoiseField

LAGS = ((0, 1), (1, 0), (1, 1), (1, -1), (0, 2), (2, 0), (0, 3), (3, 0))
"""Lags (dy, dx) whose correlations are features."""

MIN_KNOWN = 0.25
"""Share of a patch's pixels whose standard noise must be known in every channel."""

GRID = 8
"""Size of a JPEG block."""

KINDS = ("strength", "grain", "tails", "banding", "colour", "structure")
"""What features tell of, in the order of their columns; see :func:`columns`."""

Bools = npt.NDArray[np.bool_]


def columns(channels: int = 3) -> dict[str, slice]:
    """Return which features of :func:`features` are of each of :data:`KINDS`."""
    pairs = channels * (channels - 1) // 2
    widths = (channels, len(LAGS) * channels, 2 * channels, 2 * channels, 3 * pairs, 3)
    ends = np.cumsum((0, *widths)).tolist()
    return {kind: slice(*ends_of) for kind, ends_of in zip(KINDS, pairwise(ends), strict=True)}


def features(one: NoiseField, curve: Array) -> Array:
    """Describe the patches of a pair.

    Parameters
    ----------
    one
        The pair's noise, of C channels.
    curve
        (C, LEVELS) variance at each level by which strength is measured; NaN where not known.

    Returns
    -------
    (patches, features)
        One row for each block of 64x64 pixels whose standard noise is known. A channel: strength;
        correlations at :data:`LAGS` (grain); skewness, kurtosis (tails); power of the means of rows
        and of columns (banding). A pair of channels: correlations at one pixel, with the pixel to
        the right, and below (colour). Of the mean of the channels: how its strength goes with the
        slope of the clean picture, and how uneven its steps are on an 8x8 grid (structure).
    """
    expected = np.stack([row[level_bin(one.level[..., c])] for c, row in enumerate(curve)], -1)
    known = blocks(one.known & np.isfinite(expected))
    usable = known.mean((1, 2)).min(-1) >= MIN_KNOWN
    usable &= (known & (blocks(one.standard) != 0)).any((1, 2)).all(-1)
    known = known[usable]
    pixels = known.sum((1, 2)).astype(np.float64)

    def mean(values: npt.NDArray[np.floating]) -> Array:
        return np.asarray((values * known).sum((1, 2)) / pixels, np.float64)

    def patches(array: npt.NDArray[np.floating]) -> Array:
        return np.asarray(blocks(array)[usable], np.float64)

    strength = mean(np.nan_to_num(patches(one.centred**2 / expected)))
    z = patches(one.standard) * known
    # Once more, patch by patch: how strong a patch is must not show in the other features.
    z /= np.sqrt(mean(z**2))[:, None, None]
    found = [
        np.log(strength),
        *(_correlation(z, z, known, known, lag) for lag in LAGS),
        np.arcsinh(mean(z**3)),
        np.log(mean(z**4)),
        *(np.log((z.sum(axis) ** 2).sum(1) / pixels) for axis in (1, 2)),
    ]
    for a, b in combinations(range(z.shape[-1]), 2):
        pair = (z[..., a], z[..., b], known[..., a], known[..., b])
        found += [_correlation(*pair, lag) for lag in ((0, 0), (0, 1), (1, 0))]
    grey = z.mean(-1)
    slope = patches(_slope(one.level)[..., None])[..., 0]
    found += [_association(grey**2, slope), _unevenness(grey), _unevenness(grey.swapaxes(1, 2))]
    rows = np.concatenate([c if c.ndim == 2 else c[:, None] for c in found], axis=1)
    return np.asarray(rows, np.float64)


def _correlation(a: Array, b: Array, in_a: Bools, in_b: Bools, lag: tuple[int, int]) -> Array:
    """Return the correlation of a(x) with b(x + lag), patch by patch, as Fisher's z."""
    dy, dx = lag
    here = (slice(None), slice(0, a.shape[1] - dy), slice(max(-dx, 0), a.shape[2] - max(dx, 0)))
    there = (slice(None), slice(dy, None), slice(max(dx, 0), a.shape[2] + min(dx, 0)))
    pixels = (in_a[here] & in_b[there]).sum((1, 2))
    return _fisher((a[here] * b[there]).sum((1, 2)) / np.maximum(pixels, 1))


def _slope(level: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the magnitude of the gradient of the mean of the channels."""
    return np.asarray(np.hypot(*np.gradient(level.mean(-1))), np.float32)


def _association(a: Array, b: Array) -> Array:
    """Return the correlation of two quantities over a patch as Fisher's z; 0 where one is flat."""
    a, b = (v - v.mean((1, 2), keepdims=True) for v in (a, b))
    scale = np.sqrt((a**2).sum((1, 2)) * (b**2).sum((1, 2)))
    r = np.divide((a * b).sum((1, 2)), scale, out=np.zeros_like(scale), where=scale > 0)
    return _fisher(r)


def _fisher(r: Array) -> Array:
    """Return the transform that makes correlations nearly normal, with one variance for all."""
    return np.asarray(np.arctanh(np.clip(r, -0.999, 0.999)), np.float64)


def _unevenness(grey: Array) -> Array:
    """Return the logarithm of the largest over the mean squared step, over places on a grid."""
    steps = (np.diff(grey, axis=2) ** 2).sum(1)
    periods = steps.shape[1] // GRID
    places = steps[:, : periods * GRID].reshape(len(steps), periods, GRID).sum(1)
    return np.asarray(np.log(places.max(1) / places.mean(1)), np.float64)
