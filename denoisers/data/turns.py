"""The eight turns and mirrors of a picture, and which of them keep the law of its noise.

A turn is a number of three bits: 1 mirrors left and right, 2 upside down, 4 then swaps rows and
columns.
"""

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from noisegen.cfa import PHASES, from_planes, planes
from pipelines.corpus import Corpus
from pipelines.picture import AnyDeveloper, PictureDeveloper
from pipelines.tile import Window

SWAPS = 4
"""The bit of a turn that swaps rows and columns."""

ALL = tuple(range(8))
MIRRORS = (0, 1, 2, 3)
"""Rows stay rows."""

HALF_TURN = (0, 3)
"""What keeps the correlation of any stationary noise: it is the same in opposite directions."""

SWAP = (0, 4)
"""What keeps the phase of a mosaic whose green lies off the diagonal, that of RGGB and BGGR."""

OTHER_SWAP = (0, 7)
"""What keeps the phase of one whose green lies on it, that of GRBG and GBRG."""

NONE = (0,)

Turns = tuple[int, ...]

_FLIPS = {1: 1, 2: 0, 3: -1}
"""The code that OpenCV has for a mirror."""


def turned(picture: npt.NDArray[Any], turn: int) -> npt.NDArray[Any]:
    """Return a view of an (H, W, …) picture, turned."""
    if turn & 1:
        picture = picture[:, ::-1]
    if turn & 2:
        picture = picture[::-1]
    return picture.swapaxes(0, 1) if turn & 4 else picture


def put(picture: npt.NDArray[Any], turn: int, out: npt.NDArray[Any]) -> None:
    """Write :func:`turned` of a picture to a contiguous array, ten times faster than NumPy does.

    That array may be the picture itself, unless the turn swaps rows and columns.
    """
    if turn & 3:
        mirrored = cv2.flip(picture, _FLIPS[turn & 3], None if turn & 4 else out)
    else:
        mirrored = picture
    if turn & 4:
        cv2.transpose(mirrored, out)
    elif not turn and out is not picture:
        out[:] = picture


def turn_places(
    rows: npt.NDArray[np.void],
    sizes: npt.NDArray[np.integer],
    tiles: npt.NDArray[Any],
    turns: npt.NDArray[np.integer],
    developer: AnyDeveloper,
) -> npt.NDArray[Any]:
    """Turn clean tiles with their frames, before anything is drawn on them.

    A turned mosaic has another phase. Where rows and columns are swapped, green in red rows becomes
    green in blue rows, and takes its black level and noise figures along. Of a mirrored frame of
    odd length the last line is left away: patches lie on the CFA's period.

    Parameters
    ----------
    rows
        (n,) recorded parameters; places, phases and figures are changed.
    sizes
        (n, 2) height and width of the frames; changed.
    tiles
        (n, S, S, …) clean tiles.
    turns
        (n,) one for each.
    developer
        What the tiles are made for.

    Returns
    -------
    (n, S, S, …)
        The turned tiles.
    """
    core, halo = developer.core, developer.halo
    for bit, axis, name in ((1, 1, "x"), (2, 0, "y")):
        mirrored = (turns & bit) > 0
        even = sizes[mirrored, axis] // 2 * 2
        centre = rows["shading_centre"][mirrored, axis] * sizes[mirrored, axis]
        rows["shading_centre"][mirrored, axis] = np.clip((even - centre) / even, 0, 1)
        rows[name][mirrored] = even - core - rows[name][mirrored]
        sizes[mirrored, axis] = even
    swapped = (turns & 4) > 0
    rows["y"][swapped], rows["x"][swapped] = rows["x"][swapped], rows["y"][swapped]
    sizes[swapped] = sizes[swapped][:, ::-1]
    rows["shading_centre"][swapped] = rows["shading_centre"][swapped][:, ::-1]
    for name in ("black", "shot", "read", "bias"):
        rows[name][swapped] = rows[name][swapped][:, [0, 3, 2, 1]]
    rows["cfa"] = TURNED_PHASES[turns, rows["cfa"]]
    out = np.empty_like(tiles)
    places = zip(rows["y"].tolist(), rows["x"].tolist(), sizes.tolist(), strict=True)
    for tile, turn, (y, x, (height, width)), turned_tile in zip(
        tiles, turns.tolist(), places, out, strict=True
    ):
        put(tile, turn, turned_tile)
        Window(y, x, core, halo, height, width).reflect(turned_tile)
    return out


TURNED_PHASES = np.array(
    [[PHASES.index(from_planes(turned(planes(phase), turn))) for phase in PHASES] for turn in ALL]
)
"""(turn, phase): the code of the phase that a mosaic of even sides has after a turn."""


def turns_of(corpus: Corpus, *, noisy: bool = True) -> Turns:
    """Return the turns after which a sample of a corpus could be one of its samples.

    Row noise, JPEG and what a camera's body adds do not swap rows with columns; grain of a fitted
    kernel goes by opposite directions alone; a mosaic keeps its CFA phase. A rendered picture may
    change the phase of the mosaic that it was made of: pictures are turned upright and cut
    anywhere.

    Parameters
    ----------
    corpus
        Its recipe says what its noise is.
    noisy
        Whether noise is there when a sample is turned. If not, its phase alone counts.
    """
    recipe = corpus.recipe
    table = corpus.table[corpus.valid]
    isotropic = not noisy or _isotropic(corpus, table)
    if recipe.stage == "raw":
        phases = {PHASES[code] for code in np.unique(table["cfa"])}
        if not isotropic:
            return NONE
        kept = ((SWAP, {"RGGB", "BGGR"}), (OTHER_SWAP, {"GRBG", "GBRG"}))
        return next((turns for turns, those in kept if phases <= those), NONE)
    if recipe.on_picture and not isotropic:
        return HALF_TURN
    return ALL if isotropic else MIRRORS


def _isotropic(corpus: Corpus, table: npt.NDArray[np.void]) -> bool:
    recipe, developer = corpus.recipe, corpus.developer
    if isinstance(developer, PictureDeveloper):
        return developer.noise.radius == 0
    lines = corpus.sensor.body.on or np.any(table["row"] > 0)
    return not (lines or recipe.finish.quality != "none")
