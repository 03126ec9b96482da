"""NeCA's noise, as a recipe's table."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pipelines.tables import Range, Table, check_range

WHOLE, SIMPLIFIED = "neca-w", "neca-s"

NOISES = (WHOLE, SIMPLIFIED)
"""Names of the noise models."""


class Neca(Table):
    """How noise is drawn with a camera's networks (docs/neca.md)."""

    gain: float | Range | None = Field(
        default=None,
        description="neca-w: gain b of a picture, or a range drawn log-uniformly; none: one of "
        "those that the camera's card lists.",
    )
    gain_from: str | None = Field(
        default=None,
        description="neca-w: noisy picture that the gain network E reads the gain off when the "
        "corpus is made; recorded as gain.",
    )
    iso: float | Range | None = Field(
        default=None,
        description="neca-w: ISO at which the card's gains are taken, or a range drawn "
        "log-uniformly; none: any of the card's.",
    )
    sigma: float | Range | None = Field(
        default=None,
        description="neca-s: standard deviation of the independent noise in 8-bit codes, or a "
        "range drawn uniformly; none: 25.",
    )
    jpeg: bool = Field(
        default=True,
        description="Noisy pictures go through the JPEGs that the camera's card tells of, if it "
        "does; false: they are what would go in.",
    )
    precision: Literal["float32", "bfloat16"] = Field(
        default="float32", description="Of the correlation network."
    )
    device: Literal["cpu", "cuda"] = Field(
        default="cpu", description="Where the networks run: other devices give other last bits."
    )
    weights: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = Field(
        default=None, description="SHA-256 of the networks (--neca-weights DIR); found when made."
    )

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        for name in ("gain", "iso", "sigma"):
            check_range(name, getattr(self, name), low=0.0, open_low=True)
        given = [n for n in ("gain", "gain_from", "iso") if getattr(self, n) is not None]
        if len(given) > 1:
            raise ValueError(f"{', '.join(given)}: give one of them")
        return self

    def check(self, noise: str | None, tone_is_drawn: bool, lazy: bool) -> None:
        """Refuse what a recipe's noise has no use for.

        Raises
        ------
        ValueError
            One line for :func:`pipelines.tables.first_problem`.
        """
        if noise not in NOISES:
            if self != Neca():
                raise ValueError(f"neca: is of noise {' and '.join(NOISES)}; leave it away")
            return
        others = ("gain", "gain_from", "iso") if noise == SIMPLIFIED else ("sigma",)
        for name in others:
            if getattr(self, name) is not None:
                raise ValueError(f"neca.{name}: noise {noise} has none; leave it away")
        if tone_is_drawn:
            raise ValueError("tone: NeCA looks at the whole picture: give one tone, not a range")
        if lazy:
            raise ValueError(
                "lazy: a corpus does not hold the whole pictures that NeCA's noise would be "
                "computed of when it is read; leave lazy away"
            )
