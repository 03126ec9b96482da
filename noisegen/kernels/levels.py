"""Moving a mosaic from one camera's levels to another's, as it is or averaged 2x2."""

import numba
import numpy as np
import numpy.typing as npt


def requantise(
    mosaic: npt.NDArray[np.uint16],
    own_black: npt.NDArray[np.float64],
    own_white: float,
    black: npt.NDArray[np.float64],
    white: float,
) -> npt.NDArray[np.uint16]:
    """Return ``clip(floor(black + x (white - black) + 1/2), 0, white)``, x the normalised mosaic.

    Parameters
    ----------
    mosaic
        (H, W) uint16, digital numbers.
    own_black, own_white
        (2, 2) black level by row and column parity, and white level, of ``mosaic``.
    black, white
        The same of what is returned; white at most 65535.
    """
    out = np.empty_like(mosaic)
    scale = (white - black) / (own_white - own_black)
    # One entry a column keeps the loop at unit stride.
    reps = (1, (mosaic.shape[1] + 1) // 2)
    terms = [np.tile(part, reps) for part in (own_black, scale, black + 0.5)]
    _requantise(mosaic, *terms, float(np.floor(white)), out)
    return out


def bin2(
    mosaic: npt.NDArray[np.uint16],
    own_black: npt.NDArray[np.float64],
    own_white: float,
    black: npt.NDArray[np.float64],
    white: float,
) -> npt.NDArray[np.uint16]:
    """Average 2x2 neighbours of one colour, and move the means to other levels.

    The parameters are those of :func:`requantise`. Codes above white count as white.

    Returns
    -------
    (2 (H // 4), 2 (W // 4)) uint16
        A mosaic of the same phase. Its pixel (2i + p, 2j + q), of parities p and q, is the mean of
        (4i + p, 4j + q), (4i + p, 4j + q + 2), (4i + p + 2, 4j + q) and (4i + p + 2, 4j + q + 2),
        rounded once, at the new levels.
    """
    out = np.empty((mosaic.shape[0] // 4 * 2, mosaic.shape[1] // 4 * 2), np.uint16)
    scale = (white - black) / (own_white - own_black)
    top = np.int32(min(np.floor(own_white), 65535))
    _bin2(mosaic, own_black, scale, black + 0.5, float(np.floor(white)), top, out)
    return out


@numba.njit(cache=True, nogil=True)
def _bin2(mosaic, zero, scale, offset, white, top, out):
    height, width = out.shape
    for y in range(height):
        first = 2 * y - (y & 1)
        upper, lower, target = mosaic[first], mosaic[first + 2], out[y]
        for x in range(width):
            p = x & 1
            at = 2 * x - p
            total = (
                min(np.int32(upper[at]), top)
                + min(np.int32(upper[at + 2]), top)
                + min(np.int32(lower[at]), top)
                + min(np.int32(lower[at + 2]), top)
            )
            mean = np.float64(total) * 0.25
            code = (mean - zero[y & 1, p]) * scale[y & 1, p] + offset[y & 1, p]
            target[x] = np.uint16(np.int32(min(max(code, 0.0), white)))


@numba.njit(cache=True, nogil=True)
def _requantise(mosaic, zero, scale, offset, white, out):
    height, width = mosaic.shape
    for y in range(height):
        row, target = mosaic[y], out[y]
        own, factor, base = zero[y & 1], scale[y & 1], offset[y & 1]
        for x in range(width):
            code = (np.float64(row[x]) - own[x]) * factor[x] + base[x]
            target[x] = np.uint16(np.int32(min(max(code, 0.0), white)))
