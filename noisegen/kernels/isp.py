"""The whole ISP in one pass over a mosaic: uint16 in, 8- or 16-bit RGB out.

Black level, lens shading, white balance, demosaic, colour matrix, transfer function, tone curve and
rounding run row by row over a ring of a few rows that stays in cache; nothing of the picture's size
is ever held in floats. Arithmetic is float32 without reassociation or contraction and without
library calls, so the bytes are the same on every x86-64 and whatever the window.

Around its frame a mosaic is continued by reflection without repeating the edge (reflect-101), which
keeps the Bayer phase: the pixels of a window are those of the whole frame.
"""

import numpy as np
from numba import njit

from noisegen.kernels.ahd import (
    REACH,
    add_difference_row,
    difference_row,
    green_row,
    lab_row,
    variation_rows,
)
from noisegen.kernels.border import reflect
from noisegen.kernels.demosaic import PAD, bilinear_row, malvar_row, nearest_row
from noisegen.kernels.shading import shading_columns, shading_row
from noisegen.kernels.transfer import encode, table_index, tone

f4, i4, u8 = np.float32, np.int32, np.uint64

NEAREST, BILINEAR, MALVAR, AHD = range(4)
"""Codes of the demosaicers."""

LINEAR, ENCODED, TABLED = range(3)
"""What happens after the colour matrix: nothing; transfer and tone; the same through a table."""

RING = 8
"""Rows held at a time, a power of two that is at least the seven that AHD needs."""

MARGIN = PAD + REACH
"""Pixels that a row of the ring has on both sides of the window."""


@njit(cache=True, nogil=True, error_model="numpy")
def render(
    mosaics, top, left, numbers, maps, demosaic, red, black, scale, balance, low, matrix, xyz,
    finish, curve, alpha, code, table, out,
):  # fmt: skip
    """Render the same window of several mosaics.

    Parameters
    ----------
    mosaics
        (N, H, W) uint16, digital numbers, C-contiguous.
    top, left
        Place of the window's first pixel; its size is that of ``out``.
    numbers, maps
        Lens shading, see :mod:`noisegen.kernels.shading`; ``numbers`` is empty when there is none.
    demosaic
        :data:`NEAREST`, :data:`BILINEAR`, :data:`MALVAR` or :data:`AHD`.
    red
        (row, column) parity of the red samples.
    black, scale
        (2, 2) float32 by row and column parity: digital number of zero, and white balance gain
        over (white - black); 1 over (white - black) with shading.
    balance
        (2, 2) float32, white balance gain (with shading only).
    low
        float32, least value after white balance; the greatest is 1.
    matrix, xyz
        (3, 3) float32 from white-balanced camera RGB to linear sRGB, and to XYZ over D65 white
        (AHD only).
    finish
        :data:`LINEAR`, :data:`ENCODED` or :data:`TABLED`.
    curve, alpha
        (6,) float32 constants of :func:`~noisegen.kernels.transfer.encode` and the strength of the
        tone curve (for ENCODED).
    code
        (3,) float32 scale, offset and greatest code: code = round(scale * value + offset).
    table
        Codes by :func:`~noisegen.kernels.transfer.table_index` (for TABLED).
    out
        (N, height, width, 3) uint8 or uint16, written.
    """
    for i in range(out.shape[0]):
        _render(
            mosaics[i], top, left, numbers, maps, demosaic, red, black, scale, balance, low, matrix,
            xyz, finish, curve, alpha, code, table, out[i],
        )  # fmt: skip


@njit(cache=True, nogil=True, error_model="numpy")
def _render(
    mosaic, top, left, numbers, maps, demosaic, red, black, scale, balance, low, matrix, xyz,
    finish, curve, alpha, code, table, out,
):  # fmt: skip
    height, width = out.shape[0], out.shape[1]
    is_ahd = demosaic == AHD
    reach = REACH + 1 if is_ahd else REACH
    first = left - MARGIN
    ring = np.empty((RING, width + 2 * MARGIN), np.float32)
    rgb = np.empty((3, width + 2 * REACH), np.float32)
    index = np.empty((3, width), np.uint16)
    extra = width if is_ahd else 0
    lab = np.empty((RING, 3, extra + 2 * REACH), np.float32)
    differences = np.empty((RING, 2, extra), np.float32)
    variation = np.empty((2, extra), np.float32)
    shaded = numbers.size > 0
    columns = shading_columns(numbers, maps, first, mosaic.shape[1], ring.shape[1])
    gains = np.empty(ring.shape[1] if shaded else 0, np.float32)
    for k in range(height + 2 * reach):
        y = top - reach + k
        _load_row(mosaic, y, first, black, scale, f4(-np.inf) if shaded else low, ring[k % RING])
        if shaded:
            shading_row(numbers, maps, columns, y, mosaic.shape[0], first % 2, gains)
            _shade_row(gains, balance[y % 2], first % 2, low, ring[k % RING])
        if is_ahd and k >= 2:
            ahd_context(ring, k - 1, y - 1, first, width, red, xyz, rgb, lab, differences)
        if k < 2 * reach:
            continue
        demosaic_row(
            ring, lab, differences, variation, k - reach, y - reach, first, width, demosaic, red,
            rgb,
        )  # fmt: skip
        row = out[k - 2 * reach]
        if finish == TABLED:
            _look_up(rgb, width, matrix, index, table, row)
        else:
            colour_row(rgb, width, matrix)
            if finish == ENCODED:
                encode_row(rgb, width, curve, alpha)
            _store(rgb, width, code, index, row)


@njit(cache=True, nogil=True, error_model="numpy")
def fill_table(encoded, alpha, code, table):
    """Fill a table of codes from the transfer function's values at the table's nodes.

    Parameters
    ----------
    encoded
        (n,) float32, the transfer function at each node.
    alpha, code
        As for :func:`render`.
    table
        (n,) uint8, written.
    """
    scale, offset, greatest = code[0], code[1], code[2]
    for i in range(encoded.size):
        value = tone(encoded[i], alpha) * scale + offset + f4(0.5)
        table[i] = i4(min(max(value, f4(0)), greatest))


@njit(cache=True, nogil=True, error_model="numpy")
def demosaic_row(
    ring, lab, differences, variation, k, y, first, width, demosaic, red, rgb
):  # fmt: skip
    """Demosaic row ``k`` of the ring, which is row ``y`` of the mosaic, into ``rgb``."""
    site, own, other = _row_colours(y, first, red)
    if demosaic == AHD:
        _ahd_row(ring, lab, differences, variation, k, width, site, rgb)
        return
    up2, up = ring[(k - 2) % RING, REACH:], ring[(k - 1) % RING, REACH:]
    x = ring[k % RING, REACH:]
    down, down2 = ring[(k + 1) % RING, REACH:], ring[(k + 2) % RING, REACH:]
    if demosaic == MALVAR:
        malvar_row(up2, up, x, down, down2, width, site, rgb[own], rgb[1], rgb[other])
    elif demosaic == BILINEAR:
        bilinear_row(up, x, down, width, site, rgb[own], rgb[1], rgb[other])
    else:
        nearest_row(up, x, width, site, rgb[own], rgb[1], rgb[other])


@njit(cache=True, nogil=True, error_model="numpy")
def _row_colours(y, x, red):
    """Return the site parity and the places in RGB of a row's own and other colour."""
    if (y - red[0]) % 2 == 0:
        return (x + red[1]) % 2, 0, 2
    return (x + red[1] + 1) % 2, 2, 0


@njit(cache=True, nogil=True, error_model="numpy")
def _load_row(mosaic, y, first, black, scale, low, row):
    """Write the scaled samples of a row from column ``first`` on, cut to ``low`` and 1."""
    height, width = mosaic.shape
    count = row.size
    parity = first % 2
    black0, black1 = black[y % 2, parity], black[y % 2, 1 - parity]
    scale0, scale1 = scale[y % 2, parity], scale[y % 2, 1 - parity]
    source = mosaic[reflect(y, height)]
    begin = min(max(-first, 0), count)
    end = max(min(width - first, count), begin)
    inside = source[first + begin : first + end]
    target = row[begin:end]
    b0, b1 = (black0, black1) if begin % 2 == 0 else (black1, black0)
    s0, s1 = (scale0, scale1) if begin % 2 == 0 else (scale1, scale0)
    for j in range(end - begin):
        zero = b0 if (j & 1) == 0 else b1
        gain = s0 if (j & 1) == 0 else s1
        target[j] = min(max((f4(i4(inside[j])) - zero) * gain, low), f4(1))
    zeros, gains = (black0, black1), (scale0, scale1)
    _load_outside(source, 0, begin, first, zeros, gains, low, row)
    _load_outside(source, end, count, first, zeros, gains, low, row)


@njit(cache=True, nogil=True, error_model="numpy")
def _shade_row(gains, balance, parity, low, row):
    """Multiply a row by its shading gains and the white balance gains."""
    even, odd = balance[parity], balance[1 - parity]
    for j in range(row.size):
        gain = gains[j] * (even if (j & 1) == 0 else odd)
        row[j] = min(max(row[j] * gain, low), f4(1))


@njit(cache=True, nogil=True, error_model="numpy")
def _load_outside(source, start, stop, first, zeros, gains, low, row):
    """Write the reflected samples ``start`` to ``stop`` of a row."""
    for j in range(start, stop):
        sample = f4(source[reflect(first + j, source.size)])
        row[j] = min(max((sample - zeros[j % 2]) * gains[j % 2], low), f4(1))


@njit(cache=True, nogil=True, error_model="numpy")
def ahd_context(ring, k, y, first, columns, red, xyz, rgb, lab, differences):
    """Prepare row ``k`` of the ring for AHD: bilinear, its CIELAB, its blurred differences."""
    wide = columns + 2 * REACH
    site, own, other = _row_colours(y, first, red)
    up, x, down = ring[(k - 1) % RING], ring[k % RING], ring[(k + 1) % RING]
    bilinear_row(up, x, down, wide, site, rgb[own], rgb[1], rgb[other])
    lab_row(rgb, xyz, wide, lab[k % RING])
    difference_row(rgb[0], rgb[1], columns, differences[k % RING, 0])
    difference_row(rgb[2], rgb[1], columns, differences[k % RING, 1])


@njit(cache=True, nogil=True, error_model="numpy")
def _ahd_row(ring, lab, differences, variation, k, columns, site, rgb):
    """Finish AHD for row ``k`` of the ring."""
    up2, up, here = (k - 2) % RING, (k - 1) % RING, k % RING
    down, down2 = (k + 1) % RING, (k + 2) % RING
    variation_rows(
        lab[up2], lab[up], lab[here], lab[down], lab[down2], columns, variation[0], variation[1]
    )
    green_row(
        ring[up2, REACH:], ring[up, REACH:], ring[here, REACH:], ring[down, REACH:],
        ring[down2, REACH:], columns, site, variation[0], variation[1], rgb[1],
    )  # fmt: skip
    for i in range(2):
        add_difference_row(
            differences[up, i], differences[here, i], differences[down, i], columns, rgb[1],
            rgb[2 * i],
        )  # fmt: skip


@njit(cache=True, nogil=True, error_model="numpy")
def colour_row(rgb, columns, matrix):
    """Multiply each pixel by the colour matrix, in place."""
    red, green, blue = rgb[0], rgb[1], rgb[2]
    m00, m01, m02 = matrix[0, 0], matrix[0, 1], matrix[0, 2]
    m10, m11, m12 = matrix[1, 0], matrix[1, 1], matrix[1, 2]
    m20, m21, m22 = matrix[2, 0], matrix[2, 1], matrix[2, 2]
    for c in range(columns):
        r, g, b = red[c], green[c], blue[c]
        red[c] = m00 * r + m01 * g + m02 * b
        green[c] = m10 * r + m11 * g + m12 * b
        blue[c] = m20 * r + m21 * g + m22 * b


@njit(cache=True, nogil=True, error_model="numpy")
def encode_row(rgb, columns, curve, alpha):
    """Apply the transfer function and the tone curve, in place."""
    threshold, exponent, scale = curve[0], curve[1], curve[2]
    offset, slope, floor = curve[3], curve[4], curve[5]
    for i in range(3):
        values = rgb[i]
        for c in range(columns):
            values[c] = tone(
                encode(values[c], threshold, exponent, scale, offset, slope, floor), alpha
            )


@njit(cache=True, nogil=True, error_model="numpy")
def _store(rgb, columns, code, index, row):
    """Round to codes."""
    scale, offset, greatest = code[0], code[1] + f4(0.5), code[2]
    for i in range(3):
        values, codes = rgb[i], index[i]
        for c in range(columns):
            codes[c] = i4(min(max(values[c] * scale + offset, f4(0)), greatest))
    red, green, blue = index[0], index[1], index[2]
    for c in range(columns):
        row[c, 0] = red[c]
        row[c, 1] = green[c]
        row[c, 2] = blue[c]


@njit(cache=True, nogil=True, error_model="numpy")
def _look_up(rgb, columns, matrix, index, table, row):
    """Multiply by the colour matrix, then take transfer, tone and rounding from the table."""
    red, green, blue = rgb[0], rgb[1], rgb[2]
    index0, index1, index2 = index[0], index[1], index[2]
    m00, m01, m02 = matrix[0, 0], matrix[0, 1], matrix[0, 2]
    m10, m11, m12 = matrix[1, 0], matrix[1, 1], matrix[1, 2]
    m20, m21, m22 = matrix[2, 0], matrix[2, 1], matrix[2, 2]
    for c in range(columns):
        r, g, b = red[c], green[c], blue[c]
        index0[c] = table_index(m00 * r + m01 * g + m02 * b)
        index1[c] = table_index(m10 * r + m11 * g + m12 * b)
        index2[c] = table_index(m20 * r + m21 * g + m22 * b)
    words = row.reshape(-1)[: columns // 8 * 24].view(np.uint64)
    for i in range(columns // 8):
        c = 8 * i
        words[3 * i] = _word(
            table[index0[c]], table[index1[c]], table[index2[c]],
            table[index0[c + 1]], table[index1[c + 1]], table[index2[c + 1]],
            table[index0[c + 2]], table[index1[c + 2]],
        )  # fmt: skip
        words[3 * i + 1] = _word(
            table[index2[c + 2]],
            table[index0[c + 3]], table[index1[c + 3]], table[index2[c + 3]],
            table[index0[c + 4]], table[index1[c + 4]], table[index2[c + 4]],
            table[index0[c + 5]],
        )  # fmt: skip
        words[3 * i + 2] = _word(
            table[index1[c + 5]], table[index2[c + 5]],
            table[index0[c + 6]], table[index1[c + 6]], table[index2[c + 6]],
            table[index0[c + 7]], table[index1[c + 7]], table[index2[c + 7]],
        )  # fmt: skip
    for c in range(columns // 8 * 8, columns):
        row[c, 0] = table[index0[c]]
        row[c, 1] = table[index1[c]]
        row[c, 2] = table[index2[c]]


@njit(cache=True, nogil=True, error_model="numpy")
def _word(b0, b1, b2, b3, b4, b5, b6, b7):
    """Pack eight bytes, the first lowest: one store in place of eight."""
    low = u8(b0) | (u8(b1) << u8(8)) | (u8(b2) << u8(16)) | (u8(b3) << u8(24))
    high = u8(b4) | (u8(b5) << u8(8)) | (u8(b6) << u8(16)) | (u8(b7) << u8(24))
    return low | (high << u8(32))
