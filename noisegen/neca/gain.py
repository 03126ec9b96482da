"""The gain of a noisy picture of any size: E in tiles, whose features are summed up."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from noisegen.errors import WeightsError
from noisegen.neca.networks import GainNet
from noisegen.neca.windows import Picture, Window, as_tensor, cut
from noisegen.neca.winograd import LEAST, Winograd

TILE = 512
"""Edge of a tile: with its halo it holds 100 MB of features a layer at the published width."""


class FastGain:
    """E with channels last in memory.

    Parameters
    ----------
    network
        E of one output; its weights are copied.
    device
        Where it runs.

    Raises
    ------
    WeightsError
        If the network gives more than one number a picture.
    """

    def __init__(self, network: GainNet, device: torch.device) -> None:
        if network.outputs != 1:
            raise WeightsError(
                f"the gain network gives {network.outputs} numbers a picture; noise has one gain"
            )
        convolutions = [m for m in network.model.modules() if isinstance(m, nn.Conv2d)]
        fast = device.type == "cpu" and network.width >= LEAST
        self._layers = [
            _winograd(conv) if fast and conv.kernel_size == (3, 3) else _direct(conv, device)
            for conv in convolutions
        ]
        self._halo = sum(int(conv.padding[0]) for conv in convolutions)
        head = next(m for m in network.linear.modules() if isinstance(m, nn.Conv2d))
        self._weight = head.weight.detach().double().flatten()
        self._bias = 0.0 if head.bias is None else float(head.bias.detach())
        self._device = device

    def __call__(self, noisy: Picture) -> float:
        """Return b of a picture, not bounded."""
        whole = Window.of(*noisy.shape[:2])
        total = torch.zeros(len(self._weight), dtype=torch.float64)
        for tile in whole.tiles(TILE):
            seen = tile.grown(self._halo, whole)
            features = self._features(as_tensor(cut(noisy, seen), self._device))
            rows, columns = tile.within(seen).slices
            total += features[0, :, rows, columns].sum((1, 2)).double().cpu()
        pixels = noisy.shape[0] * noisy.shape[1]
        return float(self._weight @ total / pixels + self._bias)

    def _features(self, x: Tensor) -> Tensor:
        for layer in self._layers:
            x = layer(x)
        return x


def _winograd(conv: nn.Conv2d) -> Callable[[Tensor], Tensor]:
    assert conv.bias is not None
    return Winograd(conv.weight, conv.bias)


def _direct(conv: nn.Conv2d, device: torch.device) -> Callable[[Tensor], Tensor]:
    weight = conv.weight.detach().to(device, memory_format=torch.channels_last)
    bias = None if conv.bias is None else conv.bias.detach().to(device)
    padding = int(conv.padding[0])
    return lambda x: nn.functional.conv2d(x, weight, bias, padding=padding).relu_()
