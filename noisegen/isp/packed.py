"""Demosaicing of Bayer tiles in packed form: four planes at half size, dense 3x3 convolutions.

Every linear step of :mod:`noisegen.isp.masked` reaches at most two pixels, so it is a convolution
of the (B, 4, H/2, W/2) planes with a kernel of 3x3 cells. The kernels are read off the masked
functions' responses to single pixels: the equations stand in one place. No multiplications are
spent on pixels masked out, and the backward pass is that of a few dense convolutions.

Planes and pictures are packed as ``pixel_unshuffle`` does: channel 4 c + 2 dy + dx.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx
from torch.nn.functional import conv2d, pad

from noisegen.isp import masked
from noisegen.isp.parameters import Demosaic

Border = Literal["reflect", "published"]
"""``reflect`` means: the planes carry a halo of ``HALO[method] // 2`` cells, which is used up."""

Tile = tuple[int, int, int, int]
"""Colour indices (0 R, 1 G, 2 B) of a 2x2 tile, row by row."""

_Operator = Literal["differences", "greens", "blur", "activity"]


def is_bayer(tile: Tile) -> bool:
    """Tell whether a tile has one red, one blue and greens on a diagonal."""
    return sorted(tile) == [0, 1, 1, 2] and (tile[0] == 1) == (tile[3] == 1)


def pack(picture: Tensor) -> Tensor:
    """Gather (B, C, H, W) into (B, 4 C, H/2, W/2), as ``pixel_unshuffle`` does, but faster."""
    out: Tensor = _Pack.apply(picture)  # type: ignore[no-untyped-call]
    return out


def unpack(planes: Tensor) -> Tensor:
    """Spread (B, 4 C, h, w) to (B, C, 2 h, 2 w), as ``pixel_shuffle`` does, but faster."""
    out: Tensor = _Unpack.apply(planes)  # type: ignore[no-untyped-call]
    return out


def demosaic(
    planes: Tensor, tile: Tile, method: Demosaic, cam_to_xyz: Tensor, border: Border
) -> Tensor:
    """Demosaic white-balanced, packed mosaics.

    Parameters
    ----------
    planes
        (B, 4, h, w), with the halo on every side when ``border`` is "reflect".
    tile
        Colours of the four planes, a Bayer tile.
    method
        The demosaicer.
    cam_to_xyz
        (B, 3, 3), for AHD's direction alone.
    border
        "reflect": no padding, the halo is used up. "published": each step pads as published.

    Returns
    -------
    Tensor
        (B, 12, h, w) packed camera RGB, without the halo.
    """
    if method == "ahd":
        return _ahd(planes, tile, cam_to_xyz, border)
    mode = "circular" if method == "nearest" else "constant"
    return _convolve(planes, method, tile, border, mode)


def _ahd(planes: Tensor, tile: Tile, cam_to_xyz: Tensor, border: Border) -> Tensor:
    with torch.no_grad():
        by_column = _directions(planes, tile, cam_to_xyz, border)
    differences = _convolve(planes, "differences", tile, border)
    # Reflect-101 by one pixel repeats the border cell: pixel -1 is pixel 1, in the first cell.
    each = differences.view(-1, 4, *differences.shape[2:])
    chroma = _convolve(each, "blur", tile, border, "replicate")
    chroma = chroma.view(-1, 8, *chroma.shape[2:])
    candidates = _convolve(planes, "greens", tile, border)
    if border == "reflect":
        candidates = candidates[..., 1:-1, 1:-1]
        planes = planes[..., 2:-2, 2:-2]
    chosen = torch.where(by_column, candidates[:, 2:], candidates[:, :2])
    sites = _red_and_blue(tile)
    green = torch.stack(
        [chosen[:, sites.index(i)] if i in sites else planes[:, i] for i in range(4)], 1
    )
    return torch.cat((chroma[:, :4] + green, green, chroma[:, 4:] + green), 1)


def _directions(planes: Tensor, tile: Tile, cam_to_xyz: Tensor, border: Border) -> Tensor:
    """Whether the column candidate is taken, (B, 2, h, w), at the red and the blue sites.

    Elsewhere both candidates are the same.
    """
    rough = _convolve(planes, "bilinear", tile, border)
    batch, _, height, width = rough.shape
    lab = masked.cielab(rough.view(batch, 3, 4, height, width), cam_to_xyz)
    gradients = _convolve(lab.flatten(0, 1), "activity", tile, border)
    height, width = gradients.shape[-2:]
    # (picture, channel of Lab, axis, one of two kernels, site, ...)
    lightness, a, b = gradients.view(batch, 3, 2, 2, 2, height, width).unbind(1)
    row, column = torch.hypot(a, b).add_(lightness.abs_()).sum(2).unbind(1)
    return row >= column


def _convolve(
    z: Tensor, name: Demosaic | _Operator, tile: Tile, border: Border, mode: str = "constant"
) -> Tensor:
    kernel = _kernel_on(name, tile, z.dtype, z.device)
    padding = 0
    if border == "published":
        if mode == "constant":
            padding = 1
        else:
            z = pad(z, (1, 1, 1, 1), mode=mode)
    out: Tensor = _FixedConvolution.apply(z, kernel, padding)  # type: ignore[no-untyped-call]
    return out


class _Pack(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, picture: Tensor) -> Tensor:
        parts = [picture[..., dy::2, dx::2] for dy in (0, 1) for dx in (0, 1)]
        return torch.stack(parts, 2).flatten(1, 2)

    @staticmethod
    def backward(ctx: FunctionCtx, grad: Tensor) -> Tensor:
        return unpack(grad)


class _Unpack(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, planes: Tensor) -> Tensor:
        batch, channels, height, width = planes.shape
        out = planes.new_empty(batch, channels // 4, 2 * height, 2 * width)
        for i in range(4):
            out[..., i // 2 :: 2, i % 2 :: 2] = planes[:, i::4]
        return out

    @staticmethod
    def backward(ctx: FunctionCtx, grad: Tensor) -> Tensor:
        return pack(grad)


class _FixedConvolution(torch.autograd.Function):
    """A 3x3 convolution with a constant kernel.

    Its backward pass is the convolution with the transposed kernel, which for so few channels the
    CPU's library does three times as fast as what it offers as a convolution's backward pass.
    """

    @staticmethod
    def forward(ctx: FunctionCtx, z: Tensor, kernel: Tensor, padding: int) -> Tensor:
        ctx.save_for_backward(kernel)
        ctx.padding = padding  # type: ignore[attr-defined]
        with _exact(z):
            return conv2d(z, kernel, padding=padding)

    @staticmethod
    def backward(ctx: FunctionCtx, grad: Tensor) -> tuple[Tensor, None, None]:
        (kernel,) = ctx.saved_tensors  # type: ignore[attr-defined]
        transposed = kernel.transpose(0, 1).flip(2, 3).contiguous()
        padding = 2 - ctx.padding  # type: ignore[attr-defined]
        with _exact(grad):
            return conv2d(grad.contiguous(), transposed, padding=padding), None, None


def _exact(z: Tensor) -> AbstractContextManager[None]:
    """Return a context in which cuDNN does not round to TF32, as it does if it is not told."""
    if not z.is_cuda:
        return nullcontext()
    now = torch.backends.cudnn
    flags: AbstractContextManager[None] = now.flags(
        enabled=now.enabled, benchmark=now.benchmark, deterministic=now.deterministic,
        allow_tf32=False,
    )  # fmt: skip
    return flags


@lru_cache(maxsize=128)
def _kernel_on(
    name: Demosaic | _Operator, tile: Tile, dtype: torch.dtype, device: torch.device
) -> Tensor:
    # A kernel first made in inference mode could not be saved for a later backward pass.
    with torch.inference_mode(False), torch.no_grad():
        return _kernel(name, tile).to(device, dtype)


def _kernel(name: Demosaic | _Operator, tile: Tile) -> Tensor:
    """Return the (outputs, inputs, 3, 3) float64 kernel of one linear step."""
    pattern = torch.tensor(tile).view(1, 1, 2, 2).tile(3, 3)
    masks = masked.color_masks(pattern, torch.float64)
    sites = _red_and_blue(tile)
    if name == "differences":
        return _packed(lambda w: _minus_green(masked.bilinear(w, masks)))
    if name == "greens":
        row = _packed(lambda w: masked.row_green(w, masks))
        column = _packed(lambda w: masked.column_green(w, masks))
        return torch.cat((row[sites], column[sites]))
    if name == "blur":
        return _packed(_blur)
    if name == "activity":
        parts = [
            _packed(lambda z, k=kernel: masked.convolve(z, k))[sites]  # type: ignore[misc]
            for axis in (masked.DIFFERENCES, masked.COLUMN_DIFFERENCES)
            for kernel in axis
        ]
        return torch.cat(parts)
    interpolate = {
        "nearest": masked.nearest,
        "bilinear": masked.bilinear,
        "malvar": masked.malvar,
    }[name]
    return _packed(lambda w: interpolate(w, masks))


def _packed(linear: Callable[[Tensor], Tensor]) -> Tensor:
    """Turn a linear step of reach two, (N, 1, 6, 6) to (N, C, 6, 6), into a packed kernel."""
    impulses = torch.eye(36, dtype=torch.float64).view(36, 1, 6, 6)
    responses = linear(impulses)[..., 2:4, 2:4]
    # (cell y, dy, cell x, dx, C, out dy, out dx) -> (C, out dy, out dx, dy, dx, cell y, cell x)
    kernel = responses.reshape(3, 2, 3, 2, -1, 2, 2).permute(4, 5, 6, 1, 3, 0, 2)
    return kernel.reshape(-1, 4, 3, 3).contiguous()


def _blur(z: Tensor) -> Tensor:
    nothing = torch.zeros_like(z)
    return masked.blurred_differences(torch.cat((z, nothing, nothing), 1))[0]


def _minus_green(rgb: Tensor) -> Tensor:
    return torch.cat((rgb[:, :1] - rgb[:, 1:2], rgb[:, 2:] - rgb[:, 1:2]), 1)


def _red_and_blue(tile: Tile) -> list[int]:
    return [i for i in range(4) if tile[i] != 1]
