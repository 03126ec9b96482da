"""Level, texture and clipping of a mosaic patch in one pass, in integers."""

import math

import numba
import numpy as np
import numpy.typing as npt

u4, i4 = np.uint32, np.int32

_BAND = 32768

SUMS = 9
"""Sums that are kept of a mosaic, see :func:`sums_of`."""


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
    found = np.empty((len(mosaics), SUMS), np.int64)
    _sums(mosaics, margin, clipping_code(white), found)
    height, width = mosaics.shape[1:]
    return of_sums(found, (height - 2 * margin, width - 2 * margin), black, white)


def of_sums(
    sums: npt.NDArray[np.int64],
    size: tuple[int, int],
    black: npt.NDArray[np.float64],
    white: float,
) -> npt.NDArray[np.float64]:
    """Return what :func:`mosaic_statistics` does, of the (N, :data:`SUMS`) sums of N mosaics."""
    height, width = size
    pixels = np.outer([(height + 1) // 2, height // 2], [(width + 1) // 2, width // 2]).ravel()
    zero = black.ravel()
    scale = 1 / (white - zero)
    pairs = (height - 2) * width + height * (width - 2)
    mean = ((sums[:, 0:8:2] - zero * pixels) * scale).sum(axis=1) / (height * width)
    texture = (sums[:, 1:8:2] * scale).sum(axis=1) / pairs
    return np.stack([mean, texture, sums[:, 8] / (height * width)])


def clipping_code(white: float) -> np.int32:
    """Return the lowest code that counts as clipped."""
    return np.int32(min(math.ceil(white), 65535))


@numba.njit(cache=True, nogil=True)
def _sums(mosaics, margin, white, out):
    width = mosaics.shape[2] - 2 * margin
    levels = np.empty(width, np.uint32)
    steps = np.empty(width, np.uint32)
    for i in range(len(mosaics)):
        sums_of(mosaics[i], margin, white, levels, steps, out[i])


@numba.njit
def sums_of(mosaic, margin, white, levels, steps, out):
    """Write sums of levels and of steps at (even, even), (even, odd), (odd, even), (odd, odd)
    rows and columns, and the number of pixels at or above white.

    ``levels`` and ``steps`` are (width,) uint32 scratch.
    """
    # Added up by column and row parity first: every loop is at unit stride, 32 bits wide.
    height, width = mosaic.shape[0] - 2 * margin, mosaic.shape[1] - 2 * margin
    columns = slice(margin, margin + width)
    out[:] = 0
    for parity in range(2):
        sums = out[4 * parity : 4 * parity + 4]
        last = height - 1 - ((height - 1 - parity) & 1)
        # Two steps of 16 bits a row fit 32 bits over 32768 rows.
        for band in range(parity, last + 1, 2 * _BAND):
            levels[:] = 0
            steps[:] = 0
            stop = min(band + 2 * _BAND, last + 2)
            y = band
            while y < stop:
                # The last row has none below: it is compared with itself.
                row = mosaic[margin + y][columns]
                if y + 6 < stop:
                    second, third = mosaic[margin + y + 2][columns], mosaic[margin + y + 4][columns]
                    fourth = mosaic[margin + y + 6][columns]
                    below = mosaic[margin + min(y + 8, last)][columns]
                    brightest = _add_four(row, second, third, fourth, below, width, levels, steps)
                    rows = 4
                else:
                    below = mosaic[margin + min(y + 2, last)][columns]
                    brightest = _add_row(row, below, width, levels, steps)
                    rows = 1
                if brightest >= white:  # few rows are clipped: counting takes longer than looking
                    for k in range(rows):
                        out[8] += _clipped(mosaic[margin + y + 2 * k][columns], width, white)
                y += 2 * rows
            for x in range(width):
                at = 2 * (x & 1)
                sums[at] += levels[x]
                sums[at + 1] += steps[x]


@numba.njit(inline="always")
def _add_row(row, below, width, level, step):
    """Add a row to the sums of its columns, and return its greatest code."""
    right = row[2:]  # a view: an index that may be negative is checked at every step
    brightest = i4(0)
    for x in range(width - 2):
        here = i4(row[x])
        level[x] += u4(here)
        step[x] += u4(abs(i4(below[x]) - here) + abs(i4(right[x]) - here))
        brightest = max(brightest, here)
    for x in range(width - 2, width):
        here = i4(row[x])
        level[x] += u4(here)
        step[x] += u4(abs(i4(below[x]) - here))
        brightest = max(brightest, here)
    return brightest


@numba.njit(inline="always")
def _add_four(first, second, third, fourth, below, width, level, step):
    """Add four rows of one parity, as :func:`_add_row` adds them one by one.

    Rows are read once, and sums written once for four.
    """
    right1, right2, right3, right4 = first[2:], second[2:], third[2:], fourth[2:]
    brightest = i4(0)
    for x in range(width - 2):
        a, b, c, d = i4(first[x]), i4(second[x]), i4(third[x]), i4(fourth[x])
        level[x] += u4((a + b) + (c + d))
        down = (abs(b - a) + abs(c - b)) + (abs(d - c) + abs(i4(below[x]) - d))
        along = (abs(i4(right1[x]) - a) + abs(i4(right2[x]) - b)) + (
            abs(i4(right3[x]) - c) + abs(i4(right4[x]) - d)
        )
        step[x] += u4(down + along)
        brightest = max(brightest, max(max(a, b), max(c, d)))
    for x in range(width - 2, width):
        a, b, c, d = i4(first[x]), i4(second[x]), i4(third[x]), i4(fourth[x])
        level[x] += u4((a + b) + (c + d))
        step[x] += u4((abs(b - a) + abs(c - b)) + (abs(d - c) + abs(i4(below[x]) - d)))
        brightest = max(brightest, max(max(a, b), max(c, d)))
    return brightest


@numba.njit(inline="always")
def _clipped(row, width, white):
    count = np.int64(0)
    for x in range(width):
        count += np.int64(i4(row[x]) >= white)
    return count
