"""The training recipe: everything that decides what weights come out, as one frozen value.

A file of it says what is trained and how; the data, the device and the folder of the run are said
beside it. Published recipes are the presets of :mod:`denoisers.presets`.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from denoisers import entry
from noisegen.errors import MissingDataError, RecipeError, did_you_mean
from noisegen.sensor.sampling import DUALDN_CAMERAS
from pipelines.tables import Range, Table, check_range, ends, first_problem, to_toml

Count = Annotated[int, Field(ge=1)]
Fraction = Annotated[float, Field(ge=0, lt=1)]


class Optimiser(Table):
    """Adam or AdamW."""

    name: Literal["adam", "adamw"] = Field(default="adamw", description="Algorithm.")
    lr: Annotated[float, Field(gt=0)] = Field(
        default=2e-4, description="Learning rate at its height."
    )
    betas: tuple[Fraction, Fraction] = Field(
        default=(0.9, 0.999), description="Decay of both moments."
    )
    eps: Annotated[float, Field(gt=0)] = Field(default=1e-8, description="Added to the root.")
    weight_decay: Annotated[float, Field(ge=0)] = Field(default=0.0, description="Weight decay.")
    clip: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="Largest norm of the gradient; none: not clipped."
    )


class Schedule(Table):
    """How the learning rate goes on, in iterations."""

    name: Literal["constant", "step", "milestones", "cosine"] = Field(
        default="cosine", description="Its shape."
    )
    warmup: Annotated[int, Field(ge=0)] = Field(
        default=0, description="Iterations of rising; with hold, in steps of that many."
    )
    every: Count = Field(default=200_000, description="step: iterations between two halvings.")
    factor: Annotated[float, Field(gt=0, le=1)] = Field(
        default=0.5, description="step, milestones: its factor."
    )
    milestones: tuple[Count, ...] = Field(
        default=(), description="milestones: iterations that begin with a lower rate."
    )
    start: Annotated[int, Field(ge=0)] = Field(
        default=0, description="cosine: iterations before it begins to fall, warm-up included."
    )
    end: Count | None = Field(
        default=None, description="cosine: where its half wave ends; none: the last iteration."
    )
    minimum: Annotated[float, Field(ge=0)] = Field(
        default=0.0, description="cosine: where it ends."
    )
    hold: Count = Field(
        default=1, description="Iterations for which the rate stays, as schedules by epoch do."
    )


class Mixup(Table):
    """Pairs of samples, mixed alike in noisy and clean."""

    alpha: Annotated[float, Field(ge=0)] = Field(
        default=0.0, description="Both parameters of the Beta law of the mixing; 0: off."
    )
    start: Annotated[int, Field(ge=0)] = Field(default=0, description="First iteration that mixes.")


class Validation(Table):
    """What is measured while training."""

    every: Count = Field(default=1000, description="Iterations between two validations.")
    count: Count = Field(default=32, description="Pictures, spread evenly over those held out.")
    crop: Annotated[int, Field(ge=16)] = Field(
        default=256, description="Larger pictures are cut to this many pixels about their middle."
    )


class Guides(Table):
    """What networks with a guide are given for it."""

    given: Literal["own", "none"] = Field(
        default="own",
        description="Guides of the samples themselves, or none: black ones, by which a network is "
        "compared with itself without a guide.",
    )
    wrong: Fraction = Field(
        default=0.0,
        description="Share of samples whose guide lies: that of another sample, or their own, "
        "moved, half each.",
    )
    shift: Count = Field(
        default=16, description="Pixels up to which it is moved, along rows and columns."
    )

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        if self.given == "none" and self.wrong:
            raise ValueError("wrong: there are no guides to be wrong with given = 'none'")
        return self


class Mosaics(Table):
    """Noise and tone of networks that are trained on mosaics; DualDn's where nothing is said."""

    levels: Literal["drawn", "recorded"] = Field(
        default="drawn",
        description="Of noise drawn anew: drawn from the prior below, or as the corpus records.",
    )
    noise: Literal["poisson-gaussian", "heteroscedastic"] = Field(
        default="poisson-gaussian", description="Law of noise drawn anew."
    )
    shot: float | Range = Field(
        default=(2e-4, 2e-2),
        description="K, from whose range it is drawn log-uniformly: the variance is K x + S.",
    )
    camera: str = Field(
        default="SonyA7S2", description="Line of S over K (noisegen.sensor.sampling)."
    )
    alpha: float | Range = Field(default=(0.0, 1.0), description="Strength of the tone curve.")

    @model_validator(mode="after")
    def _ranges(self) -> Self:
        check_range("shot", self.shot, 0.0, 1.0, open_low=True)
        check_range("alpha", self.alpha, -1.0, 1.0)
        if self.camera not in DUALDN_CAMERAS:
            raise ValueError(f"camera: no line of {self.camera}; {', '.join(DUALDN_CAMERAS)}")
        return self


class Training(Table):
    """How a network is trained."""

    schema_version: Literal[1] = Field(1, alias="schema", description="Version of the recipe.")
    preset: str | None = Field(None, description="Preset that it starts from.")
    model: str = Field(description="Network (denoisers.names()).")
    options: dict[str, bool | int | float | str | tuple[Count, ...]] = Field(
        default_factory=dict, description="Its options."
    )
    iterations: Count = Field(description="Updates of the weights, in each phase.")
    phases: tuple[str, ...] = Field(
        (), description="Of a network that is trained in parts: which, in turn; none: all."
    )
    batch: Count = Field(16, description="Samples of an update, of all ranks together.")
    accumulate: Count = Field(1, description="Parts that a batch goes through the network in.")
    patch: Annotated[int, Field(ge=8)] = Field(128, description="Height and width of a sample.")
    augment: bool = Field(True, description="Turn and mirror, as far as the noise's law allows.")
    awgn: float | Range | None = Field(
        None,
        description="Put white Gaussian noise on clean pictures: its standard deviation in 8-bit "
        "levels, or a range drawn uniformly.",
    )
    awgn_cut: bool = Field(False, description="Cut the sum to [0, 1], as FAID's training has it.")
    renoise: bool = Field(False, description="Draw a corpus's own noise anew in every epoch.")
    loss: Literal["squares", "charbonnier", "l1"] = Field(
        "charbonnier",
        description="squares: half the sum of squared errors of a picture; charbonnier: mean of "
        "sqrt(d^2 + 1e-6); l1: mean of |d|.",
    )
    vgg: str | None = Field(
        None,
        description="File of VGG16's weights, for losses that compare what it sees (r2rnet); none: "
        "without that part of the loss.",
    )
    teacher: str | None = Field(
        None,
        description="Run or file of weights of the network that the loss asks (dvn: dvn-recons).",
    )
    clamp: bool = Field(False, description="Cut the output to [0, 1] before the loss.")
    ema: Fraction = Field(0.0, description="Decay of the mean of weights that is kept; 0: off.")
    precision: Literal["float32", "bfloat16", "float16", "auto"] = Field(
        "float32",
        description="What the network computes in; weights stay float32. auto: bfloat16 where the "
        "processor has instructions for it; a run records what it was.",
    )
    recompute: bool = Field(
        False,
        description="Compute blocks again for the gradient instead of keeping what is in them.",
    )
    mosaics: Mosaics | None = Field(None, description="Noise and tone of training on mosaics.")
    guides: Guides = Field(Guides(), description="What networks with a guide are given for it.")
    optimiser: Optimiser = Field(Optimiser(), description="How weights are updated.")
    schedule: Schedule = Field(Schedule(), description="How the learning rate goes on.")
    mixup: Mixup = Field(Mixup(), description="Mixing of samples.")
    validation: Validation = Field(Validation(), description="What is measured meanwhile.")
    seed: Annotated[int, Field(ge=0, lt=1 << 64)] = Field(0, description="Of every draw.")

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        check_range("awgn", self.awgn, 0.0, 255.0)
        if self.awgn is not None and ends(self.awgn)[1] == 0:
            raise ValueError("awgn: noise of 0 leaves nothing to learn")
        if self.awgn_cut and self.awgn is None:
            raise ValueError("awgn_cut: there is no white noise to be cut; give awgn")
        if self.awgn is not None and self.renoise:
            raise ValueError("awgn, renoise: white noise or the corpus's own, not both")
        if self.mosaics is not None and (self.awgn is not None or self.mixup.alpha):
            raise ValueError("mosaics: neither awgn nor mixup goes with mosaics")
        if self.batch % self.accumulate:
            raise ValueError(
                f"accumulate: {self.accumulate} parts do not divide a batch of {self.batch}"
            )
        return self

    @property
    def total(self) -> int:
        """Updates of the weights in all phases."""
        return self.iterations * max(1, len(self.phases))

    def phase(self, iteration: int) -> str:
        """Return the phase of an iteration, counted from 0; empty where there are none."""
        return self.phases[iteration // self.iterations] if self.phases else ""

    def to_toml(self) -> str:
        """Return a TOML file that :func:`read` turns into this recipe; defaults are written out."""
        return to_toml(self.model_dump(mode="json", by_alias=True, exclude_none=True))


def parse(data: Mapping[str, Any], where: str = "training recipe") -> Training:
    """Validate ``data`` as a training recipe.

    Raises
    ------
    RecipeError
        One line that names the first wrong key, its value, and the nearest right key.
    UnknownNameError
        If there is no such network.
    """
    try:
        return in_phases(Training.model_validate(dict(data)))
    except ValidationError as error:
        raise RecipeError(f"{where}: {first_problem(error, Training)}") from None


def in_phases(recipe: Training) -> Training:
    """Return a recipe that says which phases there are.

    Raises
    ------
    RecipeError
        If one that it names is none of the network's.
    """
    known = entry(recipe.model).phases
    if unknown := [phase for phase in recipe.phases if phase not in known]:
        there = f"it has: {', '.join(known)}" if known else "it is trained as one"
        hint = did_you_mean(unknown[0], known)
        raise RecipeError(f"phases: {recipe.model} has no '{unknown[0]}'{hint}; {there}")
    return recipe.model_copy(update={"phases": recipe.phases or known})


def read_table(path: str | Path) -> dict[str, Any]:
    """Return the keys and values of a TOML file, not yet validated.

    Raises
    ------
    MissingDataError
        If there is no such file.
    RecipeError
        If it is no TOML.
    """
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise MissingDataError(f"no training recipe at {path}: check the path") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RecipeError(f"cannot read the training recipe {path}: {error}") from None
