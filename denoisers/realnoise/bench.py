"""The bench: some networks a row, tested on scenes and on a camera that were left out.

::

    WORK/
        bench.json        what is measured: another bench in the same folder is refused
        registered/       all pairs, their halves laid on each other, and shifts.json
        train/            the training pairs as files; train-singles/: each clean half alone
        *.toml, *.json    fitted noise, settings of the camera
        *.corpora/        corpora of each picture
        start-SET.json    PSNR of the weights that all begin from, where these are given
        neca/CAMERA/      NeCA's networks, where they are trained here; CAMERA.pairs/: of what
        runs/ROW-SEED/    training runs, and psnr-SET.json of each set of pictures they ran on

The same work folder goes on where it was stopped.
"""

import hashlib
import json
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from denoisers.realnoise import halves
from denoisers.realnoise.jobs import Jobs
from denoisers.realnoise.learned import NONE, Learned
from denoisers.realnoise.networks import Networks, PSNRs, Watch
from denoisers.realnoise.register import Shifts, registered
from denoisers.realnoise.rows import FINISHED, MIXED, REAL, WHITE, Makers, Row, mixed
from denoisers.realnoise.scores import Score, scores
from denoisers.realnoise.split import Split, split, thinned
from denoisers.realnoise.start import DRAWN, Start
from denoisers.realnoise.white import climb, multiple
from denoisers.storage import write_text
from denoisers.training.recipe import Training
from noisegen.errors import CorpusMismatchError, InputError
from pipelines.pairs import Pairs, open_pairs
from pipelines.tables.neca import WHOLE

Floats = npt.NDArray[np.float64]

NOISY, FILTER, UNTRAINED = "noisy", "blur or non-local means", "start"

_TRIAL, _MADE, _BOUND, _NETWORK = range(4)  # what is urgent: others wait for it


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
        Wall time of this call.
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
    learned
        NeCA's networks; without any there are no rows of it.
    start
        Weights that all networks begin from, whatever their noise; a row of their own.
    device
        ``auto``, ``cpu`` or ``cuda``.
    graphed
        Whether iterations are recorded once as CUDA graphs and replayed.
    jobs
        Networks that are trained at a time, each in a process of its own if there are several.
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
    learned: Learned = NONE
    start: Start = DRAWN
    device: str = "auto"
    graphed: bool = False
    jobs: int = 1

    def run(self) -> Results:
        """Train what is missing, and test.

        Raises
        ------
        InputError
            If the pairs do not do for the bench, or the work folder is another bench's.
        WeightsError
            If the networks cannot begin from the weights that are given.
        """
        began = time.monotonic()
        self.start.check(self.training)
        pairs = thinned(open_pairs(self.pairs), self.per_scene)
        parts = split(pairs, self.camera)
        self._claim(pairs, parts)
        shifts: Shifts = {}
        if self.register:
            pairs, shifts = registered(pairs, self.work / "registered")
            parts = split(pairs, self.camera)
        files = halves.write(parts.train, self.work / "train")
        self._check(files.side, parts)
        makers = Makers(
            parts.train,
            files,
            self.work,
            self.preset,
            self.training.seed,
            self.learned,
            self.device,
        )
        makers.check()
        found = _Measured(self, makers, parts)
        found.run()
        rows = found.in_order
        psnrs = {
            name: {row: np.array(values) for row, values in found.of_set(name).items()}
            for name in parts.tested
        }
        scored = {
            name: scores(
                psnrs[name], [e.scene for e in tested.entries], WHITE, REAL, self.training.seed
            )
            for name, tested in parts.tested.items()
        }
        titles = {NOISY: "the pictures as they are", FILTER: "tuned on each test picture"}
        if self.start.weights is not None:
            titles[UNTRAINED] = "the weights that all begin from"
        titles |= {row.name: row.title for row in rows}
        facts = {row.name: row.facts for row in rows if row.facts}
        facts[WHITE] = {**facts[WHITE], "tried": found.tried}
        seconds = time.monotonic() - began
        return Results(parts, shifts, titles, facts, psnrs, scored, seconds)

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
            "neca": self.learned.identity(parts.train),
            "start": self.start.identity,
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


class _Measured:
    """What all networks come to, as far as they are trained."""

    def __init__(self, bench: Bench, makers: Makers, parts: Split) -> None:
        self._bench, self._makers, self._parts = bench, makers, parts
        self._jobs = Jobs(bench.jobs)
        alone = bench.jobs == 1
        self._networks = Networks(
            bench.work,
            bench.training,
            str(makers.halves.folder),
            parts.tested,
            bench.device,
            bench.graphed,
            bench.watch if alone else _unwatched,
            bench.start.weights,
        )
        self._rows: dict[str, Row] = {}
        self._psnrs: dict[str, dict[int, PSNRs]] = {}
        self._bounds: dict[str, list[list[float]]] = {}
        self._untrained: dict[str, list[float]] = {}
        self._trials: dict[int, float] = {}

    def run(self) -> None:
        """Do all that is missing."""
        self._climb = climb(lambda step: self._makers.white(step) is not None)
        self._try(next(self._climb))
        for make in self._makers.rows.values():
            self._jobs.add(_MADE, make, self._made)
        for name in self._parts.tested:
            self._jobs.add(
                _BOUND, partial(self._networks.bounds, name), partial(self._bounded, name)
            )
            if self._bench.start.weights is not None:
                untrained = partial(self._networks.untrained, name)
                self._jobs.add(_BOUND, untrained, partial(self._begun, name))
        self._jobs.run()

    @property
    def in_order(self) -> list[Row]:
        """The rows of the table."""
        order = [WHITE, *self._makers.rows, REAL]
        if MIXED in self._rows:
            order.insert(order.index(WHOLE) + 1, MIXED)
        return [self._rows[name] for name in dict.fromkeys(order)]

    @property
    def tried(self) -> list[dict[str, Any]]:
        """What ranges of white noise came to on the training pairs."""
        return [
            {"awgn": self._white(step).facts["awgn"], "train_psnr": self._trials[step]}
            for step in sorted(self._trials)
        ]

    def of_set(self, name: str) -> dict[str, list[list[float]]]:
        """Return the PSNRs on a set of pictures: (networks, pictures) by row."""
        noisy, filtered = zip(*self._bounds[name], strict=True)
        found = {NOISY: [list(noisy)], FILTER: [list(filtered)]}
        if name in self._untrained:
            found[UNTRAINED] = [self._untrained[name]]
        for row in self.in_order:
            of_row = self._psnrs[row.name]
            found[row.name] = [of_row[number][name] for number in sorted(of_row)]
        return found

    def _white(self, step: int) -> Row:
        row = self._makers.white(step)
        assert row is not None
        return row

    def _try(self, step: int) -> None:
        row = self._white(step)
        trial = replace(row, name=f"{WHITE}-{multiple(step):.2f}-trial")
        self._jobs.add(
            _TRIAL,
            partial(self._networks.trial, trial, self._parts.train),
            partial(self._tried, step, trial),
        )

    def _tried(self, step: int, row: Row, psnr: float) -> None:
        self._say(f"{row.name}: {psnr:.2f} dB on the training pairs")
        self._trials[step] = psnr
        try:
            self._try(self._climb.send(psnr))
        except StopIteration as end:
            self._made(self._white(end.value))

    def _made(self, row: Row) -> None:
        self._rows[row.name] = row
        for number in range(self._bench.seeds):
            self._jobs.add(
                _NETWORK + number,  # first one of each row, so that fewer seeds are whole soon
                partial(self._networks.network, row, number),
                partial(self._trained, row, number),
            )
        parts = [self._rows.get(name) for name in (FINISHED, WHOLE)]
        if all(parts) and row.name in (FINISHED, WHOLE):
            self._made(mixed(*filter(None, parts)))

    def _trained(self, row: Row, number: int, psnrs: PSNRs) -> None:
        means = ", ".join(f"{np.mean(own):.2f} dB on {name}" for name, own in psnrs.items())
        self._say(f"{row.name}, network {number + 1}: {means}")
        self._psnrs.setdefault(row.name, {})[number] = psnrs

    def _bounded(self, name: str, bounds: list[list[float]]) -> None:
        self._bounds[name] = bounds

    def _begun(self, name: str, psnrs: list[float]) -> None:
        self._untrained[name] = psnrs

    def _say(self, what: str) -> None:
        with self._bench.watch(what, 0):
            pass


def _unwatched(what: str, iterations: int) -> AbstractContextManager[Any]:
    """Show nothing: several processes would write over each other."""
    return nullcontext(lambda progress: None)
