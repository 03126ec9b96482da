"""The lens shading of an image: drawn once, recorded with every sample, read back of its row."""

from functools import lru_cache

import numpy as np

from noisegen import random
from noisegen.isp.shading import LocalShading, Radial, Shading
from pipelines.recipe import Recipe

Coefficients = tuple[float, float, float]
"""k1, k2, k3 of the gain 1 + k1 r² + k2 r⁴ + k3 r⁶."""

NONE: Coefficients = (0.0, 0.0, 0.0)


def draw(recipe: Recipe, number: int) -> Coefficients:
    """Draw the shading of image ``number``."""
    if not recipe.shading.is_on:
        return NONE
    u = random.generator(recipe.seed, random.Stream.SHADING, number).random(3).tolist()
    k1, k2, k3 = (
        low + (high - low) * share
        for (low, high), share in zip(recipe.shading.ranges, u, strict=True)
    )
    return k1, k2, k3


def local(k: Coefficients, frame: tuple[int, int], y: int, x: int) -> LocalShading | None:
    """Return the shading of a tile whose first pixel is at (y, x) of a frame, if there is any."""
    return None if k == NONE else LocalShading(_lens(k), frame, y, x)


def of_row(row: np.void, frame: tuple[int, int], halo: int) -> LocalShading | None:
    """Return the shading of the tile of a sample."""
    k1, k2, k3 = row["shading"].tolist()
    return local((k1, k2, k3), frame, int(row["y"]) - halo, int(row["x"]) - halo)


@lru_cache(maxsize=64)
def _lens(k: Coefficients) -> Shading:
    return Shading(Radial(k))
