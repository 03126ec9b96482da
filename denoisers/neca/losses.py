"""What NeCA's networks are trained towards: the levels of real noise, and what the critics say.

Noise is noisy minus clean, (N, 3, H, W) in units of white. Symbols are those of
:mod:`noisegen.neca.networks`, with n for real noise.
"""

from collections.abc import Callable
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional

Gan = Literal["wgan-gp", "lsgan", "vanilla"]

GANS: tuple[Gan, ...] = get_args(Gan)
"""Kinds of adversarial training."""

Border = Literal["reflect", "zeros"]

BOX = 7
"""Side of the window of the local level, in pixels."""

STEP = 3
"""Every third pixel of real noise is taken for independent."""


def global_level(noise: Tensor) -> Tensor:
    """Return the standard deviation of each sample, (N, 1, 1, 1); N − 1 values are divided by."""
    return noise.std((1, 2, 3), keepdim=True)


def local_level(noise: Tensor, border: Border = "reflect") -> Tensor:
    """Return the standard deviation in the 7x7 pixels around each, like the noise.

    ``sqrt(A(n²) − A(n)²)`` of box means A. Where the difference rounds below 0 it is 0; the
    published code gets NaN there.

    Parameters
    ----------
    noise
        At least 4 pixels high and wide.
    border
        What lies beyond: the noise mirrored, or zeros, which count, as in the published code. Those
        lower the level to 0.76 of itself at an edge and 0.57 in a corner.
    """
    reach = BOX // 2
    padding = [reach] * 4
    mode = {"reflect": "reflect", "zeros": "constant"}[border]
    wide = functional.pad(noise, padding, mode)
    mean, square = (functional.avg_pool2d(t, BOX, stride=1) for t in (wide, wide * wide))
    return (square - mean * mean).clamp_min(0).sqrt()


def subsample(noise: Tensor, offset: tuple[int, int]) -> Tensor:
    """Return every third pixel, down and across, from an offset of 0 … 2 on."""
    down, across = offset
    return noise[:, :, down::STEP, across::STEP]


def real_loss(score: Tensor, gan: Gan) -> Tensor:
    """Return how far from "real" the scores are, mean over the samples."""
    return _LOSSES[gan](score, 1)


def fake_loss(score: Tensor, gan: Gan) -> Tensor:
    """Return how far from "made" the scores are, mean over the samples."""
    return _LOSSES[gan](score, 0)


def critic_loss(real: Tensor, fake: Tensor, gan: Gan) -> Tensor:
    """Return what a critic is trained by, without the gradient penalty.

    Parameters
    ----------
    real, fake
        Its scores.
    gan
        ``"wgan-gp"`` has the difference of the means, the others half the sum of both losses.
    """
    both = real_loss(real, gan) + fake_loss(fake, gan)
    return both if gan == "wgan-gp" else both / 2


def gradient_penalty(
    critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, share: Tensor
) -> Tensor:
    """Return ``mean (|grad D(z)| − 1)²`` at ``z = a n + (1 − a) w``.

    Parameters
    ----------
    critic
        D.
    real, fake
        What it tells apart, of one shape; no gradient reaches them.
    share
        a, (N, 1, 1, 1), uniform from 0 to 1.

    References
    ----------
    I. Gulrajani et al., "Improved Training of Wasserstein GANs", NeurIPS 2017, equation 3.
    """
    z = (share * real + (1 - share) * fake).detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(critic(z).sum(), z, create_graph=True)
    norm = torch.linalg.vector_norm(gradient.flatten(1), dim=1)
    penalty: Tensor = ((norm - 1) ** 2).mean()
    return penalty


def _wasserstein(score: Tensor, real: int) -> Tensor:
    return -score.mean() if real else score.mean()


def _squares(score: Tensor, real: int) -> Tensor:
    return functional.mse_loss(score, torch.full_like(score, real))


def _cross_entropy(score: Tensor, real: int) -> Tensor:
    return functional.binary_cross_entropy_with_logits(score, torch.full_like(score, real))


_LOSSES: dict[Gan, Callable[[Tensor, int], Tensor]] = {
    "wgan-gp": _wasserstein,
    "lsgan": _squares,
    "vanilla": _cross_entropy,
}
