"""The tables of docs/realism.md: presets, recipes and fitted noise against real pairs.

    python -m benchmarks.realism --real cc=PAIRS --real sidd=PAIRS [NAME ...] --json realism.json

A NAME is a preset, a model of ``noisegen fit`` (fitted to the real set itself: a baseline in its
own favour), or a TOML file, ``TITLE=FILE.toml``: a recipe, or a file that ``noisegen fit`` wrote.
Without any, all presets and models are compared. Each makes a corpus of the clean halves of the
real pairs, as ``noisegen synthesize`` does, so that all sets show the same scenes. Where a recipe
names no camera, it gets the one of :data:`CAMERAS`; where it finishes pictures, both halves of a
pair are finished; where it stores mosaics alone, they are rendered by the recipe's own chain.

Two tables a set: of the first samples as they are drawn, and of those whose noise is as strong as
the real noise at their place. How strong noise is depends on the ISO that one asks for, and says
nothing of its kind. Where the real set has a camera of four scenes or more, a third table sets its
other cameras of two scenes or more against that one: how far apart real cameras are.
"""

import argparse
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

import pipelines
from benchmarks import harness
from benchmarks.matching import nearest
from catalogs import noise_file
from noisegen import picture
from noisegen.errors import InputError, NoisegenError
from pipelines import presets
from pipelines.fit import choose, fit_pairs, licence, provenance
from pipelines.pairs import Pairs, open_pairs
from pipelines.realism.comparison import MIN_SCENES, Comparison, compare
from pipelines.realism.table import markdown
from pipelines.recipe import parse, read_table

CAMERAS: dict[str, dict[str, Any]] = {
    "cc": {"camera": "NikonD850", "gain": (6.6, 26.5)},
    "sidd": {"camera": "GP", "iso": (3200.0, 6400.0)},
}
"""Cameras whose raw noise is near that of a real set; another set gets the recipe's own."""

NAMES = ("raw-only", "published", "camera-jpeg", "phone-jpeg", *picture.MODELS)
"""What is compared unless something else is asked for."""

PATCH = 256
"""Height and width of a sample, in pixels."""

CANDIDATES = 32
"""Samples of each clean picture, of which the matched ones are taken."""

TAKEN = 4
"""Samples of each clean picture that are compared."""


def main() -> int:
    """Make the tables and return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.realism",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="preset, model or TITLE=FILE.toml")
    parser.add_argument(
        "--real", action="append", required=True, metavar="TITLE=PAIRS", help="a real set"
    )
    parser.add_argument("--scenes", metavar="I/N", help="part I of N of the real sets' scenes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="Markdown file; the terminal without it")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    asked = parser.parse_args()
    names = [_titled(name) for name in asked.names or NAMES]
    tables, numbers = [], {}
    try:
        for title, path in map(_titled, asked.real):
            real = open_pairs(path)
            if asked.scenes:
                part, _, parts = asked.scenes.partition("/")
                real = choose(real, (int(part), int(parts)))
            found = _compared(title, real, names, asked.seed) | _between_cameras(real, asked.seed)
            for how, (heads, comparison) in found.items():
                tables.append(f"### {title}, {how}\n\n{markdown(comparison, heads)}")
                numbers[f"{title}, {how}"] = _numbers(comparison, heads)
    except NoisegenError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    command = " ".join(["python -m benchmarks.realism", *sys.argv[1:]])
    text = "\n".join([f"`{command}`\n", *tables])
    if asked.out:
        asked.out.write_text(text, encoding="utf-8")
    else:
        print(text)
    if asked.json:
        what = {"command": command, "environment": harness.environment(), "results": numbers}
        asked.json.write_text(json.dumps(what, indent=1) + "\n", encoding="utf-8")
    return 0


def _compared(
    title: str, real: Pairs, names: Sequence[tuple[str, str]], seed: int
) -> dict[str, tuple[list[str], Comparison]]:
    """Compare all that was asked for with one real set, as drawn and with matched levels."""
    heads = [title, *(name for name, _ in names)]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        places = _clean_halves(real, root / "clean")
        drawn, matched = [], []
        for number, (_, given) in enumerate(names):
            data = _recipe(real, title, given, root / f"{number}.toml") | {"seed": seed}
            out = root / f"{number}.zarr"
            pipelines.synthesize(parse(data, given), str(out), root=str(root / "clean"))
            corpus = pipelines.open(out)
            drawn.append(open_pairs(out).take(np.flatnonzero(corpus.table["index"] < TAKEN)))
            matched.append(open_pairs(out).take(nearest(real, corpus, places, TAKEN)))
        return {
            "as drawn": (heads, compare(real, drawn, seed=seed)),
            "as strong as the real noise": (heads, compare(real, matched, seed=seed)),
        }


def _between_cameras(real: Pairs, seed: int) -> dict[str, tuple[list[str], Comparison]]:
    """Compare the camera of most scenes with the others, where there are enough scenes."""
    scenes = Counter({entry.scene: entry.camera for entry in real.entries}.values())
    (first, most), *others = scenes.most_common()
    heads = [first, *(camera for camera, count in others if camera and count >= 2)]
    if not first or most < MIN_SCENES or len(heads) < 2:
        return {}
    one, *rest = (
        real.take([i for i, entry in enumerate(real.entries) if entry.camera == camera])
        for camera in heads
    )
    return {"camera against camera": (heads, compare(one, rest, seed=seed))}


def _recipe(real: Pairs, title: str, given: str, file: Path) -> dict[str, Any]:
    """Return the recipe of a preset, of a TOML file, or of noise fitted to the real set."""
    common = {"source": "folder", "patch": PATCH, "per_image": CANDIDATES}
    if given in picture.MODELS:
        found = fit_pairs(real, given)
        noise_file.write(
            str(file), given, found.noise, provenance(real, found, "all"), licence(real)
        )
        return {**common, "noise": str(file)}
    data = read_table(given) if given.endswith(".toml") else {"preset": given}
    if "fitted_to" in data:
        return {**common, "noise": given}
    preset = presets.read(data["preset"]) if "preset" in data else {}
    every = preset | data
    if not {"camera", "camera_file", "iso", "gain"} & every.keys():
        data |= CAMERAS.get(title, {})
    if every.get("finish"):
        data["finish"] = {**data.get("finish", {}), "target": "finished"}
    if every.get("stage") == "raw":
        data["stage"] = "srgb"
    return data | common


def _clean_halves(real: Pairs, folder: Path) -> dict[str, int]:
    """Write the clean halves as pictures named by scene, so that folds hold the same scenes out.

    Returns the number of the pair of each file.
    """
    folder.mkdir()
    scenes: dict[str, int] = {}
    places = {}
    for number, pair in enumerate(real):
        count = scenes[pair.scene] = scenes.get(pair.scene, 0) + 1
        name = pair.scene.replace("/", "_") + ("" if count == 1 else f" {count}") + ".png"
        if min(pair.clean.shape[:2]) < PATCH:
            raise InputError(f"{real.where}: {pair.name} is smaller than {PATCH}x{PATCH} pixels")
        cv2.imwrite(str(folder / name), np.ascontiguousarray(pair.clean[..., ::-1]))
        places[name] = number
    return places


def _numbers(found: Comparison, heads: Sequence[str]) -> dict[str, Any]:
    """Return a comparison as JSON data, its sets by their titles."""
    data = found.to_json()
    for one, head in zip((data["real"], *data["synthetic"]), heads, strict=True):
        one["where"] = head
    return data


def _titled(text: str) -> tuple[str, str]:
    """Split TITLE=REST; a text without a title is its own."""
    title, equals, rest = text.partition("=")
    return (title, rest) if equals else (Path(text).name, text)


if __name__ == "__main__":
    sys.exit(main())
