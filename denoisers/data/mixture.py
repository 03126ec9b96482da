"""Several data sets as one, each seen as often as its weight says."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from denoisers.data.dataset import Dataset
from denoisers.data.draws import Numbers, permutation
from denoisers.data.turns import NONE, Turns
from noisegen.errors import InputError
from pipelines import prepare
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

        Scenes go to train, val and test by the hash of their name, as in every corpus; only those
        of ``train`` are trained on. Where scenes are so few that train or val has none, the last
        one by its name is held out; of a single scene nothing is.
        """
        scenes = sorted({scene for data in self.datasets for scene in data.scenes})
        split = dict(zip(scenes, prepare.splits(scenes).tolist(), strict=True))
        train, val = ({s for s in scenes if SPLITS[split[s]] == n} for n in ("train", "val"))
        if not (train and val):
            val = set(scenes[1:][-1:])
            train = set(scenes) - val
        return self._of_scenes(train), self._of_scenes(val) if val else None

    def _of_scenes(self, scenes: set[str]) -> "Mixture":
        parts = []
        for data, weight in zip(self.datasets, self.weights, strict=True):
            samples = [i for i, scene in enumerate(data.scenes) if scene in scenes]
            if samples:
                parts.append((data.take(samples), weight))
        datasets, weights = zip(*parts, strict=True)
        return Mixture(datasets, weights)
