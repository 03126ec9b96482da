"""Gains of the lens shading for a row of a mosaic: radial model times gain maps.

What depends on the column alone is made once a picture (:func:`shading_columns`), then each row
costs a polynomial and an interpolation a pixel (:func:`shading_row`): no map of the frame's size is
made. Places are float64 and gains float32, without reassociation. A pixel's gain depends on its
place in the frame alone, so windows are crops of the frame to the bit.

Both take what :meth:`noisegen.isp.shading.LocalShading.kernel_arguments` returns: ``numbers`` is
(16,) float64, frame height and width, place (y, x) of the mosaic, optical centre (y, x) and one
over the squared distance of its farthest corner, five coefficients, origin and spacing of the maps;
``maps`` is (2, 2, V, H) float32 by row and column parity, at least two points a side, or empty.
"""

import numpy as np
from numba import njit

from noisegen.kernels.border import reflect

f4 = np.float32


@njit(cache=True, nogil=True, error_model="numpy")
def shading_columns(numbers, maps, first, width, count):
    """Return what depends on the column alone; nothing much where there is no shading.

    Parameters
    ----------
    numbers, maps
        As above; ``numbers`` is empty when there is no shading.
    first, count
        The columns, which may lie outside of the mosaic.
    width
        The mosaic's width.

    Returns
    -------
    squared, share
        (count,) float32: squared distance in columns from the optical centre, and share of the way
        from one point of the maps to the next.
    cell, stop
        (count,) int32: the point before the column, and where the run of columns with the same
        point ends, if it starts at this column.
    lines
        (2, H) float32, room for :func:`shading_row`.
    """
    n = count if numbers.size > 0 else 0
    squared, share = np.empty(n, np.float32), np.empty(n, np.float32)
    cell, stop = np.empty(n, np.int32), np.empty(n, np.int32)
    lines = np.empty((2, maps.shape[3]), np.float32)
    if n == 0:
        return squared, share, cell, stop, lines
    frame, x = int(numbers[1]), int(numbers[3])
    centre, scale = numbers[5], numbers[6]
    origin, spacing, last = numbers[13], numbers[15], maps.shape[3] - 1
    for j in range(n):
        place = reflect(x + reflect(first + j, width), frame) + 0.5
        squared[j] = f4((place - centre) * (place - centre) * scale)
        cell[j], share[j] = _cell((place / frame - origin) / spacing, last)
    end = n
    for j in range(n - 1, -1, -1):
        stop[j] = end
        if j > 0 and cell[j - 1] != cell[j]:
            end = j
    return squared, share, cell, stop, lines


@njit(cache=True, nogil=True, error_model="numpy")
def shading_row(numbers, maps, columns, y, height, parity, gains):
    """Write the gains of a row.

    Parameters
    ----------
    numbers, maps
        As above.
    columns
        From :func:`shading_columns`.
    y, height
        The row, which may lie outside of the mosaic, and the mosaic's height.
    parity
        Of the first column.
    gains
        (count,) float32, written.
    """
    squared, share, cell, stop, lines = columns
    frame = int(numbers[0])
    place = reflect(int(numbers[2]) + reflect(y, height), frame) + 0.5
    row = f4((place - numbers[4]) * (place - numbers[4]) * numbers[6])
    k0, k1, k2 = f4(numbers[7]), f4(numbers[8]), f4(numbers[9])
    k3, k4 = f4(numbers[10]), f4(numbers[11])
    for j in range(gains.size):
        r2 = row + squared[j]
        gains[j] = f4(1) + r2 * (k0 + r2 * (k1 + r2 * (k2 + r2 * (k3 + r2 * k4))))
    last = maps.shape[2] - 1
    if last < 1:
        return
    at, way = _cell((place / frame - numbers[12]) / numbers[14], last)
    for side in range(2):
        above, below = maps[y % 2, side, at], maps[y % 2, side, at + 1]
        line = lines[side]
        for i in range(line.size):
            line[i] = above[i] + way * (below[i] - above[i])
    start = 0
    while start < gains.size:
        # No gathers: a run of columns has one pair of points a side.
        end, at = stop[start], cell[start]
        even, odd = lines[(start + parity) % 2], lines[(start + parity + 1) % 2]
        base0, base1 = even[at], odd[at]
        step0, step1 = even[at + 1] - base0, odd[at + 1] - base1
        run, ways = gains[start:end], share[start:end]
        for j in range(run.size):
            is_even = (j & 1) == 0
            run[j] *= (base0 if is_even else base1) + ways[j] * (step0 if is_even else step1)
        start = end


@njit(cache=True, nogil=True, error_model="numpy")
def _cell(at, last):
    """Return the point before a place in points, and the share of the way to the next one."""
    at = min(max(at, 0.0), float(last))
    point = min(int(at), last - 1)
    return np.int32(point), f4(at - point)
