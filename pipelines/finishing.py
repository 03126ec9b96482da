"""The finish of a sample: drawing it, reading it from the record, and where its pixels come from.

A sample's window in the finished picture begins at the first finished pixel that lies wholly on or
behind the corner of its tile's core, so the record needs the corner alone.
"""

import math
from typing import Any

import numpy as np

from noisegen import random
from noisegen.isp.finish import surroundings
from noisegen.isp.geometry import Window
from noisegen.isp.parameters import (
    FINISH_LIMITS,
    FinishParameters,
    IspParameters,
)
from noisegen.isp.rendered_noise import luma_curve, rendered_noise
from noisegen.jpeg import SUBSAMPLINGS
from pipelines.recipe import Recipe
from pipelines.tables import Range, ends
from pipelines.tables.finish import Finish


def draw(row: np.void, recipe: Recipe, isp: IspParameters) -> dict[str, float]:
    """Draw the finish of a patch whose row holds its noise: what to record, by name."""
    table, drawn = recipe.finish, dict[str, float]()
    image, number = int(row["image"]), int(row["index"])
    # All are drawn, so that no range's draws depend on which others are given.
    u = random.generator(recipe.seed, random.Stream.FINISH, image, number).random(7).tolist()
    luma, chroma = _between(table.luma, u[0]), _between(table.chroma, u[1])
    if luma or chroma:
        noise = rendered_noise(*_figures(row, recipe), isp)
        drawn["nr_luma"] = min(luma * noise.luma, FINISH_LIMITS["luma"][1])
        drawn["nr_chroma"] = min(chroma * noise.chroma, FINISH_LIMITS["chroma"][1])
    drawn["sharpen"] = _between(table.sharpen, u[2])
    if drawn["sharpen"]:
        drawn["sharpen_radius"] = _between(table.sharpen_radius, u[3])
    drawn["resize"] = _between(table.resize, u[4])
    if table.quality != "none":
        low, high = ends(table.quality)
        drawn["jpeg_quality"] = low + int((high - low + 1) * u[5])
        choices = table.subsamplings
        drawn["jpeg_subsampling"] = SUBSAMPLINGS.index(choices[int(len(choices) * u[6])])
    return drawn


def parameters_of(row: np.void, recipe: Recipe, isp: IspParameters) -> FinishParameters:
    """Return the finish that a row of the table records."""
    table = recipe.finish
    is_filtered = row["nr_luma"] > 0 or row["nr_chroma"] > 0
    sharpen, quality = float(row["sharpen"]), int(row["jpeg_quality"])
    return FinishParameters(
        luma=float(row["nr_luma"]),
        luma_radius=table.luma_radius,
        chroma=float(row["nr_chroma"]),
        chroma_radius=table.chroma_radius,
        sharpen=sharpen,
        sharpen_radius=float(row["sharpen_radius"]) if sharpen else 1.0,
        resize=float(row["resize"]),
        quality=quality or None,
        subsampling=SUBSAMPLINGS[int(row["jpeg_subsampling"])],
        noise=luma_curve(*_figures(row, recipe), isp) if is_filtered else (),
    )


def core(table: Finish, patch: int) -> int:
    """Return the edge of the square of a frame that any finished patch covers, even."""
    if not table.shrinks:
        return patch
    # One more for where the window begins, and a pixel for rounding.
    return 2 * math.ceil((ends(table.resize)[1] * (patch + 1) + 1) / 2)


def halo(table: Finish) -> int:
    """Return how far around that square the finish looks at most, even."""
    if not table.is_on:
        return 0
    reach = max(
        surroundings(
            FinishParameters(
                luma=min(ends(table.luma)[1], 1),
                luma_radius=table.luma_radius,
                chroma=min(ends(table.chroma)[1], 1),
                chroma_radius=table.chroma_radius,
                sharpen=ends(table.sharpen)[1],
                sharpen_radius=ends(table.sharpen_radius)[1],
                resize=ends(table.resize)[1],
                quality=None if table.quality == "none" else 100,
                subsampling=choice,
            )
        )
        for choice in table.subsamplings
    )
    return 2 * math.ceil(reach / 2)


def window(y: int, x: int, patch: int, resize: float) -> Window:
    """Return a patch's window in the finished picture; (y, x) is its corner in the frame."""
    return Window(math.ceil(y / resize), math.ceil(x / resize), patch, patch)


def _figures(row: np.void, recipe: Recipe) -> tuple[Any, Any]:
    """Return shot and read noise of the input as it is rendered: it may be multiplied back."""
    ratio = float(row["exposure_ratio"]) if recipe.amplify else 1.0
    return row["shot"] * ratio, row["read"] * ratio**2


def _between(value: float | Range, u: float) -> float:
    low, high = ends(value)
    return low + (high - low) * u
