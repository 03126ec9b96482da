"""What the noise of a rendered picture is: its strength by level, its channels, its grain."""

import itertools
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from noisegen.errors import InputError

Kernel = tuple[tuple[tuple[tuple[float, ...], ...], ...], ...]
Floats = npt.NDArray[np.float64]
Picture = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]

WHITE: Kernel = tuple(
    tuple(((1.0 if field == channel else 0.0,),) for field in range(3)) for channel in range(3)
)
"""Kernel of noise without grain: every pixel and channel is drawn for itself."""

LARGEST_RADIUS = 15
"""Radius of the largest kernel that is taken, in pixels."""

UNIT_TOLERANCE = 1e-3
"""How far the sums of squares that must be 1 may be off, as files hold rounded numbers."""


@dataclass(frozen=True)
class PictureNoise:
    """Gaussian noise of an sRGB picture, a function of its clean pixels.

    With the clean value c_k of channel k from 0 to 1, three white Gaussian fields w_j and a kernel
    H of 3 x 3 numbers at each place t,

    n_k(p) = Σ_j Σ_t H_kj(t) w_j(p + t),    noise_k(p) = s σ_k(c_k(p)) n_k(p).

    The strength s is one number for a picture. Σ_j Σ_t H_kj(t)² = 1, so that s σ is the standard
    deviation. The square of σ is linear between the
    levels of the table and constant beyond them. Rounding to the picture's codes adds its own 1/12
    of a code squared, which σ² does not hold.

    Attributes
    ----------
    level
        (n,) clean levels of the table, increasing, from 0 (black) to 1 (white).
    std
        (3, n) σ of R, G and B at these levels, 1 is white minus black.
    kernel
        (3, 3, 2r + 1, 2r + 1) H: by channel, field, row and column.
    strength
        (m,) quantiles of s from the least to the greatest, evenly spaced in probability.

    Raises
    ------
    InputError
        If the figures do not hold together.
    """

    level: tuple[float, ...]
    std: tuple[tuple[float, ...], ...]
    kernel: Kernel = WHITE
    strength: tuple[float, ...] = (1.0,)

    def __post_init__(self) -> None:
        """Refuse figures that describe no noise."""
        _check_table(self.level, self.std)
        _check_kernel(self.kernel)
        _check_strength(self.strength)

    @property
    def radius(self) -> int:
        """Radius r of the kernel in pixels; 0: no grain."""
        return len(self.kernel[0][0]) // 2

    def draw_strength(self, rng: np.random.Generator) -> float:
        """Draw s of a picture: log-linear between its quantiles."""
        places = np.linspace(0, 1, len(self.strength))
        return math.exp(np.interp(rng.random(), places, np.log(self.strength)))

    def std_at(self, level: npt.ArrayLike) -> Floats:
        """Return σ at clean levels, of a picture of strength 1.

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
        H = np.asarray(self.kernel)
        size = H.shape[-1]
        if max(abs(dy), abs(dx)) >= size:
            return np.zeros((3, 3))
        here, there = (
            H[..., max(y, 0) : size + min(y, 0), max(x, 0) : size + min(x, 0)]
            for y, x in ((dy, dx), (-dy, -dx))
        )
        return np.asarray(np.einsum("kjyx,ljyx->kl", here, there))


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


def _check_kernel(kernel: Kernel) -> None:
    if len(kernel) != 3 or any(len(fields) != 3 for fields in kernel):
        raise InputError("kernel: 3 x 3 tables are needed, one a channel and field")
    size = len(kernel[0][0])
    if size % 2 == 0 or size > 2 * LARGEST_RADIUS + 1:
        raise InputError(
            f"kernel: an odd number of rows up to {2 * LARGEST_RADIUS + 1} is needed, not {size}"
        )
    for name, fields in zip("RGB", kernel, strict=True):
        if any(len(t) != size or any(len(row) != size for row in t) for t in fields):
            raise InputError(f"kernel: a table of {name} is not {size} x {size}, as the first is")
        total = math.fsum(tap * tap for table in fields for row in table for tap in row)
        if not abs(total - 1) <= UNIT_TOLERANCE:
            raise InputError(f"kernel: the squares of {name} must add up to 1, not to {total:.4g}")


def _check_strength(strength: tuple[float, ...]) -> None:
    if not strength or not all(0 < s < math.inf for s in strength):
        raise InputError(f"strength: numbers above 0 are needed, not {list(strength)}")
    if any(b < a for a, b in itertools.pairwise(strength)):
        raise InputError("strength: the quantiles must not decrease")
