"""Bit planes of bytes and 16-bit numbers, laid out as blosc's bit shuffle lays them out.

A block of n numbers becomes its bit planes, n / 8 bytes each, the lowest bit first: bit i of byte
j is of number 8 j + i. Codecs find the redundancy of smooth pictures there. The wheels of numcodecs
bring a bit shuffle for SSE2 alone, which takes as long as lz4 itself.

References
----------
K. Masui et al., "A compression scheme for radio data in high performance computing", Astronomy and
Computing 12, 2015 (bitshuffle).
"""

import numpy as np
import numpy.typing as npt

from noisegen.kernels.lanes import chosen, flags, interleaved, load, signs, spread, store, strided
from noisegen.kernels.philox import called, kernel, u8

GROUP = 64
"""A block is a whole number of so many numbers."""

Bytes = npt.NDArray[np.uint8]

_ZERO, _ONE = np.uint8(0), np.uint8(1)
_TILE = 32
_BITS = (7, 6, 5, 4, 3, 2, 1, 0)


def shuffle(values: Bytes, out: Bytes, itemsize: int, block: int) -> None:
    """Write the bit planes of numbers, block by block.

    Parameters
    ----------
    values
        (B,) uint8, the bytes of little-endian numbers.
    out
        (B,) uint8, written.
    itemsize
        Bytes of a number, 1 or 2.
    block
        Bytes of a block; the last one may be shorter. All are whole numbers of :data:`GROUP`
        numbers.

    Raises
    ------
    ValueError
        If they are not.
    """
    _check(values, itemsize, block)
    values = values.view()
    values.flags.writeable = False  # numba compiles anew for a read-only array
    turn = turn_bytes if itemsize == 1 else turn_words
    turn(values, out.view(np.uint64), block)


def unshuffle(planes: Bytes, out: Bytes, itemsize: int, block: int) -> None:
    """Write the numbers of bit planes: :func:`shuffle` turned back, arguments alike."""
    _check(planes, itemsize, block)
    turn = _unshuffle_bytes if itemsize == 1 else _unshuffle_words
    turn(planes.view(np.uint64), out, block)


def fits(size: int, itemsize: int, block: int) -> bool:
    """Tell whether so many bytes can be turned in such blocks."""
    group = GROUP * itemsize
    return itemsize in (1, 2) and size > 0 and size % group == 0 and block % group == 0 < block


def _check(data: Bytes, itemsize: int, block: int) -> None:
    if not fits(len(data), itemsize, block):
        raise ValueError(
            f"{len(data)} bytes in blocks of {block} are no whole groups of {GROUP} numbers of "
            f"{itemsize} bytes"
        )


@kernel
def turn_bytes(values, out, block):
    """:func:`shuffle` for numbers of one byte; ``out`` is its memory as uint64."""
    tile = np.empty(8 * _TILE, np.uint64)
    for start in range(0, len(values), block):
        words = min(block, len(values) - start) >> 6
        for first in range(0, words, _TILE):
            n = min(_TILE, words - first)
            for i in range(n):
                _write(load(values, start + 64 * (first + i), 64), tile, i)
            _spread(tile, out, (start >> 3) + first, words, n)


@kernel
def turn_words(values, out, block):
    """:func:`shuffle` for numbers of two bytes; ``out`` is its memory as uint64."""
    tile = np.empty(8 * _TILE, np.uint64)
    for start in range(0, len(values), block):
        words = min(block, len(values) - start) >> 7
        for first in range(0, words, _TILE):
            n = min(_TILE, words - first)
            for i in range(n):
                _write(strided(values, start + 128 * (first + i), 0, 2, 64), tile, i)
            _spread(tile, out, (start >> 3) + first, words, n)
            for i in range(n):
                _write(strided(values, start + 128 * (first + i), 1, 2, 64), tile, i)
            _spread(tile, out, (start >> 3) + 8 * words + first, words, n)


@kernel
def _unshuffle_bytes(planes, out, block):
    tile = np.empty(8 * _TILE, np.uint64)
    for start in range(0, len(out), block):
        words = min(block, len(out) - start) >> 6
        for first in range(0, words, _TILE):
            n = min(_TILE, words - first)
            _gather(planes, tile, (start >> 3) + first, words, n)
            for i in range(n):
                store(out, start + 64 * (first + i), _read(tile, i))


@kernel
def _unshuffle_words(planes, out, block):
    low = np.empty(8 * _TILE, np.uint64)
    high = np.empty(8 * _TILE, np.uint64)
    for start in range(0, len(out), block):
        words = min(block, len(out) - start) >> 7
        for first in range(0, words, _TILE):
            n = min(_TILE, words - first)
            _gather(planes, low, (start >> 3) + first, words, n)
            _gather(planes, high, (start >> 3) + 8 * words + first, words, n)
            for i in range(n):
                numbers = interleaved(_read(low, i), _read(high, i))
                store(out, start + 128 * (first + i), numbers)


@called
def _write(value, tile, i):
    """Write one word of each of the eight planes of a tile."""
    for bit in _BITS:
        tile[u8(i) + u8(bit * _TILE)] = signs(value)
        value = value + value


@called
def _read(tile, i):
    """Return the bytes of one word of each of the eight planes of a tile."""
    value = spread(_ZERO, 64)
    for bit in _BITS:
        value = value + value
        value = chosen(flags(tile[u8(i) + u8(bit * _TILE)]), value + _ONE, value)
    return value


@called
def _spread(tile, out, place, plane, n):
    """Copy the planes of a tile to their places."""
    for bit in range(8):
        source, target = tile[bit * _TILE :], out[place + bit * plane :]
        for i in range(n):
            target[i] = source[i]


@called
def _gather(planes, tile, place, plane, n):
    """Copy the planes of a tile from their places."""
    for bit in range(8):
        source, target = planes[place + bit * plane :], tile[bit * _TILE :]
        for i in range(n):
            target[i] = source[i]
