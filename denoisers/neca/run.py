"""A training of NeCA: a camera's folder, in which the same command goes on.

::

    cameras/canon-5d2/
        neca.safetensors      the networks of the best validation, with the camera's card
        last/                 those of the last validation
        recipe.toml           the recipe, complete
        data.json             what it is trained and validated on
        resume.pt             all that is needed to go on
        log.jsonl             a line every 10 iterations, and one a validation
        samples/              held-out pictures: with real noise, with made noise, clean
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from denoisers.data import Dataset, Loader, Mixture, open_data
from denoisers.neca import pairs as camera_pairs
from denoisers.neca.judge import HeldOut, Scores, Shown
from denoisers.neca.recipe import NecaTraining
from denoisers.neca.state import State
from denoisers.neca.step import step
from denoisers.storage import make_folder
from denoisers.training import folder as folders
from denoisers.training.journal import EVERY, Journal
from denoisers.training.loop import SHOWN, Clock, write_sheet
from denoisers.training.ranks import chosen
from denoisers.training.step import DivergedError
from denoisers.training.validation import Middles
from noisegen import neca
from noisegen.errors import InputError
from noisegen.neca import Card, Neca
from noisegen.neca.card import Jpeg
from noisegen.neca.model import FILE
from pipelines import fit
from pipelines.fit import Scenes
from pipelines.pairs import Pairs, open_pairs

LEARNED = ("level", "gain", "local", "statistics", "texture", "tails")
"""Losses that say how far a run has come: they fall as the noise gets real."""

WRITTEN = (
    FILE, "last", "resume.pt", "log.jsonl", "samples", "tensorboard", "recipe.toml",
    "data.json",
)  # fmt: skip
"""All that a run writes, in the order in which it is removed where another begins."""


class Progress(NamedTuple):
    """How far a run has come; ``loss`` is that of E, P and C in the last line of the log."""

    iteration: int
    iterations: int
    loss: float
    lr: float
    patches_per_second: float
    seconds_left: float
    scores: Scores | None

    @property
    def measured(self) -> str:
        """The last validation in a few words."""
        return said(self.scores)


class Result(NamedTuple):
    """What a run came to.

    Attributes
    ----------
    iterations
        Updates of the weights.
    scores
        Of the last validation, if any picture is held out.
    gains
        Of the pairs, by ISO where it is known.
    pairs
        How many pairs the camera has.
    """

    iterations: int
    scores: Scores | None
    gains: camera_pairs.Gains
    pairs: int


@dataclass(frozen=True)
class Run:
    """What is learned, from what, and where it is written.

    Attributes
    ----------
    recipe
        How the networks are trained.
    data
        A folder of pairs or a corpus with sRGB pictures.
    camera
        Whose noise it is. Where the pairs say which camera took them, and one has this name, those
        of the others are left out.
    folder
        The camera's folder.
    scenes
        Which scenes are taken; of these, some are held out for validation.
    licence
        Terms of the weights; by default those of the pairs.
    device
        ``auto``, ``cpu`` or ``cuda``.
    workers
        Threads that read ahead.
    overwrite
        Begin anew where another run was; what it wrote is removed.
    """

    recipe: NecaTraining
    data: str
    camera: str
    folder: Path
    scenes: Scenes = "all"
    licence: str = ""
    device: str = "auto"
    workers: int = 2
    overwrite: bool = False

    def train(self, told: Callable[[Progress], None] = lambda progress: None) -> Result:
        """Train to the end, from where the folder's run stopped if it did.

        Parameters
        ----------
        told
            Gets the progress after each iteration.

        Raises
        ------
        InputError
            If the data are no pairs, or the folder holds another run, or one that another process
            trains.
        DivergedError
            If a loss or gradient is not finite; it names the batch.
        """
        gains = camera_pairs.measured_gains(self._pairs, self.recipe.patch)
        every = Mixture([self._dataset], [1.0])
        mixture, rest = every.held_out() if self.recipe.hold_out else (every, None)
        loader = Loader(
            mixture,
            patch=self.recipe.patch,
            batch=self.recipe.batch,
            seed=self.recipe.seed,
            augment=self.recipe.augment,
        )
        recipe = self.recipe
        if recipe.augment and self.jpeg is not None and self.jpeg.subsampling == "4:2:2":
            raise InputError(
                f"augment: {self._pairs.where} are 4:2:2 JPEGs, whose colours are half as wide; "
                "turned, they would be half as high: set augment = false"
            )
        held = (
            HeldOut(Middles(rest, recipe.validation), recipe.seed, recipe.measured_gain, self.jpeg)
            if rest
            else None
        )
        state = State.begin(self.recipe, chosen(self.device))
        with folders.held(self.folder):
            written = self._written(mixture)
            folders.prepare(self.folder, written, overwrite=self.overwrite, written=WRITTEN)
            if (self.folder / "resume.pt").exists():
                state.load(self.folder / "resume.pt")
            scores = _Loop(self, loader, held, gains, state, told).run()
        return Result(state.iteration, scores, gains, len(self._pairs))

    @property
    def taken(self) -> str:
        """How many pairs of which cameras it is learned from, in a line."""
        return camera_pairs.taken(self._chosen, self._pairs, self.camera)

    @cached_property
    def jpeg(self) -> Jpeg | None:
        """What the noisy pictures were in, and made noise goes through."""
        return camera_pairs.jpeg_of(self._pairs, self.recipe.jpeg)

    @cached_property
    def _chosen(self) -> Pairs:
        return fit.choose(open_pairs(self.data), self.scenes)

    @cached_property
    def _pairs(self) -> Pairs:
        return camera_pairs.of_camera(self._chosen, self.camera)

    @cached_property
    def _dataset(self) -> Dataset:
        wanted = {entry.name for entry in self._pairs.entries}
        every = open_pairs(self.data).entries
        return open_data(self.data).take([i for i, e in enumerate(every) if e.name in wanted])

    def _written(self, mixture: Mixture) -> dict[str, str]:
        """Return the files that say what a run is."""
        data = {
            "data": self._pairs.where,
            "identity": self._dataset.identity,
            "camera": self.camera,
            "scenes": fit.describe(self.scenes),
            "pairs": len(self._pairs),
            "trained on": len(mixture.datasets[0]),
        }
        if self.jpeg is not None:
            data["jpeg"] = str(self.jpeg)
        return {
            "recipe.toml": self.recipe.to_toml(),
            "data.json": json.dumps(data, indent=1, ensure_ascii=False) + "\n",
        }


@dataclass
class _Loop:
    what: Run
    loader: Loader
    held_out: HeldOut | None
    gains: camera_pairs.Gains
    state: State
    told: Callable[[Progress], None]

    def run(self) -> Scores | None:
        recipe, state, folder = self.what.recipe, self.state, self.what.folder
        journal = Journal(folder, state.iteration)
        scores = _last_scores(journal)
        batches = self.loader.batches(state.iteration, workers=self.what.workers)
        clock = Clock(state.iteration)
        try:
            for batch in islice(batches, recipe.iterations - state.iteration):
                try:
                    losses = step(state, batch, recipe, self.what.jpeg)
                except DivergedError as error:
                    raise DivergedError(
                        f"{error}, on {self.loader.address(batch)}; look at these samples, or "
                        "lower lr or set clip"
                    ) from None
                state.pending.append(losses)
                last = state.iteration == recipe.iterations
                if state.iteration % EVERY == 0 or last:
                    self._log(journal)
                validated = state.iteration % recipe.validation.every == 0 or last
                if validated:
                    scores = self._validate(journal)
                if validated or clock.due:
                    state.save(folder / "resume.pt")
                    clock.saved()
                self.told(self._progress(journal, clock, scores))
        finally:
            batches.close()  # type: ignore[attr-defined]
            journal.close()
        return scores

    def _log(self, journal: Journal) -> None:
        """Write the mean of each loss since the last line; adversarial ones are not in all."""
        pending = self.state.pending
        names = dict.fromkeys(name for losses in pending for name in losses)
        means = {n: float(np.mean([one[n] for one in pending if n in one])) for n in names}
        line = {"iteration": self.state.iteration, "loss": self._loss(means)}
        journal.add(line | {"lr": self.what.recipe.rate(self.state.iteration)} | means)
        pending.clear()

    def _loss(self, losses: Mapping[str, float]) -> float:
        """Return what E and P learn by, and C apart from the critics."""
        factors: dict[str, float] = self.what.recipe.weights.model_dump()
        own = {name: factors[name.split("_")[0]] for name in losses if name.startswith(LEARNED)}
        return sum(factor * losses[name] for name, factor in own.items())

    def _validate(self, journal: Journal) -> Scores | None:
        """Measure, and write the camera's files."""
        folder, state, scores = self.what.folder, self.state, None
        if self.held_out is not None:
            rows: list[Shown] = []
            scores = self.held_out.scores(
                state.nets,
                state.device,
                lambda number, pictures: rows.append(pictures) if number < SHOWN else None,
            )
            write_sheet(folder, state.iteration, rows)
            found = {k: v for k, v in scores._asdict().items() if np.isfinite(v)}
            journal.add({"iteration": state.iteration} | found)
        nets = state.nets
        made = Neca(nets.correlation, nets.level, nets.gain, self._card(scores))
        make_folder(folder / "last")
        neca.save(folder / "last", made)
        if scores is None or not scores.distance >= state.best:
            state.best = scores.distance if scores else state.best
            neca.save(folder, made)
        return scores

    def _card(self, scores: Scores | None) -> Card:
        recipe, pairs = self.what.recipe, self.what._pairs
        measured = {"iterations": float(self.state.iteration)}
        if scores is not None:
            measured |= {
                "held-out KLD nats (NeCA)": scores.kld,
                "held-out KLD nats (Noise Flow)": scores.kld_smoothed,
                "held-out AKLD nats": scores.akld,
                "held-out covariance distance": scores.covariance,
            }
            if recipe.joint:
                measured["held-out PSNR dB of the joint denoiser"] = scores.psnr
        return Card(
            camera=self.what.camera,
            gains=self.gains,
            jpeg=self.what.jpeg,
            origin=f"noisegen fit neca, preset {recipe.preset or 'none'}",
            data={pairs.where: self.what._dataset.identity},
            metrics=measured,
            licence=self.what.licence or fit.licence(pairs),
        )

    def _progress(self, journal: Journal, clock: Clock, scores: Scores | None) -> Progress:
        recipe, iteration = self.what.recipe, self.state.iteration
        logged = next((line["loss"] for line in reversed(journal.lines) if "loss" in line), None)
        seconds = clock.seconds_per_iteration(iteration)
        return Progress(
            iteration,
            recipe.iterations,
            self._loss(self.state.pending[-1]) if logged is None else logged,
            recipe.rate(iteration),
            recipe.batch / seconds,
            seconds * (recipe.iterations - iteration),
            scores,
        )


def said(scores: Scores | None) -> str:
    """Return scores in a few words."""
    if scores is None:
        return ""
    text = f"KLD {scores.kld:.4f}, AKLD {scores.akld:.4f}, covariance {scores.covariance:.2f}"
    return text if np.isnan(scores.psnr) else f"{text}, PSNR {scores.psnr:.2f} dB"


def _last_scores(journal: Journal) -> Scores | None:
    for line in reversed(journal.lines):
        if "kld" in line:
            return Scores(*(line.get(name, float("nan")) for name in Scores._fields))
    return None
