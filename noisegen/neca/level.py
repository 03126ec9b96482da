"""The level map of a picture of any size: P in strips, with the statistics of the whole picture.

P's first two convolutions have no activation between them and are one 7x7 convolution here; its
normalisation, gain and activation are one line ``leaky(a t + c)`` over a strip that stays in cache.
Statistics of a layer need all of the picture's pixels before the next layer can begin: features are
kept between layers as far as :data:`KEPT` goes, and made anew for the other strips.

Mean and standard deviation are merged strip by strip (Chan et al., "Algorithms for computing the
sample variance", The American Statistician 37(3), 1983).
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from noisegen.neca.networks import CHANNELS, LEVEL_SLOPE, STEADY, LevelNet
from noisegen.neca.windows import Floats, Picture, Window, as_tensor, cut

STRIP = {"cpu": 1 << 13, "cuda": 1 << 20}
"""Pixels of a strip."""

KEPT = 1 << 29
"""Bytes of features that are kept between layers."""

REACH = 3
"""Of the 7x7 convolution."""


class Line(NamedTuple):
    """What becomes of a feature t before its activation: ``slope t + offset``."""

    slope: float
    offset: float


@dataclass
class Statistics:
    """Mean and spread of the values seen so far."""

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0

    def add(self, count: int, mean: float, squares: float) -> None:
        """Take in ``count`` values of that mean; ``squares`` are those of what they are off it."""
        total = self.count + count
        step = mean - self.mean
        self.squares += squares + step * step * self.count * count / total
        self.mean += step * count / total
        self.count = total

    def line(self, gain: float) -> Line:
        """Return what the layer does with its features at a gain."""
        std = math.sqrt(self.squares / (self.count - 1))
        slope = gain / (std + STEADY)
        return Line(slope, -slope * self.mean)


class FastLevel:
    """P, in strips.

    Parameters
    ----------
    network
        P; its weights are copied.
    device
        Where it runs.
    kept
        Bytes of features that are kept between layers.
    """

    def __init__(self, network: LevelNet, device: torch.device, kept: int = KEPT) -> None:
        first, second = network.conv1, network.conv2
        mixing = second.weight.detach().double().flatten(1)
        merged = torch.einsum("oi,icyx->ocyx", mixing, first.weight.detach().double())
        bias = mixing @ _bias(first).double() + _bias(second).double()
        self._merged = merged.float().to(device, memory_format=torch.channels_last)
        self._merged_bias = bias.float().to(device)
        self._layers = [
            (conv.weight.detach().flatten(1).T.contiguous().to(device), _bias(conv).to(device))
            for conv in (network.conv3, network.conv4, network.conv5)
        ]
        self._device = device
        self._strip = STRIP[device.type]
        self._strips_kept = kept // (4 * network.width * self._strip)

    def __call__(self, clean: Picture, gain: float) -> Floats:
        """Return m of a picture at a gain, (H, W, 3)."""
        height, width = clean.shape[:2]
        rows = max(1, self._strip // width)
        strips = [(y, min(y + rows, height)) for y in range(0, height, rows)]
        kept: dict[int, Tensor] = {}
        lines: list[Line] = []
        for _ in range(3):
            seen = Statistics()
            for number, strip in enumerate(strips):
                features = self._made(clean, strip, lines, kept.pop(number, None))
                mean = float(features.mean())
                off = (features - mean).flatten()
                seen.add(off.numel(), mean, float(off @ off))
                if number < self._strips_kept:
                    kept[number] = features
            lines.append(seen.line(gain))
        level = np.empty((height, width, CHANNELS), np.float32)
        for number, strip in enumerate(strips):
            root = self._made(clean, strip, lines, kept.pop(number, None))
            level[slice(*strip)] = (root * root).reshape(-1, width, CHANNELS).cpu().numpy()
        return level

    def _made(
        self, clean: Picture, strip: tuple[int, int], lines: list[Line], kept: Tensor | None
    ) -> Tensor:
        """Return a strip's features after as many activations as there are lines."""
        layers = list(zip(lines, self._layers, strict=False))
        if kept is None:
            t = self._merged_features(clean, strip)
        else:
            t, layers = kept, layers[-1:]
        for line, (weight, bias) in layers:
            t = t.mul_(line.slope).add_(line.offset)
            t = torch.addmm(bias, functional.leaky_relu_(t, LEVEL_SLOPE), weight)
        return t

    def _merged_features(self, clean: Picture, strip: tuple[int, int]) -> Tensor:
        width = clean.shape[1]
        window = Window(strip[0] - REACH, strip[1] + REACH, -REACH, width + REACH)
        x = as_tensor(cut(clean, window), self._device)
        t = functional.conv2d(x, self._merged, self._merged_bias)
        return t.permute(0, 2, 3, 1).reshape(-1, t.shape[1])


def _bias(conv: torch.nn.Conv2d) -> Tensor:
    assert conv.bias is not None
    return conv.bias.detach()
