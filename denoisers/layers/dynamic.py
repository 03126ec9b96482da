"""Dynamic filtering: every pixel of every channel has a 3x3 kernel of its own.

The kernels are nine times the picture's size, and what is filtered is read nine times at shifted
places. Neither is ever stored: kernels are made of their feature by pieces, used at all dilations,
and made again for the gradient; shifts are slices of one padded copy.

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

from denoisers.layers.blocks import blocks, budget
from denoisers.layers.precision import working_dtype
from denoisers.layers.tally import tell

TAPS = 9

CACHED = 1 << 20
"""Values of kernels in a piece on a CPU: about what its cache holds (measured: flat around it)."""


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
    """
    dtype = working_dtype(x)
    M, C = x.shape[1], feature.shape[1]
    # Kernels in the order of their taps, so that all kernels of a tap lie together.
    by_tap = weight.view(M, TAPS, C).transpose(0, 1).reshape(TAPS * M, C).to(dtype)
    bias_by_tap = bias.view(M, TAPS).t().reshape(TAPS * M, 1).to(dtype)
    values = x.to(dtype), feature.to(dtype), by_tap, bias_by_tap
    if torch.compiler.is_compiling():
        padded = _padded(values[0], dilations)
        kernels = _kernels(values[1], by_tap, bias_by_tap)
        return tuple(_filtered(padded, kernels, max(dilations), d) for d in dilations)
    tell(TAPS * len(dilations) * x.numel())
    if torch.is_grad_enabled() and any(v.requires_grad for v in values):
        filtered: tuple[Tensor, ...] = _DynamicFilter.apply(*values, dilations)  # type: ignore[no-untyped-call]
        return filtered
    return _forward(*values, dilations)


def _forward(
    x: Tensor, feature: Tensor, weight: Tensor, bias: Tensor, dilations: tuple[int, ...]
) -> tuple[Tensor, ...]:
    padded, reach = _padded(x, dilations), max(dilations)
    out = tuple(torch.empty_like(x, memory_format=torch.contiguous_format) for _ in dilations)
    for n, rows in _pieces(x):
        kernels = _kernels(feature[n, :, rows], weight, bias)
        window = _window(padded, n, rows, reach)
        for to, d in zip(out, dilations, strict=True):
            to[n, :, rows] = _filtered(window, kernels, reach, d, in_place=True)
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
        H, W = x.shape[-2:]
        reach = max(ctx.dilations)
        padded = _padded(x, ctx.dilations)
        to_padded, to_feature = torch.zeros_like(padded), torch.empty_like(feature)
        to_weight, to_bias = torch.zeros_like(weight), torch.zeros_like(bias)
        for n, rows in _pieces(x):
            piece = feature[n, :, rows]
            kernels = _kernels(piece, weight, bias)
            window = _window(padded, n, rows, reach)
            to_window = _window(to_padded, n, rows, reach)
            to_kernels = torch.empty_like(kernels)
            for number, (gradient, d) in enumerate(zip(gradients, ctx.dilations, strict=True)):
                g = gradient[n, :, rows]
                for t, place in enumerate(_places(g, reach, d)):
                    to_window[place].addcmul_(kernels[:, t], g)
                    if number:
                        to_kernels[:, t].addcmul_(window[place], g)
                    else:
                        torch.mul(window[place], g, out=to_kernels[:, t])
            flat, to_flat = piece.flatten(2), to_kernels.flatten(3).flatten(1, 2)
            to_feature[n, :, rows] = (weight.t() @ to_flat).view(piece.shape)
            to_weight += (to_flat @ flat.mT).sum(0)
            to_bias += to_flat.sum((0, 2)).view(bias.shape)
        to_x = to_padded[:, :, reach : reach + H, reach : reach + W]
        return to_x, to_feature, to_weight, to_bias, None


def _padded(x: Tensor, dilations: tuple[int, ...]) -> Tensor:
    return pad(x, (max(dilations),) * 4).contiguous()


def _pieces(x: Tensor) -> Iterator[tuple[slice, slice]]:
    N, M, H, W = x.shape
    return blocks(N, H, TAPS * M * W, budget(x.device, CACHED))


def _kernels(feature: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return (N, 9, M, H, W)."""
    N, _, H, W = feature.shape
    made = torch.baddbmm(bias.expand(N, -1, -1), weight.expand(N, -1, -1), feature.flatten(2))
    return made.view(N, TAPS, -1, H, W)


def _window(padded: Tensor, n: slice, rows: slice, reach: int) -> Tensor:
    return padded[n, :, rows.start : rows.stop + 2 * reach]


def _places(like: Tensor, reach: int, dilation: int) -> Iterator[tuple[slice, ...]]:
    """Yield where each tap reads in a window that is ``reach`` larger than ``like`` all round."""
    H, W = like.shape[-2:]
    for t in range(TAPS):
        i, j = (reach + (k - 1) * dilation for k in divmod(t, 3))
        yield slice(None), slice(None), slice(i, i + H), slice(j, j + W)


def _filtered(
    window: Tensor, kernels: Tensor, reach: int, dilation: int, in_place: bool = False
) -> Tensor:
    first, *others = _places(kernels, reach, dilation)
    out = kernels[:, 0] * window[first]
    for t, place in enumerate(others, 1):
        add = out.addcmul_ if in_place else out.addcmul
        out = add(kernels[:, t], window[place])
    return out
