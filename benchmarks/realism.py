"""The table of docs/realism.md: recipes and fitted noise against real pairs, as Markdown.

    python -m benchmarks.realism --real cc=PAIRS --real sidd=PAIRS NAME... --out table.md

A NAME is a preset, ``plain`` (the recipe's defaults), a model of ``noisegen fit`` (fitted to the
real set itself: a baseline in its own favour), or a TOML file, ``TITLE=FILE.toml``: a recipe, or a
file that ``noisegen fit`` wrote. Recipes are run on the clean halves of the real pairs, fitted
noise is put on them, so that all sets show the same scenes. Where a recipe names no camera, it gets
the one of :data:`CAMERAS`; where it finishes pictures, both halves of a pair are finished.
"""

import argparse
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

import pipelines
from catalogs import noise_file
from noisegen import picture, random
from noisegen.errors import InputError, NoisegenError
from pipelines import presets
from pipelines.fit import choose, fit_pairs
from pipelines.pairs import Pairs, open_pairs
from pipelines.realism.comparison import compare
from pipelines.realism.table import markdown
from pipelines.recipe import parse, read_table

CAMERAS: dict[str, dict[str, Any]] = {
    "cc": {"camera": "NikonD850", "gain": (6.6, 26.5)},
    "sidd": {"camera": "GP", "iso": (3200.0, 6400.0)},
}
"""Cameras whose raw noise is near that of a real set; another set gets the recipe's own."""

PATCH = 256
"""Height and width of a sample, in pixels."""

PER_IMAGE = 4
"""Samples of each clean picture."""


def main() -> int:
    """Make the tables and return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.realism",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="+", metavar="NAME", help="preset, model or TITLE=FILE.toml")
    parser.add_argument(
        "--real", action="append", required=True, metavar="TITLE=PAIRS", help="a real set"
    )
    parser.add_argument("--scenes", metavar="I/N", help="part I of N of the real sets' scenes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="Markdown file; the terminal without it")
    asked = parser.parse_args()
    command = " ".join(["python -m benchmarks.realism", *sys.argv[1:]])
    try:
        tables = [_table(*_titled(real), asked) for real in asked.real]
    except NoisegenError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    text = "\n".join([f"`{command}`\n", *tables])
    if asked.out:
        asked.out.write_text(text, encoding="utf-8")
    else:
        print(text)
    return 0


def _table(title: str, path: str, asked: argparse.Namespace) -> str:
    """Compare all that was asked for with one real set."""
    real = open_pairs(path)
    if asked.scenes:
        part, _, parts = asked.scenes.partition("/")
        real = choose(real, (int(part), int(parts)))
    with tempfile.TemporaryDirectory() as folder:
        clean = _clean_halves(real, Path(folder) / "clean")
        names, sets = [], []
        for number, given in enumerate(asked.names):
            name, file = _titled(given)
            names.append(name)
            out = Path(folder) / f"{number}.zarr"
            sets.append(_synthetic(real, title, file, clean, out, asked.seed))
        found = compare(real, sets, seed=asked.seed)
    return f"### {title}\n\n{markdown(found, [title, *names])}"


def _synthetic(real: Pairs, title: str, given: str, clean: Path, out: Path, seed: int) -> Pairs:
    """Return the pairs of a recipe or of fitted noise on the clean halves of a real set."""
    if given in picture.MODELS:
        return _with_noise(real, fit_pairs(real, given).noise, seed)
    if given.endswith(".toml"):
        data = read_table(given)
        if "fitted_to" in data:
            return _with_noise(real, noise_file.load(given).noise, seed)
    else:
        data = {} if given == "plain" else presets.read(given)
    if not {"camera", "camera_file", "iso", "gain"} & data.keys():
        data |= CAMERAS.get(title, {})
    if data.get("finish"):
        data["finish"] = {**data["finish"], "target": "finished"}
    data |= {"source": "folder", "patch": PATCH, "per_image": PER_IMAGE, "seed": seed}
    pipelines.synthesize(parse(data, given), str(out), root=str(clean))
    return open_pairs(out)


def _with_noise(real: Pairs, noise: picture.PictureNoise, seed: int) -> Pairs:
    """Return the clean halves of a real set with fitted noise in the place of the real one."""

    def load(place: int) -> tuple[Any, Any]:
        clean, _ = real.load(place)
        strength = noise.draw_strength(
            random.generator(seed, random.Stream.REALISM, 1 << 20, place)
        )
        return clean, picture.add_noise(
            clean, noise, random.counter(seed, place), strength=strength
        )

    return replace(real, load=load)


def _clean_halves(real: Pairs, folder: Path) -> Path:
    """Write the clean halves as pictures named by scene, so that folds hold the same scenes out."""
    folder.mkdir()
    scenes: dict[str, int] = {}
    for pair in real:
        count = scenes[pair.scene] = scenes.get(pair.scene, 0) + 1
        name = pair.scene.replace("/", "_") + ("" if count == 1 else f" {count}")
        if min(pair.clean.shape[:2]) < PATCH:
            raise InputError(f"{real.where}: {pair.name} is smaller than {PATCH}x{PATCH} pixels")
        cv2.imwrite(str(folder / f"{name}.png"), np.ascontiguousarray(pair.clean[..., ::-1]))
    return folder


def _titled(text: str) -> tuple[str, str]:
    """Split TITLE=REST; a text without a title is its own."""
    title, equals, rest = text.partition("=")
    return (title, rest) if equals else (Path(text).name, text)


if __name__ == "__main__":
    sys.exit(main())
