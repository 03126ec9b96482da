"""The critics, which tell real noise from made noise while NeCA's networks are trained.

D1 sees correlated noise in whole patches, D2 the independent noise that it was mixed from, against
every third pixel of the real noise, where neighbours hardly correlate.

References
----------
H. Fu et al., "sRGB Real Noise Synthesizing with Neighboring Correlation-Aware Noise Model",
CVPR 2023.
"""

from torch import Tensor, nn

from noisegen.errors import InputError
from noisegen.neca.networks import CHANNELS, LEAKY_SLOPE, initialise

HIDDEN = 100
"""Features before the last layer."""


class Critic(nn.Module):
    """Pairs of convolutions, the second of each halving height and width, then two linear layers.

    Parameters
    ----------
    size
        Height and width of the noise in pixels.
    halvings
        Number of pairs: 5 of D1 (96 pixels), 3 of D2 (32 pixels).
    width
        Channels of the first pair; each has twice those of the one before, up to 8 times `width`.
    instance_norm
        Normalise the features of each sample and channel, in all layers but the first.
    sees_clean
        Judge noise and clean picture together, in that order of channels.
    """

    def __init__(
        self,
        size: int = 96,
        halvings: int = 5,
        width: int = 64,
        instance_norm: bool = False,
        sees_clean: bool = False,
    ) -> None:
        super().__init__()
        self.sees_clean = sees_clean
        channels = 2 * CHANNELS if sees_clean else CHANNELS
        if size < 1 or size % (1 << halvings):
            raise InputError(
                f"Critic size: {size} pixels cannot be halved {halvings} times; give a multiple of "
                f"{1 << halvings}"
            )
        widths = [width * min(8, 1 << layer // 2) for layer in range(2 * halvings)]
        layers = [nn.Sequential(nn.Conv2d(channels, width, 7, padding=3))]
        for layer in range(1, 2 * halvings):
            inputs, outputs = widths[layer - 1], widths[layer]
            halves = layer % 2 == 1
            kernel, stride = (4, 2) if halves else (3, 1)
            norm = [nn.InstanceNorm2d(outputs, affine=True)] if instance_norm else []
            layers.append(
                nn.Sequential(
                    nn.Conv2d(inputs, outputs, kernel, stride, padding=1),
                    *norm,
                    nn.LeakyReLU(LEAKY_SLOPE),
                )
            )
        self.features = nn.Sequential(*layers)
        left = size >> halvings
        self.classifier = nn.Sequential(
            nn.Linear(widths[-1] * left * left, HIDDEN),
            nn.LeakyReLU(LEAKY_SLOPE),
            nn.Linear(HIDDEN, 1),
        )
        initialise(self)

    def forward(self, noise: Tensor) -> Tensor:
        """Return (N, 1) scores of (N, 3, size, size) noise, not bounded: high for real noise."""
        score: Tensor = self.classifier(self.features(noise).flatten(1))
        return score
