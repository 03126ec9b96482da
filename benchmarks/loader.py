"""Reading training batches: this loader against PNG files read with OpenCV and cropped.

The baseline reads as BasicSR and KAIR do: noisy and clean sub-images of 480 pixels, a PNG file each
(compression 3), both decoded with ``cv2.imread``, one random crop of 128, mirrored and turned at
random. It is spared their conversion to float: it gives batches of uint8, as the loader does. Both
run in one process without workers, on batches of 32 pairs of 128x128, sRGB of 8 bits, out of the
page cache; figures are of CPU seconds a pair. Bars: 100 times from a corpus of that patch size, 20
times with random crops of chunks of 480; a lazy corpus of mosaics, whose noise is drawn as it is
read, 1.5 times the stored sRGB one. Pictures are those of ``NOISEGEN_DATA``'s ``clean/kodak24``, or
dead leaves. Run ``python -m benchmarks.loader [OUT.json]``.
"""

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

import pipelines
from benchmarks.harness import ratio, report
from denoisers.data import Loader, Mixture, open_data

PATCH, BATCH, SUB_IMAGE = 128, 32, 480
ROUNDS = 15


def photographs() -> str | None:
    """Return the folder of the pictures, None where it is not there."""
    folder = Path(os.environ.get("NOISEGEN_DATA", ""), "clean", "kodak24")
    return str(folder) if "NOISEGEN_DATA" in os.environ and folder.is_dir() else None


def corpus(folder: Path, name: str, **changes: Any) -> str:
    """Make a corpus and return its path: 12 pictures, 1536 patches of 128 or 96 of 480."""
    per_image = 128 if changes.get("patch", PATCH) == PATCH else 8
    keys = {"patch": PATCH, "per_image": per_image, "count": 12 * per_image, **changes}
    root = photographs()
    if root is None:
        keys |= {"source": "deadleaves", "source_options": {"size": 512}}
    else:
        keys |= {"source": "folder"}
    path = str(folder / f"{name}.zarr")
    pipelines.synthesize(pipelines.Recipe.model_validate(keys), path, root=root)
    return path


def png_files(path: str, folder: Path) -> list[tuple[str, str]]:
    """Write the pairs of a corpus as PNG files and return their noisy and clean names."""
    opened, names = pipelines.open(path), []
    for sample in opened.valid.tolist():
        pair = []
        for kind in ("noisy", "clean"):
            file = folder / f"{sample:04}_{kind}.png"
            picture = opened[sample].arrays[kind][..., ::-1]
            cv2.imwrite(str(file), picture, [cv2.IMWRITE_PNG_COMPRESSION, 3])
            pair.append(str(file))
        names.append((pair[0], pair[1]))
    return names


def png_batches(names: list[tuple[str, str]]) -> Iterator[dict[str, npt.NDArray[np.uint8]]]:
    """Yield batches as the baseline makes them."""
    rng = np.random.default_rng(0)
    while True:
        batch: dict[str, list[npt.NDArray[np.uint8]]] = {"noisy": [], "clean": []}
        for number in rng.integers(len(names), size=BATCH).tolist():
            y, x = rng.integers(SUB_IMAGE - PATCH + 1, size=2).tolist()
            mirrored, upside, swapped = (rng.random(3) < 0.5).tolist()
            for kind, name in zip(batch, names[number], strict=True):
                crop = cv2.imread(name, cv2.IMREAD_COLOR)[y : y + PATCH, x : x + PATCH]
                crop = cv2.flip(crop, 1) if mirrored else crop
                crop = cv2.flip(crop, 0) if upside else crop
                batch[kind].append(cv2.transpose(crop) if swapped else crop)
        yield {kind: np.stack(crops) for kind, crops in batch.items()}


def loader_batches(path: str, **options: Any) -> Iterator[object]:
    """Yield the loader's batches of a corpus."""
    keep = {name: options.pop(name) for name in ("renoise",) if name in options}
    mixture = Mixture([open_data(path, **keep)], (1,))
    return Loader(mixture, patch=PATCH, batch=BATCH, seed=0, **options).batches()


def against(
    baseline: Iterator[object], subject: Iterator[object], batches: tuple[int, int]
) -> dict[str, float]:
    """Measure two streams of batches; each round takes so many of one and of the other."""

    def taking(stream: Iterator[object], number: int) -> Callable[[], None]:
        def take() -> None:
            for _ in range(number):
                next(stream)

        return take

    first, second = batches
    found = ratio(taking(baseline, first), taking(subject, second), ROUNDS)
    for name in ("ratio", "ratio_lower_quartile", "ratio_upper_quartile"):
        found[name] *= second / first
    found["baseline_pairs_per_second"] = first * BATCH / found.pop("baseline_seconds")
    found["subject_pairs_per_second"] = second * BATCH / found.pop("subject_seconds")
    return found


def measure(folder: Path) -> dict[str, object]:
    """Return each figure by its name."""
    cv2.setNumThreads(1)
    small = corpus(folder, "small")
    large = corpus(folder, "large", patch=SUB_IMAGE)
    raw = corpus(folder, "raw", stage="raw", lazy=True)
    rendered = corpus(folder, "rendered", lazy=True)
    files = png_files(large, folder)
    png = lambda: png_batches(files)  # noqa: E731
    results: dict[str, object] = {"pictures": photographs() or "dead leaves"}
    results["corpus of that patch size, vs PNG"] = against(png(), loader_batches(small), (1, 40))
    results["... not turned"] = against(png(), loader_batches(small, augment=False), (1, 40))
    results["random crops of chunks of 480, vs PNG"] = against(png(), loader_batches(large), (1, 8))
    results["lazy raw vs stored sRGB"] = against(
        loader_batches(small), loader_batches(raw), (20, 20)
    )
    results["... neither turned"] = against(
        loader_batches(small, augment=False), loader_batches(raw, augment=False), (20, 20)
    )
    results["lazy raw, drawn anew, vs stored sRGB"] = against(
        loader_batches(small), loader_batches(raw, renoise=True), (20, 20)
    )
    results["lazy sRGB vs PNG"] = against(png(), loader_batches(rendered), (1, 8))
    return results


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        report("loader", measure(Path(folder)))


if __name__ == "__main__":
    main()
