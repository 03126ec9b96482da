"""What a file of NeCA's weights says of itself, and the gains that its camera was seen to have."""

import math
from bisect import bisect_left
from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator

from noisegen.card import WeightsCard
from noisegen.errors import InputError
from noisegen.jpeg import Subsampling

LARGEST_GAIN = 0.5
"""Bound of the gain where no card says what the camera's are; no noise of values from 0 to 1 that
is not clipped away has a larger standard deviation."""

FAR_ABOVE = 2.0
"""How many times the card's largest gain is still taken."""

Gain = Annotated[float, Field(gt=0)]

Quality = Annotated[int, Field(ge=1, le=100)]


class Jpeg(BaseModel):
    """The JPEGs that a camera writes, of which its noise is the noise."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    quality: tuple[Quality, Quality] = Field(description="The least and the greatest.")
    subsampling: Subsampling = Field(description="Of the colours.")

    @field_validator("quality")
    @classmethod
    def _in_order(cls, quality: tuple[int, int]) -> tuple[int, int]:
        if quality[0] > quality[1]:
            raise ValueError(f"the range {quality[0]} to {quality[1]} runs backwards")
        return quality

    def draw(self, rng: np.random.Generator) -> int:
        """Draw a picture's quality."""
        low, high = self.quality
        return int(rng.integers(low, high + 1))

    @property
    def middle(self) -> int:
        """Quality of a picture for which none is drawn."""
        return sum(self.quality) // 2

    def __str__(self) -> str:
        """Say what they are in a few words."""
        low, high = self.quality
        return f"quality {low}" + f" to {high}" * (high > low) + f", {self.subsampling}"


class Card(WeightsCard):
    """Origin, training and terms of the weights, and the camera's gains."""

    camera: str = Field(default="", description="Name of the camera whose noise it is.")
    options: dict[str, dict[str, Any]] = Field(
        default_factory=dict,
        description="Of the networks `gain`, `level` and `correlation`: what differs from the "
        "defaults.",
    )
    gains: dict[Annotated[int, Field(gt=0)], Annotated[tuple[Gain, ...], Field(min_length=1)]] = (
        Field(
            default_factory=dict,
            description="Gains of real pictures by ISO, in increasing order: what E measured, or "
            "the standard deviation of noisy minus clean.",
        )
    )

    jpeg: Jpeg | None = Field(
        default=None,
        description="What noisy pictures are compressed to: the networks make what goes into it.",
    )

    @field_validator("gains")
    @classmethod
    def _in_order(cls, gains: Mapping[int, tuple[float, ...]]) -> dict[int, tuple[float, ...]]:
        return {iso: tuple(sorted(gains[iso])) for iso in sorted(gains)}

    def gain_at(self, iso: float, quantile: float = 0.5) -> float:
        """Return the gain of pictures at an ISO.

        Parameters
        ----------
        iso
            Within those that the camera was measured at.
        quantile
            Which of the gains that pictures at one ISO have, from 0 (the least) to 1. Between
            measured ones, and between ISOs, gains are log-linear.

        Raises
        ------
        InputError
            If the card has no gains, or the ISO lies outside of them.
        """
        known = list(self._known())
        if not known[0] <= iso <= known[-1]:
            raise InputError(
                f"ISO {iso:g}: the gains of {self._whose} are known from ISO {known[0]} to "
                f"{known[-1]}; take one of these, or give a gain"
            )
        above = bisect_left(known, iso)
        below = max(above - 1, 0)
        ends = [math.log(known[k]) for k in (below, above)]
        logs = [self._log_gain(known[k], quantile) for k in (below, above)]
        return math.exp(np.interp(math.log(iso), ends, logs))

    def draw_gain(self, rng: np.random.Generator) -> tuple[int, float]:
        """Draw one of the measured ISOs, and a gain at it.

        Raises
        ------
        InputError
            If the card has no gains.
        """
        known = self._known()
        iso = known[int(rng.integers(len(known)))]
        return iso, self.gain_at(iso, rng.random())

    @property
    def highest_gain(self) -> float:
        """Bound of the gains that the networks may be given."""
        largest = max((gains[-1] for gains in self.gains.values()), default=None)
        return LARGEST_GAIN if largest is None else FAR_ABOVE * largest

    @property
    def _whose(self) -> str:
        return f"camera {self.camera}" if self.camera else "these weights"

    def _known(self) -> tuple[int, ...]:
        if not self.gains:
            raise InputError(
                f"the card of {self._whose} has no gains by ISO; give a gain, or a noisy picture "
                "to read it from"
            )
        return tuple(self.gains)

    def _log_gain(self, iso: int, quantile: float) -> float:
        gains = self.gains[iso]
        return float(np.interp(quantile, np.linspace(0, 1, len(gains)), np.log(gains)))
