"""How far a batch of restored pictures is from the clean one, as published training has it.

Each takes (N, C, H, W) tensors where 0 is black and 1 white and returns (N,) numbers, one a
picture, computed in float32 at least; :func:`dice` alone is of a whole batch.
"""

import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

from denoisers.layers.precision import exact_dtype

EPSILON = 1e-3
"""Of Charbonnier's loss: where it turns from a square into an absolute value."""

PYRAMID = (0.05, 0.25, 0.4, 0.25, 0.05)
"""Taps of the Gaussian of Burt and Adelson's pyramid."""


def charbonnier(x: Tensor, y: Tensor) -> Tensor:
    """Return the mean of ``sqrt((x - y)² + ε²)``."""
    return (_exact(x) - _exact(y)).square().add(EPSILON**2).sqrt().flatten(1).mean(1)


def fourier_charbonnier(x: Tensor, y: Tensor) -> Tensor:
    """Return :func:`charbonnier` of the real and imaginary parts of the spectra.

    The transform is over each picture and not normalised: a large share of large numbers.
    """
    difference = torch.view_as_real(torch.fft.fft2(_exact(x) - _exact(y)))
    return difference.square().add(EPSILON**2).sqrt().flatten(1).mean(1)


def edge(x: Tensor, y: Tensor) -> Tensor:
    """Return :func:`charbonnier` of what the pictures have beyond a coarser one of themselves.

    References
    ----------
    K. Jiang et al., "Multi-Scale Progressive Fusion Network for Single Image Deraining", CVPR 2020.
    """
    return charbonnier(_laplacian(_exact(x)), _laplacian(_exact(y)))


def decibels(x: Tensor, y: Tensor) -> Tensor:
    """Return ``10 log10(MSE + 1e-8)``: the PSNR with its sign turned."""
    mse = (_exact(x) - _exact(y)).square().flatten(1).mean(1)
    return 10 * (mse + 1e-8).log10()


def dice(p: Tensor, t: Tensor) -> Tensor:
    """Return one number, ``(Σ p² + Σ t² + 1) / (2 Σ p t + 1)`` over the whole batch; 1 at best."""
    p, t = _exact(p), _exact(t)
    return (p.square().sum() + t.square().sum() + 1) / (2 * (p * t).sum() + 1)


def _exact(x: Tensor) -> Tensor:
    return x.to(exact_dtype(x))


def _laplacian(x: Tensor) -> Tensor:
    """Return a picture less its every second pixel, blurred before and after."""
    coarse = torch.zeros_like(x)
    coarse[..., ::2, ::2] = 4 * _blurred(x)[..., ::2, ::2]
    return x - _blurred(coarse)


def _blurred(x: Tensor) -> Tensor:
    """Return each channel blurred, its rim repeated."""
    channels, reach = x.shape[1], len(PYRAMID) // 2
    taps = x.new_tensor(PYRAMID)
    kernel = torch.outer(taps, taps).expand(channels, 1, -1, -1)
    return conv2d(pad(x, (reach,) * 4, "replicate"), kernel, groups=channels)
