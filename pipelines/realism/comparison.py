"""One real set against synthetic ones, by every measure, beside the real set against itself."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any

import numpy as np
import numpy.typing as npt

from noisegen import __version__, random
from noisegen.errors import InputError
from pipelines.pairs import Pair, Pairs
from pipelines.realism.classifier import Patches, held_out_auc
from pipelines.realism.distances import DISTANCES
from pipelines.realism.features import KINDS, columns, features
from pipelines.realism.measures import BLOCK, Array, Measures, of_field
from pipelines.realism.noise import NoiseField, noise_field

MAX_PAIRS = 256
"""Pairs of a set that are measured, evenly spread over it."""

HALVES = 20
"""Random halves of the real set's scenes that are set against each other."""

MIN_SCENES = 4
"""Scenes of a real set: two in each half, one of them held out."""

GROUPS = 16
"""Groups of scenes whose measures are kept apart, to be dealt into halves."""

SHOWN = 4
"""Crops of a set that are kept to be looked at."""

CROP = 160
"""Height and width of such a crop, in pixels."""

Picture = npt.NDArray[np.uint8]

VALUES: dict[str, Callable[[Measures], float]] = {
    "lag1": lambda m: float(m.lags(1).mean()),
    "lag2": lambda m: float(m.lags(2).mean()),
    "red_green": lambda m: float(m.channels[0, 1]),
    "green_blue": lambda m: float(m.channels[1, 2]),
    "red_blue": lambda m: float(m.channels[0, 2]),
    "kurtosis": lambda m: float(m.kurtosis.mean()),
}
"""Numbers that a set has by itself, whose differences are distances too."""

AREAS = ("auc", *(f"auc_{kind}" for kind in KINDS))
"""Areas under the curve of the classifier: by all features, and by those of one kind alone."""

NAMES = (*VALUES, *DISTANCES, *AREAS)
"""Every measure of a comparison."""


@dataclass(frozen=True)
class Look:
    """A crop of a pair as it is, 8-bit sRGB."""

    name: str
    clean: Picture
    noisy: Picture


@dataclass(frozen=True)
class Measured:
    """A set, measured.

    Attributes
    ----------
    where
        Folder or corpus.
    pairs, scenes
        Number of pairs measured, and of scenes in them.
    measures
        Sums over all pairs.
    looks
        Some crops.
    """

    where: str
    pairs: int
    scenes: int
    measures: Measures
    looks: tuple[Look, ...]

    @property
    def values(self) -> dict[str, float]:
        """What the set has by itself: :data:`VALUES`."""
        return {name: value(self.measures) for name, value in VALUES.items()}


@dataclass(frozen=True)
class Zero:
    """What a measure gives for two halves of the real set: mean and spread over random halves."""

    mean: float
    std: float


@dataclass(frozen=True)
class Comparison:
    """A real set and synthetic ones.

    Attributes
    ----------
    real
        The real set.
    zero
        For each of :data:`NAMES`, what halves of the real set's scenes give.
    synthetic
        The other sets.
    distances
        Of each of them, by :data:`NAMES`; for :data:`AREAS` the area itself.
    """

    real: Measured
    zero: dict[str, Zero]
    synthetic: tuple[Measured, ...]
    distances: tuple[dict[str, float], ...]

    def to_json(self) -> dict[str, Any]:
        """Return the numbers as JSON data; what is not known is None."""
        return {
            "noisegen": __version__,
            "real": _facts(self.real),
            "zero": {
                k: {"mean": _known(z.mean), "std": _known(z.std)} for k, z in self.zero.items()
            },
            "synthetic": [
                _facts(one) | {"distances": {k: _known(v) for k, v in found.items()}}
                for one, found in zip(self.synthetic, self.distances, strict=True)
            ],
        }


def compare(
    real: Pairs,
    synthetic: Sequence[Pairs],
    *,
    seed: int = 0,
    max_pairs: int = MAX_PAIRS,
    on_pair: Callable[[], None] = lambda: None,
) -> Comparison:
    """Measure sets of pairs and their distances from the real one.

    Parameters
    ----------
    real
        The real set.
    synthetic
        The sets that are compared with it.
    seed
        Of the draws of halves and folds.
    max_pairs
        Pairs of each set that are read, evenly spread.
    on_pair
        Called when a pair was read; each is read twice.

    Raises
    ------
    InputError
        If a set has too few scenes or too small pictures, other bits than the real one, or no
        noise at all.
    """
    sets = [_Set.of(pairs, max_pairs, on_pair) for pairs in (real, *synthetic)]
    for one, least in zip(sets, (MIN_SCENES, *(2 for _ in synthetic)), strict=True):
        one.check(least, sets[0].bits)
    groups = sets[0].groups()
    ours = sets[0].measured(groups)
    curve = np.where(ours.measures.variance > 0, ours.measures.variance, np.nan)
    patches = sets[0].patches(curve)
    others, distances = [], []
    for number, one in enumerate(sets[1:]):
        theirs = one.measured(one.groups())
        rng = random.generator(seed, random.Stream.REALISM, HALVES + number)
        areas = _areas(patches, one.patches(curve), rng)
        others.append(theirs)
        distances.append(_distances(ours.measures, theirs.measures) | areas)
    return Comparison(ours, _zero(groups, patches, seed), tuple(others), tuple(distances))


@dataclass(frozen=True)
class _Set:
    """Pairs that are read, one at a time, and turned into noise."""

    pairs: Pairs
    bits: int
    on_pair: Callable[[], None]

    @classmethod
    def of(cls, pairs: Pairs, most: int, on_pair: Callable[[], None]) -> "_Set":
        corpus = pairs.corpus
        if corpus is not None and corpus.recipe.exposure_ratio and not corpus.recipe.amplify:
            raise InputError(
                f"{pairs.where}: its noisy pictures got less light than its clean ones, so that "
                "their difference is no noise; make it with --amplify"
            )
        numbers = np.unique(np.linspace(0, len(pairs) - 1, min(len(pairs), most)).astype(int))
        bits = pairs[0].clean.dtype.itemsize * 8
        return cls(pairs.take(numbers.tolist()), bits, on_pair)

    def check(self, least_scenes: int, bits: int) -> None:
        """Refuse a set that cannot be compared with a real one of so many bits."""
        where, scenes = self.pairs.where, len(self.pairs.scenes)
        if scenes < least_scenes:
            raise InputError(
                f"{where}: too few scenes ({scenes}); {least_scenes} or more are needed, so that "
                "some can be held out"
            )
        if self.bits != bits:
            raise InputError(
                f"{where}: its pictures have {self.bits} bits, those of the real set {bits}; "
                "rounding is noise too, so make both alike (--bits)"
            )

    def noise(self) -> Iterator[tuple[Pair, NoiseField]]:
        """Yield the pairs and their noise."""
        for pair in self.pairs:
            height, width, _ = pair.clean.shape
            if min(height, width) < BLOCK:
                raise InputError(
                    f"{self.pairs.where}: {pair.name} has {width}x{height} pixels, {BLOCK}x{BLOCK} "
                    "or more are needed"
                )
            yield pair, noise_field(pair.clean, pair.noisy)
            self.on_pair()

    def groups(self) -> list[Measures]:
        """Return the measures of groups of scenes, dealt in their order."""
        group = {scene: at % GROUPS for at, scene in enumerate(self.pairs.scenes)}
        out: dict[int, Measures] = {}
        for pair, noise in self.noise():
            at = group[pair.scene]
            one = of_field(noise)
            out[at] = out[at] + one if at in out else one
        return list(out.values())

    def measured(self, groups: list[Measures]) -> Measured:
        """Sum the groups up."""
        measures = reduce(add, groups)
        if not np.isfinite(measures.channels).all():
            raise InputError(
                f"{self.pairs.where}: there is no noise that could be measured; its halves are "
                "equal, or clipped everywhere"
            )
        shown = np.unique(np.linspace(0, len(self.pairs) - 1, SHOWN).astype(int))
        looks = tuple(_look(self.pairs[int(number)]) for number in shown)
        scenes = len(self.pairs.scenes)
        return Measured(self.pairs.where, len(self.pairs), scenes, measures, looks)

    def patches(self, curve: Array) -> Patches:
        """Describe the patches of all pairs."""
        rows, scenes = [], []
        for pair, noise in self.noise():
            rows.append(features(noise, curve))
            scenes += [pair.scene] * len(rows[-1])
        return Patches(np.concatenate(rows), np.array(scenes, np.str_))


def _distances(real: Measures, other: Measures) -> dict[str, float]:
    values = {name: value(other) - value(real) for name, value in VALUES.items()}
    return values | {name: distance(real, other) for name, distance in DISTANCES.items()}


def _areas(real: Patches, other: Patches, rng: np.random.Generator) -> dict[str, float]:
    """Return :data:`AREAS`."""
    kinds = (slice(None), *columns().values())
    return {
        name: held_out_auc(real.only(kind), other.only(kind), rng)
        for name, kind in zip(AREAS, kinds, strict=True)
    }


def _zero(groups: list[Measures], patches: Patches, seed: int) -> dict[str, Zero]:
    """Set random halves of the real set's scenes against each other."""
    found: dict[str, list[float]] = {name: [] for name in NAMES}
    scenes = np.unique(patches.scene)
    for half in range(HALVES):
        rng = random.generator(seed, random.Stream.REALISM, half)
        order = rng.permutation(len(groups))
        a, b = (reduce(add, (groups[i] for i in part)) for part in np.array_split(order, 2))
        # No half is the real one: both ways.
        ways = (_distances(a, b), _distances(b, a))
        for name in ways[0]:
            found[name].append(float(np.mean([abs(way[name]) for way in ways])))
        first, second = np.array_split(rng.permutation(scenes), 2)
        for name, area in _areas(patches.of(first), patches.of(second), rng).items():
            found[name].append(area)
    return {name: Zero(float(np.mean(v)), float(np.std(v))) for name, v in found.items()}


def _look(pair: Pair) -> Look:
    """Cut the middle out of a pair."""
    height, width, _ = pair.clean.shape
    top, left = max(height - CROP, 0) // 2, max(width - CROP, 0) // 2
    cut = (slice(top, top + CROP), slice(left, left + CROP))
    return Look(pair.name, *(to_8_bits(half[cut]) for half in (pair.clean, pair.noisy)))


def to_8_bits(picture: npt.NDArray[np.uint8] | npt.NDArray[np.uint16]) -> Picture:
    """Return a picture of 8 or 16 bits as one of 8."""
    if picture.dtype == np.uint8:
        return picture.astype(np.uint8)
    return np.round(picture / 257).astype(np.uint8)


def _facts(one: Measured) -> dict[str, Any]:
    values = {name: _known(value) for name, value in one.values.items()}
    return {"where": one.where, "pairs": one.pairs, "scenes": one.scenes, "values": values}


def _known(value: float) -> float | None:
    return value if np.isfinite(value) else None
