"""How noisy pairs are, and at which settings a recipe's camera is as noisy."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np

import pipelines
from catalogs import cameras
from noisegen.errors import InputError
from pipelines.pairs import Pairs, Picture
from pipelines.recipe import Recipe
from pipelines.tables import Range

SETTINGS = 9
"""Settings of the camera that are tried, evenly spaced in their logarithm."""


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


def matched(recipe: Recipe, wanted: Mapping[str, float], clean: Path, work: Path) -> Recipe:
    """Return a recipe whose camera is set to be as noisy as pairs are.

    For each pair the setting is looked for at which its clean half comes to the strength of its
    noise; the recipe draws between the least and the greatest of these, within the range that the
    camera was calibrated for.

    Parameters
    ----------
    recipe
        With source ``folder``.
    wanted
        Strength of the noise of each pair, by name.
    clean
        Folder of the clean halves, ``NAME.png`` each.
    work
        Folder for a corpus that is thrown away.

    Raises
    ------
    InputError
        If the camera can be set neither by ISO nor by gain.
    """
    key, (low, high) = _setting(recipe)
    settings = np.geomspace(low, high, SETTINGS)
    curves = [_strengths_at(recipe, key, setting, clean, work) for setting in settings.tolist()]
    found = []
    for name, want in wanted.items():
        curve = np.maximum.accumulate([max(strengths[name], 1e-6) for strengths in curves])
        found.append(float(np.exp(np.interp(np.log(want), np.log(curve), np.log(settings)))))
    return recipe.model_copy(update={key: (min(found), max(found))})


def setting(recipe: Recipe) -> dict[str, Range]:
    """Return what the camera of a matched recipe is set to."""
    found = {key: getattr(recipe, key) for key in ("iso", "gain")}
    return {key: value for key, value in found.items() if value is not None}


def _setting(recipe: Recipe) -> tuple[str, Range]:
    """Return what a recipe's camera is set by, and from where to where."""
    camera = cameras.load(recipe.camera)
    for key, limits in (("iso", camera.iso_range), ("gain", camera.gain_range)):
        if limits is not None:
            return key, limits
    raise InputError(f"camera {camera.name} is set neither by ISO nor by gain; choose another")


def _strengths_at(
    recipe: Recipe, key: str, setting: float, clean: Path, work: Path
) -> dict[str, float]:
    one = recipe.model_copy(update={key: setting, "lazy": False, "per_image": 1})
    pipelines.synthesize(one, str(work), root=str(clean), overwrite=True)
    corpus = pipelines.open(work)
    found = {}
    for number in corpus.valid.tolist():
        sample = corpus[number]
        name = corpus.images.names[int(sample.row["image"])].removesuffix(".png")
        found[name] = strength(sample.arrays["clean"], sample.arrays["noisy"])
    shutil.rmtree(work)
    return found
