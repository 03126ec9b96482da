"""Published priors of noise levels: what to draw when no camera is given.

``rng`` is anything with NumPy's ``uniform(low, high)`` and ``normal(loc, scale)``: a ``Generator``,
or the ``RandomState`` with which published results were made. Each function states its order of
draws, which is part of its meaning.
"""

import math
from types import MappingProxyType
from typing import NamedTuple, Protocol

from noisegen.errors import InputError, UnknownNameError


class Random(Protocol):
    """The two draws that a prior needs of a generator."""

    def uniform(self, low: float, high: float, /) -> float:
        """Return one number uniform in [low, high)."""
        ...

    def normal(self, loc: float, scale: float, /) -> float:
        """Return one normal number of mean ``loc`` and standard deviation ``scale``."""
        ...


class ShotRead(NamedTuple):
    """Normalised noise level: variance = ``shot`` x + ``read``."""

    shot: float
    read: float


class ReadRegression(NamedTuple):
    """DualDn's line log S = (slope + 2) log K + bias + spread n, natural logs, n ~ N(0, 1)."""

    slope: float
    bias: float
    spread: float


DUALDN_CAMERAS = MappingProxyType(
    {
        "CanonEOS5D4": ReadRegression(0.6771267783987617, 1.5121876510805845, 0.24641096601611254),
        "CanonEOS70D": ReadRegression(0.5681183926808191, 1.9982663724918939, 0.24870223821017215),
        "CanonEOS700D": ReadRegression(0.6524587630931787, 2.079863926921898, 0.25781594662342805),
        "NikonD850": ReadRegression(0.5634612649498357, 0.799410107756515, 0.21408231874600314),
        "SonyA7S2": ReadRegression(0.5407496082896145, 1.218237123334061, 0.26751211630129734),
    }
)
"""DualDn's read-noise lines, in its order; the figures are ELD's calibration (MIT licence).

DualDn applies ELD's lines for standard deviations in DN to normalised variances. The result is a
prior of its own, not a calibration of the cameras it is named after.
"""


def log_uniform(rng: Random, low: float, high: float) -> float:
    """Draw a number whose logarithm is uniform between those of ``low`` and ``high``.

    Raises
    ------
    InputError
        Unless 0 < low <= high.
    """
    if not 0 < low <= high < math.inf:
        raise InputError(
            f"a log-uniform range needs 0 < low <= high, not {low:g} to {high:g}; mend its ends"
        )
    return math.exp(rng.uniform(math.log(low), math.log(high)))


def dualdn_read(rng: Random, K: float, camera: str = "SonyA7S2") -> float:
    """Draw DualDn's read variance for the shot gain ``K``: one normal.

    Parameters
    ----------
    rng
        Source of the draw.
    K
        Shot gain, normalised, above 0.
    camera
        Name in :data:`DUALDN_CAMERAS`.

    Returns
    -------
    float
        S, a normalised variance.
    """
    try:
        line = DUALDN_CAMERAS[camera]
    except KeyError:
        known = ", ".join(DUALDN_CAMERAS)
        raise UnknownNameError(
            "read-noise line", camera, DUALDN_CAMERAS, f"DualDn has {known}"
        ) from None
    mean = (line.slope + 2) * math.log(K) + line.bias
    return math.exp(rng.normal(mean, line.spread))


def dualdn_prior(
    rng: Random, camera: str = "SonyA7S2", k_min: float = 2e-4, k_max: float = 2e-2
) -> ShotRead:
    """Draw DualDn's (K, S): a uniform for log K, then a normal for log S.

    Parameters
    ----------
    rng
        Source of the draws.
    camera
        Name in :data:`DUALDN_CAMERAS`.
    k_min, k_max
        Range of K, normalised.

    References
    ----------
    R. Li et al., "DualDn: Dual-domain Denoising via Differentiable ISP", ECCV 2024, section 4.
    """
    K = log_uniform(rng, k_min, k_max)
    return ShotRead(K, dualdn_read(rng, K, camera))


def google_prior(rng: Random) -> ShotRead:
    """Draw the noise level of "unprocessing": a uniform for log shot, then a normal for log read.

    log shot ~ U(log 1e-4, log 1.2e-2); log read ~ N(2.18 log shot + 1.20, 0.26), both variances.

    References
    ----------
    T. Brooks et al., "Unprocessing Images for Learned Raw Denoising", CVPR 2019, section 4.1.
    """
    shot = log_uniform(rng, 1e-4, 1.2e-2)
    return ShotRead(shot, math.exp(rng.normal(2.18 * math.log(shot) + 1.20, 0.26)))
