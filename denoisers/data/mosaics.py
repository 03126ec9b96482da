"""Corpora of mosaics as data sets: patches that begin with red, and what the ISP needs of them."""

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from denoisers.data.corpora import OPEN_SHARDS, CorpusData
from denoisers.data.dataset import Arrays, Cut, no_room
from denoisers.data.draws import Numbers
from denoisers.data.turns import ALL, MIRRORS, SWAPS, TURNED_PHASES, put
from noisegen.cfa import PHASES, shift
from noisegen.errors import CorpusMismatchError, InputError
from pipelines.corpus import Corpus
from pipelines.develop import Developer
from pipelines.store import SampleReader

_PLACES = [(0, 0), (0, 1), (1, 0), (1, 1)]

_OFFSETS = np.array(
    [
        [next(o for o in _PLACES if shift(phase, *o) == wanted) for wanted in PHASES]
        for phase in PHASES
    ]
)
"""(phase, phase, 2): by how many pixels a mosaic is moved on to come from one phase to another."""

_BEFORE = np.argmax(TURNED_PHASES == 0, axis=1)
"""The phase that each turn makes RGGB."""

_UPRIGHT = np.array(
    [
        [next(t for t in ALL if TURNED_PHASES[t, p] == 0 and bool(t & SWAPS) == s) for s in (0, 1)]
        for p in range(len(PHASES))
    ]
)
"""(phase, 2): the turn that makes it RGGB in place, without and with a swap of rows and columns."""


class MosaicData(CorpusData):
    """Mosaics of a corpus, cut and turned so that red is at the corner.

    ``raw_clean``, and ``raw_noisy`` where the corpus's own noise is wanted, are (n, P, P) in
    digital numbers.

    Parameters
    ----------
    corpus
        Stored at stage "raw" or "both", or lazy.
    noisy
        Whether the corpus's own noisy mosaics are wanted; if not, noise is put on afterwards.

    Raises
    ------
    CorpusMismatchError
        If it has no mosaics.
    InputError
        If its noisy mosaics are darker than the clean ones.
    """

    def __init__(self, corpus: Corpus, *, noisy: bool) -> None:
        recipe = corpus.recipe
        stored = recipe.stage in ("raw", "both")
        if recipe.on_picture or not (stored or recipe.lazy):
            raise CorpusMismatchError(
                f"{corpus.storage.url}: a corpus of stored {recipe.stage} pictures has no mosaics; "
                "make one with --stage raw, --stage both or --lazy"
            )
        super().__init__(corpus, ("raw_clean", "raw_noisy") if noisy else ("raw_clean",))
        table = corpus.table[corpus.valid]
        if noisy and not recipe.amplify and np.any(table["exposure_ratio"] != 1):
            raise InputError(
                f"{self.where}: its noisy mosaics got less light than the clean ones; draw noise "
                "anew (--renoise), or make it with amplify = true"
            )
        rows_alone = noisy and (corpus.sensor.body.on or bool(np.any(table["row"] > 0)))
        self.turns = MIRRORS if rows_alone else ALL

    @property
    def channels(self) -> int:
        """One."""
        return 1

    def check_patch(self, patch: int) -> None:
        """See :meth:`Dataset.check_patch`."""
        if patch > self.stored_patch:
            raise no_room(self.where, "samples of", self.stored_patch, patch)
        if patch % 2:
            raise InputError(
                f"{self.where}: patches of {patch} pixels cut the CFA; give an even --patch"
            )

    def read(self, cut: Cut) -> Arrays:
        """See :meth:`Dataset.read`."""
        numbers = self.numbers[cut.samples]
        corners, turns = self._placed(cut)
        return {
            name: _turned(self._windows(name, numbers, corners, cut.patch), turns, cut.patch)
            for name in self.names
        }

    def parameters(self, cut: Cut) -> Arrays:
        """Return what the samples' rows record, for mosaics that :meth:`read` returns.

        Returns
        -------
        dict
            ``black`` (n, 4), ``white`` (n,), ``white_balance`` (n, 3), ``cam_to_xyz`` (n, 3, 3);
            ``shot`` and ``read`` (n,) are means over the planes.
        """
        rows = self.corpus.table[self.numbers[cut.samples]]
        _, turns = self._placed(cut)
        black = rows["black"].copy()
        # Where rows and columns are swapped, green in red rows becomes green in blue rows.
        swapped = (turns & SWAPS) > 0
        black[swapped] = black[swapped][:, [0, 3, 2, 1]]
        return {
            "black": black,
            "white": rows["white"].copy(),
            "white_balance": rows["wb"].copy(),
            "cam_to_xyz": rows["cam_to_xyz"].copy(),
            "shot": rows["shot"].mean(1),
            "read": rows["read"].mean(1),
        }

    def whole(self, sample: int) -> Arrays:
        """Return the sample's mosaics, as large as they begin with red."""
        one, zero = np.array([sample]), np.zeros(1, np.int64)
        side = self.stored_patch // 2 * 2
        cut = Cut(one, zero, side, np.zeros((1, 2)), zero)
        return {name: array[0] for name, array in self.read(cut).items()}

    def _placed(self, cut: Cut) -> tuple[Numbers, Numbers]:
        """Return the crops' corners and turns, after which red is at the corner.

        Any turn will do where there is room to move the crop by a pixel; where there is none, the
        turn is one that leaves it in place.
        """
        codes = self.corpus.table["cfa"][self.numbers[cut.samples]]
        offsets = _OFFSETS[codes, _BEFORE[cut.turns]]
        room = self.stored_patch - cut.patch
        tight = (offsets > room).any(1)
        turns = np.where(tight, _UPRIGHT[codes, (cut.turns & SWAPS) // SWAPS], cut.turns)
        offsets[tight] = 0
        corners = (cut.place * ((room - offsets) // 2 + 1)).astype(np.int64) * 2 + offsets
        return corners, turns

    def _windows(
        self, name: str, numbers: Numbers, corners: Numbers, patch: int
    ) -> Iterator[npt.NDArray[Any]]:
        """Yield a window of each sample's mosaic, to be read before the next is asked for."""
        corpus, rows, places = self.corpus, numbers, corners
        if corpus.recipe.lazy:
            rows, places = numbers // corpus.plan.draws, corners + corpus.developer.halo
        if corpus.recipe.lazy and name == "raw_noisy":
            tiles = self._readers["raw_clean"].take(rows.tolist())
            table = corpus.table[numbers]
            sizes = corpus.frame_sizes(table)
            developer = corpus.developer
            assert isinstance(developer, Developer)  # no corpus with noise on pictures comes here
            noisy = developer.noisy_tiles(table[:, None], tiles, sizes)
            for mosaic, (y, x) in zip(noisy, places.tolist(), strict=True):
                yield mosaic[y : y + patch, x : x + patch]
        else:
            yield from self._readers[name].windows(rows.tolist(), places.tolist(), patch)

    @cached_property
    def _readers(self) -> dict[str, SampleReader]:
        recipe, storage = self.corpus.recipe, self.corpus.storage
        stored = {name: name for name in self.names}
        if recipe.lazy:
            stored = {"raw_clean": self.corpus.developer.tile.name}
        elif recipe.stage == "raw":
            stored = {name: name.removeprefix("raw_") for name in self.names}
        return {
            name: SampleReader(storage, own, max_open=OPEN_SHARDS) for name, own in stored.items()
        }


def _turned(
    windows: Iterator[npt.NDArray[Any]], turns: Numbers, patch: int
) -> npt.NDArray[np.uint16]:
    out = np.empty((len(turns), patch, patch), np.uint16)
    for window, turn, place in zip(windows, turns.tolist(), out, strict=True):
        put(np.ascontiguousarray(window), turn, place)
    return out
