"""Weights that every network of the bench begins from, whatever its noise."""

from dataclasses import dataclass
from typing import Any

import torch

from denoisers.inference.weights import open_weights, weights_file
from denoisers.storage import sha256
from denoisers.training.recipe import Training
from denoisers.training.state import State


@dataclass(frozen=True)
class Start:
    """Where the weights come from.

    Attributes
    ----------
    weights
        Run or file of weights; none: first weights, drawn by each network's seed.
    """

    weights: str | None = None

    def check(self, training: Training) -> None:
        """Refuse weights that the networks cannot begin from.

        Raises
        ------
        MissingDataError, UnreadableFileError
            If there are none, or they cannot be read.
        WeightsError
            If they are another network's, or of other options.
        """
        if self.weights is not None:
            begun = State.begin(training, torch.device("cpu"))
            begun.start(*open_weights(self.weights), training, f"--init {self.weights}")

    @property
    def facts(self) -> dict[str, Any] | None:
        """What the results say of the weights."""
        if self.weights is None:
            return None
        return {"path": self.weights, "sha256": self.identity}

    @property
    def identity(self) -> str | None:
        """What tells the weights from others."""
        return None if self.weights is None else sha256(weights_file(self.weights))


DRAWN = Start()
"""Each network begins from weights of its own."""
