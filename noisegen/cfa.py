"""Bayer colour filter arrays: phases, planes and colours.

A *phase* names the 2x2 tile at the top left corner of a mosaic, row by row: ``"RGGB"`` has red at
(0, 0) and blue at (1, 1). Every per-plane quantity in noisegen has four entries in the order of
:data:`PLANES`, which is LibRaw's: red, green in red rows, blue, green in blue rows. The order
belongs to the sensor, so it does not change when a crop moves the phase.
"""

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

Phase = Literal["RGGB", "BGGR", "GRBG", "GBRG"]

PHASES: tuple[Phase, ...] = get_args(Phase)
"""The four Bayer phases; a phase's place in this tuple is its code in a corpus (``params/cfa``)."""

PLANES = ("R", "G1", "B", "G2")
"""Names of the four planes: G1 shares its rows with red, G2 with blue."""

_PLANES_OF: dict[Phase, tuple[int, int, int, int]] = {
    "RGGB": (0, 1, 3, 2),
    "BGGR": (2, 3, 1, 0),
    "GRBG": (1, 0, 2, 3),
    "GBRG": (3, 2, 0, 1),
}


def planes(phase: Phase) -> npt.NDArray[np.uint8]:
    """Return the (2, 2) plane indices (0 R, 1 G1, 2 B, 3 G2) by row and column parity."""
    return np.array(_PLANES_OF[phase], np.uint8).reshape(2, 2)


def colors(phase: Phase) -> npt.NDArray[np.uint8]:
    """Return the (2, 2) colour indices (0 R, 1 G, 2 B) by row and column parity."""
    tile = planes(phase)
    return np.where(tile == 3, 1, tile).astype(np.uint8)


def plane_map(phase: Phase, shape: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Return the plane index (0 R, 1 G1, 2 B, 3 G2) of every pixel of an (H, W) mosaic."""
    height, width = shape
    reps = ((height + 1) // 2, (width + 1) // 2)
    return np.tile(planes(phase), reps)[:height, :width]


def shift(phase: Phase, y: int, x: int) -> Phase:
    """Return the phase of a crop whose top left corner lies at row ``y``, column ``x``."""
    tile = np.roll(planes(phase), (-(y % 2), -(x % 2)), axis=(0, 1))
    return from_planes(tile)


def from_planes(tile: npt.ArrayLike) -> Phase:
    """Return the phase of a (2, 2) tile of plane or colour indices; both greens may be 1.

    Raises
    ------
    ValueError
        If the tile is no Bayer tile.
    """
    flat = ["RGBG"[int(i)] for i in np.asarray(tile).ravel()]
    name = "".join(flat)
    if name not in PHASES:
        raise ValueError(f"{name} is not a Bayer tile; the four phases are {', '.join(PHASES)}")
    return name


def by_position(values: Sequence[float], phase: Phase) -> npt.NDArray[np.float64]:
    """Spread four per-plane values (R, G1, B, G2) over the (2, 2) tile of ``phase``."""
    return np.asarray(values, np.float64)[planes(phase)]


def from_position(tile: npt.ArrayLike, phase: Phase) -> tuple[float, float, float, float]:
    """Gather a (2, 2) tile of values into plane order (R, G1, B, G2)."""
    out = np.empty(4)
    out[planes(phase)] = np.asarray(tile, np.float64).reshape(2, 2)
    return tuple(float(v) for v in out)  # type: ignore[return-value]
