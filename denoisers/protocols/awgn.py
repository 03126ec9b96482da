"""Additive white Gaussian noise as published test scripts draw it."""

import torch
from torch import Tensor

from noisegen.random import published_torch_generator


def noise(shape: tuple[int, ...], sigma: float, seed: int) -> Tensor:
    """Return the noise of one test picture.

    Parameters
    ----------
    shape
        (1, C, H, W); in ADFNet's colour test channel 0 is blue.
    sigma
        Standard deviation in 8-bit levels.
    seed
        Given anew for every picture: 20 in ADFNet's colour test, 1 in its gray one.

    Returns
    -------
    Tensor
        float32 on the CPU, for pictures in [0, 1].
    """
    return torch.empty(shape).normal_(0, sigma / 255, generator=published_torch_generator(seed))
