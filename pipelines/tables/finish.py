"""What a camera does after its tone curve, as a recipe's table."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from noisegen.isp.parameters import FINISH_LIMITS
from noisegen.jpeg import Subsampling
from pipelines.tables import Range, Table, check_range, ends

STRONGEST = 20.0
"""Largest strength of a noise reduction, in standard deviations of the noise."""


class Finish(Table):
    """Noise reduction, sharpening, resizing and JPEG; each is off unless it is asked for.

    A range is drawn from uniformly, once a patch.
    """

    target: Literal["render", "finished", "mean"] = Field(
        default="render",
        description="What clean is: the rendering before all this (but resized), or after it, or "
        "the mean of many noisy pictures.",
    )
    luma: float | Range = Field(
        default=0.0,
        description="Strength of the luma noise reduction, in standard deviations of the luma "
        "noise that the sensor's figures give a middle grey; 0: off.",
    )
    luma_radius: int = Field(default=1, description="Reach of the luma filter in pixels.")
    chroma: float | Range = Field(
        default=0.0,
        description="Strength of the chroma noise reduction, in those of the chroma noise.",
    )
    chroma_radius: int = Field(
        default=3, description="Radius of the chroma filter's window in pixels."
    )
    sharpen: float | Range = Field(default=0.0, description="Amount of the unsharp mask; 0: off.")
    sharpen_radius: float | Range = Field(
        default=0.8, description="Standard deviation of its blur in pixels."
    )
    resize: float | Range = Field(
        default=1.0,
        description="Pixels of the frame for one of the picture, along an axis; 1: off.",
    )
    quality: int | tuple[int, int] | Literal["none"] = Field(
        default="none", description="JPEG quality from 1 to 100, or a range; none: no JPEG."
    )
    subsampling: Subsampling | Annotated[tuple[Subsampling, ...], Field(min_length=1)] = Field(
        default="4:2:0", description="Subsampling of the JPEG's colours, or several to choose from."
    )

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        for name in ("luma", "chroma"):
            check_range(name, getattr(self, name), 0, STRONGEST)
        for name in ("luma_radius", "chroma_radius", "sharpen", "sharpen_radius", "resize"):
            check_range(name, getattr(self, name), *FINISH_LIMITS[name])
        if self.quality != "none":
            check_range("quality", self.quality, *FINISH_LIMITS["quality"])
        if self.target == "finished" and not self.is_on:
            raise ValueError("target: nothing is finished here; switch something on, such as luma")
        return self

    @property
    def is_on(self) -> bool:
        """Whether anything is done."""
        filters = any(ends(v)[1] > 0 for v in (self.luma, self.chroma, self.sharpen))
        return filters or self.shrinks or self.quality != "none"

    @property
    def shrinks(self) -> bool:
        """Whether pictures may get smaller than their frame."""
        return ends(self.resize)[1] > 1

    @property
    def subsamplings(self) -> tuple[Subsampling, ...]:
        """What the JPEG's subsampling is chosen from."""
        return (self.subsampling,) if isinstance(self.subsampling, str) else self.subsampling

    def check_stage(self, stage: str, bits: int | None, border: str) -> None:
        """Refuse what the rest of a recipe does not go with.

        Raises
        ------
        ValueError
            One line.
        """
        if not (self.is_on or self.target == "mean"):
            return
        if stage not in ("srgb", "both"):
            raise ValueError(f"finish: stage '{stage}' ends before the tone curve; leave it away")
        if stage == "both" and self.shrinks:
            raise ValueError(
                "finish.resize: stage 'both' stores each pixel's mosaic; resize at stage 'srgb'"
            )
        if bits == 16 and self.quality != "none":
            raise ValueError("finish.quality: a JPEG has 8 bits; leave bits away")
        if border == "published":
            raise ValueError(
                "finish: border 'published' renders patches without their surroundings; "
                "leave one of them away"
            )
