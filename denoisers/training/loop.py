"""The loop: iterations, validations, checkpoints."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from denoisers import card as cards
from denoisers.base import ModelEntry
from denoisers.data import Loader
from denoisers.storage import write_whole
from denoisers.training.graphs import Graphed
from denoisers.training.journal import EVERY, Journal
from denoisers.training.ranks import Ranks
from denoisers.training.recipe import Training
from denoisers.training.state import State
from denoisers.training.step import DivergedError, step
from denoisers.training.validation import HeldOut, Restored, Scores

SAVED = 300.0
"""Seconds after which a run saves where it is, at the latest."""

SHOWN = 4
"""Held-out pictures that are written as pictures."""


class Progress(NamedTuple):
    """How far a run has come.

    ``loss`` is the mean of the last line of the log; rates are of this start of the run.
    """

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
        return f"PSNR {self.scores.psnr:.2f} dB" if self.scores else ""


class Result(NamedTuple):
    """What a run came to: iterations, its last scores and its best PSNR in dB."""

    iterations: int
    scores: Scores | None
    best: float


@dataclass
class Loop:
    """The parts of a run, put together by :class:`denoisers.training.run.Run`.

    Attributes
    ----------
    recipe, folder, workers, processes, compiled, graphed, told
        As there.
    page
        The network's.
    loader
        Gives this rank's batches.
    held_out
        What is validated on, if anything.
    data
        For the card: paths, and hashes of the recipes of corpora.
    ranks, device
        Which process this is, and where it computes.
    """

    recipe: Training
    page: ModelEntry
    folder: Path
    loader: Loader
    held_out: HeldOut | None
    data: Mapping[str, str]
    ranks: Ranks
    device: torch.device
    workers: int
    processes: bool
    compiled: bool
    graphed: bool
    told: Callable[[Progress], None]

    def run(self, state: State) -> Result:
        """Go from the state to the last iteration."""
        recipe, first = self.recipe, self.ranks.first
        journal = Journal(self.folder, state.iteration) if first else None
        scores = _last_scores(journal)
        batches = self.loader.batches(
            state.iteration, workers=self.workers, processes=self.processes
        )
        clock = Clock(state.iteration)
        try:
            network = self._network(state)
            for batch in islice(batches, recipe.total - state.iteration):
                try:
                    loss = step(state, network, batch, recipe, self.page, self.ranks.rank)
                except DivergedError as error:
                    raise DivergedError(
                        f"{error}, on {self.loader.address(batch)}; look at these samples, or "
                        "lower optimiser.lr or set optimiser.clip"
                    ) from None
                if journal is None:
                    continue
                state.pending.append(loss)
                validated = self._due(state.iteration)
                if state.iteration % EVERY == 0 or state.iteration == recipe.total:
                    self._log(journal, state)
                if validated:
                    scores = self._validate(state, journal)
                if validated or clock.due:
                    state.save(self.folder / "resume.pt")
                    clock.saved()
                self.told(self._progress(state, journal, clock, scores))
        finally:
            batches.close()  # type: ignore[attr-defined]
            if journal is not None:
                journal.close()
        return Result(state.iteration, scores, state.best)

    def _network(self, state: State) -> nn.Module:
        network: nn.Module = state.model
        if self.graphed:
            network = Graphed(state.model)
        if self.compiled:
            network = torch.compile(network)  # type: ignore[assignment]
        return self.ranks.share(network, self.device, phases=bool(self.recipe.phases))

    def _due(self, iteration: int) -> bool:
        return iteration % self.recipe.validation.every == 0 or iteration == self.recipe.total

    def _log(self, journal: Journal, state: State) -> None:
        journal.add(
            {
                "iteration": state.iteration,
                "loss": float(np.mean(state.pending)),
                "lr": state.optimiser.param_groups[0]["lr"],
            }
        )
        state.pending.clear()

    def _validate(self, state: State, journal: Journal) -> Scores | None:
        """Measure, and write weights, pictures and curves."""
        scores = None
        if self.held_out is not None:
            rows: list[Restored] = []
            scores = self.held_out.scores(
                state.mean,
                self.device,
                lambda number, pictures: rows.append(pictures) if number < SHOWN else None,
            )
            journal.add({"iteration": state.iteration, **scores._asdict()})
            write_sheet(self.folder, state.iteration, rows)
        card = self._card(state, scores)
        cards.save(self.folder / "last.safetensors", state.mean, card)
        # What a network comes to shows in its last phase: until then the last weights are the best.
        last = self.recipe.phase(state.iteration - 1) in ("", *self.page.phases[-1:])
        if scores is None or not last or scores.psnr > state.best:
            state.best = scores.psnr if scores and last else state.best
            cards.save(self.folder / "best.safetensors", state.mean, card)
        journal.draw(f"{self.recipe.model}, {self.recipe.preset or 'recipe of its own'}")
        return scores

    def _card(self, state: State, scores: Scores | None) -> cards.Card:
        page = self.page
        metrics = {"iterations": float(state.iteration)}
        if scores is not None:
            metrics |= {"held-out PSNR dB": scores.psnr, "held-out SSIM": scores.ssim}
        return cards.Card(
            model=page.name,
            options=page.check(self.recipe.options).model_dump(),
            variants=(),
            licence="",
            origin=f"noisegen train, preset {self.recipe.preset or 'none'}",
            data=dict(self.data),
            metrics=metrics,
        )

    def _progress(
        self, state: State, journal: Journal, clock: "Clock", scores: Scores | None
    ) -> Progress:
        logged = next((line["loss"] for line in reversed(journal.lines) if "loss" in line), None)
        seconds = clock.seconds_per_iteration(state.iteration)
        return Progress(
            state.iteration,
            self.recipe.total,
            float(np.mean(state.pending)) if logged is None else logged,
            state.optimiser.param_groups[0]["lr"],
            self.recipe.batch / seconds,
            seconds * (self.recipe.total - state.iteration),
            scores,
        )


class Clock:
    """Says when a run has to save, and how fast it goes.

    Parameters
    ----------
    iteration
        Where this start of the run begins.
    """

    def __init__(self, iteration: int) -> None:
        self._first, self._began = iteration, time.monotonic()
        self._saved = self._began

    @property
    def due(self) -> bool:
        """Whether the last time was long ago."""
        return time.monotonic() - self._saved > SAVED

    def saved(self) -> None:
        """Count from now."""
        self._saved = time.monotonic()

    def seconds_per_iteration(self, iteration: int) -> float:
        """Return the mean of this start so far."""
        return max(time.monotonic() - self._began, 1e-9) / max(1, iteration - self._first)


def _last_scores(journal: Journal | None) -> Scores | None:
    lines: list[dict[str, Any]] = journal.lines if journal is not None else []
    for line in reversed(lines):
        if "psnr" in line:
            return Scores(*(line[name] for name in Scores._fields))
    return None


def write_sheet(
    folder: Path, iteration: int, rows: Sequence[Sequence[npt.NDArray[np.uint8]]]
) -> None:
    """Write the pictures of a validation into a run's folder ``samples``."""
    name = f"{iteration:07d}.png"
    pixels = sheet(rows)
    write_whole(folder / "samples" / name, lambda partial: cv2.imwrite(str(partial), pixels))


def sheet(rows: Sequence[Sequence[npt.NDArray[np.uint8]]]) -> npt.NDArray[np.uint8]:
    """Return rows of 8-bit pictures (H, W, C) side by side, below each other, in B, G, R."""
    height = max(picture.shape[0] for row in rows for picture in row)
    width = max(picture.shape[1] for row in rows for picture in row)
    found = np.zeros((len(rows) * height, len(rows[0]) * width, 3), np.uint8)
    for y, row in enumerate(rows):
        for x, picture in enumerate(row):
            h, w, channels = picture.shape
            place = found[y * height : y * height + h, x * width : x * width + w]
            place[:] = picture[..., ::-1] if channels == 3 else picture
    return found
