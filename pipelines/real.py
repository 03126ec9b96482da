"""Real pairs: a sample is a window of both halves, as the camera gave them.

The tile of a sample is its clean and its noisy picture, one after the other along the channels.
Nothing is drawn, so there is no noise model to ask for more.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.develop import Arrays, Tile
from pipelines.on_picture import RenderedDeveloper
from pipelines.tile import Window

CHANNELS = 3
"""Of either half."""


@dataclass(frozen=True)
class RealDeveloper(RenderedDeveloper):
    """Makes the arrays of a sample of its pair; the sensor's model is the recipe's "real"."""

    @property
    def tile(self) -> Tile:
        """What a tile is."""
        dtype = "uint8" if self.recipe.depth == 8 else "uint16"
        return Tile("pair", dtype, (2 * CHANNELS,), "1", "clean and noisy picture")

    def sample(self, row: np.void, tile: npt.NDArray[Any], window: Window) -> Arrays:
        """Return ``clean`` and ``noisy`` of a sample; see :meth:`Developer.sample`."""
        sizes = np.array([[window.height, window.width]])
        batch = self.batch(np.array([[row]]), tile[None], sizes)
        return {name: array[0] for name, array in batch.items()}

    def batch(
        self,
        rows: npt.NDArray[np.void],
        tiles: npt.NDArray[Any],
        sizes: npt.NDArray[np.integer],
    ) -> Arrays:
        """Return ``clean`` and ``noisy`` of several samples: what their tiles are made of."""
        clean, noisy = tiles[..., :CHANNELS], tiles[..., CHANNELS:]
        return {"clean": np.ascontiguousarray(clean), "noisy": np.ascontiguousarray(noisy)}


@dataclass(frozen=True)
class RgbirDeveloper(RealDeveloper):
    """Makes the arrays of a sample with noise dvd: RGB-IR mosaics are not kept, so that nothing is
    left to be drawn."""
