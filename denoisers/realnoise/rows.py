"""The rows of the bench: kinds of noise on the clean halves of the training pairs."""

from collections.abc import Iterator, Mapping
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

LARGEST = 16
"""Largest multiple of the training pairs' own range that is tried for white noise."""

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

    def candidates(self) -> Iterator[Row]:
        """Yield white noise of the training pairs' own range, of twice that, and so on.

        Noise with grain looks weaker than it is to a network that knows white noise alone.
        """
        low, high = min(self.strengths.values()), max(self.strengths.values())
        multiple = 1
        while multiple <= LARGEST and multiple * high <= WHITEST:
            limits: Range = (round(multiple * low, 2), round(multiple * high, 2))
            title = f"white noise, level {limits[0]:g} to {limits[1]:g}"
            name, data = f"{WHITE}-{multiple}", str(self.halves.folder)
            yield Row(name, title, data, {"awgn": limits}, {"awgn": limits})
            multiple *= 2

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
        recipe = parse({**self._shared, "noise": str(path)}, FITTED)
        return self._corpus(recipe, FITTED, "fitted levels, grain and channel covariance")

    def _physics(self) -> list[Row]:
        data = {**presets.read(self.preset), **self._shared}
        finish = data.pop("finish", None)
        if finish is None:
            raise InputError(f"preset '{self.preset}' has no finish; choose one that has")
        plain = parse(data, f"preset {self.preset}")
        # Clean halves of real pairs are finished already: what is learnt is the noise alone.
        full = parse({**data, "finish": {**finish, "target": "finished"}}, f"preset {self.preset}")
        rows = []
        for name, title, recipe in (
            ("physics", "sensor noise, rendered", plain),
            ("physics-finish", f"the same with the finish of {self.preset}", full),
        ):
            own = self._matched(recipe, name)
            rows.append(self._corpus(own, name, title, levels.setting(own)))
        return rows

    def _matched(self, recipe: Recipe, name: str) -> Recipe:
        path = self.work / f"{name}.toml"
        if not path.exists():
            trial = self.work / f"{name}.trial.zarr"
            own = levels.matched(recipe, self.strengths, self.halves.clean, trial)
            write_text(path, own.to_toml())
        return read(path)

    def _corpus(
        self, recipe: Recipe, name: str, title: str, facts: Mapping[str, Any] | None = None
    ) -> Row:
        out = str(self.work / f"{name}.zarr")
        pipelines.synthesize(recipe, out, root=str(self.halves.clean))
        return Row(name, title, out, {"renoise": True}, facts or {})

    @property
    def _shared(self) -> dict[str, Any]:
        return {
            "source": "folder",
            "patch": self.halves.side,
            "per_image": self.halves.per_image,
            "lazy": True,
            "seed": self.seed,
        }
