"""What a noise model needs to know of a camera: its levels and its noise figures."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from noisegen.errors import InputError

Planes = tuple[float, float, float, float]
"""One number for each plane R, G1, B, G2."""

_ZETA_3 = 1.2020569031595942

Included = Literal["quantisation", "row"]
"""A term that measured read noise may already contain."""


@dataclass(frozen=True)
class Levels:
    """Black and white of a mosaic, in digital numbers.

    Attributes
    ----------
    black
        Black level of each plane (R, G1, B, G2); fractions are allowed.
    white
        Largest code, at most 65535.
    clips_at
        Where small codes are cut: ``"adc"`` at 0, as cameras do; ``"black"`` at the black level,
        as DualDn's published mosaics are.

    Raises
    ------
    InputError
        If the levels do not hold together.
    """

    black: Planes
    white: float
    clips_at: Literal["adc", "black"] = "adc"

    def __post_init__(self) -> None:
        """Refuse levels that no mosaic can have."""
        _check_planes("black level", self.black, lowest=0)
        if not max(self.black) < self.white <= 65535:
            raise InputError(
                f"white level {self.white:g} must lie above the black level"
                f" {max(self.black):g} and at most at 65535"
            )
        if self.clips_at not in ("adc", "black"):
            raise InputError(f"clips_at is 'adc' or 'black', not {self.clips_at!r}")

    @cached_property
    def span(self) -> Planes:
        """White minus black of each plane, DN: what 1.0 of a normalised quantity is."""
        r, g1, b, g2 = (self.white - black for black in self.black)
        return r, g1, b, g2


@dataclass(frozen=True)
class NoiseParameters:
    """Noise figures of one exposure, normalised: 1 is white minus black of the plane.

    Attributes
    ----------
    shot
        Shot gain of each plane: variance per unit of signal. In DN per electron it is
        ``shot * (white - black)``.
    read
        Variance of the Gaussian read noise of each plane.
    row
        Standard deviation of one offset per row (unit: white minus black of G1).
    tukey_lambda, tukey_scale
        Shape and scale of Tukey-lambda read noise; both or neither. The shape lies above -1/2,
        where the variance is finite.
    bias
        Mean dark offset of each plane.
    read_includes
        Terms that ``read`` already contains because it was measured on stored frames: they are
        taken off it when the model adds them itself, so that nothing counts twice.

    Raises
    ------
    InputError
        If a figure is negative, not finite, or half given.
    """

    shot: Planes
    read: Planes
    row: float = 0.0
    tukey_lambda: float | None = None
    tukey_scale: float | None = None
    bias: Planes = (0.0, 0.0, 0.0, 0.0)
    read_includes: tuple[Included, ...] = ()

    def __post_init__(self) -> None:
        """Refuse figures that describe no noise."""
        _check_planes("shot gain", self.shot, lowest=0)
        _check_planes("read variance", self.read, lowest=0)
        _check_planes("bias", self.bias)
        if not 0 <= self.row < math.inf:
            raise InputError(f"row noise is a standard deviation of at least 0, not {self.row:g}")
        if (self.tukey_lambda is None) != (self.tukey_scale is None):
            raise InputError("give tukey_lambda and tukey_scale together, or neither")
        if self.tukey_lambda is not None and not -0.5 < self.tukey_lambda < math.inf:
            raise InputError(
                f"tukey_lambda {self.tukey_lambda:g} has no finite variance; give one above -0.5"
            )
        if self.tukey_scale is not None and not 0 <= self.tukey_scale < math.inf:
            raise InputError(f"tukey_scale must be at least 0, not {self.tukey_scale:g}")
        for term in self.read_includes:
            if term not in ("quantisation", "row"):
                raise InputError(f"read_includes names 'quantisation' and 'row', not {term!r}")


def tukey_lambda_variance(shape: float) -> float:
    """Return the variance of Tukey's lambda law of scale 1; the shape lies above -1/2.

    2/λ² (1/(1 + 2λ) - Γ(λ + 1)²/Γ(2λ + 2)); around λ = 0, where that form cancels, the line
    π²/3 - (2π²/3 + 4ζ(3)) λ through the logistic law.
    """
    if abs(shape) < 1e-4:
        return math.pi**2 / 3 - (2 * math.pi**2 / 3 + 4 * _ZETA_3) * shape
    gamma = math.exp(2 * math.lgamma(shape + 1) - math.lgamma(2 * shape + 2))
    return 2 / shape**2 * (1 / (1 + 2 * shape) - gamma)


def _check_planes(what: str, values: Planes, lowest: float = -math.inf) -> None:
    if len(values) != 4:
        raise InputError(f"{what} needs four numbers (R, G1, B, G2), not {len(values)}")
    for value in values:
        if not (math.isfinite(value) and value >= lowest):
            bound = "" if lowest == -math.inf else f" and at least {lowest:g}"
            raise InputError(f"{what} must be finite{bound}, not {value:g}")
