"""Denoise: the noise that a dark picture's reflectance shows is taken off it."""

import torch
from torch import Tensor, nn

from denoisers.r2rnet.body import Body
from denoisers.r2rnet.layers import Replicate, draw, idle, leaky


class Denoise(Body):
    """The denoising network.

    Parameters
    ----------
    width
        Channels of the features; published: 64.
    residual
        What the last convolution gives is added to the reflectance.
    """

    def __init__(self, width: int = 64, residual: bool = False) -> None:
        super().__init__("Denoise", width)
        self.residual = residual
        for level in range(3):
            deconv = nn.ConvTranspose2d(2 * width, width, 2, 2)
            self.add_module(f"Denoise_deconv{level}", deconv)
        self.Denoiseout0 = Replicate(2 * width, width)
        self.Denoiseout1 = Replicate(width, 3, 1)
        if residual:
            draw(self)
            idle(self.Denoiseout1)

    def up(self, level: int, x: Tensor) -> Tensor:
        """Return (N, width, 2H, 2W) for (N, 2 width, H, W)."""
        return leaky(self.get_submodule(f"Denoise_deconv{level}")(x))

    def forward(self, illumination: Tensor, reflectance: Tensor) -> Tensor:
        """Return the reflectance without noise, (N, 3, H, W); it may be a little below 0.

        Parameters
        ----------
        illumination
            (N, 1, H, W); H and W are multiples of 8.
        reflectance
            (N, 3, H, W).
        """
        first, (_, _, u2) = self.features(torch.cat((reflectance, illumination), 1))
        out: Tensor = self.Denoiseout1(leaky(self.Denoiseout0(torch.cat((first, u2), 1))))
        return reflectance + out if self.residual else leaky(out)
