"""Deformable convolution on a CPU: sampled by a kernel, channel last, then one matrix product."""

import math
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import pad

from denoisers.layers.blocks import blocks
from denoisers.layers.threads import divide

CACHED = 1 << 17
"""Values of columns in a piece: what a core's own cache holds, with as many of other arrays."""

QUAD = 4
"""Channels of a group are filled up with zeros to a multiple of this, which the kernel takes."""


class Settings(NamedTuple):
    """Settings of a call: stride, padding, dilation, width of the kernel, deformable groups."""

    stride: int
    padding: int
    dilation: int
    kw: int
    groups: int


def convolve(x: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, own: Settings) -> Tensor:
    """Return :func:`denoisers.layers.deformable.modulated_deform_conv2d` without its bias.

    All are float32 or all float64, on the CPU; the convolution itself has one group.
    """
    tensors = x, offset, mask, weight
    if torch.is_grad_enabled() and any(t.requires_grad for t in tensors):
        out: Tensor = _Convolution.apply(*tensors, own)  # type: ignore[no-untyped-call]
        return out
    return _forward(*tensors, own)


class _Inputs:
    """The inputs as the kernel takes them.

    Attributes
    ----------
    picture
        (N, H + 2, W + 2, G, C/G) with a rim of zeros, and zeros after the channels of each group.
    planar
        Whether offsets and masks have channels first, or last; they stay as they come.
    offset, mask
        (N, 2 G K, Ho, Wo) and (N, G K, Ho, Wo), or channel last.
    matrix
        (K G C/G, O), its rows in the order of the columns.
    """

    def __init__(
        self, x: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, own: Settings
    ) -> None:
        N, C, H, W = x.shape
        G = own.groups
        filled = -(C // G) % QUAD
        self.picture = x.new_zeros(N, H + 2, W + 2, G, C // G + filled)
        _inner(self.picture, C // G).copy_(x.detach().view(N, G, -1, H, W).permute(0, 3, 4, 1, 2))
        self.planar = not (offset.stride(1) == mask.stride(1) == 1)
        self.offset, self.mask = (self._laid(t.detach()) for t in (offset, mask))
        taps = weight.detach().permute(2, 3, 1, 0).reshape(*weight.shape[2:], G, C // G, -1)
        self.matrix = pad(taps, (0, 0, 0, filled)).flatten(0, 3)

    def _laid(self, made: Tensor) -> Tensor:
        return (made if self.planar else made.permute(0, 2, 3, 1)).contiguous()

    def arrays(self, number: int) -> tuple[Any, ...]:
        """Return what the kernel takes first, of a sample."""
        picture = self.picture[number].flatten(2)
        return *(t.numpy() for t in (picture, self.offset[number], self.mask[number])), self.planar

    def size(self) -> tuple[int, int, int]:
        """Return the number of samples, and height and width of the output."""
        N, *sides = self.mask.shape
        return (N, sides[1], sides[2]) if self.planar else (N, sides[0], sides[1])

    def pieces(self, limit: int) -> Iterator[tuple[slice, slice, Tensor]]:
        """Yield samples, rows, and room for their columns (n, rows Wo, K, G C/G).

        All columns lie in one place.
        """
        N, rows, width = self.size()
        room = self.picture.new_empty(0)
        K, channels = self.matrix.shape[0], self.picture.shape[3] * self.picture.shape[4]
        for n, r in blocks(N, rows, width * K, limit):
            size = n.stop - n.start, (r.stop - r.start) * width, K // channels, channels
            if not room.numel():  # the first piece is the largest
                room = self.picture.new_empty(size).flatten()
            yield n, r, room[: math.prod(size)].view(size)

    def derivatives(
        self, x: Tensor, weight: Tensor, to_picture: Tensor, to_matrix: Tensor, *made: Tensor
    ) -> tuple[Tensor, ...]:
        """Return derivatives by picture, matrix, offset and mask in the arguments' shapes."""
        (N, C, H, W), G = x.shape, to_picture.shape[3]
        to_x = _inner(to_picture, C // G).permute(0, 3, 4, 1, 2).reshape(N, C, H, W)
        outputs, _, kh, kw = weight.shape
        taps = to_matrix.view(kh, kw, G, -1, outputs)[:, :, :, : C // G]
        to_weight = taps.flatten(2, 3).permute(3, 2, 0, 1)
        like = (t if self.planar else t.permute(0, 3, 1, 2) for t in made)
        return to_x, *like, to_weight


def _forward(x: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, own: Settings) -> Tensor:
    inputs = _Inputs(x, offset, mask, weight, own)
    out = inputs.picture.new_empty(*inputs.size(), weight.shape[0])
    for n, rows, columns in inputs.pieces(CACHED * torch.get_num_threads()):
        high = rows.stop - rows.start
        by_row = columns.view(len(columns), high, -1, *columns.shape[2:])
        fill = partial(_fill, inputs, own, n.start, rows.start, by_row)
        divide(fill, 0, len(columns) * high)
        place = out[n, rows].view(-1, weight.shape[0])
        torch.mm(columns.flatten(2).flatten(0, 1), inputs.matrix, out=place)
    return out.permute(0, 3, 1, 2)


def _fill(
    inputs: _Inputs, own: Settings, n: int, top: int, columns: Tensor, first: int, last: int
) -> None:
    """Fill some rows of columns (n, rows, Wo, K, C), counted through the samples."""
    from noisegen.kernels.sampling import sample

    for i, begin, end in _counted(first, last, columns.shape[1]):
        arrays, part = inputs.arrays(n + i), columns[i, begin:end].flatten(0, 1)
        sample(*arrays, top + begin, top + end, tuple(own), part.numpy())


def _derive(
    inputs: _Inputs,
    own: Settings,
    outputs: Sequence[Tensor],
    n: int,
    rows: slice,
    first: int,
    last: int,
) -> None:
    """Turn derivatives by columns into those by the inputs, for groups counted through samples."""
    from noisegen.kernels.sampling import derive

    for i, *groups in _counted(first, last, own.groups):
        arrays = (t[i].numpy() for t in outputs)
        derive(*inputs.arrays(n + i), rows.start, rows.stop, tuple(own), tuple(groups), *arrays)


def _counted(first: int, last: int, each: int) -> Iterator[tuple[int, int, int]]:
    """Yield number, begin and end for the samples that a range of their parts touches."""
    for i in range(first // each, -(-last // each)):
        yield i, max(first - i * each, 0), min(last - i * each, each)


class _Convolution(torch.autograd.Function):
    """:func:`_forward`; columns are filled again for the gradient, not kept."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, own: Settings
    ) -> Tensor:
        ctx.save_for_backward(x, offset, mask, weight)
        ctx.own = own
        return _forward(x, offset, mask, weight, own)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        own: Settings = ctx.own
        x, offset, mask, weight = ctx.saved_tensors
        inputs = _Inputs(x, offset, mask, weight, own)
        picture, matrix = inputs.picture, inputs.matrix
        g = gradient.to(picture.dtype).permute(0, 2, 3, 1).contiguous()
        to_picture, to_matrix = torch.zeros_like(picture), torch.zeros_like(matrix)
        to_offset, to_mask = torch.empty_like(inputs.offset), torch.empty_like(inputs.mask)
        added = to_picture.flatten(3)
        for n, rows, columns in inputs.pieces(CACHED):
            piece, flat = g[n, rows].reshape(-1, g.shape[3]), columns.view(-1, len(matrix))
            torch.mm(piece, matrix.t(), out=flat)
            outputs = columns, added[n], to_offset[n], to_mask[n]
            derive = partial(_derive, inputs, own, outputs, n.start, rows)
            divide(derive, 0, len(columns) * own.groups)
            to_matrix.addmm_(flat.t(), piece)
        sums = to_picture, to_matrix, to_offset, to_mask
        return *inputs.derivatives(x, weight, *sums), None


def _inner(picture: Tensor, channels: int) -> Tensor:
    """Return a picture (N, H, W, G, channels) without its rim and what fills up its groups."""
    return picture[:, 1:-1, 1:-1, :, :channels]
