"""Several data sets as one, each seen as often as its weight says."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from denoisers.data.dataset import Dataset
from denoisers.data.draws import Numbers, permutation
from denoisers.data.turns import NONE, Turns
from noisegen.errors import InputError, MissingDataError
from pipelines.schema import SPLITS


@dataclass(frozen=True)
class Mixture:
    """Data sets and their weights.

    An epoch shows each sample of a data set of weight w w times (on average, where w is no whole
    number), in an order of its own.

    Attributes
    ----------
    datasets
        All with the same names and channels.
    weights
        One a data set, above 0.
    """

    datasets: Sequence[Dataset]
    weights: Sequence[float]

    def __post_init__(self) -> None:
        """Refuse data sets that do not go together."""
        first = self.datasets[0]
        for other in self.datasets[1:]:
            if other.channels != first.channels:
                raise InputError(
                    f"{first.where} has {first.channels} channels, {other.where} {other.channels}; "
                    "train on one kind of data"
                )

    @cached_property
    def shares(self) -> tuple[int, ...]:
        """Samples of each data set in an epoch."""
        pairs = zip(self.datasets, self.weights, strict=True)
        return tuple(max(1, round(weight * len(data))) for data, weight in pairs)

    def __len__(self) -> int:
        """Return the number of samples in an epoch."""
        return sum(self.shares)

    def items(self, seed: int, epoch: int, index: Numbers) -> tuple[Numbers, Numbers, Numbers]:
        """Return data set, sample and visit of some items of an epoch.

        Parameters
        ----------
        seed
            The order is a function of it.
        epoch
            From 0.
        index
            (n,) places in the epoch.
        """
        bounds = np.cumsum((0, *self.shares))
        mixed = len(self.datasets) > 1
        slots = self._order(seed, len(self), 0, epoch)[index] if mixed else index
        which = np.searchsorted(bounds, slots, "right") - 1
        samples, visits = np.empty_like(slots), np.empty_like(slots)
        for number, data in enumerate(self.datasets):
            of_data = which == number
            step = slots[of_data] - bounds[number] + epoch * self.shares[number]
            visit, place = np.divmod(step, len(data))
            visits[of_data] = visit
            found = np.empty_like(place)
            for v in np.unique(visit).tolist():
                now = visit == v
                found[now] = self._order(seed, len(data), 1 + number, v)[place[now]]
            samples[of_data] = found
        return which, samples, visits

    def _order(self, seed: int, length: int, number: int, time: int) -> Numbers:
        """Return :func:`permutation`, kept as long as it may be asked for again.

        Batches that are read ahead are of two epochs, and an epoch goes through a data set as often
        as its weight says.
        """
        kept, key = self._kept[number], (seed, time)
        order = kept.get(key)
        if order is None:
            order = kept[key] = permutation(seed, length, number, time)
            room = 2 if number == 0 else 2 * math.ceil(self.weights[number - 1]) + 2
            for old in list(kept)[:-room]:
                kept.pop(old, None)
        return order

    @cached_property
    def _kept(self) -> list[dict[tuple[int, int], Numbers]]:
        """Orders of the mixture, and of each data set."""
        return [{} for _ in range(1 + len(self.datasets))]

    def turns(self, number: int, augment: bool) -> Turns:
        """Return what may be done to the samples of a data set."""
        return self.datasets[number].turns if augment else NONE

    def held_out(self) -> "tuple[Mixture, Mixture | None]":
        """Return what is trained on, and the samples held out for validation.

        Samples are of train, val and test by the hash of their scene's name, as in every corpus,
        or as the data set publishes; only those of ``train`` are trained on. Where samples are so
        few that train or val has none, the last scene by its name is held out, of a single scene
        nothing; but what a data set publishes for testing is never trained on.
        """
        splits = [data.splits for data in self.datasets]
        train, val = ([split == SPLITS.index(name) for split in splits] for name in SPLITS[:2])
        if not (any(map(np.any, train)) and any(map(np.any, val))):
            open_ = [~data.published_test for data in self.datasets]
            if not any(map(np.any, open_)):
                raise MissingDataError(
                    f"{self.datasets[0].where}: all of its samples are published for testing; "
                    "train on others"
                )
            scenes = [np.array(data.scenes, object) for data in self.datasets]
            there = sorted({s for o, of in zip(open_, scenes, strict=True) for s in of[o]})
            last = there[1:][-1:]
            val = [o & np.isin(of, last) for o, of in zip(open_, scenes, strict=True)]
            train = [o & ~v for o, v in zip(open_, val, strict=True)]
        return self._of(train), self._of(val) if any(map(np.any, val)) else None

    def _of(self, kept: Sequence[npt.NDArray[np.bool_]]) -> "Mixture":
        """Return the mixture of some samples of each data set."""
        parts = []
        for data, weight, samples in zip(self.datasets, self.weights, kept, strict=True):
            if samples.any():
                parts.append((data.take(np.flatnonzero(samples).tolist()), weight))
        datasets, weights = zip(*parts, strict=True)
        return Mixture(datasets, weights)
