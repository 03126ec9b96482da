"""Level, texture and clipping of a mosaic patch in one pass, in integers."""

import math

import numba
import numpy as np
import numpy.typing as npt

u4, i4 = np.uint32, np.int32

_BAND = 32768


def mosaic_statistics(
    mosaics: npt.NDArray[np.uint16], black: npt.NDArray[np.float64], white: float, margin: int = 0
) -> npt.NDArray[np.float64]:
    """Return mean, texture and clipped share of mosaics.

    Parameters
    ----------
    mosaics
        (N, H, W) uint16, digital numbers; H and W at least 3.
    black
        (2, 2) black level by row and column parity, in digital numbers.
    white
        White level in digital numbers.
    margin
        Pixels left out on every side, an even number.

    Returns
    -------
    (3, N) float64
        Mean of x, from 0 at black to 1 at white; mean absolute difference of x between horizontal
        and vertical neighbours of one colour; share of pixels at or above white.
    """
    height, width = (length - 2 * margin for length in mosaics.shape[1:])
    sums = np.empty((len(mosaics), 9), np.int64)
    _sums(mosaics, margin, i4(min(math.ceil(white), 65535)), sums)
    pixels = np.outer([(height + 1) // 2, height // 2], [(width + 1) // 2, width // 2]).ravel()
    zero = black.ravel()
    scale = 1 / (white - zero)
    pairs = (height - 2) * width + height * (width - 2)
    mean = ((sums[:, 0:8:2] - zero * pixels) * scale).sum(axis=1) / (height * width)
    texture = (sums[:, 1:8:2] * scale).sum(axis=1) / pairs
    return np.stack([mean, texture, sums[:, 8] / (height * width)])


@numba.njit(cache=True, nogil=True)
def _sums(mosaics, margin, white, out):
    """Write sums of levels and of steps at (even, even), (even, odd), (odd, even), (odd, odd)
    rows and columns, and the number of pixels at or above white.
    """
    width = mosaics.shape[2] - 2 * margin
    levels = np.empty((2, width), np.uint32)
    steps = np.empty((2, width), np.uint32)
    for i in range(len(mosaics)):
        _sums_of(mosaics[i], margin, white, levels, steps, out[i])


@numba.njit
def _sums_of(mosaic, margin, white, levels, steps, out):
    """Add up by column and row parity first: every loop is at unit stride, 32 bits wide."""
    height, width = mosaic.shape[0] - 2 * margin, mosaic.shape[1] - 2 * margin
    columns = slice(margin, margin + width)
    sums = out[:8].reshape(2, 4)
    sums[:] = 0
    clipped = np.int64(0)
    # A column of 16 bits twice a row fits 32 bits over 32768 rows.
    for band in range(0, height, _BAND):
        levels[:] = 0
        steps[:] = 0
        for y in range(band, min(band + _BAND, height)):
            row = mosaic[margin + y][columns]
            # The last two rows have none below: they are compared with themselves.
            below = mosaic[margin + y + 2][columns] if y < height - 2 else row
            clipped += _add_row(row, below, width, white, levels[y & 1], steps[y & 1])
        for parity in range(2):
            for x in range(width):
                at = 2 * (x & 1)
                sums[parity, at] += levels[parity, x]
                sums[parity, at + 1] += steps[parity, x]
    out[8] = clipped


@numba.njit(inline="always")
def _add_row(row, below, width, white, level, step):
    right = row[2:]  # a view: an index that may be negative is checked at every step
    for x in range(width - 2):
        here = i4(row[x])
        level[x] += u4(here)
        step[x] += u4(abs(i4(below[x]) - here) + abs(i4(right[x]) - here))
    for x in range(width - 2, width):
        here = i4(row[x])
        level[x] += u4(here)
        step[x] += u4(abs(i4(below[x]) - here))
    brightest = i4(0)
    for x in range(width):
        brightest = max(brightest, i4(row[x]))
    clipped = np.int64(0)
    if brightest >= white:  # few rows are clipped: counting takes longer than looking
        for x in range(width):
            clipped += np.int64(i4(row[x]) >= white)
    return clipped
