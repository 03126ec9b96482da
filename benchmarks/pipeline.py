"""End to end: frames to a corpus on disk, against what a careful person writes with NumPy and Zarr.

A run makes a corpus of six frames of 12 MP and 14 bits, three of them a shard, cut into patches of
256 x 256 pixels; the noise is Poisson, Gauss and quantisation. Ratios are of CPU seconds of this
process, in turns; clearing away what the last run wrote is not measured. Run it with
``python -m benchmarks.pipeline [OUT.json]``.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rawpy
import zarr
from numcodecs import blosc
from zarr.codecs import BloscCodec, Crc32cCodec

from benchmarks import frames
from benchmarks.harness import ratio, report
from catalogs.sources import Source
from pipelines import plan as plans
from pipelines import prepare, schema
from pipelines.build import build
from pipelines.job import Job
from pipelines.recipe import Recipe
from pipelines.run import synthesize
from pipelines.store import MARK, create, open_store

PATCH = 256
PER_IMAGE = (frames.HEIGHT // PATCH) * (frames.WIDTH // PATCH)
FRAMES = 6
PIXELS = FRAMES * PER_IMAGE * PATCH**2
K, READ = 4.0, 10.0
"""Gain in DN per electron and standard deviation of the read noise in DN."""

CAMERA = f"""
title = "bench camera"
figures = "estimated"
licence = "CC0-1.0"
note = "Made up for the bench."
cfa = "RGGB"
read_includes = []
default_model = "poisson-gaussian"

[[sources]]
figures = "noise"
path = "this bench"

[levels]
black = {frames.BLACK:.0f}
white = {frames.WHITE:.0f}
bits = 14

[color]
substitute = "google-mixture"

[noise]
kind = "table"
unit = "DN"
points = [{{ iso = 1600, shot = {K}, read = {READ**2} }}]
"""


def job(source: Source, **recipe: object) -> Job:
    """Return the job of all images of ``source``."""
    made = prepare.resolve(
        Recipe.model_validate(
            {"stage": "raw", **recipe, "patch": PATCH, "camera": "bench", "camera_file": CAMERA}
        )
    )
    camera = prepare.target(made)
    developer = prepare.developer(made, camera)
    size = schema.bytes_per_patch(developer)
    images = source.images()
    plan = plans.make(made, len(images), PER_IMAGE, PER_IMAGE * len(images), size, 128 << 20)
    return Job(made, plan, source, images, camera, developer)


def ours(work: Job, folder: Path) -> Path:
    """Make the corpus of a job."""
    path = folder / "ours.zarr"
    storage = open_store(path)
    specs = [*schema.pixel_specs(work.developer, work.plan)]
    widths = {"name": 8, "scene": 8}
    specs += [*schema.metadata_specs(work.plan, 0).values(), *schema.name_specs(work.plan, widths)]
    create(storage, specs, {MARK: {}})
    for shard in range(work.plan.shards):
        build(work, storage, shard)
    return path


def naive(mosaic: npt.NDArray[np.uint16], folder: Path) -> None:
    """Careful NumPy: noise on each frame, patches cut, sharded Zarr with the same codec."""
    rng = np.random.Generator(np.random.SFC64(0))
    root = zarr.create_group(folder / "naive.zarr")
    arrays = {
        name: root.create_array(
            name,
            shape=(FRAMES * PER_IMAGE, PATCH, PATCH),
            dtype="uint16",
            chunks=(1, PATCH, PATCH),
            shards=(PER_IMAGE, PATCH, PATCH),
            compressors=[
                BloscCodec(cname="lz4", clevel=1, shuffle="bitshuffle", typesize=2),
                Crc32cCodec(),
            ],
        )
        for name in ("noisy", "clean")
    }
    for first in range(0, FRAMES * PER_IMAGE, PER_IMAGE):
        x = np.maximum(mosaic.astype(np.float32) - frames.BLACK, 0)
        noisy = rng.poisson(x / K).astype(np.float32)
        noisy *= K
        noisy += rng.standard_normal(x.shape, np.float32) * READ + (frames.BLACK + 0.5)
        np.clip(noisy, 0, frames.WHITE, out=noisy)
        arrays["noisy"][first : first + PER_IMAGE] = _patches(noisy.astype(np.uint16))
        arrays["clean"][first : first + PER_IMAGE] = _patches(mosaic)


def floor(pair: tuple[npt.NDArray[np.uint16], ...], folder: Path) -> None:
    """What no store can beat: blosc on ready patches, appended to one file."""
    blosc.use_threads = False
    with (folder / "floor.bin").open("wb") as file:
        for patch in (p for array in pair for p in array):
            file.write(blosc.compress(patch, b"lz4", 1, blosc.BITSHUFFLE))


def clear(folder: Path) -> None:
    """Let everyone write where nothing is.

    What was written is emptied and put aside. Were it deleted, the next files would pay for it:
    ext4 passes over files that were just deleted, one by one, where it looks for room for new ones.
    """
    aside = folder / "aside"
    aside.mkdir(exist_ok=True)
    for name in ("ours.zarr", "naive.zarr", "floor.bin"):
        path = folder / name
        if path.exists():
            for file in [path, *path.rglob("*")]:
                if file.is_file():
                    os.truncate(file, 0)
            path.rename(aside / f"{len(list(aside.iterdir()))}")


def decode(path: Path) -> None:
    """Decode a raw file with rawpy alone, once a frame."""
    for _ in range(FRAMES):
        with rawpy.imread(str(path)) as raw:
            raw.raw_image_visible.copy()


def measure(folder: Path) -> dict[str, object]:
    """Measure every row."""
    plain, packed = folder / "plain.dng", folder / "packed.dng"
    frames.write_dng(plain, None)
    frames.write_dng(packed, "lossless-jpeg")
    memory = frames.memory_source(plain, FRAMES)
    mosaic = memory.image.pixels
    work = {
        name: job(memory, **recipe)
        for name, recipe in {
            "poisson": {},
            "gauss": {"noise": "heteroscedastic"},
            "lazy": {"lazy": True},
            "srgb": {"stage": "srgb"},
        }.items()
    }
    clear(folder)
    path = ours(work["poisson"], folder)
    group = zarr.open_group(path, mode="r")
    pair = tuple(np.asarray(group[name][:]) for name in ("clean", "noisy"))
    from catalogs.sources import folder as folders

    files = folders.ENTRY.open(str(_copies(folder / "packed", packed)), {})
    before = partial(clear, folder)
    rows: dict[str, tuple[Callable[[], object], Job, int]] = {
        "raw pair, Poisson, vs naive": (partial(naive, mosaic, folder), work["poisson"], 5),
        "raw pair, Poisson, vs floor": (partial(floor, pair, folder), work["poisson"], 9),
        "raw pair, Gauss, vs floor": (partial(floor, pair, folder), work["gauss"], 9),
        "raw pair from a lossless-JPEG DNG vs decoding it": (
            partial(decode, packed),
            job(files),
            5,
        ),
        "sRGB pair vs naive raw pair": (partial(naive, mosaic, folder), work["srgb"], 5),
    }
    results: dict[str, object] = {
        name: ratio(baseline, partial(ours, subject, folder), rounds, before)
        for name, (baseline, subject, rounds) in rows.items()
    }
    results["pixels a run"] = PIXELS
    clear(folder)
    stored = _bytes(ours(work["poisson"], folder), ("clean", "noisy"))
    clear(folder)
    lazy = _bytes(ours(work["lazy"], folder), ("raw_clean",))
    floor(pair, folder)
    results["bytes, raw corpus vs blosc"] = stored / (folder / "floor.bin").stat().st_size
    results["bytes, lazy vs stored"] = lazy / stored
    return results


def growth(folder: Path) -> dict[str, float]:
    """Return CPU seconds a sample at 1, 4 and 16 times as many samples, and peak memory in MB."""
    out: dict[str, float] = {}
    for times in (1, 4, 16):
        code = (
            "import resource, time, pipelines\n"
            f"r = pipelines.Recipe(stage='raw', count={512 * times}, patch=128)\n"
            f"pipelines.synthesize(pipelines.Recipe(count=16), {str(folder / 'w.zarr')!r})\n"
            "start = time.process_time()\n"
            f"pipelines.synthesize(r, {str(_fresh(folder / 'g.zarr'))!r}, shard_mb=16)\n"
            "print(time.process_time() - start,"
            " resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
        )
        printed = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout
        seconds, kilobytes = map(float, printed.split())
        _fresh(folder / "w.zarr")
        out[f"{times}x: ms a sample"] = seconds / (512 * times) * 1e3
        out[f"{times}x: peak MB"] = kilobytes / 1e3
    return out


def workers(folder: Path) -> dict[str, float]:
    """Return wall seconds with one and two Dask workers; meaningful on an idle machine only."""
    from distributed import Client, LocalCluster

    recipe = Recipe(stage="raw", count=8192, patch=256, per_image=64)
    out = {}
    for count in (1, 2):
        with (
            LocalCluster(n_workers=count, threads_per_worker=1, dashboard_address=":0") as cluster,
            Client(cluster) as client,
        ):
            # Kernels load and workers import before the clock starts.
            small = recipe.model_copy(update={"count": 64 * count})
            synthesize(small, str(_fresh(folder / "warm.zarr")), client, shard_mb=16)
            start = time.perf_counter()
            synthesize(recipe, str(_fresh(folder / "w.zarr")), client)
            out[f"{count} workers, s"] = time.perf_counter() - start
    out["two over one"] = out["1 workers, s"] / out["2 workers, s"]
    return out


def startup() -> float:
    """Return the wall seconds of ``noisegen --help``, the least of five."""
    return min(
        _wall(lambda: subprocess.run([sys.executable, "-m", "noisegen", "--help"],
                                     capture_output=True, check=True))
        for _ in range(5)
    )  # fmt: skip


def _wall(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def _patches(frame: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint16]:
    rows, columns = (length // PATCH for length in frame.shape)
    cut = frame[: rows * PATCH, : columns * PATCH].reshape(rows, PATCH, columns, PATCH)
    return np.ascontiguousarray(cut.swapaxes(1, 2)).reshape(-1, PATCH, PATCH)


def _fresh(path: Path) -> Path:
    shutil.rmtree(path, ignore_errors=True)
    return path


def _copies(folder: Path, file: Path) -> Path:
    folder.mkdir(exist_ok=True)
    for i in range(FRAMES):
        shutil.copy(file, folder / f"{i}{file.suffix}")
    return folder


def _bytes(path: Path, arrays: tuple[str, ...]) -> int:
    return sum(f.stat().st_size for name in arrays for f in (path / name).iterdir())


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        results = measure(folder)
        results["growth"] = growth(folder)
        results["workers"] = workers(folder)
        results["noisegen --help, s"] = startup()
    report("pipeline", results)


if __name__ == "__main__":
    main()
