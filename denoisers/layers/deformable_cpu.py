"""Deformable convolution on a CPU: sampled by a kernel, channel last, then one matrix product."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import pad

from denoisers.layers.blocks import blocks
from denoisers.layers.threads import divide

CACHED = 1 << 20
"""Values of columns in a piece: about what a processor's cache holds."""


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
    """The inputs channel last, the picture with a rim of one zero."""

    def __init__(self, x: Tensor, offset: Tensor, mask: Tensor, weight: Tensor) -> None:
        self.x = pad(_last(x), (0, 0, 1, 1, 1, 1)).contiguous()
        self.offset, self.mask = _last(offset).contiguous(), _last(mask).contiguous()
        # Rows of the matrix are in the order of the columns: tap, channel.
        self.matrix = weight.detach().permute(2, 3, 1, 0).reshape(-1, weight.shape[0])

    def arrays(self, number: int) -> tuple[Any, Any, Any]:
        """Return the arrays of a sample."""
        return self.x[number].numpy(), self.offset[number].numpy(), self.mask[number].numpy()

    def pieces(self) -> Iterator[tuple[slice, slice]]:
        """Yield samples and rows whose columns stay in the cache."""
        N, rows, width, _ = self.mask.shape
        return blocks(N, rows, width * self.matrix.shape[0], CACHED)

    def columns(self, n: slice, rows: slice) -> Tensor:
        """Return memory for the columns of a piece: (n, rows Wo, K, C)."""
        C, width = self.x.shape[3], self.mask.shape[2]
        samples, high = n.stop - n.start, rows.stop - rows.start
        return self.x.new_empty(samples, high * width, self.matrix.shape[0] // C, C)


def _forward(x: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, own: Settings) -> Tensor:
    inputs = _Inputs(x, offset, mask, weight)
    out = inputs.x.new_empty(*inputs.mask.shape[:3], weight.shape[0])
    for n, rows in inputs.pieces():
        columns = inputs.columns(n, rows)
        for number, filled in zip(range(n.start, n.stop), columns, strict=True):
            fill = partial(_fill, inputs.arrays(number), filled.numpy(), rows.start, own)
            divide(fill, rows.start, rows.stop)
        product = columns.flatten(2).flatten(0, 1) @ inputs.matrix
        out[n, rows] = product.view(out[n, rows].shape)
    return out.permute(0, 3, 1, 2)


def _fill(arrays: Any, columns: Any, base: int, own: Settings, first: int, last: int) -> None:
    """Fill some rows of columns that begin at row ``base``."""
    from noisegen.kernels.sampling import sample

    width = arrays[2].shape[1]
    sample(*arrays, first, last, *own, columns[(first - base) * width : (last - base) * width])


def _derive(
    inputs: _Inputs, outputs: Sequence[Tensor], n: int, rows: slice, own: Settings, *part: int
) -> None:
    """Turn derivatives by columns into those by the inputs, for part of the samples from ``n``."""
    from noisegen.kernels.sampling import derive

    for i in range(*part):
        own_outputs = (array[i].numpy() for array in outputs)
        derive(*inputs.arrays(n + i), rows.start, rows.stop, *own, *own_outputs)


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
        weight = ctx.saved_tensors[3]
        inputs, own = _Inputs(*ctx.saved_tensors), ctx.own
        g = _last(gradient.to(inputs.x.dtype)).contiguous()
        to_x, to_matrix = torch.zeros_like(inputs.x), torch.zeros_like(inputs.matrix)
        to_offset, to_mask = torch.empty_like(inputs.offset), torch.empty_like(inputs.mask)
        for n, rows in inputs.pieces():
            columns = inputs.columns(n, rows)
            piece = g[n, rows].reshape(-1, weight.shape[0])
            to_columns = (piece @ inputs.matrix.t()).view(columns.shape)
            outputs = to_columns, columns, to_x[n], to_offset[n], to_mask[n]
            divide(partial(_derive, inputs, outputs, n.start, rows, own), 0, n.stop - n.start)
            to_matrix += columns.flatten(2).flatten(0, 1).t() @ piece
        outputs, channels, kh, kw = weight.shape
        to_weight = to_matrix.view(kh, kw, channels, outputs).permute(3, 2, 0, 1)
        inner = to_x[:, 1:-1, 1:-1]
        first = (t.permute(0, 3, 1, 2) for t in (inner, to_offset, to_mask))
        return *first, to_weight, None


def _last(x: Tensor) -> Tensor:
    return x.detach().permute(0, 2, 3, 1)
