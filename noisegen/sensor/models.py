"""Noise models by name: which terms a sensor adds."""

from dataclasses import dataclass, replace
from typing import Literal

from noisegen.errors import UnknownNameError


@dataclass(frozen=True)
class NoiseModel:
    """A set of terms; rounding to whole codes comes on top of every model.

    Attributes
    ----------
    name
        Name in the registry.
    shot
        Law of the shot noise of a pixel: ``"none"``, ``"gaussian"`` of variance shot·x, or
        ``"poisson"`` of the electrons x/shot.
    read
        Law of the read noise of a pixel: ``"none"``, ``"gaussian"``, or ``"tukey-lambda"``.
    row
        Whether every row of the frame gets one Gaussian offset.
    bias
        Whether every plane gets its mean dark offset.
    """

    name: str
    shot: Literal["none", "gaussian", "poisson"]
    read: Literal["none", "gaussian", "tukey-lambda"]
    row: bool = False
    bias: bool = False

    @property
    def light_only(self) -> "NoiseModel":
        """The model without what a dark frame holds: read noise, row noise and bias."""
        return replace(self, read="none", row=False, bias=False)


MODELS: dict[str, NoiseModel] = {
    model.name: model
    for model in (
        NoiseModel("awgn", "none", "gaussian"),
        NoiseModel("heteroscedastic", "gaussian", "gaussian"),
        NoiseModel("poisson-gaussian", "poisson", "gaussian"),
        # K. Wei et al., "A Physics-based Noise Formation Model for Extreme Low-light Raw
        # Denoising", CVPR 2020, section 3, with either of its read-noise laws.
        NoiseModel("eld", "poisson", "tukey-lambda", row=True, bias=True),
        NoiseModel("eld-gaussian", "poisson", "gaussian", row=True, bias=True),
    )
}
"""The models that a recipe can name."""


def get(name: str) -> NoiseModel:
    """Return the model of that name.

    Raises
    ------
    UnknownNameError
        If there is none; the message names the nearest one.
    """
    try:
        return MODELS[name]
    except KeyError:
        raise UnknownNameError(
            "noise model", name, MODELS, f"choose one of {', '.join(MODELS)}"
        ) from None


def names() -> tuple[str, ...]:
    """Return the names of all models, simplest first."""
    return tuple(MODELS)
