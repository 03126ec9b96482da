"""Noise on a batch of mosaics: the terms of a model in digital numbers, for the kernels to draw.

One formula a term, for one mosaic (:func:`noisegen.sensor.add_noise`) as for many.
"""

from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from noisegen.cfa import PHASES, planes
from noisegen.errors import InputError
from noisegen.sensor.models import NoiseModel
from noisegen.sensor.parameters import Included, Levels, NoiseParameters, tukey_lambda_variance
from noisegen.sensor.pattern import BodyBatch, for_kernels

Floats = npt.NDArray[np.float64]
Mosaics = npt.NDArray[np.uint16]

QUANTISATION = 1 / 12
"""Variance of rounding to whole codes, DN²."""

_SMALLEST_GAIN = 1e-9  # DN per electron: shot noise far below a code, and 1/gain stays finite

_PLANES = np.stack([planes(phase) for phase in PHASES])


class Figures(NamedTuple):
    """Noise figures of N exposures: the fields of :class:`NoiseParameters`, as arrays.

    ``shot``, ``read`` and ``bias`` are (N, 4), the others (N,); NaN where there is no Tukey-lambda
    noise.
    """

    shot: Floats
    read: Floats
    row: Floats
    tukey_lambda: Floats
    tukey_scale: Floats
    bias: Floats

    @classmethod
    def of(cls, parameters: NoiseParameters) -> "Figures":
        """Return the figures of one exposure."""
        values = (getattr(parameters, name) for name in cls._fields)
        return cls(*(np.array([np.nan if v is None else v], np.float64) for v in values))


class BatchLevels(NamedTuple):
    """Levels of N mosaics in DN: ``black`` (N, 4) by plane, ``white`` (N,)."""

    black: Floats
    white: Floats

    @classmethod
    def of(cls, levels: Levels) -> "BatchLevels":
        """Return the levels of one mosaic."""
        return cls(np.array([levels.black], np.float64), np.array([levels.white], np.float64))

    @property
    def span(self) -> Floats:
        """(N, 4) white minus black."""
        return np.asarray(self.white[:, None] - self.black)


class Address(NamedTuple):
    """Which noise goes where.

    ``key`` is the Philox key; ``sample`` and ``draw`` are the (N,) uint32 words of
    :func:`noisegen.random.counter`. ``source`` (N,) numbers the clean mosaic of each noisy one.
    ``place`` (N, 6) is the part of it that gets noise: row and column in the mosaic, height, width,
    and the row and column of its first pixel in the full frame.
    """

    key: tuple[int, int]
    sample: npt.NDArray[np.uint32]
    draw: npt.NDArray[np.uint32]
    source: npt.NDArray[np.int64]
    place: npt.NDArray[np.int64]


class InDn(NamedTuple):
    """The terms that a model draws, in DN of the output: (N, 4) by plane, ``row`` (N,).

    Shot noise is that of the signal above ``floor``.
    """

    shot: Floats
    read: Floats
    row: Floats
    bias: Floats
    floor: Floats


class Present(NamedTuple):
    """Noise that mosaics have already: (N, 4) variances, normalised to their own levels."""

    shot: Floats
    read: Floats


class Variances(NamedTuple):
    """Variances of the terms that a model draws, DN².

    ``shot`` (N, 4) is the variance a DN of signal above black, ``read`` (N, 4) and ``row`` (N,) do
    not depend on it.
    """

    shot: Floats
    read: Floats
    row: Floats

    @property
    def dark(self) -> Floats:
        """(N, 4) variance of a stored code without light, rounding included."""
        return np.asarray(self.read + self.row[:, None] + QUANTISATION)


def add_noise_batch(
    mosaics: Mosaics,
    out: Mosaics,
    model: NoiseModel,
    figures: Figures,
    levels: BatchLevels,
    address: Address,
    *,
    phase: npt.NDArray[np.integer],
    gain: Floats,
    clips_at: Literal["adc", "black"] = "adc",
    read_includes: tuple[Included, ...] = (),
    levels_in: BatchLevels | None = None,
    bodies: BodyBatch | None = None,
    present: Present | None = None,
) -> None:
    """Expose clean mosaics with noisy sensors: :func:`noisegen.sensor.add_noise`, N times.

    Nothing is checked here: the figures come from a table that was checked when it was drawn.

    Parameters
    ----------
    mosaics
        (M, H, W) uint16 clean mosaics, DN, C-contiguous.
    out
        (N, H, W) uint16, C-contiguous, written. What lies around the part that gets noise becomes
        that part's reflection about its border pixels.
    model, figures, levels
        The terms, their size, and the levels of what comes out.
    address
        Which noise goes where.
    phase
        (N,) place in :data:`noisegen.cfa.PHASES` of the phase at the part's first pixel.
    gain
        (N,) exposure before the noise.
    clips_at, read_includes
        As in :class:`Levels` and :class:`NoiseParameters`.
    levels_in
        Levels of ``mosaics`` where they differ from ``levels``.
    bodies
        The camera bodies, where they add terms of their own. Dark frames take the place of read
        noise, row noise and bias.
    present
        Noise of the mosaics themselves, which is taken off what is added: what comes out has the
        variance of the figures in all. The difference of the shot noise must not be negative; that
        of the read noise may be, where the signal is above ``-read / shot`` of the differences.
    """
    from noisegen.kernels import noise as kernels

    if bodies is not None and bodies.dark is not None:
        model = model.light_only
    own = levels if levels_in is None else levels_in
    light = gain[:, None] * levels.span / own.span
    if present is not None:
        # In output DN: d = light d_in, and the variances scale with light squared.
        present = Present(
            present.shot * own.span * light, present.read * np.square(own.span * light)
        )
    dn = in_dn(model, figures, levels.span, read_includes, present)
    low = levels.black + 0.5 if clips_at == "black" else np.zeros_like(levels.black)
    black, base = own.black + dn.floor / light, levels.black + dn.bias + dn.floor + 0.5
    by_plane = (black, light, dn.shot, dn.read, base, low)
    place, each = _PLANES[phase].reshape(-1, 4), np.arange(len(phase))[:, None]
    terms = kernels.Terms(*(term[each, place].reshape(-1, 2, 2) for term in by_plane))
    white, row = np.floor(levels.white).astype(np.float32), dn.row.astype(np.float32)
    batch = kernels.Batch(address.source, address.place, address.sample, address.draw, white, row)
    if bodies is None and model.shot != "poisson" and model.read != "tukey-lambda":
        kernels.joint(mosaics, out, terms, batch, address.key)
        return
    shot, read = (
        kernels.Shot[model.shot.upper()],
        kernels.Read[model.read.upper().replace("-", "_")],
    )
    shape = np.nan_to_num(figures.tukey_lambda).astype(np.float32)
    if bodies is None:
        kernels.separate(mosaics, out, terms, batch, address.key, shot=shot, read=read, shape=shape)
    else:
        from noisegen.kernels.expose import expose

        own_bodies = for_kernels(bodies, levels.black, levels.span, place)
        expose(
            *(mosaics, out, terms, batch, address.key, own_bodies),
            shot=shot, read=read, shape=shape,
        )  # fmt: skip


def in_dn(
    model: NoiseModel,
    figures: Figures,
    span: Floats,
    read_includes: tuple[Included, ...],
    present: Present | None = None,
) -> InDn:
    """Return the terms that a model draws; ``span`` is (N, 4) white minus black.

    ``present``, here in DN of the output, is what they leave out because it is there already.
    """
    nothing = np.zeros_like(span)
    row = figures.row * span[:, 1] if model.row else nothing[:, 0]
    shot = nothing
    if model.shot != "none":
        shot = figures.shot * span
    if present is not None:
        shot = shot - present.shot
    if model.shot == "poisson":
        shot = np.maximum(shot, _SMALLEST_GAIN)

    counted = np.zeros_like(span)
    if "quantisation" in read_includes:
        counted += QUANTISATION
    if "row" in read_includes:
        counted += (row * row)[:, None]
    variance, unit = nothing, np.ones_like(row)
    if model.read == "gaussian":
        variance = np.maximum(figures.read * (span * span) - counted, 0.0)
    elif model.read == "tukey-lambda":
        if np.isnan(figures.tukey_lambda).any() or np.isnan(figures.tukey_scale).any():
            raise InputError(
                f"noise model '{model.name}' needs tukey_lambda and tukey_scale; choose a camera"
                " that has them, or 'eld-gaussian'"
            )
        unit = tukey_unit(figures)
        scales = figures.tukey_scale[:, None] * span
        variance = np.maximum(scales * scales - counted / unit[:, None], 0.0)
    floor = nothing
    if present is not None:
        variance = variance - present.read / unit[:, None]
        # shot d + read with read < 0 is the shot noise of what lies above -read / shot.
        excess = np.maximum(-variance, 0.0) * unit[:, None]
        floor = excess / np.maximum(shot, _SMALLEST_GAIN)
        variance = np.maximum(variance, 0.0)
    bias = figures.bias * span if model.bias else nothing
    return InDn(shot, np.sqrt(variance), row, bias, floor)


def variances(
    model: NoiseModel, figures: Figures, span: Floats, read_includes: tuple[Included, ...]
) -> Variances:
    """Return the variances of what a model draws; ``span`` is (N, 4) white minus black."""
    dn = in_dn(model, figures, span, read_includes)
    read = np.square(dn.read)
    if model.read == "tukey-lambda":
        read = read * tukey_unit(figures)[:, None]
    return Variances(dn.shot, read, np.square(dn.row))


def tukey_unit(figures: Figures) -> Floats:
    """Return the (N,) variances of Tukey's lambda law of scale 1."""
    return np.array([tukey_lambda_variance(shape) for shape in figures.tukey_lambda.tolist()])
