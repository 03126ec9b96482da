"""The bench: one network a row and seed, tested on scenes and on a camera that were left out.

::

    WORK/
        bench.json        what is measured: another bench in the same folder is refused
        registered/       all pairs, their halves laid on each other, and shifts.json
        train/            the training pairs as files
        *.toml, *.zarr    fitted noise, matched recipes, corpora
        runs/ROW-SEED/    training runs, and psnr-SET.json of each set of pictures they ran on

The same work folder goes on where it was stopped.
"""

import hashlib
import json
import math
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from denoisers import card as cards
from denoisers.inference.restorer import Restorer
from denoisers.realnoise import filters, halves
from denoisers.realnoise.register import Shifts, registered
from denoisers.realnoise.rows import FIRST, REAL, WHITE, Makers, Row
from denoisers.realnoise.scores import Score, scores
from denoisers.realnoise.split import Split, split, thinned
from denoisers.storage import write_text
from denoisers.training.loop import Progress
from denoisers.training.ranks import chosen
from denoisers.training.recipe import Training
from denoisers.training.run import Run
from noisegen.errors import CorpusMismatchError, InputError
from noisegen.metrics import psnr, to_8bit
from pipelines.pairs import Pairs, open_pairs

Watch = Callable[[str, int], AbstractContextManager[Callable[[Progress], None]]]
"""Told what is trained next and for how many iterations; gets the progress."""

Floats = npt.NDArray[np.float64]

NOISY, FILTER = "noisy", "blur or non-local means"


@dataclass(frozen=True)
class Results:
    """What the bench found.

    Attributes
    ----------
    split
        What was trained and tested on.
    shifts
        By which the clean half of each pair was moved; empty where none was.
    rows
        The rows in the order of the table: name and title.
    facts
        What was chosen on the training pairs, by row.
    psnrs
        By set of test pictures and row, (seeds, pictures) in dB.
    scores
        By set and row.
    seconds
        Processor seconds of this call.
    """

    split: Split
    shifts: Shifts
    rows: dict[str, str]
    facts: dict[str, Mapping[str, Any]]
    psnrs: dict[str, dict[str, Floats]]
    scores: dict[str, dict[str, Score]]
    seconds: float


@dataclass(frozen=True)
class Bench:
    """What is measured, and where it is worked.

    Attributes
    ----------
    pairs
        Folder of pairs, or corpus.
    work
        Folder for everything that is made; the same one goes on.
    training
        How each network is trained; rows change its noise alone.
    seeds
        Networks a row, of seeds from that of ``training`` on.
    camera
        Which camera is left out; see :func:`denoisers.realnoise.split.split`.
    per_scene
        Pairs of each scene that are used; none: all.
    register
        Whether halves are laid on each other before anything else, in training and in testing.
    preset
        Recipe of the physics rows.
    device
        ``auto``, ``cpu`` or ``cuda``.
    watch
        Shows how it goes.
    """

    pairs: str
    work: Path
    training: Training
    seeds: int
    watch: Watch
    camera: str | None = None
    per_scene: int | None = None
    register: bool = True
    preset: str = "camera-jpeg"
    device: str = "auto"

    def run(self) -> Results:
        """Train what is missing, and test.

        Raises
        ------
        InputError
            If the pairs do not do for the bench, or the work folder is another bench's.
        """
        began = time.process_time()
        pairs = thinned(open_pairs(self.pairs), self.per_scene)
        parts = split(pairs, self.camera)
        self._claim(pairs, parts)
        shifts: Shifts = {}
        if self.register:
            pairs, shifts = registered(pairs, self.work / "registered")
            parts = split(pairs, self.camera)
        files = halves.write(parts.train, self.work / "train")
        self._check(files.side, parts)
        makers = Makers(parts.train, files, self.work, self.preset, self.training.seed)
        others = makers.others()  # first: a preset that does not do is refused before all training
        white, tried = self._white(makers, parts)
        rows = [white, *others]
        psnrs: dict[str, dict[str, Floats]] = {
            name: self._bounds(name, parts) for name in parts.tested
        }
        for row in rows:
            for number in range(self.seeds):
                self._train(row, number)
            for name, tested in parts.tested.items():
                own = [self._psnrs(row, number, name, tested) for number in range(self.seeds)]
                psnrs[name][row.name] = np.array(own)
        found = {
            name: scores(
                psnrs[name], [e.scene for e in tested.entries], WHITE, REAL, self.training.seed
            )
            for name, tested in parts.tested.items()
        }
        titles = {NOISY: "the pictures as they are", FILTER: "tuned on each test picture"}
        titles |= {row.name: row.title for row in rows}
        facts = {row.name: row.facts for row in rows if row.facts}
        facts[WHITE] = {**facts[WHITE], "tried": tried}
        seconds = time.process_time() - began
        return Results(parts, shifts, titles, facts, psnrs, found, seconds)

    def _claim(self, pairs: Pairs, parts: Split) -> None:
        """Take the work folder, or refuse one that another bench works in."""
        digest = hashlib.sha256()
        for pair in pairs:
            digest.update(pair.clean.tobytes() + pair.noisy.tobytes())
        own = {
            "pairs": [entry.name for entry in pairs.entries],
            "pictures_sha256": digest.hexdigest(),
            "camera": parts.camera,
            "register": self.register,
            "preset": self.preset,
            "training": self.training.model_dump(mode="json", by_alias=True),
        }
        text, path = json.dumps(own, indent=1, ensure_ascii=False) + "\n", self.work / "bench.json"
        if not path.exists():
            if self.work.exists() and any(self.work.iterdir()):
                raise CorpusMismatchError(
                    f"{self.work} is there and no bench's; give another --work"
                )
            self.work.mkdir(parents=True, exist_ok=True)
            write_text(path, text)
        elif path.read_text(encoding="utf-8") != text:
            raise CorpusMismatchError(
                f"{self.work} is the work of another bench (other pairs or options: bench.json); "
                "give another --work, or remove it"
            )

    def _check(self, side: int, parts: Split) -> None:
        if self.training.patch > side:
            raise InputError(
                f"{parts.train.where}: the smallest training picture holds {side} pixels, too few "
                f"for patches of {self.training.patch}; give --patch"
            )

    def _white(self, makers: Makers, parts: Split) -> tuple[Row, list[dict[str, Any]]]:
        """Return white noise of the range that does best on the training pairs, and all tried.

        It climbs: from the first range up for as long as networks of half the iterations do better,
        or down where the first step up does worse.
        """
        tried: dict[int, tuple[float, Row]] = {}

        def at(step: int) -> float:
            row = makers.white(step)
            if row is None:
                return -math.inf
            if step not in tried:
                trial = replace(row, name=f"{WHITE}-{2 ** (step / 2):.2f}-trial")
                self._train(trial, 0, max(1, self.training.iterations // 2))
                tried[step] = float(np.mean(self._psnrs(trial, 0, "train", parts.train))), row
            return tried[step][0]

        best = FIRST if makers.white(FIRST) else 0
        way = 1 if at(best + 1) > at(best) else -1
        while at(best + way) > at(best):
            best += way
        every = [tried[step] for step in sorted(tried)]
        return tried[best][1], [{"awgn": row.facts["awgn"], "train_psnr": p} for p, row in every]

    def _folder(self, row: Row, number: int) -> Path:
        return self.work / "runs" / f"{row.name}-{number}"

    def _train(self, row: Row, number: int, iterations: int | None = None) -> None:
        """Train one network; nothing is done where it is there already."""
        folder, recipe = self._folder(row, number), self._recipe(row, number, iterations)
        if (folder / "done").exists():
            return
        what = f"{row.name}, network {number + 1} of {self.seeds}: {row.title}"
        with self.watch(what, recipe.iterations) as told:
            Run(
                recipe,
                [(row.data, 1.0)],
                folder,
                val=str(self.work / "train"),
                device=self.device,
                workers=1,
                told=told,
            ).train()
        write_text(folder / "done", "")

    def _recipe(self, row: Row, number: int, iterations: int | None) -> Training:
        """Return the training recipe of a row: all alike but for the noise and the seed."""
        own: dict[str, Any] = {**row.training, "seed": self.training.seed + number}
        if iterations is not None:
            last = self.training.validation.model_copy(update={"every": iterations})
            own |= {"iterations": iterations, "validation": last}
        return self.training.model_copy(update=own)

    def _psnrs(self, row: Row, number: int, name: str, tested: Pairs) -> list[float]:
        """Return the PSNR of each picture that a network restored, in dB."""

        def measure() -> list[float]:
            model, _ = cards.load(folder / "last.safetensors")
            device = chosen(self.device)
            restorer = Restorer(model.to(device), device=device)
            return [psnr(to_8bit(restorer(p.noisy)), _bytes(p.clean)) for p in tested]

        folder = self._folder(row, number)
        return _kept(folder / f"psnr-{name}.json", measure)

    def _bounds(self, name: str, parts: Split) -> dict[str, Floats]:
        """Return the rows that need no network."""
        tested = parts.tested[name]

        def measure() -> list[list[float]]:
            found = []
            with self.watch(f"{FILTER} on {len(tested)} pictures", 0):
                for pair in tested:
                    noisy, clean = _bytes(pair.noisy), _bytes(pair.clean)
                    found.append([psnr(noisy, clean), filters.best(noisy, clean)])
            return found

        noisy, filtered = np.array(_kept(self.work / f"bounds-{name}.json", measure)).T
        return {NOISY: noisy[None], FILTER: filtered[None]}


def _kept(path: Path, measure: Callable[[], list[Any]]) -> list[Any]:
    """Return what a file holds, or measure it and write it there."""
    if not path.exists():
        write_text(path, json.dumps(measure()))
    found: list[Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _bytes(picture: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Return a picture in 8 bits."""
    if picture.dtype == np.uint8:
        return picture
    return to_8bit(picture.astype(np.float32) / np.float32(np.iinfo(picture.dtype).max))
