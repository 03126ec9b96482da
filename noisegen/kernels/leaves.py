"""Painting of dead leaves: opaque shapes laid on a canvas from front to back.

A leaf is a row of numbers (the columns are named below), so that a batch of leaves is one array
and painting it is one call. Only ``+ - * /``, square roots, comparisons, floors and 32-bit integer
hashes are used, in strict double precision, and colours become integers before they are averaged:
a canvas is the same bytes on every processor that follows IEEE 754.

References
----------
A. B. Lee, D. Mumford, J. Huang, "Occlusion models for natural images: a statistical study of a
scale-invariant dead leaves model", International Journal of Computer Vision 41, 2001.
"""

import math

import numpy as np
import numpy.typing as npt
from numba import njit

X, Y, RADIUS = 0, 1, 2
"""Centre and radius, in canvas pixels."""
COS, SIN, STRETCH = 3, 4, 5
"""Direction of the long axis, and its length over the radius (the short one is 1 / STRETCH)."""
SIDES = 6
"""Number of straight sides, 0 for none (a disc or an ellipse)."""
SHADE_COS, SHADE_SIN = 7, 8
"""Direction of the gradient from NEAR to FAR in the leaf's own axes; (0, 0): NEAR everywhere."""
NEAR, FAR = 9, 12
"""First of the three linear RGB values at either end of the gradient."""
TEXTURE = 15
"""0 none, 1 sinusoid, 2 stripes, 3 noise."""
TEXTURE_COS, TEXTURE_SIN, FREQUENCY = 16, 17, 18
"""Direction of the texture on the canvas and its frequency in cycles per canvas pixel."""
DEPTH, MIXING = 19, 20
"""Share of the texture in brightness (factor 1 ± DEPTH) and in the gradient's place (± MIXING)."""
KEY = 21
"""Integer below 2**32: phase of the sinusoid and the stripes, hash key of the noise."""
COLUMNS = 22

MAX_SIDES = 7
ONE = 1 << 18
"""The canvas's integer for 1.0."""
FINEST = 1 / 6
"""Highest frequency of the noise texture, cycles per canvas pixel."""

SINE_STEPS = 4096
# The C library's sine may differ in its last bit between processors; 30 bits of it do not.
SINE: npt.NDArray[np.float64] = np.array(
    [round(math.sin(2 * math.pi * i / SINE_STEPS) * 2**30) / 2**30 for i in range(SINE_STEPS)]
)
"""One period of the sine in :data:`SINE_STEPS` steps, rounded to 2**-30."""

_strict = njit(cache=True, nogil=True)


@njit(cache=True, nogil=True, inline="always")
def _hash(x: int, y: int, key: int) -> float:
    """Return a number in [-1, 1) from three integers (Wellons' lowbias32 as the mixer)."""
    h = np.uint32(key) ^ np.uint32(np.uint32(x) * np.uint32(0x9E3779B9))
    h = np.uint32(h ^ (h >> np.uint32(16)))
    h = np.uint32(h * np.uint32(0x7FEB352D)) ^ np.uint32(np.uint32(y) * np.uint32(0x85EBCA6B))
    h = np.uint32(h ^ (h >> np.uint32(15)))
    h = np.uint32(h * np.uint32(0x846CA68B))
    h = np.uint32(h ^ (h >> np.uint32(16)))
    return np.float64(h) * (1.0 / 2147483648.0) - 1.0


@_strict
def _noise(x: float, y: float, frequency: float, key: int) -> float:
    """Return three octaves of value noise, none finer than :data:`FINEST`, about in [-1, 1]."""
    total = 0.0
    weight = 0.75
    for octave in range(3):
        if octave and frequency > FINEST:
            break
        px = x * frequency
        py = y * frequency
        ix = math.floor(px)
        iy = math.floor(py)
        fx = px - ix
        fy = py - iy
        fx = fx * fx * (3.0 - 2.0 * fx)
        fy = fy * fy * (3.0 - 2.0 * fy)
        x0 = np.int64(ix) & 0xFFFFFFFF
        y0 = np.int64(iy) & 0xFFFFFFFF
        x1 = (x0 + 1) & 0xFFFFFFFF
        y1 = (y0 + 1) & 0xFFFFFFFF
        k = (key + octave) & 0xFFFFFFFF
        top = _hash(x0, y0, k) * (1.0 - fx) + _hash(x1, y0, k) * fx
        low = _hash(x0, y1, k) * (1.0 - fx) + _hash(x1, y1, k) * fx
        total += weight * (top * (1.0 - fy) + low * fy)
        weight *= 0.5
        frequency *= 2.0
    return total


@_strict
def _texture(kind: int, x: float, y: float, frequency: float, key: int, sine: np.ndarray) -> float:
    """Return the texture's value in [-1, 1] at (x, y) of its own axes."""
    if kind == 3:
        return _noise(x, y, frequency, key)
    phase = x * frequency + key * (1.0 / 4294967296.0)
    phase -= math.floor(phase)
    if kind == 1:
        return sine[min(int(phase * SINE_STEPS), SINE_STEPS - 1)]
    return min(max(6.0 * (4.0 * abs(phase - 0.5) - 1.0), -1.0), 1.0)


@_strict
def paint(
    leaves: np.ndarray, sides: np.ndarray, canvas: np.ndarray, free: np.ndarray, sine: np.ndarray
) -> int:
    """Lay leaves under what is already on the canvas, the first one on top.

    Parameters
    ----------
    leaves
        (n, COLUMNS) float64, a leaf a row.
    sides
        (n, MAX_SIDES, 3) float64: outward normal (in the leaf's own axes) and distance of each
        straight side, in units of the radius; rows beyond ``SIDES`` are ignored. A leaf with
        sides is the part of its ellipse inside all of them.
    canvas
        (H, W, C) int32 linear values in units of 1 / :data:`ONE`, written in place; C is 3, or 1,
        which takes the first value of each colour.
    free
        (H, W) uint8, 1 where nothing has been painted yet, written in place.
    sine
        :data:`SINE`.

    Returns
    -------
    int
        How many pixels were painted.
    """
    height, width = free.shape
    painted = 0
    for n in range(leaves.shape[0]):
        cx, cy, radius = leaves[n, X], leaves[n, Y], leaves[n, RADIUS]
        cos, sin, stretch = leaves[n, COS], leaves[n, SIN], leaves[n, STRETCH]
        # An ellipse's half width along x and y.
        along, across = radius * stretch, radius / stretch
        reach_x = math.sqrt(along * along * cos * cos + across * across * sin * sin)
        reach_y = math.sqrt(along * along * sin * sin + across * across * cos * cos)
        x0 = max(0, math.ceil(cx - reach_x))
        x1 = min(width, math.floor(cx + reach_x) + 1)
        y0 = max(0, math.ceil(cy - reach_y))
        y1 = min(height, math.floor(cy + reach_y) + 1)
        count = int(leaves[n, SIDES])
        kind = int(leaves[n, TEXTURE])
        key = int(leaves[n, KEY])
        for y in range(y0, y1):
            dy = y - cy
            for x in range(x0, x1):
                if not free[y, x]:
                    continue
                dx = x - cx
                u = (dx * cos + dy * sin) / along
                v = (dy * cos - dx * sin) / across
                if u * u + v * v > 1.0:
                    continue
                inside = True
                for k in range(count):
                    if u * sides[n, k, 0] + v * sides[n, k, 1] > sides[n, k, 2]:
                        inside = False
                        break
                if not inside:
                    continue
                place = 0.5 * (u * leaves[n, SHADE_COS] + v * leaves[n, SHADE_SIN] + 1.0)
                factor = 1.0
                if kind:
                    tx = dx * leaves[n, TEXTURE_COS] + dy * leaves[n, TEXTURE_SIN]
                    ty = dy * leaves[n, TEXTURE_COS] - dx * leaves[n, TEXTURE_SIN]
                    value = _texture(kind, tx, ty, leaves[n, FREQUENCY], key, sine)
                    place += leaves[n, MIXING] * value
                    factor += leaves[n, DEPTH] * value
                place = min(max(place, 0.0), 1.0)
                for c in range(canvas.shape[2]):
                    near = leaves[n, NEAR + c]
                    colour = factor * (near + (leaves[n, FAR + c] - near) * place)
                    canvas[y, x, c] = int(min(max(colour, 0.0), 1.0) * ONE + 0.5)
                free[y, x] = 0
                painted += 1
    return painted


@_strict
def shade(canvas: np.ndarray, shadows: np.ndarray) -> None:
    """Darken ellipses of a canvas, in place.

    Parameters
    ----------
    canvas
        (H, W, C) int32 in units of 1 / :data:`ONE`.
    shadows
        (n, 7) float64, a shadow a row: centre x and y, long and short half axis in canvas pixels,
        cosine and sine of the long axis's direction, and the share of the light that is left in its
        middle. The outer fifth of the way to the middle is penumbra.
    """
    height, width = canvas.shape[:2]
    for n in range(shadows.shape[0]):
        cx, cy, along, across, cos, sin, left = shadows[n]
        reach_x = math.sqrt(along * along * cos * cos + across * across * sin * sin)
        reach_y = math.sqrt(along * along * sin * sin + across * across * cos * cos)
        for y in range(max(0, math.ceil(cy - reach_y)), min(height, math.floor(cy + reach_y) + 1)):
            dy = y - cy
            for x in range(
                max(0, math.ceil(cx - reach_x)), min(width, math.floor(cx + reach_x) + 1)
            ):
                dx = x - cx
                u = (dx * cos + dy * sin) / along
                v = (dy * cos - dx * sin) / across
                inside = 1.0 - math.sqrt(u * u + v * v)
                if inside <= 0.0:
                    continue
                factor = 1.0 - (1.0 - left) * min(5.0 * inside, 1.0)
                for c in range(canvas.shape[2]):
                    canvas[y, x, c] = int(canvas[y, x, c] * factor + 0.5)


@_strict
def reduce_by_two(canvas: np.ndarray, out: np.ndarray) -> None:
    """Halve a canvas with the filter (1, 3, 3, 1) / 8 along both axes, without any rounding.

    Parameters
    ----------
    canvas
        (2 H + 2, 2 W + 2, C) int32 in units of 1 / :data:`ONE`, one pixel wider on each side.
    out
        (H, W, C) float32 in [0, 1], multiples of 2**-24, written in place.
    """
    height, width = out.shape[:2]
    for y in range(height):
        for x in range(width):
            for c in range(canvas.shape[2]):
                total = 0
                for j in range(4):
                    row = (
                        canvas[2 * y + j, 2 * x, c]
                        + 3 * (canvas[2 * y + j, 2 * x + 1, c] + canvas[2 * y + j, 2 * x + 2, c])
                        + canvas[2 * y + j, 2 * x + 3, c]
                    )
                    total += row if j in (0, 3) else 3 * row
                out[y, x, c] = np.float32(total) * np.float32(1.0 / (64 * ONE))
