"""Noise of the Dark Vision Dataset's RGB-IR camera, as a recipe's table."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from noisegen.rgbir_gains import CALIBRATED
from pipelines.tables import Range, Table, check_range

DVD = "dvd"
"""Name of the noise."""

Gain = Annotated[int, Field(ge=1, le=len(CALIBRATED))]


class Dvd(Table):
    """How pictures are darkened and noise is drawn on RGB-IR mosaics (docs/guided.md)."""

    sigma: float | Range | None = Field(
        default=None,
        description="Level σ of the published test, in units of 1023, or a range drawn uniformly: "
        "the variance of v is σ² + σ v; none: that of a calibrated gain.",
    )
    gain: Gain | tuple[Gain, Gain] | None = Field(
        default=None,
        description="Calibrated gain, or first and last of those that one is drawn from; none: 1 "
        "to 15.",
    )
    green: float | Range | None = Field(
        default=None,
        description="Mean that the green pixels are brought to, in units of 1023; of a range, and "
        "of 2 to 20 if none is given, it is drawn as published, and nothing is made brighter.",
    )
    mean_of: Literal["patch", "frame"] = Field(
        default="patch",
        description="What the mean is taken of: the patch, as in the published training, or the "
        "whole picture, as in the published test.",
    )

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        check_range("sigma", self.sigma, low=0.0, open_low=True)
        check_range("green", self.green, low=0.0, high=1023.0, open_low=True)
        if isinstance(self.gain, tuple) and self.gain[0] > self.gain[1]:
            raise ValueError(f"gain: {self.gain[0]} to {self.gain[1]} runs backwards")
        if self.sigma is not None and self.gain is not None:
            raise ValueError("sigma, gain: give one of them, not both")
        return self

    def check(self, noise: str | None, patch: int) -> None:
        """Refuse what a recipe's noise has no use for.

        Raises
        ------
        ValueError
            One line for :func:`pipelines.tables.first_problem`.
        """
        if noise != DVD:
            if self != Dvd():
                raise ValueError(f"dvd: is of noise {DVD}; leave it away")
        elif patch % 4:
            raise ValueError(f"patch: {patch} is no multiple of 4, the cell of RGB-IR mosaics")
