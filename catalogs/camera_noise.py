"""The four ways in which a camera file states its noise, and what each gives at one setting.

``table``
    Calibrated points, by ISO or, where the ISO is not known, by gain alone.
``polynomial``
    Shot and read noise as polynomials in ISO.
``regression``
    ELD's form: log-linear regressions of standard deviations on the system gain K.
``prior``
    A distribution over noise levels that belongs to no camera.

Every class is the validated ``[noise]`` section of a file and answers the same questions: the range
of ISO and of gain it covers, what to draw when nothing is asked for, and the :class:`Terms` at a
setting. Figures are kept as published; :meth:`terms` returns them normalised, in the units of
:class:`noisegen.sensor.parameters.NoiseParameters`. ``full`` is always white minus black in DN, per
plane, and the gain K is in DN per electron of plane G1.

References
----------
K. Wei et al., "A Physics-based Noise Formation Model for Extreme Low-light Raw Denoising",
CVPR 2020 (the regressions).
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import Annotated, Any, Literal, NamedTuple, Self, TypeVar

import numpy as np
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

_T = TypeVar("_T")

Planes = tuple[float, float, float, float]
"""One value a plane, in the order of :data:`noisegen.cfa.PLANES`: R, G1, B, G2."""

Range = tuple[float, float]
"""Lowest and highest value, both included."""

Scatter = tuple[float, float, float]
"""Standard normals: how far each figure lies from its median."""

MEDIAN: Scatter = (0.0, 0.0, 0.0)

G1 = 1
"""The plane whose gain stands for the camera's."""


def _spread(value: Any) -> Any:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return (value,) * 4 if is_number else value


def _ordered(value: Range) -> Range:
    if not value[0] <= value[1]:
        raise ValueError(f"the range runs from {value[0]:g} down to {value[1]:g}; swap them")
    return value


Finite = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Shape = Annotated[float, Field(gt=-0.5, lt=2, allow_inf_nan=False)]
PositivePlanes = Annotated[tuple[Positive, Positive, Positive, Positive], BeforeValidator(_spread)]
NonNegativePlanes = Annotated[
    tuple[NonNegative, NonNegative, NonNegative, NonNegative], BeforeValidator(_spread)
]
FinitePlanes = Annotated[tuple[Finite, Finite, Finite, Finite], BeforeValidator(_spread)]
PositiveRange = Annotated[tuple[Positive, Positive], AfterValidator(_ordered)]


class Section(BaseModel):
    """A section of a camera file: frozen, and no key that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)


@dataclass(frozen=True)
class Terms:
    """Noise at one setting, normalised by white minus black.

    ``shot`` and ``read`` are variance terms; ``row`` and ``tukey_scale`` are scales, None where the
    camera has no such figure; ``bias`` is the mean dark offset of each plane.
    """

    shot: Planes
    read: Planes
    row: float | None = None
    tukey_lambda: float | None = None
    tukey_scale: float | None = None
    bias: Planes | None = None

    def amplified(self, g: float) -> "Terms":
        """Return the terms after digital gain ``g``: shot scales with g, read variance with g²."""
        if g == 1:
            return self
        return Terms(
            shot=_times(self.shot, g),
            read=_times(self.read, g * g),
            row=None if self.row is None else self.row * g,
            tukey_lambda=self.tukey_lambda,
            tukey_scale=None if self.tukey_scale is None else self.tukey_scale * g,
            bias=None if self.bias is None else _times(self.bias, g),
        )


class Setting(NamedTuple):
    """What the noise depends on: an ISO or a gain in DN/e-, whichever the camera is set by."""

    iso: float | None = None
    gain: float | None = None


class Point(Section):
    """One calibrated setting of a :class:`Table`.

    Attributes
    ----------
    iso
        ISO of the point; left out in every point of a table whose ISOs are not known.
    shot
        Shot gain: slope of variance against signal.
    read, read_std
        Read variance, or its square root: exactly one.
    row
        Standard deviation of one offset per row.
    tukey_lambda, tukey_scale
        Shape and scale of the read noise's Tukey-lambda distribution.
    images
        How many images the point was found in: its weight when a setting is drawn by gain.
    """

    iso: Positive | None = None
    shot: PositivePlanes
    read: NonNegativePlanes | None = None
    read_std: NonNegativePlanes | None = None
    row: NonNegative | None = None
    tukey_lambda: Shape | None = None
    tukey_scale: Positive | None = None
    images: Annotated[int, Field(ge=1)] = 1

    @model_validator(mode="after")
    def _one_read(self) -> Self:
        if (self.read is None) == (self.read_std is None):
            raise ValueError("give either read (a variance) or read_std")
        if (self.tukey_lambda is None) != (self.tukey_scale is None):
            raise ValueError("tukey_lambda and tukey_scale belong together")
        return self

    @property
    def read_variance(self) -> Planes:
        """Read variance in the table's unit squared."""
        if self.read is not None:
            return self.read
        r, g1, b, g2 = self.read_std or _ZEROS
        return r * r, g1 * g1, b * b, g2 * g2


class Table(Section):
    """Calibrated points, interpolated in log-log between neighbours.

    ``unit`` is ``"normalised"`` (0 black, 1 white) or ``"DN"``. Between two points the logarithms
    of all variances and scales are interpolated linearly against log ISO (or log gain where there
    are no ISOs), the Tukey-lambda shape itself likewise. Beyond the ends, and up to a breakpoint,
    the line through the two nearest points of the same gain mode is continued.
    """

    kind: Literal["table"]
    unit: Literal["normalised", "DN"] = "normalised"
    points: Annotated[tuple[Point, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _sorted(self) -> Self:
        for name in ("iso", "row", "tukey_scale"):
            given = [getattr(p, name) is not None for p in self.points]
            if any(given) and not all(given):
                raise ValueError(f"{name} is given in some points only; give it in all or none")
        keys = [p.iso if p.iso is not None else p.shot[G1] for p in self.points]
        if any(b <= a for a, b in pairwise(keys)):
            what = "iso" if self.points[0].iso is not None else "shot"
            raise ValueError(f"the points must be in order of increasing {what}")
        return self

    @property
    def iso_range(self) -> Range | None:
        """Lowest and highest calibrated ISO."""
        first, last = self.points[0].iso, self.points[-1].iso
        return None if first is None or last is None else (first, last)

    def gain_range(self, full: Planes) -> Range | None:
        """Lowest and highest gain, for a table without ISOs."""
        if self.iso_range:
            return None
        unit = self._unit(full)[G1]
        low, high = (p.shot[G1] / unit * full[G1] for p in (self.points[0], self.points[-1]))
        return low, high

    @property
    def constant(self) -> bool:
        """Whether the shot gain hardly follows the ISO (less than 20 % over a factor of 2)."""
        iso = self.iso_range
        shots = [p.shot[G1] for p in self.points]
        return bool(iso and iso[1] >= 2 * iso[0] and max(shots) < 1.2 * min(shots))

    @property
    def has(self) -> frozenset[str]:
        """Names of the optional terms there are figures for."""
        first = self.points[0]
        names = {"row": first.row, "tukey-lambda": first.tukey_scale}
        return frozenset(name for name, value in names.items() if value is not None)

    def propose(self, u: float, full: Planes) -> Setting:
        """Draw a setting: ISO log-uniform, or one of the images that the points come from."""
        if self.iso_range:
            return Setting(iso=log_uniform(u, self.iso_range))
        until = list(accumulate(p.images for p in self.points))
        i = bisect_right(until, u * until[-1])
        return Setting(gain=self.points[i].shot[G1] / self._unit(full)[G1] * full[G1])

    def terms(
        self,
        setting: Setting,
        full: Planes,
        breakpoints: Sequence[float] = (),
        scatter: Scatter = MEDIAN,
    ) -> Terms:
        """Return the terms at an ISO or a gain; ``scatter`` is not used, a table has none."""
        unit = self._unit(full)
        if setting.iso is not None:
            key, mode = setting.iso, bisect_right(breakpoints, setting.iso)
            points = [p for p in self.points if p.iso and bisect_right(breakpoints, p.iso) == mode]
            keys = [p.iso or 0.0 for p in points]
        else:
            key = (setting.gain or 0.0) / full[G1] * unit[G1]
            points = list(self.points)
            keys = [p.shot[G1] for p in points]
        at = _Interpolation(key, keys)
        a, b = points[at.lower], points[at.upper]
        return Terms(
            shot=_over(at.log_planes(a.shot, b.shot), unit),
            read=_over(at.log_planes(a.read_variance, b.read_variance), _times(unit, unit)),
            row=None if a.row is None or b.row is None else at.log(a.row, b.row) / unit[G1],
            tukey_lambda=None
            if a.tukey_lambda is None or b.tukey_lambda is None
            else at.linear(a.tukey_lambda, b.tukey_lambda),
            tukey_scale=None
            if a.tukey_scale is None or b.tukey_scale is None
            else at.log(a.tukey_scale, b.tukey_scale) / unit[G1],
        )

    def modes(self, breakpoints: Sequence[float]) -> list[int]:
        """Return how many points lie in each gain mode that the breakpoints part."""
        isos = [p.iso or 0.0 for p in self.points]
        modes = np.searchsorted(breakpoints, isos, side="right")
        return [int(n) for n in np.bincount(modes, minlength=len(breakpoints) + 1)]

    def _unit(self, full: Planes) -> Planes:
        return full if self.unit == "DN" else _ONES


class Polynomial(Section):
    """Shot gain and read variance as polynomials in ISO, highest power first, as in PMRID."""

    kind: Literal["polynomial"]
    unit: Literal["normalised", "DN"] = "normalised"
    iso: PositiveRange
    shot: Annotated[tuple[Finite, ...], Field(min_length=1)]
    read: Annotated[tuple[Finite, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _physical(self) -> Self:
        grid = np.geomspace(*self.iso, 64)
        if np.any(np.polyval(self.shot, grid) <= 0) or np.any(np.polyval(self.read, grid) < 0):
            raise ValueError("shot must be positive and read not negative all over the ISO range")
        return self

    @property
    def iso_range(self) -> Range | None:
        """The ISO range that the file claims."""
        return self.iso

    def gain_range(self, full: Planes) -> Range | None:
        """None: the camera is set by ISO."""
        return None

    @property
    def constant(self) -> bool:
        """False: a polynomial follows the ISO."""
        return False

    @property
    def has(self) -> frozenset[str]:
        """Names of the optional terms there are figures for: none."""
        return frozenset()

    def propose(self, u: float, full: Planes) -> Setting:
        """Draw an ISO log-uniformly."""
        return Setting(iso=log_uniform(u, self.iso))

    def terms(
        self,
        setting: Setting,
        full: Planes,
        breakpoints: Sequence[float] = (),
        scatter: Scatter = MEDIAN,
    ) -> Terms:
        """Return the terms at an ISO; ``breakpoints`` and ``scatter`` are not used."""
        iso = setting.iso or 0.0
        unit = full if self.unit == "DN" else _ONES
        shot, read = (max(float(np.polyval(p, iso)), 0.0) for p in (self.shot, self.read))
        return Terms(shot=_over((shot,) * 4, unit), read=_over((read,) * 4, _times(unit, unit)))


class Line(Section):
    """ELD's regression: log scale ~ Normal(slope log K + bias, sigma), natural logarithms, DN."""

    slope: Finite
    bias: Finite
    sigma: NonNegative

    def scale(self, K: float, z: float) -> float:
        """Return the scale in DN at gain ``K`` for the standard normal ``z``."""
        return math.exp(self.slope * math.log(K) + self.bias + self.sigma * z)


class Regression(Section):
    """ELD's parametrisation of a camera by its system gain K.

    Attributes
    ----------
    gain
        Calibrated range of K, DN per electron; K is drawn log-uniformly from it.
    gain_per_iso
        K = gain_per_iso ISO, where a source states it; without it the camera has no ISO.
    gaussian_read
        Standard deviation of the read noise in DN.
    tukey_read
        Scale of the Tukey-lambda distribution of the read noise in DN.
    row
        Standard deviation of one offset per row in DN.
    tukey_lambda, bias
        One shape, or one (R, G1, B, G2) of mean dark offsets in DN, per calibrated step. The steps
        are taken to be evenly spaced in log K from lowest to highest, and the nearest is used: the
        shape follows the gain, and one step's figures are measured together.
    """

    kind: Literal["regression"]
    gain: PositiveRange
    gain_per_iso: Positive | None = None
    gaussian_read: Line
    tukey_read: Line | None = None
    row: Line | None = None
    tukey_lambda: tuple[Shape, ...] = ()
    bias: tuple[FinitePlanes, ...] = ()

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.tukey_read is None) != (not self.tukey_lambda):
            raise ValueError("tukey_read and tukey_lambda belong together")
        return self

    @property
    def iso_range(self) -> Range | None:
        """The gain's range as ISO, where the file maps one to the other."""
        if self.gain_per_iso is None:
            return None
        return self.gain[0] / self.gain_per_iso, self.gain[1] / self.gain_per_iso

    def gain_range(self, full: Planes) -> Range | None:
        """Return the calibrated range of K."""
        return self.gain

    @property
    def constant(self) -> bool:
        """False: everything follows K."""
        return False

    @property
    def has(self) -> frozenset[str]:
        """Names of the optional terms there are figures for."""
        names = {"row": self.row, "tukey-lambda": self.tukey_read, "bias": self.bias}
        return frozenset(name for name, value in names.items() if value)

    def propose(self, u: float, full: Planes) -> Setting:
        """Draw K log-uniformly."""
        return Setting(gain=log_uniform(u, self.gain))

    def terms(
        self,
        setting: Setting,
        full: Planes,
        breakpoints: Sequence[float] = (),
        scatter: Scatter = MEDIAN,
    ) -> Terms:
        """Return the terms at an ISO or a gain; ``scatter``: Gaussian read, Tukey-lambda, row."""
        K = setting.gain if setting.iso is None else setting.iso * (self.gain_per_iso or math.nan)
        K = K or math.nan
        read, tukey, row = scatter
        normalised = _over((self.gaussian_read.scale(K, read),) * 4, full)
        return Terms(
            shot=_over((K,) * 4, full),
            read=_times(normalised, normalised),
            row=self.row.scale(K, row) / full[G1] if self.row else None,
            tukey_lambda=self._step(self.tukey_lambda, K) if self.tukey_lambda else None,
            tukey_scale=self.tukey_read.scale(K, tukey) / full[G1] if self.tukey_read else None,
            bias=_over(self._step(self.bias, K), full) if self.bias else None,
        )

    def _step(self, steps: Sequence[_T], K: float) -> _T:
        low, high = _logs(self.gain)
        place = 0.0 if high == low else (math.log(K) - low) / (high - low)
        return steps[round(min(max(place, 0.0), 1.0) * (len(steps) - 1))]


class PriorLine(Section):
    """log read ~ Normal(slope log shot + intercept, sigma): natural logs, normalised variances."""

    slope: Finite
    intercept: Finite
    sigma: NonNegative


class Prior(Section):
    """A published distribution of noise levels: log shot uniform, log read normal about a line."""

    kind: Literal["prior"]
    shot: PositiveRange
    read: PriorLine

    @property
    def iso_range(self) -> Range | None:
        """None: a prior has no ISO."""
        return None

    def gain_range(self, full: Planes) -> Range | None:
        """Return the prior's shot range as gain at these levels."""
        return self.shot[0] * full[G1], self.shot[1] * full[G1]

    @property
    def constant(self) -> bool:
        """False: the read noise follows the shot noise."""
        return False

    @property
    def has(self) -> frozenset[str]:
        """Names of the optional terms there are figures for: none."""
        return frozenset()

    def propose(self, u: float, full: Planes) -> Setting:
        """Draw the shot gain log-uniformly."""
        return Setting(gain=log_uniform(u, self.shot) * full[G1])

    def terms(
        self,
        setting: Setting,
        full: Planes,
        breakpoints: Sequence[float] = (),
        scatter: Scatter = MEDIAN,
    ) -> Terms:
        """Return the terms at a gain; the first of ``scatter`` is that of the read noise."""
        shot = (setting.gain or math.nan) / full[G1]
        line = self.read
        read = math.exp(line.slope * math.log(shot) + line.intercept + line.sigma * scatter[0])
        return Terms(shot=(shot,) * 4, read=(read,) * 4)


Noise = Annotated[Table | Polynomial | Regression | Prior, Field(discriminator="kind")]
"""A ``[noise]`` section of any kind."""


def log_uniform(u: float, between: Range) -> float:
    """Return the number of a range whose logarithm lies ``u`` of the way up, u from 0 to 1."""
    low, high = _logs(between)
    return min(max(math.exp(low + (high - low) * u), between[0]), between[1])


@lru_cache
def _logs(between: Range) -> Range:
    # A camera draws from few ranges, once for every patch.
    return math.log(between[0]), math.log(between[1])


class _Interpolation:
    """Place of a key among increasing keys, the end intervals continued outwards.

    The key lies ``t`` of the way from ``keys[lower]`` to ``keys[upper]`` in logarithms; values at
    these two are what the methods take.
    """

    def __init__(self, key: float, keys: Sequence[float]) -> None:
        self.lower = self.upper = 0
        self.t = 0.0
        if len(keys) > 1:
            self.lower = min(max(bisect_right(keys, key) - 1, 0), len(keys) - 2)
            self.upper = self.lower + 1
            below, above = keys[self.lower], keys[self.upper]
            self.t = math.log(key / below) / math.log(above / below)

    def linear(self, a: float, b: float) -> float:
        """Interpolate the values themselves."""
        return (1 - self.t) * a + self.t * b

    def log(self, a: float, b: float) -> float:
        """Interpolate the logarithms; linear, and at least 0, where a value is 0."""
        if self.t in (0, 1):
            return b if self.t else a
        if a > 0 and b > 0:
            return math.exp((1 - self.t) * math.log(a) + self.t * math.log(b))
        return max(self.linear(a, b), 0.0)

    def log_planes(self, a: Planes, b: Planes) -> Planes:
        """Interpolate the logarithms plane by plane."""
        log = self.log
        return log(a[0], b[0]), log(a[1], b[1]), log(a[2], b[2]), log(a[3], b[3])


_ZEROS: Planes = (0.0, 0.0, 0.0, 0.0)
_ONES: Planes = (1.0, 1.0, 1.0, 1.0)


# Plain floats: on four numbers NumPy's calls cost ten times as much, for every patch.


def _times(values: Planes, by: float | Planes) -> Planes:
    r, g1, b, g2 = (by,) * 4 if isinstance(by, int | float) else by
    return values[0] * r, values[1] * g1, values[2] * b, values[3] * g2


def _over(values: Planes, by: Planes) -> Planes:
    return values[0] / by[0], values[1] / by[1], values[2] / by[2], values[3] / by[3]
