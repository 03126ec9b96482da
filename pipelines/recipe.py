"""The recipe: everything that decides what a corpus contains, as one frozen value.

A recipe says nothing of how a corpus is made (workers, parts, the source's root): two runs of one
recipe give the same bytes. It is validated once, hashed, and stored inside the corpus.
"""

import hashlib
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from catalogs.sources.base import Guide
from noisegen.errors import MissingDataError, RecipeError
from noisegen.random import DRAWS
from pipelines import presets
from pipelines.tables import Range, Table, check_range, ends, first_problem, merged, to_toml
from pipelines.tables.body import Body
from pipelines.tables.dvd import DVD, Dvd
from pipelines.tables.finish import Finish
from pipelines.tables.neca import NOISES, Neca
from pipelines.tables.select import Select
from pipelines.tables.shading import ShadingTable
from pipelines.tables.source_noise import SourceNoise
from pipelines.tables.unprocess import Unprocess

SCHEMA = 1
"""Version of the recipe and of the corpus layout."""

PICTURE_PREFIX = "srgb-"
"""Begins the names of noise models that draw on the rendered picture."""

PICTURE_KEYS = frozenset(
    {"schema_version", "preset", "source", "source_options", "camera", "camera_file", "noise"}
    | {"noise_file", "bits", "lazy", "patch", "per_image", "count", "draws", "seed"}
    | {"demosaic", "gamma", "tone", "border", "neca", "guide"}
)
"""Keys that mean something where noise is drawn on the rendered picture."""

REAL = "real"
"""Noise of pairs that a camera took: none is drawn."""

REAL_KEYS = frozenset(
    {"schema_version", "preset", "source", "source_options", "camera", "noise", "bits", "patch"}
    | {"stride", "seed"}
)
"""Keys that mean something for real pairs."""

RGBIR_KEYS = frozenset(
    {"schema_version", "preset", "source", "source_options", "camera", "noise", "bits", "patch"}
    | {"per_image", "count", "draws", "seed", "guide", "dvd"}
)
"""Keys that mean something where noise is drawn on RGB-IR mosaics."""

Stage = Literal["srgb", "linear", "raw", "both"]

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

Term = Literal[
    "shot", "read", "row", "bias",
    "prnu", "green_imbalance", "dsnu", "dark_shading", "column_fpn", "column", "black_level_error",
    "hot_pixels", "dead_pixels", "dual_gain",
]  # fmt: skip
"""Noise terms: the model's, and the body's."""


class Recipe(Table):
    """What a corpus is made of.

    Every field has a default: ``Recipe()`` is the demo corpus (dead leaves, Google Pixel). What
    belongs to one step of the chain stands in a table of its own (:mod:`pipelines.tables`).
    """

    schema_version: Literal[1] = Field(1, alias="schema", description="Version of the recipe.")
    preset: str | None = Field(
        None, description="Named recipe that this one starts from (noisegen synthesize --preset)."
    )
    source: str = Field("deadleaves", description="Data set the clean pictures come from.")
    source_options: dict[str, str | int | float | bool] = Field(
        default_factory=dict, description="Options of the source, such as its split."
    )
    guide: Guide | None = Field(
        None,
        description="Second picture of each scene that goes beside it: nir or flash; none: the "
        "source's, if it has one (docs/guided.md).",
    )
    camera: str = Field(
        "GP", description="Camera whose noise is put on; 'as-shot': the file's own."
    )
    camera_file: str | None = Field(
        None, description="Text of the TOML file of a camera that is not in the catalog."
    )
    noise: str | None = Field(
        None,
        description="Noise model, or the TOML file of one that was fitted to pairs (noisegen fit); "
        "none: the camera's own; 'real': that of the source's pairs (noisegen ingest).",
    )
    noise_file: str | None = Field(
        None, description="Text of the TOML file of noise that is drawn on the rendered picture."
    )
    neca: Neca = Field(
        Neca(), description="Noise neca-w and neca-s, drawn with networks (docs/neca.md)."
    )
    dvd: Dvd = Field(
        Dvd(), description="Noise dvd, of an RGB-IR camera in the dark (docs/guided.md)."
    )
    iso: float | Range | Literal["as-shot"] | None = Field(
        None,
        description="ISO, a range drawn log-uniformly, or 'as-shot': each raw file's own; none: "
        "the camera's range.",
    )
    gain: float | Range | None = Field(
        None, description="Gain in DN per electron, or a range, for cameras without ISO."
    )
    stage: Stage = Field("srgb", description="What is stored: sRGB, linear RGB, mosaic, or both.")
    bits: Literal[8, 16] | None = Field(
        None, description="Bits of a stored sRGB value; none: 8. Other stages have their own."
    )
    lazy: bool = Field(False, description="Keep the clean mosaic; compute the rest when read.")
    without: tuple[Term, ...] = Field(
        (), description="Noise terms, of the model or the body, that are switched off."
    )
    body: Body = Field(Body(), description="What the camera's body adds (docs/body.md).")
    bodies: Annotated[int, Field(ge=1, lt=1 << 24)] = Field(
        1, description="Virtual bodies of the camera, of which each image is taken with one."
    )
    patch: int = Field(128, description="Height and width of a sample in pixels, even.")
    stride: Annotated[int, Field(ge=1, le=8192)] | None = Field(
        None,
        description="Step between the windows of real pairs, in pixels; none: patch.",
    )
    per_image: Annotated[int, Field(ge=1, lt=1 << 32)] | None = Field(
        None, description="Patches an image; none: the source's default, or what count asks for."
    )
    count: Annotated[int, Field(ge=1, lt=1 << 32)] | None = Field(
        None, description="Patches in all."
    )
    dark_frames: dict[str, Sha256] = Field(
        default_factory=dict,
        description="Dark frames that stand for read, row and bias noise, by path in their folder "
        "(--dark-frames DIR), with their SHA-256 (docs/dark-frames.md).",
    )
    select: Select = Field(Select(), description="Which places are taken (docs/select.md).")
    draws: Annotated[int, Field(ge=1, lt=DRAWS)] = Field(
        1, description="Noise draws of each clean patch; each is a sample of its own."
    )
    demosaic: Literal["nearest", "bilinear", "malvar", "ahd"] = Field(
        "malvar", description="Demosaicing method of the ISP."
    )
    gamma: Literal["srgb", "rec709", "2.2"] = Field("srgb", description="Transfer function.")
    tone: float | Range = Field(
        0.0, description="Tone amplification α, or a range drawn uniformly."
    )
    clip: Literal["camera", "published"] = Field(
        "camera",
        description="Where noisy codes are cut: as the camera does, or at black as DualDn does.",
    )
    border: Literal["reflect", "published"] = Field(
        "reflect",
        description="Surroundings of a patch in the ISP: its real ones, or the published zeros.",
    )
    exposure_ratio: float | Range | None = Field(
        None, description="The noisy input gets this many times less light than the clean target."
    )
    amplify: bool = Field(False, description="Multiply the darkened input back, after the noise.")
    source_noise: SourceNoise = Field(
        SourceNoise(), description="Noise that clean pictures have already (docs/source-noise.md)."
    )
    unprocess: Unprocess = Field(
        Unprocess(), description="How pictures become mosaics (docs/unprocess.md)."
    )
    shading: ShadingTable = Field(
        ShadingTable(), description="Light that the lens loses (docs/shading.md)."
    )
    finish: Finish = Field(Finish(), description="What follows the tone curve (docs/finish.md).")
    seed: Annotated[int, Field(ge=0, lt=1 << 64)] = Field(0, description="Seed of every draw.")

    @model_validator(mode="before")
    @classmethod
    def _over_its_preset(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and data.get("preset") is not None:
            return merged(presets.read(data["preset"]), data)
        return data

    @field_validator("without")
    @classmethod
    def _one_order(cls, terms: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(sorted(set(terms)))

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        if self.patch % 2 or not 8 <= self.patch <= 8192:
            raise ValueError(f"patch: {self.patch} is not an even number from 8 to 8192")
        for name in ("gain", "exposure_ratio"):
            check_range(name, getattr(self, name), low=0.0, open_low=True)
        if self.iso != "as-shot":
            check_range("iso", self.iso, low=0.0, open_low=True)
        check_range("tone", self.tone, low=0.0, high=1.0)
        if self.exposure_ratio is not None and ends(self.exposure_ratio)[0] < 1:
            raise ValueError("exposure_ratio: 1 or more (how many times less light the input gets)")
        if self.amplify and self.exposure_ratio is None:
            raise ValueError("amplify: needs exposure_ratio; there is nothing to multiply back")
        if self.iso is not None and self.gain is not None:
            raise ValueError("iso, gain: give one of them, not both")
        if self.stage == "raw" and (self.demosaic, self.border) != ("malvar", "reflect"):
            raise ValueError("demosaic, border: stage 'raw' is not rendered; leave them away")
        if self.bits is not None and self.stage in ("linear", "raw"):
            raise ValueError(f"bits: stage '{self.stage}' is stored in 16 bits; leave bits away")
        if self.lazy and self.dark_frames:
            raise ValueError(
                "lazy: a corpus does not hold the dark frames that its noise would be computed of "
                "when it is read; leave lazy away"
            )
        if self.finish.target == "mean" and self.dark_frames:
            raise ValueError(
                "finish.target: a patch has one dark frame, which would stay in the mean of its "
                "noisy pictures; choose another target, or leave --dark-frames away"
            )
        if self.guide is not None and (self.lazy or self.finish.shrinks):
            what = "lazy" if self.lazy else "finish.resize"
            raise ValueError(f"guide: a guide is stored as it is cut; leave {what} away")
        self.finish.check_stage(self.stage, self.bits, self.border)
        if self.camera_file is not None and self.camera == "as-shot":
            raise ValueError("camera: 'as-shot' reads each file's own figures; give no camera_file")
        if self.is_real:
            self._check_keys(
                REAL_KEYS, "real pairs are stored as they are, at stage 'srgb' (noisegen ingest)"
            )
            if self.camera != "as-shot":
                raise ValueError(
                    "camera: real pairs are of the cameras that took them; give camera = 'as-shot'"
                )
        elif self.is_rgbir:
            self._check_keys(
                RGBIR_KEYS, "noise dvd is drawn on RGB-IR mosaics and developed as published"
            )
            if self.camera not in (Recipe.model_fields["camera"].default, "as-shot"):
                raise ValueError(
                    f"camera: noise {DVD} is that of a camera of its own; leave it away"
                )
        elif self.stride is not None:
            raise ValueError("stride: only real pairs are cut into windows; leave stride away")
        elif self.on_picture:
            what = f"noise {self.noise}" if self.noise in NOISES else "noise of a fitted file"
            self._check_keys(
                PICTURE_KEYS, f"{what} is drawn on the rendered picture, at stage 'srgb'"
            )
        self.dvd.check(self.noise, self.patch)
        low, high = ends(self.tone)
        self.neca.check(self.noise, tone_is_drawn=low < high, lazy=self.lazy)
        return self

    def _check_keys(self, meant: frozenset[str], why: str) -> None:
        """Refuse keys that have no meaning for what is made."""
        for name, field in Recipe.model_fields.items():
            if name not in meant and getattr(self, name) != field.get_default(
                call_default_factory=True
            ):
                raise ValueError(f"{name}: {why}; leave {name} away")

    @property
    def is_real(self) -> bool:
        """Whether pairs are ingested that a camera took."""
        return self.noise == REAL

    @property
    def is_rgbir(self) -> bool:
        """Whether noise is drawn on RGB-IR mosaics."""
        return self.noise == DVD

    @property
    def on_picture(self) -> bool:
        """Whether noise is drawn on the rendered picture, not on the mosaic."""
        noise = self.noise or ""
        return self.noise_file is not None or noise.endswith(".toml") or noise in NOISES

    @property
    def depth(self) -> Literal[8, 16]:
        """Bits of a stored sRGB value."""
        return self.bits or 8

    @property
    def sha256(self) -> str:
        """Hash of the canonical JSON text."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def to_json(self) -> str:
        """Return the canonical JSON text: sorted keys, no spaces."""
        data = self.model_dump(mode="json", by_alias=True)
        return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    def to_toml(self) -> str:
        """Return a TOML file that :func:`read` turns into this recipe; defaults are written out."""
        return to_toml(self.model_dump(mode="json", by_alias=True, exclude_none=True))


def parse(data: Mapping[str, Any], where: str = "recipe") -> Recipe:
    """Validate ``data`` as a recipe.

    Parameters
    ----------
    data
        Keys and values of a recipe.
    where
        What to call it in an error.

    Raises
    ------
    RecipeError
        One line that names the first wrong key, its value, and the nearest right key.
    """
    schema = data.get("schema", SCHEMA)
    if isinstance(schema, int) and schema > SCHEMA:
        raise RecipeError(
            f"{where} has schema {schema}, this noisegen reads up to {SCHEMA}: upgrade noisegen"
        )
    try:
        return Recipe.model_validate(dict(data))
    except ValidationError as error:
        raise RecipeError(f"{where}: {first_problem(error, Recipe)}") from None


def read(path: str | Path) -> Recipe:
    """Read a recipe from a TOML file.

    Raises
    ------
    MissingDataError
        If there is no such file.
    RecipeError
        If it is no TOML or no recipe.
    """
    return parse(read_table(path), where=str(path))


def read_table(path: str | Path) -> dict[str, Any]:
    """Return the keys and values of a TOML recipe, not yet validated."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise MissingDataError(f"no recipe at {path}: check the path") from None
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"cannot read the recipe {path}: {error}") from None
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"{path} is not TOML: {error}") from None


def json_data(text: str) -> dict[str, Any]:
    """Return the keys and values of a recipe's JSON text.

    Raises
    ------
    ValueError
        If it is no JSON object.
    """
    data = json.loads(text)
    if not isinstance(data, dict):
        raise ValueError("a recipe is a JSON object")
    return data


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a recipe."""
    return Recipe.model_json_schema(by_alias=True)
