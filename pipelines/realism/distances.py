"""Distances between the noise of two sets; 0 where they are alike but for what chance makes.

What depends on the level is compared level by level, with the overlap of the two sets' levels as
the weight: a level that only one of them has does not count.
"""

from collections.abc import Callable
from functools import cache, partial

import numpy as np

from noisegen import metrics
from pipelines.realism.measures import (
    POOLED,
    STRENGTH_WIDTH,
    STRENGTHS,
    VALUES,
    Array,
    Measures,
)

MIN_PIXELS = 1000
"""Pixels that both sets must have at a level."""

QUANTISATION = 1 / 12
"""Variance of the rounding to 8 bits: smaller ones are taken for this."""


def variance(real: Measures, other: Measures) -> float:
    """Return the root mean square, over levels and channels, of the ratio of variances in dB."""
    a, b = (np.maximum(m.variance, QUANTISATION) for m in (real, other))
    ratio = 10 * np.log10(b / a)
    return float(np.sqrt(_mean_over_levels(ratio**2, real, other)))


def kld(real: Measures, other: Measures) -> float:
    """Return the Kullback-Leibler divergence of the noise from the real one's, in nats.

    D(real ‖ other) of the histograms of each level, in bins of one 8-bit level, mean over levels
    and channels. To each histogram one pixel is added, spread over all bins.
    """
    return _mean_over_levels(kld_by_level(real, other), real, other)


def kld_by_level(real: Measures, other: Measures) -> Array:
    """Return (C, LEVELS) divergences in nats, see :func:`kld`; NaN where a level is not in both."""
    p, q = (_law(m) for m in (real, other))
    return np.asarray((p * np.log(p / q)).sum(-1), np.float64)


def published_kld(definition: str, real: Measures, other: Measures) -> float:
    """Return the divergence of all noise by a published definition, in nats.

    As :func:`noisegen.metrics.kld`, of the noise of a whole set in whole 8-bit levels, each pair
    counted alike; where a definition adds to counts, they are those of the set.
    """
    counts = [m.pooled / m.pooled.sum() * m.pixels.sum() for m in (real, other)]
    return metrics.kld(_POOLED_NOISE, _POOLED_NOISE, definition, (counts[0], counts[1]))


def akld(real: Measures, other: Measures) -> float:
    """Return the average divergence of local Gaussians at the same level, in nats.

    As :func:`noisegen.metrics.akld`, with each pixel of one set against all of the other that have
    its level, because the sets may show other scenes. Local variances scatter, so that equal sets
    do not have 0.
    """
    p, q = (m.strengths / np.maximum(m.share, 1e-300)[..., None] for m in (real, other))
    by_level = np.einsum("clr,rs,cls->cl", p, _strength_divergence(), q, optimize=True)
    return _mean_over_levels(by_level, real, other)


def wasserstein(real: Measures, other: Measures) -> float:
    """Return the Wasserstein-1 distance of all noise, in 8-bit levels."""
    found = metrics.wasserstein(_POOLED_NOISE, _POOLED_NOISE, (real.pooled, other.pooled))
    return 255 * found


def covariance(real: Measures, other: Measures) -> float:
    """Return the relative difference of the covariances of standard noise.

    Frobenius norm of the difference of the (C, C, 11, 11) covariances in space and between
    channels, over that of the real one.
    """
    a, b = real.correlation, other.correlation
    return float(np.linalg.norm(a - b) / np.linalg.norm(a))


def radial(real: Measures, other: Measures) -> float:
    """Return the log-spectral distance of the radial spectra, in dB."""
    return _log_spectral(real.radial, other.radial)


def rows(real: Measures, other: Measures) -> float:
    """Return the log-spectral distance of the spectra of row means, in dB."""
    return _log_spectral(real.rows, other.rows)


def columns(real: Measures, other: Measures) -> float:
    """Return the log-spectral distance of the spectra of column means, in dB."""
    return _log_spectral(real.columns, other.columns)


DISTANCES: dict[str, Callable[[Measures, Measures], float]] = {
    "variance": variance,
    "kld": kld,
    **{f"kld_{name.replace('-', '')}": partial(published_kld, name) for name in metrics.KLD},
    "akld": akld,
    "wasserstein": wasserstein,
    "covariance": covariance,
    "radial": radial,
    "rows": rows,
    "columns": columns,
}
"""All distances of :class:`~pipelines.realism.measures.Measures`, by name."""


_POOLED_NOISE = np.arange(POOLED) / 255 - 1
"""Noise of the bins of :attr:`Measures.pooled`, in units of white."""


@cache
def _strength_divergence() -> Array:
    """Return (STRENGTHS, STRENGTHS) divergences of a real local variance and another."""
    logarithm = STRENGTH_WIDTH * np.arange(STRENGTHS)
    return metrics.gaussian_divergence(np.exp(logarithm - logarithm[:, None]))


def overlap(real: Measures, other: Measures) -> Array:
    """Return (C, LEVELS) shares of levels that both sets have: their overlap, 0 … 1 a channel."""
    shares = [m.share / np.maximum(m.share.sum(1, keepdims=True), 1e-300) for m in (real, other)]
    enough = (real.pixels >= MIN_PIXELS) & (other.pixels >= MIN_PIXELS)
    return np.where(enough, np.minimum(*shares), 0.0)


def _mean_over_levels(values: Array, real: Measures, other: Measures) -> float:
    """Return the mean of (C, LEVELS) values; NaN where the sets have no level in common."""
    weight = overlap(real, other)
    total = weight.sum()
    return float((weight * np.nan_to_num(values)).sum() / total) if total else float("nan")


def _law(measures: Measures) -> Array:
    """Return the probabilities of the noise's values at each level, (C, LEVELS, VALUES)."""
    pixels = measures.pixels[..., None]
    share = np.where(measures.share > 0, measures.share, np.nan)[..., None]
    return (pixels * measures.histogram / share + 1 / VALUES) / (pixels + 1)


def _log_spectral(real: Array, other: Array) -> float:
    return float(np.sqrt(np.mean((10 * np.log10(other / real)) ** 2)))
