"""Noise that is drawn on the rendered picture: the developer beside the mosaic's.

What is stored and what a lazy corpus computes is a function of the clean picture and the sample's
row: no mosaic is kept.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from catalogs import noise_file
from noisegen import random
from noisegen.errors import InputError
from noisegen.picture import PictureNoise, add_noise
from noisegen.picture.parameters import Picture
from pipelines.dark import DarkFrames
from pipelines.develop import Arrays, Developer, Sensor
from pipelines.neca import NecaDeveloper
from pipelines.on_picture import RenderedDeveloper
from pipelines.real import RealDeveloper, RgbirDeveloper
from pipelines.recipe import PICTURE_PREFIX, Recipe
from pipelines.tables.neca import NOISES
from pipelines.tile import Window


@dataclass(frozen=True)
class PictureDeveloper(RenderedDeveloper):
    """Makes the arrays of a sample of its clean picture; noise looks at a pixel itself alone.

    Attributes
    ----------
    noise
        What is drawn.
    """

    noise: PictureNoise

    def sample(self, row: np.void, tile: Picture, window: Window) -> Arrays:
        """Return ``clean`` and ``noisy`` of a sample; see :meth:`Developer.sample`."""
        rows = np.array([[row]])
        rows["y"], rows["x"] = window.y, window.x
        batch = self.batch(rows, tile[None], np.array([[window.height, window.width]]))
        return {name: array[0] for name, array in batch.items()}

    def batch(
        self, rows: npt.NDArray[np.void], tiles: Picture, sizes: npt.NDArray[np.integer]
    ) -> Arrays:
        """Return ``clean`` and ``noisy`` of the samples of several patches.

        Parameters
        ----------
        rows
            (patches, draws) recorded parameters.
        tiles
            (patches, P, P, 3) clean pictures.
        sizes
            Sizes of the frames, which do not matter: noise goes on beyond them.
        """
        clean = np.repeat(tiles, rows.shape[1], axis=0)
        noisy = np.empty_like(clean)
        for row, picture, out in zip(rows.reshape(-1), clean, noisy, strict=True):
            add_noise(
                picture,
                self.noise,
                random.counter(self.recipe.seed, int(row["key"]), int(row["draw"])),
                strength=float(row["strength"]),
                y=int(row["y"]),
                x=int(row["x"]),
                out=out,
            )
        return {"clean": clean, "noisy": noisy}

    def draw(self, rows: npt.NDArray[np.void]) -> None:
        """Draw what differs from patch to patch into their (patches, draws) rows."""
        keys = rows[["image", "index"]][:, 0].tolist()
        generators = (
            random.generator(self.recipe.seed, random.Stream.STRENGTH, *key) for key in keys
        )
        rows["strength"] = np.array([self.noise.draw_strength(rng) for rng in generators])[:, None]
        rows["exposure_ratio"] = 1


AnyDeveloper = Developer | PictureDeveloper | NecaDeveloper | RealDeveloper
"""What makes samples: noise on the mosaic, noise on the picture, or a real pair's own."""


def developer(recipe: Recipe, sensor: Sensor) -> AnyDeveloper:
    """Return what makes the samples of a resolved recipe.

    Raises
    ------
    InputError
        If the recipe's noise file is none.
    """
    if recipe.is_real:
        return RealDeveloper(recipe, sensor)
    if recipe.is_rgbir:
        return RgbirDeveloper(recipe, sensor)
    if recipe.noise in NOISES:
        return NecaDeveloper(recipe, sensor)
    if recipe.noise_file is None:
        return Developer(recipe, sensor)
    found = noise_file.parse(recipe.noise_file, f"noise {recipe.noise}")
    return PictureDeveloper(recipe, sensor, found.noise)


def dark_of(developer: AnyDeveloper) -> DarkFrames | None:
    """Return the dark frames that a developer takes noise from, if any."""
    return developer.dark if isinstance(developer, Developer) else None


def with_noise_file(recipe: Recipe) -> Recipe:
    """Return the recipe with the file of its picture noise inside and its model named.

    Raises
    ------
    InputError
        If the file is none, or is that of another model than the recipe says.
    """
    changes: dict[str, Any] = {}
    if recipe.noise_file is not None:
        found = noise_file.parse(recipe.noise_file, "noise_file")
        name = PICTURE_PREFIX + found.model
        if recipe.noise not in (None, name):
            raise InputError(
                f"noise: the recipe says {recipe.noise}, its noise_file holds {name}; delete one"
            )
        changes = {"noise": name}
    elif recipe.noise is not None and recipe.noise.endswith(".toml"):
        found = noise_file.load(recipe.noise)
        changes = {"noise": PICTURE_PREFIX + found.model, "noise_file": found.toml}
    elif recipe.noise is not None and recipe.noise.startswith(PICTURE_PREFIX):
        model = recipe.noise.removeprefix(PICTURE_PREFIX)
        raise InputError(
            f"noise: '{recipe.noise}' has no figures of its own; give the file that "
            f"`noisegen fit {model}` made: --noise FILE.toml"
        )
    return recipe.model_copy(update=changes)


def attributes(recipe: Recipe) -> dict[str, Any]:
    """Return what a corpus says of its picture noise; nothing if it has none."""
    if recipe.noise_file is None:
        return {}
    found = noise_file.parse(recipe.noise_file, f"noise {recipe.noise}")
    return {"noise": {"name": recipe.noise, "fitted_to": found.fitted_to, "licence": found.licence}}
