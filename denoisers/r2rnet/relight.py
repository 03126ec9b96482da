"""Relight: the illumination is made that of a well lit picture."""

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, relu

from denoisers.layers.precision import exact_dtype
from denoisers.layers.winograd import Convolution
from denoisers.r2rnet.body import Body
from denoisers.r2rnet.layers import (
    SLOPE,
    ComplexBlock,
    ComplexConv,
    Replicate,
    Transform,
    draw,
    idle,
    leaky,
)


class Contrast(Body):
    """Contrast enhancement module: the body, its decoder's levels seen at once."""

    def __init__(self, width: int) -> None:
        super().__init__("Enhance", width)
        for level in range(3):
            self.add_module(f"down_channel{level}", Replicate(2 * width, width, 1))
        self.Enhanceout0 = Replicate(2 * width, width)
        self.Enhanceout1 = Replicate(4 * width, width)
        self.Enhanceout2 = Replicate(width, width, 1)

    def up(self, level: int, x: Tensor) -> Tensor:
        """Return (N, width, 2H, 2W) for (N, 2 width, H, W)."""
        larger = interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)
        return leaky(self.get_submodule(f"down_channel{level}")(leaky(larger)))

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, width, H, W) for (N, 4, H, W)."""
        first, levels = self.features(x)
        head = leaky(self.Enhanceout0(torch.cat((first, levels[2]), 1)))
        whole = [interpolate(level, size=x.shape[-2:], mode="nearest") for level in levels]
        return leaky(self.Enhanceout2(leaky(self.Enhanceout1(torch.cat((*whole, head), 1)))))


class ResBlock(nn.Module):
    """Two convolutions beside their input.

    The activation that follows in the published code has slope 1: there is none.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.model = nn.Sequential(
            Replicate(width, width), nn.LeakyReLU(SLOPE), Replicate(width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` and what the block adds."""
        added: Tensor = self.model(x)
        return added + x


class FeatureBlock(nn.Module):
    """A residual block, a block on the spectrum of its features, a residual block."""

    def __init__(self, width: int, transform: Transform) -> None:
        super().__init__()
        self.transform = transform
        self.resblock0 = ResBlock(width)
        self.complex_block = ComplexBlock(width)
        self.resblock1 = ResBlock(width)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` and what the block adds."""
        spectrum = self.complex_block(self.transform.forward(self.resblock0(x)))
        added: Tensor = self.resblock1(self.transform.inverse(spectrum))
        return x + added


class Spectral(nn.Module):
    """Convolutions on the spectrum, all in the Fourier domain."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.complex_conv1 = ComplexConv(width, width)
        self.complex_block0 = ComplexBlock(width)
        self.complex_block1 = ComplexBlock(width)
        self.complex_conv2 = ComplexConv(width, width, 1)

    def forward(self, z: Tensor) -> Tensor:
        """Return a spectrum of the shape of ``z``."""
        x = relu(self.complex_conv1(z))
        return relu(self.complex_conv2(self.complex_block1(self.complex_block0(x))))


class Detail(nn.Module):
    """Detail reconstruction module: what lies in the picture's spectrum."""

    def __init__(self, width: int, transform: Transform) -> None:
        super().__init__()
        self.transform = transform
        self.conv0 = Convolution(4, width, 3, padding=2, dilation=2)
        self.conv1 = Convolution(width, width, 3, padding=2, dilation=2)
        self.feature_block0 = FeatureBlock(width, transform)
        self.down_sampling = nn.Conv2d(width, width, 2, 2)
        self.fft_processing = Spectral(width)
        self.feature_block1 = FeatureBlock(width, transform)
        self.channel_up = ComplexConv(4, width)
        self.conv2 = Convolution(width, width, 3, padding=1)
        self.conv3 = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, width, H, W) for (N, 4, H, W)."""
        halved = self.channel_up(self.transform.forward(avg_pool2d(x, 2)))
        o1 = leaky(self.conv1(leaky(self.conv0(x))))
        f0 = self.feature_block0(o1)
        small = self.transform.forward(leaky(self.down_sampling(f0)))
        coarse = self.transform.inverse(self.fft_processing(small + halved) + halved)
        larger = interpolate(coarse, scale_factor=2, mode="bilinear", align_corners=True)
        f1 = self.feature_block1(larger + f0)
        return leaky(self.conv3(leaky(self.conv2(f1 + o1))))


class Relight(nn.Module):
    """The relighting network.

    Parameters
    ----------
    width
        Channels of the features; published: 64.
    batch
        As in :class:`denoisers.r2rnet.layers.Transform`.
    residual
        What the last convolution gives is the logarithm of a factor on the illumination.
    """

    def __init__(self, width: int = 64, batch: bool = False, residual: bool = False) -> None:
        super().__init__()
        self.residual = residual
        self.EnhanceModule0 = detail = Detail(width, Transform(batch))
        self.EnhanceModule1 = Contrast(width)
        self.conv0 = Replicate(2 * width, width)
        self.conv1 = Replicate(width, 1, 1)
        # The last ReLU has a gradient from the beginning on.
        nn.init.constant_(self.conv1.get_parameter("bias"), 0.5)
        if residual:
            # Blocks with a path beside them keep torch's draw: by the other they would add up.
            draw(detail.conv0, detail.conv1, detail.down_sampling, detail.conv2, detail.conv3)
            draw(self.EnhanceModule1, self.conv0)
            idle(self.conv1)

    def forward(self, illumination: Tensor, reflectance: Tensor) -> Tensor:
        """Return the new illumination, (N, 1, H, W), 0 or more without an upper bound.

        Parameters
        ----------
        illumination
            (N, 1, H, W); H and W are multiples of 8.
        reflectance
            (N, 3, H, W), without noise.
        """
        x = torch.cat((illumination, reflectance), 1)
        seen = torch.cat((self.EnhanceModule0(x), self.EnhanceModule1(x)), 1)
        out: Tensor = self.conv1(leaky(self.conv0(seen)))
        if self.residual:
            return illumination * out.to(exact_dtype(out)).exp()
        return relu(out)
