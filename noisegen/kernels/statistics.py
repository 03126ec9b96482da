"""Level, texture and clipping of a mosaic patch in one pass, in integers."""

import numba
import numpy as np
import numpy.typing as npt


def mosaic_statistics(
    mosaic: npt.NDArray[np.uint16], black: npt.NDArray[np.float64], white: float
) -> tuple[float, float, float]:
    """Return mean, texture and clipped share of a mosaic.

    Parameters
    ----------
    mosaic
        (H, W) uint16, digital numbers; H and W at least 3.
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
    total, differences, count = _sums(mosaic, np.uint16(min(np.ceil(white), 65535)))
    height, width = mosaic.shape
    scale = 1 / (white - black)
    share = np.array(
        [[(height - y + 1) // 2 * ((width - x + 1) // 2) for x in (0, 1)] for y in (0, 1)]
    )
    mean = ((total - black * share) * scale).sum() / mosaic.size
    pairs = (height - 2) * width + height * (width - 2)
    return float(mean), float((differences * scale).sum() / pairs), count / mosaic.size


@numba.njit(cache=True, nogil=True)
def _sums(mosaic, white):
    height, width = mosaic.shape
    total = np.zeros((2, 2), np.int64)
    differences = np.zeros((2, 2), np.int64)
    clipped = 0
    for y in range(height):
        sums = np.zeros(2, np.int64)
        steps = np.zeros(2, np.int64)
        for parity in range(2):
            level = np.int64(0)
            step = np.int64(0)
            for x in range(parity, width - 2, 2):
                here = np.int32(mosaic[y, x])
                level += here
                step += abs(np.int32(mosaic[y, x + 2]) - here)
                clipped += mosaic[y, x] >= white
            for x in range(width - 2 + ((width - 2 - parity) & 1), width, 2):
                level += np.int32(mosaic[y, x])
                clipped += mosaic[y, x] >= white
            if y < height - 2:
                for x in range(parity, width, 2):
                    step += abs(np.int32(mosaic[y + 2, x]) - np.int32(mosaic[y, x]))
            sums[parity] = level
            steps[parity] = step
        for parity in range(2):
            total[y & 1, parity] += sums[parity]
            differences[y & 1, parity] += steps[parity]
    return total, differences, clipped
