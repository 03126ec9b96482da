"""RGB-IR mosaics of the Dark Vision Dataset: cells of 4x4 red, green, blue and infrared pixels.

Arrays of planes are (h, w, 16): plane p holds the pixel in row p // 4 and column p % 4 of every
cell, on the sensor's scale of 0 to 1023. Pictures are R, G, B; the published code has B, G, R.

References
----------
S. Jin et al., "DarkVisionNet: Low-Light Imaging via RGB-NIR Fusion with Deep Inconsistency Prior",
AAAI 2022, whose data code Q. Wang et al. (RFFNet, ACM Multimedia 2024) take over.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import cv2
import numpy as np
import numpy.typing as npt

Planes = npt.NDArray[np.float64]

CELL = 4
"""Side of a cell in pixels."""

WHITE = 1023.0
"""Value of a saturated pixel."""

PLANES = (
    "B1", "G21", "R2", "G23",
    "G11", "IR1", "G13", "IR3",
    "R1", "G22", "B2", "G24",
    "G12", "IR2", "G14", "IR4",
)  # fmt: skip
"""What each plane of a mosaic is."""

BAYER = (
    "B1", "G21", "B3", "G23",
    "G11", "R3", "G13", "R2",
    "B4", "G22", "B2", "G24",
    "G12", "R1", "G14", "R4",
)  # fmt: skip
"""What each plane of the frame is that is made of it: red is moved, blue and red are filled in."""

GAIN = {"B": 2.0, "G": 1.0, "R": 1.5}
"""White balance of the development."""

GAMMA = 0.45
"""Exponent of the development."""

TEST_MEAN = 5.0
"""Mean of the green planes that test pictures are darkened to."""

TRAIN_MEANS = (2.0, 20.0)
"""Between which that mean is drawn for training pictures."""

BRIGHTEST = 0.99
"""Largest factor that a training picture is darkened by; above, it is left as it is."""


class Draws(Protocol):
    """What noise is drawn from: a generator of numpy's, of either kind."""

    def normal(self, loc: float, scale: float, size: Any) -> Any:
        """Draw from a normal law."""

    def poisson(self, lam: Any) -> Any:
        """Draw from Poisson laws."""

    def uniform(self, low: float, high: float) -> float:
        """Draw evenly."""


def green_mean(planes: npt.NDArray[Any]) -> float:
    """Return the mean over pixels and over the eight green planes."""
    return float(
        np.mean([planes[..., p].mean() for p, name in enumerate(PLANES) if name[0] == "G"])
    )


def test_factor(planes: npt.NDArray[Any], mean: float = TEST_MEAN) -> float:
    """Return what a test picture is multiplied by, to a green mean of ``mean`` of 1023."""
    return mean / green_mean(planes)


def train_factor(
    planes: npt.NDArray[Any], draws: Draws, between: tuple[float, float] = TRAIN_MEANS
) -> float:
    """Return what a training picture is multiplied by, to a green mean drawn ``between`` two.

    The mean plus 10 is drawn evenly on a scale of logarithms.
    """
    low, high = (np.log(10 + mean) for mean in between)
    mean = np.exp(draws.uniform(low, high)) - 10
    factor = float(mean) / green_mean(planes)
    return factor if factor <= BRIGHTEST else 1.0


def with_noise(
    planes: npt.NDArray[Any], read: Sequence[float], shot: Sequence[float], draws: Draws
) -> Planes:
    """Return planes with their noise: ``N(0, read²) + shot Poisson(v / shot)`` in each.

    Parameters
    ----------
    planes
        (h, w, 16), not negative.
    read
        Standard deviation of each plane, on the scale of 1023.
    shot
        Value of one electron of each plane, above 0.
    draws
        Planes are gone through in their order, the normal law before the Poisson law.
    """
    noisy = np.empty(planes.shape)
    for p, (deviation, electron) in enumerate(zip(read, shot, strict=True)):
        clean = np.asarray(planes[..., p], np.float64)
        normal = draws.normal(0, deviation, clean.shape)
        noisy[..., p] = normal + electron * draws.poisson(clean / electron)
    return noisy


def constants(k: Sequence[float]) -> tuple[list[float], list[float]]:
    """Return ``read`` and ``shot`` of :func:`with_noise` for the calibrated constants of a gain.

    One constant a plane serves both: variances 16 k and 4 k v.
    """
    return [4 * float(np.sqrt(c)) for c in k], [4 * float(c) for c in k]


def to_bayer(planes: npt.NDArray[Any]) -> Planes:
    """Return the planes of a Bayer frame, :data:`BAYER`: infrared goes, its places are filled.

    Greens stay. Each captured red moves to the infrared pixel below and right of it. What misses of
    blue and red is the mean of its four neighbours of that colour, the picture mirrored at its rim.
    """
    by_name = {name: np.asarray(planes[..., p], np.float64) for p, name in enumerate(PLANES)}
    B3, B4 = _filled(by_name["B1"], by_name["B2"], mirrored=False)
    R3, R4 = _filled(by_name["R2"], by_name["R1"], mirrored=True)
    filled = by_name | {"B3": B3, "B4": B4, "R3": R3, "R4": R4}
    return np.stack([filled[name] for name in BAYER], -1)


def in_place(planes: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return (4 h, 4 w): the pixels of the planes where they lie."""
    h, w = planes.shape[:2]
    cells = planes.reshape(h, w, CELL, CELL)
    frame: npt.NDArray[Any] = cells.transpose(0, 2, 1, 3).reshape(CELL * h, CELL * w)
    return frame


def to_planes(frame: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return (h, w, 16) of (4 h, 4 w), what :func:`in_place` undoes."""
    h, w = (side // CELL for side in frame.shape)
    cells = frame.reshape(h, CELL, w, CELL).transpose(0, 2, 1, 3)
    return cells.reshape(h, w, CELL * CELL)


def develop(planes: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return the picture (4 h, 4 w, 3), R, G, B in [0, 1], of RGB-IR planes.

    White balance, 16 bits, bilinear demosaicking, a power: as published.
    """
    frame = in_place(to_bayer(planes) * [GAIN[name[0]] for name in BAYER])
    levels = (np.clip(frame, 0, WHITE) * (65535 / WHITE)).astype(np.uint16)
    bgr = cv2.cvtColor(levels, cv2.COLOR_BAYER_RG2BGR)
    picture: npt.NDArray[np.float64] = (bgr[..., ::-1] / 65535.0) ** GAMMA
    return picture


def develop_nir(planes: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return the picture (4 h, 4 w, 1) in [0, 1] of planes that are all infrared."""
    frame = in_place(np.asarray(planes, np.float64))
    picture: npt.NDArray[np.float64] = (np.clip(frame, 0, WHITE) / WHITE)[..., None] ** GAMMA
    return picture


def _filled(first: Planes, second: Planes, *, mirrored: bool) -> tuple[Planes, Planes]:
    """Return what misses on a lattice that two planes fill like the white fields of a chessboard.

    ``first`` lies at even rows and columns and ``second`` at odd ones; what is returned lies right
    of ``first`` and below it. ``mirrored`` boards have ``first`` at even rows and odd columns, and
    what is returned lies left of ``first`` and right of ``second``.
    """
    h, w = first.shape
    X = np.zeros((2 * h + 2, 2 * w + 2))
    left, right = (2, 1) if mirrored else (1, 2)
    X[1:-1:2, left : left + 2 * w - 1 : 2] = first
    X[2::2, right : right + 2 * w - 1 : 2] = second
    X[0], X[-1] = X[2], X[-3]
    X[:, 0], X[:, -1] = X[:, 2], X[:, -3]
    means = (X[:-2, 1:-1] + X[2:, 1:-1] + X[1:-1, :-2] + X[1:-1, 2:]) / 4
    one, other = (0, 1) if mirrored else (1, 0)
    return means[0::2, one::2], means[1::2, other::2]
