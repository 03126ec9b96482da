"""Make and measure the weights of NeCA that noisegen comes with: phones, distilled.

    noisegen synthesize --preset phone-jpeg --camera GP --set finish.target=mean \\
        --source-option size=320 --patch 192 --count 128 --per-image 4 --draws 3 --seed 1 \\
        --out GP.zarr
    noisegen fit neca --preset neca-distilled --set jpeg.quality=85-95 \\
        --set jpeg.subsampling=4:2:0 --data GP.zarr --camera GP --out GP
    noisegen synthesize --preset phone-jpeg --camera GP --set finish.target=mean \\
        --source folder --root PHOTOGRAPHS --patch 160 --per-image 1 --seed 2 --out teacher.zarr
    python -m benchmarks.neca_shipped GP teacher.zarr [--write]

The networks of the folder ``GP`` were fitted to the noise of the physics chain on dead leaves. The
chain ends with a JPEG, whose settings must be told, as patches are cut off its grid. The networks
are rounded to float16, and put noise on the clean halves of ``teacher.zarr``, on contents that they
have not seen, as strong as that of the noisy halves. The measures of ``noisegen realism`` against
these go on the card; with ``--write`` the file goes to ``catalogs/neca``.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import torch

from benchmarks.neca_realism import noisy, put_neca
from catalogs import cameras
from noisegen import neca
from noisegen.neca import Card, Neca, Sampler
from noisegen.neca.model import FILE
from pipelines import presets
from pipelines.neca import SHIPPED
from pipelines.pairs import Pairs, open_pairs
from pipelines.prepare import resolve
from pipelines.realism.comparison import compare
from pipelines.realism.table import markdown
from pipelines.recipe import Recipe, parse
from pipelines.tables import merged

TEACHER: dict[str, Any] = {
    "preset": "phone-jpeg",
    "finish": {"target": "mean"},
    "source_options": {"size": 320},
    "patch": 192,
    "count": 128,
    "per_image": 4,
    "draws": 3,
    "seed": 1,
}
"""What the recipes of the corpora have in common, as in the command above."""

LICENCE = "Apache-2.0, as noisegen: learned from generated pictures alone"

MEASURES = {
    "lag1": "lag-1 correlation",
    "red_green": "correlation of red and green",
    "green_blue": "correlation of green and blue",
}
"""Of both noises, and their names on the card."""

DISTANCES = {
    "variance": "variance against level dB",
    "kld": "KLD at each level nats",
    "covariance": "covariance distance",
    "auc": "AUC",
}
"""From the teacher's noise, and their names on the card."""


def main() -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.neca_shipped", description=__doc__)
    parser.add_argument("folder", type=Path, help="the networks, as noisegen fit neca left them")
    parser.add_argument("teacher", help="corpus of the same noise on other contents")
    parser.add_argument("--write", action="store_true", help="put the file into catalogs/neca")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        neca.save(scratch, neca.load(asked.folder), torch.float16)
        networks = neca.load(scratch)
    measured = measure(networks, open_pairs(asked.teacher))
    made = Neca(
        networks.correlation,
        networks.level,
        networks.gain,
        _card(networks.card, measured),
    )
    if asked.write:
        SHIPPED.mkdir(exist_ok=True)
        name = made.card.camera
        with tempfile.TemporaryDirectory(dir=SHIPPED) as scratch:
            neca.save(scratch, made, torch.float16)
            (Path(scratch) / FILE).replace(SHIPPED / f"{name}.safetensors")


def measure(networks: Neca, real: Pairs) -> dict[str, float]:
    """Return how the networks' noise and that of pairs compare, and print the whole table."""
    found = compare(real, [noisy(real, put_neca(Sampler(networks)))])
    print(markdown(found, ["teacher", "NeCA-W"]))
    out: dict[str, float] = {}
    ours, theirs = found.synthetic[0].values, found.real.values
    for name, title in MEASURES.items():
        out |= {title: ours[name], f"{title} of the teacher": theirs[name]}
    return out | {title: found.distances[0][name] for name, title in DISTANCES.items()}


def trained_on(camera: str) -> Recipe:
    """Return the recipe of the corpus that a phone's networks are fitted to."""
    return resolve(parse(merged(presets.read(TEACHER["preset"]), TEACHER | {"camera": camera})))


def _card(card: Card, measured: dict[str, float]) -> Card:
    recipe = trained_on(card.camera)
    (identity,) = card.data.values()
    if identity != recipe.sha256:
        raise SystemExit(f"{card.camera}: fitted to another corpus ({identity}) than TEACHER's")
    figures = f"{recipe.camera}'s {cameras.load(recipe.camera).figures} noise levels"
    if note := NOTES.get(recipe.camera):
        figures = f"{figures} ({note})"
    source = (
        f"{recipe.count} patches of {recipe.patch}x{recipe.patch} pixels of dead leaves with "
        f"{recipe.draws} draws of noise each, noisegen synthesize --preset {recipe.preset} --set "
        f"finish.target=mean, {figures}; recipe"
    )
    own = {
        name.replace("held-out", "on held-out dead leaves,"): v for name, v in card.metrics.items()
    }
    other = {f"on photographs, {name}": value for name, value in measured.items()}
    metrics = {name: round(value, 4) for name, value in (own | other).items()}
    return card.model_copy(
        update={
            "origin": f"{card.origin}: distilled from noisegen's physics chain",
            "data": {source: recipe.sha256},
            "metrics": metrics,
            "licence": LICENCE,
        }
    )


NOTES = {"IP": "its declared table does not vary with ISO: all ISOs are as noisy"}
"""What must be known of a camera's figures."""


if __name__ == "__main__":
    main()
