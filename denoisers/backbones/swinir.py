"""SwinIR's transformer of shifted windows.

Parameters carry the names of DualDn's published code.

References
----------
J. Liang et al., "SwinIR: Image Restoration Using Swin Transformer", ICCV workshops 2021.
"""

import re
from collections.abc import Sequence
from typing import Annotated, ClassVar, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn.functional import gelu

from denoisers.backbones.base import Backbone
from denoisers.base import Counts, Options, Shapes, convolution
from denoisers.layers.stochastic import dropped_path

DROP_PATH = 0.1
"""Probability with which the last block's branches are left out in training; the first's is 0."""

APART = -100.0
"""Added to the attention between pixels that only the cyclic shift brought together."""

_BLOCKS = r"layers\.\d+\.residual_group\.blocks\.\d+\."

BUFFERS = (rf"{_BLOCKS}(attn\.relative_position_index|attn_mask)",)
"""Patterns of published names that follow from the architecture."""

KEYS = (
    r"(patch_embed\.norm|norm|conv_after_body|layers\.\d+\.conv)\.(weight|bias)",
    rf"{_BLOCKS}(norm[12]|attn\.qkv|attn\.proj|mlp\.fc[12])\.(weight|bias)",
    rf"{_BLOCKS}attn\.relative_position_bias_table",
)
"""Patterns of all names of its parameters."""


class SwinIROptions(Options):
    """Settings of :class:`SwinIR`."""

    width: Annotated[int, Field(ge=1)] = Field(180, description="Channels; the heads divide them.")
    depths: Counts = Field((6, 6, 6, 6, 6, 6), description="Blocks of each residual group.")
    heads: Counts = Field((6,), description="Attention heads of each group, or of all alike.")
    ratio: Annotated[int, Field(ge=1)] = Field(
        2, description="Hidden channels of the perceptrons for each channel."
    )

    @model_validator(mode="after")
    def _groups(self) -> Self:
        if len(self.heads) not in (1, len(self.depths)):
            raise ValueError(
                f"heads: {len(self.heads)} numbers for {len(self.depths)} groups of depths"
            )
        for heads in self.heads:
            if self.width % heads:
                raise ValueError(
                    f"width: {self.width} channels are no multiple of {heads} heads; take "
                    f"{self.width // heads * heads or heads} or {(self.width // heads + 1) * heads}"
                )
        return self


class WindowAttention(nn.Module):
    """Attention within windows, with a bias for each distance of two pixels.

    Parameters
    ----------
    channels, heads, window
        The heads divide the channels; a window is ``window`` pixels high and wide.
    """

    index: Tensor

    def __init__(self, channels: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads, self.scale = heads, (channels // heads) ** -0.5
        span = 2 * window - 1
        self.relative_position_bias_table = nn.Parameter(torch.empty(span**2, heads))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)
        at = torch.arange(window)
        apart = at[:, None] - at + window - 1  # query minus key, from 0
        # Device "cpu" would take the numbers away from a network on the meta device.
        index = apart[:, None, :, None] * span + apart[None, :, None, :]
        self.register_buffer("index", index.reshape(-1), persistent=False)

    def forward(self, tokens: Tensor, mask: Tensor | None) -> Tensor:
        """Return (N, windows, pixels, C).

        Parameters
        ----------
        tokens
            (N, windows, pixels, C).
        mask
            (windows, 1, pixels, pixels), added to the attention.
        """
        n, windows, pixels, _ = tokens.shape
        made: Tensor = self.qkv(tokens)
        q, k, v = made.view(n, windows, pixels, 3, self.heads, -1).permute(3, 0, 1, 4, 2, 5)
        bias = self.relative_position_bias_table[self.index].view(pixels, pixels, -1)
        attention = (q * self.scale) @ k.transpose(-2, -1) + bias.permute(2, 0, 1)
        if mask is not None:
            attention = attention + mask
        attention = attention.softmax(-1).to(v.dtype)
        out: Tensor = self.proj((attention @ v).transpose(2, 3).reshape(tokens.shape))
        return out


class _Mlp(nn.Module):
    def __init__(self, channels: int, ratio: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, ratio * channels)
        self.fc2 = nn.Linear(ratio * channels, channels)

    def forward(self, tokens: Tensor) -> Tensor:
        out: Tensor = self.fc2(gelu(self.fc1(tokens)))
        return out


class Block(nn.Module):
    """A Swin block: attention and perceptron, each of the normed tokens and added to them.

    Parameters
    ----------
    channels, heads, window, ratio
        As in :class:`SwinIR`.
    shift
        By how many pixels its windows are shifted.
    drop
        Probability with which a sample goes past a branch in training.
    """

    def __init__(
        self, channels: int, heads: int, window: int, ratio: int, shift: int, drop: float
    ) -> None:
        super().__init__()
        self.window, self.shift, self.drop = window, shift, drop
        self.norm1 = nn.LayerNorm(channels)
        self.attn = WindowAttention(channels, heads, window)
        self.norm2 = nn.LayerNorm(channels)
        self.mlp = _Mlp(channels, ratio)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return (N, H, W, C)."""
        _, height, width, channels = tokens.shape
        size = self.window
        x: Tensor = self.norm1(tokens)
        mask = None
        if self.shift:
            x = x.roll((-self.shift, -self.shift), (1, 2))
            mask = _apart(height, width, size, self.shift).to(x)
        cells = x.view(-1, height // size, size, width // size, size, channels).transpose(2, 3)
        cells = self.attn(cells.reshape(len(x), -1, size * size, channels), mask)
        cells = cells.view(-1, height // size, width // size, size, size, channels).transpose(2, 3)
        x = cells.reshape(tokens.shape)
        if self.shift:
            x = x.roll((self.shift, self.shift), (1, 2))
        tokens = tokens + self._kept(x)
        return tokens + self._kept(self.mlp(self.norm2(tokens)))

    def _kept(self, branch: Tensor) -> Tensor:
        """Return a branch, nothing of it for some samples (stochastic depth)."""
        return dropped_path(branch, self.drop) if self.training and self.drop else branch


def _apart(height: int, width: int, window: int, shift: int) -> Tensor:
    """Return (windows, 1, pixels, pixels): what keeps regions apart in shifted windows."""

    def regions(length: int) -> Tensor:
        at = torch.arange(length)
        return (at >= length - window).int() + (at >= length - shift).int()

    region = 3 * regions(height)[:, None] + regions(width)
    cells = region.view(height // window, window, width // window, window).transpose(1, 2)
    cells = cells.reshape(-1, 1, window * window)
    return APART * (cells[..., None, :] != cells[..., :, None]).float()


class _Group(nn.Module):
    def __init__(self, blocks: Sequence[Block]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)


class ResidualGroup(nn.Module):
    """RSTB: Swin blocks and a 3x3 convolution, added to what came in."""

    def __init__(self, channels: int, blocks: Sequence[Block]) -> None:
        super().__init__()
        self.residual_group = _Group(blocks)
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)


class _Embedding(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)


class SwinIR(Backbone):
    """SwinIR without its first and last convolutions; what comes in is added at the end.

    Parameters
    ----------
    width
        c, a multiple of the heads.
    depths
        Blocks of each residual group.
    heads
        Of each residual group, or one number for all.
    ratio
        Of the perceptron's hidden channels.
    """

    multiple: ClassVar[int] = 8

    def __init__(
        self,
        width: int = 60,
        *,
        depths: Sequence[int] = (6, 6, 6),
        heads: Sequence[int] = (6,),
        ratio: int = 2,
    ) -> None:
        super().__init__()
        window = self.multiple
        self.patch_embed = _Embedding(width)
        total, made = sum(depths), 0
        groups = []
        each = tuple(heads) * len(depths) if len(heads) == 1 else heads
        for depth, many in zip(depths, each, strict=True):
            blocks = []
            for j in range(depth):
                drop = DROP_PATH * made / (total - 1) if total > 1 else 0.0
                blocks.append(Block(width, many, window, ratio, window // 2 * (j % 2), drop))
                made += 1
            groups.append(ResidualGroup(width, blocks))
        self.layers = nn.ModuleList(groups)
        self.norm = nn.LayerNorm(width)
        self.conv_after_body = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, c, H, W).

        Raises
        ------
        InputError
            If height or width is no multiple of 8.
        """
        self.check(x)
        tokens: Tensor = self.patch_embed.norm(x.permute(0, 2, 3, 1))
        for group in self.layers:
            assert isinstance(group, ResidualGroup)
            features = self.through(group.residual_group.blocks, tokens).permute(0, 3, 1, 2)
            tokens = tokens + group.conv(features).permute(0, 2, 3, 1)
        out: Tensor = self.conv_after_body(self.norm(tokens).permute(0, 3, 1, 2)) + x
        return out


def infer(shapes: Shapes) -> dict[str, object]:
    """Return the arguments of a SwinIR from the shapes of its state dict."""
    width, *_ = convolution(shapes, "conv_after_body.weight")
    found = {tuple(map(int, m.groups())) for name in shapes if (m := _BLOCK.match(name))}
    groups = range(1 + max((group for group, _ in found), default=-1))
    first = "layers.{}.residual_group.blocks.0."
    heads = tuple(
        shapes[first.format(group) + "attn.relative_position_bias_table"][1] for group in groups
    )
    return {
        "width": width,
        "depths": tuple(sum(g == group for g, _ in found) for group in groups),
        "heads": heads[:1] if len(set(heads)) == 1 else heads,
        "ratio": shapes[first.format(0) + "mlp.fc1.weight"][0] // width,
    }


_BLOCK = re.compile(r"layers\.(\d+)\.residual_group\.blocks\.(\d+)\.")
