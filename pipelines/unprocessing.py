"""What is drawn to take a picture back to a mosaic: its light, its exposure, its tone curve."""

import math
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from catalogs import light
from catalogs.camera import Camera
from catalogs.color import DrawnColor
from noisegen import random
from noisegen.errors import InputError
from noisegen.isp.tone import ToneCurve
from pipelines.recipe import Recipe
from pipelines.tables import Range, ends
from pipelines.tables.unprocess import Unprocess


@dataclass(frozen=True)
class Unprocessing:
    """How one picture becomes a mosaic; all patches of an image share it.

    Attributes
    ----------
    color
        Colours of the light that it is put under.
    exposure
        Factor on its light.
    curve
        The tone curve that is undone; None: the chain's own.
    """

    color: DrawnColor
    exposure: float = 1.0
    curve: ToneCurve | None = None

    def record(self, rows: npt.NDArray[np.void], encoded: bool) -> None:
        """Write into rows of the parameter table, whose ``tone`` is known, what was drawn."""
        rows["temperature"], rows["exposure"] = self.color.temperature, self.exposure
        if not encoded:
            return
        if self.curve is None:
            rows["source_tone"] = ToneCurve("amplification", 0.0).code
            rows["source_tone_strength"] = rows["tone"]
            return
        rows["source_tone"], rows["source_tone_strength"] = self.curve.code, self.curve.strength
        if self.curve.family == "s-curve":
            rows["source_tone_pivot"] = self.curve.pivot


def draw(recipe: Recipe, camera: Camera, number: int) -> Unprocessing:
    """Draw how image ``number`` is unprocessed."""
    table = recipe.unprocess
    rng = random.generator(recipe.seed, random.Stream.COLOUR, number)
    if table.white_balance == "locus":
        color = light.draw(camera, rng, table.temperature)
    else:
        color = camera.draw_color(rng)
    # All are drawn, so that no range's draws depend on which others are given.
    u = random.generator(recipe.seed, random.Stream.UNPROCESS, number).random(4).tolist()
    low, high = ends(table.exposure)
    exposure = low if low == high else math.exp(_between((math.log(low), math.log(high)), u[0]))
    curve = None
    if families := table.families:
        family = families[int(len(families) * u[1])]
        strength, pivot = _between(table.strengths, u[2]), _between(table.pivots, u[3])
        curve = ToneCurve(family, strength, pivot)
    return Unprocessing(color, exposure, curve)


def check(recipe: Recipe, camera: Camera | None) -> None:
    """Refuse what the recipe's camera cannot give, before any work is done.

    Raises
    ------
    InputError
        If the camera has no illuminant locus, or is each raw file's own.
    """
    table = recipe.unprocess
    if camera is None:
        if table != Unprocess():
            raise InputError(
                "unprocess: camera 'as-shot' takes raw files alone, which are mosaics already; "
                "leave unprocess away"
            )
        return
    if table.white_balance == "locus":
        limits = (None,) if table.temperature is None else ends(table.temperature)
        for temperature in limits:
            rng = random.generator(recipe.seed, random.Stream.COLOUR)
            try:
                light.draw(camera, rng, temperature)
            except InputError as error:
                raise InputError(f"unprocess.white_balance: {error}") from None


def unused(table: Unprocess, kinds: Collection[str]) -> str:
    """Say in a line what of the table changed nothing, for want of pictures of the right kind.

    ``kinds`` are those of a run's images, as in ``catalogs.sources``; empty when all was of use.
    """
    if not kinds or table == Unprocess():
        return ""
    if set(kinds) == {"mosaic"}:
        what, why = "unprocess is for pictures", "all images of this run are raw files"
    elif "srgb" not in kinds and table.families:
        what = "unprocess.inverse_tone is for sRGB pictures"
        why = "no image of this run is one"
    else:
        return ""
    return f"{what}, and {why}: it changed nothing"


def _between(limits: Range, u: float) -> float:
    low, high = limits
    return low + (high - low) * u
