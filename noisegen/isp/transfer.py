"""Transfer functions (gamma) as numbers, shared by the torch stages, the kernels and the inverse.

Every curve is ``scale * s**exponent - offset`` from ``threshold`` upwards and ``slope * s + floor``
below it, negative values included.

References
----------
IEC 61966-2-1:1999 (sRGB); ITU-R BT.709-6, item 1.2. BT.709's rounded constants leave a step of
2.5e-4 at the threshold, which is kept.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from noisegen.isp.parameters import Gamma


class Curve(NamedTuple):
    """Constants of one transfer function; see the module's docstring."""

    threshold: float
    exponent: float
    scale: float
    offset: float
    slope: float
    floor: float


CURVES: dict[Gamma, Curve] = {
    "srgb": Curve(0.0031308, 1 / 2.4, 1.055, 0.055, 12.92, 0.0),
    "rec709": Curve(0.018, 0.45, 1.099, 0.099, 4.5, 0.0),
    "2.2": Curve(1e-8, 1 / 2.2, 1.0, 0.0, 0.0, 1e-8 ** (1 / 2.2)),
}

FloatArray = npt.NDArray[np.floating]


def encode(linear: FloatArray, gamma: Gamma) -> FloatArray:
    """Apply a transfer function to linear values of any range, in their precision."""
    c = CURVES[gamma]
    high = c.scale * np.maximum(linear, c.threshold) ** c.exponent - c.offset
    out: FloatArray = np.where(linear >= c.threshold, high, c.slope * linear + c.floor)
    return out.astype(linear.dtype, copy=False)


def decode(encoded: FloatArray, gamma: Gamma) -> FloatArray:
    """Invert :func:`encode` on its range, in the input's precision.

    Values within BT.709's step, which the encoder never makes, go to the threshold. The 2.2 curve
    cannot tell values below 1e-8 apart; they go to 1e-8.
    """
    c = CURVES[gamma]
    first = c.scale * c.threshold**c.exponent - c.offset
    high = ((np.maximum(encoded, first) + c.offset) / c.scale) ** (1 / c.exponent)
    if c.slope == 0:
        low: FloatArray = np.full_like(high, c.threshold)
    else:
        low = np.minimum((encoded - c.floor) / c.slope, c.threshold)
    out: FloatArray = np.where(encoded >= first, high, low)
    return out.astype(encoded.dtype, copy=False)
