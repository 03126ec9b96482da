"""What a run is at: weights, their running mean, the optimiser, and how far it has come."""

import copy
import json
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn

import denoisers
from denoisers.backbones import Backbone
from denoisers.base import Denoiser
from denoisers.card import Card
from denoisers.storage import write_whole
from denoisers.training.precision import scaler
from denoisers.training.recipe import Training
from denoisers.vgg import vgg16
from noisegen.errors import RecipeError, UnreadableFileError, WeightsError


@dataclass
class State:
    """A run between two iterations.

    Attributes
    ----------
    model
        The network that is trained.
    mean
        The network of the running mean of the weights; ``model`` itself where none is kept.
    optimiser
        Adam or AdamW over the weights of ``model``.
    scaler
        Scale of the loss in float16.
    iteration
        Iterations done.
    pending
        Losses since the last line of the log.
    best
        Highest PSNR of a validation so far, in dB.
    """

    model: Denoiser
    mean: Denoiser
    optimiser: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    iteration: int = 0
    pending: list[float] = field(default_factory=list)
    best: float = float("-inf")

    @classmethod
    def begin(cls, recipe: Training, device: torch.device) -> Self:
        """Return the state before the first iteration; the weights are a function of the seed.

        Raises
        ------
        UnknownNameError, RecipeError
            If there is no such network, it has no such options, or no blocks to compute again.
        """
        model = denoisers.create(recipe.model, seed=recipe.seed, **recipe.options)
        if recipe.recompute:
            backbones = [m for m in model.modules() if isinstance(m, Backbone)]
            if not backbones:
                raise RecipeError(f"recompute: {recipe.model} has no blocks to compute again")
            for backbone in backbones:
                backbone.recomputes = True
        model.to(device)
        for weight in model.parameters():
            if weight.dim() == 4:  # pictures arrive channel last, and convolutions are faster so
                weight.data = weight.data.contiguous(memory_format=torch.channels_last)
        mean = copy.deepcopy(model).requires_grad_(False) if recipe.ema else model
        kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[recipe.optimiser.name]
        if recipe.vgg is not None:
            seen = vgg16(recipe.vgg, denoisers.entry(recipe.model).perceives)
            model.vgg = (seen.to(device),)
        own = recipe.optimiser
        optimiser = kind(
            model.parameters(),
            lr=own.lr,
            betas=own.betas,
            eps=own.eps,
            weight_decay=own.weight_decay,
            fused=True,
        )
        return cls(model, mean, optimiser, scaler(recipe, device))

    def start(self, network: Denoiser, card: Card, recipe: Training, where: str) -> None:
        """Begin from the weights of another run or of a file.

        Raises
        ------
        WeightsError
            If they are another network's, or of other options.
        """
        own, entry = self.model, denoisers.entry(recipe.model)
        shapes = {name: tensor.shape for name, tensor in own.state_dict().items()}
        if type(network) is not type(own) or shapes != {
            name: tensor.shape for name, tensor in network.state_dict().items()
        }:
            raise WeightsError(
                f"{where} holds a {card.model} {card.options}, not the network that is to be "
                "trained; give its --set options.… too"
            )
        asked, given = entry.check(recipe.options), entry.check(card.options)
        for name in entry.meaning:
            if getattr(asked, name) != (theirs := getattr(given, name)):
                option = f"options.{name}={json.dumps(theirs)}"
                raise WeightsError(
                    f"{where} was trained with {option}, for which alone its weights are; give "
                    f"--set {option}"
                )
        own.load_state_dict(network.state_dict())
        self.mean.load_state_dict(network.state_dict())

    def average(self, decay: float) -> None:
        """Move the running mean towards the weights; counters and running statistics are copied."""
        if self.mean is self.model:
            return
        with torch.no_grad():
            means: list[Tensor] = list(self.mean.parameters())
            weights: list[Tensor] = list(self.model.parameters())
            torch._foreach_lerp_(means, weights, 1 - decay)
            for kept, now in zip(self.mean.buffers(), self.model.buffers(), strict=True):
                kept.copy_(now)

    def save(self, path: Path) -> None:
        """Write all that is needed to go on, by one rename.

        Raises
        ------
        StorageError
            If it cannot be written.
        """
        data = {
            "iteration": self.iteration,
            "pending": self.pending,
            "best": self.best,
            "model": self.model.state_dict(),
            "mean": None if self.mean is self.model else self.mean.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "scaler": self.scaler.state_dict(),
        }
        write_whole(path, lambda partial: torch.save(data, partial))

    def load(self, path: Path) -> None:
        """Go on from what :meth:`save` wrote.

        Raises
        ------
        UnreadableFileError
            If the file is damaged.
        """
        device = next(self.model.parameters()).device
        with resumed(path, device) as data:
            _fill(self.model, data["model"])
            if self.mean is not self.model:
                _fill(self.mean, data["mean"])
            self.optimiser.load_state_dict(data["optimiser"])
            self.scaler.load_state_dict(data["scaler"])
            self.iteration, self.best = data["iteration"], data["best"]
            self.pending = list(data["pending"])


@contextmanager
def resumed(path: Path, device: torch.device) -> Iterator[dict[str, Any]]:
    """Read what a run left to go on from.

    Raises
    ------
    UnreadableFileError
        If the file is damaged, or what it holds does not fit.
    """
    try:
        yield torch.load(path, map_location=device, weights_only=True)
    except (
        OSError,
        RuntimeError,
        KeyError,
        EOFError,
        ValueError,
        pickle.UnpicklingError,
    ) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UnreadableFileError(
            f"cannot go on from {path}: {reason}; start anew with --overwrite"
        ) from None


def _fill(model: nn.Module, weights: dict[str, Tensor]) -> None:
    model.load_state_dict(weights, strict=True)
