"""Transforms of Winograd's 3x3 convolution of 4x4 pixels, F(4x4, 3x3), channels last.

With d the 6x6 pixels around a square of 4x4, g the taps and ⊙ the product of each of 36 places over
all channels, the square of the convolution is Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A: 2.25 products a pixel
and pair of channels in place of 9. The product of the places is one of matrices, which is left to
BLAS between :func:`scatter` and :func:`gather`.

Polynomials are taken at 0, ±2/3, ±4/3 and infinity: values are then off by about three times what
those of a direct sum are, 1e-6 of the largest (measured); at 0, ±1, ±2 it is ten times.

References
----------
A. Lavin, S. Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016.
"""

import numpy as np
import numpy.typing as npt

from noisegen.kernels.philox import f4, inlined, kernel

EDGE = 4
"""Pixels of a square's edge."""

PLACES = 6
"""Places of a transformed square's edge."""

NEAR, FAR = 2 / 3, 4 / 3
"""Where polynomials are taken, with 0, the negatives and infinity."""

_ZERO, _P, _Q = f4(0), f4(NEAR), f4(FAR)
_P2, _Q2, _P3, _Q3 = f4(NEAR**2), f4(FAR**2), f4(NEAR**3), f4(FAR**3)
_SUM, _PRODUCT = f4(NEAR**2 + FAR**2), f4(NEAR**2 * FAR**2)


def factors() -> npt.NDArray[np.float64]:
    """Return what makes G g Gᵀ of taps g, both row by row, (36, 9)."""
    near, far = 2 * NEAR**2 * (NEAR**2 - FAR**2), 2 * FAR**2 * (FAR**2 - NEAR**2)
    points = (0.0, NEAR, -NEAR, FAR, -FAR)
    scales = (NEAR**2 * FAR**2, near, near, far, far)
    rows = [(1 / s, p / s, p * p / s) for p, s in zip(points, scales, strict=True)]
    transform = np.array([*rows, (0.0, 0.0, 1.0)])
    return np.kron(transform, transform)


@kernel
def scatter(x, first, repeat, squares, begin, end):
    """Transform squares of a picture: Bᵀ d B.

    Parameters
    ----------
    x
        (H, W, C) float32, C-contiguous.
    first
        Number of the first square, counted row by row.
    repeat
        Whether the rim is repeated around the picture; otherwise zeros are.
    squares
        (6, 6, N, C) float32, N squares from that one on; what lies beyond the last stays as it was.
    begin, end
        Of the N squares those that are transformed.
    """
    height, width, channels = x.shape
    down, across = (height + EDGE - 1) // EDGE, (width + EDGE - 1) // EDGE
    n = PLACES * channels
    around = np.empty((PLACES, n), np.float32)
    half = np.empty((PLACES, n), np.float32)
    for k in range(begin, min(end, down * across - first)):
        top = EDGE * ((first + k) // across) - 1
        left = EDGE * ((first + k) % across) - 1
        _copy(x, top, left, repeat, around)
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
def gather(squares, first, bias, slope, add, out, begin, end):
    """Transform products back, Aᵀ m A, and write ``out`` (plus ``out`` where ``add``), activated.

    Parameters
    ----------
    squares
        (6, 6, N, C) float32 products.
    first
        As in :func:`scatter`.
    bias
        (C,) float32.
    slope
        Of the leaky ReLU.
    add
        Whether what ``out`` holds is added before the activation.
    out
        (H, W, C) float32, C-contiguous.
    begin, end
        As in :func:`scatter`.
    """
    height, width, channels = out.shape
    down, across = (height + EDGE - 1) // EDGE, (width + EDGE - 1) // EDGE
    half = np.empty((EDGE, PLACES, channels), np.float32)
    square = np.empty((EDGE, EDGE, channels), np.float32)
    for k in range(begin, min(end, down * across - first)):
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
def _copy(x, top, left, repeat, around):
    """Copy 6x6 pixels; beyond the border lie zeros, or the rim."""
    height, width, channels = x.shape
    for j in range(PLACES):
        row, y = around[j], top + j
        if 0 <= y < height and left >= 0 and left + PLACES <= width:
            source = x[y, left : left + PLACES].reshape(PLACES * channels)
            for i in range(PLACES * channels):
                row[i] = source[i]
            continue
        near = min(max(y, 0), height - 1)
        for m in range(PLACES):
            part, q = row[m * channels : (m + 1) * channels], left + m
            pixel = x[near, min(max(q, 0), width - 1)]
            if repeat or (0 <= y < height and 0 <= q < width):
                for i in range(channels):
                    part[i] = pixel[i]
            else:
                for i in range(channels):
                    part[i] = _ZERO


@inlined
def _before(d0, d1, d2, d3, d4, d5, o0, o1, o2, o3, o4, o5, n):
    """Apply Bᵀ to six rows; each is an array of its own, which LLVM sees to lie at unit stride."""
    for i in range(n):
        a, b, c, d_, e, f = d0[i], d1[i], d2[i], d3[i], d4[i], d5[i]
        even, odd = e - _Q2 * c, _P * (d_ - _Q2 * b)
        o1[i], o2[i] = even + odd, even - odd
        even, odd = e - _P2 * c, _Q * (d_ - _P2 * b)
        o3[i], o4[i] = even + odd, even - odd
        o0[i] = (_PRODUCT * a - _SUM * c) + e
        o5[i] = (_PRODUCT * b - _SUM * d_) + f


@inlined
def _after(m0, m1, m2, m3, m4, m5, o0, o1, o2, o3, n):
    """Apply Aᵀ to six rows."""
    for i in range(n):
        near, far = m1[i] + m2[i], m3[i] + m4[i]
        step, stride = m1[i] - m2[i], m3[i] - m4[i]
        o0[i] = m0[i] + near + far
        o1[i] = _P * step + _Q * stride
        o2[i] = _P2 * near + _Q2 * far
        o3[i] = _P3 * step + _Q3 * stride + m5[i]
