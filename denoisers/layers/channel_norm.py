"""Channels of each pixel divided by their standard deviation, by compiled loops on a CPU."""

from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from denoisers.layers.arrays import arrays
from denoisers.layers.precision import exact_dtype, without_autocast
from denoisers.layers.threads import divide


def channel_norm(x: Tensor, weight: Tensor, bias: Tensor | None, eps: float) -> Tensor:
    """Return ``x`` over the standard deviation of each pixel's channels, weighted.

    Parameters
    ----------
    x
        (N, C, H, W).
    weight
        (C,).
    bias
        (C,), with which the mean is subtracted first; None: it is left.
    eps
        Added to the variance, which is that about the mean in either case.

    Returns
    -------
    Tensor
        Of the type of ``x``; computed in float32 at least, whatever autocast says. On a CPU it can
        be differentiated once.
    """
    exact = exact_dtype(x)
    with without_autocast(x):
        values = x.to(exact), weight.to(exact), None if bias is None else bias.to(exact)
        if x.device.type != "cpu" or torch.compiler.is_compiling():
            out = by_torch(*values, eps)
        else:
            out = _Normed.apply(*values, eps)  # type: ignore[no-untyped-call]
        return out.to(x.dtype)


def by_torch(x: Tensor, weight: Tensor, bias: Tensor | None, eps: float) -> Tensor:
    """Return the same by torch's own operations, for other devices; ``x`` is float32 at least."""
    variance, mean = torch.var_mean(x, 1, correction=0, keepdim=True)
    scale = (variance + eps).rsqrt()
    if bias is None:
        return x * scale * weight[:, None, None]
    return (x - mean) * scale * weight[:, None, None] + bias[:, None, None]


class _Normed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, eps: float) -> Tensor:
        from noisegen.kernels.channel_norm import normalise

        flat = x.detach().contiguous().flatten(2)
        out, mean = torch.empty_like(flat), flat.new_empty(len(flat), flat.shape[2])
        scale = torch.empty_like(mean)
        added = weight.new_empty(0) if bias is None else bias
        given, made = arrays(flat, weight, added), arrays(out, mean, scale)
        work = partial(normalise, *given, given[0].dtype.type(eps), *made)
        divide(lambda *part: work(part), 0, len(flat))
        ctx.save_for_backward(flat, weight, mean, scale)
        ctx.centred = bias is not None
        return out.view(x.shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        from noisegen.kernels.channel_norm import derive

        x, weight, mean, scale = ctx.saved_tensors
        to_x = torch.empty_like(x)
        fixed = arrays(x, weight), ctx.centred, arrays(mean, scale, gradient.flatten(2), to_x)
        # Each sample's own, so that the sums do not depend on the number of threads.
        to_weight, to_bias = weight.new_zeros(2, len(x), len(weight))

        def work(first: int, stop: int) -> None:
            for n in range(first, stop):
                (given, centred, made), sums = fixed, arrays(to_weight[n], to_bias[n])
                derive(*given, centred, *made, *sums, (n, n + 1))

        divide(work, 0, len(x))
        bias = to_bias.sum(0) if ctx.centred else None
        return to_x.view(gradient.shape), to_weight.sum(0), bias, None
