"""Fused sensor noise: uint16 mosaics in, noisy uint16 mosaics out, in one pass.

Both kernels take a batch of mosaics of one size and work on blocks of four rows and
:data:`~noisegen.kernels.philox.BLOCK` columns. With d = (DN - black) gain and per-plane terms of
period two in both directions they store

    clip(floor(signal + read noise + base + row offset), low, white),

where ``base`` is the black level that comes out, plus any bias, plus the half of rounding:

* :func:`joint`: shot and read noise are one normal of variance shot max(d, 0) + read², the word
  field ``READ``. The fast model.
* :func:`separate`: shot noise from the field ``SHOT`` (Poisson electrons below 16 from
  ``SHOT_DARK``, so that no word serves twice), read noise from ``READ``. Where the Gaussian read
  noise of a plane hides the steps of the count (:data:`~noisegen.kernels.draws.LEAST_READ`) and
  the variances add up to 16 electrons², both come from one normal of ``READ`` as a law of its own
  (:func:`~noisegen.kernels.draws.poisson_gaussian`).

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

from noisegen.kernels.draws import (
    LEAST_READ,
    RATE_SPLIT,
    THIRD_BELOW,
    poisson_bright,
    poisson_dark,
    tukey_lambda,
)
from noisegen.kernels.philox import BLOCK, box_muller, called, f4, i4, kernel, philox, tagged, u4
from noisegen.kernels.rows import (
    Term,
    along,
    at,
    bright_row,
    electrons_row,
    extremes,
    gaussian_row,
    is_together,
    joint_row,
    mixed_row,
    part,
    poisson_row,
    split,
    together_row,
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


i8 = np.int64
_ZERO = f4(0.0)
_READ, _INVERSE_SHOT, _TOGETHER = int(Term.READ), int(Term.INVERSE_SHOT), int(Term.TOGETHER)
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
        packed(terms, together=one_normal(shot, read)),
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


def one_normal(shot: Shot, read: Read) -> bool:
    """Tell whether shot and read noise of these laws may be drawn from one normal."""
    return shot == Shot.POISSON and read == Read.GAUSSIAN


def packed(
    terms: Terms,
    *,
    squared_read: bool = False,
    by_column: bool = False,
    together: bool | npt.NDArray[np.bool_] = False,
) -> npt.NDArray[np.float32]:
    """Return the terms as float32, by row parity and term, and by column parity unless all alike.

    Planes that differ give (N, 2, 8, 2), planes that are alike (N, 2, 8): numba compiles a kernel
    for each. Scalars leave the first-level cache to the pixels; the operations, and so the bytes,
    are the same. ``by_column`` asks for (N, 2, 8, 2) either way. ``together``, one for all or (N,),
    says for which mosaics :attr:`~noisegen.kernels.rows.Term.TOGETHER` may be.
    """
    table = np.zeros((len(terms.shot), 2, 8, 2), np.float32)
    for i, term in enumerate(terms):
        table[:, :, i] = term
    # In double precision first, as the other terms; no shot noise is infinitely many electrons.
    with np.errstate(divide="ignore"):
        table[:, :, _INVERSE_SHOT] = 1 / terms.shot
    if np.any(together):
        electrons = np.square(terms.read / terms.shot)
        may = np.reshape(together, (-1, 1, 1)) & (electrons >= LEAST_READ)
        table[:, :, _TOGETHER] = np.where(may, electrons, 0)
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
                joint_row(source, target, z[k], n, t[r & 1], white, rows[r])


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
    counts = np.zeros(BLOCK, np.float32)
    dark = np.empty(BLOCK, np.float32)
    dark_rate = np.empty(BLOCK, np.float32)
    word = np.empty(BLOCK, np.uint32)
    dark_place = np.empty(BLOCK, np.int32)
    p = np.empty(BLOCK, np.float32)
    total = np.empty(BLOCK, np.float32)
    least = np.empty(4, np.float32)
    most = np.empty(4, np.float32)
    # By row parity: whether both planes, and whether either, have shot and read noise together.
    together = np.empty(2, np.bool_)
    some = np.empty(2, np.bool_)
    for parity in range(2):
        first, second = is_together(t[parity], 0), is_together(t[parity], 1)
        together[parity], some[parity] = first and second, first or second
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
                    a = t[r & 1]
                    low, high = extremes(part(x, place, r, c, n), n)
                    least[k] = min(split(low, a, 0), split(low, a, 1))
                    most[k] = max(split(high, a, 0), split(high, a, 1))
                    any_dark = any_dark or least[k] < RATE_SPLIT
                    any_bright = any_bright or (most[k] >= RATE_SPLIT and not together[r & 1])
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
                    gaussian_row(source, target, zs[k], z[k], n, a, white, offset, dual)
                    continue
                if least[k] >= RATE_SPLIT and together[r & 1]:
                    dim = least[k] < THIRD_BELOW
                    together_row(source, target, z[k], n, a, white, offset, dim)
                    continue
                if least[k] >= RATE_SPLIT and not some[r & 1]:
                    bright_row(source, target, zs[k], z[k], n, a, white, offset, dual)
                    continue
                electrons_row(source, rate, n, a)
                if most[k] < RATE_SPLIT:
                    poisson_dark(rate, u[k], most[k], counts, p, total, n)
                    poisson_row(source, target, counts, z[k], n, a, white, offset, dual)
                    continue
                if not together[r & 1]:
                    poisson_bright(rate, zs[k], counts, n)
                # Few pixels of a block are dark as a rule: they are gathered and done alone.
                few = i4(0)
                for i in range(n):
                    if rate[i] + at(a[_TOGETHER], i) < RATE_SPLIT:
                        dark_place[few], dark_rate[few], word[few] = i, rate[i], u[k, i]
                        few += i4(1)
                poisson_dark(dark_rate, word, RATE_SPLIT, dark, p, total, few)
                for i in range(few):
                    counts[dark_place[i]] = dark[i]
                if some[r & 1]:
                    mixed_row(source, target, counts, z[k], n, a, white, offset, dual)
                else:
                    poisson_row(source, target, counts, z[k], n, a, white, offset, dual)
