"""The U-shaped body that the denoiser and the contrast module have in common."""

from abc import abstractmethod
from functools import partial

import torch
from torch import Tensor, nn

from denoisers.layers.strips import in_strips
from denoisers.r2rnet.layers import Replicate, leaky

KERNELS = (1, 3, 3, 3, 1)
"""Of the five convolutions of a block."""


class Body(nn.Module):
    """Encoder and decoder of three levels, with a block of five convolutions at each.

    Parameters
    ----------
    name
        What the published names of its first and its strided convolutions begin with.
    width
        Channels of the features; published: 64.
    """

    def __init__(self, name: str, width: int) -> None:
        super().__init__()
        self.name, self.width = name, width
        self.add_module(f"{name}_conv0_1", Replicate(4, width, dilation=2))
        self.add_module(f"{name}_conv0_2", Replicate(width, width, dilation=2))
        for block in range(6):
            inputs = width if block < 4 else 2 * width
            channels = (inputs, 2 * width, 4 * width, 4 * width, 2 * width, width)
            for k, kernel in enumerate(KERNELS):
                conv = Replicate(channels[k], channels[k + 1], kernel)
                self.add_module(f"conv{5 * block + k}", conv)
        for level in range(3):
            self.add_module(f"{name}_subsampling{level}", nn.Conv2d(2 * width, width, 2, 2))

    @abstractmethod
    def up(self, level: int, x: Tensor) -> Tensor:
        """Return (N, width, 2H, 2W) for (N, 2 width, H, W)."""

    def features(self, x: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
        """Return the first block's feature and the decoder's three, coarsest first."""
        d = leaky(self._named("conv0_2")(leaky(self._named("conv0_1")(x))))
        encoded: list[Tensor] = []
        for level in range(3):
            encoded.append(self._block(level, d))
            d = leaky(self._named(f"subsampling{level}")(torch.cat((d, encoded[-1]), 1)))
        u0 = self.up(0, torch.cat((d, self._block(3, d)), 1))
        b4 = self._block(4, torch.cat((u0, encoded[2]), 1))
        u1 = self.up(1, torch.cat((u0, b4), 1))
        b5 = self._block(5, torch.cat((u1, encoded[1]), 1))
        u2 = self.up(2, torch.cat((u1, b5), 1))
        return encoded[0], (u0, u1, u2)

    def _named(self, what: str) -> nn.Module:
        return self.get_submodule(f"{self.name}_{what}")

    def _block(self, block: int, x: Tensor) -> Tensor:
        return in_strips(partial(self._convolved, block), x, 3, 4 * self.width)

    def _convolved(self, block: int, x: Tensor) -> Tensor:
        for k in range(len(KERNELS)):
            x = leaky(self.get_submodule(f"conv{5 * block + k}")(x))
        return x
