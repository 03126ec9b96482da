"""The rows of the bench: kinds of noise on the clean halves of the training pairs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pipelines
from catalogs import noise_file
from denoisers.realnoise import levels
from denoisers.realnoise.halves import Halves
from denoisers.storage import write_text
from noisegen.errors import InputError
from noisegen.picture import Model
from pipelines import presets
from pipelines.fit import fit_pairs, licence
from pipelines.pairs import Pairs
from pipelines.recipe import Recipe, parse, read
from pipelines.tables import Range

WHITE, REAL = "awgn", "real"
"""The rows between which the others are placed."""

WHITEST = 255.0
"""Largest level of white noise that a training recipe takes."""

FIRST = 2
"""Step at which white noise is tried first: the double of the pairs' own range."""

DRAWS = 4
"""Draws of the noise of each sample of a corpus whose clean pictures are means."""

FITTED: Model = "heteroscedastic-covariance"


@dataclass(frozen=True)
class Row:
    """What a network is trained on.

    Attributes
    ----------
    name, title
        Of the row.
    data
        Folder of pairs or corpus.
    training
        Keys of the training recipe that go with it.
    facts
        What was chosen for it on the training pairs, for the results.
    """

    name: str
    title: str
    data: str
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
    """

    pairs: Pairs
    halves: Halves
    work: Path
    preset: str
    seed: int

    def white(self, step: int) -> Row | None:
        """Return white noise of the training pairs' own range times the root of 2 to a power.

        None where that is below the pairs' own range or above what a recipe takes. Noise with
        grain looks weaker than it is to a network that knows white noise alone.
        """
        low, high = min(self.strengths.values()), max(self.strengths.values())
        multiple = 2 ** (step / 2)
        if multiple < 1 or multiple * high > WHITEST:
            return None
        limits: Range = (round(multiple * low, 2), round(multiple * high, 2))
        title = f"white noise, level {limits[0]:g} to {limits[1]:g}"
        return Row(WHITE, title, str(self.halves.folder), {"awgn": limits}, {"awgn": limits})

    def others(self) -> list[Row]:
        """Return the other rows, made where they are not there yet."""
        return [self._fitted(), *self._physics(), self._real()]

    @cached_property
    def strengths(self) -> dict[str, float]:
        """Strength of the noise of each training pair, in 8-bit levels."""
        return levels.strengths(self.pairs)

    def _real(self) -> Row:
        return Row(REAL, "the real pairs", str(self.halves.folder))

    def _fitted(self) -> Row:
        path = self.work / f"{FITTED}.toml"
        if not path.exists():
            noise = fit_pairs(self.pairs, FITTED).noise
            fitted_to = f"{self.pairs.where}: training scenes of the bench"
            noise_file.write(path, FITTED, noise, fitted_to, licence(self.pairs))
        recipe = parse({**self._shared, "lazy": True, "noise": str(path)}, FITTED)
        title = "fitted levels, grain and channel covariance"
        return Row(FITTED, title, self._corpus(recipe, FITTED), {"renoise": True})

    def _physics(self) -> list[Row]:
        data = {**presets.read(self.preset), **self._shared, "draws": DRAWS}
        finish = data.pop("finish", None)
        if finish is None:
            raise InputError(f"preset '{self.preset}' has no finish; choose one that has")
        # Clean halves of real pairs are means of many shots: noise goes with nothing in them.
        rows = []
        for name, title, own in (
            ("physics", "sensor noise, rendered", {}),
            ("physics-finish", f"the same with the finish of {self.preset}", finish),
        ):
            whole = {**data, "finish": {**own, "target": "mean"}}
            recipe = self._matched(parse(whole, f"preset {self.preset}"), name)
            rows.append(Row(name, title, self._corpus(recipe, name), {}, levels.setting(recipe)))
        return rows

    def _matched(self, recipe: Recipe, name: str) -> Recipe:
        path = self.work / f"{name}.toml"
        if not path.exists():
            trial, halves = self.work / f"{name}.trial.zarr", self.halves
            own = levels.matched(recipe, self.strengths, halves.clean, halves.whole, trial)
            write_text(path, own.to_toml())
        return read(path)

    def _corpus(self, recipe: Recipe, name: str) -> str:
        out = str(self.work / f"{name}.zarr")
        pipelines.synthesize(recipe, out, root=str(self.halves.clean))
        return out

    @property
    def _shared(self) -> dict[str, Any]:
        return {
            "source": "folder",
            "patch": self.halves.side,
            "per_image": self.halves.per_image,
            "seed": self.seed,
        }
