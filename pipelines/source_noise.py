"""The noise of the clean pictures themselves: found, and set against the noise that is put on.

A patch's decision is a function of the recipe, the numbers of image and patch, and the image's own
noise. It does not depend on the shard or the worker that makes the patch.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from catalogs import cameras
from noisegen.cfa import PLANES
from noisegen.errors import InputError
from noisegen.raw import RawMetadata
from noisegen.sensor import Figures, Levels, estimate_noise, variances
from noisegen.sensor import models as noise_models
from noisegen.sensor.batch import QUANTISATION, Variances
from noisegen.sensor.parameters import Planes
from pipelines.develop import Sensor, recorded
from pipelines.recipe import Recipe
from pipelines.tables.source_noise import SourceNoise

Origin = Literal["unknown", "profile", "catalog", "estimate"]

ORIGINS: tuple[Origin, ...] = get_args(Origin)
"""Where figures come from; ``params/source_origin`` holds a place in this tuple."""

ESTIMATED = ("reject", "top-up")
"""Policies that need the figures."""

_NAN: Planes = (math.nan,) * 4


@dataclass(frozen=True)
class OwnNoise:
    """Noise figures of a picture as it was read.

    Attributes
    ----------
    shot, read
        Of each plane (R, G1, B, G2), normalised: variance = shot·x + read, x from 0 at black to 1
        at white; NaN where they are not known.
    origin
        Where they come from.
    """

    shot: Planes
    read: Planes
    origin: Origin

    @property
    def is_known(self) -> bool:
        """Whether there are figures."""
        return self.origin != "unknown"

    def averaged(self, samples: int) -> "OwnNoise":
        """Return that of means of so many samples."""
        r, g1, b, g2 = (v / samples for v in self.shot)
        dark = tuple(v / samples for v in self.read)
        return OwnNoise((r, g1, b, g2), (dark[0], dark[1], dark[2], dark[3]), self.origin)

    def rounded(self, levels: Levels) -> "OwnNoise":
        """Return that after rounding to whole codes of some levels."""
        r, g1, b, g2 = (
            v + QUANTISATION / span**2 for v, span in zip(self.read, levels.span, strict=True)
        )
        return OwnNoise(self.shot, (r, g1, b, g2), self.origin)


UNKNOWN = OwnNoise(_NAN, _NAN, "unknown")
"""Of pictures, and of raw files that do not tell."""


def find(mosaic: npt.NDArray[np.uint16], raw: RawMetadata, table: SourceNoise) -> OwnNoise:
    """Return a raw file's own noise.

    It is what the file states (NoiseProfile), else what the catalog has for its model at its ISO,
    else what :func:`noisegen.sensor.estimate_noise` finds in the mosaic. The estimate is made for
    ``reject`` and ``top-up`` alone: nothing else depends on it.
    """
    own = _stated(raw) or _catalogued(raw)
    if own is None and table.policy in ESTIMATED:
        found = estimate_noise(mosaic, raw.black_level, raw.white_level, raw.cfa)
        own = found and OwnNoise(found.shot, found.read, "estimate")
    return own or UNKNOWN


def too_strong(
    own: OwnNoise, rows: npt.NDArray[np.void], levels: Levels, sensor: Sensor, recipe: Recipe
) -> npt.NDArray[np.bool_]:
    """Tell for which exposures the picture's own noise is more than the policy lets pass.

    Both variances are lines over the level x. One is at most a share of the other at every level
    from black to white exactly if it is so at both ends. The noisy picture's is taken at the scale
    of the clean one, which had ``exposure_ratio`` times as much light.

    Parameters
    ----------
    own
        The picture's own noise, known.
    rows
        (n,) rows of the parameter table, whose noise and exposure ratio are drawn.
    levels
        The target camera's.
    sensor, recipe
        Say which terms are drawn, and how much is let pass.

    Returns
    -------
    (n,) bool
        True in exposures that the picture is too noisy for.
    """
    span, put_on = _put_on(rows, levels, recorded(sensor, recipe))
    ratio = rows["exposure_ratio"][:, None]
    at_black = ratio**2 * put_on.dark
    at_white = ratio * put_on.shot * span + at_black
    shot, read = np.array(own.shot) * span**2, np.array(own.read) * span**2
    most = recipe.source_noise.max_share
    return np.asarray(((read > most * at_black) | (shot + read > most * at_white)).any(axis=1))


def check_top_up(
    present: OwnNoise,
    lowest: tuple[float, ...],
    rows: npt.NDArray[np.void],
    levels: Levels,
    sensor: Sensor,
) -> None:
    """Refuse a picture whose own noise is above the camera's anywhere in it.

    The difference of two lines is at least 0 from the lowest level on if it is so there and does
    not fall. A falling one, whose shot noise would be negative, is refused at any level.

    Parameters
    ----------
    present
        Noise of the clean mosaic at the camera's levels, known.
    lowest
        Lowest x of each plane in the whole picture.
    rows
        (n,) rows of the parameter table, whose noise and exposure ratio are drawn.
    levels, sensor
        The camera's.

    Raises
    ------
    InputError
        One line, without the picture's name.
    """
    span, put_on = _put_on(rows, levels, sensor)
    ratio = rows["exposure_ratio"][:, None]
    # The exposed mosaic has 1/ratio of the light, and 1/ratio² of the variance.
    slope = put_on.shot - np.array(present.shot) * span / ratio
    offset = put_on.read - np.array(present.read) * (span / ratio) ** 2
    # What a body adds is light, not variance, so that nothing is taken off it.
    least = np.zeros(4) if sensor.body.on else np.maximum(lowest, 0)
    signal = least * span / ratio
    difference = np.where(slope < 0, slope * span, slope * signal + offset)
    if (difference >= 0).all():
        return
    worst = int((difference / span**2).min(axis=1).argmin())
    plane = int((difference / span**2)[worst].argmin())
    iso, gain = float(rows["iso"][worst]), float(rows["gain"][worst])
    setting = f"gain {gain:.4g} DN/e-" if math.isnan(iso) else f"ISO {iso:.4g}"
    falls = slope[worst, plane] < 0
    where = "its shot noise" if falls else f"its variance at x = {least[plane]:.3g}"
    raise InputError(
        f"top-up cannot take noise away: {where} in plane {PLANES[plane]} is above the camera's at "
        f"{setting}; raise --{'gain' if math.isnan(iso) else 'iso'}, or use --source-noise reject"
    )


def unused(table: SourceNoise, kinds: Collection[str]) -> str:
    """Say in a line that a policy found nothing to do; empty where it did.

    ``kinds`` are those of a run's images, as in ``catalogs.sources``.
    """
    if table.policy not in ("top-up", "bin2") or not kinds or "mosaic" in kinds:
        return ""
    return (
        f"source_noise '{table.policy}' is for raw files, and no image of this run is one: it "
        "changed nothing"
    )


def _put_on(
    rows: npt.NDArray[np.void], levels: Levels, sensor: Sensor
) -> tuple[npt.NDArray[np.float64], Variances]:
    """Return (n, 4) white minus black, and the variances that some exposures have."""
    span = np.tile(np.array(levels.span), (len(rows), 1))
    figures = Figures(*(rows[name] for name in Figures._fields))
    model = noise_models.get(sensor.model)
    return span, variances(model, figures, span, sensor.read_includes)


def _stated(raw: RawMetadata) -> OwnNoise | None:
    if raw.noise_profile is None:
        return None
    shot, read = raw.noise_profile
    # Some files state a negative or empty line, which is no noise of any sensor.
    sound = all(math.isfinite(v) and v >= 0 for v in (*shot, *read)) and min(shot) > 0
    return OwnNoise(shot, read, "profile") if sound else None


def _catalogued(raw: RawMetadata) -> OwnNoise | None:
    camera = cameras.match(raw.make, raw.model)
    if camera is None or not raw.iso:
        return None
    try:
        state = camera.typical(model="heteroscedastic", iso=raw.iso)
    except InputError:
        return None
    if state.warnings:  # extrapolated, or the same at every ISO: the mosaic itself knows better
        return None
    return OwnNoise(state.parameters.shot, state.parameters.read, "catalog")
