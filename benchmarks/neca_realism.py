"""How real NeCA's noise is on scenes it has not seen, beside models fitted to the same pairs.

    noisegen fit neca --data PAIRS --camera NAME --scenes 1/2 --out DIR
    python -m benchmarks.neca_realism PAIRS 1/2 DIR [--other DIR2] [--look LOOK.png]

The part of the scenes is that which NeCA was trained on; the models of ``noisegen fit`` are fitted
to it too. DIR has NeCA's weights, or a folder of them for each camera of the pairs, called as it
is: a camera's pictures then get the noise of its own networks, and of models fitted to its own
pairs. With ``--other``, networks that were trained on the other half, the halves change places, and
all scenes are compared. All put noise on the clean halves of the scenes that they were not fitted
to, several times, and are told how strong the noise of each picture is: their noise is made larger
or smaller until it has the real one's variance, NeCA's at a gain that is the real noise's standard
deviation. NeCA is there twice more: with that gain alone, and with the gain that its own
network reads off the noisy half. Two tables: that of ``noisegen realism``, and divergences of each
picture with its own real noise, mean over the pictures: as papers print them, and at each level
once the noise's mean there is taken away, which in real pairs says how the halves were exposed.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from benchmarks.matching import strength
from denoisers.neca.pairs import of_camera, weights_by_camera
from noisegen import metrics, neca, random
from noisegen.neca.sampling import Sampler
from noisegen.picture import MODELS, add_noise
from pipelines.fit import choose, fit_pairs
from pipelines.pairs import Pair, Pairs, Picture, open_pairs
from pipelines.realism.comparison import compare
from pipelines.realism.distances import kld
from pipelines.realism.measures import Measures, of_field
from pipelines.realism.noise import noise_field
from pipelines.realism.table import markdown

DRAWS = 4

CROP, ENLARGED = 160, 3
"""Side of the crops that are shown, in pixels, and how much larger they are."""

Put = Callable[[int, int, Pair], Picture]
"""Number of the pair, draw, the real pair: the clean half with noise."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.neca_realism", description=__doc__)
    parser.add_argument("pairs")
    parser.add_argument("part", help="I/N: the scenes that NeCA was trained on")
    parser.add_argument("folder", help="NeCA's weights, or a folder of each camera's")
    parser.add_argument("--other", help="weights that were trained on the other half of the scenes")
    parser.add_argument("--look", type=Path, help="PNG of real and made noise side by side")
    asked = parser.parse_args()
    part, parts = map(int, asked.part.split("/"))
    every = open_pairs(asked.pairs)
    halves = [_Half.of(every, (part, parts), asked.folder)]
    if asked.other:
        halves.append(_Half.of(every, (3 - part, parts), asked.other))
    real = every if asked.other else halves[0].others
    rows = {name: _by_scene(halves, name) for name in halves[0].puts}
    sets = [noisy(real, put) for put in rows.values()]
    print(markdown(compare(real, sets), ["real, held out", *rows]))
    print(_published(real, dict(zip(rows, sets, strict=True))))
    if asked.look:
        cv2.imwrite(str(asked.look), _look(real, sets))


@dataclass(frozen=True)
class _Half:
    """What is fitted to some scenes, for the pairs of the others."""

    others: Pairs
    puts: dict[str, Put]

    @classmethod
    def of(cls, every: Pairs, part: tuple[int, int], folder: str) -> "_Half":
        fitted = choose(every, part)
        others = every.of_scenes(set(every.scenes) - set(fitted.scenes))
        places = weights_by_camera(folder, [entry.camera for entry in others.entries])
        if folder in places.values():
            own = dict.fromkeys(places, _puts(fitted, folder))
        else:
            strange = places.keys() - {entry.camera for entry in fitted.entries}
            if strange:
                raise SystemExit(f"{', '.join(sorted(strange))}: no scenes in part {part[0]}")
            own = {c: _puts(of_camera(fitted, c), place) for c, place in places.items()}
        names = next(iter(own.values()))
        return cls(others, {name: _by_camera(own, name) for name in names})


def _puts(fitted: Pairs, folder: str) -> dict[str, Put]:
    sampler = Sampler(neca.load(folder))
    return {
        "NeCA-W": put_neca(sampler, matched=True),
        "NeCA-W, gain alone": put_neca(sampler),
        "NeCA-W, gain by E": put_neca(sampler, read=True),
        **{model: _model(fitted, model) for model in reversed(MODELS)},
    }


def _by_camera(own: dict[str, dict[str, Put]], name: str) -> Put:
    return lambda number, draw, pair: own[pair.camera][name](number, draw, pair)


def _by_scene(halves: list[_Half], name: str) -> Put:
    """Return what puts on a pair the noise of the half that its scene is not of."""

    def put(number: int, draw: int, pair: Pair) -> Picture:
        (half,) = (half for half in halves if pair.scene in half.others.scenes)
        return half.puts[name](number, draw, pair)

    return put


def put_neca(sampler: Sampler, *, read: bool = False, matched: bool = False) -> Put:
    """Return what puts NeCA's noise on a picture, as strong as that of its noisy half.

    Parameters
    ----------
    sampler
        The networks.
    read
        Their gain network tells how strong that is; if not, it is measured.
    matched
        The level map is scaled until the noise is as strong.
    """

    def put(number: int, draw: int, pair: Pair) -> Picture:
        noise = (pair.noisy.astype(np.float64) - pair.clean) / np.iinfo(pair.clean.dtype).max
        gain = sampler.gain(pair.noisy) if read else float(noise.std())
        level = sampler.level_map(pair.clean, gain)
        where, jpeg = random.counter(0, number, draw), sampler.card.jpeg
        rng = random.generator(0, random.Stream.BENCH, number, draw)
        quality = None if jpeg is None else jpeg.draw(rng)

        def made(s: float) -> Picture:
            return sampler.add_noise(pair.clean, np.float32(s) * level, where, quality=quality)

        return _as_strong(pair, made) if matched else made(1.0)

    return put


def _model(fitted: Pairs, model: str) -> Put:
    noise = fit_pairs(fitted, model).noise  # type: ignore[arg-type]

    def put(number: int, draw: int, pair: Pair) -> Picture:
        where = random.counter(0, number, draw)
        return _as_strong(pair, lambda s: add_noise(pair.clean, noise, where, strength=s))

    return put


def _as_strong(pair: Pair, made: Callable[[float], Picture]) -> Picture:
    """Return the noisy picture at the strength at which its noise has the real one's variance."""
    s, real = 1.0, strength(pair.clean, pair.noisy)
    for _ in range(3):  # rounding and clipping keep the variance from going with s²
        s *= float(np.exp((real - strength(pair.clean, made(s))) / 2))
    return made(s)


def noisy(real: Pairs, put: Put) -> Pairs:
    """Return the clean halves with noise, each :data:`DRAWS` times."""
    made: dict[int, tuple[Picture, Picture]] = {}

    def load(place: int) -> tuple[Picture, Picture]:
        if place not in made:
            number, draw = divmod(place, DRAWS)
            pair = real[number]
            made[place] = pair.clean, put(number, draw, pair)
        return made[place]

    entries = tuple(e._replace(name=f"{e.name} {k}") for e in real.entries for k in range(DRAWS))
    return replace(
        real, where="made", entries=entries, load=load, places=tuple(range(len(entries)))
    )


def _published(real: Pairs, sets: dict[str, Pairs]) -> str:
    names = [*(f"KLD, {name}" for name in metrics.KLD), "AKLD", "KLD at each level, less its mean"]
    lines = ["| | " + " | ".join(names) + " |", "|---|" + "---:|" * len(names)]
    for name, made in sets.items():
        rows = []
        for place, pair in enumerate(made):
            own = real[place // DRAWS]
            white = np.iinfo(own.clean.dtype).max
            x, y, z = (half / white for half in (own.clean, own.noisy, pair.noisy))
            klds = [metrics.kld(y - x, z - x, definition) for definition in metrics.KLD]
            rows.append([*klds, metrics.akld(x, y, z), kld(_centred(own), _centred(pair))])
        cells = [f"{value:.3f}".replace("-", "−") for value in np.mean(rows, axis=0)]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _centred(pair: Pair) -> Measures:
    field = noise_field(pair.clean, pair.noisy)
    return of_field(replace(field, noise=field.centred))


def _look(real: Pairs, sets: list[Pairs]) -> Picture:
    """Return middles of the real pairs, and the same with made noise, as B, G, R."""
    rows = []
    for number, pair in enumerate(real):
        height, width, _ = pair.clean.shape
        y, x = (height - CROP) // 2, (width - CROP) // 2
        noisy = [pair.clean, pair.noisy, *(made[number * DRAWS].noisy for made in sets)]
        cut = [picture[y : y + CROP, x : x + CROP, ::-1] for picture in noisy]
        rows.append(np.hstack(cut))
    return np.kron(np.vstack(rows), np.ones((ENLARGED, ENLARGED, 1), np.uint8)).astype(np.uint8)


if __name__ == "__main__":
    main()
