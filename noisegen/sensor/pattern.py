"""Bodies for the kernels: a batch of exposures, and the fixed pattern of one body as maps."""

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from noisegen.cfa import Phase, planes
from noisegen.random import BodyCounter
from noisegen.sensor.body import HOT_SIGMA, BodyFigures, BodyParameters, scaled
from noisegen.sensor.parameters import Levels

if TYPE_CHECKING:  # numba is loaded only when noise is drawn
    from noisegen.kernels.body import Bodies

Floats = npt.NDArray[np.float64]
Map = npt.NDArray[np.float32]

NO_LEVEL = 2.0
"""Signal, white = 1, that no pixel reaches: there is one readout."""


class BodyBatch(NamedTuple):
    """The bodies of N exposures.

    ``figures`` holds the fields of :class:`BodyParameters` as (N,) arrays or numbers, by name;
    ``key`` is the Philox key of their patterns, ``camera`` and ``body`` are the (N,) uint32 words
    of :func:`noisegen.random.body_counter`. ``dark`` (N, H, W) float32 are dark frames in DN, their
    black level taken off, where there are any.
    """

    figures: dict[str, Floats | float | None]
    key: tuple[int, int]
    camera: npt.NDArray[np.uint32]
    body: npt.NDArray[np.uint32]
    dark: Map | None = None

    @classmethod
    def of(
        cls, parameters: BodyParameters, counter: BodyCounter, dark: Map | None = None
    ) -> "BodyBatch":
        """Return the body of one exposure; ``dark`` is (H, W)."""
        camera, body = np.array([[counter.camera], [counter.body]], np.uint32)
        figures = dict(vars(parameters))
        frames = None if dark is None else np.ascontiguousarray(dark, np.float32)[None]
        return cls(figures, (counter.key0, counter.key1), camera, body, frames)

    @classmethod
    def at(
        cls,
        figures: BodyFigures,
        gain: Floats,
        span: Floats,
        exposure_time: Floats,
        key: tuple[int, int],
        camera: npt.NDArray[np.uint32],
        body: npt.NDArray[np.uint32],
        dark: Map | None = None,
    ) -> "BodyBatch":
        """Return the bodies of exposures at (N,) gains and times; as :meth:`BodyFigures.at`."""
        return cls(scaled(figures, gain / span, exposure_time), key, camera, body, dark)


class Pattern(NamedTuple):
    """The fixed pattern of a body over a tile.

    Attributes
    ----------
    light
        (H, W) float32, response of each pixel to light.
    charge
        (H, W) float32, mean dark charge of each pixel, DN.
    offset
        (H, W) float32, dark offset of each pixel, DN.
    stuck
        (H, W) int8: -1 stuck at black, 1 stuck at white, 0 sound.
    """

    light: Map
    charge: Map
    offset: Map
    stuck: npt.NDArray[np.int8]


def pattern(
    shape: tuple[int, int],
    body: BodyParameters,
    counter: BodyCounter,
    levels: Levels,
    phase: Phase,
    *,
    y: int = 0,
    x: int = 0,
) -> Pattern:
    """Return the fixed pattern that :func:`noisegen.sensor.add_noise` gives a tile of a body.

    Parameters
    ----------
    shape
        Height and width of the tile.
    body
        The body in this exposure.
    counter
        Which body, from :func:`noisegen.random.body_counter`.
    levels
        Levels of the mosaic.
    phase
        CFA phase at the tile's (0, 0).
    y, x
        Place of the tile's (0, 0) in the full frame; any integers.
    """
    from noisegen.kernels import body as kernels

    batch = BodyBatch.of(body, counter)
    place = planes(phase).reshape(1, 4)
    black, span = np.array([levels.black]), np.array([levels.span])
    return Pattern(*kernels.pattern(shape, for_kernels(batch, black, span, place), y, x))


def for_kernels(
    batch: BodyBatch, black: Floats, span: Floats, place: npt.NDArray[np.integer]
) -> "Bodies":
    """Return bodies in digital numbers.

    Parameters
    ----------
    batch
        The bodies.
    black, span
        (N, 4) black level and white minus black of each plane of what comes out.
    place
        (N, 4) plane of each pixel of the 2x2 tile at a part's first pixel, row by row.
    """
    from noisegen.kernels import body as kernels

    count, unit = len(batch.camera), span[:, 1]

    def each(name: str) -> Floats:
        value = batch.figures[name]
        return np.broadcast_to(np.asarray(NO_LEVEL if value is None else value, np.float64), count)

    columns = kernels.Column
    figures = np.empty((count, kernels.COLUMNS), np.float32)
    figures[:, columns.PRNU] = each("prnu")
    # Half of the difference goes to each green.
    sides = np.array([0.0, 0.5, 0.0, -0.5])[place]
    figures[:, columns.GREEN : columns.GREEN + 4] = each("green_imbalance")[:, None] * sides
    in_dn = {
        columns.DSNU: each("dsnu"),
        columns.SHADING: each("dark_shading"),
        columns.FIXED_COLUMN: each("column_fpn"),
        columns.COLUMN: each("column"),
        columns.FRAME: each("black_level_error"),
        columns.HOT: each("hot_charge") * math.exp(-(HOT_SIGMA**2) / 2),  # median of the mean
        columns.LEVEL: each("dual_gain_level"),
    }
    for column, values in in_dn.items():
        figures[:, column] = values * unit
    figures[:, columns.HOT_SIGMA] = HOT_SIGMA
    figures[:, columns.RATIO] = each("dual_gain_ratio")
    low = np.take_along_axis(np.floor(black + 0.5), place, 1).reshape(-1, 2, 2).astype(np.uint16)
    return kernels.Bodies(
        figures,
        kernels.limits(each("hot_pixels"), each("dead_pixels")),
        low,
        np.ascontiguousarray(batch.camera, np.uint32),
        np.ascontiguousarray(batch.body, np.uint32),
        np.array(batch.key, np.uint32),
        np.zeros((0, 0, 0), np.float32) if batch.dark is None else batch.dark,
    )
