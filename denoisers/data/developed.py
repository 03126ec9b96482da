"""Corpora that are developed as they are read: lazy ones, and those whose noise is drawn anew."""

from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from denoisers.data.corpora import OPEN_SHARDS, CorpusData
from denoisers.data.dataset import Arrays, Cut
from denoisers.data.draws import Numbers
from denoisers.data.turns import put, turn_places, turns_of
from noisegen.errors import InputError
from pipelines.corpus import Corpus
from pipelines.picture import AnyDeveloper
from pipelines.store import SampleReader

FRESH = 1 << 23
"""First of the draws that are made while training: no corpus stores as many of a patch."""


class DevelopedData(CorpusData):
    """Samples that are developed of a tile with surroundings.

    A lazy corpus stores such tiles. At stages "both" and "raw" the stored mosaic is the tile: its
    rim is used up as surroundings where the ISP needs any. Where noise is drawn on the picture, the
    clean picture is.

    Parameters
    ----------
    corpus, names
        As in :class:`CorpusData`.
    fresh
        Whether every visit draws noise of its own, on a tile that is turned before; if not, it is
        the corpus's own draw, and what comes out is turned.
    """

    def __init__(self, corpus: Corpus, names: tuple[str, ...], *, fresh: bool) -> None:
        super().__init__(corpus, names)
        self.fresh = fresh
        recipe, halo = corpus.recipe, corpus.developer.halo
        self._tiles, self._margin = corpus.developer.tile.name, 0
        if not (recipe.lazy or recipe.on_picture):
            self._tiles = "raw_clean" if recipe.stage == "both" else "clean"
            self._margin = halo + halo % 2  # the CFA's period
        # Gain maps of files stay as they are: what they are for is turned when it is developed.
        self._turns_tiles = fresh and recipe.shading.mode != "file"
        if self._turns_tiles:
            self.turns = turns_of(corpus, noisy=False)
        self._developers = {recipe.patch: corpus.developer}
        self._period = 1 if recipe.on_picture else 2
        # Patches whose border in the ISP is no surroundings are developed whole and cut after.
        self._cut_after = recipe.border == "published" and recipe.stage != "raw"

    @property
    def stored_patch(self) -> int:
        """Height and width that a sample can be developed to."""
        return self.corpus.recipe.patch - 2 * self._margin

    def check_patch(self, patch: int) -> None:
        """See :meth:`Dataset.check_patch`."""
        recipe = self.corpus.recipe
        if self._margin and patch > self.stored_patch:
            raise InputError(
                f"{self.where}: samples of {recipe.patch} are developed to {self.stored_patch} "
                "when noise is drawn anew, as rendering uses up their rim; give --patch "
                f"{self.stored_patch} or less"
            )
        super().check_patch(patch)
        if patch != recipe.patch and recipe.finish.shrinks:
            raise InputError(
                f"{self.where}: its recipe resizes patches, which are then developed whole; give "
                f"--patch {recipe.patch}"
            )
        if patch % self._period:
            raise InputError(
                f"{self.where}: patches of {patch} pixels cut the CFA; give an even --patch"
            )

    def read(self, cut: Cut) -> Arrays:
        """See :meth:`Dataset.read`."""
        corpus = self.corpus
        numbers = self.numbers[cut.samples]
        rows, turns = corpus.table[numbers], cut.turns
        corners = cut.corners((self.stored_patch,) * 2, self._period) + self._margin
        sizes = corpus.frame_sizes(rows)
        if self.fresh:
            rows["draw"] = FRESH + (cut.visits * corpus.plan.draws + rows["draw"]) % FRESH
        patch = self.stored_patch if self._cut_after else cut.patch
        first = np.full_like(corners, self._margin) if self._cut_after else corners
        rows["y"] += first[:, 0].astype(np.uint32)
        rows["x"] += first[:, 1].astype(np.uint32)
        developer = self._developer(patch)
        halo = developer.halo
        tiles = self._cut_tiles(
            numbers, first - halo * bool(self._margin), developer.core + 2 * halo
        )
        if self._turns_tiles and turns.any():
            tiles = turn_places(rows, sizes, tiles, turns, developer)
            turns = np.zeros_like(turns)
        arrays = developer.batch(rows[:, None], tiles, sizes)
        if patch == cut.patch and not turns.any():
            return {name: arrays[name] for name in self.names}
        within = corners - first
        return {name: _cut(arrays[name], within, cut.patch, turns) for name in self.names}

    def whole(self, sample: int) -> Arrays:
        """Return the sample as the corpus has it, or the part of it that can be developed."""
        one = np.array([sample])
        zero = np.zeros(1, np.int64)
        cut = Cut(one, zero, self.stored_patch, np.zeros((1, 2)), zero)
        return {name: array[0] for name, array in self.read(cut).items()}

    def _developer(self, patch: int) -> AnyDeveloper:
        """Return what develops patches of some size."""
        if patch not in self._developers:
            recipe = self.corpus.recipe.model_copy(update={"patch": patch})
            self._developers[patch] = replace(self.corpus.developer, recipe=recipe)
        return self._developers[patch]

    def _cut_tiles(self, numbers: Numbers, corners: Numbers, side: int) -> npt.NDArray[Any]:
        reader = self._reader
        stored = numbers // self.corpus.plan.draws if self.corpus.recipe.lazy else numbers
        if side == reader.shape[1]:
            return reader.take(stored.tolist())
        tiles = np.empty((len(stored), side, side, *reader.shape[3:]), reader.dtype)
        windows = reader.windows(stored.tolist(), corners.tolist(), side)
        for tile, window in zip(tiles, windows, strict=True):
            tile[:] = window
        return tiles

    @cached_property
    def _reader(self) -> SampleReader:
        return SampleReader(self.corpus.storage, self._tiles, max_open=OPEN_SHARDS)


def _cut(
    pictures: npt.NDArray[Any], corners: Numbers, patch: int, turns: Numbers
) -> npt.NDArray[Any]:
    """Return what is cut out of each picture, turned."""
    out = np.empty((len(pictures), patch, patch, *pictures.shape[3:]), pictures.dtype)
    items = zip(pictures, corners.tolist(), turns.tolist(), out, strict=True)
    for picture, (y, x), turn, place in items:
        put(picture[y : y + patch, x : x + patch], turn, place)
    return out
