"""A network's own file: safetensors, with a card in its header that says what the weights are.

The card and the weights are one file, written whole by one rename, so that neither is ever without
the other. The header is JSON that any safetensors reader shows under the key ``noisegen``.
"""

import json
import os
from importlib import metadata
from typing import Any, Self

from pydantic import Field, ValidationError

import denoisers
import noisegen
from denoisers.base import Denoiser
from noisegen.errors import (
    RecipeError,
    UnknownNameError,
    WeightsError,
)
from noisegen.weights import fill, read_safetensors, write_safetensors
from pipelines.tables import Table, first_problem

KEY = "noisegen"
"""Of the card in the file's header."""


def versions() -> dict[str, str]:
    """Return the versions of what makes and reads weights."""
    return {"noisegen": noisegen.__version__} | {
        name: metadata.version(name) for name in ("torch", "numpy", "safetensors")
    }


class Card(Table):
    """What a file of weights says of itself."""

    model: str = Field(description="Name of the network, as `denoisers.create` takes it.")
    options: dict[str, Any] = Field(description="All its options.")
    variants: tuple[str, ...] = Field(
        (), description="Published nets that have these options; they differ by training alone."
    )
    origin: str = Field("", description="Where the weights come from: a run, a published file.")
    data: dict[str, str] = Field(
        default_factory=dict, description="Training data: name, and SHA-256 of its recipe."
    )
    metrics: dict[str, float] = Field(
        default_factory=dict, description="What was measured: name with unit, and value."
    )
    licence: str = Field("", description="Terms of the weights.")
    versions: dict[str, str] = Field(
        default_factory=versions, description="Of the packages that wrote the file."
    )

    def to_json(self) -> str:
        """Return the card as JSON text."""
        return self.model_dump_json(indent=1)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the card of a JSON text.

        Raises
        ------
        WeightsError
            If it is none.
        """
        try:
            return cls.model_validate(json.loads(text))
        except ValidationError as error:
            raise WeightsError(f"not a card: {first_problem(error, cls)}") from None
        except (ValueError, TypeError) as error:
            raise WeightsError(f"not a card: {error}") from None


def save(path: str | os.PathLike[str], model: Denoiser, card: Card) -> None:
    """Write a network's weights and its card, replacing what was there by one rename.

    Parameters
    ----------
    path
        By convention ``NAME.safetensors``.
    model
        On any device.
    card
        Its ``model`` and ``options`` must make a network of these weights.

    Raises
    ------
    StorageError
        If the file cannot be written.
    """
    write_safetensors(path, model.state_dict(), {KEY: card.to_json()})


def load(path: str | os.PathLike[str]) -> tuple[Denoiser, Card]:
    """Return a network and its card from a file that :func:`save` wrote.

    Returns
    -------
    model
        In evaluation mode, on the CPU.
    card
        What the file says of itself.

    Raises
    ------
    MissingDataError
        If there is no such file.
    UnreadableFileError
        If it is damaged.
    WeightsError
        If it has no card, or weights and card do not fit.
    """
    state, header = read_safetensors(path)
    if KEY not in header:
        raise WeightsError(
            f"{path} has no card of noisegen's; published weights are for denoisers.published.load"
        )
    try:
        card = Card.from_json(header[KEY])
        model = denoisers.create(card.model, **card.options)
    except (WeightsError, UnknownNameError) as error:
        raise WeightsError(f"{path}: {error}") from None
    except RecipeError as error:
        raise WeightsError(f"{path}: its card is of another version of noisegen: {error}") from None
    return fill(model, state, str(path)), card
