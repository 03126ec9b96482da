"""Guides: the second picture of a scene, cut where the clean picture is.

A guide gets no noise and goes through no ISP: it is what the source has, at the bits and in the
encoding of the pictures that it lies beside.
"""

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from catalogs.sources import GUIDE_CHANNELS, Guide, SourceImage
from noisegen.errors import InputError
from noisegen.isp.parameters import Gamma
from noisegen.isp.transfer import CURVES, decode
from pipelines.frame import Frame
from pipelines.recipe import Recipe
from pipelines.rendered import at_depth

Picture = npt.NDArray[Any]
"""(H, W, G) codes of a guide."""

Floats = npt.NDArray[np.float64]

_STEPS = 2.0**40
# Powers differ in their last bit between processors; what is left of them here does not.


def whole(image: SourceImage, recipe: Recipe, frame: Frame, name: str) -> Picture | None:
    """Return the guide of a whole frame; None where the recipe wants none.

    Parameters
    ----------
    image
        What the source read, guide and all.
    recipe
        Says which guide, its bits and its encoding.
    frame
        What patches are cut of; where it was averaged the guide is, in linear light.
    name
        Of the image, for messages.

    Raises
    ------
    InputError
        If the source gave another guide than was asked for, or one of another size.
    """
    if recipe.guide is None:
        return None
    guide = check(image, recipe.guide, name)
    shrink = guide.shape[0] // frame.height
    if shrink == 1 and guide.dtype != np.float32:
        return at_depth(guide, recipe.depth)
    light: npt.NDArray[Any] = guide
    if guide.dtype != np.float32:
        light = _light(guide.dtype.itemsize, recipe.gamma)[guide]
    if shrink > 1:
        light = _averaged(light, shrink)
    return _encoded(light, recipe.depth, recipe.gamma)


def check(image: SourceImage, kind: Guide, name: str) -> Picture:
    """Return the guide of a source's image.

    Raises
    ------
    InputError
        If it is another than was asked for, or of another size than the picture.
    """
    guide, channels = image.guide, GUIDE_CHANNELS[kind]
    if guide is None or guide.ndim != 3 or guide.shape[2] != channels:
        found = "none" if guide is None else "x".join(map(str, guide.shape))
        raise InputError(f"{name}: its guide is {found}; '{kind}' has {channels} channels")
    if guide.shape[:2] != image.pixels.shape[:2]:
        (height, width), (rows, columns) = image.pixels.shape[:2], guide.shape[:2]
        raise InputError(
            f"{name} has {height}x{width} pixels, its guide {rows}x{columns}; a guide lies on its "
            "picture pixel by pixel"
        )
    return guide


def patches(guide: Picture, rows: npt.NDArray[np.void], patch: int) -> Picture:
    """Return (patches x draws, P, P, G): the guides of the samples in (patches, draws) rows."""
    out = np.empty((rows.size, patch, patch, guide.shape[2]), guide.dtype)
    for place, row in zip(out, rows.reshape(-1), strict=True):
        y, x = int(row["y"]), int(row["x"])
        place[:] = guide[y : y + patch, x : x + patch]
    return out


@cache
def _light(size: int, gamma: Gamma) -> Floats:
    """Return the linear light of every code of 8 or 16 bits."""
    codes = 1 << (8 * size)
    light: Floats = np.rint(decode(np.arange(codes) / (codes - 1), gamma) * _STEPS) / _STEPS
    return light


@cache
def _edges(bits: int, gamma: Gamma) -> Floats:
    """Return the linear light from which on each code but 0 is nearest."""
    codes = 1 << bits
    halfway = (np.arange(1, codes) - 0.5) / (codes - 1)
    edges: Floats = np.rint(decode(halfway, gamma) * _STEPS) / _STEPS
    return edges


def _encoded(light: npt.NDArray[np.floating], bits: int, gamma: Gamma) -> Picture:
    curve = CURVES[gamma]
    if curve.slope == 0:
        light = np.maximum(light, curve.threshold)  # as :func:`noisegen.isp.transfer.encode` does
    codes = np.searchsorted(_edges(bits, gamma), light, side="right")
    return codes.astype(np.uint8 if bits == 8 else np.uint16)


def _averaged(light: npt.NDArray[np.floating], step: int) -> Floats:
    """Return means over squares of pixels; a remainder at the right and below is left out."""
    height, width = (side // step for side in light.shape[:2])
    squares = light[: step * height, : step * width].astype(np.float64)
    means: Floats = squares.reshape(height, step, width, step, -1).mean((1, 3))
    return means
