"""Transforms of Winograd's 3x3 convolution of 4x4 pixels, F(4x4, 3x3), channels last.

With d the 6x6 pixels around a square of 4x4, g the taps and ⊙ the product of each of 36 places over
all channels, the square of the convolution is Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A: 2.25 products a pixel
and pair of channels in place of 9. The product of the places is one of matrices, which is left to
BLAS between :func:`scatter` and :func:`gather`.

References
----------
A. Lavin, S. Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016.
"""

import numpy as np

from noisegen.kernels.philox import f4, inlined, kernel

EDGE = 4
"""Pixels of a square's edge."""

PLACES = 6
"""Places of a transformed square's edge."""

_ZERO, _TWO, _FOUR, _FIVE, _EIGHT = f4(0), f4(2), f4(4), f4(5), f4(8)


@kernel
def scatter(x, first, squares):
    """Transform squares of a picture: Bᵀ d B.

    Parameters
    ----------
    x
        (H, W, C) float32, C-contiguous; zeros lie around it.
    first
        Number of the first square, counted row by row.
    squares
        (6, 6, N, C) float32, N squares from that one on; what lies beyond the last stays as it was.
    """
    height, width, channels = x.shape
    down, across = (height + EDGE - 1) // EDGE, (width + EDGE - 1) // EDGE
    n = PLACES * channels
    around = np.empty((PLACES, n), np.float32)
    half = np.empty((PLACES, n), np.float32)
    for k in range(min(squares.shape[2], down * across - first)):
        top = EDGE * ((first + k) // across) - 1
        left = EDGE * ((first + k) % across) - 1
        _copy(x, top, left, around)
        _before(
            around[0], around[1], around[2], around[3], around[4], around[5],
            half[0], half[1], half[2], half[3], half[4], half[5], n,
        )  # fmt: skip
        for j in range(PLACES):
            d, s = half[j].reshape(PLACES, channels), squares[j]
            _before(
                d[0], d[1], d[2], d[3], d[4], d[5],
                s[0, k], s[1, k], s[2, k], s[3, k], s[4, k], s[5, k], channels,
            )  # fmt: skip


@kernel
def gather(squares, first, bias, slope, add, out):
    """Transform products back, Aᵀ m A, and write ``out`` (plus ``out`` where ``add``), activated.

    Parameters
    ----------
    squares
        (6, 6, N, C) float32 products.
    first
        Number of the first square, as in :func:`scatter`.
    bias
        (C,) float32.
    slope
        Of the leaky ReLU.
    add
        Whether what ``out`` holds is added before the activation.
    out
        (H, W, C) float32, C-contiguous.
    """
    height, width, channels = out.shape
    down, across = (height + EDGE - 1) // EDGE, (width + EDGE - 1) // EDGE
    half = np.empty((EDGE, PLACES, channels), np.float32)
    square = np.empty((EDGE, EDGE, channels), np.float32)
    for k in range(min(squares.shape[2], down * across - first)):
        top = EDGE * ((first + k) // across)
        left = EDGE * ((first + k) % across)
        for m in range(PLACES):
            _after(
                squares[0, m, k], squares[1, m, k], squares[2, m, k],
                squares[3, m, k], squares[4, m, k], squares[5, m, k],
                half[0, m], half[1, m], half[2, m], half[3, m], channels,
            )  # fmt: skip
        for j in range(min(EDGE, height - top)):
            p, q = half[j], square[j]
            _after(p[0], p[1], p[2], p[3], p[4], p[5], q[0], q[1], q[2], q[3], channels)
            for m in range(min(EDGE, width - left)):
                values, target = square[j, m], out[top + j, left + m]
                if add:
                    for i in range(channels):
                        values[i] += target[i]
                for i in range(channels):
                    v = values[i] + bias[i]
                    target[i] = max(v, _ZERO) + slope * min(v, _ZERO)


@inlined
def _copy(x, top, left, around):
    """Copy 6x6 pixels, zeros beyond the border."""
    height, width, channels = x.shape
    for j in range(PLACES):
        row, y = around[j], top + j
        if 0 <= y < height and left >= 0 and left + PLACES <= width:
            source = x[y, left : left + PLACES].reshape(PLACES * channels)
            for i in range(PLACES * channels):
                row[i] = source[i]
            continue
        for m in range(PLACES):
            part = row[m * channels : (m + 1) * channels]
            inside = 0 <= y < height and 0 <= left + m < width
            for i in range(channels):
                part[i] = x[y, left + m, i] if inside else _ZERO


@inlined
def _before(d0, d1, d2, d3, d4, d5, o0, o1, o2, o3, o4, o5, n):
    """Apply Bᵀ to six rows; each is an array of its own, which LLVM sees to lie at unit stride."""
    for i in range(n):
        a, b, c, d_, e, f = d0[i], d1[i], d2[i], d3[i], d4[i], d5[i]
        o0[i] = _FOUR * a - _FIVE * c + e
        o1[i] = (e - _FOUR * c) + (d_ - _FOUR * b)
        o2[i] = (e - _FOUR * c) - (d_ - _FOUR * b)
        o3[i] = (e - c) + _TWO * (d_ - b)
        o4[i] = (e - c) - _TWO * (d_ - b)
        o5[i] = _FOUR * b - _FIVE * d_ + f


@inlined
def _after(m0, m1, m2, m3, m4, m5, o0, o1, o2, o3, n):
    """Apply Aᵀ to six rows."""
    for i in range(n):
        near, far = m1[i] + m2[i], m3[i] + m4[i]
        step, stride = m1[i] - m2[i], m3[i] - m4[i]
        o0[i] = m0[i] + near + far
        o1[i] = step + _TWO * stride
        o2[i] = near + _FOUR * far
        o3[i] = step + _EIGHT * stride + m5[i]
