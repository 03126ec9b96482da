"""RFFNet's and R2RNet's forward passes against their layers as published: CPU time and memory.

The baseline is :mod:`benchmarks.plain_guided`, in the same networks. Bars: 1.3 times for each, on
256x256 (one thread), and R2RNet's Decom on 960x720 in less than 2 GB. CPU seconds; memory is the
peak of a process of its own, above what it had before the pass, after a small picture. Run
``python -m benchmarks.guided [OUT.json]``.
"""

import sys
from collections.abc import Callable
from contextlib import nullcontext

import torch

import denoisers
from benchmarks.harness import extra_memory, memory_of_a_process, ratio, report
from benchmarks.plain_guided import plain_layers

SIDE = 256

LARGE = 960, 720
"""Width and height of LSRW's pictures."""


def forward(name: str) -> Callable[[], object]:
    """Return what sends a picture through a network, its guide with it if it takes one."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    page = denoisers.entry(name)
    net = denoisers.create(name).eval()
    inputs = [torch.rand(shape) for shape in page.shapes(page.check({}), SIDE, SIDE)]

    def run() -> object:
        with torch.no_grad():
            return net(*inputs)

    return run


def times() -> dict[str, object]:
    results: dict[str, object] = {}
    for name, rounds in (("rffnet", 7), ("r2rnet", 3)):
        run = forward(name)

        def plain(run=run) -> None:
            with plain_layers():
                run()

        results[f"{name}, {SIDE}x{SIDE}, forward, vs plain"] = ratio(plain, run, rounds=rounds)
    return results


def memory() -> dict[str, object]:
    found = {kind: memory_of_a_process("benchmarks.guided", kind) for kind in ("plain", "ours")}
    width, height = LARGE
    return {
        f"r2rnet's Decom, {width}x{height}, extra peak memory": {
            **{f"{kind}_bytes": number for kind, number in found.items()},
            "ratio": found["plain"] / found["ours"],
        }
    }


def _print_extra_memory(kind: str) -> None:
    torch.set_num_threads(1)
    net = denoisers.create("r2rnet").DecomNet.eval()

    def run(width: int, height: int) -> None:
        with torch.no_grad():
            net(torch.rand(1, 3, height, width))

    with plain_layers() if kind == "plain" else nullcontext():
        run(64, 48)
        print(extra_memory(lambda: run(*LARGE)))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--memory"]:
        _print_extra_memory(sys.argv[2])
    else:
        report("guided", times() | memory())
