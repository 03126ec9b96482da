"""One row of a demosaicer at a time, for the kernels: nearest, bilinear and Malvar-He-Cutler.

Rows are white-balanced mosaic values with ``PAD`` more pixels on both sides of the ``width`` that
are wanted. In a row of the mosaic one colour besides green is sampled: its *own* colour (red or
blue), at the columns whose parity is ``site``; the *other* colour (blue or red) lies in the rows
above and below. All loops have unit stride and compute both column parities, then select: that is
what vectorises. The fourth demosaicer is in :mod:`noisegen.kernels.ahd`.

References
----------
H. Malvar, L. He, R. Cutler, "High-quality linear interpolation for demosaicing of Bayer-patterned
color images", ICASSP 2004.
"""

import numpy as np
from numba import njit

f4 = np.float32

PAD = 4
"""Pixels beside a row: at least the reach of every demosaicer, and even."""


@njit(cache=True, nogil=True, error_model="numpy")
def nearest_row(up, x, width, site, own, green, other):
    """Repeat each sample to the right and down."""
    for c in range(width):
        left, above, corner = x[PAD + c - 1], up[PAD + c], up[PAD + c - 1]
        here = x[PAD + c]
        if (c & 1) == site:
            own[c] = here
            green[c] = left
            other[c] = corner
        else:
            own[c] = left
            green[c] = here
            other[c] = above


@njit(cache=True, nogil=True, error_model="numpy")
def bilinear_row(up, x, down, width, site, own, green, other):
    """Average the two or four nearest samples of each colour.

    The sums round alike when the mosaic is turned or mirrored: AHD's ties stay ties.
    """
    for c in range(width):
        q = PAD + c
        here = x[q]
        horizontal = (x[q - 1] + x[q + 1]) * f4(0.5)
        vertical = (up[q] + down[q]) * f4(0.5)
        cross = (horizontal + vertical) * f4(0.5)
        corners = ((up[q - 1] + down[q + 1]) + (up[q + 1] + down[q - 1])) * f4(0.25)
        at_site = (c & 1) == site
        own[c] = here if at_site else horizontal
        green[c] = cross if at_site else here
        other[c] = corners if at_site else vertical


@njit(cache=True, nogil=True, error_model="numpy")
def malvar_row(up2, up, x, down, down2, width, site, own, green, other):
    """Correct the bilinear estimate by the Laplacian of the colour that was measured."""
    for c in range(width):
        q = PAD + c
        here = x[q]
        h1, v1 = x[q - 1] + x[q + 1], up[q] + down[q]
        h2, v2 = x[q - 2] + x[q + 2], up2[q] + down2[q]
        corners = (up[q - 1] + up[q + 1]) + (down[q - 1] + down[q + 1])
        cross = (f4(4) * here + f4(2) * (h1 + v1) - (h2 + v2)) * f4(0.125)
        five = f4(5) * here - corners
        beside = (five + f4(4) * h1 - h2 + f4(0.5) * v2) * f4(0.125)
        above = (five + f4(4) * v1 - v2 + f4(0.5) * h2) * f4(0.125)
        diagonal = (f4(6) * here + f4(2) * corners - f4(1.5) * (h2 + v2)) * f4(0.125)
        at_site = (c & 1) == site
        own[c] = here if at_site else beside
        green[c] = cross if at_site else here
        other[c] = diagonal if at_site else above
