"""Decom: a picture is taken apart into reflectance and illumination."""

from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, leaky_relu_, max_pool2d

from denoisers.layers.strips import in_strips
from denoisers.r2rnet.layers import SLOPE, Replicate, draw, idle, leaky


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


REACH = 15
"""Pixels on every side that the first guess of an illumination looks at."""

LEAST = 1 / 512
"""Of reflectances and illuminations that a network begins with; 1 less it is the most."""


def guess(picture: Tensor) -> Parts:
    """Return a smooth illumination, and the reflectance that gives the picture by it.

    The illumination is the mean, over a window, of the highest value in the window about each
    pixel: no pixel is above it. Both keep :data:`LEAST` from 0 and 1; but for black and white the
    product is the picture.

    Parameters
    ----------
    picture
        (N, 3, H, W) in [0, 1].

    References
    ----------
    X. Guo et al., "LIME: Low-light Image Enhancement via Illumination Map Estimation", IEEE TIP 26,
    2017: the brightest channel is the illumination to begin with.
    """
    light = picture.amax(1, keepdim=True)
    windows = [((2 * REACH + 1, 1), (REACH, 0)), ((1, 2 * REACH + 1), (0, REACH))]
    for size, rim in windows:
        light = max_pool2d(light, size, 1, rim)
    for size, rim in windows:
        light = avg_pool2d(light, size, 1, rim, count_include_pad=False)
    light = light.clamp(LEAST, 1 - LEAST)
    return Parts((picture / light).clamp(LEAST, 1 - LEAST), light)


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
    residual
        Begin with :func:`guess`, to whose logits what the activation gives is added.
    """

    MODULES = 4

    def __init__(self, width: int = 64, slope: float = SLOPE, residual: bool = False) -> None:
        super().__init__()
        self.width, self.slope, self.residual = width, slope, residual
        self.conv0 = Replicate(4, width)
        for number in range(self.MODULES):
            self.add_module(f"RM{number}", RM(width))
            self.add_module(f"conv{number + 1}", Replicate(2 * width, width))
        self.conv5 = Replicate(width, 4, 1)
        if residual:
            draw(self)
            idle(self.conv5)

    def forward(self, picture: Tensor) -> Parts:
        """Take (N, 3, H, W) in [0, 1] apart."""
        brightest = picture.amax(1, keepdim=True)
        x = leaky(self.conv0(torch.cat((brightest, picture), 1)))
        for number in range(self.MODULES):
            x = in_strips(partial(self._stage, number), x, 4, 4 * self.width)
        x = leaky_relu_(self.conv5(x), self.slope)
        if self.residual:
            x = x + torch.cat(guess(picture), 1).logit()
        parts = x.sigmoid()
        return Parts(parts[:, :3], parts[:, 3:])

    def _stage(self, number: int, x: Tensor) -> Tensor:
        wide: Tensor = self.get_submodule(f"RM{number}")(x)
        return leaky(self.get_submodule(f"conv{number + 1}")(wide))
