"""The rows of the bench: kinds of noise on the clean halves of the training pairs.

Of noise that is drawn for a picture beforehand each training picture has a corpus of its own, as
strong as the picture's real noise is.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pipelines
from catalogs import noise_file
from denoisers.realnoise import levels, white
from denoisers.realnoise.halves import Halves
from denoisers.realnoise.learned import NONE, USED, Learned
from denoisers.storage import make_folder, write_text
from noisegen import neca
from noisegen.errors import InputError
from noisegen.neca import Sampler
from noisegen.picture import Model
from noisegen.random import Stream, generator
from pipelines import presets
from pipelines.fit import fit_pairs, licence
from pipelines.pairs import Pairs
from pipelines.recipe import Recipe, parse
from pipelines.tables import Range
from pipelines.tables.neca import WHOLE

WHITE, REAL = "awgn", "real"
"""The rows between which the others are placed."""

FITTED: Model = "heteroscedastic-covariance"
PHYSICS, FINISHED, MIXED = "physics", "physics-finish", f"physics-finish+{WHOLE}"

WHITEST = 255.0
"""Largest level of white noise that a training recipe takes."""

DRAWS = 4
"""Draws of the noise of each sample of a corpus whose noise is stored."""


@dataclass(frozen=True)
class Row:
    """What a network is trained on.

    Attributes
    ----------
    name, title
        Of the row.
    data
        Folders of pairs or corpora.
    training
        Keys of the training recipe that go with it.
    facts
        What was chosen for it on the training pairs, for the results.
    """

    name: str
    title: str
    data: tuple[str, ...]
    training: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Makers:
    """Makes the rows.

    Attributes
    ----------
    pairs
        The training pairs.
    halves
        The same as files.
    work
        Folder for the corpora.
    preset
        Recipe of the physics with finish.
    seed
        Of the corpora.
    learned
        NeCA's networks, if there are any.
    device
        What these are trained on.
    """

    pairs: Pairs
    halves: Halves
    work: Path
    preset: str
    seed: int
    learned: Learned = NONE
    device: str = "auto"

    def check(self) -> None:
        """Refuse what does not do before anything is made."""
        levels.setting(self._physics(PHYSICS))
        self.learned.check(self.pairs, self.strengths)

    @property
    def rows(self) -> dict[str, Callable[[], Row]]:
        """How each row but that of white noise is made, which is kept where it is there."""
        made = {
            FITTED: self.fitted,
            PHYSICS: self.physics,
            FINISHED: self.finished,
            WHOLE: self.neca,
            REAL: self.real,
        }
        if not self.learned.there:
            del made[WHOLE]
        return made

    def white(self, step: int) -> Row | None:
        """Return white noise of the training pairs' own range times the root of 2 to a power.

        None where that is below the pairs' own range or above what a recipe takes. Noise with
        grain looks weaker than it is to a network that knows white noise alone.
        """
        low, high = min(self.strengths.values()), max(self.strengths.values())
        multiple = white.multiple(step)
        if multiple < 1 or multiple * high > WHITEST:
            return None
        limits: Range = (round(multiple * low, 2), round(multiple * high, 2))
        title = f"white noise, level {limits[0]:g} to {limits[1]:g}"
        return Row(WHITE, title, (str(self.halves.folder),), {"awgn": limits}, {"awgn": limits})

    @cached_property
    def strengths(self) -> dict[str, float]:
        """Strength of the noise of each training pair, in 8-bit levels."""
        return levels.strengths(self.pairs)

    def real(self) -> Row:
        """Return the real pairs."""
        return Row(REAL, "the real pairs", (str(self.halves.folder),))

    def fitted(self) -> Row:
        """Return noise as fitted to all pairs, of each picture's own strength."""
        paths = [self.work / f"{FITTED}.{n:05d}.toml" for n in range(len(self.pairs))]
        if not all(path.exists() for path in paths):
            found = fit_pairs(self.pairs, FITTED)
            fitted_to = f"{self.pairs.where}: training scenes of the bench"
            # A picture whose noise cannot be told has the least of the others.
            least = min(filter(None, found.strengths))
            for path, strength in zip(paths, found.strengths, strict=True):
                s = strength or least
                std = tuple(tuple(s * sigma for sigma in channel) for channel in found.noise.std)
                own = replace(found.noise, std=std, strength=(1.0,))
                terms = licence(self.pairs)
                write_text(path, noise_file.to_toml(FITTED, own, fitted_to, terms))
        shared = {**self._shared, "lazy": True}
        recipes = [parse({**shared, "noise": str(path)}, FITTED) for path in paths]
        title = "fitted levels, grain and channel covariance"
        return Row(FITTED, title, self._corpora(recipes, FITTED), {"renoise": True})

    def physics(self) -> Row:
        """Return the sensor's noise, rendered."""
        return self._set(PHYSICS, "sensor noise, rendered")

    def finished(self) -> Row:
        """Return the same with the preset's finish."""
        return self._set(FINISHED, f"the same with the finish of {self.preset}")

    def neca(self) -> Row:
        """Return noise of its camera's NeCA, the gain set as each pair wants it."""
        places = self.learned.places(self.pairs, self.work / "neca", self.seed, self.device)
        base = parse({**self._shared, "noise": WHOLE, "draws": DRAWS}, WHOLE)

        def gains() -> dict[str, Any]:
            samplers = {place: Sampler(neca.load(place, USED)) for place in set(places)}
            each = zip(self.pairs, places, strict=True)
            wanted = self.strengths
            return {
                "gain": {
                    pair.name: levels.gain(samplers[place], pair.clean, wanted[pair.name])
                    for pair, place in each
                }
            }

        facts = self._kept(WHOLE, gains)
        recipes = [
            base.model_copy(update={"neca": base.neca.model_copy(update={"gain": gain})})
            for gain in facts["gain"].values()
        ]
        return Row(WHOLE, "learned by NeCA", self._corpora(recipes, WHOLE, places), {}, facts)

    def _set(self, name: str, title: str) -> Row:
        """Return a row of physics, the camera set as each picture wants it."""
        recipe, halves = self._physics(name), self.halves

        def settings() -> dict[str, Any]:
            trial = self.work / f"{name}.trial.zarr"
            key, found = levels.settings(recipe, self.strengths, halves.clean, halves.whole, trial)
            return {key: found}

        facts = self._kept(name, settings)
        ((key, found),) = facts.items()
        recipes = [recipe.model_copy(update={key: value}) for value in found.values()]
        return Row(name, title, self._corpora(recipes, name), {}, facts)

    def _kept(self, name: str, found: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Return what was found for a row, which is kept where it is there."""
        path = self.work / f"{name}.json"
        if not path.exists():
            write_text(path, json.dumps(found(), indent=1, ensure_ascii=False) + "\n")
        kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return kept

    def _physics(self, name: str) -> Recipe:
        data = {**presets.read(self.preset), **self._shared, "draws": DRAWS}
        finish = data.pop("finish", None)
        if finish is None:
            raise InputError(f"preset '{self.preset}' has no finish; choose one that has")
        # Clean halves of real pairs are means of many shots: noise goes with nothing in them.
        own = {**(finish if name == FINISHED else {}), "target": "mean"}
        return parse({**data, "finish": own}, f"preset {self.preset}")

    def _corpora(
        self, recipes: list[Recipe], name: str, weights: Sequence[str | None] = ()
    ) -> tuple[str, ...]:
        """Make a corpus of each picture by a recipe of its own, and return where they are."""
        out = []
        each = zip(recipes, self.halves.singles, weights or [None] * len(recipes), strict=True)
        for number, (recipe, root, place) in enumerate(each):
            make_folder(self.work / f"{name}.corpora")
            out.append(str(self.work / f"{name}.corpora" / f"{number:05d}.zarr"))
            # Seeds apart: pictures would have the same white fields.
            own = recipe.model_copy(update={"seed": self._seeds[number]})
            pipelines.synthesize(own, out[-1], root=str(root), neca_weights=place)
        return tuple(out)

    @cached_property
    def _seeds(self) -> list[int]:
        rng = generator(self.seed, Stream.BENCH)
        return [int(seed) for seed in rng.integers(1 << 32, size=len(self.pairs))]

    @property
    def _shared(self) -> dict[str, Any]:
        return {
            "source": "folder",
            "patch": self.halves.side,
            "per_image": self.halves.per_image,
            "seed": self.seed,
        }


def mixed(*rows: Row) -> Row:
    """Return a row of the noise of several, of each as often as of the others."""
    data = tuple(path for row in rows for path in row.data)
    return Row(MIXED, "both, half and half", data)
