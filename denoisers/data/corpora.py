"""Corpora as data sets: what is stored, and what is developed with noise of its own each epoch."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from denoisers.data.dataset import Arrays, Cut, Dataset, no_room
from denoisers.data.draws import Numbers
from denoisers.data.turns import turned, turns_of
from noisegen.errors import InputError, MissingDataError
from pipelines.corpus import Corpus
from pipelines.store import SampleReader

FRESH = 1 << 23
"""First of the draws that are made while training: no corpus stores as many of a patch."""

OPEN_SHARDS = 256
"""Of an array, kept open: samples are read in no order."""


class CorpusData(Dataset):
    """Samples of a corpus; see :func:`open_corpus`."""

    def __init__(self, corpus: Corpus, names: tuple[str, ...]) -> None:
        self.corpus, self.names = corpus, names
        self.where = corpus.storage.url
        self.turns = turns_of(corpus)
        self.numbers: Numbers = corpus.valid.astype(np.int64)
        if not len(self.numbers):
            raise MissingDataError(
                f"{self.where}: no sample is there yet; run the same synthesize again"
            )
        scenes = corpus.images.scenes
        self.scenes = tuple(scenes[i] for i in corpus.table["image"][self.numbers].tolist())

    @property
    def channels(self) -> int:
        """1 where samples are mosaics."""
        return 1 if self.corpus.recipe.stage == "raw" else 3

    @property
    def stored_patch(self) -> int:
        """Height and width of a sample."""
        return self.corpus.recipe.patch

    def check_patch(self, patch: int) -> None:
        """See :meth:`Dataset.check_patch`."""
        if patch > self.stored_patch:
            raise no_room(self.where, "samples of", self.stored_patch, patch)

    def take(self, samples: Sequence[int]) -> Self:
        """See :meth:`Dataset.take`."""
        part = object.__new__(type(self))
        part.__dict__.update(self.__dict__)
        part.numbers = self.numbers[np.asarray(samples, np.int64)]
        part.scenes = tuple(self.scenes[i] for i in samples)
        return part

    def address(self, sample: int) -> str:
        """See :meth:`Dataset.address`."""
        return f"{self.where} sample {self.numbers[sample]}"

    def whole(self, sample: int) -> Arrays:
        """Return the arrays of a sample as the corpus has them."""
        arrays = self.corpus[int(self.numbers[sample])].arrays
        return {name: arrays[name] for name in self.names}


class StoredData(CorpusData):
    """What a corpus stores."""

    def read(self, cut: Cut) -> Arrays:
        """See :meth:`Dataset.read`."""
        rows = self.numbers[cut.samples].tolist()
        size = self.stored_patch
        corners = cut.corners((size, size), 2 if self.channels == 1 else 1).tolist()
        whole = cut.patch == size and not cut.turns.any()
        out: Arrays = {}
        for name in self.names:
            reader = self._readers[name]
            if whole:
                out[name] = reader.take(rows)
                continue
            out[name] = np.empty((len(rows), cut.patch, cut.patch, *reader.shape[3:]), reader.dtype)
            chunk = np.empty((1, *reader.shape[1:]), reader.dtype)
            items = zip(rows, corners, cut.turns.tolist(), out[name], strict=True)
            for row, (y, x), turn, patch in items:
                reader.take((row,), chunk)
                patch[:] = turned(chunk[0, y : y + cut.patch, x : x + cut.patch], turn)
        return out

    @cached_property
    def _readers(self) -> dict[str, SampleReader]:
        storage = self.corpus.storage
        return {name: SampleReader(storage, name, max_open=OPEN_SHARDS) for name in self.names}


class DevelopedData(CorpusData):
    """Samples that are developed as they are read, of a tile with surroundings.

    A lazy corpus stores such tiles. At stages "both" and "raw" the stored mosaic is the tile: its
    rim is used up as surroundings where the ISP needs any.

    Parameters
    ----------
    corpus, names
        As in :class:`CorpusData`.
    fresh
        Whether every visit draws noise of its own; if not, it is the corpus's own draw.
    """

    def __init__(self, corpus: Corpus, names: tuple[str, ...], *, fresh: bool) -> None:
        super().__init__(corpus, names)
        self.fresh = fresh
        recipe, halo = corpus.recipe, corpus.developer.halo
        if recipe.lazy:
            self._tiles, self._margin = corpus.developer.tile.name, 0
        else:
            self._tiles = "raw_clean" if recipe.stage == "both" else "clean"
            self._margin = halo + halo % 2  # the CFA's period

    @property
    def stored_patch(self) -> int:
        """Height and width that a sample can be developed to."""
        return self.corpus.recipe.patch - 2 * self._margin

    def check_patch(self, patch: int) -> None:
        """See :meth:`Dataset.check_patch`."""
        super().check_patch(patch)
        recipe = self.corpus.recipe
        if patch != recipe.patch and recipe.finish.shrinks:
            raise InputError(
                f"{self.where}: its recipe resizes patches, which are then developed whole; give "
                f"--patch {recipe.patch}"
            )
        if patch % 2:
            raise InputError(
                f"{self.where}: patches of {patch} pixels cut the CFA; give an even --patch"
            )

    def read(self, cut: Cut) -> Arrays:
        """See :meth:`Dataset.read`."""
        corpus = self.corpus
        recipe, halo = corpus.recipe, corpus.developer.halo
        numbers = self.numbers[cut.samples]
        rows = corpus.table[numbers]
        corners = cut.corners((self.stored_patch,) * 2, 2) + self._margin
        sizes = corpus.frame_sizes(rows)
        if self.fresh:
            rows["draw"] = FRESH + (cut.visits * corpus.plan.draws + rows["draw"]) % FRESH
        patch = cut.patch
        developer = corpus.developer
        if patch != recipe.patch:
            rows["y"] += corners[:, 0].astype(np.uint32)
            rows["x"] += corners[:, 1].astype(np.uint32)
            developer = replace(developer, recipe=recipe.model_copy(update={"patch": patch}))
        tiles = self._cut_tiles(
            numbers, corners - halo * bool(self._margin), developer.core + 2 * halo
        )
        arrays = developer.batch(rows[:, None], tiles, sizes)
        return {name: _turned(arrays[name], cut.turns) for name in self.names}

    def whole(self, sample: int) -> Arrays:
        """Return the sample as the corpus has it, or the part of it that can be developed."""
        one = np.array([sample])
        zero = np.zeros(1, np.int64)
        cut = Cut(one, zero, self.stored_patch, np.zeros((1, 2)), zero)
        return {name: array[0] for name, array in self.read(cut).items()}

    def _cut_tiles(self, numbers: Numbers, corners: Numbers, side: int) -> npt.NDArray[Any]:
        reader = self._reader
        stored = numbers // self.corpus.plan.draws if self.corpus.recipe.lazy else numbers
        if side == reader.shape[1]:
            return reader.take(stored.tolist())
        tiles = np.empty((len(stored), side, side, *reader.shape[3:]), reader.dtype)
        whole = np.empty((1, *reader.shape[1:]), reader.dtype)
        for row, (y, x), tile in zip(stored.tolist(), corners.tolist(), tiles, strict=True):
            reader.take((row,), whole)
            tile[:] = whole[0, y : y + side, x : x + side]
        return tiles

    @cached_property
    def _reader(self) -> SampleReader:
        return SampleReader(self.corpus.storage, self._tiles, max_open=OPEN_SHARDS)


def open_corpus(corpus: Corpus, names: tuple[str, ...], *, renoise: bool = False) -> CorpusData:
    """Return a corpus as a data set.

    Parameters
    ----------
    corpus
        Stored or lazy; unfinished shards are left out.
    names
        Arrays that are wanted.
    renoise
        Draw the corpus's own noise anew at every visit of a sample.

    Raises
    ------
    MissingDataError
        If there is no sample, or an array that is not there.
    InputError
        If noise is to be drawn anew where no mosaic is stored.
    """
    recipe, where = corpus.recipe, corpus.storage.url
    if missing := [name for name in names if name not in corpus.names]:
        raise MissingDataError(
            f"{where}: it has no '{missing[0]}', only {', '.join(corpus.names)}; make a corpus "
            "that has it"
        )
    if renoise and not recipe.lazy and recipe.stage not in ("raw", "both"):
        raise InputError(
            f"{where}: stored {recipe.stage} pictures have no mosaic to draw noise on; make the "
            "corpus with --lazy or --stage both, or leave --renoise away"
        )
    if recipe.lazy or renoise:
        return DevelopedData(corpus, names, fresh=renoise)
    return StoredData(corpus, names)


def _turned(pictures: npt.NDArray[Any], turns: Numbers) -> npt.NDArray[Any]:
    if not turns.any():
        return pictures
    return np.stack([turned(p, t) for p, t in zip(pictures, turns.tolist(), strict=True)])
