"""RFFNet: a noisy picture restored with a guide, near infrared or flash, of the same scene.

The first stage restores the picture alone; the second takes its features and, at three levels, the
guide's, high and low frequencies apart. Parameters carry the names of the published code.

References
----------
Q. Wang et al., RFFNet, ACM Multimedia 2024, doi 10.1145/3664647.3680675.
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, gelu, layer_norm, leaky_relu, normalize

from denoisers.base import (
    Denoiser,
    ModelEntry,
    Options,
    Shapes,
    check_sides,
    convolution,
    picture_and_guide,
)
from denoisers.layers.frequency import HALF, PATCH, frequency_ffn
from denoisers.layers.resize import doubled, halved, stretched
from denoisers.layers.stochastic import dropped_path
from denoisers.layers.winograd import Convolution
from denoisers.losses import charbonnier, fourier_charbonnier

DROPPED = 0.1
"""Probability that a sample goes round a branch of a fusion block while training."""

FREQUENCY = 0.1
"""Weight of the loss on spectra."""

POOLS = (8, 4, 2)
"""Pooling sizes of the calibration."""

Levels = tuple[Tensor, Tensor, Tensor]
"""Features at full, half and quarter size."""


class RFFNetOptions(Options):
    """Settings of :class:`RFFNet`."""

    channels: Annotated[int, Field(ge=1)] = Field(3, description="Channels of the picture.")
    guide_channels: Annotated[int, Field(ge=1)] = Field(
        1, description="Channels of the guide: 1 near infrared, 3 a flash photo."
    )
    width: Annotated[int, Field(ge=4, multiple_of=4)] = Field(
        64, description="Channels of the first of three levels."
    )
    widening: Annotated[int, Field(ge=0, multiple_of=4)] = Field(
        32, description="Channels that each further level has more."
    )


class Restored(NamedTuple):
    """What RFFNet makes of a picture, (N, C, H, W) each, not clipped.

    Attributes
    ----------
    final
        By the guide.
    denoised
        By the picture alone.
    """

    final: Tensor
    denoised: Tensor


class ResidualBlock(nn.Module):
    """``t + conv(prelu(conv(t)))``."""

    def __init__(self, channels: int, slope: nn.PReLU) -> None:
        super().__init__()
        self.body = nn.Sequential(_conv3(channels, channels), slope, _conv3(channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        """Return a tensor like ``x``."""
        added: Tensor = self.body(x)
        return x + added


class Down(nn.Module):
    """Half the size, other channels."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.down = nn.Sequential(nn.Identity(), _conv1(inputs, outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, outputs, H / 2, W / 2)."""
        out: Tensor = self.down(halved(x))
        return out


class Up(nn.Module):
    """Twice the size, other channels."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.up = nn.Sequential(nn.Identity(), _conv1(inputs, outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, outputs, 2 H, 2 W)."""
        out: Tensor = self.up(doubled(x))
        return out


class Encoder(nn.Module):
    """A residual block at each of three levels."""

    def __init__(self, widths: tuple[int, int, int], slope: nn.PReLU) -> None:
        super().__init__()
        c1, c2, c3 = widths
        self.encoder_level1 = ResidualBlock(c1, slope)
        self.encoder_level2 = ResidualBlock(c2, slope)
        self.encoder_level3 = ResidualBlock(c3, slope)
        self.down12 = Down(c1, c2)
        self.down23 = Down(c2, c3)

    def forward(self, x: Tensor) -> Levels:
        """Return the features of all levels."""
        e1 = self.encoder_level1(x)
        e2 = self.encoder_level2(self.down12(e1))
        return e1, e2, self.encoder_level3(self.down23(e2))


class GuidedEncoder(Encoder):
    """The second stage's, which takes the first stage's features and the guide's at each level."""

    def __init__(self, widths: tuple[int, int, int], slope: nn.PReLU) -> None:
        super().__init__(widths, slope)
        c1, c2, c3 = widths
        self.image_event_transformer1 = DualDomainFusion(c1, 1)
        self.image_event_transformer2 = DualDomainFusion(c2, 2)
        self.image_event_transformer3 = DualDomainFusion(c3, 4)
        self.csff_enc1, self.csff_enc2, self.csff_enc3 = (_conv1(c, c) for c in widths)
        self.csff_dec1, self.csff_dec2, self.csff_dec3 = (_conv1(c, c) for c in widths)

    def forward(  # type: ignore[override]  # it takes more than its base, for which it never stands
        self, x: Tensor, encoded: Levels, decoded: Levels, guide: Levels
    ) -> Levels:
        """Return the features of all levels.

        Parameters
        ----------
        x
            (N, c1, H, W).
        encoded, decoded
            Of the first stage.
        guide
            Of the guide's encoder.
        """
        E, D, G = encoded, decoded, guide
        e1 = self.encoder_level1(x) + self.csff_enc1(E[0]) + self.csff_dec1(D[0])
        e1 = self.image_event_transformer1(e1, G[0])
        e2 = self.encoder_level2(self.down12(e1)) + self.csff_enc2(E[1]) + self.csff_dec2(D[1])
        e2 = self.image_event_transformer2(e2, G[1])
        e3 = self.encoder_level3(self.down23(e2)) + self.csff_enc3(E[2]) + self.csff_dec3(D[2])
        return e1, e2, self.image_event_transformer3(e3, G[2])


class Decoder(nn.Module):
    """A residual block at each of three levels, from the smallest up."""

    def __init__(self, widths: tuple[int, int, int], slope: nn.PReLU) -> None:
        super().__init__()
        c1, c2, c3 = widths
        self.decoder_level1 = ResidualBlock(c1, slope)
        self.decoder_level2 = ResidualBlock(c2, slope)
        self.decoder_level3 = ResidualBlock(c3, slope)
        self.skip_attn1 = _conv3(c1, c1)
        self.skip_attn2 = _conv3(c2, c2)
        self.up21 = Up(c2, c1)
        self.up32 = Up(c3, c2)

    def forward(self, encoded: Levels) -> Levels:
        """Return the features of all levels."""
        e1, e2, e3 = encoded
        d3 = self.decoder_level3(e3)
        d2 = self.decoder_level2(self.up32(d3) + self.skip_attn2(e2))
        return self.decoder_level1(self.up21(d2) + self.skip_attn1(e1)), d2, d3


class SupervisedAttention(nn.Module):
    """The first stage's picture, and its features where that picture bears them out."""

    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
        self.conv1 = _conv1(width, width)
        self.conv2 = _conv1(width, channels)
        self.conv3 = _conv1(channels, width)

    def forward(self, t: Tensor, noisy: Tensor) -> tuple[Tensor, Tensor]:
        """Return features like ``t``, and the denoised picture."""
        denoised: Tensor = self.conv2(t) + noisy
        mask = self.conv3(denoised).sigmoid()
        return self.conv1(t) * mask + t, denoised


class SpatialAttention(nn.Module):
    """Image and guide, each weighted place by place by what both say."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = _conv3(2 * width, width, bias=True)
        self.conv2_1 = _conv3(width, width, bias=True)
        self.conv2_2 = _conv3(width, width, bias=True)

    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return tensors like ``x`` and ``y``."""
        of_x, of_y = self.weights(x, y)
        return x * of_x, y * of_y

    def weights(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return how much of ``x`` and of ``y`` is taken, in (0, 1)."""
        both = leaky_relu(self.conv1(torch.cat((x, y), 1)), 0.01)
        return self.conv2_1(both).sigmoid(), self.conv2_2(both).sigmoid()


class MultiScaleCalibration(nn.Module):
    """Image and guide, brought nearer to each other from coarse to fine."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.in_x, self.in_y = _conv3(width, width), _conv3(width, width)
        self.convs_x = nn.ModuleList(_conv3(width, width) for _ in POOLS)
        self.convs_y = nn.ModuleList(_conv3(width, width) for _ in POOLS)
        self.attns = nn.ModuleList(SpatialAttention(width) for _ in POOLS)
        self.sum_x, self.sum_y = _conv3(width, width), _conv3(width, width)

    def forward(self, u: Tensor, q: Tensor) -> tuple[Tensor, Tensor]:
        """Return tensors like ``u``, of the image, and ``q``, of the guide."""
        height, width = u.shape[-2:]
        sum_x, sum_y = self.in_x(u), self.in_y(q)
        vx = vy = None
        for pool, conv_x, conv_y, attend in zip(
            POOLS, self.convs_x, self.convs_y, self.attns, strict=True
        ):
            px, py = avg_pool2d(u, pool), avg_pool2d(q, pool)
            if vx is not None and vy is not None:
                px, py = (p + stretched(v, *p.shape[-2:]) for p, v in ((px, vx), (py, vy)))
            vx, vy = attend(conv_x(px), conv_y(py))
            sum_x = sum_x + stretched(vx, height, width)
            sum_y = sum_y + stretched(vy, height, width)
        return u + self.sum_x(gelu(sum_x)), q + self.sum_y(gelu(sum_y))


class LayerNorm(nn.Module):
    """At each pixel, over its channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Return a tensor like ``x``."""
        last = x.permute(0, 2, 3, 1)
        normed = layer_norm(last, last.shape[-1:], self.weight, self.bias, 1e-6)
        return normed.permute(0, 3, 1, 2)


class DualBandAttention(nn.Module):
    """High frequencies of the image, weighted by how they agree with the guide's; low of the guide.

    Attention is between channels: within a head, (C / heads) x (C / heads).
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.parts = [channels // 2, channels // 4, channels // 4]
        self.HighPassFilters1 = nn.ModuleList(self._filters())
        self.HighPassFilters2 = nn.ModuleList(self._filters())
        self.q_h, self.k_h, self.v_h, self.q_l, self.k_l, self.v_l = (
            nn.Sequential(_conv1(channels, channels)) for _ in range(6)
        )
        self.attn_blk = nn.Sequential(
            _conv1(channels, channels // 4), nn.ReLU(), _conv1(channels // 4, channels), nn.Tanh()
        )
        self.project_out = _conv1(channels, channels)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Return a tensor like ``x``, the image's; ``y`` is the guide's."""
        out: Tensor = self.project_out(self._high(x, y) + self._low(x, y))
        return out

    def _high(self, x: Tensor, y: Tensor) -> Tensor:
        xh, yh = self._passed(self.HighPassFilters1, x), self._passed(self.HighPassFilters2, y)
        agreement = (self.q_h(xh) * self.k_h(yh)).mean((2, 3), keepdim=True)
        high: Tensor = self.attn_blk(agreement) * self.v_h(xh)
        return high

    def _low(self, x: Tensor, y: Tensor) -> Tensor:
        q, k = self._heads(self.q_l(halved(x))), self._heads(self.k_l(halved(y)))
        v = self._heads(self.v_l(y))
        weights = normalize(q, dim=-1) @ normalize(k, dim=-1).mT * self.temperature
        return (weights.softmax(-1) @ v).reshape(x.shape)

    def _heads(self, t: Tensor) -> Tensor:
        """Return (N, heads, C / heads, H W)."""
        n, c = t.shape[:2]
        heads = self.temperature.shape[0]
        return t.reshape(n, heads, c // heads, -1)

    def _filters(self) -> list[nn.Conv2d]:
        return [
            _depthwise(part, kernel) for part, kernel in zip(self.parts, (3, 5, 7), strict=True)
        ]

    def _passed(self, filters: nn.ModuleList, x: Tensor) -> Tensor:
        parts = zip(filters, torch.split(x, self.parts, 1), strict=True)
        return torch.cat([one(part) for one, part in parts], 1)


class FrequencyFFN(nn.Module):
    """A gated feed-forward network of 4 C channels that weights the spectrum of 8x8 patches."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = 4 * channels
        self.fft = nn.Parameter(torch.ones(2 * hidden, 1, 1, PATCH, HALF))
        self.project_in = _conv1(channels, 2 * hidden)
        self.dwconv = _depthwise(2 * hidden, 3)
        self.project_out = _conv1(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return a tensor like ``x``."""
        return frequency_ffn(
            x, self.project_in.weight, self.fft, self.dwconv.weight, self.project_out.weight
        )


class DualDomainFusion(nn.Module):
    """A transformer block that takes the guide into the image's features."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.norm1_x, self.norm1_y = LayerNorm(channels), LayerNorm(channels)
        self.attn = DualBandAttention(channels, heads)
        self.norm2 = LayerNorm(channels)
        self.ffn = FrequencyFFN(channels)

    def forward(self, e: Tensor, guide: Tensor) -> Tensor:
        """Return a tensor like ``e``."""
        z = e + self._dropped(self.attn(self.norm1_x(e), self.norm1_y(guide)))
        return z + self._dropped(self.ffn(self.norm2(z)))

    def _dropped(self, branch: Tensor) -> Tensor:
        return dropped_path(branch, DROPPED) if self.training else branch


class RFFNet(Denoiser):
    """The whole network.

    Parameters
    ----------
    channels, guide_channels, width, widening
        As in :class:`RFFNetOptions`.

    Notes
    -----
    All residual blocks share one slope of their PReLU; published files have it fifteen times, and
    the last of them is taken. Means over the whole picture go into the attention: a tile's result
    differs from the same pixels of the whole picture's.
    """

    multiple: ClassVar[int] = 32
    draws: ClassVar[bool] = True

    def __init__(
        self, channels: int = 3, guide_channels: int = 1, width: int = 64, widening: int = 32
    ) -> None:
        super().__init__()
        widths = width, width + widening, width + 2 * widening
        slope = nn.PReLU()
        self.shallow_feat1 = _conv3(channels, width)
        self.shallow_feat2 = _conv3(channels, width)
        self.shallow_feat_guid = _conv3(guide_channels, width)
        self.calibrate = MultiScaleCalibration(width)
        self.stage1_encoder = Encoder(widths, slope)
        self.stage1_decoder = Decoder(widths, slope)
        self.guid_encoder = Encoder(widths, slope)
        self.stage2_encoder = GuidedEncoder(widths, slope)
        self.stage2_decoder = Decoder(widths, slope)
        self.sam12 = SupervisedAttention(width, channels)
        self.concat12 = _conv3(2 * width, width)
        self.tail = _conv3(width, channels)

    def forward(self, noisy: Tensor, guide: Tensor) -> Tensor | Restored:
        """Return the restored picture (N, C, H, W), not clipped; in training mode both pictures.

        Parameters
        ----------
        noisy
            (N, C, H, W) in [0, 1].
        guide
            (N, G, H, W) in [0, 1], of the same scene in register.

        Raises
        ------
        InputError
            If height or width is no multiple of 32.
        """
        restored = self.stages(noisy, guide)
        return restored if self.training else restored.final

    def with_maps(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Return the restored picture, the first stage's, and how much of both is taken where.

        The weights are those of the finest step of the calibration, means over its channels.
        """
        seen: list[tuple[Tensor, Tensor]] = []
        finest = self.calibrate.attns[-1]
        hook = finest.register_forward_hook(lambda layer, xy, _: seen.append(layer.weights(*xy)))
        try:
            final, denoised = self.stages(*inputs)
        finally:
            hook.remove()
        (weights,) = seen
        sides = final.shape[-2:]
        return final, denoised, *(stretched(w.mean(1, keepdim=True), *sides) for w in weights)

    def stages(self, noisy: Tensor, guide: Tensor) -> Restored:
        """Return the pictures of both stages."""
        check_sides("RFFNet", noisy, self.multiple)
        a, b = _features(self.shallow_feat1, noisy), _features(self.shallow_feat2, noisy)
        E = self.stage1_encoder(a)
        D = self.stage1_decoder(E)
        f, denoised = self.sam12(D[0], noisy)
        u, q = self.calibrate(
            self.concat12(torch.cat((b, f), 1)), _features(self.shallow_feat_guid, guide)
        )
        F = self.stage2_encoder(u, E, D, self.guid_encoder(q))
        S = self.stage2_decoder(F)
        return Restored(self.tail(S[0]) + noisy, denoised)


def terms(restored: Restored, clean: Tensor) -> dict[str, Tensor]:
    """Return the terms of the published loss, (N,) each, whose sum is trained on.

    Parameters
    ----------
    restored
        Both pictures, not clipped.
    clean
        (N, C, H, W).
    """
    return {
        "final": charbonnier(restored.final, clean),
        "denoised": charbonnier(restored.denoised, clean),
        "frequency": FREQUENCY * fourier_charbonnier(restored.final, clean),
    }


def loss(network: nn.Module, restored: Restored, batch: Mapping[str, Tensor]) -> Tensor:
    """Return the (N,) loss of each sample of a batch."""
    return torch.stack(list(terms(restored, batch["clean"]).values())).sum(0)


def infer(shapes: Shapes) -> dict[str, Any]:
    """Return the options of an RFFNet from the shapes of its state dict."""
    width, guide_channels, *_ = convolution(shapes, "shallow_feat_guid.weight")
    return {
        "channels": convolution(shapes, "shallow_feat1.weight")[1],
        "guide_channels": guide_channels,
        "width": width,
        "widening": convolution(shapes, "guid_encoder.down12.down.1.weight")[0] - width,
    }


def _features(conv: nn.Module, picture: Tensor) -> Tensor:
    """Return a picture's first features, channels last: convolutions are faster so."""
    features: Tensor = conv(picture)
    return features.contiguous(memory_format=torch.channels_last)


def _conv3(inputs: int, outputs: int, bias: bool = False) -> nn.Conv2d:
    return Convolution(inputs, outputs, 3, padding=1, bias=bias)


def _conv1(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 1, bias=False)


def _depthwise(channels: int, kernel: int) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, kernel, padding=kernel // 2, groups=channels, bias=False)


def _make(options: RFFNetOptions) -> RFFNet:
    return RFFNet(**options.model_dump())


ENTRY = ModelEntry(
    name="rffnet",
    title="RFFNet, guided by near infrared or flash",
    paper="Q. Wang et al., ACM Multimedia 2024",
    licence="MIT (the code's; no weights are published)",
    options=RFFNetOptions,
    make=_make,
    variants={
        "nir": {},
        "flash": {"guide_channels": 3},
        "s-flash": {"guide_channels": 3, "width": 32, "widening": 12},
    },
    keys=(
        r"(shallow_feat1|shallow_feat2|shallow_feat_guid|concat12|tail|sam12\.conv[123])\.weight",
        r"calibrate\.(in|sum)_[xy]\.weight",
        r"calibrate\.(convs_[xy]\.[012]|attns\.[012]\.conv(1|2_1|2_2))\.(weight|bias)",
        r"(stage[12]|guid)_(encoder|decoder)\.(encoder|decoder)_level[123]\.body\.[012]\.weight",
        r"(stage[12]|guid)_(encoder|decoder)\.(down(12|23)\.down|up(21|32)\.up)\.1\.weight",
        r"stage[12]_decoder\.skip_attn[12]\.weight",
        r"stage2_encoder\.(csff_(enc|dec)[123]\.weight|image_event_transformer[123]\..+)",
    ),
    infer=infer,
    inputs=("noisy", "guide"),
    loss=loss,
    shapes=picture_and_guide,
    maps=("denoised", "picture-weight", "guide-weight"),
)
