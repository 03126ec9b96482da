"""Restormer, SwinIR and MIRNet-v2 as denoisers of sRGB pictures: a convolution on either side."""

from typing import Annotated, Any, ClassVar

from pydantic import Field, create_model
from torch import Tensor, nn

from denoisers.backbones import FAMILIES, Backbone, below, prefixed
from denoisers.base import Denoiser, ModelEntry, Options, Shapes, convolution

Channels = Annotated[int, Field(ge=1)]


class Plain(Denoiser):
    """The picture plus what a backbone makes of it.

    Parameters
    ----------
    backbone
        From ``width`` to ``width`` channels.
    width
        Channels of its features.
    channels
        Of the picture.
    """

    multiple: ClassVar[int] = 8

    def __init__(self, backbone: Backbone, width: int, channels: int = 3) -> None:
        super().__init__()
        self.embed = nn.Conv2d(channels, width, 3, padding=1)
        self.backbone = backbone
        self.last = nn.Conv2d(width, channels, 3, padding=1)
        # What is added to the picture is nothing at first: training starts from the noisy picture.
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]

    def forward(self, noisy: Tensor) -> Tensor:
        """Return the denoised picture, (N, C, H, W), not clipped.

        Raises
        ------
        InputError
            If height or width is no multiple of the backbone's.
        """
        residual: Tensor = self.last(self.backbone(self.embed(noisy)))
        return noisy + residual


def page(name: str) -> ModelEntry:
    """Return the registry's page of a backbone as a denoiser."""
    family = FAMILIES[name]
    options: type[Options] = create_model(
        family.options.__name__,
        __base__=family.options,
        __doc__=family.options.__doc__,
        channels=(Channels, Field(3, description="Channels of the picture.")),
    )

    def make(chosen: Any) -> Plain:
        settings = chosen.model_dump()
        channels = settings.pop("channels")
        return Plain(family.make(**settings), settings["width"], channels)

    def infer(shapes: Shapes) -> dict[str, Any]:
        _, channels, *_ = convolution(shapes, "embed.weight")
        return {"channels": channels, **family.infer(below("backbone.", shapes))}

    return ModelEntry(
        name=name,
        title=family.title,
        paper=family.paper,
        licence="no weights are published under these names",
        options=options,
        make=make,
        variants={"rgb": {}},
        keys=(r"(embed|last)\.(weight|bias)", *prefixed(r"backbone\.", family.keys)),
        infer=infer,
    )
