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
from noisegen.neca.networks import CHANNELS, LEAKY_SLOPE
from noisegen.random import Stream, torch_generator

NOISE = 0.02
"""Strength of a camera's noise, roughly; white is 1."""

FAINT = 0.1
"""Strength of what C adds to a filter of the noise at the start, over that of the noise."""


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
        critic = recipe.critics.model_dump(exclude={"start"})
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

    def make(
        self,
        clean: Tensor,
        noisy: Tensor,
        white: Tensor,
        given: Tensor | None = None,
        *,
        apart: bool = False,
    ) -> Made:
        """Return noise for clean pictures, as strong as that of the noisy ones.

        Parameters
        ----------
        clean, noisy
            (N, 3, H, W) in [0, 1].
        white
            e, Gaussian noise of mean 0 and variance 1, like them.
        given
            (N, 1, 1, 1) gains that P gets; none: what E reads off the noisy pictures.
        apart
            No gradient goes through C.
        """
        gain = self.gain(noisy)
        level = self.level(clean, gain if given is None else given)
        independent = level * white
        return Made(gain, level, independent, self._correlated(independent, apart))

    def again(self, made: Made, white: Tensor, *, apart: bool = False) -> Tensor:
        """Return another draw of the correlated noise, of the same level maps."""
        return self._correlated(made.level * white, apart)

    def _correlated(self, independent: Tensor, apart: bool) -> Tensor:
        mixed = independent.detach() if apart else independent
        drawn: Tensor = mixed + self.correlation(mixed)
        return drawn


def _scale(nets: Nets) -> None:
    """Draw weights that keep the strength of what goes through.

    As K. He et al., "Delving Deep into Rectifiers", ICCV 2015; where noise goes in, or comes out,
    it has the strength :data:`NOISE` there; within the critics it has 1, within E and C its root,
    which steps of one size through all layers can move. E's first layer sees nothing of flat areas,
    which tell no gain. P's features have the strength of the gain: there biases are as strong, and
    its level is near it. C is near a filter (:func:`_lead_through`).
    """
    for net in nets.named.values():
        for module in net.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight, LEAKY_SLOPE)
    mixing, within = nets.correlation, NOISE**0.5
    outer: list[tuple[nn.Module, nn.Module, float]] = [
        (nets.gain.model[0], nets.gain.linear[0], within),
        (mixing.encoders[0], mixing.decoder_head, within),
        *((critic.features[0], critic.classifier[-1], NOISE) for critic in nets.critics.values()),
    ]
    with torch.no_grad():
        looks = next(nets.gain.model[0].parameters())
        looks.sub_(looks.mean((2, 3), keepdim=True))
        for first, last, scale in outer:
            next(first.parameters()).div_(scale)
            next(last.parameters()).mul_(scale)
        for name in ("conv3.bias", "conv4.bias"):
            nn.init.normal_(nets.level.get_parameter(name), 0, NOISE)
        nets.level.conv5.weight.div_(NOISE**0.5)
        next(mixing.decoder_head.parameters()).mul_(FAINT)
        if mixing.width >= 2 * CHANNELS:
            _lead_through(mixing, within)


def _lead_through(mixing: CorrelationNet, scale: float) -> None:
    """Let C begin near -v / 2: its first features hold v and -v, and go through unchanged.

    Real noise is smoother than v, so that C has to take the fine part of v away; in these features
    it learns to as a filter of 7x7 pixels does. Without, it drowns the fine part in coarse noise.
    """
    own = 2 * CHANNELS
    last = f"decoders.{mixing.stages - 2}"
    names = ("encoders.0.0", "encoders.0.2", f"{last}.0", f"{last}.2", "decoder_head.0")
    opening, second, third, fourth, head = (_convolution(mixing, name) for name in names)
    signs = torch.tensor([1.0, -1.0]).repeat(CHANNELS)
    at = torch.arange(own)
    middle = opening.weight.shape[-1] // 2
    opening.weight[:own] = 0
    opening.weight[at, at // 2, middle, middle] = signs / scale
    from_skip = third.in_channels - mixing.width
    for conv, first in ((second, 0), (third, from_skip), (fourth, 0)):
        conv.weight[:own] = 0
        conv.weight[at, first + at, 1, 1] = 1
    head.weight[:, :own] = 0
    head.weight[at // 2, at, 0, 0] = -signs * scale / 2


def _convolution(net: nn.Module, name: str) -> nn.Conv2d:
    found = net.get_submodule(name)
    assert isinstance(found, nn.Conv2d)
    return found


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Draw initial weights from a seed; torch's global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(torch_generator(seed, Stream.WEIGHTS).initial_seed())
        yield
