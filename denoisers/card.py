"""A network's own file: safetensors, with a card in its header that says what the weights are.

The card and the weights are one file, written whole by one rename, so that neither is ever without
the other. The header is JSON that any safetensors reader shows under the key ``noisegen``.
"""

import os
from typing import Any

from pydantic import Field

import denoisers
from denoisers.base import Denoiser
from noisegen.card import WeightsCard
from noisegen.errors import RecipeError, UnknownNameError, WeightsError
from noisegen.weights import fill, read_safetensors, write_safetensors

KEY = "noisegen"
"""Of the card in the file's header."""


class Card(WeightsCard):
    """What a file of weights says of itself."""

    model: str = Field(description="Name of the network, as `denoisers.create` takes it.")
    options: dict[str, Any] = Field(description="All its options.")
    variants: tuple[str, ...] = Field(
        (), description="Published nets that have these options; they differ by training alone."
    )


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
