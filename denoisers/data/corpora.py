"""Corpora as data sets: what they have in common, and those that are read as they are stored."""

from collections.abc import Sequence
from functools import cached_property
from resource import RLIMIT_NOFILE, getrlimit
from typing import Self

import numpy as np
import numpy.typing as npt

from catalogs.sources import GUIDE_CHANNELS
from denoisers.data.dataset import Arrays, Cut, Dataset, no_room
from denoisers.data.draws import Numbers
from denoisers.data.turns import SWAPS, put, turns_of
from noisegen.errors import MissingDataError
from pipelines.corpus import Corpus
from pipelines.schema import SPLITS
from pipelines.store import SampleReader

OPEN_SHARDS = max(8, min(256, getrlimit(RLIMIT_NOFILE)[0] // 16))
"""Of an array, kept open: samples are read in no order. Several corpora have several arrays each,
and a process may open 1024 files as a rule."""


class CorpusData(Dataset):
    """Samples of a corpus."""

    def __init__(self, corpus: Corpus, names: tuple[str, ...]) -> None:
        self.corpus, self.names = corpus, names
        self.where, self.identity = corpus.storage.url, corpus.recipe.sha256
        self.turns = turns_of(corpus, noisy=names != ("clean",))
        self.numbers: Numbers = corpus.valid.astype(np.int64)
        if not len(self.numbers):
            raise MissingDataError(
                f"{self.where}: no sample is there yet; run the same synthesize again"
            )
        scenes = corpus.images.scenes
        self.scenes = tuple(scenes[i] for i in corpus.table["image"][self.numbers].tolist())

    @property
    def splits(self) -> npt.NDArray[np.uint8]:
        """Split of each sample as the corpus has it; a set of real pairs may publish its own."""
        images = self.corpus.table["image"][self.numbers]
        return np.asarray(self.corpus.images.split[images], np.uint8)

    @property
    def published_test(self) -> npt.NDArray[np.bool_]:
        """Whether each sample is one that the corpus's set of pairs publishes for testing."""
        splits = self.splits
        published = bool((splits != super().splits).any())
        return np.asarray((splits == SPLITS.index("test")) & published, np.bool_)

    @property
    def channels(self) -> int:
        """1 where samples are mosaics."""
        return 1 if self.corpus.recipe.stage == "raw" else 3

    @property
    def guide_channels(self) -> int:
        """See :attr:`Dataset.guide_channels`."""
        guide = self.corpus.recipe.guide
        return GUIDE_CHANNELS[guide] if guide else 0

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
        whole = cut.patch == size
        out: Arrays = {}
        for name in self.names:
            reader = self._readers[name]
            if whole and not cut.turns.any():
                out[name] = reader.take(rows)
                continue
            out[name] = np.empty((len(rows), cut.patch, cut.patch, *reader.shape[3:]), reader.dtype)
            items = zip(rows, corners, cut.turns.tolist(), out[name], strict=True)
            for row, corner, turn, place in items:
                if whole and not turn & SWAPS:  # mirrored where it is decoded, in the cache
                    reader.take((row,), place[None])
                    put(place, turn, place)
                else:
                    (picture,) = reader.windows((row,), (corner,), cut.patch)
                    put(picture, turn, place)
        return out

    @cached_property
    def _readers(self) -> dict[str, SampleReader]:
        storage = self.corpus.storage
        return {name: SampleReader(storage, name, max_open=OPEN_SHARDS) for name in self.names}
