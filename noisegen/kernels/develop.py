"""The whole ISP of float mosaics, as the network's: floats in and out, nothing clipped after.

The arithmetic, row by row over a ring in cache, is that of :mod:`noisegen.kernels.isp`.
"""

import numpy as np
from numba import njit

from noisegen.kernels.ahd import REACH
from noisegen.kernels.border import reflect
from noisegen.kernels.isp import (
    AHD,
    MARGIN,
    RING,
    ahd_context,
    colour_row,
    demosaic_row,
    encode_row,
)

f4 = np.float32


@njit(cache=True, nogil=True, error_model="numpy")
def develop(mosaics, demosaic, red, balance, low, matrices, xyz, curve, alphas, out):
    """Develop several mosaics of one phase.

    Parameters
    ----------
    mosaics
        (N, H, W) float32, 0 black and 1 white; beyond its border each goes on by reflect-101.
    demosaic, red, low, curve
        As in :func:`noisegen.kernels.isp.render`.
    balance
        (N, 2, 2) float32 white balance gains by row and column parity.
    matrices, xyz
        (N, 3, 3) float32, ``matrix`` and ``xyz`` there of each mosaic.
    alphas
        (N,) float32 strengths of the tone curve.
    out
        (N, 3, H, W) float32, written.
    """
    for i in range(len(mosaics)):
        _develop(
            mosaics[i], demosaic, red, balance[i], low, matrices[i], xyz[i], curve, alphas[i],
            out[i],
        )  # fmt: skip


@njit(cache=True, nogil=True, error_model="numpy")
def _develop(mosaic, demosaic, red, balance, low, matrix, xyz, curve, alpha, out):
    height, width = mosaic.shape
    is_ahd = demosaic == AHD
    reach = REACH + 1 if is_ahd else REACH
    ring = np.empty((RING, width + 2 * MARGIN), np.float32)
    rgb = np.empty((3, width + 2 * REACH), np.float32)
    extra = width if is_ahd else 0
    lab = np.empty((RING, 3, extra + 2 * REACH), np.float32)
    differences = np.empty((RING, 2, extra), np.float32)
    variation = np.empty((2, extra), np.float32)
    for k in range(height + 2 * reach):
        y = k - reach
        _load_row(mosaic[reflect(y, height)], balance[y % 2], low, ring[k % RING])
        if is_ahd and k >= 2:
            ahd_context(ring, k - 1, y - 1, -MARGIN, width, red, xyz, rgb, lab, differences)
        if k < 2 * reach:
            continue
        row = k - 2 * reach
        demosaic_row(
            ring, lab, differences, variation, k - reach, row, -MARGIN, width, demosaic, red, rgb
        )
        colour_row(rgb, width, matrix)
        encode_row(rgb, width, curve, alpha)
        for i in range(3):
            out[i, row] = rgb[i, :width]


@njit(cache=True, nogil=True, error_model="numpy")
def _load_row(source, gains, low, row):
    """Write the white-balanced samples of a row, ``MARGIN`` more on both sides."""
    width, even, odd = source.size, gains[0], gains[1]
    inside = row[MARGIN : MARGIN + width]
    for j in range(width):
        inside[j] = _cut(source[j] * (even if (j & 1) == 0 else odd), low)
    for j in range(MARGIN):
        for x in (j - MARGIN, width + j):
            gain = even if x % 2 == 0 else odd
            row[MARGIN + x] = _cut(source[reflect(x, width)] * gain, low)


@njit(cache=True, nogil=True, error_model="numpy")
def _cut(value, low):
    """Return the value cut to ``low`` and 1; what is no number stays so."""
    return min(max(value, low), f4(1)) if value == value else value
