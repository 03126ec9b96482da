"""RFFNet's and R2RNet's forward passes against their layers as published: CPU time and memory.

The baseline is :mod:`benchmarks.plain_guided`, in the same networks. Bars: 1.3 times for each, on
256x256 (one thread), and R2RNet's Decom on 960x720 in less than 2 GB. CPU seconds; memory is the
peak of a process, above what it had before the pass, after a small picture. Every part runs in a
process of its own. Run ``python -m benchmarks.guided [OUT.json]``.
"""

import json
import sys
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial

import torch

import denoisers
from benchmarks.harness import extra_memory, part, ratio, report
from benchmarks.plain_guided import plain_layers

SIDE = 256

LARGE = 960, 720
"""Width and height of LSRW's pictures."""


def forward(name: str, rounds: int) -> dict[str, float]:
    """Compare how long a picture takes through a network, its guide with it if it takes one."""
    page = denoisers.entry(name)
    net = denoisers.create(name).eval()
    inputs = [torch.rand(shape) for shape in page.shapes(page.check({}), SIDE, SIDE)]

    def run() -> None:
        with torch.no_grad():
            net(*inputs)

    def plain() -> None:
        with plain_layers():
            run()

    return ratio(plain, run, rounds=rounds)


def memory(kind: str) -> int:
    """Return the extra bytes of Decom."""
    net = denoisers.create("r2rnet").DecomNet.eval()

    def run(width: int, height: int) -> None:
        with torch.no_grad():
            net(torch.rand(1, 3, height, width))

    with plain_layers() if kind == "plain" else nullcontext():
        run(64, 48)
        return extra_memory(lambda: run(*LARGE))


PARTS: dict[str, Callable[[], object]] = {
    "rffnet": partial(forward, "rffnet", 7),
    "r2rnet": partial(forward, "r2rnet", 3),
    "plain": partial(memory, "plain"),
    "ours": partial(memory, "ours"),
}


def main() -> None:
    """Measure everything, or one part, and print it."""
    if sys.argv[1:2] == ["--part"]:
        torch.set_num_threads(1)
        torch.manual_seed(0)
        print(json.dumps(PARTS[sys.argv[2]]()))
        return
    found = {name: part("benchmarks.guided", name, 1) for name in PARTS}
    plain, ours = found.pop("plain"), found.pop("ours")
    results = {f"{name}, {SIDE}x{SIDE}, forward, vs plain": r for name, r in found.items()}
    width, height = LARGE
    results[f"r2rnet's Decom, {width}x{height}, extra peak memory"] = {
        "plain_bytes": plain, "ours_bytes": ours, "ratio": plain / ours,
    }  # fmt: skip
    report("guided", results)


if __name__ == "__main__":
    main()
