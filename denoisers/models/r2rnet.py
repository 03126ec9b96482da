"""R2RNet: a dark picture is taken apart, its reflectance denoised, its illumination made bright.

References
----------
J. Hai et al., "R2RNet: Low-light Image Enhancement via Real-low to Real-normal Network", Journal of
Visual Communication and Image Representation 90, 2023.
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, NamedTuple

from pydantic import Field
from torch import Tensor

from denoisers.base import Denoiser, ModelEntry, Options, Shapes, check_sides, convolution
from denoisers.r2rnet import Decom, Denoise, Parts, Relight, losses
from denoisers.r2rnet.layers import SLOPE

PHASES = ("decom", "denoise", "relight")
"""The network that a phase trains."""


class R2RNetOptions(Options):
    """Settings of :class:`R2RNet`."""

    width: Annotated[int, Field(ge=1)] = Field(
        64, description="Channels of the features of all three networks; published: 64."
    )
    batch_transform: bool = Field(
        False,
        description="Fourier transform over the pictures of a batch too, as published: a picture's "
        "result depends on those beside it. A single picture's is the same.",
    )
    slope: Annotated[float, Field(gt=0, le=1)] = Field(
        SLOPE,
        description="Below 0, of the activation before the sigmoid of reflectance and "
        "illumination, which get below 0.5 a hundred times as slowly with the published 0.01.",
    )
    residual: bool = Field(
        False,
        description="Each network adds to a first guess and begins there: a smooth illumination "
        "with the reflectance that gives the picture by it, no noise, no more light.",
    )
    smoothness: Annotated[float, Field(ge=0)] = Field(
        0.0,
        description="Weight, in the loss of decom, of the illumination's steps where the "
        "reflectance has none; published: 0, RetinexNet has 0.1.",
    )


class Steps(NamedTuple):
    """What becomes of a dark picture, as far as a phase of the training goes.

    Attributes
    ----------
    parts
        Reflectance and illumination, whose product it is.
    denoised
        (N, 3, H, W), the reflectance without noise.
    relit
        (N, 1, H, W), the illumination of a well lit picture, 0 or more.
    """

    parts: Parts
    denoised: Tensor | None = None
    relit: Tensor | None = None


class R2RNet(Denoiser):
    """The three networks, one after another.

    Parameters
    ----------
    width, batch_transform, slope, residual, smoothness
        As in :class:`R2RNetOptions`.
    """

    multiple: ClassVar[int] = 8

    strength: float | None = 1.0
    """The illumination goes that part of the way from the dark picture's to the new one."""

    def __init__(
        self,
        width: int = 64,
        batch_transform: bool = False,
        slope: float = SLOPE,
        residual: bool = False,
        smoothness: float = 0.0,
    ) -> None:
        super().__init__()
        self.DecomNet = Decom(width, slope, residual)
        self.DenoiseNet = Denoise(width, residual)
        self.RelightNet = Relight(width, batch_transform, residual)
        self.smoothness = smoothness
        self.phase = PHASES[-1]

    def begin(self, phase: str) -> None:
        """Let the weights of one of the three networks move, and no others."""
        self.phase = phase
        parts = (self.DecomNet, self.DenoiseNet, self.RelightNet)
        for name, part in zip(PHASES, parts, strict=True):
            part.requires_grad_(name == phase)

    def forward(self, dark: Tensor) -> Tensor | Steps:
        """Return the bright picture, (N, 3, H, W), not clipped; in training mode the steps to it.

        Raises
        ------
        InputError
            If height or width is no multiple of 8.
        """
        if self.training:
            return self.steps(dark, self.phase)
        return self.with_maps(dark)[0]

    def with_maps(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Return the bright picture, and what it is made of."""
        (dark,) = inputs
        parts, denoised, relit = self.steps(dark)
        assert denoised is not None
        assert relit is not None
        if self.strength not in (None, 1):
            relit = parts.illumination.lerp(relit, self.strength)
        return denoised * relit, *parts, denoised, relit

    def steps(self, dark: Tensor, phase: str = PHASES[-1]) -> Steps:
        """Return what becomes of a picture, up to the network that a phase trains.

        Raises
        ------
        InputError
            If height or width is no multiple of 8.
        """
        check_sides("R2RNet", dark, self.multiple)
        parts: Parts = self.DecomNet(dark)
        if phase == "decom":
            return Steps(parts)
        denoised: Tensor = self.DenoiseNet(parts.illumination, parts.reflectance)
        if phase == "denoise":
            return Steps(parts, denoised)
        return Steps(parts, denoised, self.RelightNet(parts.illumination, denoised))


def loss(network: R2RNet, steps: Steps, batch: Mapping[str, Tensor]) -> Tensor:
    """Return the (n,) loss of each sample, that of the network's phase.

    What was trained in the phases before is a constant; in the published code gradients run through
    it in vain.
    """
    dark, bright = batch["noisy"], batch["clean"]
    seen = network.vgg[0] if network.vgg else None
    parts, denoised, relit = steps
    if denoised is None:
        high: Parts = network.DecomNet(bright)
        perceived = losses.perceptual(seen, parts.product, dark)
        perceived = perceived + losses.perceptual(seen, high.product, bright)
        total = losses.decomposition(parts, high, dark, bright) + losses.PERCEPTUAL * perceived
        if network.smoothness:
            rough = losses.smoothness(parts.illumination, parts.reflectance)
            rough = rough + losses.smoothness(high.illumination, high.reflectance)
            total = total + network.smoothness * rough
        return total
    if relit is None:
        made, target = denoised, network.DecomNet(bright).reflectance
    else:
        made, target = denoised * relit, bright
    total = losses.absolute(made, target)
    total = total + losses.PERCEPTUAL * losses.perceptual(seen, made, target)
    if relit is not None:
        total = total + losses.FREQUENCY * losses.frequency(made, target)
    return total


def infer(shapes: Shapes) -> dict[str, Any]:
    """Return the options of an R2RNet from the shapes of its state dict."""
    width, *_ = convolution(shapes, "DecomNet.conv0.weight")
    return {"width": width}


def _make(options: R2RNetOptions) -> R2RNet:
    return R2RNet(**options.model_dump())


ENTRY = ModelEntry(
    name="r2rnet",
    title="Real-low to Real-normal Network",
    paper="J. Hai et al., JVCIR 90, 2023",
    licence="none stated by the authors",
    options=R2RNetOptions,
    make=_make,
    variants={"lsrw": {}},
    keys=(
        r"DecomNet\.(conv[0-5]|RM[0-3]\.conv[0-4]?)\.(weight|bias)",
        r"DenoiseNet\.(conv\d+|Denoise\w+)\.(weight|bias)",
        r"RelightNet\.(conv[01]|EnhanceModule[01]\..+)\.(weight|bias)",
    ),
    infer=infer,
    derived=(r"vgg\..+",),
    loss=loss,
    phases=PHASES,
    perceives=losses.SEEN,
    parts={"Decom": "DecomNet.", "Denoise": "DenoiseNet.", "Relight": "RelightNet."},
    verb="enhance",
    maps=("reflectance", "illumination", "denoised", "relit"),
    meaning=("slope", "residual"),
)
