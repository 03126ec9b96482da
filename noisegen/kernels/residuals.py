"""Small blocks of one plane of a mosaic, split into what a surface explains and what is left.

A block of 4x4 samples is projected on products of the discrete orthogonal (Gram) polynomials of
four points. The coefficients of total degree 1 to 3 are the surface: shading, edges, rows and
columns that are brighter than others. The six above are the residual. In noise that is white and
Gaussian the two are independent, so choosing blocks by the one does not bias the other.

All numbers are whole and below 2**53, so float64 is exact: the same bytes on every processor.
"""

import numpy as np
import numpy.typing as npt
from numba import njit

SIDE = 4
"""Side of a block, in samples of one plane."""

SURFACE, RESIDUAL = 9, 6
"""Number of coefficients of total degree 1 to 3, and of total degree 4 to 6."""

f8 = np.float64


def split_blocks(
    mosaic: npt.NDArray[np.uint16], y: int, x: int, step: int, low: int, high: int
) -> npt.NDArray[np.float64]:
    """Split blocks of one plane, on a grid.

    Parameters
    ----------
    mosaic
        (H, W) uint16 mosaic.
    y, x
        Place of the plane's first sample, each 0 or 1.
    step
        Distance of neighbouring blocks, in samples of the plane.
    low, high
        Blocks are left out that hold a code at or below ``low``, or at or above ``high``.

    Returns
    -------
    (3, blocks) float64
        Mean code, and mean square of the surface's and of the residual's coefficients; either is
        the variance of the noise where there is nothing else.
    """
    rows, columns = (
        (length - at + 1) // 2 for length, at in zip(mosaic.shape, (y, x), strict=True)
    )
    down, across = (max(0, (length - SIDE) // step + 1) for length in (rows, columns))
    out = np.empty((3, down * across), np.float64)
    kept = _split(np.ascontiguousarray(mosaic), y, x, step, down, across, low, high, out)
    return out[:, :kept]


@njit(cache=True, nogil=True)
def _split(mosaic, y, x, step, down, across, low, high, out):
    c = np.empty((SIDE, SIDE), np.float64)
    at = 0
    for i in range(down):
        for j in range(across):
            top, left = y + 2 * step * i, x + 2 * step * j
            least, most = high, low
            for k in range(SIDE):
                row = mosaic[top + 2 * k]
                a, b, d, e = row[left], row[left + 2], row[left + 4], row[left + 6]
                least = min(least, a, b, d, e)
                most = max(most, a, b, d, e)
                c[k, 0], c[k, 1], c[k, 2], c[k, 3] = _transform(f8(a), f8(b), f8(d), f8(e))
            if least <= low or most >= high:
                continue
            for k in range(SIDE):
                c[0, k], c[1, k], c[2, k], c[3, k] = _transform(c[0, k], c[1, k], c[2, k], c[3, k])
            # A coefficient's norm is 4, 20, 4, 20 by its degree; in units of 1/400 all are whole.
            surface = (
                5 * (c[0, 1] ** 2 + c[1, 0] ** 2 + c[0, 3] ** 2 + c[3, 0] ** 2)
                + 25 * (c[0, 2] ** 2 + c[2, 0] ** 2)
                + c[1, 1] ** 2
                + 5 * (c[1, 2] ** 2 + c[2, 1] ** 2)
            )
            residual = (
                c[1, 3] ** 2
                + c[3, 1] ** 2
                + 25 * c[2, 2] ** 2
                + 5 * (c[2, 3] ** 2 + c[3, 2] ** 2)
                + c[3, 3] ** 2
            )
            out[0, at] = c[0, 0] / 16
            out[1, at] = surface / (400 * SURFACE)
            out[2, at] = residual / (400 * RESIDUAL)
            at += 1
    return at


@njit(inline="always")
def _transform(a, b, d, e):
    """Return the products with the Gram polynomials of degree 0 to 3."""
    return (
        (a + e) + (b + d),
        3 * (e - a) + (d - b),
        (a + e) - (b + d),
        (e - a) - 3 * (d - b),
    )
