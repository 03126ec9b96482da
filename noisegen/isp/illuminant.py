"""Light by its colour temperature, and what a camera with two colour matrices makes of it.

DNG's model: the XYZ to camera matrix is interpolated between two calibration illuminants in
reciprocal temperature; the camera sees a white object in that light as matrix times white; and the
way back to sRGB adapts that white to the picture's. Plain arithmetic throughout, so that matrices
are the same bits on every processor.

References
----------
Adobe, "Digital Negative (DNG) Specification", 1.6, chapter 6, "Mapping Camera Color Space to CIE
XYZ Space".
CIE 015:2018, "Colorimetry", section 4.1.2: the daylight locus.
M. Krystek, "An algorithm to calculate correlated colour temperature", Color Research & Application
10(1), 1985: the Planckian locus, within 1e-4 in (u, v) from 1000 to 15000 K.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from noisegen.errors import InputError
from noisegen.isp.color import X65, Matrix, inverse, multiply

KELVIN = {
    1: 5500, 2: 4230, 3: 2850, 4: 5500, 9: 5500, 10: 6500, 11: 7500, 12: 6430, 13: 5050, 14: 4230,
    15: 3450, 17: 2850, 18: 5500, 19: 6500, 20: 5500, 21: 6500, 22: 7500, 23: 5000, 24: 3200,
}  # fmt: skip
"""Colour temperatures of EXIF's light sources, the middle where the standard gives a range."""

LEAST, GREATEST = 1000.0, 25000.0
"""Range of temperatures that :func:`white` knows, in kelvin."""

DAYLIGHT = 4000.0
"""Temperature from which on a light is taken for daylight, below it for a black body."""

BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)
"""XYZ to the sharpened cone responses of the linear Bradford adaptation, which DNG prescribes."""
BRADFORD.setflags(write=False)

Triple = tuple[float, float, float]


class Calibration(NamedTuple):
    """An XYZ to camera matrix (DNG ColorMatrix) and its light's temperature in kelvin."""

    temperature: float
    xyz_to_cam: npt.ArrayLike


def white(temperature: float) -> Triple:
    """Return XYZ (Y is 1) of a light: CIE daylight from 4000 K, a black body below.

    The two loci do not meet: at 4000 K daylight lies 0.007 in y above the black body.

    Raises
    ------
    InputError
        If the temperature is outside 1000 to 25000 K.
    """
    if not LEAST <= temperature <= GREATEST:
        raise InputError(
            f"colour temperature {temperature:g} K is outside {LEAST:g} to {GREATEST:g} K"
        )
    x, y = _daylight(temperature) if temperature >= DAYLIGHT else _planckian(temperature)
    return x / y, 1.0, (1 - x - y) / y


def interpolate(first: Calibration, second: Calibration, temperature: float) -> Matrix:
    """Return the XYZ to camera matrix for a light: linear in 1 / temperature between the two.

    Beyond a calibration's temperature its own matrix is taken, as DNG does.

    Raises
    ------
    InputError
        If both are for one temperature.
    """
    if first.temperature == second.temperature:
        raise InputError(f"both colour matrices are for {first.temperature:g} K; two are needed")
    one, two = (np.asarray(c.xyz_to_cam, np.float64) for c in (first, second))
    g = (1 / temperature - 1 / second.temperature) / (
        1 / first.temperature - 1 / second.temperature
    )
    if g >= 1:
        return one
    if g <= 0:
        return two
    return np.asarray(g * one + (1 - g) * two, np.float64)


def neutral(xyz_to_cam: npt.ArrayLike, temperature: float) -> Triple:
    """Return the camera RGB of a white object in a light, the largest value 1.

    Raises
    ------
    InputError
        If a value is not above 0: the matrix is no camera's, or the light is beyond it.
    """
    r, g, b = _times(xyz_to_cam, white(temperature))
    if min(r, g, b) <= 0:
        raise InputError(
            f"at {temperature:g} K this colour matrix gives white as ({r:.3g}, {g:.3g}, {b:.3g}); "
            "draw temperatures nearer to the matrix's own light"
        )
    most = max(r, g, b)
    return r / most, g / most, b / most


def camera_to_srgb(xyz_to_cam: npt.ArrayLike, temperature: float) -> Matrix:
    """Return the matrix from white-balanced camera RGB to linear sRGB for a light.

    Undo the white balance, invert the colour matrix, adapt the light's white to sRGB's by the
    linear Bradford transform, go to sRGB. (1, 1, 1) stays (1, 1, 1).
    """
    light = white(temperature)
    target = _times(inverse(X65), (1.0, 1.0, 1.0))
    cones = zip(_times(BRADFORD, target), _times(BRADFORD, light), strict=True)
    adapt = multiply(inverse(BRADFORD), multiply(np.diag([a / b for a, b in cones]), BRADFORD))
    unbalance = np.diag(_times(xyz_to_cam, light))
    to_xyz = multiply(inverse(np.asarray(xyz_to_cam, np.float64)), unbalance)
    return multiply(multiply(X65, adapt), to_xyz)


def _daylight(temperature: float) -> tuple[float, float]:
    t = 1e3 / temperature
    if temperature <= 7000:
        x = ((-4.6070 * t + 2.9678) * t + 0.09911) * t + 0.244063
    else:
        x = ((-2.0064 * t + 1.9018) * t + 0.24748) * t + 0.237040
    return x, (-3.0 * x + 2.870) * x - 0.275


def _planckian(temperature: float) -> tuple[float, float]:
    t = temperature
    u = (0.860117757 + 1.54118254e-4 * t + 1.28641212e-7 * t * t) / (
        1 + 8.42420235e-4 * t + 7.08145163e-7 * t * t
    )
    v = (0.317398726 + 4.22806245e-5 * t + 4.20481691e-8 * t * t) / (
        1 - 2.89741816e-5 * t + 1.61456053e-7 * t * t
    )
    return 3 * u / (2 * u - 8 * v + 4), 2 * v / (2 * u - 8 * v + 4)


def _times(matrix: npt.ArrayLike, vector: Triple) -> Triple:
    # Not NumPy's product, which BLAS rounds otherwise on another processor.
    r, g, b = (
        sum(float(m) * v for m, v in zip(row, vector, strict=True))
        for row in np.asarray(matrix, np.float64)
    )
    return r, g, b
