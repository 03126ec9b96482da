"""From pictures back to mosaics in one pass: RGB in, uint16 digital numbers out.

Inverse transfer and exposure (by a table), inverse colour matrix, inverse white balance with or
without saving the highlights, lens shading, clipping, mosaic and rounding, row by row, in float32
without reassociation.

References
----------
T. Brooks et al., "Unprocessing Images for Learned Raw Denoising", CVPR 2019, section 4.
"""

import numpy as np
from numba import njit

from noisegen.kernels.shading import shading_columns, shading_row

f4, i4 = np.float32, np.int32

INFLECTION = f4(0.9)
"""Mean of R, G, B from which on highlights are saved (Brooks et al.)."""


@njit(cache=True, nogil=True, error_model="numpy")
def unprocess_codes(
    picture, light, matrix, inverse_gains, save, numbers, maps, color, black, white, out
):  # fmt: skip
    """Turn an encoded picture into a mosaic.

    Parameters
    ----------
    picture
        (H, W, 3) uint8 or uint16 codes.
    light
        (256,) or (65536,) float32: exposed linear sRGB of each code.
    matrix
        (3, 3) float32 from linear sRGB to white-balanced camera RGB.
    inverse_gains
        (3,) float32, one over the white balance gains of R, G, B.
    save
        Whether near-white pixels stay near white in the mosaic.
    numbers, maps
        Lens shading that divides the light before it is clipped, see
        :mod:`noisegen.kernels.shading`; ``numbers`` is empty when there is none.
    color
        (2, 2) colour indices (0 R, 1 G, 2 B) by row and column parity.
    black, white
        (2, 2) float32 black levels by parity and float32 white level, digital numbers.
    out
        (H, W) uint16, written: ``floor(black + x (white - black) + 0.5)`` within [0, white].
    """
    rgb = np.empty((3, out.shape[1]), np.float32)
    kept = np.ones(out.shape[1], np.float32)
    columns = shading_columns(numbers, maps, 0, kept.size, kept.size)
    for y in range(out.shape[0]):
        if numbers.size > 0:
            _shade(numbers, maps, columns, y, out.shape[0], kept)
        row = picture[y]
        for i in range(3):
            values = rgb[i]
            for c in range(values.size):
                values[c] = light[row[c, i]]
        _row(rgb, matrix, inverse_gains, save, kept, color[y % 2], black[y % 2], white, out[y])


@njit(cache=True, nogil=True, error_model="numpy")
def unprocess_linear(
    picture, exposure, matrix, inverse_gains, save, numbers, maps, color, black, white, out
):  # fmt: skip
    """Turn a linear (H, W, 3) float32 picture into a mosaic; see :func:`unprocess_codes`.

    ``exposure`` is the float32 factor on its light.
    """
    rgb = np.empty((3, out.shape[1]), np.float32)
    kept = np.ones(out.shape[1], np.float32)
    columns = shading_columns(numbers, maps, 0, kept.size, kept.size)
    for y in range(out.shape[0]):
        if numbers.size > 0:
            _shade(numbers, maps, columns, y, out.shape[0], kept)
        row = picture[y]
        for i in range(3):
            values = rgb[i]
            for c in range(values.size):
                values[c] = row[c, i] * exposure
        _row(rgb, matrix, inverse_gains, save, kept, color[y % 2], black[y % 2], white, out[y])


@njit(cache=True, nogil=True, error_model="numpy")
def _shade(numbers, maps, columns, y, height, kept):
    """Write what the shading leaves of the light of a row."""
    shading_row(numbers, maps, columns, y, height, 0, kept)
    for c in range(kept.size):
        kept[c] = f4(1) / kept[c]


@njit(cache=True, nogil=True, error_model="numpy")
def _row(rgb, matrix, inverse_gains, save, kept, color, black, white, out):
    red, green, blue = rgb[0], rgb[1], rgb[2]
    even, odd = color[0], color[1]
    # The two colours of this row, and of the mean the three column sums, as plain scalars.
    e0, e1, e2 = matrix[even, 0], matrix[even, 1], matrix[even, 2]
    o0, o1, o2 = matrix[odd, 0], matrix[odd, 1], matrix[odd, 2]
    third = f4(1 / 3)
    m0 = (matrix[0, 0] + matrix[1, 0] + matrix[2, 0]) * third
    m1 = (matrix[0, 1] + matrix[1, 1] + matrix[2, 1]) * third
    m2 = (matrix[0, 2] + matrix[1, 2] + matrix[2, 2]) * third
    inverse_even, inverse_odd = inverse_gains[even], inverse_gains[odd]
    black_even, black_odd = black[0], black[1]
    for c in range(out.size):
        r, g, b = red[c], green[c], blue[c]
        is_even = (c & 1) == 0
        camera = (
            (e0 if is_even else o0) * r + (e1 if is_even else o1) * g + (e2 if is_even else o2) * b
        )
        inverse = inverse_even if is_even else inverse_odd
        zero = black_even if is_even else black_odd
        factor = inverse
        if save:
            excess = max(m0 * r + m1 * g + m2 * b - INFLECTION, f4(0)) * f4(10)
            excess = min(excess, f4(1))
            weight = excess * excess
            factor = max(weight + (f4(1) - weight) * inverse, inverse)
        x = min(max(camera * factor * kept[c], f4(0)), f4(1))
        out[c] = i4(min(max(zero + x * (white - zero) + f4(0.5), f4(0)), white))
