"""What is done about the noise that clean pictures have of their own, as a recipe's table."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pipelines.tables import Table, check_range

Policy = Literal["reject", "top-up", "bin2", "ignore"]


class SourceNoise(Table):
    """The noise of raw files, and what 8 bits and JPEG did to pictures (docs/source-noise.md)."""

    policy: Policy | None = Field(
        default=None,
        description="Patches whose own noise is more than a share of what is put on are left out "
        "('reject'), what is put on makes it up to the camera's ('top-up'), same-colour neighbours "
        "are averaged 2x2 ('bin2'), or nothing is done ('ignore'); none: reject, but ignore with "
        "camera 'as-shot'.",
    )
    max_share: float = Field(
        default=0.1,
        description="Largest variance that 'reject' lets pass, over that of the noise put on.",
    )

    dither: bool = Field(
        default=True,
        description="Spread each code of 8-bit pictures over its level at random before they are "
        "unprocessed.",
    )
    shrink: Annotated[int, Field(ge=1, le=8)] = Field(
        default=2,
        description="Average JPEGs (and lossy WebPs) over squares of so many pixels, in linear "
        "light, before they are unprocessed; 1: use them as they are.",
    )

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        check_range("max_share", self.max_share, 0, 1, open_low=True)
        if self.policy not in (None, "reject") and self.max_share != _MAX_SHARE:
            raise ValueError(f"max_share: policy '{self.policy}' leaves nothing out; drop one")
        return self


_MAX_SHARE = SourceNoise.model_fields["max_share"].default
