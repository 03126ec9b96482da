"""The losses of one iteration: of the networks that make noise, and of the critics."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from denoisers.neca import statistics
from denoisers.neca.losses import (
    Border,
    Gan,
    critic_loss,
    global_level,
    gradient_penalty,
    local_level,
    real_loss,
    subsample,
)
from denoisers.neca.nets import Made, Nets
from denoisers.neca.recipe import Weights
from noisegen.jpeg import Setting

Terms = dict[str, Tensor]
"""Losses by name, without their weights."""


class Real(NamedTuple):
    """Real pairs, and what the critics see of their noise.

    Attributes
    ----------
    clean, noise
        x and n, (N, 3, H, W).
    shown
        n as the critics see it.
    offset
        Of the pixels that D2 sees, down and across: 0 … 2.
    white
        The code of white in the noisy pictures.
    jpeg
        What the noisy pictures were in, if anything.
    """

    clean: Tensor
    noise: Tensor
    shown: Tensor
    offset: tuple[int, int]
    white: int = 255
    jpeg: Setting | None = None


def maker_terms(made: Made, real: Real, border: Border) -> Terms:
    """Return the losses of E and P: ``level``, ``gain`` and ``local``."""
    b, m = made.gain, made.level
    return {
        "level": functional.mse_loss(m, b.expand_as(m)),
        "gain": functional.mse_loss(b, global_level(real.noise)),
        "local": functional.mse_loss(m, local_level(real.noise, border)),
    }


def statistics_terms(made: Made, again: Tensor, real: Real) -> Terms:
    """Return the distances of statistics (:mod:`denoisers.neca.statistics`).

    `again` is a second draw of the correlated noise on the same pictures.
    ``texture`` and ``tails`` have weights of their own, the others are ``statistics_…``.
    """
    drawn = made.correlated, again
    found = statistics.distances(real.clean, made.level, drawn, real.noise, real.white, real.jpeg)
    own = {name: found.pop(name) for name in ("texture", "tails")}
    return {f"statistics_{name}": value for name, value in found.items()} | own


def denoiser_term(denoiser: nn.Module, made: Made, real: Real, *, apart: bool) -> Terms:
    """Return the loss of R, ``denoiser``; with `apart` the noise gets no gradient of it."""
    noise = made.correlated.detach() if apart else made.correlated
    return {"denoiser": functional.mse_loss(denoiser(real.clean + noise), real.clean)}


def adversarial_terms(nets: Nets, made: Made, real: Real, gan: Gan) -> Terms:
    """Return what the critics say of made noise: ``adversarial_whole``, ``adversarial_thinned``."""
    judges = judged(nets, real)
    return {
        f"adversarial_{name}": real_loss(judges[name](fake), gan)
        for name, fake in _fakes(made, real).items()
    }


def critic_terms(nets: Nets, made: Made, real: Real, gan: Gan, shares: Tensor) -> Terms:
    """Return the losses of the critics: ``critic_…`` and, with wgan-gp, ``penalty_…`` of each.

    Parameters
    ----------
    nets, made, real, gan
        No gradient reaches the makers of the noise.
    shares
        (2, N, 1, 1, 1) numbers from 0 to 1 that mix real and made noise for the penalties.
    """
    judges, terms = judged(nets, real), {}
    pairs = zip(_fakes(made, real).items(), _reals(real).values(), shares, strict=True)
    for (name, fake), true, share in pairs:
        judge, fake = judges[name], fake.detach()
        terms[f"critic_{name}"] = critic_loss(judge(true), judge(fake), gan)
        if gan == "wgan-gp":
            terms[f"penalty_{name}"] = gradient_penalty(judge, true, fake, share)
    return terms


def total(terms: Mapping[str, Tensor], weights: Weights) -> Tensor:
    """Return the weighted sum of losses."""
    factors = weights.model_dump()
    return torch.stack([factors.get(k.split("_")[0], 1.0) * v for k, v in terms.items()]).sum()


def judged(nets: Nets, real: Real) -> dict[str, Callable[[Tensor], Tensor]]:
    """Return the critics as functions of noise alone."""
    clean = {"whole": real.clean, "thinned": subsample(real.clean, real.offset)}

    def judge(critic: nn.Module, seen: Tensor) -> Callable[[Tensor], Tensor]:
        return lambda noise: critic(torch.cat([noise, seen], 1))

    return {
        name: judge(critic, clean[name]) if critic.sees_clean else critic
        for name, critic in nets.critics.items()
    }


def _fakes(made: Made, real: Real) -> dict[str, Tensor]:
    return {"whole": made.correlated, "thinned": subsample(made.independent, real.offset)}


def _reals(real: Real) -> dict[str, Tensor]:
    return {"whole": real.shown, "thinned": subsample(real.shown, real.offset)}
