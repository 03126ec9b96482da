"""Several data sets as one, each seen as often as its weight says."""

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
        slots = permutation(seed, len(self), 0, epoch)[index] if mixed else index
        which = np.searchsorted(bounds, slots, "right") - 1
        samples, visits = np.empty_like(slots), np.empty_like(slots)
        for number, data in enumerate(self.datasets):
            of_data = which == number
            step = slots[of_data] - bounds[number] + epoch * self.shares[number]
            visit, place = np.divmod(step, len(data))
            visits[of_data] = visit
            samples[of_data] = [
                permutation(seed, len(data), 1 + number, int(v))[p]
                for v, p in zip(visit, place, strict=True)
            ]
        return which, samples, visits

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
