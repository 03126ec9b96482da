"""MIRNet-v2's residual groups of features at three scales.

Parameters carry the names of DualDn's published code.

References
----------
S. W. Zamir et al., "Learning Enriched Features for Fast Image Restoration and Enhancement",
IEEE TPAMI 45(2), 2023.
"""

from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from denoisers.backbones.base import Backbone
from denoisers.base import Options, Shapes, convolution

SLOPE = 0.2
"""Of every leaky ReLU."""

GROUPS = (1, 2, 4, 4)
"""Groups of the 3x3 convolutions in the four residual groups."""

_SCALES = "top|mid|bot"

KEYS = (
    rf"body\.\d+\.body\.\d+\.dau_({_SCALES})\.(body\.[02]|gcnet\..+)\.(weight|bias)",
    r"body\.\d+\.body\.\d+\.(down2|down4\.[01])\.body\.0\.bot\.1\.weight",
    r"body\.\d+\.body\.\d+\.up(21|32)_[12]\.body\.0\.bot\.0\.weight",
    r"body\.\d+\.body\.\d+\.skff_(top|mid)\.(conv_du\.0|fcs\.[01])\.weight",
    r"body\.\d+\.body\.\d+\.conv_out\.(weight|bias)",
    r"body\.\d+\.body\.\d+\.(weight|bias)",
)
"""Patterns of all names of its parameters."""


class MIRNetOptions(Options):
    """Settings of :class:`MIRNet`."""

    width: Annotated[int, Field(ge=16, multiple_of=16)] = Field(
        80, description="Channels of the finest of three scales."
    )
    mrb: Annotated[int, Field(ge=1)] = Field(
        2, description="Multi-scale blocks of each of the four residual groups."
    )
    bias: bool = Field(False, description="Biases of convolutions.")


class Context(nn.Module):
    """Adds to every pixel what a softmax over the whole picture picks out of it."""

    def __init__(self, channels: int, bias: bool) -> None:
        super().__init__()
        self.conv_mask = nn.Conv2d(channels, 1, 1, bias=bias)
        self.channel_add_conv = nn.Sequential(
            nn.Conv2d(channels, channels, 1, bias=bias),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(channels, channels, 1, bias=bias),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, C, H, W)."""
        share = self.conv_mask(x).flatten(2).softmax(-1).to(x.dtype)
        context = (x.flatten(2) @ share.transpose(1, 2)).unsqueeze(-1)
        out: Tensor = x + self.channel_add_conv(context)
        return out


class RCB(nn.Module):
    """Residual contextual block: two grouped convolutions and a global context."""

    def __init__(self, channels: int, groups: int, bias: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=bias, groups=groups),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(channels, channels, 3, padding=1, bias=bias, groups=groups),
        )
        self.gcnet = Context(channels, bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, C, H, W)."""
        return leaky_relu(self.gcnet(self.body(x)), SLOPE) + x


class SKFF(nn.Module):
    """Fuses two scales by weights of each channel that their means make."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = max(channels // 8, 4)
        self.conv_du = nn.Sequential(
            nn.Conv2d(channels, hidden, 1, bias=False), nn.LeakyReLU(SLOPE)
        )
        self.fcs = nn.ModuleList(nn.Conv2d(hidden, channels, 1, bias=False) for _ in range(2))

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Return the weighted sum of two (N, C, H, W)."""
        z = self.conv_du((a + b).mean((2, 3), keepdim=True))
        weights = torch.stack([fc(z) for fc in self.fcs]).softmax(0).to(a.dtype)
        return a * weights[0] + b * weights[1]


class _Bottom(nn.Module):
    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.bot = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.bot(x)
        return out


class _Resize(nn.Module):
    """To half the size, or twice."""

    def __init__(self, channels: int, to: int, *, down: bool) -> None:
        super().__init__()
        conv = nn.Conv2d(channels, to, 1, bias=False)
        if down:
            bottom = _Bottom(nn.AvgPool2d(2), conv)
        else:
            bottom = _Bottom(conv, nn.Upsample(scale_factor=2, mode="bilinear"))
        self.body = nn.Sequential(bottom)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.body(x)
        return out


class MRB(nn.Module):
    """Multi-scale residual block: what each scale found is passed up, twice.

    Parameters
    ----------
    width
        c; the lower scales have 1.5 c and 2.25 c channels.
    groups, bias
        Of its convolutions.
    """

    def __init__(self, width: int, groups: int, bias: bool) -> None:
        super().__init__()
        top, mid, bot = width, width * 3 // 2, width * 9 // 4
        self.dau_top = RCB(top, groups, bias)
        self.dau_mid = RCB(mid, groups, bias)
        self.dau_bot = RCB(bot, groups, bias)
        self.down2 = _Resize(top, mid, down=True)
        self.down4 = nn.Sequential(_Resize(top, mid, down=True), _Resize(mid, bot, down=True))
        self.up21_1 = _Resize(mid, top, down=False)
        self.up21_2 = _Resize(mid, top, down=False)
        self.up32_1 = _Resize(bot, mid, down=False)
        self.up32_2 = _Resize(bot, mid, down=False)
        self.conv_out = nn.Conv2d(top, top, 1, bias=bias)
        self.skff_top = SKFF(top)
        self.skff_mid = SKFF(mid)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, c, H, W)."""
        t, m, b = x, self.down2(x), self.down4(x)
        for up32, up21 in ((self.up32_1, self.up21_1), (self.up32_2, self.up21_2)):
            t, m, b = self.dau_top(t), self.dau_mid(m), self.dau_bot(b)
            m = self.skff_mid(m, up32(b))
            t = self.skff_top(t, up21(m))
        out: Tensor = self.conv_out(t) + x
        return out


class RRG(nn.Module):
    """Recursive residual group: multi-scale blocks and a 3x3 convolution, added to the input."""

    def __init__(self, width: int, blocks: int, groups: int, bias: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *(MRB(width, groups, bias) for _ in range(blocks)),
            nn.Conv2d(width, width, 3, padding=1, bias=bias),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, c, H, W)."""
        out: Tensor = self.body(x) + x
        return out


class MIRNet(Backbone):
    """MIRNet-v2 without its first and last convolutions.

    Parameters
    ----------
    width
        c, a multiple of 16.
    mrb
        Multi-scale blocks of each residual group.
    bias
        Of convolutions.
    """

    multiple: ClassVar[int] = 4

    def __init__(self, width: int = 64, *, mrb: int = 1, bias: bool = False) -> None:
        super().__init__()
        self.body = nn.Sequential(*(RRG(width, mrb, groups, bias) for groups in GROUPS))

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, c, H, W).

        Raises
        ------
        InputError
            If height or width is no multiple of 4.
        """
        self.check(x)
        return self.through(self.body, x)


def infer(shapes: Shapes) -> dict[str, object]:
    """Return the arguments of a MIRNet-v2 from the shapes of its state dict."""
    last = max((int(n.split(".")[3]) for n in shapes if n.startswith("body.0.body.")), default=0)
    width, *_ = convolution(shapes, f"body.0.body.{last}.weight")
    return {"width": width, "mrb": last, "bias": f"body.0.body.{last}.bias" in shapes}
