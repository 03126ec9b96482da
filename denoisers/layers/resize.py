"""Halving and doubling pictures as networks with levels of resolution do."""

from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate


def halved(x: Tensor) -> Tensor:
    """Return (N, C, H / 2, W / 2), each value the mean of four; H and W are even.

    This is bilinear resampling to half the size, corners not aligned.
    """
    return avg_pool2d(x, 2)


def doubled(x: Tensor) -> Tensor:
    """Return (N, C, 2 H, 2 W) by bilinear resampling, corners not aligned."""
    return interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def stretched(x: Tensor, height: int, width: int) -> Tensor:
    """Return (N, C, height, width) by bilinear resampling, corners aligned."""
    return interpolate(x, size=(height, width), mode="bilinear", align_corners=True)
