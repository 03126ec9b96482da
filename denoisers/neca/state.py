"""What a training of NeCA is at: six networks, an optimiser of each, and how far it has come."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import torch

from denoisers.neca.nets import Nets
from denoisers.neca.recipe import NecaTraining
from denoisers.storage import write_whole
from denoisers.training.state import resumed

Losses = dict[str, float]


@dataclass
class State:
    """A run between two iterations.

    Attributes
    ----------
    nets
        The networks.
    optimisers
        Adam of each, by the network's name.
    iteration
        Iterations done.
    pending
        Losses since the last line of the log.
    best
        Smallest distance of a validation so far.
    """

    nets: Nets
    optimisers: dict[str, torch.optim.Adam]
    iteration: int = 0
    pending: list[Losses] = field(default_factory=list)
    best: float = float("inf")

    @classmethod
    def begin(cls, recipe: NecaTraining, device: torch.device) -> Self:
        """Return the state before the first iteration, a function of the recipe."""
        nets = Nets.begin(recipe)
        rates = dict.fromkeys(nets.named, recipe.lr) | {"denoiser": recipe.denoiser.lr}
        optimisers = {
            name: torch.optim.Adam(
                net.to(device).parameters(), lr=rates[name], betas=recipe.betas, fused=True
            )
            for name, net in nets.named.items()
        }
        return cls(nets, optimisers)

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        return next(self.nets.gain.parameters()).device

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
            "nets": {name: net.state_dict() for name, net in self.nets.named.items()},
            "optimisers": {name: one.state_dict() for name, one in self.optimisers.items()},
            "silent": [
                name
                for name, one in self.optimisers.items()
                if any(p.grad is None for group in one.param_groups for p in group["params"])
            ],
        }
        write_whole(path, lambda partial: torch.save(data, partial))

    def load(self, path: Path) -> None:
        """Go on from what :meth:`save` wrote.

        Raises
        ------
        UnreadableFileError
            If the file is damaged.
        """
        with resumed(path, self.device) as data:
            for name, net in self.nets.named.items():
                net.load_state_dict(data["nets"][name])
                self.optimisers[name].load_state_dict(data["optimisers"][name])
                # A gradient of zeros moves weights, where there is none they stand still.
                for parameter in net.parameters():
                    known = name not in data["silent"]
                    parameter.grad = torch.zeros_like(parameter) if known else None
            self.iteration, self.best = data["iteration"], data["best"]
            self.pending = list(data["pending"])
