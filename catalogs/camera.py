"""The camera: levels, noise and colour of a sensor, and what is drawn from them for a sample.

A :class:`Camera` is a frozen, picklable value made from a file (:mod:`catalogs.cameras`) or from a
raw's own tags. :meth:`Camera.draw` gives the noise of one sample, :meth:`Camera.at` that of many,
:meth:`Camera.draw_color` the colour of a sensor for pictures that have none of their own.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Literal, NamedTuple, get_args

import numpy as np

from catalogs.camera_noise import (
    G1,
    MEDIAN,
    Noise,
    Prior,
    Range,
    Regression,
    Scatter,
    Setting,
    Table,
    Terms,
    log_uniform,
)
from catalogs.color import (
    GOOGLE_MATRICES,
    DrawnColor,
    Matrix3,
    google_gains,
    google_weights,
    in_words,
    mixed,
    rows,
)
from noisegen.cfa import Phase
from noisegen.errors import InputError
from noisegen.isp.color import camera_to_xyz
from noisegen.sensor import models as noise_models
from noisegen.sensor.body import BodyFigures
from noisegen.sensor.models import NoiseModel
from noisegen.sensor.parameters import Levels, NoiseParameters, tukey_lambda_variance

__all__ = ["Camera", "ColorMatrix", "Figures", "Illuminant", "SensorState", "Source"]

Figures = Literal["declared", "calibrated", "estimated", "prior"]
"""What the noise figures are: a firmware's tags, a calibration, an estimate from few frames, or a
distribution that belongs to no camera."""

Illuminant = Literal["D65", "D55", "D50", "unknown", "A"]
"""Light that a colour matrix is for, in the order in which :meth:`Camera.draw_color` prefers it."""

LIGHT_SOURCES: dict[Illuminant, int] = {"A": 17, "D55": 20, "D65": 21, "D50": 23}
"""EXIF LightSource codes of the illuminants that have one."""

MID_GREY = 0.18
"""Normalised signal whose shot noise the signal-independent model ``awgn`` is given."""

UNIFORMS = 4
"""Uniform numbers that a sample's setting and noise are made of."""

SLACK = 5e-4
"""Relative slack of a range: its ends may be typed as they are shown, with four digits."""


@dataclass(frozen=True)
class Source:
    """Where figures come from: a paper, a repository with the path of the figures, or both."""

    figures: str
    paper: str | None = None
    repository: str | None = None
    path: str | None = None


@dataclass(frozen=True)
class ColorMatrix:
    """A published XYZ to camera matrix (DNG ColorMatrix), with the light it is for."""

    illuminant: Illuminant
    xyz_to_cam: Matrix3
    tag: str | None = None


class SensorState(NamedTuple):
    """What was drawn for one sample.

    ``iso`` is NaN where the camera has none, ``gain`` the system gain K of plane G1 in DN per
    electron after any digital gain. ``warnings`` say in a line each where figures were stretched.
    """

    iso: float
    gain: float
    parameters: NoiseParameters
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Camera:
    """A sensor as its sources describe it.

    Attributes
    ----------
    name, title
        Name in the catalogue (or the user's file's stem) and what it is.
    make, models
        EXIF make and models of the files this camera writes; for :func:`catalogs.cameras.match`.
    figures, licence, sources, note
        Class, licence and origin of the figures, and how far they hold.
    levels, bits
        Black level per plane, white level and clipping in DN, and the width of a stored code.
    cfa
        Bayer phase of the full frame.
    assumed
        Which of ``"levels"`` and ``"cfa"`` no source states: stand-ins that keep the noise right.
    read_includes
        Parts of the noise that the read figure already holds, so that none is counted twice.
    default_model
        Noise model used unless another is asked for.
    noise
        The figures, as published.
    breakpoints
        ISOs at which a gain mode begins: nothing is interpolated across them.
    max_analog_iso
        ISO above which the camera multiplies digitally.
    color_matrices, neutrals
        Published XYZ to camera matrices and recorded as-shot neutrals (R, G, B); without matrices
        Google's mixture stands in.
    body
        What the sensor's body adds to its frames, as far as it is published.
    toml
        Text of the file it was made from, so that a corpus can carry it; empty for ``as-shot``.
    """

    name: str
    title: str
    figures: Figures
    licence: str
    sources: tuple[Source, ...]
    levels: Levels
    bits: int
    cfa: Phase
    noise: Noise
    default_model: str
    note: str = ""
    make: str = ""
    models: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()
    read_includes: tuple[Literal["quantisation", "row"], ...] = ()
    breakpoints: tuple[float, ...] = ()
    max_analog_iso: float | None = None
    color_matrices: tuple[ColorMatrix, ...] = ()
    neutrals: tuple[tuple[float, float, float], ...] = ()
    body: BodyFigures = field(default_factory=BodyFigures)
    toml: str = ""

    @property
    def iso_range(self) -> Range | None:
        """Calibrated ISOs, None for a camera without ISO."""
        return self.noise.iso_range

    @property
    def gain_range(self) -> Range | None:
        """Gains K in DN/e- that may be asked for, None for a camera that is set by ISO alone."""
        return self.noise.gain_range(self.levels.span)

    @property
    def substitute(self) -> str | None:
        """``"google-mixture"`` where no colour matrix is published."""
        return None if self.color_matrices else "google-mixture"

    def check(
        self,
        *,
        model: str | None = None,
        iso: float | Range | None = None,
        gain: float | Range | None = None,
    ) -> None:
        """Refuse what this camera cannot give, before any work is done.

        Raises
        ------
        UnknownNameError
            If there is no such noise model.
        InputError
            If the model needs figures the camera does not have, or the ISO or gain is not one the
            camera can be set to.
        """
        self._check_model(noise_models.get(model or self.default_model))
        if iso is not None and gain is not None:
            raise InputError(f"camera {self.name}: ISO and gain exclude each other; give one")
        if iso is not None:
            self._check_iso(as_range("ISO", iso))
        if gain is not None:
            self._check_gain(as_range("gain", gain))

    def is_settled(
        self, *, iso: float | Range | None = None, gain: float | Range | None = None
    ) -> bool:
        """Tell whether :meth:`at` returns the same state whatever its uniform numbers are."""
        if isinstance(self.noise, Regression | Prior):
            return False  # they scatter
        between = self.iso_range
        if iso is not None:
            between = as_range("ISO", iso)
        elif gain is not None:
            between = as_range("gain", gain)
        if between is None:
            return isinstance(self.noise, Table) and len(self.noise.points) == 1
        return between[0] == between[1]

    def draw(
        self,
        rng: np.random.Generator,
        *,
        model: str | None = None,
        iso: float | Range | None = None,
        gain: float | Range | None = None,
    ) -> SensorState:
        """Draw the sensor's setting and its noise for one sample.

        Parameters
        ----------
        rng
            Source of the draws; the same state gives the same result.
        model
            Noise model, :attr:`default_model` if None. ``awgn`` gets one variance for all signals:
            the read noise plus the shot noise at mid-grey (0.18). With Tukey-lambda read noise,
            ``read`` is the variance of that law.
        iso
            An ISO, or a range to draw from log-uniformly.
        gain
            A gain K in DN/e-, or a range to draw from log-uniformly. With neither, the camera's own
            distribution: log-uniform over its calibrated range, or one of the images it was
            estimated from.

        Raises
        ------
        InputError
            As :meth:`check` does.
        """
        self.check(model=model, iso=iso, gain=gain)
        return self.at(rng.random(UNIFORMS).tolist(), model=model, iso=iso, gain=gain)

    def at(
        self,
        uniforms: Sequence[float],
        *,
        model: str | None = None,
        iso: float | Range | None = None,
        gain: float | Range | None = None,
    ) -> SensorState:
        """Return what :meth:`draw` makes of its four uniform numbers, for many samples in a row.

        Parameters
        ----------
        uniforms
            Four numbers in [0, 1): the place in the range of settings, then the scatter of the
            Gaussian read noise, the Tukey-lambda read noise and the row noise.
        model, iso, gain
            As in :meth:`draw`; they have been through :meth:`check`.
        """
        u, *others = uniforms
        if iso is not None:
            setting = Setting(iso=log_uniform(u, as_range("ISO", iso)))
        elif gain is not None:
            setting = Setting(gain=self._clamp_gain(log_uniform(u, as_range("gain", gain))))
        else:
            setting = self.noise.propose(u, self.levels.span)
        first, second, third = (_normal(max(other, _LEAST)) for other in others)
        return self._state(
            setting, noise_models.get(model or self.default_model), (first, second, third)
        )

    def typical(
        self, *, model: str | None = None, iso: float | None = None, gain: float | None = None
    ) -> SensorState:
        """Return the noise at one setting without scatter: the median of every regression.

        Raises
        ------
        InputError
            As :meth:`check` does, and if neither or both of ``iso`` and ``gain`` are given.
        """
        self.check(model=model, iso=iso, gain=gain)
        if iso is None and gain is None:
            raise InputError(f"camera {self.name}: give an ISO or a gain")
        clamped = None if gain is None else self._clamp_gain(gain)
        return self._state(
            Setting(iso, clamped), noise_models.get(model or self.default_model), MEDIAN
        )

    def draw_color(self, rng: np.random.Generator) -> DrawnColor:
        """Draw a colour matrix and white balance for a picture that has none of its own.

        The matrix is the published one, for D65 where there is a choice, else a random convex
        combination of four cameras' matrices. The gains undo a recorded neutral, one drawn where
        there are several, else are uniform: red 1.9 to 2.4, blue 1.5 to 1.9.

        References
        ----------
        T. Brooks et al., "Unprocessing Images for Learned Raw Denoising", CVPR 2019, section 3.
        """
        if self.color_matrices:
            order = get_args(Illuminant)
            chosen = min(self.color_matrices, key=lambda m: order.index(m.illuminant))
            xyz_to_cam: Matrix3 = chosen.xyz_to_cam
            description = f"matrix of {self.name} for illuminant {chosen.illuminant}"
        else:
            weights = google_weights(rng)
            xyz_to_cam = mixed(weights, GOOGLE_MATRICES)
            description = in_words(weights)
        if self.neutrals:
            i = int(rng.integers(len(self.neutrals)))
            r, g, b = self.neutrals[i]
            gains = (g / r, 1.0, g / b)
            description += f"; neutral {i + 1} of {len(self.neutrals)}"
        else:
            gains = google_gains(rng)
            description += "; gains drawn"
        return DrawnColor(rows(camera_to_xyz(xyz_to_cam)), gains, description)

    def _state(self, setting: Setting, model: NoiseModel, scatter: Scatter) -> SensorState:
        warnings = []
        digital = 1.0
        iso = setting.iso
        if iso is not None:
            base = min(iso, self.max_analog_iso or iso)
            digital = iso / base
            setting = Setting(iso=base)
            warnings = self._warnings(iso, base)
        terms = self.noise.terms(setting, self.levels.span, self.breakpoints, scatter)
        terms = terms.amplified(digital)
        gain = terms.shot[G1] * self.levels.span[G1]
        if iso is None:
            iso = self._iso_of(gain)
        return SensorState(iso, gain, self._parameters(terms, model), tuple(warnings))

    def _parameters(self, terms: Terms, model: NoiseModel) -> NoiseParameters:
        shot, read = terms.shot, terms.read
        if model.shot == "none":
            r, g1, b, g2 = (
                floor + slope * MID_GREY for floor, slope in zip(read, shot, strict=True)
            )
            shot, read = (0.0,) * 4, (r, g1, b, g2)
        tukey = model.read == "tukey-lambda"
        if tukey and terms.tukey_lambda is not None and terms.tukey_scale is not None:
            # What is recorded as read noise is the variance of what is drawn.
            read = (tukey_lambda_variance(terms.tukey_lambda) * terms.tukey_scale**2,) * 4
        return NoiseParameters(
            shot=shot,
            read=read,
            row=terms.row if terms.row and model.row else 0.0,
            tukey_lambda=terms.tukey_lambda if tukey else None,
            tukey_scale=terms.tukey_scale if tukey else None,
            bias=terms.bias if terms.bias and model.bias else (0.0,) * 4,
            read_includes=self.read_includes,
        )

    def _iso_of(self, gain: float) -> float:
        per_iso = self.noise.gain_per_iso if isinstance(self.noise, Regression) else None
        return gain / per_iso if per_iso else math.nan

    def _warnings(self, iso: float, base: float) -> list[str]:
        low, high = self.iso_range or (iso, iso)
        warnings = []
        if self.noise.constant:
            warnings.append(
                f"camera {self.name} states nearly the same noise at every ISO; "
                f"its table is used as it is at ISO {iso:g}"
            )
        if base < low * (1 - SLACK) or base > high * (1 + SLACK):
            warnings.append(
                f"ISO {iso:g} is outside the calibrated {low:g}..{high:g} of camera {self.name}; "
                "its noise is extrapolated"
            )
        if self.breakpoints and isinstance(self.noise, Regression):
            steps = ", ".join(f"{b:g}" for b in self.breakpoints)
            warnings.append(
                f"camera {self.name} changes its gain mode at ISO {steps}, "
                "which its single regression does not follow"
            )
        return warnings

    def _check_model(self, model: NoiseModel) -> None:
        missing = []
        if model.read == "tukey-lambda" and "tukey-lambda" not in self.noise.has:
            missing.append("Tukey-lambda read noise")
        if model.row and "row" not in self.noise.has:
            missing.append("row noise")
        if missing:
            raise InputError(
                f"noise model {model.name} needs figures that camera {self.name} does not have: "
                f"{' and '.join(missing)}; use --noise {self.default_model}"
            )

    def _check_iso(self, iso: Range) -> None:
        calibrated = self.iso_range
        if calibrated is None:
            raise InputError(
                f"camera {self.name} has no ISO; leave out --iso and give --gain {self._gains()}"
            )
        low, high = calibrated
        if low == high and iso != calibrated:
            raise InputError(f"camera {self.name} is known at ISO {low:g} only; leave out --iso")
        if self.noise.constant and (iso[0] < low or iso[1] > high):
            raise InputError(
                f"camera {self.name} states nearly the same noise at every ISO, which says "
                f"nothing outside {low:g}..{high:g}; give --iso within it"
            )

    def _check_gain(self, gain: Range) -> None:
        allowed = self.gain_range
        if allowed is None:
            low, high = self.iso_range or (math.nan, math.nan)
            raise InputError(
                f"camera {self.name} is set by ISO; leave out --gain and give --iso "
                f"within {low:g}..{high:g}"
            )
        low, high = allowed
        if gain[0] < low * (1 - SLACK) or gain[1] > high * (1 + SLACK):
            shown = "..".join(f"{g:g}" for g in dict.fromkeys(gain))
            raise InputError(
                f"gain {shown} DN/e- is outside what camera {self.name} is calibrated for; "
                f"give --gain {self._gains()}"
            )

    def _clamp_gain(self, gain: float) -> float:
        low, high = self.gain_range or (gain, gain)
        return min(max(gain, low), high)

    def _gains(self) -> str:
        low, high = self.gain_range or (math.nan, math.nan)
        return f"within {low:.4g}..{high:.4g} DN/e-"


_normal = NormalDist().inv_cdf
_LEAST = 2.0**-54
"""Stands in for a uniform number of zero, whose normal is infinite."""


def as_range(what: str, value: float | Range) -> Range:
    """Return both ends of a positive number or range; refuse what is neither."""
    low, high = (value, value) if isinstance(value, int | float) else value
    if not (0 < low < math.inf and 0 < high < math.inf):
        raise InputError(f"{what} {low if low <= 0 else high:g} is not a positive number")
    if low > high:
        raise InputError(f"{what} range {low:g}..{high:g} is empty; swap its ends")
    return float(low), float(high)
