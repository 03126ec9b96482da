"""Lens shading, as a recipe's table."""

from typing import Self

from pydantic import Field, model_validator

from pipelines.tables import Range, Table, check_range, ends

STRONGEST = 8.0
"""Largest coefficient."""


def _coefficient(power: int) -> float | Range:
    text = f"Coefficient of r^{power} in the gain, or a range drawn uniformly, once an image."
    coefficient: float | Range = Field(default=0.0, description=text)
    return coefficient


class ShadingTable(Table):
    """Light that a lens loses towards the corners: the gain 1 + k1 r² + k2 r⁴ + k3 r⁶ makes up
    for it, with r = 1 in the corners.
    """

    k1: float | Range = _coefficient(2)
    k2: float | Range = _coefficient(4)
    k3: float | Range = _coefficient(6)

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        for name in ("k1", "k2", "k3"):
            check_range(name, getattr(self, name), 0, STRONGEST)
        return self

    @property
    def ranges(self) -> tuple[Range, Range, Range]:
        """What the coefficients are drawn from."""
        return ends(self.k1), ends(self.k2), ends(self.k3)

    @property
    def is_on(self) -> bool:
        """Whether any gain can differ from 1."""
        return any(high > 0 for _, high in self.ranges)
