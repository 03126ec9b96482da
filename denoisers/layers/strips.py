"""Layers run a few rows at a time where no gradient is wanted: what is wide is never whole."""

from collections.abc import Callable

import torch
from torch import Tensor

from denoisers.layers.blocks import budget

CACHED = 1 << 22
"""Values of the widest tensor that rows are taken together for, 16 MB: no slower than the whole."""


def in_strips(run: Callable[[Tensor], Tensor], x: Tensor, reach: int, widest: int) -> Tensor:
    """Return ``run(x)``; where no gradient is wanted, a few rows at a time.

    Parameters
    ----------
    run
        Keeps height and width: convolutions of stride 1, with zeros around or the rim repeated.
    x
        (N, C, H, W).
    reach
        Rows that an output pixel sees beyond its own.
    widest
        Channels of the widest tensor on the way.
    """
    samples, _, height, width = x.shape
    rows = max(4 * reach, budget(x.device, CACHED) // (samples * widest * width))
    if torch.is_grad_enabled() or torch.compiler.is_compiling() or rows >= height:
        return run(x)
    out = x.new_empty(0)
    for top in range(0, height, rows):
        first, last, stop = max(0, top - reach), min(height, top + rows + reach), top + rows
        strip = run(x[:, :, first:last])
        if not top:
            size = samples, strip.shape[1], height, width
            planes = not strip.is_contiguous(memory_format=torch.channels_last)
            layout = torch.contiguous_format if planes else torch.channels_last
            out = torch.empty(size, dtype=strip.dtype, device=x.device, memory_format=layout)
        out[:, :, top:stop] = strip[:, :, top - first : min(stop, height) - first]
    return out
