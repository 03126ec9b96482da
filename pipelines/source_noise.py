"""The noise of the clean pictures themselves: found, and set against the noise that is put on.

A patch's decision is a function of the recipe, the numbers of image and patch, and the image's own
noise. It does not depend on the shard or the worker that makes the patch.
"""

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from catalogs import cameras
from noisegen.errors import InputError
from noisegen.raw import RawMetadata
from noisegen.sensor import Figures, Levels, estimate_noise, variances
from noisegen.sensor import models as noise_models
from noisegen.sensor.parameters import Planes
from pipelines.develop import Sensor
from pipelines.recipe import Recipe
from pipelines.tables.source_noise import SourceNoise

Origin = Literal["unknown", "profile", "catalog", "estimate"]

ORIGINS: tuple[Origin, ...] = get_args(Origin)
"""Where figures come from; ``params/source_origin`` holds a place in this tuple."""

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


UNKNOWN = OwnNoise(_NAN, _NAN, "unknown")
"""Of pictures, and of raw files that do not tell."""


def find(mosaic: npt.NDArray[np.uint16], raw: RawMetadata, table: SourceNoise) -> OwnNoise:
    """Return a raw file's own noise.

    It is what the file states (NoiseProfile), else what the catalog has for its model at its ISO,
    else what :func:`noisegen.sensor.estimate_noise` finds in the mosaic. The estimate is made for
    ``reject`` alone: under ``ignore`` nothing depends on it.
    """
    own = _stated(raw) or _catalogued(raw)
    if own is None and table.policy == "reject":
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
    span = np.tile(np.array(levels.span), (len(rows), 1))
    figures = Figures(*(rows[name] for name in Figures._fields))
    model = noise_models.get(sensor.model)
    put_on = variances(model, figures, span, sensor.read_includes)
    ratio = rows["exposure_ratio"][:, None]
    at_black = ratio**2 * put_on.dark
    at_white = ratio * put_on.shot * span + at_black
    shot, read = np.array(own.shot) * span**2, np.array(own.read) * span**2
    most = recipe.source_noise.max_share
    return np.asarray(((read > most * at_black) | (shot + read > most * at_white)).any(axis=1))


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
