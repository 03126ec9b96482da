"""The body of a camera: what its own pixels, columns and readouts add to every frame it takes.

Every term has a scope, which says what it is drawn of, and enters at one place. With s the light of
a pixel in DN above black (exposure applied), K the gain in DN per electron, n independent standard
normals, S smooth fields of variance 1 and [.] the rounding of the converter, a code is

    [black + N(s (1 + prnu n + green_imbalance S/2) + hot charge) + offsets], or stuck,

N being the noise model's shot and read noise (:mod:`noisegen.sensor.models`). So light that a
pixel does not collect has no shot noise, and the dark charge of a hot pixel has.

The pattern of scope "sensor" is a function of (seed, camera, body, y, x), the same in all frames of
a body; the others are functions of (seed, sample, draw) and of the column, or of nothing else.

References
----------
EMVA Standard 1288, "Standard for Characterization of Image Sensors and Cameras", release 4.0, 2021:
PRNU, DSNU, their units, and their columns.
M. Konnik, J. Welsh, "High-level numerical simulations of noise in CCD and CMOS photosensors: review
and tutorial", arXiv:1412.4031, 2014: order of the terms, log-normal dark current.
H. Feng, L. Wang, Y. Wang, H. Huang, "Learnability Enhancement for Low-light Raw Denoising: Where
Paired Real Data Meets Noise Modeling", ACM MM 2022: dark shading and black-level error.
Andor, "Zyla sCMOS Hardware Guide", section 2.4, 2021: two amplifiers a pixel, of which one is
chosen pixel by pixel with a threshold.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from noisegen.errors import InputError
from noisegen.sensor.parameters import Levels

Scope = Literal["sensor", "column", "frame", "pixel"]


HOT_SIGMA = 1.0
"""Standard deviation of the natural logarithm of a hot pixel's dark current."""


class Term(NamedTuple):
    """A term: its scope, and the figures that describe it, with unit and limits of each."""

    scope: Scope
    figures: tuple[str, ...]


class Figure(NamedTuple):
    """A figure of :class:`BodyFigures`: unit, limits and what it is."""

    unit: str
    low: float
    high: float
    description: str


FIGURES: Mapping[str, Figure] = MappingProxyType(
    {
        "prnu": Figure("1", 0, 0.1, "standard deviation of the pixels' responses to light"),
        "green_imbalance": Figure(
            "1", 0, 0.1, "standard deviation of (G1 - G2) / G, a smooth field"
        ),
        "dsnu": Figure("electron", 0, 1e4, "standard deviation of the pixels' dark offsets"),
        "dark_shading": Figure("electron", 0, 1e4, "standard deviation of a smooth dark offset"),
        "column_fpn": Figure(
            "electron", 0, 1e4, "standard deviation of the columns' offsets, the same in all frames"
        ),
        "column": Figure(
            "electron", 0, 1e4, "standard deviation of the columns' offsets, new in every frame"
        ),
        "black_level_error": Figure(
            "electron", 0, 1e4, "standard deviation of the offset of a whole frame"
        ),
        "hot_pixels": Figure("1", 0, 0.1, "share of the pixels that are hot"),
        "hot_rate": Figure("electron/s", 0, 1e9, "mean dark current of a hot pixel"),
        "dead_pixels": Figure("1", 0, 0.1, "share of the pixels that are stuck, half at white"),
        "dual_gain_level": Figure(
            "1", 0, 1, "signal, white = 1, above which the low-gain readout is taken"
        ),
        "dual_gain_ratio": Figure(
            "1", 1, 1000, "read noise of the low-gain over that of the high-gain readout"
        ),
    }
)
"""Every figure that a camera's file or a recipe may state."""

TERMS: Mapping[str, Term] = MappingProxyType(
    {
        "prnu": Term("sensor", ("prnu",)),
        "green_imbalance": Term("sensor", ("green_imbalance",)),
        "dsnu": Term("sensor", ("dsnu",)),
        "dark_shading": Term("sensor", ("dark_shading",)),
        "column_fpn": Term("sensor", ("column_fpn",)),
        "column": Term("column", ("column",)),
        "black_level_error": Term("frame", ("black_level_error",)),
        "hot_pixels": Term("sensor", ("hot_pixels", "hot_rate")),
        "dead_pixels": Term("sensor", ("dead_pixels",)),
        "dual_gain": Term("pixel", ("dual_gain_level", "dual_gain_ratio")),
    }
)
"""Every term that can be on or off, by the name that ``without`` takes."""

ELECTRONS = tuple(name for name, figure in FIGURES.items() if figure.unit == "electron")
"""Figures that grow with the gain."""

DARK_TERMS = ("dsnu", "dark_shading", "column_fpn", "column", "black_level_error", "hot_pixels")
"""Terms that dark frames hold already, as they hold read and row noise."""


@dataclass(frozen=True)
class BodyFigures:
    """What is stated of a kind of body, at any gain and exposure; 0 (or None) is off.

    :data:`FIGURES` says what each is, in which unit.

    Raises
    ------
    InputError
        If a figure is out of its limits, or half of a term is given.
    """

    prnu: float = 0.0
    green_imbalance: float = 0.0
    dsnu: float = 0.0
    dark_shading: float = 0.0
    column_fpn: float = 0.0
    column: float = 0.0
    black_level_error: float = 0.0
    hot_pixels: float = 0.0
    hot_rate: float = 0.0
    dead_pixels: float = 0.0
    dual_gain_level: float | None = None
    dual_gain_ratio: float = 1.0

    def __post_init__(self) -> None:
        """Refuse figures that describe no body."""
        for name in FIGURES:
            if getattr(self, name) is not None:
                check_figure(name, getattr(self, name))
        if self.hot_pixels and not self.hot_rate:
            raise InputError("hot_pixels needs hot_rate, the mean dark current of a hot pixel")
        if self.dual_gain_ratio > 1 and self.dual_gain_level is None:
            raise InputError("dual_gain_ratio needs dual_gain_level, where the readout changes")

    @property
    def on(self) -> tuple[str, ...]:
        """Names of the terms that do something."""
        return _on(self)

    def without(self, *terms: str) -> "BodyFigures":
        """Return the figures with some terms off."""
        nothing = BodyFigures()
        off = {figure: getattr(nothing, figure) for name in terms for figure in TERMS[name].figures}
        return replace(self, **off)

    def at(self, gain: float, levels: Levels, exposure_time: float) -> "BodyParameters":
        """Return the parameters of one exposure.

        Parameters
        ----------
        gain
            K of plane G1, DN per electron.
        levels
            Levels of the mosaic.
        exposure_time
            Seconds for which hot pixels collect their dark current.
        """
        return BodyParameters(**scaled(self, gain / levels.span[1], exposure_time))


def scaled(figures: BodyFigures, unit: Any, exposure_time: Any) -> dict[str, Any]:
    """Return the fields of :class:`BodyParameters` of one exposure, or as arrays of several.

    Parameters
    ----------
    figures
        The body at any gain.
    unit
        Gain, in normalised units per electron.
    exposure_time
        Seconds.
    """
    out = {name: value for name, value in vars(figures).items() if name != "hot_rate"}
    for name in ELECTRONS:
        out[name] = getattr(figures, name) * unit
    out["hot_charge"] = figures.hot_rate * exposure_time * unit
    return out


def check_figure(name: str, value: float) -> None:
    """Refuse a figure that is out of its limits.

    Raises
    ------
    InputError
        One line with the figure, its value, its limits and its unit.
    """
    figure = FIGURES[name]
    if not figure.low <= value <= figure.high:
        unit = "" if figure.unit == "1" else f" {figure.unit}"
        raise InputError(
            f"{name} is {figure.description}: {figure.low:g} to {figure.high:g}{unit}, not"
            f" {value:g}"
        )


@dataclass(frozen=True)
class BodyParameters:
    """A body in one exposure, normalised: 1 is white minus black of G1. 0 (or None) is off.

    Attributes
    ----------
    prnu, green_imbalance
        Standard deviation of the pixels' relative responses, and of the relative difference of
        the two greens.
    dsnu, dark_shading, column_fpn, column, black_level_error
        Standard deviations of the offsets of pixels, of a smooth map, of columns in all frames, of
        columns in each frame, and of frames.
    hot_pixels, hot_charge
        Share of the pixels that are hot, and the mean dark charge that they collect.
    dead_pixels
        Share of the pixels that are stuck: half of them at black, half at white.
    dual_gain_level, dual_gain_ratio
        Signal above which a pixel is taken from its low-gain readout, and by how much the read
        noise of that is larger.

    Raises
    ------
    InputError
        If a figure is negative or not finite, or a share or ratio is out of its limits.
    """

    prnu: float = 0.0
    green_imbalance: float = 0.0
    dsnu: float = 0.0
    dark_shading: float = 0.0
    column_fpn: float = 0.0
    column: float = 0.0
    black_level_error: float = 0.0
    hot_pixels: float = 0.0
    hot_charge: float = 0.0
    dead_pixels: float = 0.0
    dual_gain_level: float | None = None
    dual_gain_ratio: float = 1.0

    def __post_init__(self) -> None:
        """Refuse parameters that describe no body."""
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and not 0 <= value < math.inf:
                raise InputError(f"{field.name} must be finite and at least 0, not {value:g}")
        for name in ("prnu", "green_imbalance", "hot_pixels", "dead_pixels", "dual_gain_ratio"):
            check_figure(name, getattr(self, name))

    @property
    def temporal(self) -> "BodyParameters":
        """The terms that are new in every frame: what is left where the pattern is known."""
        return BodyParameters(
            column=self.column,
            black_level_error=self.black_level_error,
            dual_gain_level=self.dual_gain_level,
            dual_gain_ratio=self.dual_gain_ratio,
        )

    @property
    def pattern(self) -> tuple[str, ...]:
        """Names of the terms of scope "sensor" that are on, which need a body to be drawn from."""
        return tuple(name for name in self.on if TERMS[name].scope == "sensor")

    @property
    def on(self) -> tuple[str, ...]:
        """Names of the terms that do something."""
        return _on(self)


def check_dark(body: BodyFigures | BodyParameters) -> None:
    """Refuse terms that dark frames hold already, or that ask for read noise they do not have.

    Raises
    ------
    InputError
        If there is one.
    """
    twice = [name for name in body.on if name in (*DARK_TERMS, "dual_gain")]
    if twice:
        raise InputError(
            f"{', '.join(twice)}: dark frames bring their own dark noise; leave one of them away"
        )


def _on(body: BodyFigures | BodyParameters) -> tuple[str, ...]:
    dual = body.dual_gain_level is not None and body.dual_gain_ratio > 1
    return tuple(n for n in TERMS if (dual if n == "dual_gain" else getattr(body, n) > 0))
