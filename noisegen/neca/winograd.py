"""A 3x3 convolution with its activation by Winograd's F(4x4, 3x3), for many channels on a CPU.

It has a quarter of the products, and transforms whose share shrinks with the channels.

A square of 4x4 pixels is computed of 6x6, and each of its pixels depends in its last bit on all of
these. Squares begin on multiples of 4, and are always multiplied by the same number at a time: so
the values of a part of a picture are the picture's where the part begins on such a multiple,
except in squares next to where it was cut.
"""

import numpy as np
import torch
from torch import Tensor

from noisegen.kernels.winograd import EDGE, PLACES, factors, gather, scatter
from noisegen.neca.windows import planes

__all__ = ["EDGE", "LEAST", "SQUARES", "Winograd", "places"]

LEAST = 64
"""Channels that it pays from."""

SQUARES = 64
"""Squares that are multiplied at a time: they stay in the second-level cache."""


def places(weight: Tensor) -> Tensor:
    """Return the taps (O, C, 3, 3) of a convolution at each of the places, (36, C, O) float32.

    The product is torch's: the threads of NumPy's BLAS would wait for more, a core each, while
    torch's work.
    """
    taps = weight.permute(2, 3, 1, 0).flatten(0, 1)
    made = torch.from_numpy(factors()) @ taps.flatten(1).double()
    return made.float().view(-1, *taps.shape[1:])


class Winograd:
    """A 3x3 convolution with zeros around, and a leaky ReLU.

    Parameters
    ----------
    weight
        (O, C, 3, 3).
    bias
        (O,).
    slope
        Of the leaky ReLU; 0: ReLU.
    """

    def __init__(self, weight: Tensor, bias: Tensor, slope: float = 0.0) -> None:
        self._places = places(weight.detach())
        self._bias = bias.detach().float().numpy()
        self._slope = np.float32(slope)

    def __call__(self, x: Tensor, onto: Tensor | None = None) -> Tensor:
        """Return the activated convolution of (1, C, H, W), channels last in memory.

        Parameters
        ----------
        x
            Float32 on the CPU.
        onto
            What is added to it before the activation; it is overwritten.
        """
        _, inputs, height, width = x.shape
        outputs = self._places.shape[2]
        pixels = _pixels(x)
        out = np.empty((height, width, outputs), np.float32) if onto is None else _pixels(onto)
        seen = np.zeros((PLACES, PLACES, SQUARES, inputs), np.float32)
        products = np.empty((PLACES, PLACES, SQUARES, outputs), np.float32)
        squares = torch.from_numpy(seen).flatten(0, 1)
        into = torch.from_numpy(products).flatten(0, 1)
        for first in range(0, -(-height // EDGE) * -(-width // EDGE), SQUARES):
            scatter(pixels, first, False, seen, 0, SQUARES)
            torch.bmm(squares, self._places, out=into)
            add = onto is not None
            gather(products, first, self._bias, self._slope, add, out, 0, SQUARES)
        return planes(torch.from_numpy(out))


def _pixels(x: Tensor) -> np.ndarray:
    """Return (1, C, H, W) as (H, W, C), without a copy where it lies so in memory."""
    array: np.ndarray = x.permute(0, 2, 3, 1)[0].contiguous().numpy()
    return array
