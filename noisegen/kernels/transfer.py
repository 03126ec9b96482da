"""Transfer functions for the kernels: a power in strict floats, gamma, tone, a table's index.

Everything is float32 without library calls, so LLVM vectorises it, and the result is the same on
every x86-64 (no reassociation, no contraction). The functions take scalars and are inlined into
the kernels.
"""

import numpy as np
from numba import njit

f4, i4 = np.float32, np.int32

TABLE_LIMIT = 16.0
"""A table covers [0, TABLE_LIMIT]; what is outside takes the first or the last entry."""

_FLOOR = f4(1 / 64)
_SHIFT = i4(12)
_START = int(_FLOOR.view(i4))

TABLE_SIZE = ((int((f4(TABLE_LIMIT) + _FLOOR).view(i4)) - _START) >> int(_SHIFT)) + 1
"""Entries of a table."""


@njit(cache=True, nogil=True, error_model="numpy")
def power(x, p):
    """Return ``x ** p`` for a positive normal float32 ``x`` and ``|p| <= 1``.

    ``2 ** (p log2 x)`` with minimax polynomials: log2(m) / (m - 1) for m in [sqrt(1/2), sqrt(2)]
    (error of log2 below 3.1e-7) and 2 ** f for f in [-1/2, 1/2] (relative error below 7.6e-8).
    Relative error of the result below 5e-7 for x in [1/512, 64], below 1.2e-6 down to 1e-8.
    """
    bits = i4(f4(x).view(np.int32) - i4(0x3F3504F3))  # 0x3F3504F3 is sqrt(1/2)
    exponent = i4(bits >> i4(23))
    m = i4((bits & i4(0x007FFFFF)) + i4(0x3F3504F3)).view(np.float32) - f4(1)
    q = f4(0.17065846920013428) * m - f4(0.27268660068511963)
    q = q * m + f4(0.2972504496574402)
    q = q * m - f4(0.3589631915092468)
    q = q * m + f4(0.48046624660491943)
    q = q * m - f4(0.7213758230209351)
    q = q * m + f4(1.442699670791626)
    y = p * (f4(exponent) + q * m)
    # Adding 1.5 * 2**23 rounds to an integer and leaves it in the low bits.
    shifted = y + f4(12582912)
    f = y - (shifted - f4(12582912))
    e = f4(0.0013410005485638976) * f + f4(0.009676036424934864)
    e = e * f + f4(0.05550297349691391)
    e = e * f + f4(0.2402210682630539)
    e = e * f + f4(0.6931472420692444)
    e = e * f + f4(1.0000001192092896)
    scale = i4(f4(shifted).view(np.int32) << i4(23))
    return i4(f4(e).view(np.int32) + scale).view(np.float32)


@njit(cache=True, nogil=True, error_model="numpy")
def encode(x, threshold, exponent, scale, offset, slope, floor):
    """Return ``scale * x ** exponent - offset`` from the threshold on, else ``slope * x + floor``.

    All float32; the threshold is at least 1e-8.
    """
    curve = scale * power(max(x, threshold), exponent) - offset
    return curve if x >= threshold else slope * x + floor


@njit(cache=True, nogil=True, error_model="numpy")
def tone(z, alpha):
    """Apply the tone curve ``z + alpha z (1 - z)`` twice, without a clamp."""
    z = z + alpha * z * (f4(1) - z)
    return z + alpha * z * (f4(1) - z)


@njit(cache=True, nogil=True, error_model="numpy")
def table_index(x):
    """Return the entry of ``x``: even steps of 7.6e-6 up to 1/64, then 2048 an octave.

    The leading bits of ``x + 1/64`` as a float: fine where the transfer function is steep.
    """
    bounded = min(max(x, f4(0)), f4(TABLE_LIMIT))
    bits = f4(bounded + _FLOOR).view(np.int32)
    return np.uint32(i4(i4(bits - i4(_START)) >> _SHIFT))


def table_nodes() -> np.ndarray:
    """Return the middle of each entry of a table, (TABLE_SIZE,) float64."""
    edges = np.arange(TABLE_SIZE + 1, dtype=np.int64) << int(_SHIFT)
    edges = (edges + _START).astype(np.int32).view(np.float32).astype(np.float64)
    return 0.5 * (edges[:-1] + edges[1:]) - float(_FLOOR)
