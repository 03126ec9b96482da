"""The lens shading of an image: drawn once or read off its file, recorded, read back."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from catalogs.sources import SourceImage
from noisegen import random
from noisegen.errors import InputError, UnreadableFileError
from noisegen.isp.shading import LocalShading, Pair, Radial, Shading
from noisegen.raw import recorded_shading
from pipelines.recipe import Recipe
from pipelines.tables import ends
from pipelines.tables.shading import FILE_BYTES, ShadingTable

Coefficients = tuple[float, float, float]
"""k1, k2, k3 of the gain 1 + k1 r² + k2 r⁴ + k3 r⁶."""

OwnShading = Callable[[int], Shading]
"""What returns the shading that the file of an image records, by the image's number."""

CENTRED: Pair = (0.5, 0.5)


@dataclass(frozen=True)
class Lens:
    """The lens of an image.

    Attributes
    ----------
    k, centre
        Radial model and its centre; NaN where the file's own shading is taken.
    own
        What the image's file records, where that is taken.
    """

    k: Coefficients = (0.0, 0.0, 0.0)
    centre: Pair = CENTRED
    own: Shading | None = None

    def at(self, frame: tuple[int, int], y: int, x: int) -> LocalShading | None:
        """Return the shading of a tile whose first pixel is at (y, x) of a frame, if any."""
        if self.own is not None:
            return self.own.at(frame, y, x)
        return _radial(self.k, self.centre).at(frame, y, x) if any(self.k) else None


def lens_of(recipe: Recipe, image: SourceImage, number: int) -> Lens:
    """Return the lens of image ``number``, drawn, or as its file records it.

    Raises
    ------
    InputError
        If the file's own shading is asked for, and it is a picture.
    UnreadableFileError
        If it records none, or none that can be used.
    """
    table = recipe.shading
    if table.mode == "file":
        if image.raw is None:
            raise InputError("a picture records no lens shading; give shading.k1 and the like")
        own = recorded_shading(image.raw)
        if (size := len(own.to_bytes())) > FILE_BYTES:
            raise UnreadableFileError(
                f"{image.raw.path}: its lens shading takes {size} bytes, more than {FILE_BYTES} "
                "that a corpus keeps of an image; shade with a radial model"
            )
        return Lens((np.nan,) * 3, (np.nan,) * 2, own)
    if not table.is_on:
        return Lens()
    u = random.generator(recipe.seed, random.Stream.SHADING, number).random(5).tolist()
    ranges = (*table.ranges, ends(table.centre_y), ends(table.centre_x))
    k1, k2, k3, y, x = (
        low + (high - low) * share for (low, high), share in zip(ranges, u, strict=True)
    )
    return Lens((k1, k2, k3), (y, x))


def of_row(
    row: np.void, table: ShadingTable, own: OwnShading | None, frame: tuple[int, int], halo: int
) -> LocalShading | None:
    """Return the shading of the tile of a sample.

    Parameters
    ----------
    row
        The sample's recorded parameters.
    table
        The recipe's.
    own
        Gives the shading of the row's image, where the table says that it is the file's own.
    frame
        Height and width of the frame.
    halo
        Surroundings of a patch that its tile carries.
    """
    if table.mode == "file" and own is not None:
        found = Lens(own=own(int(row["image"])))
    else:
        k1, k2, k3 = row["shading"].tolist()
        y, x = row["shading_centre"].tolist()
        found = Lens((k1, k2, k3), (y, x))
    return found.at(frame, int(row["y"]) - halo, int(row["x"]) - halo)


@lru_cache(maxsize=64)
def _radial(k: Coefficients, centre: Pair) -> Shading:
    return Shading(Radial(k, centre))
