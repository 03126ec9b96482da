"""Sensor noise on mosaics: the terms in physical units, the fast kernels underneath."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from noisegen.cfa import PHASES, Phase, by_position, planes
from noisegen.errors import InputError
from noisegen.random import Counter, Field
from noisegen.sensor.models import NoiseModel
from noisegen.sensor.parameters import Levels, NoiseParameters, Planes, tukey_lambda_variance

Mosaic = npt.NDArray[np.uint16]

QUANTISATION = 1 / 12
"""Variance of rounding to whole codes, DN²."""

_SMALLEST_GAIN = 1e-9  # DN per electron: shot noise far below a code, and 1/gain stays finite


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
    # numba is loaded only when noise is drawn: catalogs and plots use the rest of this package.
    from noisegen.kernels import noise as kernels
    from noisegen.kernels.philox import normals

    _check_mosaic("mosaic", mosaic)
    _check_phase(phase)
    if not 0 < gain < math.inf:
        raise InputError(f"gain must be above 0 and finite, not {gain:g}")
    if out is None:
        out = np.empty_like(mosaic, order="C")
    _check_mosaic("out", out)
    if out.shape != mosaic.shape:
        raise InputError(f"out has shape {out.shape}, the mosaic {mosaic.shape}; make them equal")

    dn = _in_dn(model, parameters, levels)
    at_adc = levels.clips_at == "adc"
    # By term and plane, then by term and place in the tile.
    by_plane = (
        levels_in.black,
        [gain * span / own for span, own in zip(levels.span, levels_in.span, strict=True)],
        dn.shot,
        dn.read,
        [black + bias + 0.5 for black, bias in zip(levels.black, dn.bias, strict=True)],
        [0.0 if at_adc else black + 0.5 for black in levels.black],
    )
    terms = kernels.Terms(*np.array(by_plane)[:, planes(phase)])
    height = mosaic.shape[0]
    y, x = int(y), int(x)  # NumPy's narrower integers would make numba compile again
    rows = np.zeros(height, np.float32)
    if dn.row:
        rows = normals((height, 1), counter, Field.ROW, y=y)[:, 0] * np.float32(dn.row)

    source = mosaic
    if not (mosaic.flags.c_contiguous and mosaic.flags.aligned):
        source = np.require(mosaic, requirements=("C", "A"))
    direct = out.flags.c_contiguous and out.flags.aligned and out.flags.writeable
    target = out if direct else np.empty(out.shape, np.uint16)
    white = math.floor(levels.white)
    if model.shot != "poisson" and model.read != "tukey-lambda":
        kernels.joint(source, target, terms, white, rows, counter, y, x)
    else:
        kernels.separate(
            *(source, target, terms, white, rows, counter, y, x),
            shot=kernels.Shot[model.shot.upper()],
            read=kernels.Read[model.read.upper().replace("-", "_")],
            shape=parameters.tukey_lambda or 0.0,
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
    x: npt.ArrayLike, model: NoiseModel, parameters: NoiseParameters, levels: Levels
) -> npt.NDArray[np.float64]:
    """Return the variance of the stored code about its mean, at a clean signal.

    Shot, read and row noise and the 1/12 DN² of rounding, away from black and white where codes
    are cut. Divide by the square of ``levels.span`` for normalised units.

    Parameters
    ----------
    x
        Clean signal, normalised (0 black, 1 white), any shape.
    model, parameters, levels
        As in :func:`add_noise`.

    Returns
    -------
    numpy.ndarray
        ``x.shape + (4,)`` float64, DN², for planes R, G1, B, G2.
    """
    dn = _in_dn(model, parameters, levels)
    signal = np.maximum(np.asarray(x, np.float64), 0)[..., None] * np.asarray(levels.span)
    read = np.square(dn.read)
    if model.read == "tukey-lambda":
        read = read * tukey_lambda_variance(parameters.tukey_lambda or 0.0)
    return np.asarray(np.asarray(dn.shot) * signal + read + dn.row**2 + QUANTISATION)


class _InDn(NamedTuple):
    """The terms that a model draws, per plane, in DN of the output."""

    shot: Sequence[float]
    read: Sequence[float]
    row: float
    bias: Sequence[float]


_NOTHING: Planes = (0.0, 0.0, 0.0, 0.0)


def _in_dn(model: NoiseModel, parameters: NoiseParameters, levels: Levels) -> _InDn:
    # Plain floats: on four numbers NumPy's calls cost more than a small tile's noise.
    span = levels.span
    row = parameters.row * span[1] if model.row else 0.0
    shot: Sequence[float] = _NOTHING
    if model.shot != "none":
        shot = [k * s for k, s in zip(parameters.shot, span, strict=True)]
    if model.shot == "poisson":
        shot = [max(k, _SMALLEST_GAIN) for k in shot]

    counted = 0.0
    if "quantisation" in parameters.read_includes:
        counted += QUANTISATION
    if "row" in parameters.read_includes:
        counted += row * row
    read: Sequence[float] = _NOTHING
    if model.read == "gaussian":
        variances = [v * (s * s) for v, s in zip(parameters.read, span, strict=True)]
        read = [math.sqrt(max(v - counted, 0.0)) for v in variances]
    elif model.read == "tukey-lambda":
        if parameters.tukey_lambda is None or parameters.tukey_scale is None:
            raise InputError(
                f"noise model '{model.name}' needs tukey_lambda and tukey_scale; choose a camera"
                " that has them, or 'eld-gaussian'"
            )
        unit = tukey_lambda_variance(parameters.tukey_lambda)
        scales = [parameters.tukey_scale * s for s in span]
        read = [math.sqrt(max(s * s - counted / unit, 0.0)) for s in scales]
    bias = [b * s for b, s in zip(parameters.bias, span, strict=True)] if model.bias else _NOTHING
    return _InDn(shot, read, row, bias)


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
