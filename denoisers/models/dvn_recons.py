"""DarkVisionNet's autoencoder, "Recons": what it learns to draw are the structures of clean pairs.

It is trained first, on clean pictures and their infrared; frozen, it shows the fusion network what
structures are (:mod:`denoisers.models.dvn`).

References
----------
S. Jin et al., "DarkVisionNet: Low-Light Imaging via RGB-NIR Fusion with Deep Inconsistency Prior",
AAAI 2022, arXiv 2303.06834.
"""

from collections.abc import Mapping
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from denoisers.base import Denoiser, ModelEntry, check_sides, picture_and_guide
from denoisers.losses import charbonnier
from denoisers.models.dvn import (
    SHARED_KEYS,
    Decoder,
    DVNOptions,
    Encoder,
    Levels,
    Output,
    channels_last,
    infer,
    shallow,
)
from noisegen.errors import InputError

SMALLEST = 8
"""Least side of a picture: edges are mirrored at a quarter of the size."""


class Reconstructed(NamedTuple):
    """What the autoencoder makes of a pair.

    Attributes
    ----------
    picture, nir
        (N, C, H, W) and (N, G, H, W), not clipped.
    structures, nir_structures
        Of both, at three levels: 1 where a channel's edges are stronger than on average, else 0.
    edges, nir_edges
        What is compared with its mean.
    """

    picture: Tensor
    nir: Tensor
    structures: Levels
    nir_structures: Levels
    edges: Levels
    nir_edges: Levels


class DVNAutoencoder(Denoiser):
    """Two branches that do not meet, one for the picture, one for the infrared.

    Parameters
    ----------
    options
        Channels and widths.
    """

    multiple: ClassVar[int] = 4

    def __init__(self, options: DVNOptions) -> None:
        super().__init__()
        widths, r, slope = options.widths, options.reduction, nn.PReLU()
        c1 = options.width
        self.widths = widths
        self.shallow_feat_nir = shallow(options.guide_channels, c1, r, slope, blocks=1)
        self.shallow_feat_rgb = shallow(options.channels, c1, r, slope, blocks=1)
        self.nir_encoder = Encoder(widths, r, slope)
        self.nir_decoder = Decoder(widths, r, slope, skips=False)
        self.rgb_encoder = Encoder(widths, r, slope)
        self.rgb_decoder = Decoder(widths, r, slope, skips=False)
        self.output_nir = Output(c1, options.guide_channels)
        self.output_rgb = Output(c1, options.channels)

    def forward(self, clean: Tensor, guide: Tensor) -> Tensor | Reconstructed:
        """Return the picture drawn again (N, C, H, W), not clipped; in training mode all of it.

        Parameters
        ----------
        clean
            (N, C, H, W) in [0, 1].
        guide
            (N, G, H, W) in [0, 1], of the same scene in register.

        Raises
        ------
        InputError
            If height or width is no multiple of 4, or less than 8.
        """
        drawn = self.reconstruct(clean, guide)
        return drawn if self.training else drawn.picture

    def reconstruct(self, clean: Tensor, guide: Tensor) -> Reconstructed:
        """Return both pictures, and the structures of both."""
        check_sides("DVN's autoencoder", clean, self.multiple)
        if min(clean.shape[-2:]) < SMALLEST:
            raise InputError(
                f"DVN's autoencoder takes pictures of at least {SMALLEST}x{SMALLEST} pixels, found "
                f"{clean.shape[-2]}x{clean.shape[-1]}: pad the picture"
            )
        image = self.rgb_decoder(self.rgb_encoder(self.shallow_feat_rgb(channels_last(clean))))
        nir = self.nir_decoder(self.nir_encoder(self.shallow_feat_nir(channels_last(guide))))
        edges = edge_strength(image[0]), edge_strength(image[1]), edge_strength(image[2])
        nir_edges = edge_strength(nir[0]), edge_strength(nir[1]), edge_strength(nir[2])
        return Reconstructed(
            self.output_rgb(image[0]),
            self.output_nir(nir[0]),
            (structure(edges[0]), structure(edges[1]), structure(edges[2])),
            (structure(nir_edges[0]), structure(nir_edges[1]), structure(nir_edges[2])),
            edges,
            nir_edges,
        )


def terms(drawn: Reconstructed, clean: Tensor, guide: Tensor) -> dict[str, Tensor]:
    """Return the terms of the published loss, (N,) each; pictures are clipped."""
    return {
        "picture": charbonnier(drawn.picture.clamp(0, 1), clean),
        "nir": charbonnier(drawn.nir.clamp(0, 1), guide),
    }


def loss(network: nn.Module, drawn: Reconstructed, batch: Mapping[str, Tensor]) -> Tensor:
    """Return the (N,) loss of each sample of a batch."""
    return torch.stack(list(terms(drawn, batch["clean"], batch["guide"]).values())).sum(0)


def edge_strength(d: Tensor) -> Tensor:
    """Return ``|d * Kx| + |d * Ky|`` with Sobel's kernels, the picture mirrored at its rim."""
    mirrored = pad(d, (1, 1, 1, 1), "reflect")
    return _sobel(mirrored, -2).abs() + _sobel(mirrored, -1).abs()


def structure(edges: Tensor) -> Tensor:
    """Return 1 where an edge is stronger than its channel's mean, 0 where weaker, else a half."""
    return ((edges - edges.mean((2, 3), keepdim=True)).sign() + 1) / 2


def _sobel(x: Tensor, across: int) -> Tensor:
    """Return differences over two pixels ``across``, smoothed along the other side."""
    along = -3 - across
    before, after = (x.narrow(across, first, x.shape[across] - 2) for first in (0, 2))
    steps, length = after - before, x.shape[along] - 2
    left, middle, right = (steps.narrow(along, first, length) for first in range(3))
    return left + 2 * middle + right


ENTRY = ModelEntry(
    name="dvn-recons",
    title="DarkVisionNet's autoencoder, which says what structures are",
    paper="S. Jin et al., AAAI 2022",
    licence="Apache-2.0 (the code's)",
    options=DVNOptions,
    make=DVNAutoencoder,
    variants={"recons": {}},
    keys=(*SHARED_KEYS, r"output_(nir|rgb)\.conv\.weight"),
    infer=infer,
    inputs=("clean", "guide"),
    loss=loss,
    shapes=picture_and_guide,
    derived=(r"(nir|rgb)_edge_[123]\.0\.kernel_[xy]",),
)
