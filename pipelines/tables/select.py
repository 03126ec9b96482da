"""Which places of a picture become patches, as a recipe's table."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pipelines.tables import Table, check_range


class Select(Table):
    """How places are chosen; the other keys are those of method 'stratified'."""

    method: Literal["uniform", "stratified"] = Field(
        default="uniform",
        description="Any place, or one that fits a drawn stratum of level and texture.",
    )
    candidates: Annotated[int, Field(ge=1, le=256)] = Field(
        default=8, description="Places that are looked at for each patch."
    )
    min_mean: float = Field(
        default=0.002,
        description="Least mean of x, from 0 at black to 1 at white; a darker patch is flat black.",
    )
    max_clipped: float = Field(
        default=0.05, description="Largest share of pixels at or above white."
    )

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        check_range("min_mean", self.min_mean, 0, 1)
        check_range("max_clipped", self.max_clipped, 0, 1)
        if not self.is_on:
            for name, field in type(self).model_fields.items():
                if getattr(self, name) != field.default:
                    raise ValueError(
                        f"{name}: method 'uniform' takes any place; set select.method='stratified'"
                    )
        return self

    @property
    def is_on(self) -> bool:
        """Whether places are looked at before they are taken."""
        return self.method == "stratified"
