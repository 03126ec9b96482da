"""What a camera does after its tone curve, as far as pixels go: filters, resampling, rounding.

Each kernel takes a float32 plane with the surroundings that it needs and writes the part that it
can: plane and result share no borders, so a part of a frame gives the part of the frame's result.
Sums are float32 in a fixed order, without reassociation, contraction or library calls: the same
bytes on every x86-64 and wherever a part begins.

Planes are Y, Cb, Cr of JPEG's full-range YCbCr: Y from 0 to 1, Cb and Cr from -0.5 to 0.5.

References
----------
C. Tomasi, R. Manduchi, "Bilateral filtering for gray and color images", ICCV 1998.
K. He, J. Sun, X. Tang, "Guided image filtering", TPAMI 35(6), 2013, algorithm 1.
R. Keys, "Cubic convolution interpolation for digital image processing", TASSP 29(6), 1981, eq. 15.
ITU-T T.871, "JPEG File Interchange Format", 2011, clause 7.
"""

import numpy as np
from numba import njit

from noisegen.kernels.border import reflect

f4, i4 = np.float32, np.int32

CUBIC_REACH = 2
"""Reach of the cubic resampling kernel, in output pixels."""

WEAKEST = f4(1e-5)
"""Least strength of a filter that is on, less than a code of 16 bits: its square is not zero."""

_TO_UNIT = f4(1 / 65535)
_KR, _KG, _KB = f4(0.299), f4(0.587), f4(0.114)
_B_OF_CB, _R_OF_CR = f4(1.772), f4(1.402)
_CB_OF_B, _CR_OF_R = f4(1 / 1.772), f4(1 / 1.402)
_G_OF_CB, _G_OF_CR = f4(0.114 * 1.772 / 0.587), f4(0.299 * 1.402 / 0.587)


@njit(cache=True, nogil=True, error_model="numpy")
def load(picture, corner, frame, first, planes):
    """Turn a part of a picture into YCbCr, continued by reflection beyond the frame.

    Parameters
    ----------
    picture
        (h, w, 3) uint16 codes of R, G, B, a part of the frame.
    corner
        (row, column) of the picture in its frame.
    frame
        (height, width) of the frame.
    first
        (row, column) in the frame of the planes' first pixel; may lie outside.
    planes
        (3, rows, columns) float32, written. What they hold, reflected, must be in ``picture``.
    """
    rows, columns = planes.shape[1], planes.shape[2]
    begin = min(max(-first[1], 0), columns)
    end = max(min(frame[1] - first[1], columns), begin)
    for y in range(rows):
        source = picture[reflect(first[0] + y, frame[0]) - corner[0]]
        left = first[1] + begin - corner[1]
        _load_row(
            source[left : left + end - begin],
            planes[0, y, begin:end],
            planes[1, y, begin:end],
            planes[2, y, begin:end],
        )
        for x in range(begin):
            _copy_pixel(planes, y, reflect(first[1] + x, frame[1]) - first[1], x)
        for x in range(end, columns):
            _copy_pixel(planes, y, reflect(first[1] + x, frame[1]) - first[1], x)


@njit(cache=True, nogil=True, error_model="numpy")
def store(planes, greatest, blue_first, out):
    """Turn YCbCr into R, G, B codes, or B, G, R as OpenCV takes them.

    Parameters
    ----------
    planes
        (3, rows, columns) float32.
    greatest
        Code of 1.0; what is outside of [0, 1] is clipped.
    blue_first
        Whether blue comes first.
    out
        (rows, columns, 3) uint8 or uint16, written.
    """
    scale, half = f4(greatest), f4(0.5)
    red, blue = (2, 0) if blue_first else (0, 2)
    codes = np.empty((3, planes.shape[2]), np.uint16)
    for y in range(planes.shape[1]):
        luma, cb, cr = planes[0, y], planes[1, y], planes[2, y]
        for x in range(luma.size):
            r = luma[x] + _R_OF_CR * cr[x]
            g = luma[x] - _G_OF_CB * cb[x] - _G_OF_CR * cr[x]
            b = luma[x] + _B_OF_CB * cb[x]
            codes[0, x] = i4(min(max(r * scale + half, f4(0)), scale))
            codes[1, x] = i4(min(max(g * scale + half, f4(0)), scale))
            codes[2, x] = i4(min(max(b * scale + half, f4(0)), scale))
        row = out[y]
        for x in range(luma.size):
            row[x, red] = codes[0, x]
            row[x, 1] = codes[1, x]
            row[x, blue] = codes[2, x]


@njit(cache=True, nogil=True, error_model="numpy")
def strength(luma, nodes, sigma, out):
    """Write the strength of a filter at each pixel: sigma times the curve of its luma.

    Parameters
    ----------
    luma
        (rows, columns) float32.
    nodes
        (n,) float32 values of the curve at n even steps of luma from 0 to 1, linear between; n is 2
        or more.
    sigma
        float32.
    out
        (rows, columns) float32, written; never below :data:`WEAKEST`.
    """
    last = f4(nodes.size - 1)
    for y in range(luma.shape[0]):
        row, target = luma[y], out[y]
        for x in range(row.size):
            place = min(max(row[x], f4(0)), f4(1)) * last
            node = min(i4(place), i4(nodes.size - 2))
            part = place - f4(node)
            value = nodes[node] + part * (nodes[node + 1] - nodes[node])
            target[x] = max(sigma * value, WEAKEST)


@njit(cache=True, nogil=True, error_model="numpy")
def bilateral(plane, radius, sigma, out):
    """Smooth a plane where it is flat.

    The weight of a neighbour is binomial (order ``2 radius``: nearly a Gaussian of standard
    deviation ``sqrt(radius / 2)``) times ``max(1 - d²/16, 0)⁸`` of its difference ``d`` in units of
    sigma, which is nearly ``exp(-d²/2)`` and needs no library.

    Parameters
    ----------
    plane
        (rows + 2 radius, columns + 2 radius) float32.
    radius
        1 or more.
    sigma
        (rows, columns) float32 above 0, in the units of the plane.
    out
        (rows, columns) float32, written.
    """
    rows, columns = out.shape
    side = 2 * radius + 1
    spatial = np.ones(side, np.float32)
    for k in range(1, side):
        spatial[k] = spatial[k - 1] * f4(side - k) / f4(k)
    change, weight = np.empty(columns, np.float32), np.empty(columns, np.float32)
    narrow = np.empty(columns, np.float32)
    for y in range(rows):
        centre = plane[y + radius, radius : radius + columns]
        change[:] = f4(0)
        weight[:] = spatial[radius] * spatial[radius]
        _narrow_row(sigma[y], narrow)
        for dy in range(side):
            for dx in range(side):
                if dy == radius and dx == radius:
                    continue
                neighbour = plane[y + dy, dx : dx + columns]
                _add_neighbour(centre, neighbour, narrow, spatial[dy] * spatial[dx], change, weight)
        _divide_add(centre, change, weight, out[y])


@njit(cache=True, nogil=True, error_model="numpy")
def guided(plane, radius, sigma, out):
    """Smooth a plane where it is flat by the guided filter, the plane being its own guide.

    Parameters
    ----------
    plane
        (rows + 4 radius, columns + 4 radius) float32.
    radius
        Of the square windows, 1 or more.
    sigma
        (rows + 2 radius, columns + 2 radius) float32 above 0: windows around a pixel that vary by
        less are smoothed (``sqrt(ε)`` of the paper).
    out
        (rows, columns) float32, written.
    """
    rows, columns = out.shape
    side, wide = 2 * radius + 1, columns + 2 * radius
    slope, offset = np.empty((side, wide), np.float32), np.empty((side, wide), np.float32)
    across = np.empty((2, plane.shape[1]), np.float32)
    mean, square = np.empty(wide, np.float32), np.empty(wide, np.float32)
    share = f4(1) / f4(side * side)
    for k in range(rows + 2 * radius):
        across[:] = f4(0)
        for dy in range(side):
            _add_moments(plane[k + dy], across[0], across[1])
        _box_row(across[0], side, mean)
        _box_row(across[1], side, square)
        _line_row(mean, square, share, sigma[k], slope[k % side], offset[k % side])
        if k < 2 * radius:
            continue
        y = k - 2 * radius
        across[:] = f4(0)
        for dy in range(side):
            # The oldest row first, wherever in the ring it lies.
            _add_row(slope[(y + dy) % side], across[0, :wide])
            _add_row(offset[(y + dy) % side], across[1, :wide])
        _box_row(across[0, :wide], side, mean[:columns])
        _box_row(across[1, :wide], side, square[:columns])
        centre = plane[y + 2 * radius, 2 * radius : 2 * radius + columns]
        _apply_line(centre, mean, square, share, out[y])


@njit(cache=True, nogil=True, error_model="numpy")
def unsharp(plane, kernel, amount, out):
    """Add ``amount`` times the difference of a plane and its blurred self.

    Parameters
    ----------
    plane
        (rows + 2 reach, columns + 2 reach) float32.
    kernel
        (2 reach + 1,) float32 weights of the blur along one axis; their sum is 1.
    amount
        float32.
    out
        (rows, columns) float32, written.
    """
    rows, columns = out.shape
    reach = kernel.size // 2
    across, blurred = np.empty(plane.shape[1], np.float32), np.empty(columns, np.float32)
    for y in range(rows):
        across[:] = f4(0)
        for dy in range(kernel.size):
            _add_scaled(plane[y + dy], kernel[dy], across)
        blurred[:] = f4(0)
        for dx in range(kernel.size):
            _add_scaled(across[dx : dx + columns], kernel[dx], blurred)
        _sharpen_row(plane[y + reach, reach : reach + columns], blurred, amount, out[y])


@njit(cache=True, nogil=True, error_model="numpy")
def resampling(first, count, step, start, weights):
    """Write the taps that output pixels are made of.

    Pixel ``j`` has its centre at ``(j + 0.5) step - 0.5`` of the input. Its kernel is Keys' cubic
    (Catmull-Rom) stretched by ``step``, which takes away what the output could not hold.

    Parameters
    ----------
    first, count
        Number of the first output pixel, and how many are wanted.
    step
        Input pixels per output pixel, 1 or more.
    start
        (count,) int64, written: place of the first tap in the input.
    weights
        (count, taps) float32, written; each row sums to 1. ``taps`` is at least ``4 step + 1``.
    """
    taps = weights.shape[1]
    values = np.empty(taps, np.float64)
    for i in range(count):
        centre = (first + i + 0.5) * step - 0.5
        start[i] = int(np.ceil(centre - CUBIC_REACH * step))
        last = int(np.floor(centre + CUBIC_REACH * step))
        total = 0.0
        for k in range(taps):
            inside = start[i] + k <= last
            values[k] = _cubic(abs(start[i] + k - centre) / step) if inside else 0.0
            total += values[k]
        for k in range(taps):
            weights[i, k] = values[k] / total


@njit(cache=True, nogil=True, error_model="numpy")
def resample(plane, first, rows, row_weights, columns, column_weights, out):
    """Resample a plane along both axes.

    Parameters
    ----------
    plane
        (h, w) float32.
    first
        (row, column) of the plane's first pixel, in the coordinates of the starts.
    rows, row_weights, columns, column_weights
        Starts and weights of :func:`resampling` along either axis.
    out
        (rows, columns) float32, written.
    """
    across = np.empty(plane.shape[1], np.float32)
    for y in range(out.shape[0]):
        across[:] = f4(0)
        for k in range(row_weights.shape[1]):
            # Taps of weight zero may lie outside of the plane.
            if row_weights[y, k] != 0:
                _add_scaled(plane[rows[y] + k - first[0]], row_weights[y, k], across)
        row = out[y]
        for x in range(out.shape[1]):
            total = f4(0)
            for k in range(column_weights.shape[1]):
                if column_weights[x, k] != 0:
                    total += column_weights[x, k] * across[columns[x] + k - first[1]]
            row[x] = total


@njit(cache=True, nogil=True, error_model="numpy")
def _load_row(source, luma, cb, cr):
    for x in range(luma.size):
        r = f4(i4(source[x, 0])) * _TO_UNIT
        g = f4(i4(source[x, 1])) * _TO_UNIT
        b = f4(i4(source[x, 2])) * _TO_UNIT
        y = _KR * r + _KG * g + _KB * b
        luma[x] = y
        cb[x] = (b - y) * _CB_OF_B
        cr[x] = (r - y) * _CR_OF_R


@njit(cache=True, nogil=True, error_model="numpy")
def _copy_pixel(planes, y, source, target):
    for plane in range(3):
        planes[plane, y, target] = planes[plane, y, source]


@njit(cache=True, nogil=True, error_model="numpy")
def _narrow_row(sigma, narrow):
    for x in range(sigma.size):
        narrow[x] = f4(1) / (f4(16) * sigma[x] * sigma[x])


@njit(cache=True, nogil=True, error_model="numpy")
def _add_neighbour(centre, neighbour, narrow, spatial, change, weight):
    for x in range(centre.size):
        difference = neighbour[x] - centre[x]
        near = max(f4(1) - difference * difference * narrow[x], f4(0))
        near = near * near
        near = near * near
        near = near * near * spatial
        change[x] += near * difference
        weight[x] += near


@njit(cache=True, nogil=True, error_model="numpy")
def _divide_add(centre, change, weight, out):
    for x in range(centre.size):
        out[x] = centre[x] + change[x] / weight[x]


@njit(cache=True, nogil=True, error_model="numpy")
def _add_moments(row, total, squares):
    for x in range(row.size):
        total[x] += row[x]
        squares[x] += row[x] * row[x]


@njit(cache=True, nogil=True, error_model="numpy")
def _add_row(row, total):
    for x in range(row.size):
        total[x] += row[x]


@njit(cache=True, nogil=True, error_model="numpy")
def _add_scaled(row, factor, total):
    for x in range(row.size):
        total[x] += row[x] * factor


@njit(cache=True, nogil=True, error_model="numpy")
def _box_row(row, side, out):
    """Write the sums of ``side`` neighbouring samples."""
    out[:] = f4(0)
    for d in range(side):
        _add_row(row[d : d + out.size], out)


@njit(cache=True, nogil=True, error_model="numpy")
def _line_row(mean, square, share, sigma, slope, offset):
    """Write a and b of the guided filter (He et al., eq. 5 with p = I) from window sums."""
    for x in range(slope.size):
        m = mean[x] * share
        variance = max(square[x] * share - m * m, f4(0))
        a = variance / (variance + sigma[x] * sigma[x])
        slope[x] = a
        offset[x] = m - a * m


@njit(cache=True, nogil=True, error_model="numpy")
def _apply_line(centre, slope, offset, share, out):
    for x in range(centre.size):
        out[x] = slope[x] * share * centre[x] + offset[x] * share


@njit(cache=True, nogil=True, error_model="numpy")
def _sharpen_row(centre, blurred, amount, out):
    for x in range(centre.size):
        out[x] = centre[x] + amount * (centre[x] - blurred[x])


@njit(cache=True, nogil=True, error_model="numpy")
def _cubic(t):
    """Return Keys' cubic with a = -1/2 at the distance ``t``."""
    if t < 1:
        return (1.5 * t - 2.5) * t * t + 1
    if t < 2:
        return ((-0.5 * t + 2.5) * t - 4) * t + 2
    return 0.0
