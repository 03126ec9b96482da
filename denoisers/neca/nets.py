"""The six networks that are trained together, and the noise that three of them make."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

import denoisers
from denoisers.neca.critics import Critic
from denoisers.neca.losses import STEP
from denoisers.neca.recipe import HALVINGS, NecaTraining
from noisegen.neca import CorrelationNet, GainNet, LevelNet
from noisegen.neca.networks import LEAKY_SLOPE
from noisegen.random import Stream, torch_generator

NOISE = 0.02
"""Strength of a camera's noise, roughly; white is 1."""


class Made(NamedTuple):
    """Noise made for clean pictures: gain b, level map m, independent v and correlated w."""

    gain: Tensor
    level: Tensor
    independent: Tensor
    correlated: Tensor


@dataclass
class Nets:
    """The networks.

    Attributes
    ----------
    gain, level, correlation
        E, P, C.
    whole, thinned
        The critics D1, of whole samples, and D2, of every third pixel.
    denoiser
        R, where one is trained.
    """

    gain: GainNet
    level: LevelNet
    correlation: CorrelationNet
    whole: Critic
    thinned: Critic
    denoiser: nn.Module | None = None

    @classmethod
    def begin(cls, recipe: NecaTraining) -> "Nets":
        """Return the networks before the first iteration: functions of the recipe's seed."""
        critic = recipe.critics.model_dump()
        with _seeded(recipe.seed):
            nets = cls(
                GainNet(**recipe.gain.model_dump()),
                LevelNet(**recipe.level.model_dump()),
                CorrelationNet(**recipe.correlation.model_dump()),
                Critic(recipe.patch, HALVINGS[0], **critic),
                Critic(recipe.patch // STEP, HALVINGS[1], **critic),
            )
            if recipe.scaled_start:
                _scale(nets)
        if recipe.joint:
            own = recipe.denoiser
            options = {"width": own.width, "depth": own.depth, "batch_norm": own.batch_norm}
            nets.denoiser = denoisers.create("dncnn", seed=recipe.seed, **options)
            for module in nets.denoiser.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.momentum = own.momentum
        return nets

    @property
    def named(self) -> dict[str, nn.Module]:
        """All networks that there are."""
        return {name: net for name, net in vars(self).items() if net is not None}

    @property
    def critics(self) -> dict[str, Critic]:
        """D1 and D2."""
        return {"whole": self.whole, "thinned": self.thinned}

    @property
    def makers(self) -> dict[str, nn.Module]:
        """All but the critics."""
        return {name: net for name, net in self.named.items() if name not in self.critics}

    def make(self, clean: Tensor, noisy: Tensor, white: Tensor) -> Made:
        """Return noise for clean pictures, as strong as that of the noisy ones.

        Parameters
        ----------
        clean, noisy
            (N, 3, H, W) in [0, 1].
        white
            e, Gaussian noise of mean 0 and variance 1, like them.
        """
        gain = self.gain(noisy)
        level = self.level(clean, gain)
        independent = level * white
        return Made(gain, level, independent, independent + self.correlation(independent))


def _scale(nets: Nets) -> None:
    """Draw weights that keep the strength of what goes through.

    As K. He et al., "Delving Deep into Rectifiers", ICCV 2015; where noise goes in, or comes out,
    it has the strength :data:`NOISE` there and 1 within, so that biases do not drown it.
    """
    for net in nets.named.values():
        for module in net.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight, LEAKY_SLOPE)
    outer: list[tuple[nn.Module, nn.Module]] = [
        (nets.correlation.encoders[0], nets.correlation.decoder_head),
        *((critic.features[0], critic.classifier[-1]) for critic in nets.critics.values()),
    ]
    with torch.no_grad():
        for first, last in outer:
            next(first.parameters()).div_(NOISE)
            next(last.parameters()).mul_(NOISE)


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Draw initial weights from a seed; torch's global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(torch_generator(seed, Stream.WEIGHTS).initial_seed())
        yield
