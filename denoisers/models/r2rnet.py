"""R2RNet: a dark picture is taken apart, its reflectance denoised, its illumination made bright.

References
----------
J. Hai et al., "R2RNet: Low-light Image Enhancement via Real-low to Real-normal Network", Journal of
Visual Communication and Image Representation 90, 2023.
"""

from typing import Annotated, Any, ClassVar, NamedTuple

from pydantic import Field
from torch import Tensor

from denoisers.base import Denoiser, ModelEntry, Options, Shapes, convolution
from denoisers.r2rnet import Decom, Denoise, Relight
from noisegen.errors import InputError


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


class Enhanced(NamedTuple):
    """What becomes of a dark picture.

    Attributes
    ----------
    picture
        (N, 3, H, W), ``denoised * relit``; not clipped.
    reflectance, illumination
        (N, 3, H, W) and (N, 1, H, W): what the picture is the product of, both in (0, 1).
    denoised
        The reflectance without noise.
    relit
        (N, 1, H, W), the illumination of a well lit picture, 0 or more.
    """

    picture: Tensor
    reflectance: Tensor
    illumination: Tensor
    denoised: Tensor
    relit: Tensor


class R2RNet(Denoiser):
    """The three networks, one after another.

    Parameters
    ----------
    width, batch_transform
        As in :class:`R2RNetOptions`.
    """

    multiple: ClassVar[int] = 8

    def __init__(self, width: int = 64, batch_transform: bool = False) -> None:
        super().__init__()
        self.DecomNet = Decom(width)
        self.DenoiseNet = Denoise(width)
        self.RelightNet = Relight(width, batch_transform)

    def forward(self, dark: Tensor) -> Tensor:
        """Return the bright picture, (N, 3, H, W), not clipped.

        Raises
        ------
        InputError
            If height or width is no multiple of 8.
        """
        return self.enhance(dark).picture

    def enhance(self, dark: Tensor) -> Enhanced:
        """Return the bright picture and what it is made of.

        Raises
        ------
        InputError
            If height or width is no multiple of 8.
        """
        height, width = dark.shape[-2:]
        if height % self.multiple or width % self.multiple:
            raise InputError(
                f"R2RNet takes sides that are multiples of {self.multiple}, found "
                f"{height}x{width}: pad the picture (denoisers.inference.padding) or crop it"
            )
        reflectance, illumination = self.DecomNet(dark)
        denoised = self.DenoiseNet(illumination, reflectance)
        relit = self.RelightNet(illumination, denoised)
        return Enhanced(denoised * relit, reflectance, illumination, denoised, relit)


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
    parts={"Decom": "DecomNet.", "Denoise": "DenoiseNet.", "Relight": "RelightNet."},
)
