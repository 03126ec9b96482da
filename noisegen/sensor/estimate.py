"""The noise of a single mosaic, estimated from the mosaic itself.

Photon transfer on flat places: in each CFA plane the variance of small blocks is set against their
level, and the line variance = shot·x + read is fitted through it. What makes it hard is texture,
which also varies. So blocks are split by :mod:`noisegen.kernels.residuals` into a surface and a
residual that are independent in white noise. Those are used whose *surface* is no stronger than the
noise alone would make it, and the noise is read off their *residual*: the choice does not bias it.
Line and choice are found in turn until they agree.

What is left of the bias is fine texture in blocks without coarse texture, and it is positive: some
2 % on dead leaves, 5 to 10 % on sharp photographs of a quarter of a megapixel with the noise of a
telephone, more where a picture is textured all over. docs/source-noise.md has the measurements.

Noise that is not white is seen in part only: offsets of whole rows and columns belong to the
surface and are not counted, and a camera that reduced noise before it wrote the raw looks cleaner
than it is. Pixel-response non-uniformity is counted: it does not average out of a frame either.

References
----------
N. N. Ponomarenko et al., "An automatic approach to lossy compression of AVIRIS images", IGARSS
2007; M. Colom, A. Buades, "Analysis and extension of the Ponomarenko et al. method", IPOL 3, 2013
(blocks chosen by their low frequencies, noise read off the high ones).
A. Foi et al., "Practical Poissonian-Gaussian noise modeling and fitting for single-image raw-data",
IEEE TIP 17(10), 2008 (the line, and clipping).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from noisegen.cfa import Phase, planes
from noisegen.errors import InputError
from noisegen.sensor.batch import QUANTISATION
from noisegen.sensor.parameters import Planes

MIN_BLOCKS = 40
"""Flat blocks that a plane's estimate needs; its variance is then good to some 20 %."""

_MOST_BLOCKS = 1 << 16  # of one plane: of larger frames a part is looked at
_STRIDE = 2  # samples between blocks of four: they overlap by half

# Of the chi-square law with 9 degrees of freedom, over 9: what 30 % of flat blocks stay below. Of
# the one with 6, over 6: the median of a residual.
_SURFACE_LIMIT = 0.7103672
_RESIDUAL_MEDIAN = 0.8913535

_FIRST_SHARE = 0.1  # of the blocks of a level, the least textured ones, to begin with
_LEVELS = 32
_BLOCKS_PER_LEVEL = 32
_CLEAR = 4.0  # standard deviations that a block's level keeps from where codes are clipped
_TEXTURED = 2.0  # times the fitted variance: a level above that hardly counts
_ROUNDS = 10


class NoiseEstimate(NamedTuple):
    """Noise figures of one mosaic.

    Attributes
    ----------
    shot, read
        Of each plane (R, G1, B, G2), normalised: variance = shot·x + read, x from 0 at black to 1
        at white. ``read`` includes quantisation; it is never below its 1/12 DN².
    blocks
        Flat blocks that each plane's line was fitted to; 0 where there were too few, and the plane
        took the mean of the others.
    """

    shot: Planes
    read: Planes
    blocks: tuple[int, int, int, int]


def estimate_noise(
    mosaic: npt.NDArray[np.uint16], black: Sequence[float], white: float, phase: Phase
) -> NoiseEstimate | None:
    """Estimate shot and read noise of a mosaic from its flat places.

    Parameters
    ----------
    mosaic
        (H, W) uint16 digital numbers, not black-subtracted.
    black
        Black level of each plane (R, G1, B, G2), DN. Where no code of a plane lies below it, codes
        are taken to be clipped there.
    white
        White level, DN; codes from it on are taken to be clipped.
    phase
        CFA phase at (0, 0).

    Returns
    -------
    NoiseEstimate or None
        The same bits on any x86-64 processor; None where no plane has enough flat blocks.

    Raises
    ------
    InputError
        If the mosaic is not (H, W) uint16, or white does not lie above black.
    """
    if mosaic.ndim != 2 or mosaic.dtype != np.uint16:
        raise InputError(f"a mosaic is (H, W) uint16, not {mosaic.shape} {mosaic.dtype}")
    if len(black) != 4 or not max(black) < white:
        raise InputError(f"four black levels below white are needed, not {tuple(black)}, {white}")
    found: list[tuple[float, float, int] | None] = [None] * 4
    for (y, x), place in np.ndenumerate(planes(phase)):
        plane = int(place)
        zero = float(black[plane])
        line = _plane(mosaic, y, x, zero, white)
        if line is not None:
            span = white - zero
            found[plane] = (line[0] / span, line[1] / span**2, line[2])
    known = [line for line in found if line is not None]
    if not known:
        return None
    mean = (sum(k[0] for k in known) / len(known), sum(k[1] for k in known) / len(known), 0)
    r, g1, b, g2 = (line or mean for line in found)
    return NoiseEstimate(
        (r[0], g1[0], b[0], g2[0]), (r[1], g1[1], b[1], g2[1]), (r[2], g1[2], b[2], g2[2])
    )


def _plane(
    mosaic: npt.NDArray[np.uint16], y: int, x: int, black: float, white: float
) -> tuple[float, float, int] | None:
    """Return slope and offset of the variance against the level above black, in DN, and blocks."""
    from noisegen.kernels.residuals import split_blocks

    plane = mosaic[y::2, x::2]
    if not plane.size:
        return None
    low = black if plane.min() >= black else 0.0
    step = _STRIDE
    while plane.size > _MOST_BLOCKS * step**2:
        step += _STRIDE
    split = split_blocks(mosaic, y, x, step, int(low), int(min(np.ceil(white), 65536)))
    if split.shape[1] < MIN_BLOCKS:
        return None
    order = np.argsort(split[0], kind="stable")
    level, surface, residual = (part[order] for part in split)
    signal = level - black
    keep = _least_textured(surface)
    line: tuple[float, float] | None = None
    for _ in range(_ROUNDS):
        if np.count_nonzero(keep) < MIN_BLOCKS:
            return None
        line = _fit(signal[keep], residual[keep], line)
        variance = np.maximum(line[0] * signal + line[1], QUANTISATION)
        margin = _CLEAR * np.sqrt(variance)
        clear = (level - margin > low) & (level + margin < white)
        keep = clear & (surface <= _SURFACE_LIMIT * variance)
    assert line is not None
    return (*line, int(np.count_nonzero(keep)))


def _least_textured(surface: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Choose the flattest tenth of the blocks of each level; they are in order of their level."""
    keep = np.zeros(len(surface), np.bool_)
    for part in np.array_split(np.arange(len(surface)), _LEVELS):
        if part.size:
            rank = int(_FIRST_SHARE * part.size)
            keep[part] = surface[part] <= np.partition(surface[part], rank)[rank]
    return keep


def _fit(
    signal: npt.NDArray[np.float64],
    residual: npt.NDArray[np.float64],
    start: tuple[float, float] | None,
) -> tuple[float, float]:
    """Fit the line to the medians of the residuals at some levels, each by its own precision."""
    levels = min(_LEVELS, max(2, len(signal) // _BLOCKS_PER_LEVEL))
    count = len(signal) // levels
    x = signal[: levels * count].reshape(levels, count).mean(axis=1)
    v = np.median(residual[: levels * count].reshape(levels, count), axis=1) / _RESIDUAL_MEDIAN
    weight = 1 / np.maximum(v, QUANTISATION) ** 2
    line = start or _line(x, v, weight)
    # The precision of a variance is that of the fitted one, not of the found one; but a level that
    # lies far above the line is textured all over and must not lift it.
    for _ in range(8):
        weight = 1 / np.maximum(line[0] * x + line[1], v / _TEXTURED) ** 2
        line = _line(x, v, weight)
    return line


def _line(
    x: npt.NDArray[np.float64], v: npt.NDArray[np.float64], weight: npt.NDArray[np.float64]
) -> tuple[float, float]:
    """Return the weighted least-squares line of slope 0 or more and offset 1/12 or more."""
    total = weight.sum()
    mx, mv = (weight * x).sum() / total, (weight * v).sum() / total
    spread = (weight * (x - mx) ** 2).sum()
    slope = (weight * (x - mx) * (v - mv)).sum() / spread if spread > 0 else 0.0
    if slope <= 0:
        return 0.0, max(float(mv), QUANTISATION)
    offset = mv - slope * mx
    if offset < QUANTISATION:
        square = (weight * x * x).sum()
        slope = max((weight * x * (v - QUANTISATION)).sum() / square, 0.0) if square > 0 else 0.0
        offset = QUANTISATION
    return float(slope), float(offset)
