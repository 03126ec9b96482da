"""What choosing patches costs: corpora with places that are looked at, against any places.

Run ``python -m benchmarks.select [OUT.json]``. No bar: a ratio below 1 is what it costs. Six frames
of 12 MP in memory, cut into patches of 256 x 256 pixels, with Poisson noise, stored; CPU seconds of
this process, in turns. The frames have neither black nor clipped patches: all patches are made.
"""

import tempfile
from functools import partial
from pathlib import Path

from benchmarks import frames
from benchmarks.harness import ratio, report
from benchmarks.pipeline import FRAMES, clear, job, ours


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        frames.write_dng(folder / "plain.dng", None)
        memory = frames.memory_source(folder / "plain.dng", FRAMES)
        uniform, before = job(memory), partial(clear, folder)
        results: dict[str, object] = {}
        for candidates in (1, 8):
            chosen = job(memory, select={"method": "stratified", "candidates": candidates})
            results[f"stratified, {candidates} candidates, vs uniform"] = ratio(
                partial(ours, uniform, folder), partial(ours, chosen, folder), 3, before
            )
    report("select", results)


if __name__ == "__main__":
    main()
