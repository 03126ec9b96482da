"""What the noise of a rendered picture is: its strength by level, its channels, its grain."""

import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from noisegen.errors import InputError

Matrix3 = tuple[tuple[float, ...], ...]
Kernel = tuple[tuple[float, ...], ...]
Floats = npt.NDArray[np.float64]

IDENTITY: Matrix3 = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
"""Mixing of channels whose noise is unrelated."""

WHITE: Kernel = ((1.0,),)
"""Kernel of noise without grain: every pixel is drawn for itself."""

LARGEST_RADIUS = 15
"""Radius of the largest kernel that is taken, in pixels."""

UNIT_TOLERANCE = 1e-3
"""How far the sums of squares that must be 1 may be off, as files hold rounded numbers."""


@dataclass(frozen=True)
class PictureNoise:
    """Gaussian noise of an sRGB picture, a function of its clean pixels.

    With the clean value c_k of channel k from 0 to 1, white Gaussian fields w_j and kernels h_j,

    z_j(p) = Σ_t h_j(t) w_j(p + t),    n_k = Σ_j M_kj z_j,    noise_k = σ_k(c_k) n_k.

    Σ_t h_j(t)² = 1 and Σ_j M_kj² = 1, so that σ is the standard deviation. Its square is linear
    between the levels of the table and constant beyond them. Rounding to the picture's codes adds
    its own 1/12 of a code squared, which σ² does not hold.

    Attributes
    ----------
    level
        (n,) clean levels of the table, increasing, from 0 (black) to 1 (white).
    std
        (3, n) σ of R, G and B at these levels, 1 is white minus black.
    mixing
        (3, 3) M: how much each channel (row) has of each field (column).
    kernels
        Three (2r + 1, 2r + 1) kernels h_j, rows first, of one radius r.

    Raises
    ------
    InputError
        If the figures do not hold together.
    """

    level: tuple[float, ...]
    std: tuple[tuple[float, ...], ...]
    mixing: Matrix3 = IDENTITY
    kernels: tuple[Kernel, ...] = (WHITE, WHITE, WHITE)

    def __post_init__(self) -> None:
        """Refuse figures that describe no noise."""
        _check_table(self.level, self.std)
        _check_mixing(self.mixing)
        _check_kernels(self.kernels)

    @property
    def radius(self) -> int:
        """Radius of the kernels in pixels; 0: no grain."""
        return len(self.kernels[0]) // 2

    def std_at(self, level: npt.ArrayLike) -> Floats:
        """Return σ at clean levels.

        Parameters
        ----------
        level
            (3, …) levels of R, G and B, from 0 to 1.

        Returns
        -------
        numpy.ndarray
            float64 of the same shape.
        """
        return np.sqrt(
            [
                np.interp(x, self.level, np.square(s))
                for x, s in zip(np.asarray(level, np.float64), self.std, strict=True)
            ]
        )

    def correlation(self, dy: int, dx: int) -> Floats:
        """Return the correlation of every channel with every channel ``dy`` rows below and ``dx``
        columns to the right: (3, 3), E[n_k(p) n_l(p + (dy, dx))]."""
        M = np.asarray(self.mixing)
        return np.asarray(M @ np.diag([_overlap(h, dy, dx) for h in self.kernels]) @ M.T)


def _overlap(kernel: Kernel, dy: int, dx: int) -> float:
    """Return the autocorrelation Σ_t h(t) h(t - (dy, dx)) of a kernel."""
    h = np.asarray(kernel)
    size = len(h)
    if max(abs(dy), abs(dx)) >= size:
        return 0.0
    here = h[max(dy, 0) : size + min(dy, 0), max(dx, 0) : size + min(dx, 0)]
    there = h[max(-dy, 0) : size + min(-dy, 0), max(-dx, 0) : size + min(-dx, 0)]
    return float((here * there).sum())


def _check_table(level: tuple[float, ...], std: tuple[tuple[float, ...], ...]) -> None:
    if not level or not all(0 <= x <= 1 for x in level):
        raise InputError(f"level: levels from 0 to 1 are needed, not {list(level)}")
    if any(b <= a for a, b in itertools.pairwise(level)):
        raise InputError("level: the levels must increase")
    if len(std) != 3 or any(len(row) != len(level) for row in std):
        counts = ", ".join(str(len(row)) for row in std)
        raise InputError(
            f"std: R, G and B need {len(level)} standard deviations each, one a level; "
            f"found {len(std)} rows of {counts}"
        )
    for value in (v for row in std for v in row):
        if not 0 <= value <= 1:
            raise InputError(f"std: a standard deviation from 0 to 1 is needed, not {value:g}")


def _check_mixing(mixing: Matrix3) -> None:
    if len(mixing) != 3 or any(len(row) != 3 for row in mixing):
        raise InputError("mixing: three rows (R, G, B) of three numbers are needed")
    for name, row in zip("RGB", mixing, strict=True):
        _check_unit(f"mixing: the squares of row {name}", row)


def _check_kernels(kernels: tuple[Kernel, ...]) -> None:
    if len(kernels) != 3:
        raise InputError(f"kernels: three are needed, one a field; found {len(kernels)}")
    size = len(kernels[0])
    if size % 2 == 0 or size > 2 * LARGEST_RADIUS + 1:
        raise InputError(
            f"kernels: an odd number of rows up to {2 * LARGEST_RADIUS + 1} is needed, not {size}"
        )
    for number, kernel in enumerate(kernels, 1):
        if len(kernel) != size or any(len(row) != size for row in kernel):
            raise InputError(f"kernels: kernel {number} is not {size} x {size}, as the first is")
        _check_unit(
            f"kernels: the squares of kernel {number}", [tap for row in kernel for tap in row]
        )


def _check_unit(what: str, values: Iterable[float]) -> None:
    total = math.fsum(v * v for v in values)
    if not abs(total - 1) <= UNIT_TOLERANCE:
        raise InputError(f"{what} must add up to 1, not to {total:.4g}")
