"""One network of a row: trained, and tested on all sets of pictures."""

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from denoisers.inference.restorer import Restorer
from denoisers.inference.weights import open_weights
from denoisers.realnoise import filters
from denoisers.realnoise.rows import Row
from denoisers.storage import write_text
from denoisers.training.loop import Progress
from denoisers.training.ranks import chosen
from denoisers.training.recipe import Training
from denoisers.training.run import Run
from noisegen.metrics import psnr, to_8bit
from pipelines.pairs import Pairs

Watch = Callable[[str, int], AbstractContextManager[Callable[[Progress], None]]]
"""Told what is done next and for how many iterations; gets the progress."""

PSNRs = dict[str, list[float]]
"""Of each picture in dB, by set."""


@dataclass(frozen=True)
class Networks:
    """Trains and tests networks.

    Attributes
    ----------
    work
        Folder; networks are kept in ``runs/ROW-SEED``.
    training
        How each is trained; rows change its noise alone.
    val
        Folder of pairs that training is validated on.
    tested
        What each is tested on, by name.
    device
        ``auto``, ``cpu`` or ``cuda``.
    graphed
        As in :class:`denoisers.training.run.Run`.
    watch
        Shows how it goes.
    start
        Run or file of weights that each begins from; none: weights drawn by its seed.
    """

    work: Path
    training: Training
    val: str
    tested: Mapping[str, Pairs]
    device: str
    graphed: bool
    watch: Watch
    start: str | None = None

    def network(self, row: Row, number: int) -> PSNRs:
        """Return what a network of a row comes to.

        Parameters
        ----------
        row
            What it is trained on.
        number
            Which of the row's networks: its seed is so many above the recipe's.
        """
        self._train(row, number, self.training.iterations)
        return {name: self._psnrs(row, number, name, pairs) for name, pairs in self.tested.items()}

    def trial(self, row: Row, pairs: Pairs) -> float:
        """Return the mean PSNR on pairs of a network of half of the iterations, in dB."""
        self._train(row, 0, max(1, self.training.iterations // 2))
        return float(np.mean(self._psnrs(row, 0, "train", pairs)))

    def bounds(self, name: str) -> list[list[float]]:
        """Return the PSNR of each picture as it is, and of the best filter; no network is used."""

        def measure() -> list[list[float]]:
            found = []
            for pair in self.tested[name]:
                noisy, clean = _bytes(pair.noisy), _bytes(pair.clean)
                found.append([psnr(noisy, clean), filters.best(noisy, clean)])
            return found

        return _kept(self.work / f"bounds-{name}.json", measure)

    def untrained(self, name: str) -> list[float]:
        """Return the PSNR of each picture by the weights that all begin from, in dB."""
        assert self.start is not None
        return self._tested(self.start, self.work / f"start-{name}.json", self.tested[name])

    def _folder(self, row: Row, number: int) -> Path:
        return self.work / "runs" / f"{row.name}-{number}"

    def _train(self, row: Row, number: int, iterations: int) -> None:
        """Train one network; nothing is done where it is there already."""
        folder, recipe = self._folder(row, number), self._recipe(row, number, iterations)
        if (folder / "done").exists():
            return
        with self.watch(
            f"{row.name}, network {number + 1}: {row.title}", recipe.iterations
        ) as told:
            Run(
                recipe,
                [(path, 1.0) for path in row.data],
                folder,
                start=self.start,
                val=self.val,
                device=self.device,
                workers=1,
                graphed=self.graphed,
                told=told,
            ).train()
        write_text(folder / "done", "")

    def _recipe(self, row: Row, number: int, iterations: int) -> Training:
        """Return the training recipe of a row: all alike but for the noise and the seed."""
        last = self.training.validation.model_copy(update={"every": iterations})
        own = {"seed": self.training.seed + number, "iterations": iterations, "validation": last}
        return self.training.model_copy(update={**row.training, **own})

    def _psnrs(self, row: Row, number: int, name: str, tested: Pairs) -> list[float]:
        """Return the PSNR of each picture that a network of a row restored, in dB."""
        folder = self._folder(row, number)
        return self._tested(folder / "last.safetensors", folder / f"psnr-{name}.json", tested)

    def _tested(self, weights: str | Path, path: Path, tested: Pairs) -> list[float]:
        """Return the PSNR of each picture that weights restored, in dB; kept in a file."""

        def measure() -> list[float]:
            model, _ = open_weights(weights)
            device = chosen(self.device)
            restorer = Restorer(model.to(device), device=device)
            return [psnr(to_8bit(restorer(p.noisy)), _bytes(p.clean)) for p in tested]

        return _kept(path, measure)


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
