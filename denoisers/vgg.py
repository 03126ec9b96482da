"""VGG16's convolutions, for losses that compare what it sees in two pictures.

No weights come with noisegen: they are read from a file of torchvision's, ``features.N.weight``.

References
----------
K. Simonyan, A. Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition",
ICLR 2015.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from noisegen.errors import WeightsError

LAYERS: tuple[int | str, ...] = (
    64, 64, "pool", 128, 128, "pool", 256, 256, 256, "pool",
    512, 512, 512, "pool", 512, 512, 512, "pool",
)  # fmt: skip
"""Channels of the convolutions, each followed by a ReLU; and 2x2 poolings."""

PERCEPTUAL = (1, 4, 8)
"""relu1_1, pool1 and relu2_2: what RFFNet's perceptual loss compares."""


class VGG16(nn.Module):
    """The convolutions up to a layer, frozen.

    Parameters
    ----------
    layers
        Numbers of the layers whose outputs are wanted, as torchvision counts them, rising.
    state
        Weights by torchvision's names; those of further layers are passed over.

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
        own: dict[str, Tensor] = {}
        for name, place in self.features.named_parameters():
            given = state.get(f"features.{name}")
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
