"""How far synthetic noise is from real noise: KLD, AKLD and Wasserstein, as papers print them.

Noise is noisy minus clean in units of white: 1/255 is one level of 8 bits. All pixels and channels
of what is given count alike. Papers print one number a picture, and its mean over the pictures.

The Kullback-Leibler divergence of two histograms has four published definitions, whose numbers
cannot be compared with each other:

===============  ===========================  =============================  =======================
name             bins                         empty bins                     printed by
===============  ===========================  =============================  =======================
``neca``         64 of 1/320 from −0.1 to     dropped where the synthetic    NeCA, of 8-bit pictures
                 0.1, and both tails          histogram is empty
``naflow``       256 from −1 to 1             likewise                       NAFlow, of a picture
                                                                             clipped, not rounded
``noise-flow``   as ``neca``                  1 is added to every count      Noise Flow,
                                                                             Noise2NoiseFlow
``srgb-flow``    130 of 4/255, from −260/255  likewise                       sRGB Noise Flow,
                 to 260/255                                                  NM-FlowGAN
===============  ===========================  =============================  =======================

Where bins are dropped the number can be too small, and even negative.

References
----------
H. Fu et al., "sRGB Real Noise Synthesizing with Neighboring Correlation-Aware Noise Model",
CVPR 2023 (NeCA). D. Kim et al., "sRGB Real Noise Modeling via Noise-Aware Sampling with Normalizing
Flows", ICLR 2024 (NAFlow). A. Abdelhamed et al., "Noise Flow", ICCV 2019. S. Kousha et al.,
"Modeling sRGB Camera Noise with Normalizing Flows", CVPR 2022. Z. Yue et al., "Dual Adversarial
Network: Toward Real-world Noise Removal and Noise Generation", ECCV 2020 (AKLD).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import correlate1d

from noisegen.errors import InputError, UnknownNameError

Values = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]

_NECA_EDGES = np.concatenate([[-1000], -0.1 + 0.003125 * np.arange(65), [1000]])
"""The edge next to 0 is 8e-17, so that a difference of 0 lies in the bin left of it, alone."""


@dataclass(frozen=True)
class Definition:
    """One way to compare two histograms of noise.

    Attributes
    ----------
    edges
        Ascending edges of the bins in units of white; each bin has its left edge, the last both.
    added
        What is added to every count. With 0, bins that the synthetic histogram lacks are dropped.
    """

    edges: Floats
    added: int


KLD = {
    "neca": Definition(_NECA_EDGES, 0),
    "naflow": Definition(np.linspace(-1, 1, 257), 0),
    "noise-flow": Definition(_NECA_EDGES, 1),
    "srgb-flow": Definition(np.arange(-260, 261, 4) / 255, 1),
}
"""The published definitions of the divergence, by name."""

KERNEL = np.array([1 / 32, 7 / 64, 7 / 32, 9 / 32, 7 / 32, 7 / 64, 1 / 32])
"""OpenCV's Gaussian of 7 pixels, along one axis: a table of its own, not a sampled Gaussian."""

LEAST_VARIANCE = 1e-10
"""Smallest local variance, in units of white squared."""

RATIO = 10.0
"""Ratios of local variances are clipped to the range from 1 over this to this."""


def kld(
    real: Values,
    synthetic: Values,
    definition: str = "neca",
    counts: tuple[Values, Values] | None = None,
) -> float:
    """Return the divergence D(real ‖ synthetic) of the histograms of noise, in nats.

    Parameters
    ----------
    real, synthetic
        Noise of any shapes, in units of white.
    definition
        A name of :data:`KLD`.
    counts
        How often each value of `real` and of `synthetic` occurs, arrays like them; once each
        without it. So values that recur, as those of 8-bit pictures do, can be given as histograms.

    Raises
    ------
    InputError
        If there is no noise, or some that is not finite.
    UnknownNameError
        If there is no such definition.
    """
    if definition not in KLD:
        raise UnknownNameError(
            "definition of the KLD", definition, KLD, f"there are {', '.join(KLD)}"
        )
    how = KLD[definition]
    weights = counts or (None, None)
    histograms = [
        _histogram(n, how.edges, w) for n, w in zip((real, synthetic), weights, strict=True)
    ]
    p, q = ((h + how.added) / (h.sum() + how.added * len(h)) for h in histograms)
    both = (p > 0) & (q > 0)
    return float((p[both] * np.log(p[both] / q[both])).sum())


def akld(clean: Values, noisy: Values, synthetic: Values) -> float:
    """Return the average divergence of local Gaussians with the variances of two noises, in nats.

    At each pixel and channel ``D(N(0, s_synthetic) ‖ N(0, s_real))`` of the variances that
    :func:`local_variance` finds around it, their ratio clipped to 0.1 … 10.

    Parameters
    ----------
    clean, noisy, synthetic
        (H, W) or (H, W, C) floating point, 0 black and 1 white: a picture, the same with real
        noise, and with synthetic noise, which is clipped to 0 … 1 here.

    Raises
    ------
    InputError
        If the pictures differ in shape, are smaller than 4x4, or are not finite.
    """
    shapes = {np.shape(picture) for picture in (clean, noisy, synthetic)}
    if len(shapes) > 1:
        raise InputError(f"akld compares pictures of one shape, found {sorted(shapes)}")
    reference = np.asarray(clean, np.float64)
    real, other = (
        local_variance(np.asarray(picture, np.float64) - reference)
        for picture in (noisy, np.clip(synthetic, 0, 1))
    )
    return float(gaussian_divergence(other / real).mean())


def local_variance(noise: Values) -> Floats:
    """Return the mean of squared noise around each pixel.

    Weights are Gaussian, 7x7, the picture mirrored beyond its border without repeating the
    outermost pixels.

    Parameters
    ----------
    noise
        (H, W) or (H, W, C) in units of white, at least 4 pixels wide and high.

    Returns
    -------
    numpy.ndarray
        Like `noise`, float64, at least 1e-10.

    Raises
    ------
    InputError
        If the noise has another shape, or is not finite.
    """
    if noise.ndim not in (2, 3) or min(noise.shape[:2]) <= len(KERNEL) // 2:
        raise InputError(
            f"local_variance takes (H, W) or (H, W, C) of at least 4x4 pixels, found {noise.shape}"
        )
    squares = _finite(noise) ** 2
    for axis in (0, 1):
        squares = correlate1d(squares, KERNEL, axis=axis, mode="mirror")
    return np.asarray(np.maximum(squares, LEAST_VARIANCE), np.float64)


def gaussian_divergence(ratio: Values) -> Floats:
    """Return ``D(N(0, r v) ‖ N(0, v)) = (r − 1 − ln r) / 2`` of ratios of variances, in nats.

    Ratios are clipped to 0.1 … 10.
    """
    r = np.clip(np.asarray(ratio, np.float64), 1 / RATIO, RATIO)
    return np.asarray((r - 1 - np.log(r)) / 2, np.float64)


def wasserstein(
    real: Values, synthetic: Values, counts: tuple[Values, Values] | None = None
) -> float:
    """Return the Wasserstein-1 distance of the distributions of two noises.

    The area between their cumulative distributions: how far values have to be moved on average.

    Parameters
    ----------
    real, synthetic, counts
        As for :func:`kld`.

    Returns
    -------
    float
        In the units of the noise.

    Raises
    ------
    InputError
        If there is no noise, or some that is not finite.
    """
    from scipy.stats import wasserstein_distance

    weights = counts or (None, None)
    flat = (None if w is None else np.asarray(w, np.float64).ravel() for w in weights)
    return float(wasserstein_distance(_finite(real).ravel(), _finite(synthetic).ravel(), *flat))


def _histogram(noise: Values, edges: Floats, weights: Values | None) -> Floats:
    # Edges of srgb-flow are differences of 8 bits: in float32 these are off by some 1e-5 levels.
    snapped = np.round(_finite(noise).ravel() * 255, 4) / 255
    flat = None if weights is None else np.asarray(weights, np.float64).ravel()
    return np.asarray(np.histogram(snapped, edges, weights=flat)[0], np.float64)


def _finite(noise: Values) -> Floats:
    values = np.asarray(noise, np.float64)
    if not values.size:
        raise InputError("there is no noise to compare")
    if not np.isfinite(values).all():
        raise InputError("the noise has values that are not finite")
    return values
