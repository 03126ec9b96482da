"""Sensor noise in torch: batches of normalised mosaics, on CPU or CUDA, with gradients.

The terms, units and rules are those of :func:`noisegen.sensor.add_noise`, and so is the law of
what comes out; the numbers are torch's own. Import this module by name:
:mod:`noisegen.sensor` does without torch.

Gradients
---------
Gaussian shot noise, read noise, row noise and bias are reparametrised, y = x + σ(x, figures) z
with z held: their gradients are exact. The derivative of a standard deviation that is 0 counts
as 0.

Poisson shot noise gets the gradient of its **expected value**: dy/dx = 1, and none reaches the
shot gain. Its variance, shot·x, is taken as constant. That gradient is unbiased for losses linear
in y alone; a squared error lacks the term that comes from the variance. Where it matters, or where
the gain is learned, use ``heteroscedastic``, of the same mean and variance.

Rounding is passed straight through (derivative 1); where a code is clipped, the derivative is 0.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from noisegen import cfa as bayer
from noisegen.errors import InputError
from noisegen.sensor.batch import QUANTISATION
from noisegen.sensor.formulas import MAP_FLOOR
from noisegen.sensor.models import NoiseModel
from noisegen.sensor.parameters import Levels, NoiseParameters, tukey_lambda_variance

Cfa = bayer.Phase | Tensor
Clip = Literal["adc", "black"]

SMALLEST_SHOT = 1e-9
"""Smallest Poisson gain above 0, normalised: CUDA counts electrons in 32 bits."""

RESERVED = 6
"""Calls after that of Poisson numbers, which with it move a CUDA generator on by 140: a mean of 64
comes to more than 138 once in 1e15 draws."""


@dataclass(frozen=True, eq=False)
class BatchParameters:
    """Noise figures of a batch: those of :class:`NoiseParameters`, as tensors that may be learned.

    Every field broadcasts: (B, 4) fields, in the order R, G1, B, G2, also come as (4,), (B, 1) or
    one number; (B,) fields as one number.

    Attributes
    ----------
    shot, read
        (B, 4) variance per unit of signal, and variance of the Gaussian read noise.
    row
        (B,) standard deviation of one offset per row (unit: white minus black of G1).
    tukey_lambda, tukey_scale
        (B,) shape, above -1/2, and scale of Tukey-lambda read noise. No gradient flows to the
        shape.
    bias
        (B, 4) mean dark offset.
    includes_quantisation, includes_row
        (B,) booleans: whether ``read`` (or the Tukey-lambda scale) holds these terms already.

    Raises
    ------
    InputError
        If a figure is negative, not finite, or half given.
    """

    shot: Tensor | float
    read: Tensor | float
    row: Tensor | float = 0.0
    tukey_lambda: Tensor | float | None = None
    tukey_scale: Tensor | float | None = None
    bias: Tensor | float = 0.0
    includes_quantisation: Tensor | bool = False
    includes_row: Tensor | bool = False

    def __post_init__(self) -> None:
        """Refuse figures that describe no noise."""
        _check_range("shot gain", self.shot, " and at least 0", lowest=0)
        _check_range("read variance", self.read, " and at least 0", lowest=0)
        _check_range("row noise", self.row, " and at least 0", lowest=0)
        _check_range("bias", self.bias)
        if (self.tukey_lambda is None) != (self.tukey_scale is None):
            raise InputError("give tukey_lambda and tukey_scale together, or neither")
        if self.tukey_lambda is not None and self.tukey_scale is not None:
            above = np.nextafter(-0.5, 0)
            _check_range("tukey_lambda", self.tukey_lambda, " and above -0.5", lowest=above)
            _check_range("tukey_scale", self.tukey_scale, " and at least 0", lowest=0)

    @classmethod
    def stack(cls, parameters: Sequence[NoiseParameters]) -> "BatchParameters":
        """Gather the figures of images, in float64.

        Tukey-lambda figures are kept if every image has them.
        """

        def gathered(values: Sequence[object]) -> Tensor:
            return torch.tensor(values, dtype=torch.float64)

        tukey = all(p.tukey_lambda is not None for p in parameters)
        return cls(
            shot=gathered([p.shot for p in parameters]),
            read=gathered([p.read for p in parameters]),
            row=gathered([p.row for p in parameters]),
            tukey_lambda=gathered([p.tukey_lambda for p in parameters]) if tukey else None,
            tukey_scale=gathered([p.tukey_scale for p in parameters]) if tukey else None,
            bias=gathered([p.bias for p in parameters]),
            includes_quantisation=torch.tensor(
                ["quantisation" in p.read_includes for p in parameters]
            ),
            includes_row=torch.tensor(["row" in p.read_includes for p in parameters]),
        )


def sample(
    x: Tensor,
    model: NoiseModel,
    parameters: BatchParameters | NoiseParameters | Sequence[NoiseParameters],
    cfa: Cfa,
    generator: torch.Generator,
    *,
    levels: Levels | Sequence[Levels] | None = None,
    quantise: bool = False,
    clip: Clip | None = None,
) -> Tensor:
    """Expose a batch of clean mosaics once with noisy sensors.

    With ``levels``, ``quantise=True`` and ``clip=levels.clips_at`` the result is distributed as
    the codes of :func:`noisegen.sensor.add_noise`, normalised: ``y (white - black) + black`` is
    a whole number. Without, it is the real-valued signal, nowhere cut.

    Parameters
    ----------
    x
        (B, 1, H, W) float32 or float64 clean mosaics, normalised: 0 black, 1 white; any range. A
        value below black has no shot noise. Multiply by the exposure ratio before.
    model
        The terms to add, from :func:`noisegen.sensor.models.get`.
    parameters
        Noise figures, normalised to ``levels``; one for the batch or one each.
    cfa
        The phase of all mosaics; or (B, 2, 2) or (2, 2) tiles of plane indices (0 R, 1 G1, 2 B,
        3 G2); or an index of every pixel, (B, 1, H, W) or (1, 1, H, W).
    generator
        On the device of ``x``, from :func:`noisegen.random.torch_generator`.
    levels
        Levels of the sensors, one for the batch or one each. Needed to round, and to clip at the
        ADC's zero. A row's offset is one number of DN: planes with other black levels than G1 see
        it in their own units. Without levels all planes have one black level.
    quantise
        Round to whole codes. Only then is rounding taken off figures that include it.
    clip
        ``"adc"`` cuts at code 0, ``"black"`` at black as DualDn does; both cut at white.

    Returns
    -------
    Tensor
        (B, 1, H, W) noisy mosaics, of the kind of ``x``.

    Raises
    ------
    InputError
        If an argument is of the wrong kind, shape or range, or if the model needs a figure that
        ``parameters`` lacks.

    Notes
    -----
    Poisson gains between 0 and :data:`SMALLEST_SHOT` count as that; a gain of 0 has no shot noise.
    """
    _check_mosaic("x", x)
    if generator.device.type != x.device.type:
        raise InputError(
            f"the generator lives on {generator.device.type} and x on {x.device.type};"
            " make it with torch_generator(..., device=x.device)"
        )
    if clip not in (None, "adc", "black"):
        raise InputError(f"clip is 'adc', 'black' or None, not {clip!r}")
    planes = _Planes.of(cfa, x)
    scale = _Scale.of(levels, x)
    if scale is None and (quantise or clip == "adc"):
        what = "rounding" if quantise else "clipping at the ADC's zero"
        raise InputError(f"{what} needs the sensor's black and white; give levels")
    if isinstance(parameters, NoiseParameters):
        parameters = (parameters,)
    if not isinstance(parameters, BatchParameters):
        _check_count("noise parameters", len(parameters), x)
        parameters = BatchParameters.stack(parameters)
    terms = _terms(model, parameters, scale, quantise, x)

    y = _poisson(x, planes.spread(terms.shot), generator) if model.shot == "poisson" else x
    if model.shot == "gaussian":
        variance = planes.spread(terms.shot) * x.clamp(min=0)
        if model.read == "gaussian":  # the sum of two normals is a normal
            variance = variance + planes.spread(terms.read)
        y = y + _root(variance) * _normals(x.shape, x, generator)
    elif model.read == "gaussian":
        y = y + planes.spread(_root(terms.read)) * _normals(x.shape, x, generator)
    if model.read == "tukey-lambda":
        y = y + planes.spread(_root(terms.read)) * _tukey_lambda(x, terms.shape, generator)
    if model.row:
        y = y + planes.spread(terms.row) * _normals((*x.shape[:3], 1), x, generator)
    if model.bias:
        y = y + planes.spread(terms.bias)
    return _stored(y, planes, scale, quantise, clip)


def noise_map(y: Tensor, shot: Tensor | float, read: Tensor | float, cfa: Cfa) -> Tensor:
    """Return ``sqrt(max(K y + S, 1e-7))``, the noise map that DualDn's networks take.

    Parameters
    ----------
    y
        (B, 1, H, W) float32 or float64 noisy mosaics, normalised.
    shot, read
        K and S, (B, 4) in the order R, G1, B, G2, or (4,), or (B, 1) or one number for all planes
        as DualDn has it.
    cfa
        As in :func:`sample`.

    Returns
    -------
    Tensor
        (B, 1, H, W) standard deviations; the gradient is 0 below the floor.

    References
    ----------
    R. Li et al., "DualDn: Dual-domain Denoising via Differentiable ISP", ECCV 2024.
    """
    _check_mosaic("y", y)
    planes = _Planes.of(cfa, y)
    by_plane = (y.shape[0], 4)
    K = planes.spread(_batched("shot", shot, by_plane, y))
    S = planes.spread(_batched("read", read, by_plane, y))
    return (K * y + S).clamp(min=MAP_FLOOR).sqrt()


class _Planes(NamedTuple):
    """Which plane every pixel belongs to: (B, 2, 2) tiles, or (B, 1, H, W) indices."""

    indices: Tensor
    size: tuple[int, int]

    @classmethod
    def of(cls, cfa: Cfa, x: Tensor) -> "_Planes":
        batch, _, height, width = x.shape
        if isinstance(cfa, str):
            if cfa not in bayer.PHASES:
                raise InputError(f"CFA phase must be one of {', '.join(bayer.PHASES)}, not {cfa!r}")
            cfa = torch.from_numpy(bayer.planes(cfa).astype(np.int64))
        elif int(cfa.min()) < 0 or int(cfa.max()) > 3:
            raise InputError("plane indices are 0 R, 1 G1, 2 B and 3 G2; cfa holds others")
        indices = cfa.to(x.device, torch.long)
        found = tuple(indices.shape)
        tiles, pixels = (batch, 2, 2), (batch, 1, height, width)
        if found in ((2, 2), (1, 2, 2), tiles):
            return cls(indices.expand(tiles), (height, width))
        if found in ((1, 1, height, width), pixels):
            return cls(indices.expand(pixels), (height, width))
        raise InputError(
            f"cfa of shape {found}: a phase, {tiles} tiles or {pixels} indices are needed"
        )

    def spread(self, values: Tensor) -> Tensor:
        """Lay (B, 4) values out over the pixels, (B, 1, H, W)."""
        picked = values.gather(1, self.indices.flatten(1))
        if self.indices.ndim == 4:
            return picked.view(self.indices.shape)
        height, width = self.size
        tiles = picked.view(-1, 1, 2, 2)
        return tiles.tile(1, 1, (height + 1) // 2, (width + 1) // 2)[..., :height, :width]


class _Scale(NamedTuple):
    """Levels in DN: black (B, 4) or (1, 4), white (B, 1) or (1, 1)."""

    black: Tensor
    white: Tensor

    @classmethod
    def of(cls, levels: Levels | Sequence[Levels] | None, x: Tensor) -> "_Scale | None":
        if levels is None:
            return None
        each = [levels] if isinstance(levels, Levels) else levels
        _check_count("levels", len(each), x)
        return cls(x.new_tensor([e.black for e in each]), x.new_tensor([[e.white] for e in each]))

    @property
    def span(self) -> Tensor:
        return self.white - self.black


class _Terms(NamedTuple):
    """What a model draws, (B, 4), normalised; ``read`` is a variance or a squared scale.

    ``shape``, of the Tukey-lambda law, is (B, 1).
    """

    shot: Tensor
    read: Tensor
    row: Tensor
    bias: Tensor
    shape: Tensor


def _terms(
    model: NoiseModel,
    figures: BatchParameters,
    scale: _Scale | None,
    quantise: bool,
    x: Tensor,
) -> _Terms:
    batch = x.shape[0]

    def of_images(what: str, value: Tensor | float) -> Tensor:
        return _batched(what, value, (batch,), x)[:, None]

    def of_planes(what: str, value: Tensor | float) -> Tensor:
        return _batched(what, value, (batch, 4), x)

    row = of_images("row", figures.row).expand(batch, 4)
    counted = x.new_zeros(batch, 4)
    if scale is not None:
        row = row * scale.span[:, 1:2] / scale.span
        if quantise:
            included = of_images("includes_quantisation", figures.includes_quantisation)
            counted = counted + included * QUANTISATION / scale.span**2
    if model.row:
        counted = counted + of_images("includes_row", figures.includes_row) * row**2

    read = of_planes("read", figures.read)
    shape = x.new_zeros(batch, 1)
    if model.read == "tukey-lambda":
        if figures.tukey_lambda is None or figures.tukey_scale is None:
            raise InputError(
                f"noise model '{model.name}' needs tukey_lambda and tukey_scale; choose a camera"
                " that has them, or 'eld-gaussian'"
            )
        shape = of_images("tukey_lambda", figures.tukey_lambda).detach()
        unit = [[tukey_lambda_variance(one)] for one in shape.flatten().tolist()]
        read = of_images("tukey_scale", figures.tukey_scale) ** 2
        counted = counted / torch.as_tensor(unit, dtype=x.dtype, device=x.device)
    return _Terms(
        of_planes("shot", figures.shot),
        (read - counted).clamp(min=0),
        row,
        of_planes("bias", figures.bias),
        shape,
    )


def _poisson(x: Tensor, shot: Tensor, generator: torch.Generator) -> Tensor:
    """Count electrons; the value is the noisy signal, the gradient that of its mean, x."""
    gain = shot.detach().clamp(min=SMALLEST_SHOT)
    clean = x.detach()
    noisy = gain * _counts(clean.clamp(min=0) / gain, generator) + clean.clamp(max=0)
    return _straight_through(torch.where(shot > 0, noisy, clean), x)


def _counts(mean: Tensor, generator: torch.Generator) -> Tensor:
    """Draw Poisson numbers, and leave a CUDA generator where no next draw sees theirs again.

    For each call torch takes 20 numbers of the generator; cuRAND's method for means below 64 needs
    one more than it counts, so that read noise would go with shot noise (pytorch issue 136750).
    """
    drawn = torch.poisson(mean, generator)
    if mean.device.type == "cuda":
        none = mean.new_zeros(1)
        for _ in range(RESERVED):
            torch.poisson(none, generator)
    return drawn


def _tukey_lambda(x: Tensor, shape: Tensor, generator: torch.Generator) -> Tensor:
    """Return Tukey-lambda numbers of scale 1: Q(p) = (p^λ - (1-p)^λ)/λ, at λ = 0 the logit.

    B. Joiner, J. Rosenblatt, "Some properties of the range in samples from Tukey's symmetric lambda
    distributions", JASA 66, 1971.
    """
    # In float32 the smallest p would be 2^-24, which cuts heavy tails; p = 0 has no quantile.
    p = torch.rand(x.shape, generator=generator, dtype=torch.float64, device=x.device)
    p = p.clamp(min=2.0**-54)
    low, high = p.log(), torch.log1p(-p)
    λ = shape.to(torch.float64).view(-1, 1, 1, 1)
    divisor = torch.where(λ == 0, 1.0, λ)
    quantile = (torch.expm1(λ * low) - torch.expm1(λ * high)) / divisor
    return torch.where(λ == 0, low - high, quantile).to(x.dtype)


def _stored(
    y: Tensor, planes: _Planes, scale: _Scale | None, quantise: bool, clip: Clip | None
) -> Tensor:
    """Round and clip; bounds and codes are normalised by one expression, so that they agree."""
    if scale is None:
        return y if clip is None else y.clamp(0, 1)
    black, white, span = (values.expand(len(y), -1) for values in (*scale, scale.span))
    low = torch.zeros_like(black) if clip == "adc" else black
    if quantise:
        low, white = (low + 0.5).floor(), white.floor()
        at_black, at_span = planes.spread(black), planes.spread(span)
        codes = (y.detach() * at_span + at_black + 0.5).floor()
        y = _straight_through((codes - at_black) / at_span, y)
    if clip is None:
        return y
    return y.clamp(planes.spread((low - black) / span), planes.spread((white - black) / span))


def _straight_through(value: Tensor, gradient: Tensor) -> Tensor:
    """Return ``value`` to the bit, with the gradient of ``gradient``."""
    return value.detach() + (gradient - gradient.detach())


def _root(variance: Tensor) -> Tensor:
    """Square root whose derivative at 0 is 0: infinity would turn into NaN on the way back."""
    positive = variance > 0
    return torch.where(positive, torch.where(positive, variance, 1.0).sqrt(), 0.0)


def _normals(shape: Sequence[int], x: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(tuple(shape), generator=generator, dtype=x.dtype, device=x.device)


def _batched(what: str, value: Tensor | float, shape: tuple[int, ...], x: Tensor) -> Tensor:
    tensor = torch.as_tensor(value, dtype=x.dtype, device=x.device)
    try:
        return tensor.expand(shape)
    except RuntimeError:
        raise InputError(f"{what} of shape {tuple(tensor.shape)}: {shape} is needed") from None


def _check_mosaic(name: str, mosaic: Tensor) -> None:
    if mosaic.ndim != 4 or mosaic.shape[1] != 1:
        raise InputError(f"{name} of shape {tuple(mosaic.shape)}: (B, 1, H, W) is needed")
    if mosaic.dtype not in (torch.float32, torch.float64):
        raise InputError(f"{name} of {mosaic.dtype}: make it float32 or float64")


def _check_count(what: str, count: int, x: Tensor) -> None:
    if count not in (1, len(x)):
        raise InputError(f"{count} {what} for {len(x)} mosaics; give one, or one for each")


def _check_range(
    what: str, value: Tensor | float, bound: str = "", lowest: float = -math.inf
) -> None:
    values = torch.as_tensor(value, dtype=torch.float64).detach()
    wrong = ~(values.isfinite() & (values >= lowest))
    if wrong.any():
        raise InputError(f"{what} must be finite{bound}, not {values[wrong][0].item():g}")
