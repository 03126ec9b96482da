"""DualDn against its counterparts of one domain: the same wall time, parameters, data, and seeds.

    python -m benchmarks.dualdn OUT --train PICTURES --test PICTURES [--seconds 400] [--seeds 3]

Trained on mosaics of the pictures unprocessed, and of dead leaves; tested by DualDn's synthetic
protocol (``noisegen evaluate --on fivek-raw``) on raws that the pictures of ``--test`` are
unprocessed to. All runs go side by side: first each is timed while all the others run, then the
iterations of its domain are what it does in the time, so that every run's learning rate has come to
its end. On the CPU the time is each process's own. Runs that are in OUT already, and results of
them, are taken as they are: the same command prints the table of what it finds. ``--wide W`` trains
one more DualDn beside them, of W channels and twice the batch, for raws of real cameras: for less
noise.
"""

import argparse
import contextlib
import json
import multiprocessing as mp
import statistics
import threading
import time
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import cv2
import numpy as np

import pipelines
from catalogs.color import BLUE_GAIN, GOOGLE_MATRICES, RED_GAIN
from noisegen.isp.color import camera_to_xyz
from noisegen.isp.inverse import unprocess
from noisegen.isp.parameters import IspParameters
from noisegen.isp.transfer import decode
from noisegen.random import Stream, generator
from noisegen.raw import write_dng

HEADS = [1, 2, 4, 8]
DUAL: dict[str, Any] = {"blocks": [1, 1, 1, 1], "refinement": 1, "heads": HEADS}
SINGLE: dict[str, Any] = {"blocks": [2, 3, 2, 4], "refinement": 2, "heads": HEADS}
"""Restormers: two of the first have as many parameters as one of the second, to 0.4 percent."""

REAL: dict[str, Any] = {"blocks": [1, 2, 1, 1], "refinement": 1, "heads": HEADS, "expansion": 2.0}
REAL_SHOT = [2e-5, 4e-3]
"""K of cameras in light: what the one more network is trained on."""

DOMAINS = {"dual": DUAL, "raw": SINGLE, "srgb": SINGLE}

STORED = 130
"""Side of the corpora's patches: those that are trained on have room to move."""

LEAVES = 16
"""Patches of a scene of dead leaves."""

BLACK, WHITE = 512, 16383

WARM, TIMED = 10, 20.0
"""Iterations before a run is timed, and the seconds for which it is."""

AFTER, PLANNED = 60.0, 0.94
"""Seconds that are kept for testing where the command is to end at some time, and the part of the
others that is planned: a machine's rates vary."""


@dataclass(frozen=True)
class Job:
    """A run: where, which network, and for how long."""

    out: Path
    domain: str
    seed: int
    options: dict[str, Any]
    corpora: tuple[str, ...]
    raws: Path
    device: str
    seconds: float
    end: float | None
    batch: int
    patch: int
    shot: list[float] | None = None

    def recipe(self, iterations: int) -> Any:
        from denoisers import presets
        from denoisers.training import recipe
        from pipelines.tables import merged

        own = {
            "options": {"domain": self.domain, **self.options},
            "iterations": iterations,
            "batch": self.batch,
            "patch": self.patch,
            "seed": self.seed,
            # On a CPU Restormer's compiled layers are faster than bfloat16.
            "precision": "float32" if self.device == "cpu" else "auto",
            **({"mosaics": {"shot": self.shot}} if self.shot else {}),
            "validation": {"every": max(1, -(-iterations // 2)), "count": 8},
        }
        return recipe.parse(merged(presets.read("dualdn-small"), own), where=str(self.out))


class _TimedError(Exception):
    """Ends a run that is only timed."""


class _Stopwatch:
    """Counts iterations for some seconds, which begin when all runs are warm."""

    def __init__(self, warm: Any) -> None:
        self.warm, self.count, self.began, self.cpu = warm, 0, 0.0, 0.0

    def __call__(self, progress: Any) -> None:
        self.count += 1
        if self.count == WARM:
            _meet(self.warm)
            self.began, self.cpu = time.monotonic(), time.process_time()
        elif self.count > WARM and time.monotonic() - self.began > TIMED:
            raise _TimedError

    def rate(self, device: str) -> float:
        """Return iterations a second; on the CPU, which others may use too, of its own time."""
        wall, cpu = time.monotonic() - self.began, time.process_time() - self.cpu
        return (self.count - WARM) / (cpu if device == "cpu" else wall)


def _meet(barrier: Any) -> None:
    """Wait for the other runs, unless one has failed: those that are left go on."""
    with contextlib.suppress(threading.BrokenBarrierError):
        barrier.wait()


def work(job: Job, warm: Any, timed: Any, rates: Any, place: int, alike: list[int]) -> None:
    """Time a run beside the others, train it, and test it."""
    import torch

    torch.set_num_threads(1)
    try:
        _train(job, warm, timed, rates, place, alike)
    except BaseException:
        for barrier in (warm, timed):
            barrier.abort()  # the others do not wait for it
        raise
    evaluate(job)


def _train(job: Job, warm: Any, timed: Any, rates: Any, place: int, alike: list[int]) -> None:
    from denoisers.training.run import Run

    def run(folder: Path, iterations: int, told: Any) -> None:
        data = [(path, 1.0) for path in job.corpora]
        Run(
            job.recipe(iterations), data, folder, device=job.device, workers=1, told=told,
            overwrite=True,
        ).train()  # fmt: skip

    watch = _Stopwatch(warm)
    try:
        run(job.out.with_name(f"{job.out.name}-timed"), 1_000_000, watch)
    except _TimedError:
        rates[place] = watch.rate(job.device)
    _meet(timed)
    rate = statistics.fmean(rates[i] for i in alike if rates[i])
    began, cpu = time.monotonic(), time.process_time()
    seconds = job.seconds if job.end is None else PLANNED * (job.end - began - AFTER)
    run(job.out, max(1, int(rate * seconds)), lambda progress: None)
    ended = time.process_time() - cpu if job.device == "cpu" else time.monotonic() - began
    found = {"rate": rate, "seconds": ended}
    (job.out / "time.json").write_text(json.dumps(found))


def evaluate(job: Job) -> None:
    """Test the last weights of a run by the published protocol."""
    from catalogs.sources.roots import Root
    from denoisers.evaluation.evaluate import Evaluation
    from denoisers.evaluation.overlap import Overlap
    from denoisers.protocols.base import Asked

    test = Evaluation.prepare(
        str(job.out / "last.safetensors"),
        "fivek-raw",
        Asked(Root(str(job.raws)), None, None, None),
        device=job.device,
    )
    result, _ = test.run(Overlap((), 0, 0, (), "not looked for"))
    (job.out / "fivek-raw.json").write_text(result.to_json())


def side_by_side(jobs: list[Job]) -> None:
    """Train all runs at once, each in a process of its own."""
    spawn = mp.get_context("spawn")
    warm, timed = (spawn.Barrier(len(jobs)) for _ in range(2))
    rates = spawn.Array("d", len(jobs))
    kinds = [(job.domain, str(job.options)) for job in jobs]
    workers = [
        spawn.Process(
            target=work,
            args=(job, warm, timed, rates, i, [k for k, o in enumerate(kinds) if o == kinds[i]]),
        )
        for i, job in enumerate(jobs)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def raws(pictures: Path, out: Path, count: int) -> Path:
    """Unprocess pictures to DNGs, laid out as DualDn's test wants them; return the folder.

    JPEGs are halved in linear light: what they lost is not to be learned.
    """
    found = sorted(p for p in pictures.rglob("*") if p.suffix.lower() in (".jpg", ".png", ".tif"))
    chosen = found[:: max(1, len(found) // count)][:count]
    (out / "Raw").mkdir(parents=True, exist_ok=True)
    (out / "list_file").mkdir(exist_ok=True)
    for number, path in enumerate(chosen):
        codes = cv2.imread(str(path), cv2.IMREAD_COLOR)
        height, width = (n // 4 * 4 for n in codes.shape[:2])
        linear = decode(codes[:height, :width, ::-1] / 255.0, "srgb")
        if path.suffix.lower() == ".jpg":
            linear = linear.reshape(height // 2, 2, width // 2, 2, 3).mean((1, 3))
        rng = generator(0, Stream.COLOUR, number)
        matrix = list(GOOGLE_MATRICES.values())[number % len(GOOGLE_MATRICES)]
        gains = (rng.uniform(*RED_GAIN), 1.0, rng.uniform(*BLUE_GAIN))
        cam_to_xyz = tuple(tuple(row) for row in camera_to_xyz(matrix).tolist())
        mosaic = unprocess(linear, IspParameters(gains, cam_to_xyz), "RGGB", encoded=False)  # type: ignore[arg-type]
        write_dng(
            out / "Raw" / f"a{number + 1:04d}-{path.stem}.dng",
            np.rint(mosaic * (WHITE - BLACK) + BLACK).astype(np.uint16),
            cfa="RGGB",
            black_level=BLACK,
            white_level=WHITE,
            bits=14,
            as_shot_neutral=[1 / gain for gain in gains],
            color_matrix=matrix,
        )
    names = "\n".join(f"a{number + 1:04d}" for number in range(len(chosen)))
    (out / "list_file" / "val_list.txt").write_text(names + "\n")
    return out


def corpora(pictures: Path, out: Path, scenes: int) -> tuple[str, ...]:
    """Make the corpora of mosaics, or complete them; return their paths."""
    common = {"camera": "dualdn", "stage": "raw", "patch": STORED, "gamma": "rec709"}
    sources = {
        "pictures": ({"source": "folder", "per_image": 8}, str(pictures)),
        "leaves": (
            {"source": "deadleaves", "per_image": LEAVES, "count": LEAVES * scenes},
            None,
        ),
    }
    paths = []
    for name, (own, root) in sources.items():
        paths.append(str(out / f"{name}.zarr"))
        pipelines.synthesize(pipelines.Recipe(**common, **own), paths[-1], root=root)
    return tuple(paths)


def table(folders: dict[str, list[Path]]) -> str:
    """Return mean PSNR and its standard deviation over the seeds, a column a level of noise."""
    groups: dict[str, list[list[float]]] = {}
    lines = []
    for domain, runs in folders.items():
        found = [json.loads((run / "fivek-raw.json").read_text())["groups"] for run in runs]
        for name in found[0]:
            groups.setdefault(name.split(",")[0], [])
        cells = []
        for level in groups:
            means = [_mean(one, level, "psnr") for one in found]
            spread = statistics.stdev(means) if len(means) > 1 else float("nan")
            cells.append(f"{statistics.fmean(means):.2f} ± {spread:.2f}")
        times = [json.loads((run / "time.json").read_text())["seconds"] for run in runs]
        steps = [int(json.loads(_last(run))["iteration"]) for run in runs]
        lines.append(
            f"| {domain} | {' | '.join(cells)} | {statistics.fmean(steps):.0f} | "
            f"{min(times):.0f}-{max(times):.0f} |"
        )
        noisy = [f"{_mean(found[0], level, 'noisy_psnr'):.2f}" for level in groups]
    head = f"| | {' | '.join(groups)} | iterations | seconds |\n|---|{'---:|' * (len(groups) + 2)}"
    return "\n".join([head, f"| noisy | {' | '.join(noisy)} | | |", *lines])


def _mean(found: dict[str, dict[str, float]], level: str, key: str) -> float:
    return statistics.fmean(v[key] for name, v in found.items() if name.split(",")[0] == level)


def _last(run: Path) -> str:
    return (run / "log.jsonl").read_text().splitlines()[-1]


def main() -> None:
    """Train what is missing, test it, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dualdn", description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--train", type=Path, required=True, help="folder of clean pictures")
    parser.add_argument("--test", type=Path, required=True, help="folder of other clean pictures")
    parser.add_argument("--seconds", type=float, default=400, help="of training, each run")
    parser.add_argument(
        "--end", type=float, help="seconds after which all is to be done, in place of --seconds"
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--tested", type=int, default=20, help="pictures, spread over the folder")
    parser.add_argument("--width", type=int, default=24, help="channels of the networks")
    parser.add_argument("--wide", type=int, help="channels of one more DualDn")
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--patch", type=int, default=128)
    parser.add_argument("--scenes", type=int, default=100, help="of dead leaves")
    asked = parser.parse_args()
    end = asked.end and time.monotonic() + asked.end
    out: Path = asked.out
    test = raws(asked.test, out / "raws", asked.tested)
    plain = Job(
        out, "dual", 0, DUAL, (), test, asked.device, asked.seconds, end, asked.batch, asked.patch
    )
    jobs = [
        replace(
            plain,
            out=out / f"{domain}-{seed}",
            domain=domain,
            seed=seed,
            options=options | {"width": asked.width},
        )
        for seed, (domain, options) in product(range(asked.seeds), DOMAINS.items())
    ]
    if asked.wide:
        options = REAL | {"width": asked.wide}
        jobs.append(
            replace(plain, out=out / "wide", options=options, batch=2 * asked.batch, shot=REAL_SHOT)
        )
    if missing := [job for job in jobs if not (job.out / "time.json").exists()]:
        made = corpora(asked.train, out, asked.scenes)
        side_by_side([replace(job, corpora=made) for job in missing])
    done = [job for job in jobs if (job.out / "time.json").exists()]
    for job in done:
        if not (job.out / "fivek-raw.json").exists():
            evaluate(job)
    runs: dict[str, list[Path]] = {}
    for job in done:
        runs.setdefault(job.out.name.partition("-")[0], []).append(job.out)
    print(table(runs))
    if failed := [job.out.name for job in jobs if job not in done]:
        raise SystemExit(f"runs that failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
