"""Decom: a picture is taken apart into reflectance and illumination."""

from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu_

from denoisers.layers.strips import in_strips
from denoisers.r2rnet.layers import SLOPE, Replicate, leaky


class Parts(NamedTuple):
    """What a picture is the product of.

    Attributes
    ----------
    reflectance
        (N, 3, H, W) in (0, 1).
    illumination
        (N, 1, H, W) in (0, 1).
    """

    reflectance: Tensor
    illumination: Tensor

    @property
    def product(self) -> Tensor:
        """The picture."""
        return self.reflectance * self.illumination


class RM(nn.Module):
    """Residual module: a wide path and a narrow one, side by side."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv0 = Replicate(width, width, 1)
        self.conv1 = Replicate(width, 2 * width)
        self.conv2 = Replicate(2 * width, 4 * width)
        self.conv3 = Replicate(4 * width, 2 * width)
        self.conv4 = Replicate(2 * width, width, 1)
        self.conv = Replicate(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, 2 width, H, W), the narrow path first."""
        main = x
        for conv in (self.conv0, self.conv1, self.conv2, self.conv3, self.conv4):
            main = leaky(conv(main))
        return torch.cat((leaky(self.conv(x)), main), 1)


class Decom(nn.Module):
    """The decomposition network.

    Parameters
    ----------
    width
        Channels of the features; published: 64.
    slope
        Below 0, of the activation before the sigmoid; published: 0.01.
    """

    MODULES = 4

    def __init__(self, width: int = 64, slope: float = SLOPE) -> None:
        super().__init__()
        self.width, self.slope = width, slope
        self.conv0 = Replicate(4, width)
        for number in range(self.MODULES):
            self.add_module(f"RM{number}", RM(width))
            self.add_module(f"conv{number + 1}", Replicate(2 * width, width))
        self.conv5 = Replicate(width, 4, 1)

    def forward(self, picture: Tensor) -> Parts:
        """Take (N, 3, H, W) in [0, 1] apart."""
        brightest = picture.amax(1, keepdim=True)
        x = leaky(self.conv0(torch.cat((brightest, picture), 1)))
        for number in range(self.MODULES):
            x = in_strips(partial(self._stage, number), x, 4, 4 * self.width)
        parts = leaky_relu_(self.conv5(x), self.slope).sigmoid()
        return Parts(parts[:, :3], parts[:, 3:])

    def _stage(self, number: int, x: Tensor) -> Tensor:
        wide: Tensor = self.get_submodule(f"RM{number}")(x)
        return leaky(self.get_submodule(f"conv{number + 1}")(wide))
