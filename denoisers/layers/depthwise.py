"""3x3 convolutions of single channels, by compiled loops on a CPU."""

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from denoisers.layers.arrays import arrays
from denoisers.layers.precision import working_dtype
from denoisers.layers.threads import divide


class Depthwise(nn.Conv2d):
    """torch's layer of 3x3 taps, one plane a channel, zero outside.

    On a CPU, in float32 and float64, compiled loops run it and derive it, once. Elsewhere torch
    does.

    Parameters
    ----------
    channels
        In and out.
    bias
        Whether there is one.
    """

    def __init__(self, channels: int, *, bias: bool) -> None:
        super().__init__(channels, channels, 3, padding=1, groups=channels, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return the convolution of (N, C, H, W)."""
        if not _loops(x, self.weight):
            return super().forward(x)
        taps = self.weight.flatten(1)
        if torch.is_grad_enabled() and any(p.requires_grad for p in (x, *self.parameters())):
            out: Tensor = _Convolved.apply(x, taps, self.bias)  # type: ignore[no-untyped-call]
            return out
        return _convolve(x, taps, self.bias)


def _loops(x: Tensor, weight: Tensor) -> bool:
    """Whether there are compiled loops for a tensor and taps."""
    return (
        x.device.type == "cpu"
        and not torch.compiler.is_compiling()
        and working_dtype(x) == weight.dtype
        and weight.dtype in (torch.float32, torch.float64)
    )


class _Convolved(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, taps: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, taps)
        return _convolve(x, taps, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        from noisegen.kernels.depthwise import derive

        x, taps = ctx.saved_tensors
        to_x = torch.empty_like(x, memory_format=torch.contiguous_format)
        to_taps, to_bias = torch.empty_like(taps), taps.new_empty(len(taps))
        work = partial(derive, *arrays(x, taps, gradient, to_x, to_taps, to_bias))
        divide(lambda *part: work(part), 0, len(taps))
        return to_x, to_taps, to_bias if ctx.needs_input_grad[2] else None


def _convolve(x: Tensor, taps: Tensor, bias: Tensor | None) -> Tensor:
    from noisegen.kernels.depthwise import convolve

    out = torch.empty_like(x, memory_format=torch.contiguous_format)
    added = taps.new_empty(0) if bias is None else bias
    work = partial(convolve, *arrays(x, taps, added, out))
    divide(lambda *part: work(part), 0, len(taps))
    return out
