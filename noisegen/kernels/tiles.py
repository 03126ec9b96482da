"""Tiles of a frame: cut out, and continued by reflection where they reach beyond it.

A place is six numbers: row and column, in the tile, of the part that lies in the frame, its height
and width, and the row and column of its first pixel in the frame.
"""

import numpy as np
import numpy.typing as npt

from noisegen.kernels import border
from noisegen.kernels.lanes import prefetch
from noisegen.kernels.philox import called, kernel
from noisegen.kernels.statistics import SUMS, clipping_code, sums_of

_AHEAD = 16
"""Rows by which reading is announced: those of a tile lie apart, and no processor foresees them."""

_LINE = 32
"""Codes in a cache line."""


def cut(
    frame: npt.NDArray[np.uint16],
    places: npt.NDArray[np.int64],
    size: int,
    white: float,
    margin: int,
) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.int64]]:
    """Return tiles of a mosaic.

    Parameters
    ----------
    frame
        (H, W) uint16.
    places
        (N, 6) places of the tiles.
    size
        Height and width of a tile.
    white
        Where codes are cut: those above are saturated.
    margin
        As in :func:`noisegen.kernels.statistics.mosaic_statistics`.

    Returns
    -------
    (N, size, size) uint16
        Tiles; what lies outside of the frame is its reflection about the border pixel.
    (N, SUMS) int64
        Their sums (:func:`noisegen.kernels.statistics.sums_of`), made of each tile while it is in
        cache.
    """
    out = np.empty((len(places), size, size), np.uint16)
    sums = np.empty((len(places), SUMS), np.int64)
    view = frame.view()
    view.flags.writeable = False  # numba compiles anew for a read-only array
    _cut(view, places, out, np.uint16(white), clipping_code(white), margin, sums)
    return out, sums


@kernel
def _cut(frame, places, out, top, clipped, margin, sums):
    levels = np.empty(out.shape[2] - 2 * margin, np.uint32)
    steps = np.empty_like(levels)
    for i in range(len(out)):
        here, tile = places[i], out[i]
        after = places[min(i + 1, len(out) - 1)]
        first, start, height, width = here[0], here[1], here[2], here[3]
        y, x = here[4], here[5]
        greatest = np.uint16(0)
        for k in range(height):
            if k + _AHEAD < height:
                _announce(frame[y + k + _AHEAD, x : x + width])
            else:
                row = after[4] + min(k + _AHEAD - height, after[2] - 1)
                _announce(frame[row, after[5] : after[5] + after[3]])
            source, target = frame[y + k, x : x + width], tile[first + k, start : start + width]
            for j in range(width):
                code = source[j]
                target[j] = code
                greatest = max(greatest, code)
        if greatest > top:
            for k in range(first, first + height):
                for j in range(start, start + width):
                    tile[k, j] = min(tile[k, j], top)
        reflect(tile, here)
        sums_of(tile, margin, clipped, levels, steps, sums[i])


@called
def _announce(row):
    for j in range(0, len(row), _LINE):
        prefetch(row, j)


@called
def reflect(tile, place):
    """Continue a part of a tile over the rest of it by reflection about its border pixels."""
    first, start, height, width = place[0], place[1], place[2], place[3]
    stop, end = first + height, start + width
    for y in range(first, stop):
        for x in range(start):
            tile[y, x] = tile[y, start + border.reflect(x - start, width)]
        for x in range(end, tile.shape[1]):
            tile[y, x] = tile[y, start + border.reflect(x - start, width)]
    for y in range(first):
        tile[y] = tile[first + border.reflect(y - first, height)]
    for y in range(stop, tile.shape[0]):
        tile[y] = tile[first + border.reflect(y - first, height)]
