"""How noisy pairs are, and at which settings a recipe's camera is as noisy."""

import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import pipelines
from catalogs import cameras
from noisegen.errors import InputError
from noisegen.neca import Sampler
from noisegen.random import counter
from pipelines.pairs import Pairs, Picture
from pipelines.recipe import Recipe
from pipelines.rendered import at_depth
from pipelines.tables import Range, ends
from pipelines.tables.finish import Finish

SETTINGS = 9
"""Settings of the camera that are tried, evenly spaced in their logarithm."""

REFINED, FURTHEST = 4, 3.0
"""How often a gain of NeCA is made better, and how far it may go from the strength, as a factor."""

TRIAL = {"lazy": False, "per_image": 1, "draws": 2}
"""How a recipe's strength is tried: two draws of the noise of one square of each picture."""


def strength(clean: Picture, noisy: Picture) -> float:
    """Return the standard deviation of a pair's noise over pixels and channels, in 8-bit levels."""
    difference = noisy.astype(np.float64) - clean.astype(np.float64)
    return float(difference.std() * 255 / np.iinfo(clean.dtype).max)


def strengths(pairs: Pairs) -> dict[str, float]:
    """Return the strength of each pair's noise, by the pair's name.

    Raises
    ------
    InputError
        If a pair has no noise at all.
    """
    found = {pair.name: strength(pair.clean, pair.noisy) for pair in pairs}
    for name, value in found.items():
        if value == 0:
            raise InputError(f"{pairs.where}: the halves of {name} are equal; take the pair out")
    return found


def settings(
    recipe: Recipe, wanted: Mapping[str, float], clean: Path, side: int, work: Path
) -> tuple[str, dict[str, float]]:
    """Return at which settings a recipe's camera is as noisy as pairs are.

    For each pair the setting is looked for at which its clean half comes to the strength of its
    noise, with a finish in the middle of the recipe's, within the range that the camera was
    calibrated for.

    Parameters
    ----------
    recipe
        With source ``folder``.
    wanted
        Strength of the noise of each pair, by name.
    clean
        Folder of the clean halves, ``NAME.png`` each.
    side
        Height and width of the squares that are measured.
    work
        Folder for a corpus that is thrown away.

    Returns
    -------
    key, found
        The recipe's key, ``iso`` or ``gain``, and its value for each pair by name.

    Raises
    ------
    InputError
        If the camera can be set neither by ISO nor by gain.
    """
    key, (low, high) = setting(recipe)
    tried = np.geomspace(low, high, SETTINGS)
    trial = recipe.model_copy(update={**TRIAL, "patch": side, "finish": middle(recipe.finish)})
    curves = [_strengths_at(trial, key, value, clean, work) for value in tried.tolist()]
    found = {}
    for name, want in wanted.items():
        curve = np.maximum.accumulate([max(strengths[name], 1e-6) for strengths in curves])
        found[name] = float(np.exp(np.interp(np.log(want), np.log(curve), np.log(tried))))
    return key, found


def gain(sampler: Sampler, clean: Picture, wanted: float) -> float:
    """Return the gain at which NeCA's noise on a picture has a strength.

    It is near the strength over white, no further from it than :data:`FURTHEST` times, and not
    above the card's highest.

    Parameters
    ----------
    sampler
        The networks.
    clean
        The picture.
    wanted
        Strength of the noise, in 8-bit levels.
    """
    low, high = wanted / 255 / FURTHEST, wanted / 255 * FURTHEST
    high = min(high, sampler.card.highest_gain)
    found = min(wanted / 255, high)
    if sampler.card.jpeg is not None:
        clean = at_depth(clean, 8)
    for _ in range(REFINED):
        level = sampler.level_map(clean, found)
        draws = [sampler.add_noise(clean, level, counter(0, 0, draw)) for draw in range(2)]
        # of two draws: what a JPEG takes of the picture itself is no noise
        made = strength(*draws) / math.sqrt(2)
        found = float(np.clip(found * wanted / made, low, high)) if made else high
    return found


def setting(recipe: Recipe) -> tuple[str, Range]:
    """Return what a recipe's camera is set by, and from where to where.

    Raises
    ------
    InputError
        If it is set neither by ISO nor by gain.
    """
    camera = cameras.load(recipe.camera)
    for key, limits in (("iso", camera.iso_range), ("gain", camera.gain_range)):
        if limits is not None:
            return key, limits
    raise InputError(f"camera {camera.name} is set neither by ISO nor by gain; choose another")


def middle(finish: Finish) -> Finish:
    """Return a finish of the middles of a finish's ranges; clean is rendered."""
    keys = ("luma", "chroma", "sharpen", "sharpen_radius", "resize")
    own: dict[str, Any] = {key: sum(ends(getattr(finish, key))) / 2 for key in keys}
    if finish.quality != "none":
        own["quality"] = round(sum(ends(finish.quality)) / 2)
    return finish.model_copy(update={**own, "target": "render"})


def _strengths_at(
    trial: Recipe, key: str, setting: float, clean: Path, work: Path
) -> dict[str, float]:
    """Return the strength of a recipe's noise on each picture, of two draws of it.

    Their difference has twice the variance of noise about its mean; what the finish does to the
    picture is in both.
    """
    one = trial.model_copy(update={key: setting})
    pipelines.synthesize(one, str(work), root=str(clean), overwrite=True)
    corpus = pipelines.open(work)
    found = {}
    for number in corpus.valid.tolist()[::2]:
        first, second = (corpus[number + draw] for draw in (0, 1))
        name = corpus.images.names[int(first.row["image"])].removesuffix(".png")
        found[name] = strength(first.arrays["noisy"], second.arrays["noisy"]) / np.sqrt(2)
    shutil.rmtree(work)
    return found
