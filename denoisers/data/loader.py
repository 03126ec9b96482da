"""Batches of whole integer arrays, each a function of the seed and its number.

Threads read ahead: decoding, noise and rendering let go of the interpreter's lock, and a batch
need not cross from one process to another. Processes, which begin anew (spawn), read ahead where
asked for.
"""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context

import numpy as np
import numpy.typing as npt

from denoisers.data.dataset import Arrays, Cut
from denoisers.data.draws import Numbers, uniforms
from denoisers.data.mixture import Mixture
from denoisers.data.pictures import stacked
from noisegen.errors import InputError

AHEAD = 2
"""Batches that each worker may be ahead of the one that was asked for last."""


@dataclass(frozen=True)
class Batch:
    """One batch.

    Attributes
    ----------
    number
        From 0, counted over all epochs.
    arrays
        (n, P, P, C) uint8 or uint16 pictures by name, C last; (n, P, P) mosaics.
    noise
        (n,) number in [0, 1) of each item, from which the strength of its noise follows.
    items
        (n, 3) epoch, data set and sample of each item.
    parameters
        (n, …) numbers that go with the pictures, by name.
    """

    number: int
    arrays: Arrays
    noise: npt.NDArray[np.float64]
    items: Numbers
    parameters: Arrays = field(default_factory=dict)


class Loader:
    """Draws batches from a mixture.

    The items of all epochs follow each other and are cut into batches: a batch may end one epoch
    and begin the next, and every item has ``batch`` others with it.

    Parameters
    ----------
    mixture
        What is drawn from.
    patch
        Height and width of the items in pixels.
    batch
        Items of a batch.
    seed
        Of all draws.
    augment
        Whether items are turned and mirrored, as far as that keeps the law of their noise.
    rank, ranks
        Which of equal parts of each batch this loader gives.

    Raises
    ------
    InputError
        If the patch does not fit, or the ranks do not divide the batch.
    """

    def __init__(
        self,
        mixture: Mixture,
        *,
        patch: int,
        batch: int,
        seed: int,
        augment: bool = True,
        rank: int = 0,
        ranks: int = 1,
    ) -> None:
        if batch % ranks:
            raise InputError(f"a batch of {batch} is not a multiple of {ranks} ranks; give --batch")
        for data in mixture.datasets:
            data.check_patch(patch)
        self.mixture, self.patch, self.size, self.seed = mixture, patch, batch, seed
        self._turns = [np.array(mixture.turns(i, augment)) for i in range(len(mixture.datasets))]
        self._rank, self._ranks = rank, ranks

    def batch(self, number: int) -> Batch:
        """Return batch ``number``, which may be any; safe to call from several threads.

        Raises
        ------
        UnreadableFileError, DamagedCorpusError, InputError
            If an item cannot be read.
        """
        own = self.size // self._ranks
        first = number * self.size + self._rank * own
        step = np.arange(first, first + own)
        epochs, index = np.divmod(step, len(self.mixture))
        items = np.empty((own, 3), np.int64)
        visits, drawn = np.empty(own, np.int64), np.empty((own, 4))
        for epoch in np.unique(epochs).tolist():
            now = epochs == epoch
            which, samples, visits[now] = self.mixture.items(self.seed, epoch, index[now])
            items[now] = np.column_stack((np.full(len(which), epoch), which, samples))
            drawn[now] = uniforms(self.seed, epoch, index[now])
        arrays, parameters = self._read(items, visits, drawn)
        return Batch(number, arrays, drawn[:, 3], items, parameters)

    def batches(
        self, start: int = 0, *, workers: int = 0, processes: bool = False
    ) -> Iterator[Batch]:
        """Yield batch ``start`` and all that follow, without end.

        Parameters
        ----------
        start
            Number of the first.
        workers
            How many read ahead; 0 reads when a batch is asked for. The batches are the same.
        processes
            Whether workers are processes; if not, they are threads.
        """
        number = start
        if not workers:
            while True:
                yield self.batch(number)
                number += 1
        pool, read = self._pool(workers, processes)
        waiting: deque[Future[Batch]] = deque()
        try:
            while True:
                while len(waiting) <= AHEAD * workers:
                    waiting.append(pool.submit(read, number))
                    number += 1
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _pool(self, workers: int, processes: bool) -> tuple[Executor, Callable[[int], Batch]]:
        if not processes:
            return ThreadPoolExecutor(workers, "noisegen-loader"), self.batch
        # A forked process would inherit locks that threads hold.
        context = get_context("spawn")
        return ProcessPoolExecutor(workers, context, _Worker.begin, (self,)), _Worker.batch

    def address(self, batch: Batch) -> str:
        """Return which batch it is and what is in it, for a message."""
        samples = ", ".join(
            self.mixture.datasets[data].address(sample) for _, data, sample in batch.items.tolist()
        )
        return f"batch {batch.number} of seed {self.seed} (epoch {batch.items[0, 0]}): {samples}"

    def _read(
        self, items: Numbers, visits: Numbers, drawn: npt.NDArray[np.float64]
    ) -> tuple[Arrays, Arrays]:
        parts: list[tuple[npt.NDArray[np.intp], Arrays, Arrays]] = []
        for number in np.unique(items[:, 1]).tolist():
            (of_data,) = np.nonzero(items[:, 1] == number)
            allowed, data = self._turns[number], self.mixture.datasets[number]
            turns = allowed[(drawn[of_data, 2] * len(allowed)).astype(np.int64)]
            cut = Cut(items[of_data, 2], visits[of_data], self.patch, drawn[of_data, :2], turns)
            parts.append((of_data, data.read(cut), data.parameters(cut)))
        _, pictures, numbers = parts[0]
        if len(parts) == 1:
            return pictures, numbers
        order = np.argsort(np.concatenate([of_data for of_data, _, _ in parts]))
        return {
            name: stacked([picture for _, part, _ in parts for picture in part[name]])[order]
            for name in pictures
        }, {name: np.concatenate([part[name] for _, _, part in parts])[order] for name in numbers}


class _Worker:
    """The loader of a worker process."""

    loader: Loader

    @classmethod
    def begin(cls, loader: Loader) -> None:
        cls.loader = loader

    @classmethod
    def batch(cls, number: int) -> Batch:
        return cls.loader.batch(number)
