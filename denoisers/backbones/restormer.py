"""Restormer's U-shaped transformer, whose attention goes across channels.

Parameters carry the names of DualDn's published code.

References
----------
S. W. Zamir et al., "Restormer: Efficient Transformer for High-Resolution Image Restoration",
CVPR 2022.
"""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn.functional import gelu

from denoisers.backbones.base import Backbone
from denoisers.base import Counts, Options, Shapes, convolution
from denoisers.layers.channel_norm import channel_norm
from denoisers.layers.depthwise import Depthwise
from denoisers.layers.precision import exact_dtype

EPS = 1e-5
"""Added to the variance of a norm."""

Norm = Literal["bias-free", "with-bias"]

STAGES = (
    "encoder_level1", "encoder_level2", "encoder_level3", "latent",
    "decoder_level3", "decoder_level2", "decoder_level1", "refinement",
)  # fmt: skip

KEYS = (
    rf"({'|'.join(STAGES)})\.\d+\.norm[12]\.body\.(weight|bias)",
    rf"({'|'.join(STAGES)})\.\d+\.attn\.(qkv|qkv_dwconv|project_out)\.(weight|bias)",
    rf"({'|'.join(STAGES)})\.\d+\.attn\.temperature",
    rf"({'|'.join(STAGES)})\.\d+\.ffn\.(project_in|dwconv|project_out)\.(weight|bias)",
    r"(down1_2|down2_3|down3_4|up4_3|up3_2|up2_1)\.body\.0\.weight",
    r"(reduce_chan_level[23]|output)\.(weight|bias)",
)
"""Patterns of all names of its parameters."""


class RestormerOptions(Options):
    """Settings of :class:`Restormer`."""

    width: Annotated[int, Field(ge=2, multiple_of=2)] = Field(
        48, description="Channels of the first of four levels, each of twice the last's."
    )
    blocks: Counts = Field((4, 6, 6, 8), description="Blocks of each of the four levels.")
    refinement: Annotated[int, Field(ge=0)] = Field(4, description="Blocks after the decoder.")
    heads: Counts = Field((1, 2, 4, 8), description="Attention heads of each level.")
    expansion: Annotated[float, Field(gt=0)] = Field(
        2.66, description="Hidden channels of the feed-forward for each of a block's."
    )
    bias: bool = Field(False, description="Biases of convolutions.")
    norm: Norm = Field("bias-free", description="Whether a norm subtracts the mean and has a bias.")

    @model_validator(mode="after")
    def _levels(self) -> Self:
        for name in ("blocks", "heads"):
            if len(getattr(self, name)) != 4:
                raise ValueError(f"{name}: four numbers are needed, one a level")
        for level, heads in enumerate(self.heads):
            # The decoder's last stage has the first's heads and the second's channels.
            if (self.width << level) % heads:
                raise ValueError(
                    f"heads: {heads} do not divide the {self.width << level} channels of level "
                    f"{level + 1}"
                )
        return self


class ChannelNorm(nn.Module):
    """Divides a pixel's channels by their standard deviation; the mean is subtracted on request.

    Parameters
    ----------
    channels
        Of the features.
    kind
        ``bias-free`` leaves the mean where it is.
    """

    def __init__(self, channels: int, kind: Norm) -> None:
        super().__init__()
        self.centred = kind == "with-bias"
        self.body = nn.Module()
        self.body.weight = nn.Parameter(torch.ones(channels))
        if self.centred:
            self.body.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, C, H, W) of the same type; computed in float32 at least."""
        weight: Tensor = self.body.weight  # type: ignore[assignment]
        bias: Tensor | None = self.body.bias if self.centred else None  # type: ignore[assignment]
        return channel_norm(x, weight, bias, EPS)


class Attention(nn.Module):
    """Attention of channels to channels over the whole picture: MDTA, equation 1 of the paper."""

    def __init__(self, channels: int, heads: int, bias: bool) -> None:
        super().__init__()
        self.heads = heads
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.qkv = nn.Conv2d(channels, 3 * channels, 1, bias=bias)
        self.qkv_dwconv = Depthwise(3 * channels, bias=bias)
        self.project_out = nn.Conv2d(channels, channels, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return what is added to (N, C, H, W)."""
        n, channels, height, width = x.shape
        made: Tensor = self.qkv_dwconv(self.qkv(x))
        q, k, v = made.reshape(n, 3, self.heads, channels // self.heads, -1).unbind(1)
        # Rows of q and k divided by their norms: of the small product, not of the pictures.
        norms = [r.to(exact_dtype(r)).square().sum(-1).sqrt().clamp_min(1e-12) for r in (q, k)]
        product = (q @ k.transpose(-2, -1)).to(norms[0].dtype)
        cosine = product / norms[0].unsqueeze(-1) / norms[1].unsqueeze(-2)
        attention = (cosine * self.temperature).softmax(-1)
        out: Tensor = self.project_out((attention.to(v.dtype) @ v).reshape(n, -1, height, width))
        return out


class FeedForward(nn.Module):
    """Two branches, one gating the other: GDFN, equation 2 of the paper."""

    def __init__(self, channels: int, expansion: float, bias: bool) -> None:
        super().__init__()
        hidden = int(channels * expansion)
        self.project_in = nn.Conv2d(channels, 2 * hidden, 1, bias=bias)
        self.dwconv = Depthwise(2 * hidden, bias=bias)
        self.project_out = nn.Conv2d(hidden, channels, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return what is added to (N, C, H, W)."""
        gate, value = self.dwconv(self.project_in(x)).chunk(2, dim=1)
        out: Tensor = self.project_out(gelu(gate) * value)
        return out


class Block(nn.Module):
    """Attention and feed-forward, each of the normed features and added to them."""

    def __init__(self, channels: int, heads: int, expansion: float, bias: bool, norm: Norm) -> None:
        super().__init__()
        self.norm1 = ChannelNorm(channels, norm)
        self.attn = Attention(channels, heads, bias)
        self.norm2 = ChannelNorm(channels, norm)
        self.ffn = FeedForward(channels, expansion, bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, C, H, W)."""
        x = x + self.attn(self.norm1(x))
        out: Tensor = x + self.ffn(self.norm2(x))
        return out


class _Resize(nn.Module):
    """To half the size and twice the channels, or back."""

    def __init__(self, channels: int, *, down: bool) -> None:
        super().__init__()
        to = channels // 2 if down else 2 * channels
        shuffle = nn.PixelUnshuffle(2) if down else nn.PixelShuffle(2)
        self.body = nn.Sequential(nn.Conv2d(channels, to, 3, padding=1, bias=False), shuffle)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.body(x)
        return out


class Restormer(Backbone):
    """Restormer without its first convolution and its own residual.

    Parameters
    ----------
    width
        c, channels of the first of four levels, each of twice the last's.
    blocks
        Of each level; the decoder mirrors the encoder.
    refinement
        Blocks after the decoder.
    heads
        Of each level; they divide its channels.
    expansion
        Of the feed-forward's hidden channels.
    bias, norm
        Of convolutions, and kind of norm.
    """

    multiple: ClassVar[int] = 8

    def __init__(
        self,
        width: int = 64,
        *,
        blocks: Sequence[int] = (2, 3, 3, 4),
        refinement: int = 2,
        heads: Sequence[int] = (1, 2, 4, 8),
        expansion: float = 2.66,
        bias: bool = False,
        norm: Norm = "bias-free",
    ) -> None:
        super().__init__()
        c1, c2, c3, c4 = (width << level for level in range(4))

        def stage(channels: int, level: int, count: int) -> nn.Sequential:
            return nn.Sequential(
                *(Block(channels, heads[level], expansion, bias, norm) for _ in range(count))
            )

        self.encoder_level1 = stage(c1, 0, blocks[0])
        self.down1_2 = _Resize(c1, down=True)
        self.encoder_level2 = stage(c2, 1, blocks[1])
        self.down2_3 = _Resize(c2, down=True)
        self.encoder_level3 = stage(c3, 2, blocks[2])
        self.down3_4 = _Resize(c3, down=True)
        self.latent = stage(c4, 3, blocks[3])
        self.up4_3 = _Resize(c4, down=False)
        self.reduce_chan_level3 = nn.Conv2d(c4, c3, 1, bias=bias)
        self.decoder_level3 = stage(c3, 2, blocks[2])
        self.up3_2 = _Resize(c3, down=False)
        self.reduce_chan_level2 = nn.Conv2d(c3, c2, 1, bias=bias)
        self.decoder_level2 = stage(c2, 1, blocks[1])
        self.up2_1 = _Resize(c2, down=False)
        self.decoder_level1 = stage(c2, 0, blocks[0])
        self.refinement = stage(c2, 0, refinement)
        self.output = nn.Conv2d(c2, c1, 3, padding=1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, c, H, W).

        Raises
        ------
        InputError
            If height or width is no multiple of 8.
        """
        self.check(x)
        e1 = self.through(self.encoder_level1, x)
        e2 = self.through(self.encoder_level2, self.down1_2(e1))
        e3 = self.through(self.encoder_level3, self.down2_3(e2))
        z = self.through(self.latent, self.down3_4(e3))
        z = self.reduce_chan_level3(torch.cat((self.up4_3(z), e3), 1))
        z = self.through(self.decoder_level3, z)
        z = self.reduce_chan_level2(torch.cat((self.up3_2(z), e2), 1))
        z = self.through(self.decoder_level2, z)
        z = self.through(self.decoder_level1, torch.cat((self.up2_1(z), e1), 1))
        out: Tensor = self.output(self.through(self.refinement, z))
        return out


def infer(shapes: Shapes) -> dict[str, object]:
    """Return the arguments of a Restormer from the shapes of its state dict."""
    width, *_ = convolution(shapes, "output.weight")
    levels = ("encoder_level1", "encoder_level2", "encoder_level3", "latent")
    _, hidden, *_ = convolution(shapes, "latent.0.ffn.project_out.weight")
    return {
        "width": width,
        "blocks": tuple(_count(shapes, level) for level in levels),
        "refinement": _count(shapes, "refinement"),
        "heads": tuple(shapes[f"{level}.0.attn.temperature"][0] for level in levels),
        "expansion": _expansion(width, hidden),
        "bias": "output.bias" in shapes,
        "norm": "with-bias" if "latent.0.norm1.body.bias" in shapes else "bias-free",
    }


def _expansion(width: int, hidden: int) -> float:
    """Return the published factor where it makes that many channels, else one that does."""
    channels = width << 3
    return 2.66 if int(channels * 2.66) == hidden else (hidden + 0.5) / channels


def _count(shapes: Shapes, stage: str) -> int:
    return len({name.split(".")[1] for name in shapes if name.startswith(f"{stage}.")})
