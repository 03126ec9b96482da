"""Dynamic filtering: every pixel of every channel has a 3x3 kernel of its own.

The kernels are nine times the picture's size, and what is filtered is read nine times at shifted
places. Neither is ever stored: kernels are made of their feature by pieces, used at all dilations,
and made again for the gradient, which overwrites them; shifts are read where they lie. On a CPU
:mod:`denoisers.layers.dynamic_cpu` does it by compiled loops, elsewhere torch does.

References
----------
H. Shen, Z.-Q. Zhao, W. Zhang, "Adaptive Dynamic Filtering Network for Image Denoising", AAAI 2023.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import pad

from denoisers.layers import dynamic_cpu
from denoisers.layers.blocks import blocks
from denoisers.layers.precision import exact_dtype, without_autocast, working_dtype
from denoisers.layers.tally import tell
from denoisers.layers.taps import TAPS, Piece, filtered, gather, scatter

PIECE = 1 << 26
"""Values of kernels in a piece, where torch makes them: 256 MB in float32."""


def dynamic_filter(
    x: Tensor, feature: Tensor, weight: Tensor, bias: Tensor, dilations: tuple[int, ...] = (1,)
) -> tuple[Tensor, ...]:
    """Return ``x`` filtered at each dilation by kernels that a 1x1 convolution makes of a feature.

    ``out[n, m, r, q] = sum over i, j of k[n, 9m + 3i + j, r, q] x[n, m, r + (i-1)d, q + (j-1)d]``
    with ``k = weight feature + bias`` and ``x`` zero outside.

    Parameters
    ----------
    x
        (N, M, H, W), what is filtered.
    feature
        (N, C, H, W).
    weight, bias
        (9M, C) or (9M, C, 1, 1), and (9M,).
    dilations
        Distances of the taps in pixels; the same kernels serve them all.

    Returns
    -------
    tuple of Tensor
        (N, M, H, W) for each dilation. They can be differentiated once, not twice (but under
        ``torch.compile``).

    Notes
    -----
    Whatever the precision of the arguments, and under autocast too, all of it is computed in
    float32 at least: the gradient of a weight is a sum over all pixels. Only what comes out is
    rounded.
    """
    exact = exact_dtype(x)
    M, C = x.shape[1], feature.shape[1]
    # Kernels in the order of their taps, so that all kernels of a tap lie together.
    by_tap = weight.to(exact).view(M, TAPS, C).transpose(0, 1).reshape(TAPS * M, C)
    bias_by_tap = bias.to(exact).view(M, TAPS).t().reshape(TAPS, M, 1, 1)
    values = x, feature, by_tap, bias_by_tap
    with without_autocast(x):
        if torch.compiler.is_compiling():
            out = _in_one_piece(*values, dilations)
        else:
            tell(TAPS * len(dilations) * x.numel())
            if torch.is_grad_enabled() and any(v.requires_grad for v in values):
                out = _DynamicFilter.apply(*values, dilations)  # type: ignore[no-untyped-call]
            else:
                out = _forward(*values, dilations)
    dtype = working_dtype(x)
    return tuple(o.to(dtype) for o in out)


def _in_one_piece(
    x: Tensor, feature: Tensor, weight: Tensor, bias: Tensor, dilations: tuple[int, ...]
) -> tuple[Tensor, ...]:
    """Return the same by operations that autograd and compilers know."""
    reach = max(dilations)
    window = pad(x.to(weight.dtype), (reach,) * 4)
    flat = feature.to(weight.dtype).flatten(2)
    kernels = _by_tap(weight @ flat, x) + bias
    return tuple(filtered(window, kernels, reach, d) for d in dilations)


def _forward(
    x: Tensor, feature: Tensor, weight: Tensor, bias: Tensor, dilations: tuple[int, ...]
) -> tuple[Tensor, ...]:
    exact = x.to(weight.dtype).contiguous()
    if _loops(exact):
        return dynamic_cpu.forward(exact, feature, weight, bias, dilations)
    out = tuple(torch.empty_like(exact) for _ in dilations)
    for piece, kernels, _ in _kernels(x, feature, weight):
        gather(kernels, bias, exact, out, piece, dilations)
    return out


class _DynamicFilter(torch.autograd.Function):
    """:func:`_forward`, and its derivatives by the same pieces."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        feature: Tensor,
        weight: Tensor,
        bias: Tensor,
        dilations: tuple[int, ...],
    ) -> tuple[Tensor, ...]:
        ctx.save_for_backward(x, feature, weight, bias)
        ctx.dilations = dilations
        return _forward(x, feature, weight, bias, dilations)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, feature, weight, bias = ctx.saved_tensors
        with without_autocast(x):
            return *_derivatives(x, feature, weight, bias, ctx.dilations, gradients), None


def _derivatives(
    x: Tensor,
    feature: Tensor,
    weight: Tensor,
    bias: Tensor,
    dilations: tuple[int, ...],
    gradients: tuple[Tensor, ...],
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the products of ``gradients`` with the derivatives by the four tensors."""
    exact = x.to(weight.dtype).contiguous()
    gradients = tuple(g.contiguous() for g in gradients)
    if _loops(exact):
        values = exact, feature, weight, bias
        to_x, to_feature, to_weight, to_bias = dynamic_cpu.derivatives(
            *values, dilations, gradients
        )
        return to_x.to(x.dtype), to_feature, to_weight, to_bias
    to_x, to_feature = torch.zeros_like(exact), torch.empty_like(feature)
    to_weight, to_bias = torch.zeros_like(weight), torch.zeros_like(bias)
    for piece, kernels, flat in _kernels(x, feature, weight):
        scatter(kernels, bias, exact, to_x, gradients, piece, dilations)
        to_kernels = kernels.flatten(3).flatten(1, 2)
        n, rows = piece
        to_feature[n, :, rows] = (weight.t() @ to_kernels).view_as(to_feature[n, :, rows])
        to_weight += (to_kernels @ flat.mT).sum(0)
        to_bias += to_kernels.sum((0, 2)).view_as(bias)
    return to_x.to(x.dtype), to_feature, to_weight, to_bias


def _kernels(x: Tensor, feature: Tensor, weight: Tensor) -> Iterator[tuple[Piece, Tensor, Tensor]]:
    """Yield pieces, their kernels (n, 9, M, R, W) without bias, and their feature (n, C, R W).

    The kernels of all pieces lie in one place, and may be written over.
    """
    N, M, H, W = x.shape
    place = weight.new_empty(0)
    for n, rows in blocks(N, H, TAPS * M * W, PIECE):
        flat = feature[n, :, rows].to(weight.dtype).flatten(2)
        size = flat.shape[0], TAPS * M, flat.shape[2]
        if not place.numel():  # the first piece is the largest
            place = weight.new_empty(size).flatten()
        made = place[: size[0] * size[1] * size[2]].view(size)
        torch.bmm(weight.expand(size[0], -1, -1), flat, out=made)
        yield (n, rows), _by_tap(made, x[n, :, rows]), flat


def _by_tap(kernels: Tensor, x: Tensor) -> Tensor:
    """Return (n, 9, M, R, W), for a piece of ``x``."""
    return kernels.view(-1, TAPS, *x.shape[1:])


def _loops(x: Tensor) -> bool:
    """Whether there are compiled loops for a tensor."""
    return x.device.type == "cpu"
