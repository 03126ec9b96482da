"""ADFNet's operators and forward pass against plain gathers and copies: CPU time and memory.

The baseline is :mod:`benchmarks.plain_operators`, in the same network for the whole of it. Bars:
five times the baseline for each operator forward and backward (one thread, at the network's first
level), and for ADFNet on 3x256x256 (two threads, forward) twice, with a third of the extra memory.
CPU seconds; memory is the peak of a process of its own, above what it had before the pass; a small
picture goes through first, so that compiled loops are there. Run
``python -m benchmarks.denoisers [OUT.json]``.
"""

import sys
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from unittest.mock import patch

import torch
from torch import Tensor

import denoisers
from benchmarks import plain_operators
from benchmarks.harness import extra_memory, memory_of_a_process, ratio, report
from denoisers.layers.deformable import modulated_deform_conv2d
from denoisers.layers.dynamic import dynamic_filter
from denoisers.models import adfnet

CHANNELS, SIDE = 32, 256


def random(*shape: int, scale: float = 1) -> Tensor:
    return scale * torch.randn(shape)


def step(operator: Callable[..., Tensor | tuple[Tensor, ...]], tensors: list[Tensor]) -> None:
    """Run an operator forward and backward."""
    out = operator(*tensors)
    outs = out if isinstance(out, tuple) else (out,)
    torch.autograd.grad(outs, tensors, [torch.ones_like(o) for o in outs])


def operators() -> dict[str, object]:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    size = (SIDE, SIDE)
    deformable = [
        random(1, CHANNELS, *size),
        random(1, 2 * 8 * 9, *size, scale=2),
        torch.rand(1, 8 * 9, *size),
        random(CHANNELS, CHANNELS, 3, 3),
        random(CHANNELS),
    ]
    dynamic = [
        random(1, CHANNELS, *size),
        random(1, CHANNELS, *size),
        random(9 * CHANNELS, CHANNELS, scale=CHANNELS**-0.5),
        random(9 * CHANNELS),
    ]
    results: dict[str, object] = {}
    for name, slow, fast, tensors, options in (
        (
            "deformable convolution",
            plain_operators.modulated_deform_conv2d,
            modulated_deform_conv2d,
            deformable,
            {"padding": 1},
        ),
        ("dynamic filtering", plain_operators.dynamic_filter, dynamic_filter, dynamic, {}),
        (
            "dynamic filtering, three dilations",
            plain_operators.dynamic_filter,
            dynamic_filter,
            dynamic,
            {"dilations": (1, 3, 5)},
        ),
    ):
        leaves = [t.requires_grad_() for t in tensors]

        def run(operator, leaves=leaves, options=options):
            step(lambda *inputs: operator(*inputs, **options), leaves)

        def forward(operator, tensors=tensors, options=options):
            with torch.no_grad():
                operator(*tensors, **options)

        for what, call in (("forward", forward), ("forward and backward", run)):
            results[f"{name}, {what}, vs plain"] = ratio(
                partial(call, slow), partial(call, fast), rounds=5
            )
    return results


def plain_adfnet() -> patch:
    """Return a context in which ADFNet runs the plain operators."""
    return patch.multiple(
        adfnet,
        modulated_deform_conv2d=plain_operators.modulated_deform_conv2d,
        dynamic_filter=plain_operators.dynamic_filter,
    )


def forward_pass() -> Callable[..., Tensor]:
    """Return what sends a picture through ADFNet."""
    torch.set_num_threads(2)
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

    measured: dict[str, object] = {"ADFNet, 3x256x256, forward, vs plain": ratio(plain, run)}
    kinds = ("plain", "ours")
    extra = {kind: memory_of_a_process("benchmarks.denoisers", kind) for kind in kinds}
    measured["ADFNet, 3x256x256, forward, extra peak memory"] = {
        **{f"{kind}_bytes": extra[kind] for kind in kinds},
        "ratio": extra["plain"] / extra["ours"],
    }
    return measured


def _print_extra_memory(kind: str) -> None:
    run = forward_pass()
    with plain_adfnet() if kind == "plain" else nullcontext():
        run(SIDE // 8)
        print(extra_memory(run))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--memory"]:
        _print_extra_memory(sys.argv[2])
    else:
        report("denoisers", operators() | whole_net())
