"""Modulated deformable convolution (DCNv2) in plain torch: nothing to compile.

The sampling is torch's ``grid_sample``, all taps of a piece of the picture in one call, followed by
one matrix product. Where a torchvision is installed that works, its operator is used instead; on a
CPU :mod:`denoisers.layers.deformable_cpu` is.

References
----------
X. Zhu et al., "Deformable ConvNets v2: More Deformable, Better Results", CVPR 2019, eq. 1.
"""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import grid_sample, pad

from denoisers.layers import deformable_cpu
from denoisers.layers.blocks import blocks, budget
from denoisers.layers.precision import working_dtype
from noisegen.errors import InputError

CACHED = 1 << 19
"""Samples in a piece on a CPU, forward: about what its cache holds (measured: flat around it)."""

CACHED_BACKWARD = 1 << 22
"""The same backward, where every piece costs a gradient of the whole picture."""

FAR_OUTSIDE = -3.0
"""A place in a grid of -1 to 1 where nothing is, and its gradient zero."""


class _Geometry(NamedTuple):
    """The settings of one call; numbers of groups follow from its shapes."""

    stride: int
    padding: int
    dilation: int
    kernel: tuple[int, int]
    deformable_groups: int
    groups: int


def modulated_deform_conv2d(
    x: Tensor,
    offset: Tensor,
    mask: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
) -> Tensor:
    """Return a convolution whose taps are moved by ``offset`` and scaled by ``mask``.

    Tap t = i kw + j of output pixel (r, q) reads ``x`` at the row ``r stride - padding + i dilation
    + dy`` and the column alike, bilinearly between the four pixels round it, those outside being
    zero: the value fades to zero within one pixel of the edge.

    Parameters
    ----------
    x
        (N, C, H, W).
    offset
        (N, 2 G K, Ho, Wo) in pixels, K = kh kw taps, G groups of input channels: channel 2(g K + t)
        is dy and the next dx of tap t for the g-th group of C/G channels.
    mask
        (N, G K, Ho, Wo): channel g K + t scales that tap.
    weight
        (O, C/groups, kh, kw); the number of groups follows from the shapes.
    bias
        (O,).
    stride, padding, dilation
        As in ``torch.nn.functional.conv2d``, the same in both directions.

    Returns
    -------
    Tensor
        (N, O, Ho, Wo). It can be differentiated once, not twice, like ``grid_sample`` itself. At
        whole pixels the derivative by ``offset`` is that to the right and below; at and beyond one
        pixel outside it is zero.

    Notes
    -----
    Places are float32 at least, whatever the precision of ``x``. ``grid_sample`` takes them on a
    scale of -1 to 1; they lose W 2⁻²⁵ pixels there, which is what float32 loses at column W.
    While gradients are recorded ``x`` is padded to powers of two, so that whole pixels stay whole.
    """
    geometry = _checked(x, offset, mask, weight, stride, padding, dilation)
    device = x.device.type
    out_dtype = working_dtype(x)
    exact = torch.promote_types(x.dtype, torch.float32)
    tensors = x.to(exact), offset.to(exact), mask.to(exact), weight.to(exact)
    if torch.compiler.is_compiling():
        out = _in_one_piece(*tensors, geometry)
    elif operator := _torchvision(device):
        moved, places, scale, taps = tensors
        with torch.autocast(device, enabled=False):
            out = operator(moved, places, taps, None, stride, padding, dilation, scale)
    elif device == "cpu" and geometry.groups == 1:
        own = deformable_cpu.Settings(
            stride, padding, dilation, geometry.kernel[1], geometry.deformable_groups
        )
        with torch.autocast(device, enabled=False):
            out = deformable_cpu.convolve(*tensors, own)
    elif torch.is_grad_enabled() and any(t.requires_grad for t in tensors):
        out = _DeformableConvolution.apply(*tensors, geometry)  # type: ignore[no-untyped-call]
    else:
        out = _forward(*tensors, geometry, whole_pixels=False)
    out = out.to(out_dtype)
    return out if bias is None else out + bias.to(out_dtype).view(1, -1, 1, 1)


def _checked(
    x: Tensor,
    offset: Tensor,
    mask: Tensor,
    weight: Tensor,
    stride: int,
    padding: int,
    dilation: int,
) -> _Geometry:
    """Return the settings of a call whose shapes go together."""
    N, C, H, W = x.shape
    outputs, per_group, kh, kw = weight.shape
    taps = kh * kw
    deformable_groups, groups = mask.shape[1] // taps, C // per_group
    rows, columns = (
        (side + 2 * padding - dilation * (k - 1) - 1) // stride + 1
        for side, k in ((H, kh), (W, kw))
    )
    if (
        C % per_group
        or outputs % groups
        or not deformable_groups
        or C % deformable_groups
        or mask.shape != (N, deformable_groups * taps, rows, columns)
        or offset.shape != (N, 2 * deformable_groups * taps, rows, columns)
    ):
        raise InputError(
            f"deformable convolution: an input of {tuple(x.shape)} and a weight of "
            f"{tuple(weight.shape)} do not go with an offset of {tuple(offset.shape)} and a mask "
            f"of {tuple(mask.shape)}: for G groups these are (N, {2 * taps} G, {rows}, {columns}) "
            f"and (N, {taps} G, {rows}, {columns})"
        )
    return _Geometry(stride, padding, dilation, (kh, kw), deformable_groups, groups)


@cache
def _torchvision(device: str) -> Callable[..., Tensor] | None:
    """Return torchvision's operator if it is there and runs on a kind of device."""
    if device == "meta":
        return None
    try:
        from torchvision.ops import deform_conv2d  # type: ignore[import-not-found,unused-ignore]

        one = torch.zeros(1, 1, 1, 1, device=device)
        deform_conv2d(one, one.expand(1, 2, 1, 1), one, mask=one)
    except (ImportError, RuntimeError, OSError):
        # A torchvision of another torch's making fails with RuntimeError when it is imported,
        # one without kernels for the device with NotImplementedError, a RuntimeError, when called.
        return None
    found: Callable[..., Tensor] = deform_conv2d
    return found


class _Places:
    """Where taps read, on the scale of ``grid_sample``: -1 and 1 are the picture's outer edges.

    ``grid_sample`` takes x before y. Pictures are handed to it transposed, so that y comes first
    here as in offsets.
    """

    def __init__(self, pictures: Tensor, geometry: _Geometry, size: tuple[int, int]) -> None:
        self._geometry = geometry
        W, H = pictures.shape[-2:]
        kw = geometry.kernel[1]
        tap = torch.arange(geometry.kernel[0] * kw, device=pictures.device)
        axes = []
        for length, step, side in zip(size, (tap // kw, tap % kw), (H, W), strict=True):
            starts = torch.arange(length, device=pictures.device) * geometry.stride
            pixel = starts - geometry.padding + step.view(-1, 1) * geometry.dilation
            axes.append((2 * pixel + 1).to(pictures.dtype) / side - 1)
        self._y, self._x = axes[0].unsqueeze(2), axes[1].unsqueeze(1)
        # Filled where it lies: a CUDA graph records no copy from the processor's memory.
        sides = pictures.new_full((2,), H)
        sides[1] = W
        self._scale = (2 / sides).view(2, 1, 1, 1)
        self._edge = (-1 / sides - 1).view(2, 1, 1, 1)

    def grid(self, offset: Tensor, rows: slice) -> Tensor:
        """Return the places (N, G, 2, K, R, Wo) of rows of the output whose offsets are given."""
        N, _, R, Wo = offset.shape
        offsets = offset.view(N, self._geometry.deformable_groups, -1, 2, R, Wo).transpose(2, 3)
        y = self._y[:, rows].expand(-1, -1, Wo)
        origin = torch.stack((y, self._x.expand(-1, R, -1)))
        return torch.addcmul(origin, offsets, self._scale)

    def inside(self, grid: Tensor) -> Tensor:
        """Return a grid in which places a whole pixel before the edge are far outside.

        The value there is zero already; so is the derivative now.
        """
        return grid.masked_fill(grid <= self._edge, FAR_OUTSIDE)

    def to_offset(self, to_grid: Tensor) -> Tensor:
        """Return the derivative by offsets (N, 2 G K, R, Wo) from that by a grid."""
        N, _, _, _, R, Wo = to_grid.shape
        return (to_grid * self._scale).transpose(2, 3).reshape(N, -1, R, Wo)


def _forward(
    x: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, geometry: _Geometry, whole_pixels: bool
) -> Tensor:
    pictures = _pictures(x, geometry, whole_pixels)
    places = _Places(pictures, geometry, _size(mask))
    out = x.new_empty(x.shape[0], weight.shape[0], *_size(mask))
    for n, rows in _pieces(x, mask, geometry, CACHED):
        columns = _sampled(pictures[n], places.grid(offset[n, :, rows], rows))
        columns *= _by_group(mask[n, :, rows], geometry)
        out[n, :, rows] = _product(weight, columns, geometry)
    return out


def _in_one_piece(
    x: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, geometry: _Geometry
) -> Tensor:
    """Return the same by operations that autograd and compilers know."""
    pictures = _pictures(x, geometry, whole_pixels=torch.is_grad_enabled())
    places = _Places(pictures, geometry, _size(mask))
    grid = places.inside(places.grid(offset, slice(None)))
    columns = _sampled(pictures, grid) * _by_group(mask, geometry)
    return _product(weight, columns, geometry)


class _DeformableConvolution(torch.autograd.Function):
    """:func:`_forward`, and its derivatives by pieces: samples are taken again, not kept."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, geometry: _Geometry
    ) -> Tensor:
        ctx.save_for_backward(x, offset, mask, weight)
        ctx.geometry = geometry
        return _forward(x, offset, mask, weight, geometry, whole_pixels=True)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, offset, mask, weight = ctx.saved_tensors
        with torch.autocast(x.device.type, enabled=False):
            return *_derivatives(x, offset, mask, weight, ctx.geometry, gradient), None


def _derivatives(
    x: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, geometry: _Geometry, gradient: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the products of ``gradient`` with the derivatives by the four tensors."""
    H, W = x.shape[-2:]
    pictures = _pictures(x, geometry, whole_pixels=True)
    places = _Places(pictures, geometry, _size(mask))
    matrix = _matrix(weight, geometry)
    to_pictures, to_matrix = torch.zeros_like(pictures), torch.zeros_like(matrix)
    to_offset, to_mask = torch.empty_like(offset), torch.empty_like(mask)
    for n, rows in _pieces(x, mask, geometry, CACHED_BACKWARD):
        piece = pictures[n].detach().requires_grad_()
        grid = places.inside(places.grid(offset[n, :, rows], rows)).requires_grad_()
        with torch.enable_grad():
            sampled = _sampled(piece, grid)
        samples, scale = sampled.detach(), _by_group(mask[n, :, rows], geometry)
        g = gradient[n, :, rows]
        by_matrix = g.reshape(g.shape[0], geometry.groups, -1, g.shape[2] * g.shape[3])
        to_samples = (matrix.mT @ by_matrix).view(samples.shape)
        to_mask[n, :, rows] = (to_samples * samples).sum(2).view(to_mask[n, :, rows].shape)
        columns = (samples * scale).view(*by_matrix.shape[:2], -1, by_matrix.shape[-1])
        to_matrix += (by_matrix @ columns.mT).sum(0)
        to_piece, to_grid = torch.autograd.grad(sampled, (piece, grid), to_samples.mul_(scale))
        to_pictures[n] += to_piece
        to_offset[n, :, rows] = places.to_offset(to_grid)
    to_x = to_pictures.transpose(3, 4)[..., :H, :W].reshape(x.shape)
    return to_x, to_offset, to_mask, to_matrix.view(weight.shape)


def _pictures(x: Tensor, geometry: _Geometry, whole_pixels: bool) -> Tensor:
    """Return ``x`` by deformable groups and transposed: (N, G, C/G, W, H)."""
    if whole_pixels:
        H, W = (_power_of_two(side) for side in x.shape[-2:])
        x = pad(x, (0, W - x.shape[-1], 0, H - x.shape[-2]))
    N, _, H, W = x.shape
    return x.reshape(N, geometry.deformable_groups, -1, H, W).transpose(3, 4)


def _power_of_two(number: int) -> int:
    power = 1
    while power < number:
        power *= 2
    return power


def _size(mask: Tensor) -> tuple[int, int]:
    return mask.shape[2], mask.shape[3]


def _pieces(
    x: Tensor, mask: Tensor, geometry: _Geometry, cached: int
) -> Iterator[tuple[slice, slice]]:
    kh, kw = geometry.kernel
    rows, columns = _size(mask)
    return blocks(x.shape[0], rows, x.shape[1] * kh * kw * columns, budget(x.device, cached))


def _sampled(pictures: Tensor, grid: Tensor) -> Tensor:
    """Return the samples (N, G, C/G, K, R, Wo), in the order of a convolution's columns."""
    N, G, _, K, R, Wo = grid.shape
    each = grid.view(N * G, 2, K * R, Wo).permute(0, 2, 3, 1)
    return grid_sample(pictures.flatten(0, 1), each, align_corners=False).view(N, G, -1, K, R, Wo)


def _by_group(mask: Tensor, geometry: _Geometry) -> Tensor:
    N, _, R, Wo = mask.shape
    return mask.view(N, geometry.deformable_groups, 1, -1, R, Wo)


def _matrix(weight: Tensor, geometry: _Geometry) -> Tensor:
    return weight.reshape(geometry.groups, weight.shape[0] // geometry.groups, -1)


def _product(weight: Tensor, columns: Tensor, geometry: _Geometry) -> Tensor:
    """Return (N, O, R, Wo) from columns (N, G, C/G, K, R, Wo)."""
    N, _, _, _, R, Wo = columns.shape
    matrix = _matrix(weight, geometry)
    product = matrix @ columns.view(N, geometry.groups, -1, R * Wo)
    return product.view(N, -1, R, Wo)
