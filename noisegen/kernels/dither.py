"""Codes of 8 bits spread over the 257 codes of 16 bits that they stand for, at random."""

from typing import Any

import numpy as np
import numpy.typing as npt

from noisegen.kernels.philox import BLOCK, called, i4, kernel, philox, stream, u4, u8
from noisegen.random import Counter, Field

LEVEL = 257
"""Codes of 16 bits in one of 8 bits."""

_LEVEL, _HALF = u8(LEVEL), i4(LEVEL // 2)


def dither(
    picture: npt.NDArray[np.uint8], counter: Counter, y: int, x: int
) -> npt.NDArray[np.uint16]:
    """Return a picture in 16 bits, each code somewhere within its half level up and down.

    The offset, in codes of 16 bits from -128 to 128, each as likely as the next, is a function of
    the counter, the pixel's place in the frame and the channel. Codes 0 and 255 stay: what they
    stand for may lie beyond them, at any distance.

    Parameters
    ----------
    picture
        (H, W, 3) uint8.
    counter
        Key and counter words, from :func:`noisegen.random.counter`.
    y, x
        Place of the first pixel in the full frame.

    Returns
    -------
    (H, W, 3) uint16
        257 times the picture, plus the offsets.
    """
    out = np.empty(picture.shape, np.uint16)
    # numba compiles anew for a read-only array; handing in nothing else leaves one version.
    frozen: Any = picture.view()
    frozen.flags.writeable = False
    _dither(frozen, out, *stream(counter, Field.DITHER), y, x)
    return out


@called
def _row(source, target, word):
    for i in range(source.shape[0]):
        rest = word[i]
        for k in range(3):
            # The next digit, to base 257, of the word as a fraction: 257³ is 1/253 of 2³².
            product = u8(rest) * _LEVEL
            rest = u4(product)
            code = i4(source[i, k])
            offset = i4(product >> u8(32)) - _HALF
            inside = (code > i4(0)) & (code < i4(255))
            target[i, k] = code * i4(LEVEL) + (offset if inside else i4(0))


@kernel
def _dither(picture, out, key0, key1, field, sample, y, x):
    height, width, _ = picture.shape
    u = np.empty((4, BLOCK), np.uint32)
    for row in range(y - (y & 3), y + height, 4):
        for left in range(0, width, BLOCK):
            n = min(BLOCK, width - left)
            philox(u, n, x + left, row >> 2, field, sample, key0, key1)
            for k in range(max(0, y - row), min(4, y + height - row)):
                at = row + k - y
                _row(picture[at, left : left + n], out[at, left : left + n], u[k, :n])
