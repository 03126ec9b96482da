"""What a camera's body adds to its frames, as a recipe's table."""

from dataclasses import replace
from typing import Any, Self

from pydantic import Field, model_validator

from noisegen.errors import InputError
from noisegen.sensor.body import FIGURES, BodyFigures
from pipelines.tables import Range, Table, check_range

SHORTEST, LONGEST = 1e-6, 3600.0
"""Limits of an exposure time in seconds."""


def _figure(name: str) -> Any:
    figure = FIGURES[name]
    unit = "" if figure.unit == "1" else f", {figure.unit}"
    text = f"{figure.description}{unit}; none: the camera's own, which is off as a rule."
    return Field(default=None, description=text[0].upper() + text[1:])


class Body(Table):
    """Figures of the body, over those of the camera's file (:mod:`noisegen.sensor.body`)."""

    prnu: float | None = _figure("prnu")
    green_imbalance: float | None = _figure("green_imbalance")
    dsnu: float | None = _figure("dsnu")
    dark_shading: float | None = _figure("dark_shading")
    column_fpn: float | None = _figure("column_fpn")
    column: float | None = _figure("column")
    black_level_error: float | None = _figure("black_level_error")
    hot_pixels: float | None = _figure("hot_pixels")
    hot_rate: float | None = _figure("hot_rate")
    dead_pixels: float | None = _figure("dead_pixels")
    dual_gain_level: float | None = _figure("dual_gain_level")
    dual_gain_ratio: float | None = _figure("dual_gain_ratio")
    exposure_time: float | Range = Field(
        default=0.01,
        description="Seconds for which hot pixels collect dark current; a range is drawn from "
        "log-uniformly, once a patch.",
    )

    @model_validator(mode="after")
    def _within_limits(self) -> Self:
        for name, figure in FIGURES.items():
            check_range(name, getattr(self, name), figure.low, figure.high)
        check_range("exposure_time", self.exposure_time, SHORTEST, LONGEST)
        return self

    def over(self, figures: BodyFigures) -> BodyFigures:
        """Return a camera's figures with those that are stated here in their place.

        Raises
        ------
        InputError
            If half of a term is given.
        """
        own = {name: getattr(self, name) for name in FIGURES}
        try:
            return replace(figures, **{name: v for name, v in own.items() if v is not None})
        except InputError as error:
            raise InputError(f"body: {error}") from None
