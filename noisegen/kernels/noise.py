"""Fused sensor noise: uint16 mosaics in, noisy uint16 mosaics out, in one pass.

Both kernels take a batch of mosaics of one size and work on blocks of four rows and
:data:`~noisegen.kernels.philox.BLOCK` columns. With d = (DN - black) gain and per-plane terms of
period two in both directions they store

    clip(floor(signal + read noise + base + row offset), low, white),

where ``base`` is the black level that comes out, plus any bias, plus the half of rounding:

* :func:`joint`: shot and read noise are one normal of variance shot max(d, 0) + read², the word
  field ``READ``. The fast model.
* :func:`separate`: shot noise from the field ``SHOT`` (Poisson electrons below 16 from
  ``SHOT_DARK``, so that no word serves twice), read noise from ``READ``.

All numbers are in DN. Nothing is cut at black but by ``low``: a mosaic below black keeps its
negative signal and has no shot noise.

:mod:`noisegen.kernels.expose` runs :func:`separate` on rows whose d, and whose offset of every
pixel, it has worked out before. numba compiles a version of its own for such rows, so that plain
noise pays nothing for them.
"""

from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import types
from numba.extending import overload

from noisegen.kernels import draws
from noisegen.kernels.draws import poisson_bright, poisson_dark, poisson_quantile, tukey_lambda
from noisegen.kernels.philox import (
    BLOCK,
    box_muller,
    called,
    f4,
    i4,
    inlined,
    kernel,
    philox,
    tagged,
    u4,
)
from noisegen.kernels.tiles import reflect
from noisegen.random import Field

Mosaics = npt.NDArray[np.uint16]


class Shot(IntEnum):
    """Law of the shot noise in :func:`separate`."""

    NONE = 0
    GAUSSIAN = 1
    POISSON = 2


class Read(IntEnum):
    """Law of the read noise in :func:`separate`."""

    NONE = 0
    GAUSSIAN = 1
    TUKEY_LAMBDA = 2


class Terms(NamedTuple):
    """Terms in DN, each (N, 2, 2): by parity of row and column in the part that gets noise."""

    black: npt.NDArray[np.float64]
    """Black level that is taken off the input."""
    gain: npt.NDArray[np.float64]
    """Output DN per input DN."""
    shot: npt.NDArray[np.float64]
    """Output DN per electron; 0 for no shot noise (above 0 for Poisson)."""
    read: npt.NDArray[np.float64]
    """Scale of the read noise: a standard deviation, or a Tukey-lambda scale."""
    base: npt.NDArray[np.float64]
    """Black level of the output, plus bias, plus 0.5."""
    low: npt.NDArray[np.float64]
    """Smallest code that is stored."""


_BLACK, _GAIN, _SHOT, _READ, _BASE, _LOW, _INVERSE_SHOT = range(7)
BLACK, GAIN = _BLACK, _GAIN
"""Places of two terms in the table of :func:`packed`."""

i8 = np.int64
_ZERO, _HALF = f4(0.0), f4(0.5)
_SPLIT = draws.RATE_SPLIT
_SHOT_GAUSSIAN, _SHOT_POISSON = int(Shot.GAUSSIAN), int(Shot.POISSON)
_READ_GAUSSIAN, _READ_TUKEY = int(Read.GAUSSIAN), int(Read.TUKEY_LAMBDA)


class Batch(NamedTuple):
    """Which noise goes on which mosaic, one entry a noisy mosaic of a batch."""

    source: npt.NDArray[np.int64]
    """(N,) number of the clean mosaic."""
    place: npt.NDArray[np.int64]
    """(N, 6) the part that gets noise: row and column in the mosaic, height, width, row and column
    of its first pixel in the full frame (any integers). What lies around it is its reflection."""
    sample: npt.NDArray[np.uint32]
    """(N,) counter word of the sample."""
    draw: npt.NDArray[np.uint32]
    """(N,) number of the draw, below 2**24."""
    white: npt.NDArray[np.float32]
    """(N,) largest code that is stored, at most 65535."""
    row: npt.NDArray[np.float32]
    """(N,) standard deviation of the offset of a row, DN."""


def joint(mosaics: Mosaics, out: Mosaics, terms: Terms, batch: Batch, key: tuple[int, int]) -> None:
    """Add shot and read noise as one Gaussian.

    Parameters
    ----------
    mosaics
        (M, H, W) uint16 DN, C-contiguous.
    out
        (N, H, W) uint16, written; may be ``mosaics`` where every mosaic is its own source.
    terms
        What to add.
    batch
        Which noise.
    key
        The Philox key, from :func:`noisegen.random.counter`.
    """
    table = packed(terms, squared_read=True)
    field, row_field = i8(Field.READ), i8(Field.ROW)
    _joint_batch(frozen(mosaics), out, table, *batch, *key_words(key), field, row_field)


def separate(
    mosaics: Mosaics,
    out: Mosaics,
    terms: Terms,
    batch: Batch,
    key: tuple[int, int],
    *,
    shot: Shot,
    read: Read,
    shape: npt.NDArray[np.float32],
) -> None:
    """Add shot noise and read noise drawn from fields of their own.

    Parameters
    ----------
    mosaics, out, terms, batch, key
        As in :func:`joint`.
    shot, read
        Laws of the two terms.
    shape
        (N,) λ of the Tukey-lambda law.
    """
    fields = np.array([Field.READ, Field.SHOT, Field.SHOT_DARK, Field.ROW], np.int64)
    _separate_batch(
        frozen(mosaics),
        out,
        packed(terms),
        *batch,
        *key_words(key),
        *(fields, int(shot), int(read), shape),
    )


def warm() -> None:
    """Compile the kernels, or load them from the cache, so that the first tile need not wait."""
    mosaic = np.zeros((1, 4, 4), np.uint16)
    alike = np.ones((6, 1, 2, 2))
    unlike = alike + np.arange(4).reshape(2, 2)
    words, one = np.zeros(1, np.uint32), np.ones(1, np.float32)
    batch = Batch(np.zeros(1, np.int64), np.array([[0, 0, 4, 4, 0, 0]]), words, words, one, one)
    for terms in (Terms(*alike), Terms(*unlike)):
        joint(mosaic, mosaic, terms, batch, (0, 0))
        separate(mosaic, mosaic, terms, batch, (0, 0), shot=Shot.NONE, read=Read.NONE, shape=one)


def packed(
    terms: Terms, *, squared_read: bool = False, by_column: bool = False
) -> npt.NDArray[np.float32]:
    """Return the terms as float32, by row parity and term, and by column parity unless all alike.

    Planes that differ give (N, 2, 7, 2), planes that are alike (N, 2, 7): numba compiles a kernel
    for each. Scalars leave the first-level cache to the pixels; the operations, and so the bytes,
    are the same. ``by_column`` asks for (N, 2, 7, 2) either way.
    """
    table = np.empty((len(terms.shot), 2, 7, 2), np.float32)
    for i, term in enumerate(terms):
        table[:, :, i] = term
    # In double precision first, as the other terms; no shot noise is infinitely many electrons.
    with np.errstate(divide="ignore"):
        table[:, :, _INVERSE_SHOT] = 1 / terms.shot
    if squared_read:
        table[:, :, _READ] *= table[:, :, _READ]
    if not by_column and (table == table[:, :1, :, :1]).all():
        return table[:, :, :, 0].copy()
    return table


def frozen(mosaics: Mosaics) -> Any:
    """Return a read-only view of mosaics."""
    # numba compiles anew for a read-only array; handing in nothing else leaves one version.
    view = mosaics.view()
    view.flags.writeable = False
    return view


def key_words(key: tuple[int, int]) -> tuple[Any, Any]:
    """Return a Philox key as the words that kernels take."""
    return u4(key[0]), u4(key[1])


def along(t):
    """Return the table of terms as the rows of a block read it."""
    return t


@overload(along)
def _overload_along(t):
    if t.ndim == 2:
        return lambda t: t

    def repeated(t):
        out = np.empty((2, 7, BLOCK), np.float32)
        for i in range(BLOCK):
            out[:, :, i] = t[:, :, i & 1]
        return out

    return repeated


def at(term, i):
    """Return a term at column i of a block: an array's element, or the scalar itself."""
    return term[i]


@overload(at, inline="always")
def _overload_at(term, i):
    if isinstance(term, types.Array):
        return lambda term, i: term[i]
    return lambda term, i: term


def part(x, place, r, c, n):
    """Return columns c … c + n - 1 of row r of a part.

    Codes are those of the whole mosaic, float32 rows those of the part alone; of one number a row
    it is that number.
    """
    return x[r, c : c + n]


@overload(part, inline="always")
def _overload_part(x, place, r, c, n):
    if x.ndim == 1:
        return lambda x, place, r, c, n: x[r]
    if isinstance(x.dtype, types.Float):
        return lambda x, place, r, c, n: x[r, c : c + n]
    return lambda x, place, r, c, n: x[place[0] + r, place[1] + c : place[1] + c + n]


def signal(value, black, gain):
    """Return the signal of a code; a float32 is one already."""
    return value


@overload(signal, inline="always")
def _overload_signal(value, black, gain):
    if isinstance(value, types.Float):
        return lambda value, black, gain: value
    return lambda value, black, gain: (f4(i4(value)) - black) * gain


def number(value):
    """Return a code as the kernels calculate with it; a float32 stays."""
    return value


@overload(number, inline="always")
def _overload_number(value):
    if isinstance(value, types.Float):
        return lambda value: value
    return lambda value: i4(value)


def readout(read, noisy, dual):
    """Return the scale of the read noise of the readout that a signal is taken from."""
    return read


@overload(readout, inline="always")
def _overload_readout(read, noisy, dual):
    if isinstance(dual, types.NoneType):
        return lambda read, noisy, dual: read
    return lambda read, noisy, dual: read * dual[1] if noisy > dual[0] else read


@inlined
def _joint_row(source, target, z, n, a, white, offset):
    black = a[_BLACK]
    gain = a[_GAIN]
    shot = a[_SHOT]
    read = a[_READ]
    base = a[_BASE]
    low = a[_LOW]
    high = white + _HALF
    for i in range(n):
        d = (f4(i4(source[i])) - at(black, i)) * at(gain, i)
        variance = max(d, _ZERO) * at(shot, i) + at(read, i)
        value = d + np.sqrt(variance) * z[i] + (at(base, i) + offset)
        target[i] = np.uint16(i4(min(max(value, at(low, i)), high)))


@kernel
def _joint_batch(
    x, out, terms, source, place, sample, draw, white, row, key0, key1, field, row_field
):
    for i in range(out.shape[0]):
        here = place[i]
        rows = row_offsets(here, row[i], key0, key1, tagged(row_field, draw[i]), sample[i])
        word = tagged(field, draw[i])
        _joint(x[source[i]], out[i], terms[i], white[i], rows, key0, key1, word, sample[i], here)
        reflect(out[i], here)


@called
def _joint(x, out, terms, white, rows, key0, key1, field, sample, place):
    begin, start, height, width = place[0], place[1], place[2], place[3]
    top, left = place[4], place[5]
    t = along(terms)
    u = np.empty((4, BLOCK), np.uint32)
    z = np.empty((4, BLOCK), np.float32)
    for row in range(top - (top & 3), top + height, 4):
        for c in range(0, width, BLOCK):
            n = min(BLOCK, width - c)
            philox(u, n, left + c, row >> 2, field, sample, key0, key1)
            box_muller(u, z, n)
            for k in range(max(0, top - row), min(4, top + height - row)):
                r = row + k - top
                columns = slice(start + c, start + c + n)
                source, target = x[begin + r, columns], out[begin + r, columns]
                _joint_row(source, target, z[k], n, t[r & 1], white, rows[r])


@called
def row_offsets(place, std, key0, key1, field, sample):
    """Return the offset of each row of a part: the field's normals of column 0."""
    height, top = place[2], place[4]
    rows = np.zeros(height, np.float32)
    if std > _ZERO:
        u = np.empty((4, 1), np.uint32)
        z = np.empty((4, 1), np.float32)
        for row in range(top - (top & 3), top + height, 4):
            philox(u, 1, 0, row >> 2, field, sample, key0, key1)
            box_muller(u, z, 1)
            for k in range(max(0, top - row), min(4, top + height - row)):
                rows[row + k - top] = z[k, 0] * std
    return rows


@called
def _electrons_row(source, rate, n, a):
    """Write the mean number of electrons of each pixel."""
    black = a[_BLACK]
    gain = a[_GAIN]
    inverse_shot = a[_INVERSE_SHOT]
    for i in range(n):
        d = signal(source[i], at(black, i), at(gain, i))
        rate[i] = max(d, _ZERO) * at(inverse_shot, i)


@called
def _bright_row(source, target, zs, z, n, a, white, offset, dual):
    """Finish a row whose every pixel has 16 electrons or more."""
    black = a[_BLACK]
    gain = a[_GAIN]
    shot = a[_SHOT]
    read = a[_READ]
    base = a[_BASE]
    low = a[_LOW]
    inverse_shot = a[_INVERSE_SHOT]
    high = white + _HALF
    for i in range(n):
        d = signal(source[i], at(black, i), at(gain, i))
        electrons = poisson_quantile(max(d, _ZERO) * at(inverse_shot, i), zs[i])
        noisy = electrons * at(shot, i)
        value = noisy + readout(at(read, i), noisy, dual) * z[i] + (at(base, i) + at(offset, i))
        target[i] = np.uint16(i4(min(max(value, at(low, i)), high)))


@called
def _poisson_row(source, target, electrons, z, n, a, white, offset, dual):
    black = a[_BLACK]
    gain = a[_GAIN]
    shot = a[_SHOT]
    read = a[_READ]
    base = a[_BASE]
    low = a[_LOW]
    high = white + _HALF
    for i in range(n):
        d = signal(source[i], at(black, i), at(gain, i))
        noisy = electrons[i] * at(shot, i) + min(d, _ZERO)
        value = noisy + readout(at(read, i), noisy, dual) * z[i] + (at(base, i) + at(offset, i))
        target[i] = np.uint16(i4(min(max(value, at(low, i)), high)))


@called
def _gaussian_row(source, target, zs, z, n, a, white, offset, dual):
    black = a[_BLACK]
    gain = a[_GAIN]
    shot = a[_SHOT]
    read = a[_READ]
    base = a[_BASE]
    low = a[_LOW]
    high = white + _HALF
    for i in range(n):
        d = signal(source[i], at(black, i), at(gain, i))
        noisy = d + np.sqrt(max(d, _ZERO) * at(shot, i)) * zs[i]
        value = noisy + readout(at(read, i), noisy, dual) * z[i] + (at(base, i) + at(offset, i))
        target[i] = np.uint16(i4(min(max(value, at(low, i)), high)))


@called
def _extremes(row, n):
    low = high = number(row[0])
    for i in range(n):
        value = number(row[i])
        low, high = min(low, value), max(high, value)
    return low, high


@inlined
def _rate(value, a, column):
    d = signal(value, at(a[_BLACK], column), at(a[_GAIN], column))
    return max(d, _ZERO) * at(a[_INVERSE_SHOT], column)


@kernel
def _separate_batch(
    x, out, terms, source, place, sample, draw, white, row, key0, key1, fields, shot, read, shape
):
    for i in range(out.shape[0]):
        here = place[i]
        rows = row_offsets(here, row[i], key0, key1, tagged(fields[3], draw[i]), sample[i])
        words = (
            tagged(fields[0], draw[i]), tagged(fields[1], draw[i]), tagged(fields[2], draw[i]),
        )  # fmt: skip
        separate_part(
            x[source[i]], out[i], terms[i], white[i], rows,
            key0, key1, sample[i], words, here, shot, read, shape[i], None,
        )  # fmt: skip
        reflect(out[i], here)


@called
def separate_part(
    x, out, terms, white, offsets, key0, key1, sample, words, place, shot, read, shape, dual
):
    """Add noise to a part of a mosaic; ``dual`` is the level and the ratio of a second readout."""
    read_field, bright_field, dark_field = words
    begin, start, height, width = place[0], place[1], place[2], place[3]
    top, left = place[4], place[5]
    t = along(terms)
    u = np.empty((4, BLOCK), np.uint32)
    z = np.zeros((4, BLOCK), np.float32)
    zs = np.zeros((4, BLOCK), np.float32)
    rate = np.empty(BLOCK, np.float32)
    bright = np.empty(BLOCK, np.float32)
    dark = np.empty(BLOCK, np.float32)
    dark_rate = np.empty(BLOCK, np.float32)
    word = np.empty(BLOCK, np.uint32)
    dark_place = np.empty(BLOCK, np.int32)
    p = np.empty(BLOCK, np.float32)
    total = np.empty(BLOCK, np.float32)
    least = np.empty(4, np.float32)
    most = np.empty(4, np.float32)
    for row in range(top - (top & 3), top + height, 4):
        first, stop = max(0, top - row), min(4, top + height - row)
        for c in range(0, width, BLOCK):
            n = min(BLOCK, width - c)
            column = left + c
            if read == _READ_GAUSSIAN:
                philox(u, n, column, row >> 2, read_field, sample, key0, key1)
                box_muller(u, z, n)
            elif read == _READ_TUKEY:
                philox(u, n, column, row >> 2, read_field, sample, key0, key1)
                tukey_lambda(u, shape, z, n)

            any_dark, any_bright = False, shot == _SHOT_GAUSSIAN
            if shot == _SHOT_POISSON:
                for k in range(first, stop):
                    r = row + k - top
                    low, high = _extremes(part(x, place, r, c, n), n)
                    least[k] = min(_rate(low, t[r & 1], 0), _rate(low, t[r & 1], 1))
                    most[k] = max(_rate(high, t[r & 1], 0), _rate(high, t[r & 1], 1))
                    any_dark = any_dark or least[k] < _SPLIT
                    any_bright = any_bright or most[k] >= _SPLIT
            if any_bright:
                philox(u, n, column, row >> 2, bright_field, sample, key0, key1)
                box_muller(u, zs, n)
            if any_dark:
                philox(u, n, column, row >> 2, dark_field, sample, key0, key1)

            for k in range(first, stop):
                r = row + k - top
                source, target = part(x, place, r, c, n), out[begin + r, start + c : start + c + n]
                a, offset = t[r & 1], part(offsets, place, r, c, n)
                if shot != _SHOT_POISSON:
                    _gaussian_row(source, target, zs[k], z[k], n, a, white, offset, dual)
                    continue
                if least[k] >= _SPLIT:
                    _bright_row(source, target, zs[k], z[k], n, a, white, offset, dual)
                    continue
                _electrons_row(source, rate, n, a)
                if most[k] >= _SPLIT:
                    poisson_bright(rate, zs[k], bright, n)
                if most[k] < _SPLIT:
                    poisson_dark(rate, u[k], most[k], bright, p, total, n)
                else:
                    # Few pixels of a block are dark as a rule: they are gathered and done alone.
                    few = i4(0)
                    for i in range(n):
                        if rate[i] < _SPLIT:
                            dark_place[few], dark_rate[few], word[few] = i, rate[i], u[k, i]
                            few += i4(1)
                    poisson_dark(dark_rate, word, _SPLIT, dark, p, total, few)
                    for i in range(few):
                        bright[dark_place[i]] = dark[i]
                _poisson_row(source, target, bright, z[k], n, a, white, offset, dual)
