"""Noise of pictures: uint8 or uint16 R, G, B in, noisy codes out, in one pass over small blocks.

With white normals w_j at the pixel's place in the frame (three fields), a kernel H, the standard
deviation σ_k of every code of channel k and a strength s, all float32,

    n_k(p) = Σ_j Σ_t H_kj(t) w_j(p + t),    out_k = clip(floor(c_k + σ_k(c_k) (s n_k) + 1/2)).

Sums run over fields, then rows, then columns of the kernel, in this order: the bytes are the same
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
"""The white fields, in the order of the kernel's fields."""

GROUP = 4
"""Columns of the kernel that are taken at once: the sums are loaded and stored less often."""

_ZERO, _HALF = f4(0.0), f4(0.5)


def add(
    picture: npt.NDArray[Any],
    out: npt.NDArray[Any],
    std: npt.NDArray[np.float32],
    taps: npt.NDArray[np.float32],
    strength: float,
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
    taps
        (3, 2r + 1, 2r + 1, 3) float32: H of field j at row and column t for channel k.
    strength
        Factor on ``std``.
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
    # Whole groups of columns: what is added sees zero taps.
    taps = np.pad(taps, ((0, 0), (0, 0), (0, -taps.shape[2] % GROUP), (0, 0)))
    _add(frozen, out, std, taps, f4(strength), high, key0, key1, fields, sample, y, x)


@called
def _correlate_row(white, first, taps, n, z1, z2, z3):
    """Add what one row of the channels sees of a field."""
    for dy in range(taps.shape[0]):
        row = white[first + dy]
        for dx in range(0, taps.shape[1], GROUP):
            a, b, c, d = taps[dy, dx], taps[dy, dx + 1], taps[dy, dx + 2], taps[dy, dx + 3]
            a1, b1, c1, d1 = a[0], b[0], c[0], d[0]
            a2, b2, c2, d2 = a[1], b[1], c[1], d[1]
            a3, b3, c3, d3 = a[2], b[2], c[2], d[2]
            wa, wb = row[dx : dx + n], row[dx + 1 : dx + 1 + n]
            wc, wd = row[dx + 2 : dx + 2 + n], row[dx + 3 : dx + 3 + n]
            for i in range(n):
                z1[i] = z1[i] + a1 * wa[i] + b1 * wb[i] + c1 * wc[i] + d1 * wd[i]
                z2[i] = z2[i] + a2 * wa[i] + b2 * wb[i] + c2 * wc[i] + d2 * wd[i]
                z3[i] = z3[i] + a3 * wa[i] + b3 * wb[i] + c3 * wc[i] + d3 * wd[i]


@called
def _noisy_row(source, target, k, z, std, strength, high):
    last = high + _HALF
    for i in range(source.shape[0]):
        code = source[i, k]
        value = f4(i4(code)) + std[code] * (strength * z[i]) + _HALF
        target[i, k] = i4(min(max(value, _ZERO), last))


@kernel
def _add(picture, out, std, taps, strength, high, key0, key1, fields, sample, top, left):
    height, width, _ = picture.shape
    r = taps.shape[1] // 2
    across = taps.shape[2] - 1
    z = np.empty((3, ROWS, COLUMNS), np.float32)
    for y in range(0, height, ROWS):
        rows = min(ROWS, height - y)
        for x in range(0, width, COLUMNS):
            n = min(COLUMNS, width - x)
            white = np.empty((rows + 2 * r, n + across), np.float32)
            z[:] = _ZERO
            for j in range(3):
                fill_normals(white, key0, key1, fields[j], sample, top + y - r, left + x - r)
                for row in range(rows):
                    _correlate_row(white, row, taps[j], n, z[0, row], z[1, row], z[2, row])
            for row in range(rows):
                source, target = picture[y + row, x : x + n], out[y + row, x : x + n]
                for k in range(3):
                    _noisy_row(source, target, k, z[k, row], std[k], strength, high)
