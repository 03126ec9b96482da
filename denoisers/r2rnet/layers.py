"""What R2RNet's networks are built of."""

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, leaky_relu_, relu

from denoisers.layers.precision import exact_dtype
from denoisers.layers.winograd import Convolution, by_squares, pays

SLOPE = 0.01
"""Of every leaky ReLU."""


class Replicate(Convolution):
    """A convolution that keeps the size and repeats the rim.

    Parameters
    ----------
    inputs, outputs
        Channels.
    kernel, dilation
        Of its taps, along both axes.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, dilation: int = 1) -> None:
        padding = dilation * (kernel // 2)
        super().__init__(
            inputs,
            outputs,
            kernel,
            padding=padding,
            dilation=dilation,
            padding_mode="replicate" if padding else "zeros",
        )


def leaky(x: Tensor) -> Tensor:
    """Return the activation of a convolution's output, which it overwrites."""
    return leaky_relu_(x, SLOPE)


def draw(*parts: nn.Module) -> None:
    """Draw the weights of convolutions so that a signal neither dies out nor grows; biases are 0.

    Torch's own draw takes 5/6 of its power in each layer with an activation, all but nothing of a
    picture comes through these networks, and they learn that last.

    References
    ----------
    K. He et al., "Delving Deep into Rectifiers", ICCV 2015, eq. 15.
    """
    for layer in (module for part in parts for module in part.modules()):
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            taps = layer.weight[0, 0].numel()
            if isinstance(layer, nn.ConvTranspose2d):  # each output sees every stride-th tap
                taps //= layer.stride[0] * layer.stride[1]
            gain = nn.init.calculate_gain("leaky_relu", SLOPE)
            nn.init.normal_(layer.weight, std=gain / (layer.in_channels * taps) ** 0.5)
            nn.init.zeros_(layer.get_parameter("bias"))


def idle(layer: nn.Conv2d) -> None:
    """Let a layer give nothing until it has learned something."""
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.get_parameter("bias"))


class ComplexConv(nn.Module):
    """Convolution of complex numbers; real parts are the first half of the channels.

    Parameters
    ----------
    inputs, outputs
        Complex channels.
    kernel
        Height and width; the size is kept, with zeros around.

    Notes
    -----
    The published layer calls each of two convolutions on both parts, so each bias counts twice:
    ``b_r - b_i`` on the real part, ``b_r + b_i`` on the imaginary one. It is one real convolution
    here.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int = 3) -> None:
        super().__init__()
        self.conv_r = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)
        self.conv_i = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)

    def forward(self, z: Tensor) -> Tensor:
        """Return (N, 2 outputs, H, W) for (N, 2 inputs, H, W)."""
        real, imaginary = self.conv_r.weight, self.conv_i.weight
        weight = torch.cat((torch.cat((real, -imaginary), 1), torch.cat((imaginary, real), 1)), 0)
        r, i = self.conv_r.get_parameter("bias"), self.conv_i.get_parameter("bias")
        bias = torch.cat((r - i, r + i))
        if pays(z, weight):
            return by_squares(z, weight, bias)
        return conv2d(z, weight, bias, padding=self.conv_r.padding)


class ComplexBlock(nn.Module):
    """Three complex convolutions beside their input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.complex_conv0 = ComplexConv(width, 2 * width)
        self.complex_conv1 = ComplexConv(2 * width, 2 * width)
        self.complex_conv2 = ComplexConv(2 * width, width)

    def forward(self, z: Tensor) -> Tensor:
        """Return the spectrum and what the block adds to it."""
        x = z
        for conv in (self.complex_conv0, self.complex_conv1, self.complex_conv2):
            x = relu(conv(x))
        return z + x


class Transform:
    """The Fourier transform of features, over channels, rows and columns together.

    Parameters
    ----------
    batch
        Over the samples too, as the published code has it: what comes out of a picture depends on
        those that stand beside it. A single picture is the same either way.
    """

    def __init__(self, batch: bool) -> None:
        self.axes = (0, 1, 2, 3) if batch else (1, 2, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, 2 C, H, W // 2 + 1), real parts first, not normalised."""
        z = torch.fft.rfftn(x.to(exact_dtype(x)), dim=self.axes)
        return torch.cat((z.real, z.imag), 1)

    def inverse(self, spectrum: Tensor) -> Tensor:
        """Return (N, C, H, 2 (columns - 1)); imaginary parts of no real signal are ignored."""
        real, imaginary = spectrum.to(exact_dtype(spectrum)).chunk(2, 1)
        shape = (*real.shape[:-1], 2 * (real.shape[-1] - 1))
        sizes = [shape[axis] for axis in self.axes]
        x: Tensor = torch.fft.irfftn(torch.complex(real, imaginary), s=sizes, dim=self.axes)
        return x
