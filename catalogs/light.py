"""The light of a picture, drawn from the illuminant locus of a camera's colour matrices.

References
----------
Adobe, "Digital Negative (DNG) Specification", 1.6, chapter 6: see :mod:`noisegen.isp.illuminant`.
T. Brooks et al., "Unprocessing Images for Learned Raw Denoising", CVPR 2019, section 3: the mixture
of cameras that stands in for one without a matrix.
"""

from collections.abc import Mapping
from functools import cache

import numpy as np

from catalogs import cameras
from catalogs.camera import LIGHT_SOURCES, Camera, as_range
from catalogs.camera_noise import Range
from catalogs.color import (
    GOOGLE_MATRICES,
    DrawnColor,
    google_weights,
    in_words,
    mixed,
    rows,
)
from noisegen.errors import InputError
from noisegen.isp import illuminant
from noisegen.isp.color import camera_to_xyz_from_srgb
from noisegen.isp.illuminant import KELVIN, Calibration

Calibrations = tuple[Calibration, Calibration]
"""Colour matrices for a warm and for a cool light."""


def draw(
    camera: Camera, rng: np.random.Generator, temperatures: float | Range | None = None
) -> DrawnColor:
    """Draw a light and the colours that go with it.

    Parameters
    ----------
    camera
        Its matrices for two lights are interpolated. One without a published matrix gets the random
        convex combination of four cameras of :meth:`~catalogs.camera.Camera.draw_color`: of their
        matrices for illuminant A, and of those for D65.
    rng
        Source of the draws.
    temperatures
        A colour temperature in kelvin, or a range that its reciprocal is drawn from uniformly:
        equal steps of it look alike. None: from one calibration illuminant to the other.

    Raises
    ------
    InputError
        If the camera's matrices are not for two lights, or a temperature is none that is known.
    """
    if camera.color_matrices:
        first, second = calibrations(camera)
        description = f"matrices of {camera.name}"
    else:
        weights = google_weights(rng)
        first, second = _mixture(weights)
        description = in_words(weights)
    if temperatures is None:
        temperatures = (first.temperature, second.temperature)
    low, high = as_range("temperature", temperatures)
    # The bounds again, as a reciprocal of a reciprocal may leave them by a last bit.
    temperature = min(max(1 / float(rng.uniform(1 / high, 1 / low)), low), high)
    matrix = illuminant.interpolate(first, second, temperature)
    red, green, blue = illuminant.neutral(matrix, temperature)
    return DrawnColor(
        rows(camera_to_xyz_from_srgb(illuminant.camera_to_srgb(matrix, temperature))),
        (green / red, 1.0, green / blue),
        f"{description} at {temperature:.0f} K",
        temperature,
    )


def calibrations(camera: Camera) -> Calibrations:
    """Return a camera's colour matrices for its warmest and for its coolest light.

    Raises
    ------
    InputError
        If it has none for two lights of known temperature.
    """
    named = {m.illuminant: m.xyz_to_cam for m in reversed(camera.color_matrices)}
    by_light = sorted(
        Calibration(KELVIN[code], named[name])
        for name, code in LIGHT_SOURCES.items()
        if name in named
    )
    if len(by_light) < 2:
        lights = {"unknown": "an unknown light"}
        known = " and ".join(lights.get(m.illuminant, m.illuminant) for m in camera.color_matrices)
        raise InputError(
            f"camera {camera.name} has a colour matrix for {known} only; the illuminant locus runs "
            "between two known lights: use white_balance = 'camera'"
        )
    return by_light[0], by_light[-1]


def _mixture(weights: Mapping[str, float]) -> Calibrations:
    """Mix the four cameras' matrices for each of the two lights."""
    each = _google_calibrations()
    warm, cool = (
        Calibration(
            next(iter(each.values()))[end].temperature,
            mixed(weights, {name: pair[end].xyz_to_cam for name, pair in each.items()}),
        )
        for end in (0, 1)
    )
    return warm, cool


@cache
def _google_calibrations() -> dict[str, Calibrations]:
    return {name: calibrations(cameras.load(name)) for name in GOOGLE_MATRICES}
