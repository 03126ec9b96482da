"""ADFNet: dynamic convolution and deformable context in a U-shaped network.

Blocks carry the names of the paper, parameters those of the published code.

References
----------
H. Shen, Z.-Q. Zhao, W. Zhang, "Adaptive Dynamic Filtering Network for Image Denoising", AAAI 2023.
"""

from typing import Annotated, Any, ClassVar, Literal, NamedTuple, cast

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from denoisers.base import Denoiser, ModelEntry, Options, Shapes, check_sides, convolution
from denoisers.layers.deformable import modulated_deform_conv2d
from denoisers.layers.dynamic import dynamic_filter
from denoisers.layers.strips import in_strips

SLOPE = 0.2
"""Of every leaky ReLU in the network."""

DILATIONS = (1, 3, 5)


class Offsets(NamedTuple):
    """How the offsets of a :class:`DCN` are made, at every level alike.

    Attributes
    ----------
    channels
        Of the feature that they are made of.
    groups
        Groups of the picture's channels that have offsets and masks of their own.
    """

    channels: int = 32
    groups: int = 8


PUBLISHED = Offsets()


class ADFNetOptions(Options):
    """Settings of :class:`ADFNet`."""

    channels: Literal[1, 3] = Field(3, description="Channels of the picture.")
    width: Annotated[int, Field(ge=8, multiple_of=8)] = Field(
        32,
        description="Channels of the first of four levels, each of twice the last's: 32 in "
        "ADFNet, 64 in ADFNet*.",
    )
    deformable_groups: Literal[1, 2, 4, 8] = Field(
        8, description="Groups of channels with offsets of their own; published: 8."
    )
    offset_channels: Annotated[int, Field(ge=1)] = Field(
        32,
        description="Channels of the feature that offsets are made of; published: 32.",
    )


class DCN(nn.Module):
    """Modulated deformable 3x3 convolution that makes its offsets and masks of a second feature.

    Parameters
    ----------
    channels
        C, of input and output; a multiple of the groups.
    offsets
        How its offsets are made.
    """

    def __init__(self, channels: int, offsets: Offsets = PUBLISHED) -> None:
        super().__init__()
        self.taps = offsets.groups * 9
        self.weight = nn.Parameter(torch.empty(channels, channels, 3, 3))
        self.bias = nn.Parameter(torch.empty(channels))
        self.conv_offset_mask = _conv3(offsets.channels, 3 * self.taps)
        nn.init.kaiming_uniform_(self.weight, a=5**0.5)
        bound = (channels * 9) ** -0.5
        nn.init.uniform_(self.bias, -bound, bound)
        # No offset and every mask one half: training starts from an ordinary convolution.
        nn.init.zeros_(self.conv_offset_mask.weight)
        nn.init.zeros_(self.conv_offset_mask.bias)  # type: ignore[arg-type]

    def forward(self, pair: tuple[Tensor, Tensor]) -> Tensor:
        """Convolve the first of ``pair`` by offsets and masks made of the second."""
        x, feature = pair
        made = in_strips(self.conv_offset_mask, feature, 1, 3 * self.taps)
        offset, mask = torch.split(made, [2 * self.taps, self.taps], 1)
        return modulated_deform_conv2d(x, offset, mask.sigmoid(), self.weight, self.bias, padding=1)


class OffsetHead(nn.Module):
    """The feature that a :class:`DCN` makes its offsets of."""

    def __init__(self, channels: int, offset_channels: int) -> None:
        super().__init__()
        self.offset_conv1 = _conv3(channels, offset_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, O, H, W), O being the offset channels."""
        return _leaky(self.offset_conv1(x))


class SEKG(nn.Module):
    """Spatially enhanced kernel generation: a depth-wise convolution plus a channel term."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_sa = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.conv_ca = nn.Conv1d(1, 1, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the feature that kernels are made of, as large as ``x``."""
        means = x.mean((2, 3))
        channel_term: Tensor = self.conv_ca(means.unsqueeze(1)).view(*means.shape, 1, 1)
        spatial_term: Tensor = self.conv_sa(x)
        return spatial_term + channel_term


class KernelConvolution(nn.Conv2d):
    """The 1x1 convolution that makes nine taps a channel: called, it returns the kernels."""

    def __init__(self, channels: int, filtered: int) -> None:
        super().__init__(channels, 9 * filtered, 1)

    def filter(
        self, x: Tensor, feature: Tensor, dilations: tuple[int, ...] = (1,)
    ) -> tuple[Tensor, ...]:
        """Return ``x`` filtered at each dilation by the kernels of ``feature``, never stored."""
        return dynamic_filter(x, feature, self.weight, self.get_parameter("bias"), dilations)


class KernelGeneration(nn.Module):
    """SEKG and the 1x1 convolution that makes nine taps a channel of it (the paper's AFG)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.sekg = SEKG(channels)
        self.conv = KernelConvolution(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return the kernels (N, 9C, H, W)."""
        kernels: Tensor = self.conv(self.sekg(x))
        return kernels


class DConv(nn.Module):
    """Dynamic convolution: ``x`` filtered by kernels made of itself."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.afg = KernelGeneration(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` filtered, of the same shape."""
        (filtered,) = self.afg.conv.filter(x, self.afg.sekg(x))
        return filtered


class MFI(nn.Module):
    """Multi-dimensional feature integration: gates of channels, then of rows and columns."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the gated feature; the gates are twice a sigmoid, as in the published code."""
        of_rows, of_columns = x.mean(3), x.mean(2)
        channels = 2 * of_rows.mean(2, keepdim=True).sigmoid()
        rows = 2 * (of_rows * channels).mean(1, keepdim=True).sigmoid()
        columns = 2 * (of_columns * channels).mean(1, keepdim=True).sigmoid()
        return x * channels.unsqueeze(3) * (1 + rows.unsqueeze(3) + columns.unsqueeze(2))


class CB(nn.Module):
    """Convolutional block."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = _conv3(channels, channels)
        self.conv2 = _conv3(channels, channels)
        self.conv3 = _conv3(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` and what the block adds; the first two convolutions follow directly."""
        added: Tensor = self.conv3(_leaky(self.conv2(self.conv1(x))))
        return x + added


class DCB(nn.Module):
    """Dynamic convolutional block."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = _conv3(channels, channels)
        self.dyconv = DConv(channels)
        self.conv2 = _conv3(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` and what the block adds."""
        added: Tensor = self.conv2(_leaky(self.dyconv(self.conv1(x))))
        return x + added


class MCB(nn.Module):
    """Multi-scale convolutional block.

    Parameters
    ----------
    channels
        C, of input and output.
    mid_channels
        M, of the dilated branches.
    offsets
        How the offsets of its deformable convolution are made.
    """

    def __init__(self, channels: int, mid_channels: int, offsets: Offsets = PUBLISHED) -> None:
        super().__init__()
        self.offset = OffsetHead(channels, offsets.channels)
        self.dcn = nn.Sequential(
            DCN(channels, offsets), nn.LeakyReLU(SLOPE), _conv3(channels, channels)
        )
        self.conv = _reduction(channels, mid_channels)
        self.conv1, self.conv2, self.conv3 = (
            nn.Conv2d(mid_channels, mid_channels, 3, padding=d, dilation=d) for d in DILATIONS
        )
        self.integration = MFI()
        self.fusion = nn.Conv2d(4 * mid_channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` and what the block adds."""
        added: Tensor = self.fusion(self.integration(self._scales(x)))
        return x + added

    def _scales(self, x: Tensor) -> Tensor:
        """Return what the branches see, (N, 4M, H, W)."""
        u = self.conv(self.dcn((x, self.offset(x))))
        branches = [_leaky(conv(u)) for conv in (self.conv1, self.conv2, self.conv3)]
        return torch.cat((u, *branches), 1)


class Branch(nn.Module):
    """What follows the dynamic filtering in one branch of an :class:`MDCB`."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fuse = _conv3(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return the branch's feature, of the same shape."""
        return _leaky(self.fuse(x))


class MDCB(nn.Module):
    """Multi-scale dynamic convolutional block: one set of kernels at three dilations.

    Parameters
    ----------
    channels
        C, of input and output.
    mid_channels
        M, of the filtered branches.
    offsets
        How the offsets of its deformable convolution are made.
    """

    def __init__(self, channels: int, mid_channels: int, offsets: Offsets = PUBLISHED) -> None:
        super().__init__()
        self.conv = _reduction(channels, mid_channels)
        self.offset = OffsetHead(channels, offsets.channels)
        self.generate_kernel = nn.Sequential(
            DCN(channels, offsets),
            nn.LeakyReLU(SLOPE),
            SEKG(channels),
            KernelConvolution(channels, mid_channels),
        )
        self.branch_1, self.branch_3, self.branch_5 = (Branch(mid_channels) for _ in DILATIONS)
        self.integration = MFI()
        self.fusion = nn.Conv2d(4 * mid_channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` and what the block adds."""
        added: Tensor = self.fusion(self.integration(self._scales(x)))
        return x + added

    def _scales(self, x: Tensor) -> Tensor:
        """Return what the branches see, (N, 4M, H, W)."""
        feature = self.generate_kernel[:-1]((x, self.offset(x)))
        make = cast(KernelConvolution, self.generate_kernel[-1])
        w = self.conv(x)
        filtered = make.filter(w, feature, DILATIONS)
        branches = (self.branch_1, self.branch_3, self.branch_5)
        refined = [branch(f) for branch, f in zip(branches, filtered, strict=True)]
        return torch.cat((w, *refined), 1)


class Level(nn.Module):
    """The two blocks that stand at one level of the encoder or the decoder."""

    def __init__(self, first: nn.Module, second: nn.Module) -> None:
        super().__init__()
        self.fe = nn.Sequential(first, second)

    def forward(self, x: Tensor) -> Tensor:
        """Return the level's feature, of the shape of ``x``."""
        feature: Tensor = self.fe(x)
        return feature


class ADFNet(Denoiser):
    """The whole network.

    Parameters
    ----------
    channels, width, deformable_groups, offset_channels
        As in :class:`ADFNetOptions`.

    Notes
    -----
    The gates of MFI and the channel terms of SEKG are means over the whole picture, and offsets
    reach anywhere: a tile's result differs from the same pixels of the whole picture's.
    """

    multiple: ClassVar[int] = 8

    def __init__(
        self,
        channels: int = 3,
        width: int = 32,
        deformable_groups: int = PUBLISHED.groups,
        offset_channels: int = PUBLISHED.channels,
    ) -> None:
        super().__init__()
        offsets = Offsets(offset_channels, deformable_groups)
        n1, n2, n3, n4 = (width * 2**level for level in range(4))
        self.head = _conv3(channels, n1)
        self.fe1 = Level(CB(n1), MCB(n1, n1, offsets))
        self.down1 = nn.Conv2d(n1, n2, 3, stride=2, padding=1)
        self.fe2 = Level(CB(n2), MCB(n2, n2, offsets))
        self.down2 = nn.Conv2d(n2, n3, 3, stride=2, padding=1)
        self.fe3 = Level(CB(n3), MCB(n3, n3 // 2, offsets))
        self.down3 = nn.Conv2d(n3, n4, 3, stride=2, padding=1)
        self.cfe = Level(CB(n4), MCB(n4, n4 // 2, offsets))
        self.up3 = nn.ConvTranspose2d(n4, n3, 6, stride=2, padding=2)
        self.dfe3 = Level(DCB(n3), MDCB(n3, n3 // 2, offsets))
        self.up2 = nn.ConvTranspose2d(n3, n2, 6, stride=2, padding=2)
        self.dfe2 = Level(DCB(n2), MDCB(n2, n2, offsets))
        self.up1 = nn.ConvTranspose2d(n2, n1, 6, stride=2, padding=2)
        self.dfe1 = Level(DCB(n1), MDCB(n1, n1, offsets))
        self.tail = _conv3(n1, channels)
        # What is added to the picture is nothing at first: training starts from the noisy picture.
        nn.init.zeros_(self.tail.weight)
        nn.init.zeros_(self.tail.bias)  # type: ignore[arg-type]

    def forward(self, noisy: Tensor) -> Tensor:
        """Return the denoised picture, (N, C, H, W), not clipped.

        Raises
        ------
        InputError
            If height or width is no multiple of 8.
        """
        check_sides("ADFNet", noisy, self.multiple)
        e1 = self.fe1(self.head(noisy))
        e2 = self.fe2(_leaky(self.down1(e1)))
        e3 = self.fe3(_leaky(self.down2(e2)))
        b = self.cfe(_leaky(self.down3(e3)))
        d3 = self.dfe3(self.up3(b) + e3)
        d2 = self.dfe2(self.up2(d3) + e2)
        d1 = self.dfe1(self.up1(d2) + e1)
        residual: Tensor = self.tail(d1)
        return noisy + residual


def infer(shapes: Shapes) -> dict[str, Any]:
    """Return the options of an ADFNet from the shapes of its state dict."""
    width, channels, *_ = convolution(shapes, "head.weight")
    made, offset_channels, *_ = convolution(shapes, "fe1.fe.1.dcn.0.conv_offset_mask.weight")
    return {
        "channels": channels,
        "width": width,
        "deformable_groups": made // 27,
        "offset_channels": offset_channels,
    }


def _conv3(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1)


def _reduction(channels: int, mid_channels: int) -> nn.Module:
    """Return the 1x1 convolution that stands only where the number of channels changes."""
    return nn.Conv2d(channels, mid_channels, 1) if mid_channels != channels else nn.Identity()


def _leaky(x: Tensor) -> Tensor:
    return leaky_relu(x, SLOPE)


def _make(options: ADFNetOptions) -> ADFNet:
    return ADFNet(**options.model_dump())


ENTRY = ModelEntry(
    name="adfnet",
    title="Adaptive Dynamic Filtering Network",
    paper="H. Shen, Z.-Q. Zhao, W. Zhang, AAAI 2023",
    licence="none stated by the authors",
    options=ADFNetOptions,
    make=_make,
    variants={
        "rgb": {},
        "gray": {"channels": 1},
        "real": {},
        "rgb-large": {"width": 64},
    },
    keys=(
        r"(head|tail|down[123]|up[123])\.(weight|bias)",
        r"(fe[123]|cfe|dfe[123])\.fe\.[01]\..+\.(weight|bias)",
    ),
    infer=infer,
)
