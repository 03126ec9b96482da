"""Stand-in colours of a camera whose matrix or white balance nobody has published.

References
----------
T. Brooks et al., "Unprocessing Images for Learned Raw Denoising", CVPR 2019, section 3: the four
cameras of the Darmstadt Noise Dataset, mixed at random, and the ranges of the gains.
"""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Row3 = tuple[float, float, float]
Matrix3 = tuple[Row3, Row3, Row3]
"""A 3x3 matrix as nested tuples."""

GOOGLE_MATRICES = MappingProxyType[str, Matrix3](
    {
        "Nexus6P": (
            (1.0234, -0.2969, -0.2266),
            (-0.5625, 1.6328, -0.0469),
            (-0.0703, 0.2188, 0.6406),
        ),
        "SonyA7R": (
            (0.4913, -0.0541, -0.0202),
            (-0.613, 1.3513, 0.2906),
            (-0.1564, 0.2151, 0.7183),
        ),
        "OMD_EM10": (
            (0.838, -0.263, -0.0639),
            (-0.2887, 1.0725, 0.2496),
            (-0.0627, 0.1427, 0.5438),
        ),
        "SonyRX100": (
            (0.6596, -0.2079, -0.0562),
            (-0.4782, 1.3016, 0.1933),
            (-0.097, 0.1581, 0.5181),
        ),
    }
)
"""ColorMatrix2 (XYZ to camera) of the four cameras that the published mixture is made of."""

RED_GAIN = (1.9, 2.4)
BLUE_GAIN = (1.5, 1.9)
"""Ranges of the uniform white balance gains against green."""


class DrawnColor(NamedTuple):
    """Colour drawn for one sample.

    Attributes
    ----------
    cam_to_xyz
        3x3 camera to XYZ matrix that maps (1, 1, 1) to itself, as the ISP takes it.
    white_balance
        Gains of R, G and B; green is 1.
    description
        What was drawn, in words, for the record.
    temperature
        Colour temperature of the light in kelvin; NaN where none was drawn.
    """

    cam_to_xyz: Matrix3
    white_balance: Row3
    description: str
    temperature: float = math.nan


def google_weights(rng: np.random.Generator) -> dict[str, float]:
    """Draw the weights of a random convex combination of four cameras: uniforms, normalised."""
    weights = rng.random(len(GOOGLE_MATRICES))
    weights /= weights.sum()
    return {name: float(w) for name, w in zip(GOOGLE_MATRICES, weights, strict=True)}


def mixed(weights: Mapping[str, float], matrices: Mapping[str, npt.ArrayLike]) -> Matrix3:
    """Return the weighted sum of the matrices of the same names."""
    # Added one by one: BLAS rounds otherwise on another processor.
    total = np.zeros((3, 3))
    for name, weight in weights.items():
        total += weight * np.asarray(matrices[name])
    return rows(total)


def in_words(weights: Mapping[str, float]) -> str:
    """Say what was mixed."""
    return f"mixture of {', '.join(f'{name} {w:.3f}' for name, w in weights.items())}"


def google_gains(rng: np.random.Generator) -> Row3:
    """Draw white balance gains: red uniform in 1.9 to 2.4, blue in 1.5 to 1.9, green 1."""
    return float(rng.uniform(*RED_GAIN)), 1.0, float(rng.uniform(*BLUE_GAIN))


def rows(matrix: npt.NDArray[np.float64]) -> Matrix3:
    """Return a (3, 3) array as nested tuples."""
    first, second, third = ((float(a), float(b), float(c)) for a, b, c in matrix)
    return first, second, third
