"""Operators and a forward pass of the networks against plain ones: CPU time and memory.

The baseline of ADFNet's operators is :mod:`benchmarks.plain_operators`, in the same network for the
whole of it; that of Restormer's is torch's. Bars: five times the baseline for each operator of
ADFNet forward and backward (one thread, at the network's first level), and for ADFNet on 3x256x256
(two threads, forward) twice, with a third of the extra memory. CPU seconds; memory is the peak of a
process, above what it had before the pass; a small picture goes through first, so that compiled
loops are there. Every part runs in a process of its own. Run
``python -m benchmarks.denoisers [OUT.json]``.
"""

import json
import sys
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.nn.functional import conv2d

import denoisers
from benchmarks import plain_operators
from benchmarks.harness import extra_memory, part, ratio, report
from denoisers.layers.channel_norm import by_torch, channel_norm
from denoisers.layers.deformable import modulated_deform_conv2d
from denoisers.layers.depthwise import Depthwise
from denoisers.layers.dynamic import dynamic_filter
from denoisers.models import adfnet

CHANNELS, SIDE = 32, 256

Operator = Callable[..., Tensor | tuple[Tensor, ...]]


def random(*shape: int, scale: float = 1) -> Tensor:
    return scale * torch.randn(shape)


def compared(slow: Operator, fast: Operator, inputs: list[Tensor]) -> dict[str, object]:
    """Measure both forward, and forward and backward."""
    leaves = [t.requires_grad_() for t in inputs]

    def forward(operator: Operator) -> None:
        with torch.no_grad():
            operator(*leaves)

    def both(operator: Operator) -> None:
        out = operator(*leaves)
        outs = out if isinstance(out, tuple) else (out,)
        torch.autograd.grad(outs, leaves, [torch.ones_like(o) for o in outs])

    return {
        f"{what}, vs plain": ratio(partial(run, slow), partial(run, fast), rounds=5)
        for what, run in (("forward", forward), ("forward and backward", both))
    }


def deformable() -> dict[str, object]:
    size, groups = (SIDE, SIDE), 8
    inputs = [
        random(1, CHANNELS, *size),
        random(1, 2 * groups * 9, *size, scale=2),
        torch.rand(1, groups * 9, *size),
        random(CHANNELS, CHANNELS, 3, 3),
        random(CHANNELS),
    ]
    slow, fast = plain_operators.modulated_deform_conv2d, modulated_deform_conv2d
    return compared(partial(slow, padding=1), partial(fast, padding=1), inputs)


def dynamic(*dilations: int) -> dict[str, object]:
    inputs = [
        random(1, CHANNELS, SIDE, SIDE),
        random(1, CHANNELS, SIDE, SIDE),
        random(9 * CHANNELS, CHANNELS, scale=CHANNELS**-0.5),
        random(9 * CHANNELS),
    ]
    slow, fast = plain_operators.dynamic_filter, dynamic_filter
    return compared(partial(slow, dilations=dilations), partial(fast, dilations=dilations), inputs)


def depthwise() -> dict[str, object]:
    layer = Depthwise(4 * CHANNELS, bias=False)

    def slow(x: Tensor, weight: Tensor) -> Tensor:
        return conv2d(x, weight, padding=1, groups=len(weight))

    def fast(x: Tensor, weight: Tensor) -> Tensor:
        return layer(x)

    return compared(slow, fast, [random(1, 4 * CHANNELS, SIDE, SIDE), layer.weight])


def norm() -> dict[str, object]:
    inputs = [random(1, CHANNELS, SIDE, SIDE), random(CHANNELS)]
    settings: dict[str, Any] = {"bias": None, "eps": 1e-5}
    return compared(partial(by_torch, **settings), partial(channel_norm, **settings), inputs)


def plain_adfnet() -> patch:
    """Return a context in which ADFNet runs the plain operators."""
    return patch.multiple(
        adfnet,
        modulated_deform_conv2d=plain_operators.modulated_deform_conv2d,
        dynamic_filter=plain_operators.dynamic_filter,
    )


def forward_pass() -> Callable[..., Tensor]:
    """Return what sends a picture through ADFNet."""
    net = denoisers.create("adfnet").eval()

    def run(side: int = SIDE) -> Tensor:
        with torch.no_grad():
            return net(torch.rand(1, 3, side, side))

    return run


def whole_net() -> dict[str, object]:
    run = forward_pass()

    def plain() -> None:
        with plain_adfnet():
            run()

    return {"forward, vs plain": ratio(plain, run)}


def memory(kind: str) -> int:
    """Return the extra bytes of ADFNet's forward pass."""
    run = forward_pass()
    with plain_adfnet() if kind == "plain" else nullcontext():
        run(SIDE // 8)
        return extra_memory(run)


ADFNET = f"ADFNet, 3x{SIDE}x{SIDE}"

PARTS: dict[str, tuple[int, Callable[[], object]]] = {
    "deformable convolution": (1, deformable),
    "dynamic filtering": (1, partial(dynamic, 1)),
    "dynamic filtering, three dilations": (1, partial(dynamic, 1, 3, 5)),
    "depthwise convolution": (1, depthwise),
    "norm over channels": (1, norm),
    ADFNET: (2, whole_net),
    "plain": (2, partial(memory, "plain")),
    "ours": (2, partial(memory, "ours")),
}
"""Threads, and what is measured."""


def main() -> None:
    """Measure everything, or one part, and print it."""
    if sys.argv[1:2] == ["--part"]:
        threads, measure = PARTS[sys.argv[2]]
        torch.set_num_threads(threads)
        torch.manual_seed(0)
        print(json.dumps(measure()))
        return
    found = {
        name: part("benchmarks.denoisers", name, threads) for name, (threads, _) in PARTS.items()
    }
    plain, ours = found.pop("plain"), found.pop("ours")
    results = {f"{name}, {what}": r for name, own in found.items() for what, r in own.items()}
    results[f"{ADFNET}, forward, extra peak memory"] = {
        "plain_bytes": plain, "ours_bytes": ours, "ratio": plain / ours,
    }  # fmt: skip
    report("denoisers", results)


if __name__ == "__main__":
    main()
