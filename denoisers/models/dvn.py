"""DarkVisionNet: a dark picture restored with a near-infrared one by the structures both show.

Two passes of one network: the first restores the picture alone and finds structures in it; where
those agree with the structures of the infrared, or neither has any, the second takes the
infrared's features. Parameters carry the names of the published code.

References
----------
S. Jin et al., "DarkVisionNet: Low-Light Imaging via RGB-NIR Fusion with Deep Inconsistency Prior",
AAAI 2022, arXiv 2303.06834.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn

from denoisers.base import (
    Denoiser,
    ModelEntry,
    Options,
    Shapes,
    check_sides,
    convolution,
    picture_and_guide,
)
from denoisers.layers.resize import doubled, halved
from denoisers.losses import charbonnier, dice
from noisegen.errors import RecipeError

if TYPE_CHECKING:
    from denoisers.models.dvn_recons import DVNAutoencoder

Levels = tuple[Tensor, Tensor, Tensor]
"""Features at full, half and quarter size."""

Widths = tuple[int, int, int]
"""Channels of the three levels."""

STRUCTURES, NIR_STRUCTURES = 1 / 1000, 1 / 3000
"""Weights of the losses on structures."""


class DVNOptions(Options):
    """Settings of :class:`DVN` and of its autoencoder."""

    channels: Annotated[int, Field(ge=1)] = Field(3, description="Channels of the picture.")
    guide_channels: Annotated[int, Field(ge=1)] = Field(
        1, description="Channels of the guide, near infrared."
    )
    width: Annotated[int, Field(ge=4)] = Field(
        80, description="Channels of the first of three levels."
    )
    widening: Annotated[int, Field(ge=1)] = Field(
        48, description="Channels that each further level has more."
    )
    reduction: Annotated[int, Field(ge=1)] = Field(
        4, description="Times fewer channels in the middle of a channel attention."
    )

    @property
    def widths(self) -> Widths:
        """Channels of the three levels."""
        return self.width, self.width + self.widening, self.width + 2 * self.widening


class Fused(NamedTuple):
    """What the fusion network makes of a picture and its infrared.

    Attributes
    ----------
    final
        (N, C, H, W), by both, not clipped.
    denoised
        Like it, by the picture alone.
    nir
        (N, G, H, W), the infrared restored.
    structures, nir_structures
        Of the picture and of the infrared, at three levels, in [0, 1].
    agreement
        The inconsistency prior: near 1 where the structures of the two agree.
    """

    final: Tensor
    denoised: Tensor
    nir: Tensor
    structures: Levels
    nir_structures: Levels
    agreement: Levels


class SqueezeExcitation(nn.Module):
    """Channels weighted by what their means say."""

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        few = max(1, channels // reduction)
        self.conv_du = nn.Sequential(
            _conv1(channels, few), nn.ReLU(), _conv1(few, channels), nn.Sigmoid()
        )

    def forward(self, v: Tensor) -> Tensor:
        """Return a tensor like ``v``."""
        weights: Tensor = self.conv_du(v.mean((2, 3), keepdim=True))
        return v * weights


class RCAB(nn.Module):
    """A residual block with channel attention."""

    def __init__(self, channels: int, reduction: int, slope: nn.PReLU) -> None:
        super().__init__()
        self.SE = SqueezeExcitation(channels, reduction)
        self.feats_cal = nn.Sequential(
            _conv3(channels, channels), slope, _conv3(channels, channels)
        )

    def forward(self, t: Tensor) -> Tensor:
        """Return a tensor like ``t``."""
        added: Tensor = self.SE(self.feats_cal(t))
        return t + added


class Down(nn.Module):
    """Half the size, other channels."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = _conv1(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, outputs, H / 2, W / 2)."""
        out: Tensor = self.conv(halved(x))
        return out


class Up(nn.Module):
    """Twice the size, other channels."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = _conv1(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, outputs, 2 H, 2 W)."""
        out: Tensor = self.conv(doubled(x))
        return out


class Output(nn.Module):
    """Features as a picture."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = _conv1(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, outputs, H, W)."""
        out: Tensor = self.conv(x)
        return out


class Encoder(nn.Module):
    """An RCAB at each of three levels; ``guided`` ones take features of the guide after each."""

    def __init__(
        self, widths: Widths, reduction: int, slope: nn.PReLU, *, guided: bool = False
    ) -> None:
        super().__init__()
        c1, c2, c3 = widths
        self.encoder_level1, self.encoder_level2, self.encoder_level3 = (
            RCAB(c, reduction, slope) for c in widths
        )
        self.down12 = Down(c1, c2)
        self.down23 = Down(c2, c3)
        if guided:
            self.atten_conv1, self.atten_conv2, self.atten_conv3 = (_conv1(c, c) for c in widths)

    def forward(self, x: Tensor, guide: Levels | None = None) -> Levels:
        """Return the features of all levels."""
        e1 = self.encoder_level1(x)
        if guide is not None:
            e1 = e1 + self.atten_conv1(guide[0])
        e2 = self.encoder_level2(self.down12(e1))
        if guide is not None:
            e2 = e2 + self.atten_conv2(guide[1])
        e3 = self.encoder_level3(self.down23(e2))
        if guide is not None:
            e3 = e3 + self.atten_conv3(guide[2])
        return e1, e2, e3


class Decoder(nn.Module):
    """An RCAB at each of three levels, from the smallest up.

    One without ``skips`` has their weights all the same, as published files do, and trains none of
    them.
    """

    def __init__(
        self, widths: Widths, reduction: int, slope: nn.PReLU, *, skips: bool = True
    ) -> None:
        super().__init__()
        c1, c2, c3 = widths
        self.skips = skips
        self.decoder_level1, self.decoder_level2, self.decoder_level3 = (
            RCAB(c, reduction, slope) for c in widths
        )
        self.skip_conv_1 = _conv3(c1, c1).requires_grad_(skips)
        self.skip_conv_2 = _conv3(c2, c2).requires_grad_(skips)
        self.up21 = Up(c2, c1)
        self.up32 = Up(c3, c2)

    def forward(self, encoded: Levels) -> Levels:
        """Return the features of all levels."""
        e1, e2, e3 = encoded
        d3 = self.decoder_level3(e3)
        t2 = self.up32(d3)
        d2 = self.decoder_level2(t2 + self.skip_conv_2(e2) if self.skips else t2)
        t1 = self.up21(d2)
        return self.decoder_level1(t1 + self.skip_conv_1(e1) if self.skips else t1), d2, d3


class FirstStructures(nn.Module):
    """The first level's part of :class:`DSEM`."""

    def __init__(self, widths: Widths, reduction: int, slope: nn.PReLU) -> None:
        super().__init__()
        c1, c2, _ = widths
        self.conv_1 = RCAB(c1, reduction, slope)
        self.conv_2 = RCAB(c1, reduction, slope)
        # In published files, and used by nothing.
        self.downsample = Down(max(1, 2 * c1 - c2), c1).requires_grad_(False)

    def forward(self, f: Tensor) -> Tensor:
        """Return a tensor like ``f``."""
        t: Tensor = self.conv_2(self.conv_1(f))
        return t


class NextStructures(nn.Module):
    """A further level's part of :class:`DSEM`."""

    def __init__(self, above: int, channels: int) -> None:
        super().__init__()
        self.conv_1 = _conv1(channels, channels)
        self.conv_2 = _conv1(channels, channels)
        self.downsample = Down(above, channels)

    def forward(self, f: Tensor, t: Tensor) -> Tensor:
        """Return a tensor like ``f``; ``t`` is the level above."""
        out: Tensor = self.conv_2(self.conv_1(f) + self.downsample(t))
        return out


class DSEM(nn.Module):
    """Deep structure extraction: maps in [0, 1] of what encoder and decoder show at each level."""

    def __init__(self, widths: Widths, reduction: int) -> None:
        super().__init__()
        c1, c2, c3 = widths
        slope = nn.PReLU()
        self.ff_enc1, self.ff_enc2, self.ff_enc3 = (
            nn.Sequential(_conv1(c, c), slope) for c in widths
        )
        self.ff_dec1, self.ff_dec2, self.ff_dec3 = (
            nn.Sequential(_conv1(c, c), slope) for c in widths
        )
        self.csff_1 = FirstStructures(widths, reduction, slope)
        self.csff_2 = NextStructures(c1, c2)
        self.csff_3 = NextStructures(c2, c3)
        self.sigmoid_1, self.sigmoid_2, self.sigmoid_3 = (
            nn.Sequential(_conv3(c, c), nn.Sigmoid()) for c in widths
        )

    def forward(self, encoded: Levels, decoded: Levels) -> Levels:
        """Return the structures of all levels."""
        e1, e2, e3 = encoded
        d1, d2, d3 = decoded
        t1 = self.csff_1(self.ff_enc1(e1) + self.ff_dec1(d1))
        t2 = self.csff_2(self.ff_enc2(e2) + self.ff_dec2(d2), t1)
        t3 = self.csff_3(self.ff_enc3(e3) + self.ff_dec3(d3), t2)
        return self.sigmoid_1(t1), self.sigmoid_2(t2), self.sigmoid_3(t3)


class DVN(Denoiser):
    """The fusion network.

    Parameters
    ----------
    options
        Channels and widths.

    Notes
    -----
    All RCABs share one slope of their PReLU but those of each structure module, which has one of
    its own; of the copies in published files the last of each kind is taken.
    """

    multiple: ClassVar[int] = 4

    def __init__(self, options: DVNOptions) -> None:
        super().__init__()
        widths, r, slope = options.widths, options.reduction, nn.PReLU()
        c1 = options.width
        self.widths = widths
        self._teacher: tuple[DVNAutoencoder, ...] = ()
        self.shallow_feat_nir = shallow(options.guide_channels, c1, r, slope, blocks=2)
        self.shallow_feat_rgb = shallow(options.channels, c1, r, slope, blocks=2)
        self.nir_encoder = Encoder(widths, r, slope)
        self.nir_decoder = Decoder(widths, r, slope)
        self.rgb_encoder = Encoder(widths, r, slope, guided=True)
        self.rgb_decoder = Decoder(widths, r, slope)
        self.nir_output = Output(c1, options.guide_channels)
        self.rgb_output = Output(c1, options.channels)
        self.structure_nir = DSEM(widths, r)
        self.structure_rgb = DSEM(widths, r)

    def forward(self, noisy: Tensor, guide: Tensor) -> Tensor | Fused:
        """Return the restored picture (N, C, H, W), not clipped; in training mode all of it.

        Parameters
        ----------
        noisy
            (N, C, H, W) in [0, 1].
        guide
            (N, G, H, W) in [0, 1], of the same scene in register.

        Raises
        ------
        InputError
            If height or width is no multiple of 4.
        """
        fused = self.fuse(noisy, guide)
        return fused if self.training else fused.final

    def with_maps(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Return the restored picture, that of the first pass, and what was seen in both.

        Structures and their agreement are means over the channels of the first level.
        """
        fused = self.fuse(*inputs)
        seen = (fused.structures, fused.nir_structures, fused.agreement)
        return fused.final, fused.denoised, *(levels[0].mean(1, keepdim=True) for levels in seen)

    def learn_from(self, teacher: Denoiser | None) -> None:
        """Take the trained autoencoder, whose structures of clean pairs are to be found."""
        from denoisers.models.dvn_recons import DVNAutoencoder  # which is made of parts from here

        if not isinstance(teacher, DVNAutoencoder):
            found = "none" if teacher is None else type(teacher).__name__
            raise RecipeError(
                f"teacher: DVN learns what structures are from its autoencoder, found {found}; "
                "train it first (noisegen train dvn-recons) and give its run as --teacher"
            )
        if teacher.widths != self.widths:
            raise RecipeError(
                f"teacher: its levels have {teacher.widths} channels, DVN's {self.widths}; they "
                "are compared channel by channel, so train both with one width"
            )
        # Not among the network's own modules: neither trained nor stored with it.
        self._teacher = (teacher.requires_grad_(False),)

    @property
    def teacher(self) -> "DVNAutoencoder":
        """The network that it learns from."""
        return self._teacher[0]

    def fuse(self, noisy: Tensor, guide: Tensor) -> Fused:
        """Return all that the two passes make."""
        check_sides("DVN", noisy, self.multiple)
        encoded = self.nir_encoder(self.shallow_feat_nir(channels_last(guide)))
        decoded = self.nir_decoder(encoded)
        nir = self.nir_output(decoded[0]) + guide
        N = self.structure_nir(encoded, decoded)
        encoded = self.rgb_encoder(self.shallow_feat_rgb(channels_last(noisy)))
        decoded = self.rgb_decoder(encoded)
        denoised = self.rgb_output(decoded[0]) + noisy
        R = self.structure_rgb(encoded, decoded)
        P = agreement(R[0], N[0]), agreement(R[1], N[1]), agreement(R[2], N[2])
        guides = P[0] * N[0], P[1] * N[1], P[2] * N[2]
        encoded = self.rgb_encoder(self.shallow_feat_rgb(denoised), guides)
        final = self.rgb_output(self.rgb_decoder(encoded)[0]) + denoised
        return Fused(final, denoised, nir, R, N, P)


def terms(
    fused: Fused, clean: Tensor, guide: Tensor, structures: Levels, nir_structures: Levels
) -> dict[str, Tensor]:
    """Return the terms of the published loss of the fusion network, whose sum is trained on.

    Those of pictures are (N,), one a sample, those of structures one number for the batch.

    Parameters
    ----------
    fused
        What it made; pictures are clipped here.
    clean, guide
        The clean picture and its infrared.
    structures, nir_structures
        Of the clean pair, from the autoencoder.
    """
    final, denoised, nir = (
        picture.clamp(0, 1) for picture in (fused.final, fused.denoised, fused.nir)
    )
    levels = zip(fused.structures, structures, fused.nir_structures, nir_structures, strict=True)
    dices = [(dice(R, r), dice(N, n)) for R, r, N, n in levels]
    return {
        "final": charbonnier(final, clean),
        "denoised": charbonnier(denoised, clean),
        "nir": charbonnier(nir, guide),
        "structures": STRUCTURES * torch.stack([R for R, _ in dices]).sum(),
        "nir structures": NIR_STRUCTURES * torch.stack([N for _, N in dices]).sum(),
    }


def loss(network: DVN, fused: Fused, batch: Mapping[str, Tensor]) -> Tensor:
    """Return the (N,) loss of each sample of a batch; that of structures is the same for all."""
    clean, guide = batch["clean"], batch["guide"]
    with torch.no_grad():
        drawn = network.teacher.reconstruct(clean, guide)
    found = terms(fused, clean, guide, drawn.structures, drawn.nir_structures)
    return torch.stack([term.expand(len(clean)) for term in found.values()]).sum(0)


def agreement(R: Tensor, N: Tensor) -> Tensor:
    """Return the inconsistency prior of structures of the picture and of the infrared.

    1 where both are 1, a half where both are 0, 0 where one has what the other has not.
    """
    return 0.5 * (1 - R) * (1 - N) + R * N


def shallow(inputs: int, width: int, reduction: int, slope: nn.PReLU, blocks: int) -> nn.Sequential:
    """Return what makes a picture's first features."""
    return nn.Sequential(
        _conv3(inputs, width), *(RCAB(width, reduction, slope) for _ in range(blocks))
    )


def channels_last(picture: Tensor) -> Tensor:
    """Return a picture with its channels side by side: convolutions are faster so."""
    return picture.contiguous(memory_format=torch.channels_last)


def infer(shapes: Shapes) -> dict[str, Any]:
    """Return the options of a DVN, or of its autoencoder, from the shapes of its state dict."""
    width, guide_channels, *_ = convolution(shapes, "shallow_feat_nir.0.weight")
    return {
        "channels": convolution(shapes, "shallow_feat_rgb.0.weight")[1],
        "guide_channels": guide_channels,
        "width": width,
        "widening": convolution(shapes, "nir_encoder.down12.conv.weight")[0] - width,
        "reduction": width // convolution(shapes, "shallow_feat_nir.1.SE.conv_du.0.weight")[0],
    }


def _conv3(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)


def _conv1(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 1, bias=False)


SHARED_KEYS = (
    r"shallow_feat_(nir|rgb)\.(0|[12]\.(SE\.conv_du\.[02]|feats_cal\.[012]))\.weight",
    r"(nir|rgb)_(en|de)coder\.(en|de)coder_level[123]\.(SE\.conv_du\.[02]|feats_cal\.[012])\.weight",
    r"(nir|rgb)_(en|de)coder\.(down12|down23|up21|up32)\.conv\.weight",
    r"(nir|rgb)_decoder\.skip_conv_[12]\.weight",
)
"""Names that the fusion network and the autoencoder both have."""

ENTRY = ModelEntry(
    name="dvn",
    title="DarkVisionNet, guided by near infrared",
    paper="S. Jin et al., AAAI 2022",
    licence="Apache-2.0 (the code's)",
    options=DVNOptions,
    make=DVN,
    variants={"fusion": {}},
    keys=(
        *SHARED_KEYS,
        r"rgb_encoder\.atten_conv[123]\.weight",
        r"(nir|rgb)_output\.conv\.weight",
        r"structure_(nir|rgb)\..+\.weight",
    ),
    infer=infer,
    inputs=("noisy", "guide"),
    loss=loss,
    shapes=picture_and_guide,
    maps=("denoised", "structures", "nir-structures", "agreement"),
)
