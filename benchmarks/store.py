"""Writing and reading raw pairs: this store against zarr-python and against the floor.

512 pairs (noisy, clean) of 256x256 mosaics, 64 pairs a shard, 134 MB before compression. The floor
is what no store can beat: blosc on every tile and one append to one file. Run
``python -m benchmarks.store [OUT.json]``.
"""

import shutil
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr
from numcodecs import blosc
from zarr.codecs import BloscCodec, Crc32cCodec

from benchmarks.harness import ratio, report
from pipelines.store import ArraySpec, SampleReader, create, open_store, write_shard

PAIRS, SIDE, SHARD = 512, 256, 64
NAMES = ("noisy", "clean")
SPECS = tuple(
    ArraySpec(
        name,
        (PAIRS, SIDE, SIDE),
        "uint16",
        (1, SIDE, SIDE),
        ("sample", "y", "x"),
        (SHARD, SIDE, SIDE),
    )
    for name in NAMES
)

Mosaics = dict[str, npt.NDArray[np.uint16]]


def mosaics() -> Mosaics:
    """Return made-up 14-bit mosaics: smooth scenes at four gains, noise of 4 DN/e- and 10 DN."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    clean = np.empty((PAIRS, SIDE, SIDE), np.uint16)
    noisy = np.empty_like(clean)
    colour = np.tile([[0.9, 1.0], [1.0, 0.6]], (SIDE // 2, SIDE // 2))
    for pair in range(PAIRS):
        fx, fy, phase = rng.uniform(0.5, 9, 3)
        scene = (1.2 + np.sin(fx * x * 6 + phase) * np.cos(fy * y * 6)) * rng.uniform(200, 5000)
        scene = scene * colour + rng.normal(0, 3, scene.shape)
        clean[pair] = np.clip(scene + 512, 0, 16383)
        noise = rng.normal(0, 1, scene.shape) * np.sqrt(4 * np.maximum(scene, 0) + 100)
        noisy[pair] = np.clip(scene + noise + 512, 0, 16383)
    return {"noisy": noisy, "clean": clean}


def write_ours(data: Mosaics, path: Path) -> None:
    create(path, SPECS, {"noisegen": {}})
    storage = open_store(path)
    for shard in range(PAIRS // SHARD):
        for spec in SPECS:
            write_shard(storage, spec, shard, data[spec.name][shard * SHARD : (shard + 1) * SHARD])


def write_zarr(data: Mosaics, path: Path) -> None:
    root = zarr.create_group(path)
    for name in NAMES:
        array = root.create_array(
            name,
            shape=(PAIRS, SIDE, SIDE),
            dtype="uint16",
            chunks=(1, SIDE, SIDE),
            shards=(SHARD, SIDE, SIDE),
            compressors=[
                BloscCodec(cname="lz4", clevel=1, shuffle="bitshuffle", typesize=2),
                Crc32cCodec(),
            ],
        )
        for first in range(0, PAIRS, SHARD):
            array[first : first + SHARD] = data[name][first : first + SHARD]


def write_floor(data: Mosaics, path: Path) -> None:
    path.mkdir()
    with (path / "floor").open("wb", buffering=0) as file:
        for pair in range(PAIRS):
            for name in NAMES:
                file.write(blosc.compress(data[name][pair], b"lz4", 1, blosc.BITSHUFFLE))


def read_ours(path: Path, order: npt.NDArray[Any]) -> None:
    readers = [SampleReader(path, name) for name in NAMES]
    for pair in order:
        for reader in readers:
            reader[pair]


def read_zarr(path: Path, order: npt.NDArray[Any]) -> None:
    arrays = [zarr.open_array(path, path=name, mode="r") for name in NAMES]
    for pair in order:
        for array in arrays:
            array[int(pair)]


def clear(folder: Path) -> None:
    """Let everyone write where nothing is."""
    for name in ("ours", "zarr", "floor"):
        shutil.rmtree(folder / name, ignore_errors=True)


def measure(folder: Path) -> dict[str, object]:
    """Return each figure by its name."""
    data = mosaics()
    writers = {"ours": write_ours, "zarr": write_zarr, "floor": write_floor}
    write = {name: partial(call, data, folder / name) for name, call in writers.items()}
    before = partial(clear, folder)
    results: dict[str, object] = {
        "write vs zarr-python": ratio(write["zarr"], write["ours"], before=before),
        "write vs floor": ratio(write["floor"], write["ours"], before=before),
    }
    clear(folder)
    for call in write.values():
        call()
    order = np.random.default_rng(1).permutation(PAIRS)[:64]
    read = [partial(call, folder / "ours", order) for call in (read_zarr, read_ours)]
    results["random read vs zarr-python"] = ratio(*read)
    size = {
        name: sum(f.stat().st_size for f in (folder / name).rglob("*") if f.is_file())
        for name in ("ours", "floor")
    }
    results["bytes, times blosc alone"] = size["ours"] / size["floor"]
    return results


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        report("store", measure(Path(folder)))


if __name__ == "__main__":
    main()
