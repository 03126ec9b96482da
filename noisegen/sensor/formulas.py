"""The published noise formulas on real-valued pixels, in plain NumPy.

They state what a noise model means before anything is quantised. The fast kernels are held to
them, and the published reference outputs hold them to DualDn.

Symbols, all normalised (0 black, 1 white): ``x`` the clean and ``y`` the noisy mosaic, ``K`` the
shot gain, ``S`` the read-noise **variance** (DualDn's code calls it sigma), ``z`` standard normals.
Every function broadcasts and keeps NumPy's dtype rules, so float32 in gives float32 out.

References
----------
R. Li et al., "DualDn: Dual-domain Denoising via Differentiable ISP", ECCV 2024.
A. Foi et al., "Practical Poissonian-Gaussian noise modeling and fitting for single-image raw-data",
IEEE TIP 17(10), 2008, eqs. 1-3.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

GENERATOR_FLOOR = 1e-10
"""Smallest variance that DualDn's noise generators use."""

MAP_FLOOR = 1e-7
"""Smallest variance in the noise map that DualDn's networks read."""


def noise_variance(x: npt.ArrayLike, K: npt.ArrayLike, S: npt.ArrayLike) -> Array:
    """Return ``K x + S``, the variance of both models below; no floor, normalised squared."""
    return np.asarray(np.asarray(x) * np.asarray(K) + np.asarray(S))


def noise_map(y: npt.ArrayLike, K: npt.ArrayLike, S: npt.ArrayLike) -> Array:
    """Return ``sqrt(max(K y + S, 1e-7))``, the noise map that DualDn's networks take."""
    return np.asarray(np.sqrt(np.maximum(noise_variance(y, K, S), MAP_FLOOR)))


def heteroscedastic(
    x: npt.ArrayLike,
    z: npt.ArrayLike,
    K: npt.ArrayLike,
    S: npt.ArrayLike,
    saturation: float = 1.0,
) -> Array:
    """Return ``x + z sqrt(max(K x + S, 1e-10))``: Gaussian noise of signal-dependent variance.

    Parameters
    ----------
    x
        Clean mosaic, normalised; negative values are allowed where ``K x + S`` stays sensible.
    z
        Standard normals of the shape of ``x``.
    K, S
        Shot gain and read variance, in units of ``x * saturation``.
    saturation
        ``x`` is multiplied by it before the noise and divided by it after.
    """
    scaled = np.asarray(x) * saturation
    variance = np.maximum(noise_variance(scaled, K, S), GENERATOR_FLOOR)
    return np.asarray((scaled + np.asarray(z) * np.sqrt(variance)) / saturation)


def poisson_gaussian(
    counts: npt.ArrayLike,
    z: npt.ArrayLike,
    K: npt.ArrayLike,
    S: npt.ArrayLike,
    saturation: float = 1.0,
) -> Array:
    """Return ``K counts + z sqrt(max(S, 1e-10))``: photon counts plus Gaussian read noise.

    Parameters
    ----------
    counts
        Draws of Poisson(x saturation / K).
    z
        Standard normals of the shape of ``counts``.
    K, S
        Shot gain and read variance, in units of ``x * saturation``.
    saturation
        The result is divided by it.
    """
    read = np.asarray(z) * np.sqrt(np.maximum(S, GENERATOR_FLOOR))
    return np.asarray((np.asarray(counts) * np.asarray(K) + read) / saturation)


def published_clip(y: npt.ArrayLike) -> Array:
    """Return ``clip(y, 0, 1)``: DualDn cuts its noisy mosaic at black and at white."""
    return np.asarray(np.clip(y, 0, 1))
