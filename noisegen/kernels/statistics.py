"""Level, texture and clipping of a mosaic patch in one pass, in integers."""

import math

import numba
import numpy as np
import numpy.typing as npt

u4, i4 = np.uint32, np.int32


def mosaic_statistics(
    mosaic: npt.NDArray[np.uint16], black: npt.NDArray[np.float64], white: float
) -> tuple[float, float, float]:
    """Return mean, texture and clipped share of a mosaic.

    Parameters
    ----------
    mosaic
        (H, W) uint16, digital numbers; H and W at least 3, W at most 32768.
    black
        (2, 2) black level by row and column parity, in digital numbers.
    white
        White level in digital numbers.

    Returns
    -------
    mean
        Mean of x, from 0 at black to 1 at white.
    texture
        Mean absolute difference of x between horizontal and vertical neighbours of one colour.
    clipped
        Share of pixels at or above white.
    """
    height, width = mosaic.shape
    # The kernel is vectorised for contiguous rows: a copy of a window is cheap beside that.
    *sums, clipped = _sums(np.ascontiguousarray(mosaic), min(math.ceil(white), 65535))
    rows, columns = ((height + 1) // 2, height // 2), ((width + 1) // 2, width // 2)
    # The four places of the CFA, in the order of the sums: plain floats, as there are so few.
    mean = texture = 0.0
    for place, zero in enumerate(black.ravel().tolist()):
        pixels = rows[place // 2] * columns[place % 2]
        scale = 1 / (white - zero)
        mean += (sums[2 * place] - zero * pixels) * scale
        texture += sums[2 * place + 1] * scale
    pairs = (height - 2) * width + height * (width - 2)
    return mean / mosaic.size, texture / pairs, clipped / mosaic.size


@numba.njit(cache=True, nogil=True)
def _sums(mosaic, white):
    """Return sums of levels and of steps at (even, even), (even, odd), (odd, even), (odd, odd)
    rows and columns, and the number of pixels at or above white.

    In a row of 32768 pixels, two steps of 16 bits a pixel fit 32 bits.
    """
    height, width = mosaic.shape
    sums = np.zeros((2, 4), np.int64)
    clipped = np.int64(0)
    for y in range(height):
        row = mosaic[y]
        # The last two rows have none below: they are compared with themselves.
        below = mosaic[y + 2] if y < height - 2 else row
        level = odd_level = step = odd_step = bright = u4(0)
        # The casts keep the sums at 32 bits, of which twice as many fit a vector.
        for x in range(width):
            here = u4(row[x])
            down = u4(abs(i4(i4(below[x]) - i4(row[x]))))
            level = u4(level + here)
            step = u4(step + down)
            bright = u4(bright + u4(here >= white))
            odd_level = u4(odd_level + (here if i4(x) & i4(1) else u4(0)))
            odd_step = u4(odd_step + (down if i4(x) & i4(1) else u4(0)))
        for x in range(width - 2):
            right = u4(abs(i4(i4(row[x + 2]) - i4(row[x]))))
            step = u4(step + right)
            odd_step = u4(odd_step + (right if i4(x) & i4(1) else u4(0)))
        of_row = sums[y & 1]
        of_row[0] += np.int64(u4(level - odd_level))
        of_row[1] += np.int64(u4(step - odd_step))
        of_row[2] += np.int64(odd_level)
        of_row[3] += np.int64(odd_step)
        clipped += np.int64(bright)
    even, odd = sums[0], sums[1]
    return (*(even[0], even[1], even[2], even[3]), *(odd[0], odd[1], odd[2], odd[3]), clipped)
