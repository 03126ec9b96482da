"""Folders of pictures as data sets: noisy/clean pairs, or clean pictures to put noise on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from threading import Lock
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from catalogs.sources import pictures
from catalogs.sources.roots import Root
from denoisers.data.dataset import Arrays, Cut, Dataset, no_room
from denoisers.data.turns import ALL, put
from noisegen.errors import MissingDataError
from pipelines.pairs import Pairs

KEPT_BYTES = 1 << 31
"""Decoded pictures that are kept: a file takes a hundred times longer to decode than to cut."""

Load = Callable[[int], Arrays]


class PictureData(Dataset):
    """Pictures of any size, one sample a file or a pair of files.

    Parameters
    ----------
    where, names, scenes
        As in :class:`Dataset`.
    titles
        What each sample is called in a message.
    load
        Reads the pictures of a sample.
    """

    def __init__(
        self,
        where: str,
        names: tuple[str, ...],
        scenes: tuple[str, ...],
        titles: tuple[str, ...],
        load: Load,
    ) -> None:
        self.where, self.names, self.scenes = where, names, scenes
        self.turns = ALL
        self._titles, self._load = titles, _Kept(load, KEPT_BYTES)
        self._places = tuple(range(len(scenes)))

    @property
    def channels(self) -> int:
        """Files are read in colour."""
        return 3

    def check_patch(self, patch: int) -> None:
        """Sizes are not known before the files are read."""

    def take(self, samples: Sequence[int]) -> Self:
        """See :meth:`Dataset.take`."""
        part = object.__new__(type(self))
        part.__dict__.update(self.__dict__)
        for name in ("scenes", "_titles", "_places"):
            whole = getattr(self, name)
            setattr(part, name, tuple(whole[i] for i in samples))
        return part

    def address(self, sample: int) -> str:
        """See :meth:`Dataset.address`."""
        return self._titles[sample]

    def whole(self, sample: int) -> Arrays:
        """See :meth:`Dataset.whole`."""
        return self._load(self._places[sample])

    def read(self, cut: Cut) -> Arrays:
        """See :meth:`Dataset.read`."""
        crops: dict[str, list[npt.NDArray[Any]]] = {name: [] for name in self.names}
        for i, sample in enumerate(cut.samples.tolist()):
            found = self.whole(sample)
            height, width = found["clean"].shape[:2]
            if min(height, width) < cut.patch:
                raise no_room(self._titles[sample], "a picture of", f"{width}x{height}", cut.patch)
            one = replace(cut, place=cut.place[i : i + 1])
            ((y, x),) = one.corners((height, width)).tolist()
            for name in self.names:
                window = found[name][y : y + cut.patch, x : x + cut.patch]
                crop = np.empty((cut.patch, cut.patch, 3), window.dtype)
                put(window, int(cut.turns[i]), crop)
                crops[name].append(crop)
        return {name: stacked(those) for name, those in crops.items()}


def open_pictures(root: Root) -> PictureData:
    """Return a folder of clean pictures, searched to the bottom; each picture is a scene.

    Raises
    ------
    MissingDataError
        If there is no picture.
    """
    files = [n for n in root.names() if PurePosixPath(n).suffix.lower() in pictures.EXTENSIONS]
    if not files:
        raise MissingDataError(
            f"{root.url}: no picture there ({', '.join(sorted(pictures.EXTENSIONS))}) and no corpus"
        )
    titles = tuple(root.locate(name) for name in files)
    return PictureData(root.url, ("clean",), tuple(files), titles, _Clean(root, tuple(files)))


def of_pairs(pairs: Pairs, names: tuple[str, ...]) -> PictureData:
    """Return a folder of pairs as a data set; with ``("clean",)`` its clean halves alone."""
    scenes = tuple(entry.scene for entry in pairs.entries)
    titles = tuple(f"{pairs.where} pair {entry.name}" for entry in pairs.entries)
    return PictureData(pairs.where, names, scenes, titles, _OfPairs(pairs))


def stacked(crops: list[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """Return pictures of one size as one array, of 16 bits if any has 16."""
    if len({crop.dtype for crop in crops}) > 1:
        crops = [c * np.uint16(257) if c.dtype == np.uint8 else c for c in crops]
    return np.stack(crops)


@dataclass(frozen=True)
class _Clean:
    root: Root
    files: tuple[str, ...]

    def __call__(self, place: int) -> Arrays:
        name = self.files[place]
        return {"clean": pictures.decode(self.root.read(name), self.root.locate(name))}


@dataclass(frozen=True)
class _OfPairs:
    pairs: Pairs

    def __call__(self, place: int) -> Arrays:
        pair = self.pairs[place]
        return {"clean": pair.clean, "noisy": pair.noisy}


class _Kept:
    """Keeps what was loaded first, as far as there is room for it."""

    def __init__(self, load: Load, room: int) -> None:
        self._load, self._room = load, room
        self._found: dict[int, Arrays] = {}
        self._lock = Lock()

    def __reduce__(self) -> tuple[type, tuple[Load, int]]:
        """Pickle without the pictures."""
        kept = sum(picture.nbytes for found in self._found.values() for picture in found.values())
        return type(self), (self._load, self._room + kept)

    def __call__(self, place: int) -> Arrays:
        if (found := self._found.get(place)) is not None:
            return found
        found = self._load(place)
        size = sum(picture.nbytes for picture in found.values())
        with self._lock:
            if place not in self._found and size <= self._room:
                self._room -= size
                self._found[place] = found
        return found
