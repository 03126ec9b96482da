"""How strong the sensor's noise is in the rendered picture, before anything is done about it.

A camera knows its ISO, and scales its noise reduction with it. :func:`rendered_noise` is that
knowledge: the standard deviations of luma and chroma of an evenly lit grey, to first order, where
nothing is clipped. :func:`luma_curve` says how they depend on the grey.
"""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from noisegen.cfa import PLANES
from noisegen.errors import InputError
from noisegen.isp.bulk import LINEAR_OFFSET, LINEAR_SCALE, render
from noisegen.isp.color import inverse, multiply, xyz_to_srgb
from noisegen.isp.parameters import Demosaic, IspParameters
from noisegen.isp.transfer import CURVES
from noisegen.jpeg import YCBCR

MIDDLE_GREY = 0.18
"""Linear value of the grey that light meters expect."""

NODES = 33
"""Steps of :func:`luma_curve`."""

_LEVELS = 64  # greys that the curve is computed at, denser towards black
_ROUNDING = 1024.0


class RenderedNoise(NamedTuple):
    """Standard deviations, white being 1; ``chroma`` is the root mean square of Cb's and Cr's."""

    luma: float
    chroma: float


def rendered_noise(
    shot: npt.ArrayLike,
    read: npt.ArrayLike,
    parameters: IspParameters,
    level: float = MIDDLE_GREY,
) -> RenderedNoise:
    """Return the noise of a grey after the tone curve.

    Parameters
    ----------
    shot, read
        (4,) of R, G1, B, G2: the variance of a mosaic's x is ``shot * x + read``, x from 0 to 1.
    parameters
        What the ISP does.
    level
        Linear value of the grey in the picture, above 0 and below 1.

    Raises
    ------
    InputError
        If the level is outside of its range.
    """
    if not 0 < level < 1:
        raise InputError(f"grey level {level} is not between 0 and 1")
    by_light, at_black = _variances(shot, read, parameters)
    _, slope = _rendered(level, parameters)
    luma, chroma = (math.sqrt(a * level + b) for a, b in zip(by_light, at_black, strict=True))
    return RenderedNoise(slope * luma, slope * chroma)


def luma_curve(
    shot: npt.ArrayLike, read: npt.ArrayLike, parameters: IspParameters
) -> tuple[float, ...]:
    """Return how the luma noise of greys depends on their luma, relative to a middle grey.

    Parameters
    ----------
    shot, read, parameters
        As in :func:`rendered_noise`.

    Returns
    -------
    tuple of float
        Standard deviations at :data:`NODES` even steps of luma from 0 to 1, that of
        :data:`MIDDLE_GREY` being 1; 1 throughout without noise. They are rounded, so that
        processors whose logarithms differ in their last bits agree.
    """
    by_light, at_black = _variances(shot, read, parameters)
    levels = [(i / _LEVELS) ** 3 for i in range(_LEVELS + 1)]
    places, stds = [], []
    for level in (*levels, MIDDLE_GREY):
        place, slope = _rendered(level, parameters)
        places.append(place)
        stds.append(slope * math.sqrt(by_light[0] * level + at_black[0]))
    middle = stds.pop()
    if middle == 0:
        return (1.0,) * NODES
    curve = np.interp(np.linspace(0, 1, NODES), places[:-1], np.array(stds) / middle)
    return tuple((np.round(curve * _ROUNDING) / _ROUNDING).tolist())


def _variances(
    shot: npt.ArrayLike, read: npt.ArrayLike, parameters: IspParameters
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the variances of luma and chroma before the curves: times the light, and at black."""
    gains = np.array([parameters.gains["RGB".index(plane[0])] for plane in PLANES])
    shares, to_ycbcr = _shares(parameters.demosaic), multiply(YCBCR, parameters.ccm)
    found = []
    for variance in (gains * np.asarray(shot), gains**2 * np.asarray(read)):
        camera = sum(v * share for v, share in zip(variance, shares, strict=True))
        covariance = multiply(multiply(to_ycbcr, camera), to_ycbcr.T)
        luma, cb, cr = (float(covariance[i, i]) for i in range(3))
        found.append((luma, (cb + cr) / 2))
    return found[0], found[1]


def _rendered(level: float, parameters: IspParameters) -> tuple[float, float]:
    """Return what transfer function and tone curve make of a level, and their slope there."""
    c = CURVES[parameters.gamma]
    if level >= c.threshold:
        value = c.scale * math.pow(level, c.exponent) - c.offset
        slope = c.exponent * (value + c.offset) / level
    else:
        slope, value = c.slope, c.slope * level + c.floor
    for _ in range(2):
        slope *= 1 + parameters.alpha * (1 - 2 * value)
        value += parameters.alpha * value * (1 - value)
    return value, slope


@lru_cache
def _shares(demosaic: Demosaic) -> npt.NDArray[np.float64]:
    """Return the (4, 3, 3) covariances of R, G, B that unit variance of each plane makes.

    They are means over the four sites, from the demosaicer's answer to one raised sample of the
    plane on a flat field: exact for the linear demosaicers; AHD's luma noise is about a twentieth
    more, because it follows the noise.
    """
    flat, step, side = 32768, 16384, 32
    first, second, third = (tuple(row) for row in inverse(xyz_to_srgb("D65")).tolist())
    neutral = IspParameters(
        (1.0, 1.0, 1.0), (first, second, third), demosaic=demosaic, clip_black=False
    )
    shares = np.empty((4, 3, 3))
    for number, (y, x) in enumerate(((0, 0), (0, 1), (1, 1), (1, 0))):
        mosaic = np.full((side, side), flat, np.uint16)
        mosaic[side // 2 + y, side // 2 + x] += step
        rgb = render(mosaic, "RGGB", (0.0,) * 4, 65536.0, neutral, stage="linear")
        answer = (rgb - LINEAR_OFFSET) / LINEAR_SCALE - flat / 65536
        answer = answer.reshape(-1, 3) / (step / 65536)
        shares[number] = (answer[:, :, None] * answer[:, None, :]).sum(axis=0) / 4
    return shares
