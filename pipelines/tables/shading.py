"""Lens shading, as a recipe's table."""

from typing import Literal, Self

from pydantic import Field, model_validator

from pipelines.tables import Range, Table, check_range, ends

STRONGEST = 8.0
"""Largest coefficient."""

FILE_BYTES = 1 << 15
"""Room that a corpus has for the shading that an image's file records."""


def _coefficient(power: int) -> float | Range:
    text = f"Coefficient of r^{power} in the gain, or a range drawn uniformly, once an image."
    coefficient: float | Range = Field(default=0.0, description=text)
    return coefficient


def _centre(what: str) -> float | Range:
    text = f"Optical centre in {what} of the frame, or a range drawn uniformly, once an image."
    centre: float | Range = Field(default=0.5, description=text)
    return centre


class ShadingTable(Table):
    """Light that a lens loses towards the corners: the gain 1 + k1 r² + k2 r⁴ + k3 r⁶ makes up
    for it, with r = 1 in the corner that is farthest from the centre; or what a raw file records.
    """

    mode: Literal["radial", "file"] = Field(
        default="radial",
        description="The radial model, or each raw file's own gain maps and radial model, which "
        "make up for the fall-off that its mosaic has already.",
    )
    k1: float | Range = _coefficient(2)
    k2: float | Range = _coefficient(4)
    k3: float | Range = _coefficient(6)
    centre_y: float | Range = _centre("heights")
    centre_x: float | Range = _centre("widths")

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        for name in ("k1", "k2", "k3"):
            check_range(name, getattr(self, name), 0, STRONGEST)
        for name in ("centre_y", "centre_x"):
            check_range(name, getattr(self, name), 0, 1)
        for name in sorted(set(ShadingTable.model_fields) - {"mode"}):
            if getattr(self, name) == ShadingTable.model_fields[name].default:
                continue
            if self.mode == "file":
                raise ValueError(f"{name}: mode 'file' takes all from the raw file; leave it away")
            if not self.is_on:
                raise ValueError(f"{name}: the radial model has no coefficient; state k1, k2 or k3")
        return self

    @property
    def ranges(self) -> tuple[Range, Range, Range]:
        """What the coefficients are drawn from."""
        return ends(self.k1), ends(self.k2), ends(self.k3)

    @property
    def is_on(self) -> bool:
        """Whether any gain can differ from 1."""
        return self.mode == "file" or any(high > 0 for _, high in self.ranges)

    @property
    def kept_bytes(self) -> int:
        """Bytes that a corpus keeps of each image's own shading; 0 where none is taken."""
        return FILE_BYTES if self.mode == "file" else 0
