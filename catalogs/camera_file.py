"""The TOML file of a camera: its keys, their checks, and one-line errors that name file and key.

``docs/cameras.md`` describes the format for people who write their own.
"""

import tomllib
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from catalogs.camera import Camera, ColorMatrix, Figures, Illuminant, Source
from catalogs.camera_noise import (
    Finite,
    Line,
    Noise,
    NonNegativePlanes,
    Point,
    Polynomial,
    Positive,
    Prior,
    PriorLine,
    Regression,
    Section,
    Table,
)
from catalogs.problems import explain
from noisegen.cfa import Phase
from noisegen.errors import InputError, did_you_mean
from noisegen.sensor import models
from noisegen.sensor.body import BodyFigures
from noisegen.sensor.parameters import Levels

Text = Annotated[str, Field(min_length=1)]
Row = tuple[Finite, Finite, Finite]


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class SourceSection(Section):
    """One ``[[sources]]`` entry; ``figures`` says which figures it gave."""

    figures: Text
    paper: Text | None = None
    repository: Text | None = None
    path: Text | None = None

    @model_validator(mode="after")
    def _named(self) -> Self:
        if not (self.paper or self.repository or self.path):
            raise ValueError("a source needs a paper, a repository or a path")
        return self


class LevelsSection(Section):
    """``[levels]``: black (one number or R, G1, B, G2), white and bits of the mosaic."""

    black: NonNegativePlanes
    white: Positive
    bits: Annotated[int, Field(ge=8, le=16)]
    clips_at: Literal["adc", "black"] = "adc"

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.white <= max(self.black):
            raise ValueError(f"white {self.white:g} is not above black {max(self.black):g}")
        if self.white > 2**self.bits - 1:
            raise ValueError(f"white {self.white:g} does not fit in {self.bits} bits")
        return self


class MatrixSection(Section):
    """One ``[[color.matrices]]`` entry: XYZ to camera, rows R, G, B."""

    illuminant: Illuminant
    xyz_to_cam: tuple[Row, Row, Row]
    tag: Text | None = None


class ColorSection(Section):
    """``[color]``: published matrices, or the name of what stands in for them."""

    matrices: tuple[MatrixSection, ...] = ()
    substitute: Literal["google-mixture"] | None = None
    neutrals: tuple[tuple[Positive, Positive, Positive], ...] = ()

    @model_validator(mode="after")
    def _one_matrix(self) -> Self:
        if bool(self.matrices) == bool(self.substitute):
            raise ValueError('give either matrices or substitute = "google-mixture"')
        return self


class BodySection(Section):
    """``[body]``: what :data:`noisegen.sensor.body.FIGURES` describes; left out is off."""

    prnu: Finite = 0.0
    green_imbalance: Finite = 0.0
    dsnu: Finite = 0.0
    dark_shading: Finite = 0.0
    column_fpn: Finite = 0.0
    column: Finite = 0.0
    black_level_error: Finite = 0.0
    hot_pixels: Finite = 0.0
    hot_rate: Finite = 0.0
    dead_pixels: Finite = 0.0
    dual_gain_level: Finite | None = None
    dual_gain_ratio: Finite = 1.0

    @property
    def figures(self) -> BodyFigures:
        """The value that it states."""
        return BodyFigures(**self.model_dump())

    @model_validator(mode="after")
    def _is_a_body(self) -> Self:
        self.figures  # noqa: B018 - refuses what describes none
        return self


class CameraFile(Section):
    """All keys of a camera file; :class:`catalogs.camera.Camera` says what they mean."""

    title: Text
    figures: Figures
    licence: Text
    note: Text
    cfa: Phase
    sources: Annotated[tuple[SourceSection, ...], Field(min_length=1)]
    levels: LevelsSection
    color: ColorSection
    noise: Noise
    default_model: Text = "heteroscedastic"
    make: str = ""
    model: Annotated[tuple[Text, ...], BeforeValidator(_listed)] = ()
    assumed: tuple[Literal["levels", "cfa"], ...] = ()
    read_includes: tuple[Literal["quantisation", "row"], ...]
    breakpoints: tuple[Positive, ...] = ()
    max_analog_iso: Positive | None = None
    body: BodySection = BodySection()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.breakpoints or self.max_analog_iso) and self.noise.iso_range is None:
            raise ValueError("breakpoints and max_analog_iso need a camera with ISO")
        if list(self.breakpoints) != sorted(set(self.breakpoints)):
            raise ValueError("breakpoints must be increasing")
        if isinstance(self.noise, Table) and self.breakpoints:
            few = min(self.noise.modes(self.breakpoints))
            if few < 2:
                raise ValueError(
                    f"a gain mode between breakpoints has {few} point{'' if few else 's'}; "
                    "each needs two"
                )
        if self.model and not self.make:
            raise ValueError("model without make")
        if self.default_model not in models.names():
            hint = did_you_mean(self.default_model, models.names())
            raise ValueError(f"there is no noise model '{self.default_model}'{hint}")
        return self


_SECTIONS: dict[tuple[str, ...], type[Section]] = {
    (): CameraFile,
    ("sources",): SourceSection,
    ("levels",): LevelsSection,
    ("color",): ColorSection,
    ("color", "matrices"): MatrixSection,
    ("body",): BodySection,
    ("noise", "table"): Table,
    ("noise", "table", "points"): Point,
    ("noise", "polynomial"): Polynomial,
    ("noise", "regression"): Regression,
    ("noise", "regression", "gaussian_read"): Line,
    ("noise", "regression", "tukey_read"): Line,
    ("noise", "regression", "row"): Line,
    ("noise", "prior"): Prior,
    ("noise", "prior", "read"): PriorLine,
}

_KEYS = {path: section.model_fields for path, section in _SECTIONS.items()}

_KINDS = ("table", "polynomial", "regression", "prior")


def parse(text: str, name: str, where: str) -> Camera:
    """Make a camera of the text of its file.

    Parameters
    ----------
    text
        TOML.
    name
        Name that the camera gets.
    where
        What errors call the text, such as its path.

    Raises
    ------
    InputError
        If it is no TOML, or a key is missing, unknown or wrong: one line with file and key.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{where}: not a TOML file: {error}") from None
    try:
        file = CameraFile.model_validate(document)
    except ValidationError as error:
        raise InputError(f"{where}: {explain(error, _KEYS, _KINDS)}") from None
    return Camera(
        name=name,
        title=file.title,
        figures=file.figures,
        licence=file.licence,
        sources=tuple(Source(**s.model_dump()) for s in file.sources),
        levels=Levels(file.levels.black, file.levels.white, file.levels.clips_at),
        bits=file.levels.bits,
        cfa=file.cfa,
        noise=file.noise,
        default_model=file.default_model,
        note=file.note,
        make=file.make,
        models=file.model,
        assumed=file.assumed,
        read_includes=file.read_includes,
        breakpoints=file.breakpoints,
        max_analog_iso=file.max_analog_iso,
        color_matrices=tuple(
            ColorMatrix(m.illuminant, m.xyz_to_cam, m.tag) for m in file.color.matrices
        ),
        neutrals=file.color.neutrals,
        body=file.body.figures,
        toml=text,
    )
