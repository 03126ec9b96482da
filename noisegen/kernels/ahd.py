"""DualDn's simplified AHD demosaicer, one row at a time, for the kernels.

Green is interpolated along the row and along the column; where the colours (CIELAB) of the bilinear
picture vary no less along the row than along the column, the column estimate is taken. Red and blue
are that green plus blurred bilinear colour differences; measured red and blue are not kept.

Rows come in two widths: ``width`` pixels, and the same with ``REACH`` more on both sides.

References
----------
R. Li et al., "DualDn: Dual-domain Denoising via Differentiable ISP", ECCV 2024 (its ISP).
K. Hirakawa, T. W. Parks, "Adaptive homogeneity-directed demosaicing algorithm", TIP 2005.
"""

import numpy as np
from numba import njit

from noisegen.kernels.demosaic import PAD
from noisegen.kernels.transfer import power

f4 = np.float32

REACH = 2
"""Pixels beside a row of CIELAB values: the reach of the direction test."""

WHITE = np.array([0.95047, 1.0, 1.08883])
"""XYZ of D65 white, by which XYZ is divided before CIELAB; shape (3,)."""

BLUR_SIDE = f4(np.exp(-1 / 4.5) / (1 + 2 * np.exp(-1 / 4.5)))
BLUR_CENTRE = f4(1 / (1 + 2 * np.exp(-1 / 4.5)))


@njit(cache=True, nogil=True, error_model="numpy")
def lab_row(rgb, xyz, width, lab):
    """Convert a row to CIELAB.

    Parameters
    ----------
    rgb, lab
        (3, width) float32; ``lab`` is written.
    xyz
        (3, 3) float32 matrix from white-balanced camera RGB to XYZ divided by :data:`WHITE`.
    """
    red, green, blue = rgb[0], rgb[1], rgb[2]
    lightness, a, b = lab[0], lab[1], lab[2]
    x0, x1, x2 = xyz[0, 0], xyz[0, 1], xyz[0, 2]
    y0, y1, y2 = xyz[1, 0], xyz[1, 1], xyz[1, 2]
    z0, z1, z2 = xyz[2, 0], xyz[2, 1], xyz[2, 2]
    for c in range(width):
        fx = _lab_curve(x0 * red[c] + x1 * green[c] + x2 * blue[c])
        fy = _lab_curve(y0 * red[c] + y1 * green[c] + y2 * blue[c])
        fz = _lab_curve(z0 * red[c] + z1 * green[c] + z2 * blue[c])
        lightness[c] = f4(116) * fy - f4(16)
        a[c] = f4(500) * (fx - fy)
        b[c] = f4(200) * (fy - fz)


@njit(cache=True, nogil=True, error_model="numpy")
def difference_row(colour, green, width, out):
    """Blur ``colour - green`` along the row.

    Parameters
    ----------
    colour, green
        (width + 2 REACH,) float32.
    out
        (width,) float32, written.
    """
    for c in range(width):
        left = colour[c + REACH - 1] - green[c + REACH - 1]
        here = colour[c + REACH] - green[c + REACH]
        right = colour[c + REACH + 1] - green[c + REACH + 1]
        out[c] = BLUR_SIDE * left + BLUR_CENTRE * here + BLUR_SIDE * right


@njit(cache=True, nogil=True, error_model="numpy")
def variation_rows(up2, up, here, down, down2, width, along_row, along_column):
    """Measure how CIELAB varies along the row and along the column.

    Parameters
    ----------
    up2, up, here, down, down2
        (3, width + 2 REACH) float32 rows of CIELAB.
    along_row, along_column
        (width,) float32, written: the sum over the two one-sided stencils [1, 2, -3] of the change
        of lightness and the length of the change of (a, b).
    """
    light, a, b = here[0], here[1], here[2]
    for c in range(width):
        q = c + REACH
        along_row[c] = _length(
            light[q - 2] + f4(2) * light[q - 1] - f4(3) * light[q],
            a[q - 2] + f4(2) * a[q - 1] - f4(3) * a[q],
            b[q - 2] + f4(2) * b[q - 1] - f4(3) * b[q],
        ) + _length(
            f4(2) * light[q + 1] + light[q + 2] - f4(3) * light[q],
            f4(2) * a[q + 1] + a[q + 2] - f4(3) * a[q],
            f4(2) * b[q + 1] + b[q + 2] - f4(3) * b[q],
        )
    _column_side(up2, up, here, width, along_column)
    for c in range(width):
        q = c + REACH
        along_column[c] += _length(
            f4(2) * down[0, q] + down2[0, q] - f4(3) * light[q],
            f4(2) * down[1, q] + down2[1, q] - f4(3) * a[q],
            f4(2) * down[2, q] + down2[2, q] - f4(3) * b[q],
        )


@njit(cache=True, nogil=True, error_model="numpy")
def green_row(up2, up, x, down, down2, width, site, along_row, along_column, green):
    """Interpolate green in the direction that varies less; ties take the column.

    Parameters
    ----------
    up2, up, x, down, down2
        (width + 2 PAD,) float32 rows of the white-balanced mosaic.
    site
        Parity of the columns where red or blue was measured.
    along_row, along_column
        (width,) float32 variations.
    green
        (width,) float32, written.
    """
    for c in range(width):
        q = PAD + c
        here = x[q]
        row = f4(0.5) * (x[q - 1] + here + x[q + 1]) - f4(0.25) * (x[q - 2] + x[q + 2])
        column = f4(0.5) * (up[q] + here + down[q]) - f4(0.25) * (up2[q] + down2[q])
        estimate = column if along_row[c] >= along_column[c] else row
        green[c] = estimate if (c & 1) == site else here


@njit(cache=True, nogil=True, error_model="numpy")
def add_difference_row(up, here, down, width, green, colour):
    """Blur row-blurred colour differences along the column and add them to green; all (width,)."""
    for c in range(width):
        blurred = BLUR_SIDE * up[c] + BLUR_CENTRE * here[c] + BLUR_SIDE * down[c]
        colour[c] = blurred + green[c]


@njit(cache=True, nogil=True, error_model="numpy")
def _lab_curve(n):
    """Return CIE's f(n): the cube root, or a line below 0.008856."""
    root = power(max(n, f4(0.008856)), f4(1 / 3))
    return root if n > f4(0.008856) else f4(7.787) * n + f4(4 / 29)


@njit(cache=True, nogil=True, error_model="numpy")
def _length(light, a, b):
    return abs(light) + np.sqrt(a * a + b * b)


@njit(cache=True, nogil=True, error_model="numpy")
def _column_side(far, near, here, width, out):
    for c in range(width):
        q = c + REACH
        out[c] = _length(
            far[0, q] + f4(2) * near[0, q] - f4(3) * here[0, q],
            far[1, q] + f4(2) * near[1, q] - f4(3) * here[1, q],
            far[2, q] + f4(2) * near[2, q] - f4(3) * here[2, q],
        )
