"""DnCNN, the residual learner that NeCA's experiments train (their network R).

References
----------
K. Zhang et al., "Beyond a Gaussian Denoiser: Residual Learning of Deep CNN for Image Denoising",
IEEE TIP 26(7), 2017.
H. Fu et al., "sRGB Real Noise Synthesizing with Neighboring Correlation-Aware Noise Model",
CVPR 2023.
"""

import re
from typing import Annotated, Any

from pydantic import Field
from torch import Tensor, nn

from denoisers.base import Denoiser, ModelEntry, Options, Shapes, convolution


class DnCNNOptions(Options):
    """Settings of :class:`DnCNN`."""

    channels: Annotated[int, Field(ge=1)] = Field(3, description="Channels of the picture.")
    width: Annotated[int, Field(ge=1)] = Field(64, description="Channels of the hidden layers.")
    depth: Annotated[int, Field(ge=2)] = Field(20, description="Number of convolutions.")
    batch_norm: bool = Field(True, description="Batch norm after all but the first and last.")


class DnCNN(Denoiser):
    """The picture minus what a chain of 3x3 convolutions takes for its noise.

    Parameters
    ----------
    channels, width, depth, batch_norm
        As in :class:`DnCNNOptions`.

    Notes
    -----
    Running statistics move by 0.1 of each batch. NeCA's code moves them by 0.9, which leaves
    little more than the last batch; a loaded net gives the same pictures with either.
    """

    def __init__(
        self, channels: int = 3, width: int = 64, depth: int = 20, batch_norm: bool = True
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = [_conv(channels, width), nn.ReLU()]
        for _ in range(depth - 2):
            layers.append(_conv(width, width))
            if batch_norm:
                layers.append(nn.BatchNorm2d(width, eps=1e-4))
            layers.append(nn.ReLU())
        self.model = nn.Sequential(*layers, _conv(width, channels))
        self._initialise(batch_norm)

    def forward(self, noisy: Tensor) -> Tensor:
        """Return the denoised picture, (N, C, H, W), not clipped."""
        noise: Tensor = self.model(noisy)
        return noisy - noise

    def _initialise(self, batch_norm: bool) -> None:
        """Draw the weights as NeCA does; without batch norm theirs would let the signal die out."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                if batch_norm:
                    nn.init.normal_(module.weight, 0, 0.02)
                else:
                    nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]
            elif isinstance(module, nn.BatchNorm2d):
                nn.init.normal_(module.weight, 1, 0.02)


def infer(shapes: Shapes) -> dict[str, Any]:
    """Return the options of a DnCNN from the shapes of its state dict."""
    weights = {int(n.split(".")[1]): n for n, s in shapes.items() if _NAME.match(n) and len(s) == 4}
    first, last = (convolution(shapes, f"model.{k}.weight") for k in (0, max(weights, default=0)))
    if last[0] != first[1]:
        raise ValueError(f"it takes {first[1]} channels and gives {last[0]}, a DnCNN as many")
    return {
        "channels": first[1],
        "width": first[0],
        "depth": len(weights),
        "batch_norm": any(name.endswith(".running_mean") for name in shapes),
    }


_NAME = re.compile(r"model\.\d+\.weight")
"""Of the weights of convolutions and batch norms; a file may list them in any order."""


def _conv(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1)


def _make(options: DnCNNOptions) -> DnCNN:
    return DnCNN(**options.model_dump())


ENTRY = ModelEntry(
    name="dncnn",
    title="DnCNN with batch norm, 20 layers",
    paper="K. Zhang et al., IEEE TIP 2017; as R in H. Fu et al. (NeCA), CVPR 2023",
    licence="none stated; NeCA publishes no weights of it",
    options=DnCNNOptions,
    make=_make,
    variants={"rgb": {}},
    keys=(r"model\.\d+\.(weight|bias|running_mean|running_var|num_batches_tracked)",),
    infer=infer,
)
