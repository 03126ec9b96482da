"""How pictures are taken back to mosaics, as a recipe's table."""

from typing import Annotated, Any, Literal, Self, get_args

from pydantic import Field, field_validator, model_validator

from noisegen.errors import did_you_mean
from noisegen.isp.illuminant import GREATEST, LEAST
from noisegen.isp.tone import FAMILIES, PIVOT, Family
from pipelines.tables import Range, Table, check_range, ends

BRIGHTEST = 8.0
"""Largest exposure."""

STRENGTHS = (0.0, 0.9)
"""Strengths that are drawn from unless others are asked for: no inverse is flat at an end."""

PIVOTS = (0.3, 0.7)
"""Pivots that are drawn from unless others are asked for."""

InverseTone = Literal["chain"] | Family


class Unprocess(Table):
    """What is drawn for a picture, once an image; raw files are mosaics already."""

    white_balance: Literal["camera", "locus"] = Field(
        default="camera",
        description="Colours of the light: what the camera's file records, or drawn from the "
        "illuminant locus between its two colour matrices.",
    )
    temperature: float | Range | None = Field(
        default=None,
        description="Colour temperature in kelvin on the locus, or a range that its reciprocal is "
        "drawn from uniformly; none: from one matrix's light to the other's.",
    )
    exposure: float | Range = Field(
        default=1.0,
        description="Factor on the picture's light before the sensor clips, or a range drawn "
        "log-uniformly.",
    )
    inverse_tone: Annotated[tuple[InverseTone, ...], Field(min_length=1)] = Field(
        default=("chain",),
        description="Tone curve that is undone: the chain's own, or of a family, or of one of "
        f"several families: {', '.join(FAMILIES)}.",
    )
    tone_strength: float | Range | None = Field(
        default=None, description="Its strength, or a range drawn uniformly; none: 0 to 0.9."
    )
    tone_pivot: float | Range | None = Field(
        default=None,
        description="Pivot of an s-curve, or a range drawn uniformly; none: 0.3 to 0.7.",
    )

    @field_validator("inverse_tone", mode="before")
    @classmethod
    def _names(cls, value: Any) -> Any:
        names = [n.strip() for n in value.split(",")] if isinstance(value, str) else value
        known = ("chain", *get_args(Family))
        for name in names if isinstance(names, list | tuple) else ():
            if name not in known:
                hint = did_you_mean(str(name), known)
                raise ValueError(f"no tone curve is called '{name}'{hint}: {', '.join(known)}")
        return names

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        check_range("temperature", self.temperature, LEAST, GREATEST)
        check_range("exposure", self.exposure, 0, BRIGHTEST, open_low=True)
        check_range("tone_strength", self.tone_strength, 0, 1)
        check_range("tone_pivot", self.tone_pivot, *PIVOT)
        if self.temperature is not None and self.white_balance != "locus":
            raise ValueError("temperature: is drawn for white_balance = 'locus' only")
        if "chain" in self.inverse_tone and len(self.inverse_tone) > 1:
            raise ValueError("inverse_tone: 'chain' is the recipe's own tone; it stands alone")
        if self.tone_strength is not None and self.inverse_tone == ("chain",):
            raise ValueError(
                "tone_strength: the chain's own curve has that of 'tone'; name an inverse_tone"
            )
        if self.tone_pivot is not None and "s-curve" not in self.inverse_tone:
            raise ValueError("tone_pivot: only inverse_tone 's-curve' has one")
        return self

    @property
    def families(self) -> tuple[Family, ...]:
        """Families of the curve that is undone; none where it is the chain's own."""
        return tuple(name for name in self.inverse_tone if name != "chain")

    @property
    def strengths(self) -> Range:
        """Strengths that are drawn from."""
        return ends(STRENGTHS if self.tone_strength is None else self.tone_strength)

    @property
    def pivots(self) -> Range:
        """Pivots that are drawn from."""
        return ends(PIVOTS if self.tone_pivot is None else self.tone_pivot)
