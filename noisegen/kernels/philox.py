"""Counter-based random fields: words, uniforms and normals at a pixel's place in the frame.

The pixel at row r, column c of the full frame takes word ``r & 3`` of the Philox 4x32-10 block of

    counter = (c, r >> 2, field | draw << 8, sample),    key = (key0, key1),

all modulo 2**32. So its number does not depend on the tile it is drawn in, on the order, or on the
number of threads. Four rows are made at a time, which keeps every loop at unit stride.

Normals come by Box-Muller from words (0, 1) and (2, 3) of a block. All arithmetic is strict: no
fused multiply-add, no reordering, only operations that IEEE 754 rounds correctly and polynomials
(minimax, fitted for this module). The bytes are the same on AVX-512, AVX2 and SSE2.

References
----------
J. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011 (Philox).
G. Box, M. Muller, "A note on the generation of random normal deviates", 1958.
S. Moshier, Cephes mathematical library, ``expf`` (coefficients of the exponential).
"""

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from noisegen.random import BodyCounter, Counter

BLOCK = 256
"""Columns that are made at a time: all buffers of a block stay in the first-level cache."""

kernel = numba.njit(cache=True, nogil=True)
"""Decorator of every entry point: strict floats, cached on disk, releases the GIL."""

inlined = numba.njit(inline="always")
"""Decorator of the block functions; inlining lets LLVM see the arrays of the caller."""

called = numba.njit
"""Decorator of the row functions: in one of its own, numba need not count references to the row's
views, which takes longer than a short loop."""

unchecked = numba.njit(error_model="numpy")
"""The same for rows that divide: a look at every divisor would keep LLVM from using vectors."""

i4, u4, u8, f4 = np.int32, np.uint32, np.uint64, np.float32

_M0, _M1 = u8(0xD2511F53), u8(0xCD9E8D57)
_W0, _W1 = u4(0x9E3779B9), u4(0xBB67AE85)

_TO_ANGLE = f4(np.pi / 2 * 2.0**-31)
_SIGN = u4(0x80000000)
_MANTISSA = i4(0x007FFFFF)
_SQRT_HALF_BITS = i4(0x3F3504F3)
_SQRT_HALF_2_31_BITS = i4(0x3F3504F3 + (31 << 23))
_LN2, _MINUS_2_LN2, _LOG2E = f4(np.log(2)), f4(-2 * np.log(2)), f4(1 / np.log(2))
_HALF, _ONE = f4(0.5), f4(1.0)


def words(
    shape: tuple[int, int], counter: Counter | BodyCounter, field: int, y: int = 0, x: int = 0
) -> npt.NDArray[np.uint32]:
    """Return the raw 32-bit words of a tile of a field.

    Parameters
    ----------
    shape
        Height and width of the tile.
    counter
        Key and counter words, from :func:`noisegen.random.counter` or ``body_counter``.
    field
        One of :class:`noisegen.random.Field` or ``BodyField``, below 256.
    y, x
        Place of the tile's first pixel in the full frame; any integers, negative ones too.
    """
    out = np.empty(shape, np.uint32)
    _fill_words(out, *stream(counter, field), y, x)
    return out


def normals(
    shape: tuple[int, int], counter: Counter | BodyCounter, field: int, y: int = 0, x: int = 0
) -> npt.NDArray[np.float32]:
    """Return standard normals of a tile of a field; arguments as :func:`words`."""
    out = np.empty(shape, np.float32)
    fill_normals(out, *stream(counter, field), y, x)
    return out


def stream(counter: Counter | BodyCounter, field: int) -> tuple[Any, Any, Any, Any]:
    """Return ``key0, key1, field | draw << 8, sample`` as the 32-bit words that kernels take.

    Of a body's counter they are ``field | body << 8`` and ``camera``.
    """
    key0, key1, whose, number = counter
    word = (int(field) | number << 8) & 0xFFFFFFFF
    return u4(key0), u4(key1), u4(word), u4(whose)


@called
def tagged(field, number):
    """Return the third word of a counter: the field, and the number of the draw or body."""
    return u4(u4(field) | u4(u4(number) << u4(8)))


@inlined
def philox(u, n, column, row4, field, sample, key0, key1):
    """Fill ``u[0:4, 0:n]`` with the blocks of columns ``column ... column + n - 1``."""
    u0, u1, u2, u3 = u[0], u[1], u[2], u[3]
    for i in range(n):
        c0 = u4(u4(column) + u4(i))
        c1 = u4(row4)
        c2 = u4(field)
        c3 = u4(sample)
        k0 = u4(key0)
        k1 = u4(key1)
        for _ in range(10):
            p0 = _M0 * u8(c0)
            p1 = _M1 * u8(c2)
            c0 = u4(p1 >> u8(32)) ^ c1 ^ k0
            c1 = u4(p1)
            c2 = u4(p0 >> u8(32)) ^ c3 ^ k1
            c3 = u4(p0)
            k0 = u4(k0 + _W0)
            k1 = u4(k1 + _W1)
        u0[i] = c0
        u1[i] = c1
        u2[i] = c2
        u3[i] = c3


@inlined
def box_muller(u, z, n):
    """Turn the words ``u[0:4, 0:n]`` into standard normals ``z[0:4, 0:n]``."""
    _pair(u[0], u[1], z[0], z[1], n)
    _pair(u[2], u[3], z[2], z[3], n)


@inlined
def log(x):
    """Return ln x of a normal positive float32, within 3e-7 absolute on (0, 1]; ln 1 is 0."""
    bits = f4(x).view(i4) - _SQRT_HALF_BITS
    m = i4((bits & _MANTISSA) + _SQRT_HALF_BITS).view(f4) - _ONE
    p = f4(-1.037858581e-1)
    p = p * m + f4(1.633809309e-1)
    p = p * m + f4(-1.721244616e-1)
    p = p * m + f4(1.988424272e-1)
    p = p * m + f4(-2.497155931e-1)
    p = p * m + f4(3.333560766e-1)
    p = p * m + f4(-5.000034430e-1)
    p = p * m + f4(9.999999180e-1)
    return p * m + f4(i4(bits >> i4(23))) * _LN2


@inlined
def exp(x):
    """Return e**x of a float32, within 2e-7 relative; arguments are cut to [-87, 87]."""
    x = min(max(x, f4(-87.0)), f4(87.0))
    n = np.floor(x * _LOG2E + _HALF)
    # ln 2 in two parts, the first so short that n times it is exact.
    r = (x - n * f4(0.693359375)) + n * f4(2.12194440e-4)
    p = f4(1.9875691500e-4)
    p = p * r + f4(1.3981999507e-3)
    p = p * r + f4(8.3334519073e-3)
    p = p * r + f4(4.1665795894e-2)
    p = p * r + f4(1.6666665459e-1)
    p = p * r + f4(5.0000001201e-1)
    return (p * r * r + r + _ONE) * i4((i4(n) + i4(127)) << i4(23)).view(f4)


@inlined
def _pair(radius_words, angle_words, first, second, n):
    for i in range(n):
        # u = odd number of 31 bits over 2**31, rounded by float32: fine steps where the radius is
        # large (it ends at 6.56) and where it is small. radius**2 = -2 ln u, minimax polynomial of
        # ln(1 + m) / m on [1/√2, √2], 1.1e-6 relative; the exponent is counted from 2**31.
        bits = f4(i4(radius_words[i] >> u4(1)) | i4(1)).view(i4) - _SQRT_HALF_2_31_BITS
        m = i4((bits & _MANTISSA) + _SQRT_HALF_BITS).view(f4) - _ONE
        p = f4(-0.2442165518)
        p = p * m + f4(0.3756535517)
        p = p * m + f4(-0.4090955324)
        p = p * m + f4(0.4979359701)
        p = p * m + f4(-0.6663205719)
        p = p * m + f4(1.000027964)
        p = p * m + f4(-2.000001755)
        radius = np.sqrt(p * m + f4(i4(bits >> i4(23))) * _MINUS_2_LN2)
        # The top bit chooses the half plane, the others the angle within ±π/2; minimax sine
        # (6e-7 absolute) and cosine (5e-8).
        word = angle_words[i]
        radius = u4(f4(radius).view(u4) ^ (word & _SIGN)).view(f4)
        t = f4(i4(word << u4(1))) * _TO_ANGLE
        t2 = t * t
        s = f4(8.306325206e-3) + t2 * f4(-1.836365348e-4)
        s = t * (f4(0.9999966159) + t2 * (f4(-0.1666482838) + t2 * s))
        c = f4(-1.385370429e-3) + t2 * f4(2.315393124e-5)
        c = f4(-0.4999990535) + t2 * (f4(4.166358469e-2) + t2 * c)
        first[i] = radius * s
        second[i] = radius * (f4(0.9999999535) + t2 * c)


@kernel
def _fill_words(out, key0, key1, field, sample, y, x):
    height, width = out.shape
    u = np.empty((4, BLOCK), np.uint32)
    for row in range(y - (y & 3), y + height, 4):
        for left in range(0, width, BLOCK):
            n = min(BLOCK, width - left)
            philox(u, n, x + left, row >> 2, field, sample, key0, key1)
            for k in range(max(0, y - row), min(4, y + height - row)):
                out[row + k - y, left : left + n] = u[k, :n]


@kernel
def fill_normals(out, key0, key1, field, sample, y, x):
    """Fill a tile with standard normals; ``field`` and the keys as :func:`stream` gives them."""
    height, width = out.shape
    u = np.empty((4, BLOCK), np.uint32)
    z = np.empty((4, BLOCK), np.float32)
    for row in range(y - (y & 3), y + height, 4):
        for left in range(0, width, BLOCK):
            n = min(BLOCK, width - left)
            philox(u, n, x + left, row >> 2, field, sample, key0, key1)
            box_muller(u, z, n)
            for k in range(max(0, y - row), min(4, y + height - row)):
                out[row + k - y, left : left + n] = z[k, :n]
