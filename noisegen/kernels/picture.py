"""Noise of pictures: uint8 or uint16 R, G, B in, noisy codes out, in one pass over small blocks.

With white normals w_j at the pixel's place in the frame (three fields), kernels h_j, a mixing
matrix M and the standard deviation σ_k of every code of channel k, all float32,

    z_j(p) = Σ_t h_j(t) w_j(p + t),    out_k = clip(floor(c_k + σ_k(c_k) Σ_j M_kj z_j + 1/2)).

Sums run over rows, then columns of the kernel, then fields, in this order: the bytes are the same
for any tile and on any x86-64 processor.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from noisegen.kernels.philox import called, f4, fill_normals, i4, kernel, stream
from noisegen.random import Counter, Field

ROWS, COLUMNS = 64, 512
"""Size of a block: its fields stay in the second-level cache."""

FIELDS = (Field.PICTURE_1, Field.PICTURE_2, Field.PICTURE_3)
"""The white fields, in the order of the kernels."""

_ZERO, _HALF = f4(0.0), f4(0.5)


def add(
    picture: npt.NDArray[Any],
    out: npt.NDArray[Any],
    std: npt.NDArray[np.float32],
    mixing: npt.NDArray[np.float32],
    kernels: npt.NDArray[np.float32],
    counter: Counter,
    y: int,
    x: int,
) -> None:
    """Add noise to a picture.

    Parameters
    ----------
    picture, out
        (H, W, 3) uint8 or uint16, both of one type, C-contiguous; they may be the same array.
    std
        (3, codes) float32, standard deviation in codes of every code of R, G and B.
    mixing
        (3, 3) float32.
    kernels
        (3, 2r + 1, 2r + 1) float32.
    counter
        Key and counter words, from :func:`noisegen.random.counter`.
    y, x
        Place of the tile's first pixel in the full frame, any integers.
    """
    streams = [stream(counter, field) for field in FIELDS]
    key0, key1, _, sample = streams[0]
    fields = np.array([words[2] for words in streams], np.uint32)
    high = f4(np.iinfo(picture.dtype).max)
    # numba compiles anew for a read-only array; handing in nothing else leaves one version.
    frozen = picture.view()
    frozen.flags.writeable = False
    _add(frozen, out, std, mixing, kernels, high, key0, key1, fields, sample, y, x)


@called
def _correlate_row(white, first, taps, out, n):
    """Write one row of a field: a pixel sees the kernel's rows and columns in their order."""
    size = taps.shape[0]
    for i in range(n):
        out[i] = _ZERO
    for dy in range(size):
        row = white[first + dy]
        for dx in range(size):
            tap, seen = taps[dy, dx], row[dx : dx + n]
            for i in range(n):
                out[i] += tap * seen[i]


@called
def _noisy_row(source, target, z1, z2, z3, std, mixing, high):
    last = high + _HALF
    for k in range(3):
        row, a, b, c = std[k], mixing[k, 0], mixing[k, 1], mixing[k, 2]
        for i in range(source.shape[0]):
            code = source[i, k]
            n = a * z1[i] + b * z2[i] + c * z3[i]
            value = f4(i4(code)) + row[code] * n + _HALF
            target[i, k] = i4(min(max(value, _ZERO), last))


@kernel
def _add(picture, out, std, mixing, kernels, high, key0, key1, fields, sample, top, left):
    height, width, _ = picture.shape
    r = kernels.shape[1] // 2
    z = np.empty((3, ROWS, COLUMNS), np.float32)
    for y in range(0, height, ROWS):
        rows = min(ROWS, height - y)
        for x in range(0, width, COLUMNS):
            n = min(COLUMNS, width - x)
            white = np.empty((rows + 2 * r, n + 2 * r), np.float32)
            for j in range(3):
                fill_normals(white, key0, key1, fields[j], sample, top + y - r, left + x - r)
                for k in range(rows):
                    _correlate_row(white, k, kernels[j], z[j, k], n)
            for k in range(rows):
                source, target = picture[y + k, x : x + n], out[y + k, x : x + n]
                _noisy_row(source, target, z[0, k], z[1, k], z[2, k], std, mixing, high)
