"""VGG16's convolutions, for losses that compare what it sees in two pictures.

No weights come with noisegen: they are read from a file of torchvision's (``features.N.weight``),
or one that names them by block and place (``conv1_1.weight``).

References
----------
K. Simonyan, A. Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition",
ICLR 2015.
"""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from noisegen.errors import WeightsError
from noisegen.weights import one_state, plain_names, read_checkpoint, read_safetensors

LAYERS: tuple[int | str, ...] = (
    64, 64, "pool", 128, 128, "pool", 256, 256, 256, "pool",
    512, 512, 512, "pool", 512, 512, 512, "pool",
)  # fmt: skip
"""Channels of the convolutions, each followed by a ReLU; and 2x2 poolings."""

STARTS = (0, 5, 10, 17, 24)
"""Number of the first convolution of each block."""

PERCEPTUAL = (1, 4, 8)
"""relu1_1, pool1 and relu2_2: what RFFNet's perceptual loss compares."""


class VGG16(nn.Module):
    """The convolutions up to a layer, frozen.

    Parameters
    ----------
    layers
        Numbers of the layers whose outputs are wanted, as torchvision counts them, rising.
    state
        Weights by torchvision's names, or by ``conv1_1.weight`` … ``conv5_3.bias``; those of
        further layers are passed over.

    Raises
    ------
    WeightsError
        If a weight is missing or of another shape.
    """

    def __init__(self, layers: Sequence[int], state: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.layers = tuple(layers)
        with torch.device("meta"):
            self.features = _convolutions()[: max(layers) + 1]
        named = {_renamed(name): tensor for name, tensor in state.items()}
        own: dict[str, Tensor] = {}
        for name, place in self.features.named_parameters():
            given = named.get(f"features.{name}")
            if given is None or given.shape != place.shape:
                found = "none" if given is None else tuple(given.shape)
                raise WeightsError(
                    f"VGG16 needs features.{name} of shape {tuple(place.shape)}, found {found}: "
                    "give a file of torchvision's vgg16"
                )
            own[name] = given
        self.features.load_state_dict(own, assign=True)
        self.requires_grad_(False).eval()

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the outputs of the layers for (N, 3, H, W)."""
        found = []
        for number, layer in enumerate(self.features.children()):
            x = layer(x)
            if number in self.layers:
                found.append(x)
        return found


def vgg16(path: str | os.PathLike[str], layers: Sequence[int]) -> VGG16:
    """Return the convolutions up to a layer with the weights of a file.

    Parameters
    ----------
    path
        A ``.pth`` of torchvision's, or one of the names ``conv1_1.weight`` … ``conv5_3.bias``;
        or safetensors.
    layers
        As in :class:`VGG16`.

    Raises
    ------
    MissingDataError, UnreadableFileError, WeightsError
        If there is no such file, it is damaged, or not of VGG16.
    """
    file = Path(path)
    content = read_safetensors(file)[0] if file.suffix == ".safetensors" else read_checkpoint(file)
    state = plain_names(one_state(content, None, str(file)), str(file))
    return VGG16(layers, state)


def _renamed(name: str) -> str:
    """Return torchvision's name of a weight that is called by block and place."""
    own = re.fullmatch(r"conv([1-5])_([1-3])\.(weight|bias)", name)
    if own is None:
        return name
    block, place, kind = int(own[1]), int(own[2]), own[3]
    return f"features.{STARTS[block - 1] + 2 * (place - 1)}.{kind}"


def perceptual(network: VGG16, x: Tensor, y: Tensor) -> Tensor:
    """Return the sum over the layers of the mean of ``|f(x) - f(y)|``."""
    pairs = zip(network(x), network(y), strict=True)
    return torch.stack([(one - other).abs().mean() for one, other in pairs]).sum()


def _convolutions() -> nn.Sequential:
    layers: list[nn.Module] = []
    inputs = 3
    for outputs in LAYERS:
        if isinstance(outputs, str):
            layers.append(nn.MaxPool2d(2))
            continue
        layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU()]
        inputs = outputs
    return nn.Sequential(*layers)
