"""The recipe that NeCA's networks are trained by: all that decides what weights come out."""

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from denoisers.neca.losses import STEP, Border, Gan
from denoisers.training.recipe import Count, Fraction, Validation
from noisegen.errors import RecipeError
from noisegen.jpeg import Subsampling
from noisegen.neca.networks import Activation, Final, Padding
from pipelines.tables import Table, check_range, first_problem, to_toml

Weight = Annotated[float, Field(ge=0)]
Rate = Annotated[float, Field(gt=0)]

HALVINGS = 5, 3
"""Of the critics D1 and D2."""

MULTIPLE = (1 << HALVINGS[0]) * STEP
"""Height and width of a training sample are a multiple of this: D2 sees every third pixel."""


class Gain(Table):
    """E, which reads the gain off a noisy picture."""

    width: Count = Field(default=96, description="Channels.")
    depth: Annotated[int, Field(ge=3)] = Field(default=5, description="Layers.")


class Level(Table):
    """P, which gives each pixel the strength of its noise."""

    width: Count = Field(default=96, description="Channels.")


class Correlation(Table):
    """C, which mixes independent noise over a neighbourhood."""

    width: Count = Field(
        default=64, description="Channels at full size; twice as many each stage down."
    )
    stages: Annotated[int, Field(ge=2, le=5)] = Field(
        default=4, description="Sizes that it works at."
    )
    activation: Activation = Field(default="relu", description="Of its hidden layers.")
    padding: Padding = Field(
        default="zeros", description="Of its convolutions, beyond the picture."
    )
    final: Final = Field(default="tanh", description="What follows the last convolution.")


class Critics(Table):
    """D1 and D2, which tell real noise from made noise."""

    width: Count = Field(
        default=64, description="Channels of the first layers; up to 8 times as many."
    )
    instance_norm: bool = Field(default=False, description="Normalise the features of each sample.")
    sees_clean: bool = Field(
        default=False, description="They see the clean picture too; unpublished."
    )
    start: Annotated[int, Field(ge=0)] | Literal["never"] = Field(
        default=0, description="First iteration in which they learn and are heard, or never."
    )


class Denoiser(Table):
    """R, a DnCNN that is trained beside the noise it learns from."""

    width: Count = Field(default=64, description="Channels.")
    depth: Annotated[int, Field(ge=2)] = Field(default=20, description="Layers.")
    batch_norm: bool = Field(
        default=True, description="Batch norm after all but the first and last."
    )
    momentum: Annotated[float, Field(gt=0, le=1)] = Field(
        default=0.1,
        description="Of batch norm's running statistics; 0.9 as published, nearly a batch's.",
    )
    lr: Rate = Field(default=1e-3, description="Learning rate.")
    start: Annotated[int, Field(ge=0)] = Field(
        default=0, description="First iteration in which it learns."
    )
    decay_every: Count = Field(
        default=1_000_000, description="Iterations between two steps of its learning rate."
    )
    decay: Annotated[float, Field(gt=0, le=1)] = Field(
        default=0.1, description="Factor of such a step."
    )
    apart: bool = Field(
        default=True,
        description="What it learns from gets no gradient: the noise is not made for it.",
    )


class Weights(Table):
    """Factors of the losses of E, P and C."""

    level: Weight = Field(
        default=1.0, description="Squared difference of the level map and the gain."
    )
    gain: Weight = Field(
        default=50.0, description="Squared difference of the gain and the real strength."
    )
    local: Weight = Field(
        default=10.0, description="Squared difference of the level map and real levels."
    )
    statistics: Weight = Field(
        default=0.0,
        description="Distance of levels, covariances and spectra of made and real noise; "
        "unpublished.",
    )
    texture: Weight = Field(
        default=0.0,
        description="Distance of how the strength of made and real noise goes with the slope of "
        "the picture; unpublished.",
    )
    tails: Weight = Field(
        default=0.0,
        description="Distance of skewness and kurtosis of made and real noise; unpublished.",
    )
    denoiser: Weight = Field(default=1.0, description="Squared error of R.")
    adversarial: Weight = Field(default=0.1, description="What each critic says.")
    penalty: Weight = Field(default=10.0, description="wgan-gp: gradient penalty of each critic.")

    @property
    def measures(self) -> bool:
        """Whether any statistic of the noise is learned from."""
        return bool(self.statistics or self.texture or self.tails)


class Compressed(Table):
    """JPEGs that the noisy pictures were in: made noise goes through one too."""

    quality: Literal["none", "found"] | int | tuple[int, int] = Field(
        default="none",
        description="On libjpeg's scale from 1 to 100, or a range drawn from; found: that of the "
        "noisy pictures, where they were in JPEGs and are whole; none: no JPEG. Unpublished.",
    )
    subsampling: Literal["found"] | Subsampling = Field(
        default="found", description="Of the JPEG's colours; found: that of the noisy pictures."
    )

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        if isinstance(self.quality, str):
            if self.quality == "none" and self.subsampling != "found":
                raise ValueError("subsampling: quality is none; give a quality, or found")
        else:
            check_range("quality", self.quality, 1, 100)
        return self


class NecaTraining(Table):
    """How a camera's noise is learned from pairs."""

    schema_version: Literal[1] = Field(
        default=1, alias="schema", description="Version of the recipe."
    )
    preset: str | None = Field(default=None, description="Preset that it starts from.")
    iterations: Count = Field(description="Updates of the weights.")
    batch: Annotated[int, Field(ge=1)] = Field(default=16, description="Samples of an update.")
    patch: Count = Field(
        default=96, description=f"Height and width of a sample; multiples of {MULTIPLE}."
    )
    augment: bool = Field(default=False, description="Turn and mirror samples.")
    lr: Rate = Field(default=1e-4, description="Learning rate of E, P, C and both critics (Adam).")
    lr_end: Rate | None = Field(
        default=None,
        description="What that rate comes down to in the end, by a half cosine; none: it stays.",
    )
    betas: tuple[Fraction, Fraction] = Field(
        default=(0.5, 0.9), description="Decay of Adam's moments."
    )
    gan: Gan = Field(default="wgan-gp", description="Kind of adversarial training.")
    critic_steps: Count | None = Field(
        default=None,
        description="Iterations of the critics to one in which C hears of them; by default 5 for "
        "wgan-gp and 1 for the others.",
    )
    zero_gradients: bool = Field(
        default=True,
        description="Where C gets no gradient it moves on by Adam's moments, as published (zeros "
        "stand for the gradient); if not, it stands still.",
    )
    dither: bool = Field(
        default=True,
        description="The critics see real noise with its rounding filled up by uniform noise; as "
        "published they tell it by its whole levels.",
    )
    border: Border = Field(
        default="reflect",
        description="Local levels beyond the sample: mirrored, or zeros as published, which make "
        "levels at the border too low.",
    )
    measured_gain: bool = Field(
        default=False,
        description="P is given the measured strength of the real noise, not what E reads, which "
        "takes long to learn.",
    )
    apart: bool = Field(
        default=False,
        description="What is said of the correlated noise reaches C alone: P does not make up for "
        "what C has wrong.",
    )
    clip: Rate | None = Field(
        default=None, description="Largest norm of the gradient of each network; none: not clipped."
    )
    scaled_start: bool = Field(
        default=False,
        description="Initial weights keep the strength of what goes through (He), as narrow "
        "networks need; as published their standard deviation is 0.02.",
    )
    jpeg: Compressed = Field(default=Compressed(), description="What made noise goes through.")
    weights: Weights = Field(default=Weights(), description="Factors of the losses.")
    gain: Gain = Field(default=Gain(), description="Network E.")
    level: Level = Field(default=Level(), description="Network P.")
    correlation: Correlation = Field(default=Correlation(), description="Network C.")
    critics: Critics = Field(default=Critics(), description="Networks D1 and D2.")
    joint: bool = Field(default=True, description="Train R beside.")
    denoiser: Denoiser = Field(default=Denoiser(), description="Network R.")
    hold_out: bool = Field(
        default=True,
        description="Some scenes are kept for validation, and the best weights chosen by it; if "
        "not, all are learned from, and the last weights taken.",
    )
    validation: Validation = Field(default=Validation(), description="What is measured meanwhile.")
    seed: Annotated[int, Field(ge=0, lt=1 << 64)] = Field(default=0, description="Of every draw.")

    def rate(self, iteration: int) -> float:
        """Return the learning rate of all but R in an iteration, from 0 on."""
        end = self.lr if self.lr_end is None else self.lr_end
        fallen = (1 - math.cos(math.pi * iteration / self.iterations)) / 2
        return self.lr + (end - self.lr) * fallen

    def judges(self, iteration: int) -> bool:
        """Return whether the critics take part in an iteration, from 0 on."""
        start = self.critics.start
        return start != "never" and iteration >= start

    @property
    def heard_every(self) -> int:
        """Iterations to one in which C hears of the critics."""
        return self.critic_steps or (5 if self.gan == "wgan-gp" else 1)

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        if self.patch % MULTIPLE:
            raise ValueError(f"patch: {self.patch} is no multiple of {MULTIPLE}")
        return self

    def to_toml(self) -> str:
        """Return a TOML file that makes this recipe again; defaults are written out."""
        return to_toml(self.model_dump(mode="json", by_alias=True, exclude_none=True))


def parse(data: Mapping[str, Any], where: str = "recipe of NeCA") -> NecaTraining:
    """Validate `data` as a recipe.

    Raises
    ------
    RecipeError
        One line that names the first wrong key, its value, and the nearest right key.
    """
    try:
        return NecaTraining.model_validate(dict(data))
    except ValidationError as error:
        raise RecipeError(f"{where}: {first_problem(error, NecaTraining)}") from None
