"""The three networks that make NeCA's noise, under the names of their published weights.

With a clean picture x, a gain b and white Gaussian noise e, the noise of the rendered picture is

    m = P(x, b),    v = m e,    w = v + C(v),

and E reads b off a noisy picture. Pictures are (N, 3, H, W) RGB, 0 black and 1 white.

References
----------
H. Fu et al., "sRGB Real Noise Synthesizing with Neighboring Correlation-Aware Noise Model",
CVPR 2023.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from noisegen.errors import InputError

Activation = Literal["relu", "leaky"]
Padding = Literal["zeros", "reflect"]
Final = Literal["tanh", "sigmoid", "exp", "linear"]

CHANNELS = 3
"""Of the pictures."""

STEADY = 1e-5
"""What the standard deviation that a level layer divides by is raised by."""

LEVEL_SLOPE = 0.01
"""Of P's leaky ReLU."""

LEAKY_SLOPE = 0.2
"""Of C's leaky ReLU."""

FEWEST_STAGES, MOST_STAGES = 2, 5
"""Of C."""

_FINAL: dict[Final, Callable[[], nn.Module]] = {
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "exp": lambda: _Exponential(),
    "linear": nn.Identity,
}


class GainNet(nn.Module):
    """E, which reads the gain off a noisy picture: the mean of features, weighted.

    Parameters
    ----------
    width
        Channels of the hidden layers.
    depth
        Number of layers, the last one included, and the mean: 3 or more.
    outputs
        Gains a picture.
    """

    def __init__(self, width: int = 96, depth: int = 5, outputs: int = 1) -> None:
        super().__init__()
        _at_least("GainNet width", width, 1)
        _at_least("GainNet depth", depth, 3)
        _at_least("GainNet outputs", outputs, 1)
        self.width, self.depth, self.outputs = width, depth, outputs
        first = nn.Sequential(nn.Conv2d(CHANNELS, width, 7, padding=3), nn.ReLU())
        others = (_activated(width, width, nn.ReLU()) for _ in range(depth - 2))
        self.model = nn.Sequential(first, *others)
        self.linear = nn.Sequential(nn.Sequential(nn.Conv2d(width, outputs, 1)))
        initialise(self)

    def forward(self, noisy: Tensor) -> Tensor:
        """Return the gains b, (N, outputs, 1, 1). They are not bounded, and may be below 0."""
        gains: Tensor = self.linear(self.model(noisy).mean((2, 3), keepdim=True))
        return gains


class LevelNet(nn.Module):
    """P, which gives each pixel and channel the standard deviation of its noise.

    Parameters
    ----------
    width
        Channels of the hidden layers.

    Notes
    -----
    Features are brought to mean 0 and standard deviation 1 over the whole picture, so that a
    pixel's level depends on all others: the level of a crop is not the crop of the level.
    """

    def __init__(self, width: int = 96) -> None:
        super().__init__()
        _at_least("LevelNet width", width, 1)
        self.width = width
        self.conv1 = nn.Conv2d(CHANNELS, width, 7, padding=3, padding_mode="reflect")
        self.conv2 = nn.Conv2d(width, width, 1)
        self.conv3 = nn.Conv2d(width, width, 1)
        self.conv4 = nn.Conv2d(width, width, 1)
        self.conv5 = nn.Conv2d(width, CHANNELS, 1)
        initialise(self)

    def forward(self, clean: Tensor, gain: Tensor) -> Tensor:
        """Return the level map m, (N, 3, H, W), 0 or more.

        Parameters
        ----------
        clean
            (N, 3, H, W), at least 4 pixels high and wide.
        gain
            b, (N, 1, 1, 1).
        """
        t = self.conv1(clean)
        for conv in (self.conv2, self.conv3, self.conv4):
            t = conv(t)
            std, mean = torch.std_mean(t, (1, 2, 3), correction=1, keepdim=True)
            t = (t - mean) / (std + STEADY) * gain
            t = functional.leaky_relu(t, LEVEL_SLOPE)
        root: Tensor = self.conv5(t)
        return root * root


class CorrelationNet(nn.Module):
    """C, a U-Net that mixes independent noise v over a neighbourhood; the noise is ``v + C(v)``.

    Parameters
    ----------
    width
        Channels at full size; each stage down has twice as many.
    stages
        Sizes that it works at, from 2 to 5, each half of the one before.
    activation
        ``"leaky"`` has slope 0.2; the first one is a ReLU all the same.
    padding
        Of all convolutions but the second, which always pads zeros.
    final
        What follows the last convolution.

    Notes
    -----
    The published class accepts five stages too, and fails; here they work. Its other ways of going
    down (pooling) and up (transposed convolution, pixel shuffle) are in no published model, and are
    not here.
    """

    def __init__(
        self,
        width: int = 64,
        stages: int = 4,
        activation: Activation = "relu",
        padding: Padding = "zeros",
        final: Final = "tanh",
    ) -> None:
        super().__init__()
        _at_least("CorrelationNet width", width, 1)
        _at_least("CorrelationNet stages", stages, FEWEST_STAGES)
        if stages > MOST_STAGES:
            raise InputError(f"CorrelationNet stages: {stages} is more than {MOST_STAGES}")
        _one_of("activation", activation, get_args(Activation))
        _one_of("padding", padding, get_args(Padding))
        _one_of("final", final, get_args(Final))
        self.width, self.stages, self.activation = width, stages, activation
        self.padding, self.final = padding, final
        widths = [width << k for k in range(stages)]
        self.encoders = nn.ModuleList(
            [
                nn.Sequential(
                    nn.Conv2d(CHANNELS, width, 7, padding=3, padding_mode=padding),
                    nn.ReLU(),
                    nn.Conv2d(width, width, 3, padding=1),
                    self._act(),
                )
            ]
        )
        for above, below in pairwise(widths):
            self.encoders.append(self._block(above, below, stride=2))
        self.decoders = nn.ModuleList(
            self._block(below + above, above) for above, below in reversed(list(pairwise(widths)))
        )
        self.decoder_head = nn.Sequential(nn.Conv2d(width, CHANNELS, 1), _FINAL[final]())
        initialise(self)

    @property
    def multiple(self) -> int:
        """Height and width must be multiples of this."""
        return 1 << (self.stages - 1)

    @property
    def halo(self) -> int:
        """Pixels around a tile that its values depend on, a multiple of :attr:`multiple`.

        With s stages, 4 pixels at full size, 3 at each size on the way down, 4 on the way up (2 of
        them at the smaller size), and where the pixel lies in its cell of the smallest size:
        4 + 6 (2^(s-1) - 1), which is 46 for four stages.
        """
        cell = self.multiple
        reach = 4 + 6 * (cell - 1)
        return -(-reach // cell) * cell

    def forward(self, noise: Tensor) -> Tensor:
        """Return C(v), (N, 3, H, W), without v itself.

        Raises
        ------
        InputError
            If height or width is no multiple of :attr:`multiple`.
        """
        height, width = noise.shape[-2:]
        if height % self.multiple or width % self.multiple:
            raise InputError(
                f"CorrelationNet of {self.stages} stages takes multiples of {self.multiple} "
                f"pixels, found {height}x{width}"
            )
        skips = [self.encoders[0](noise)]
        for encoder in self.encoders[1:]:
            skips.append(encoder(skips[-1]))
        t = skips.pop()
        for decoder in self.decoders:
            up = functional.interpolate(t, scale_factor=2.0, mode="nearest")
            t = decoder(torch.cat([up, skips.pop()], 1))
        mixed: Tensor = self.decoder_head(t)
        return mixed

    def _block(self, inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
        first = nn.Conv2d(inputs, outputs, 3, stride, padding=1, padding_mode=self.padding)
        second = nn.Conv2d(outputs, outputs, 3, padding=1, padding_mode=self.padding)
        return nn.Sequential(first, self._act(), second, self._act())

    def _act(self) -> nn.Module:
        return nn.LeakyReLU(LEAKY_SLOPE) if self.activation == "leaky" else nn.ReLU()


def initialise(network: nn.Module) -> None:
    """Draw a network's weights as published: N(0, 0.02), biases 0.

    Parameters
    ----------
    network
        Its convolutions and linear layers are drawn from torch's generator.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.normal_(module.weight, 0, 0.02)
            nn.init.zeros_(module.bias)  # type: ignore[arg-type]


class _Exponential(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.exp()


def _activated(inputs: int, outputs: int, activation: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1), activation)


def _at_least(name: str, value: int, least: int) -> None:
    if not isinstance(value, int) or value < least:
        raise InputError(f"{name}: {value!r} is not a whole number of {least} or more")


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise InputError(f"CorrelationNet {name}: {value!r} is not one of {', '.join(known)}")
