"""Moving a mosaic from one camera's levels to another's."""

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


@numba.njit(cache=True, nogil=True)
def _requantise(mosaic, zero, scale, offset, white, out):
    height, width = mosaic.shape
    for y in range(height):
        row, target = mosaic[y], out[y]
        own, factor, base = zero[y & 1], scale[y & 1], offset[y & 1]
        for x in range(width):
            code = (np.float64(row[x]) - own[x]) * factor[x] + base[x]
            target[x] = np.uint16(np.int32(min(max(code, 0.0), white)))
