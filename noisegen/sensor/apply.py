"""Sensor noise on mosaics: the terms in physical units, the fast kernels underneath."""

import math

import numpy as np
import numpy.typing as npt

from noisegen.cfa import PHASES, Phase, by_position
from noisegen.errors import InputError
from noisegen.random import BodyCounter, Counter
from noisegen.sensor.batch import (
    Address,
    BatchLevels,
    Figures,
    Present,
    add_noise_batch,
    variances,
)
from noisegen.sensor.body import HOT_SIGMA, BodyParameters, check_dark
from noisegen.sensor.models import NoiseModel
from noisegen.sensor.parameters import Levels, NoiseParameters, Planes
from noisegen.sensor.pattern import BodyBatch

Mosaic = npt.NDArray[np.uint16]


def add_noise(
    mosaic: Mosaic,
    levels_in: Levels,
    model: NoiseModel,
    parameters: NoiseParameters,
    levels: Levels,
    phase: Phase,
    counter: Counter,
    *,
    y: int = 0,
    x: int = 0,
    gain: float = 1.0,
    out: Mosaic | None = None,
    body: BodyParameters | None = None,
    body_counter: BodyCounter | None = None,
    dark_frame: npt.NDArray[np.float32] | None = None,
    present: tuple[Planes, Planes] | None = None,
) -> Mosaic:
    """Expose a clean mosaic once with a noisy sensor.

    A pixel of normalised value v = gain (DN - black_in)/(white_in - black_in) becomes
    ``clip(floor(black + (v + noise)(white - black) + 1/2), lowest, white)``. The rounding is the
    quantisation noise. The noise is a function of ``counter`` and of the pixel's place in the full
    frame alone: that of a crop is the crop of the frame's, to the bit, on any x86-64 processor.

    Parameters
    ----------
    mosaic
        (H, W) uint16 clean mosaic, DN, not black-subtracted.
    levels_in
        Black and white of ``mosaic``.
    model
        The terms to add, from :func:`noisegen.sensor.models.get`.
    parameters
        Noise figures, normalised to ``levels``.
    levels
        Black, white and clipping of the mosaic that comes out.
    phase
        CFA phase at the tile's (0, 0).
    counter
        Which noise, from :func:`noisegen.random.counter`.
    y, x
        Place of the tile's (0, 0) in the full frame; any integers.
    gain
        Exposure before the noise: 1/100 darkens a hundredfold.
    out
        Where to write; may be ``mosaic`` itself. A new array by default.
    body
        What the camera's body adds (:mod:`noisegen.sensor.body`), normalised to ``levels``.
    body_counter
        Which body, from :func:`noisegen.random.body_counter`; needed for its fixed pattern.
    dark_frame
        (H, W) float32, the tile's part of a frame taken in the dark, DN of ``levels``, black level
        taken off. It takes the place of read noise, row noise and bias.
    present
        Shot and read variance of the mosaic's own noise, normalised to ``levels_in``. It is taken
        off what is added: what comes out has the variance of ``parameters`` in all.

    Returns
    -------
    numpy.ndarray
        (H, W) uint16 noisy mosaic, ``out`` if given.

    Raises
    ------
    InputError
        If an argument is of the wrong kind, shape or range, or if the model needs a figure that
        ``parameters`` lacks.
    """
    _check_mosaic("mosaic", mosaic)
    _check_phase(phase)
    if not 0 < gain < math.inf:
        raise InputError(f"gain must be above 0 and finite, not {gain:g}")
    if out is None:
        out = np.empty_like(mosaic, order="C")
    _check_mosaic("out", out)
    if out.shape != mosaic.shape:
        raise InputError(f"out has shape {out.shape}, the mosaic {mosaic.shape}; make them equal")

    source = mosaic
    if not (mosaic.flags.c_contiguous and mosaic.flags.aligned):
        source = np.require(mosaic, requirements=("C", "A"))
    direct = out.flags.c_contiguous and out.flags.aligned and out.flags.writeable
    target = out if direct else np.empty(out.shape, np.uint16)
    words = np.array([counter.sample, counter.draw], np.uint32)
    add_noise_batch(
        source[None],
        target[None],
        model,
        Figures.of(parameters),
        BatchLevels.of(levels),
        Address(
            (counter.key0, counter.key1),
            sample=words[:1],
            draw=words[1:],
            source=np.zeros(1, np.int64),
            place=np.array([[0, 0, *mosaic.shape, y, x]], np.int64),
        ),
        phase=np.array([PHASES.index(phase)]),
        gain=np.array([gain], np.float64),
        clips_at=levels.clips_at,
        read_includes=parameters.read_includes,
        levels_in=BatchLevels.of(levels_in),
        bodies=_bodies(mosaic, body, body_counter, dark_frame),
        present=None if present is None else _present(*present),
    )
    if target is not out:
        out[...] = target
    return out


def amplify(mosaic: Mosaic, ratio: float, levels: Levels, phase: Phase | None = None) -> Mosaic:
    """Multiply the signal of a stored mosaic: digital gain, after quantisation.

    Parameters
    ----------
    mosaic
        (H, W) uint16 mosaic, DN.
    ratio
        Gain on DN - black, above 0.
    levels
        Levels of the mosaic, before and after.
    phase
        CFA phase at (0, 0); may be left out when the four black levels are equal.

    Returns
    -------
    numpy.ndarray
        (H, W) uint16, rounded and clipped as :func:`add_noise` does.
    """
    _check_mosaic("mosaic", mosaic)
    if not 0 < ratio < math.inf:
        raise InputError(f"ratio must be above 0 and finite, not {ratio:g}")
    if phase is None:
        if len(set(levels.black)) > 1:
            raise InputError("the planes' black levels differ; say which CFA phase the mosaic has")
        phase = "RGGB"
    _check_phase(phase)
    out = np.empty(mosaic.shape, np.uint16)
    for (dy, dx), black in np.ndenumerate(by_position(levels.black, phase)):
        low = math.floor(black + 0.5) if levels.clips_at == "black" else 0
        codes = mosaic[dy::2, dx::2].astype(np.float64)
        out[dy::2, dx::2] = np.clip(
            np.floor(black + ratio * (codes - black) + 0.5), low, levels.white
        )
    return out


def variance(
    x: npt.ArrayLike,
    model: NoiseModel,
    parameters: NoiseParameters,
    levels: Levels,
    body: BodyParameters | None = None,
) -> npt.NDArray[np.float64]:
    """Return the variance of the stored code about its mean, at a clean signal.

    Shot, read and row noise and the 1/12 DN² of rounding, away from black and white where codes
    are cut. Divide by the square of ``levels.span`` for normalised units. With a body it is the
    variance over frames, places and bodies, of the pixels that are not stuck; of
    :attr:`BodyParameters.temporal <noisegen.sensor.body.BodyParameters.temporal>` over frames.

    Parameters
    ----------
    x
        Clean signal, normalised (0 black, 1 white), any shape.
    model, parameters, levels, body
        As in :func:`add_noise`.

    Returns
    -------
    numpy.ndarray
        ``x.shape + (4,)`` float64, DN², for planes R, G1, B, G2.
    """
    figures = Figures.of(parameters)
    terms = variances(model, figures, BatchLevels.of(levels).span, parameters.read_includes)
    signal = np.maximum(np.asarray(x, np.float64), 0)[..., None] * np.asarray(levels.span)
    shot = terms.shot[0]
    noise = shot * signal + terms.dark[0]
    if body is not None:
        noise = noise + _body_variance(signal, shot, terms.read[0], levels.span[1], body)
    return np.asarray(noise)


def _body_variance(
    signal: npt.NDArray[np.float64],
    shot: npt.NDArray[np.float64],
    read: npt.NDArray[np.float64],
    span: float,
    body: BodyParameters,
) -> npt.NDArray[np.float64]:
    """Return what a body adds to the variance, DN²; ``signal`` (..., 4) is in DN above black."""
    side = np.array([0, 0.5, 0, 0.5]) * body.green_imbalance
    light = (body.prnu**2 + side**2) * signal**2
    share = body.hot_pixels / (1 - body.dead_pixels)
    mean = share * body.hot_charge * span
    # The second moment of a log-normal number is e^σ² times the square of its mean.
    hot = share * (body.hot_charge * span) ** 2 * math.exp(HOT_SIGMA**2) - mean**2
    offsets = (
        *(body.dsnu, body.dark_shading, body.column_fpn, body.column, body.black_level_error),
    )
    dark = sum((std * span) ** 2 for std in offsets)
    out = light + shot * mean + hot + dark
    if "dual_gain" in body.on:
        spread = np.sqrt(shot * signal + light)
        level = (body.dual_gain_level or 0.0) * span
        # Without spread a pixel lies on one side of the level for sure.
        distance = (signal - level) / np.where(spread > 0, spread, 1e-9)
        above = np.array([0.5 * math.erfc(-d / math.sqrt(2)) for d in distance.ravel()])
        out = out + read * (body.dual_gain_ratio**2 - 1) * above.reshape(distance.shape)
    return np.asarray(out)


def _bodies(
    mosaic: Mosaic,
    body: BodyParameters | None,
    counter: BodyCounter | None,
    dark_frame: npt.NDArray[np.float32] | None,
) -> BodyBatch | None:
    """Return the body of an exposure; None where nothing is added."""
    body = BodyParameters() if body is None else body
    if body.pattern and counter is None:
        raise InputError(
            f"the fixed pattern ({', '.join(body.pattern)}) is that of a body; say which one with "
            "body_counter"
        )
    if dark_frame is not None:
        if dark_frame.shape != mosaic.shape:
            raise InputError(
                f"dark_frame has shape {dark_frame.shape}, the mosaic {mosaic.shape}; "
                "cut the tile's part out"
            )
        check_dark(body)
    if body == BodyParameters() and dark_frame is None:
        return None
    return BodyBatch.of(body, counter or BodyCounter(0, 0, 0, 0), dark_frame)


def _present(shot: Planes, read: Planes) -> Present:
    # It is checked as the figures of a sensor are.
    NoiseParameters(shot, read)
    return Present(np.array([shot], np.float64), np.array([read], np.float64))


def _check_mosaic(name: str, mosaic: Mosaic) -> None:
    if not isinstance(mosaic, np.ndarray) or mosaic.dtype != np.uint16 or mosaic.ndim != 2:
        found = (
            f"{mosaic.dtype} of shape {mosaic.shape}"
            if isinstance(mosaic, np.ndarray)
            else type(mosaic).__name__
        )
        raise InputError(f"{name} must be a (height, width) uint16 array, not {found}")


def _check_phase(phase: Phase) -> None:
    if phase not in PHASES:
        raise InputError(f"CFA phase must be one of {', '.join(PHASES)}, not {phase!r}")
