"""Rows of a block of noise: from codes and random numbers to noisy codes.

A row reads its terms from a table by parity of the row, as :func:`along` lays it out. The functions
that :func:`numba.extending.overload` gives two forms keep what a row need not do out of its loop.
"""

from enum import IntEnum

import numpy as np
from numba import types
from numba.extending import overload

from noisegen.kernels.draws import RATE_SPLIT, THIRD_BELOW, poisson_gaussian, poisson_quantile
from noisegen.kernels.philox import BLOCK, called, f4, i4, inlined, unchecked


class Term(IntEnum):
    """Places of the terms in a table; the first six are those of a sensor, in DN."""

    BLACK = 0
    GAIN = 1
    SHOT = 2
    READ = 3
    BASE = 4
    LOW = 5
    INVERSE_SHOT = 6
    """Electrons per DN."""
    TOGETHER = 7
    """Variance of the read noise, electrons², where it is drawn together with the shot noise."""


BLACK, GAIN = int(Term.BLACK), int(Term.GAIN)
_BLACK, _GAIN, _SHOT, _READ, _BASE, _LOW, _INVERSE_SHOT, _TOGETHER = map(int, Term)
_ZERO, _HALF = f4(0.0), f4(0.5)


def along(t):
    """Return the table of terms as the rows of a block read it."""
    return t


@overload(along)
def _overload_along(t):
    if t.ndim == 2:
        return lambda t: t

    def repeated(t):
        out = np.empty((2, 8, BLOCK), np.float32)
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
def joint_row(source, target, z, n, a, white, offset):
    """Finish a row with one normal for shot and read noise; its term ``READ`` is squared."""
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


@called
def electrons_row(source, rate, n, a):
    """Write the mean number of electrons of each pixel."""
    black = a[_BLACK]
    gain = a[_GAIN]
    inverse_shot = a[_INVERSE_SHOT]
    for i in range(n):
        d = signal(source[i], at(black, i), at(gain, i))
        rate[i] = max(d, _ZERO) * at(inverse_shot, i)


@unchecked
def together_row(source, target, z, n, a, white, offset, dim):
    """Finish a row whose every pixel has shot and read noise of one normal.

    ``dim`` says that some of them may need its third term.
    """
    black = a[_BLACK]
    gain = a[_GAIN]
    shot = a[_SHOT]
    read = a[_READ]
    base = a[_BASE]
    low = a[_LOW]
    inverse_shot = a[_INVERSE_SHOT]
    together = a[_TOGETHER]
    high = white + _HALF
    for i in range(n):
        d = signal(source[i], at(black, i), at(gain, i))
        light, variance = max(d, _ZERO), at(read, i) * at(read, i)
        third = dim and light * at(inverse_shot, i) + at(together, i) < THIRD_BELOW
        noise = poisson_gaussian(light, at(shot, i), at(inverse_shot, i), variance, z[i], third)
        value = (d + noise) + (at(base, i) + at(offset, i))
        target[i] = np.uint16(i4(min(max(value, at(low, i)), high)))


@unchecked
def mixed_row(source, target, electrons, z, n, a, white, offset, dual):
    """Finish a row of which some pixels have shot and read noise of one normal."""
    black = a[_BLACK]
    gain = a[_GAIN]
    shot = a[_SHOT]
    read = a[_READ]
    base = a[_BASE]
    low = a[_LOW]
    inverse_shot = a[_INVERSE_SHOT]
    together = a[_TOGETHER]
    high = white + _HALF
    for i in range(n):
        d = signal(source[i], at(black, i), at(gain, i))
        light = max(d, _ZERO)
        both, variance = light * at(inverse_shot, i) + at(together, i), at(read, i) * at(read, i)
        third = both < THIRD_BELOW
        noise = poisson_gaussian(light, at(shot, i), at(inverse_shot, i), variance, z[i], third)
        noisy = electrons[i] * at(shot, i) + min(d, _ZERO)
        apart = noisy + readout(at(read, i), noisy, dual) * z[i]
        is_one = at(together, i) > _ZERO and both >= RATE_SPLIT
        value = (d + noise if is_one else apart) + (at(base, i) + at(offset, i))
        target[i] = np.uint16(i4(min(max(value, at(low, i)), high)))


@called
def bright_row(source, target, zs, z, n, a, white, offset, dual):
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
def poisson_row(source, target, electrons, z, n, a, white, offset, dual):
    """Finish a row of counted electrons."""
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
def gaussian_row(source, target, zs, z, n, a, white, offset, dual):
    """Finish a row of Gaussian shot noise, or of none."""
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
def extremes(row, n):
    """Return the least and the greatest of a row."""
    low = high = row[0]
    for i in range(n):
        value = row[i]
        low, high = min(low, value), max(high, value)
    return number(low), number(high)


@inlined
def split(value, a, column):
    """Return what is compared with the split: mean electrons, and read noise drawn with them."""
    d = signal(value, at(a[_BLACK], column), at(a[_GAIN], column))
    return max(d, _ZERO) * at(a[_INVERSE_SHOT], column) + at(a[_TOGETHER], column)


@inlined
def is_together(a, column):
    """Tell whether the plane at a column has shot and read noise of one normal."""
    return at(a[_TOGETHER], column) > _ZERO
