"""The eight turns and mirrors of a picture, and which of them keep the law of its noise.

A turn is a number of three bits: 1 mirrors left and right, 2 upside down, 4 then swaps rows and
columns.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from noisegen.cfa import PHASES
from pipelines.corpus import Corpus

ALL = tuple(range(8))
MIRRORS = (0, 1, 2, 3)
"""Rows stay rows."""

HALF_TURN = (0, 3)
"""What keeps the correlation of any stationary noise: it is the same in opposite directions."""

SWAP = (0, 4)
"""What keeps the phase of a mosaic whose green lies off the diagonal, that of RGGB and BGGR."""

NONE = (0,)

Turns = tuple[int, ...]


def turned(picture: npt.NDArray[Any], turn: int) -> npt.NDArray[Any]:
    """Return a view of an (H, W, …) picture, turned."""
    if turn & 1:
        picture = picture[:, ::-1]
    if turn & 2:
        picture = picture[::-1]
    return picture.swapaxes(0, 1) if turn & 4 else picture


def turns_of(corpus: Corpus) -> Turns:
    """Return the turns after which a sample of a corpus could be one of its samples.

    Row noise, JPEG and what a camera's body adds do not swap rows with columns; grain of a fitted
    kernel goes by opposite directions alone; a mosaic keeps its CFA phase. A rendered picture may
    change the phase of the mosaic that it was made of: pictures are turned upright and cut
    anywhere.
    """
    recipe = corpus.recipe
    if recipe.on_picture:
        noise = corpus.developer.noise  # type: ignore[union-attr]
        return ALL if noise.radius == 0 else HALF_TURN
    table = corpus.table[corpus.valid]
    isotropic = not (
        recipe.finish.quality != "none" or corpus.sensor.body.on or np.any(table["row"] > 0)
    )
    if recipe.stage != "raw":
        return ALL if isotropic else MIRRORS
    swaps = np.isin(table["cfa"], [PHASES.index("RGGB"), PHASES.index("BGGR")]).all()
    return SWAP if isotropic and swaps else NONE
