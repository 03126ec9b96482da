"""Tone curves of finished pictures, forwards and backwards.

A camera bends the encoded picture before it writes it down; to get back to light, the bend is
undone first. Each family maps [0, 1] onto itself, rises everywhere, has slopes within known bounds
(:attr:`ToneCurve.slopes`) and an exact inverse. :func:`apply` and :func:`invert` take NumPy arrays
and torch tensors alike, of any shape and floating type, differentiable in torch.

References
----------
R. Li et al., "DualDn: Dual-domain Denoising via Differentiable ISP", ECCV 2024: "amplification".
T. Brooks et al., "Unprocessing Images for Learned Raw Denoising", CVPR 2019, section 3:
"smoothstep".
J. T. Barron, "A Convenient Generalization of Schlick's Bias and Gain Functions",
arXiv:2010.09714, 2020: "s-curve".
"""

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args

import numpy as np

from noisegen.errors import InputError, UnknownNameError
from noisegen.isp.transfer import FloatArray

if TYPE_CHECKING:
    import torch

Family = Literal["amplification", "smoothstep", "s-curve"]
"""Names of the families."""

FAMILIES: tuple[Family, ...] = get_args(Family)
"""A family's place in this tuple, plus one, is its code in a corpus (``params/source_tone``)."""

PIVOT = (0.1, 0.9)
"""Bounds of an s-curve's pivot."""

Values = TypeVar("Values", FloatArray, "torch.Tensor")


@dataclass(frozen=True)
class ToneCurve:
    """One tone curve.

    Attributes
    ----------
    family
        ``"amplification"``: z + s z (1 - z), applied twice, which brightens (darkens below 0).
        ``"smoothstep"``: (1 - s) z + s (3 z² - 2 z³), Google's curve at s = 1.
        ``"s-curve"``: two hyperbolas that meet at the pivot with slope 1 + 2 s, and leave 0 and
        1 with slope 1 / (1 + 2 s).
    strength
        s, from 0 (no change) to 1; down to -1 for "amplification".
    pivot
        Level that an s-curve leaves as it is, 0.1 to 0.9; the other families have none.

    Raises
    ------
    InputError
        If there is no such family, or a number leaves its range.
    """

    family: Family
    strength: float
    pivot: float = 0.5

    def __post_init__(self) -> None:
        """Check every value."""
        if self.family not in FAMILIES:
            remedy = f"there are {', '.join(FAMILIES)}"
            raise UnknownNameError("tone curve", self.family, FAMILIES, remedy)
        least = -1 if self.family == "amplification" else 0
        if not least <= self.strength <= 1:
            raise InputError(
                f"strength {self.strength} of tone curve {self.family} is outside [{least}, 1]"
            )
        if not PIVOT[0] <= self.pivot <= PIVOT[1]:
            raise InputError(f"pivot {self.pivot} of a tone curve is outside {list(PIVOT)}")

    @property
    def code(self) -> int:
        """The family's number in a corpus, from 1 on."""
        return FAMILIES.index(self.family) + 1

    @property
    def contrast(self) -> float:
        """Slope of an s-curve at its pivot."""
        return 1 + 2 * self.strength

    @property
    def slopes(self) -> tuple[float, float]:
        """Least and greatest slope on [0, 1]; the inverse's are one over them."""
        s = self.strength
        if self.family == "amplification":
            return (1 - abs(s)) ** 2, (1 + abs(s)) ** 2
        if self.family == "smoothstep":
            return 1 - s, 1 + s / 2
        return 1 / self.contrast, self.contrast


def apply(values: Values, curve: ToneCurve) -> Values:
    """Bend encoded values; those outside [0, 1] are clamped first."""
    z: Any = values.clip(0, 1)
    s = curve.strength
    if curve.family == "amplification":
        out: Values = _bend(_bend(z, s), s)
    elif curve.family == "smoothstep":
        out = z * ((1 - s) + s * z * (3 - 2 * z))
    else:
        out = _hyperbolas(z, curve.contrast, curve.pivot)
    return out.clip(0, 1)  # rounding may leave it by a last bit


def invert(values: Values, curve: ToneCurve) -> Values:
    """Undo :func:`apply`; values outside [0, 1] are clamped first."""
    y: Any = values.clip(0, 1)
    s = curve.strength
    if curve.family == "amplification":
        out: Values = _unbend(_unbend(y, s), s)
    elif curve.family == "smoothstep":
        out = _unstep(y, s)
    else:
        out = _hyperbolas(y, 1 / curve.contrast, curve.pivot)
    return out.clip(0, 1)


def _bend(z: Any, alpha: float) -> Any:
    """Return z (1 + α - α z).

    Where the slope is near 0, at black or white, the form is taken whose factors go one way: so
    does their rounded product, and no two values change their order.
    """
    light = 1 - (1 - z) * (1 - alpha * z)
    return _library(z).where(z < 0.5, z * (1 + alpha - alpha * z), light)


def _unbend(y: Any, alpha: float) -> Any:
    # The root of a z^2 - (1 + a) z + y = 0 that is 0 at y = 0, in the form without cancellation.
    if alpha == 0:
        return y
    root = _library(y).sqrt(((1 + alpha) ** 2 - 4 * alpha * y).clip(0, None))
    return 2 * y / (1 + alpha + root).clip(_library(y).finfo(y.dtype).tiny, None)


def _unstep(y: Any, s: float) -> Any:
    """Solve the cubic by its angle: with t = z - 1/2 it is (1 + s/2) t - 2 s t³ = y - 1/2.

    t = a sin θ turns it into sin 3θ = (y - 1/2) / (s a³ / 2) for a² = (2 + s) / (3 s).
    """
    if s < 1e-6:  # the angle's scale overflows at 0; what is left out here is below s²
        return y - s * y * (y * (3 - 2 * y) - 1)
    a = ((2 + s) / (3 * s)) ** 0.5
    sine = ((y - 0.5) * (2 / (s * a**3))).clip(-1, 1)
    library = _library(y)
    return 0.5 + a * library.sin(library.arcsin(sine) / 3)


def _hyperbolas(z: Any, slope: float, pivot: float) -> Any:
    """Return Barron's curve with this slope at the pivot; one over the slope gives the inverse.

    Below the pivot t it is t z / (z + slope (t - z)), above it the same turned by half a turn.
    Each half is constant in the other's domain, so that their sum is the curve without a branch.
    """
    low, high = z.clip(None, pivot), z.clip(pivot, None)
    below = pivot * low / (low + slope * (pivot - low))
    above = (1 - pivot) * (1 - high) / ((1 - high) + slope * (high - pivot))
    return below + (1 - pivot - above)


def _library(values: Any) -> Any:
    """Return the module with the functions for an array: NumPy, or torch if it is a tensor."""
    return np if isinstance(values, np.ndarray) else sys.modules["torch"]
