"""A camera body: what its pixels do to light and to darkness, over a part of its frame.

Each function adds one term to an array of the part's shape, in place. A part is known by six
numbers, ``place`` as in :mod:`noisegen.kernels.tiles`, of which only its height, its width and the
row and column of its first pixel in the frame count here: a part's map is the crop of the frame's,
to the bit. :mod:`noisegen.sensor.body` says what the terms mean.

A smooth field is a quadratic B-spline over a lattice of independent standard normals, :data:`CELL`
pixels apart. With t from 0 to 1 across a cell its three weights along each axis are

    w = ((1 - t)²/2, 1/2 + t (1 - t), t²/2), divided by √(w₀² + w₁² + w₂²),

so that the field has variance 1 at every place and a continuous slope.
"""

from enum import IntEnum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from noisegen.kernels.philox import (
    BLOCK,
    box_muller,
    called,
    exp,
    f4,
    fill_normals,
    kernel,
    philox,
    tagged,
    u8,
)
from noisegen.random import BodyField, Field

Map = npt.NDArray[np.float32]

CELL_BITS = 9
CELL = 1 << CELL_BITS
"""Pixels between two nodes of a smooth field's lattice."""


class Column(IntEnum):
    """Columns of :attr:`Bodies.figures`; offsets, charge and level are in DN."""

    PRNU = 0
    """Standard deviation of the responses to light."""
    GREEN = 1
    """Four columns: standard deviation of the smooth part of them, by parity of row and column."""
    DSNU = 5
    """Standard deviation of the pixels' offsets."""
    SHADING = 6
    """Standard deviation of the smooth offset."""
    FIXED_COLUMN = 7
    """Standard deviation of the columns' offsets in all frames."""
    COLUMN = 8
    """Standard deviation of the columns' offsets in each frame."""
    FRAME = 9
    """Standard deviation of the frames' offsets."""
    HOT = 10
    """Median dark charge of a hot pixel."""
    HOT_SIGMA = 11
    """Standard deviation of its natural logarithm."""
    LEVEL = 12
    """Signal above which the low-gain readout is taken."""
    RATIO = 13
    """Its read noise over that of the other; 1 where there is one readout."""


COLUMNS = 14
"""Number of columns."""


class Bodies(NamedTuple):
    """The bodies that take the mosaics of a batch, one entry a noisy mosaic."""

    figures: npt.NDArray[np.float32]
    """(N, COLUMNS), see :class:`Column`."""
    limits: npt.NDArray[np.uint64]
    """(N, 3) words of the field ``DEFECT``: below the first a pixel is stuck at black, below the
    second it is stuck, from the third on it is hot."""
    low: npt.NDArray[np.uint16]
    """(N, 2, 2) code of a pixel that is stuck at black, by parity of row and column in the part."""
    camera: npt.NDArray[np.uint32]
    """(N,) counter word of the camera."""
    body: npt.NDArray[np.uint32]
    """(N,) number of the body, below 2**24."""
    key: npt.NDArray[np.uint32]
    """(2,) Philox key of the bodies' fields."""
    dark: npt.NDArray[np.float32]
    """(N, H, W) offsets of a dark frame, DN, where there is one; else (0, 0, 0)."""


def limits(hot: npt.ArrayLike, dead: npt.ArrayLike) -> npt.NDArray[np.uint64]:
    """Return :attr:`Bodies.limits` of the (N,) shares of hot and of dead pixels."""
    stuck = np.rint(np.asarray(dead) * 2.0**32).astype(np.uint64)
    first_hot = 2**32 - np.rint(np.asarray(hot) * 2.0**32).astype(np.uint64)
    return np.stack([stuck // 2, stuck, first_hot], axis=-1).astype(np.uint64)


def pattern(
    shape: tuple[int, int], bodies: Bodies, y: int, x: int
) -> tuple[Map, Map, Map, npt.NDArray[np.int8]]:
    """Return the fixed maps of a tile of one body: light, charge, offset and stuck pixels.

    Parameters
    ----------
    shape
        Height and width of the tile.
    bodies
        The body, N = 1.
    y, x
        Place of the tile's first pixel in the full frame, any integers.
    """
    light, charge, offset = (np.empty(shape, np.float32) for _ in range(3))
    stuck = np.zeros(shape, np.int8)
    place = np.array([0, 0, *shape, y, x], np.int64)
    _pattern(light, charge, offset, stuck, bodies, place)
    return light, charge, offset, stuck


_PRNU, _DSNU, _FIXED = int(BodyField.PRNU), int(BodyField.DSNU), int(BodyField.COLUMN)
_SHADING, _GREEN = int(BodyField.SHADING), int(BodyField.GREEN)
_DEFECT, _HOT = int(BodyField.DEFECT), int(BodyField.HOT)
_OF_COLUMN, _OF_FRAME = int(Field.COLUMN), int(Field.FRAME)
_C_PRNU, _C_GREEN, _C_DSNU, _C_SHADING = (
    int(c) for c in (Column.PRNU, Column.GREEN, Column.DSNU, Column.SHADING)
)
_C_FIXED, _C_COLUMN, _C_FRAME = (int(c) for c in (Column.FIXED_COLUMN, Column.COLUMN, Column.FRAME))
_C_HOT, _C_SIGMA = int(Column.HOT), int(Column.HOT_SIGMA)
_ZERO, _HALF, _ONE = f4(0.0), f4(0.5), f4(1.0)
_IN_CELL = f4(1 / CELL)


@called
def column_offsets(figures, place, camera, body, key0, key1):
    """Return the offset that each column of a part has in all frames of a body."""
    out = np.zeros((1, place[3]), np.float32)
    if figures[_C_FIXED] > _ZERO:
        fill_normals(out, key0, key1, tagged(_FIXED, body), camera, 0, place[5])
        for c in range(place[3]):
            out[0, c] = out[0, c] * figures[_C_FIXED]
    return out[0]


@called
def add_frame(columns, figures, place, sample, draw, key0, key1):
    """Add the offsets that the columns of a part, and the whole frame, have in one frame."""
    if figures[_C_COLUMN] > _ZERO:
        drawn = np.empty((1, place[3]), np.float32)
        fill_normals(drawn, key0, key1, tagged(_OF_COLUMN, draw), sample, 0, place[5])
        for c in range(place[3]):
            columns[c] = columns[c] + drawn[0, c] * figures[_C_COLUMN]
    if figures[_C_FRAME] > _ZERO:
        one = np.empty((1, 1), np.float32)
        fill_normals(one, key0, key1, tagged(_OF_FRAME, draw), sample, 0, 0)
        for c in range(place[3]):
            columns[c] = columns[c] + one[0, 0] * figures[_C_FRAME]


@called
def responses(light, figures, place, weights, camera, body, key0, key1):
    """Write the response to light of every pixel of a part that begins at an even row."""
    light[:] = _ONE
    if figures[_C_PRNU] > _ZERO:
        _add_normals(light, figures[_C_PRNU], place, tagged(_PRNU, body), camera, key0, key1)
    green = figures[_C_GREEN : _C_GREEN + 4]
    if green.any():
        _add_smooth(light, green, place, weights, tagged(_GREEN, body), camera, key0, key1)


@called
def add_offsets(offset, figures, place, weights, camera, body, key0, key1):
    """Add the dark offset of every pixel of a part."""
    if figures[_C_DSNU] > _ZERO:
        _add_normals(offset, figures[_C_DSNU], place, tagged(_DSNU, body), camera, key0, key1)
    if figures[_C_SHADING] > _ZERO:
        std = np.full(4, figures[_C_SHADING], np.float32)
        _add_smooth(offset, std, place, weights, tagged(_SHADING, body), camera, key0, key1)


@called
def add_charges(charge, figures, limits, place, camera, body, key0, key1):
    """Add the dark charge of the hot pixels of a part."""
    if limits[2] >> u8(32):
        return
    height, width, top, left = place[2], place[3], place[4], place[5]
    field, hot_field = tagged(_DEFECT, body), tagged(_HOT, body)
    u = np.empty((4, BLOCK), np.uint32)
    one = np.empty((4, 1), np.uint32)
    z = np.empty((4, 1), np.float32)
    for row in range(top - (top & 3), top + height, 4):
        for c in range(0, width, BLOCK):
            n = min(BLOCK, width - c)
            philox(u, n, left + c, row >> 2, field, camera, key0, key1)
            for k in range(max(0, top - row), min(4, top + height - row)):
                if not _any_from(u[k], limits[2], n):
                    continue
                r = row + k - top
                for i in range(n):
                    if u8(u[k, i]) >= limits[2]:
                        philox(one, 1, left + c + i, row >> 2, hot_field, camera, key0, key1)
                        box_muller(one, z, 1)
                        dark = figures[_C_HOT] * exp(figures[_C_SIGMA] * z[k, 0])
                        charge[r, c + i] = charge[r, c + i] + dark


@called
def stick(out, limits, low, high, place, camera, body, key0, key1):
    """Overwrite the stuck pixels of a part of ``out``, which is where ``place`` says."""
    if limits[1] == u8(0):
        return
    begin, start, height, width = place[0], place[1], place[2], place[3]
    top, left = place[4], place[5]
    field = tagged(_DEFECT, body)
    u = np.empty((4, BLOCK), np.uint32)
    for row in range(top - (top & 3), top + height, 4):
        for c in range(0, width, BLOCK):
            n = min(BLOCK, width - c)
            philox(u, n, left + c, row >> 2, field, camera, key0, key1)
            for k in range(max(0, top - row), min(4, top + height - row)):
                if not _any_below(u[k], limits[1], n):
                    continue
                r = row + k - top
                for i in range(n):
                    word = u8(u[k, i])
                    if word < limits[0]:
                        out[begin + r, start + c + i] = low[r & 1, (c + i) & 1]
                    elif word < limits[1]:
                        out[begin + r, start + c + i] = high


@called
def spline_weights(left, width):
    """Return the (3, width) weights of the columns from ``left`` on."""
    out = np.empty((3, width), np.float32)
    for c in range(width):
        _, out[0, c], out[1, c], out[2, c] = _spline(left + c)
    return out


@called
def _spline(at):
    """Return the first node and the three weights of a place on an axis."""
    t = (f4(at & (CELL - 1)) + _HALF) * _IN_CELL
    rest = _ONE - t
    w0, w1, w2 = rest * rest * _HALF, _HALF + t * rest, t * t * _HALF
    norm = np.sqrt(w0 * w0 + w1 * w1 + w2 * w2)
    return at >> CELL_BITS, w0 / norm, w1 / norm, w2 / norm


@called
def _add_normals(out, std, place, field, camera, key0, key1):
    """Add an independent normal of standard deviation ``std`` to every pixel of a part."""
    height, width, top, left = place[2], place[3], place[4], place[5]
    u = np.empty((4, BLOCK), np.uint32)
    z = np.empty((4, BLOCK), np.float32)
    for row in range(top - (top & 3), top + height, 4):
        for c in range(0, width, BLOCK):
            n = min(BLOCK, width - c)
            philox(u, n, left + c, row >> 2, field, camera, key0, key1)
            box_muller(u, z, n)
            for k in range(max(0, top - row), min(4, top + height - row)):
                _plus(out[row + k - top, c : c + n], z[k], std, n)


@called
def _add_smooth(out, std, place, weights, field, camera, key0, key1):
    """Add a smooth field, times ``std`` by parity of row and column, to a part."""
    height, width, top, left = place[2], place[3], place[4], place[5]
    first, start = top >> CELL_BITS, left >> CELL_BITS
    rows = ((top + height - 1) >> CELL_BITS) - first + 3
    columns = ((left + width - 1) >> CELL_BITS) - start + 3
    nodes = np.empty((rows, columns), np.float32)
    fill_normals(nodes, key0, key1, field, camera, first, start)
    line = np.empty(columns, np.float32)
    for r in range(height):
        node, v0, v1, v2 = _spline(top + r)
        a, b, d = nodes[node - first], nodes[node - first + 1], nodes[node - first + 2]
        for j in range(columns):
            line[j] = v0 * a[j] + v1 * b[j] + v2 * d[j]
        even, odd = std[2 * (r & 1)], std[2 * (r & 1) + 1]
        begin = 0
        while begin < width:
            j = ((left + begin) >> CELL_BITS) - start
            end = min(width, ((j + start + 1) << CELL_BITS) - left)
            _plus_smooth(out[r], weights, line[j], line[j + 1], line[j + 2], even, odd, begin, end)
            begin = end


@kernel
def _pattern(light, charge, offset, stuck, bodies, place):
    key0, key1 = bodies.key[0], bodies.key[1]
    figures, limits = bodies.figures[0], bodies.limits[0]
    camera, body = bodies.camera[0], bodies.body[0]
    weights = spline_weights(place[5], place[3])
    responses(light, figures, place, weights, camera, body, key0, key1)
    charge[:] = _ZERO
    add_charges(charge, figures, limits, place, camera, body, key0, key1)
    offset[:] = column_offsets(figures, place, camera, body, key0, key1)
    add_offsets(offset, figures, place, weights, camera, body, key0, key1)
    low = np.full((2, 2), -1, np.int8)
    stick(stuck, limits, low, np.int8(1), place, camera, body, key0, key1)


@called
def _plus(out, z, std, n):
    for i in range(n):
        out[i] = out[i] + std * z[i]


@called
def _plus_smooth(out, weights, a, b, d, even, odd, begin, end):
    for k in range(begin, end):
        smooth = weights[0, k] * a + weights[1, k] * b + weights[2, k] * d
        out[k] = out[k] + (odd if k & 1 else even) * smooth


@called
def _any_from(word, first, n):
    found = False
    for i in range(n):
        found |= u8(word[i]) >= first
    return found


@called
def _any_below(word, limit, n):
    found = False
    for i in range(n):
        found |= u8(word[i]) < limit
    return found
