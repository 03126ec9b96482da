"""3x3 convolutions by Winograd's F(4x4, 3x3), where no gradient is wanted and it is faster.

That is on a CPU, in float32, from :data:`LEAST` channels and :data:`PIXELS` pixels on; elsewhere
torch convolves. What comes out lies channels last in memory.
"""

from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from denoisers.layers.precision import exact_dtype, without_autocast
from denoisers.layers.threads import divide

LEAST = 48
"""Channels in and out that it pays from (measured)."""

PIXELS = 1 << 11
"""Pixels that it pays from: the taps are transformed in every call."""

SQUARES = 128
"""Squares of 4x4 pixels that are multiplied at a time (measured: flat from 64 to 600)."""


class Convolution(nn.Conv2d):
    """torch's layer, run by Winograd's way where that is the same and pays.

    On a CPU dilated taps are in float32 at least: in bfloat16 the gradient of 20, 24, 28, 36, …
    channels is made of memory that nothing was written to (torch 2.11, oneDNN).
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return the convolution of (N, C, H, W)."""
        steps = self.stride, self.dilation, self.padding
        same = self.groups == 1 and set(steps) == {(1, 1)}
        repeat = self.padding_mode == "replicate"
        if same and (repeat or self.padding_mode == "zeros") and pays(x, self.weight):
            return by_squares(x, self.weight, self.bias, repeat)
        if max(self.dilation) > 1 and x.device.type == "cpu":
            with without_autocast(x):
                return super().forward(x.to(exact_dtype(x)))
        return super().forward(x)


def pays(x: Tensor, weight: Tensor) -> bool:
    """Return whether Winograd's way is to be taken for taps (O, C, kh, kw)."""
    return (
        not torch.is_grad_enabled()
        and not torch.compiler.is_compiling()
        and x.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")
        and weight.shape[2:] == (3, 3)
        and min(weight.shape[:2]) >= LEAST
        and x.shape[2] * x.shape[3] >= PIXELS
    )


def by_squares(x: Tensor, weight: Tensor, bias: Tensor | None, repeat: bool = False) -> Tensor:
    """Return the convolution of (N, C, H, W) by taps (O, C, 3, 3), of the same size.

    Parameters
    ----------
    x, weight, bias
        Float32, on the CPU.
    repeat
        Whether the rim is repeated around the picture; otherwise zeros are.
    """
    from noisegen.kernels.winograd import EDGE, PLACES, gather, scatter
    from noisegen.neca.winograd import places

    samples, inputs, height, width = x.shape
    outputs = weight.shape[0]
    pixels = x.detach().permute(0, 2, 3, 1).contiguous().numpy()
    taps = places(weight.detach())
    added = np.zeros(outputs, np.float32) if bias is None else bias.detach().numpy()
    out = np.empty((samples, height, width, outputs), np.float32)
    seen = np.zeros((PLACES, PLACES, SQUARES, inputs), np.float32)
    products = np.empty((PLACES, PLACES, SQUARES, outputs), np.float32)
    factors = torch.from_numpy(seen).flatten(0, 1)
    into, one = torch.from_numpy(products).flatten(0, 1), np.float32(1)
    for picture, made in zip(pixels, out, strict=True):
        for first in range(0, -(-height // EDGE) * -(-width // EDGE), SQUARES):
            divide(partial(scatter, picture, first, repeat, seen), 0, SQUARES)
            torch.bmm(factors, taps, out=into)
            divide(partial(gather, products, first, added, one, False, made), 0, SQUARES)
    return torch.from_numpy(out).permute(0, 3, 1, 2)
