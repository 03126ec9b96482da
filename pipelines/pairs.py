"""Noisy/clean pairs of sRGB pictures, from a folder of files or from a corpus.

What a file is, its name says, in one of the ways published sets use:

=============================  ==============================  =====================
noisy half                     clean half                      set
=============================  ==============================  =====================
``X_real.png``                 ``X_mean.png``                  PolyU, CC
``0001_NOISY_SRGB_010.PNG``    ``0001_GT_SRGB_010.PNG``        SIDD
``X_noisy.png``                ``X_clean.png``                 any
``noisy/X.png``                ``clean/X.png``                 any
=============================  ==============================  =====================

Case and ending do not matter, and halves may have different endings. The folder is searched to the
bottom, without folders called ``noisy_only``.

Every pair has a scene, so that crops of one scene never fall on both sides of a split: SIDD's
number of the physical scene (of the capture in names with ``val``), PolyU's camera and object, the
image's scene in a corpus, and the pair's own name everywhere else.
"""

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from catalogs.sources import pictures
from catalogs.sources.roots import Root
from noisegen.errors import CorpusMismatchError, InputError, MissingDataError
from pipelines.corpus import Corpus

Picture = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
Half = Literal["noisy", "clean"]

SRGB_STAGES = ("srgb", "both")
"""Stages of a corpus that have sRGB pictures."""


@dataclass(frozen=True)
class Pair:
    """One pair.

    Attributes
    ----------
    name, scene, camera
        The pair's own name, the scene that it shows, and the camera; empty where not known.
    clean, noisy
        (H, W, 3) uint8 or uint16 gamma-coded R, G, B, both of one size and type.
    guide
        (H, W, G) of the same scene, from a corpus that has guides.
    """

    name: str
    scene: str
    camera: str
    clean: Picture
    noisy: Picture
    guide: Picture | None = None


class Entry(NamedTuple):
    """What is known of a pair before it is read."""

    name: str
    scene: str
    camera: str


@dataclass(frozen=True)
class Pairs:
    """A set of pairs, read one at a time.

    Attributes
    ----------
    where
        Folder or corpus, for messages.
    entries
        Name, scene and camera of each pair.
    load
        Returns the clean and the noisy picture at a place of the folder or corpus, and the guide if
        there is one.
    places
        Place of each entry there.
    skipped
        Pictures of the folder that are no half of a pair.
    corpus
        The corpus, where the pairs come from one.
    """

    where: str
    entries: tuple[Entry, ...]
    load: Callable[[int], tuple[Picture, ...]]
    places: tuple[int, ...]
    skipped: tuple[str, ...] = ()
    corpus: Corpus | None = None

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, number: int) -> Pair:
        """Read a pair.

        Raises
        ------
        UnreadableFileError
            If a file is damaged, cut short or gone.
        InputError
            If the halves differ in size or depth.
        """
        entry = self.entries[number]
        clean, noisy, *guide = self.load(self.places[number])
        if clean.shape != noisy.shape:
            sizes = " and ".join(f"{p.shape[1]}x{p.shape[0]}" for p in (noisy, clean))
            raise InputError(
                f"{self.where}: the noisy and the clean half of {entry.name} are {sizes} pixels; "
                "the halves of a pair have one size"
            )
        if clean.dtype != noisy.dtype:
            raise InputError(
                f"{self.where}: the noisy half of {entry.name} is {noisy.dtype}, the clean half "
                f"{clean.dtype}; store both in one depth"
            )
        return Pair(*entry, clean, noisy, *guide)

    def __iter__(self) -> Iterator[Pair]:
        for number in range(len(self)):
            yield self[number]

    @property
    def scenes(self) -> tuple[str, ...]:
        """The scenes, each once, sorted."""
        return tuple(sorted({entry.scene for entry in self.entries}))

    def of_scenes(self, scenes: Collection[str]) -> "Pairs":
        """Return the pairs of some scenes."""
        return self.take([i for i, entry in enumerate(self.entries) if entry.scene in scenes])

    def take(self, numbers: Collection[int]) -> "Pairs":
        """Return the pairs of some numbers."""
        return replace(
            self,
            entries=tuple(self.entries[i] for i in numbers),
            places=tuple(self.places[i] for i in numbers),
        )


def open_pairs(path: str | Path) -> Pairs:
    """Open a folder of pairs or a corpus.

    Parameters
    ----------
    path
        A folder or an fsspec URL.

    Raises
    ------
    MissingDataError
        If nothing is there, a half is missing, or there is no pair at all.
    InputError
        If two files are the same half of a pair.
    CorpusMismatchError
        If it is a corpus without sRGB pictures.
    DamagedCorpusError
        If a corpus's description is not what noisegen writes.
    """
    root = Root(str(path))
    if root.has("zarr.json"):
        return _of_corpus(Corpus(path))
    return _of_folder(root, [name for name in root.names() if _is_picture(name)])


def has_pairs(path: str | Path) -> bool:
    """Tell whether any picture of a folder is by its name half of a pair.

    Raises
    ------
    MissingDataError
        If there is no such folder.
    """
    return any(_half(name) for name in Root(str(path)).names() if _is_picture(name))


@dataclass(frozen=True)
class _OfCorpus:
    corpus: Corpus

    def __call__(self, sample: int) -> tuple[Picture, ...]:
        arrays = self.corpus[sample].arrays
        return tuple(arrays[name] for name in ("clean", "noisy", "guide") if name in arrays)


@dataclass(frozen=True)
class _OfFolder:
    root: Root
    files: tuple[tuple[str, str], ...]

    def __call__(self, place: int) -> tuple[Picture, Picture]:
        clean, noisy = (
            pictures.decode(self.root.read(name), self.root.locate(name))
            for name in self.files[place]
        )
        return clean, noisy


def _of_corpus(corpus: Corpus) -> Pairs:
    where, recipe = corpus.storage.url, corpus.recipe
    if recipe.stage not in SRGB_STAGES:
        raise CorpusMismatchError(
            f"{where} has no sRGB pictures, it is a corpus of stage '{recipe.stage}'; "
            "make one with --stage srgb or both"
        )
    valid = [int(number) for number in corpus.valid]
    if not valid:
        raise MissingDataError(f"{where}: no sample is there yet; run the same synthesize again")
    images = corpus.images
    entries = []
    for number in valid:
        image = int(corpus.table[number]["image"])
        entries.append(
            Entry(f"{images.names[image]}:{number}", images.scenes[image], recipe.camera)
        )

    return Pairs(where, tuple(entries), _OfCorpus(corpus), tuple(valid), corpus=corpus)


def _of_folder(root: Root, names: list[str]) -> Pairs:
    halves: dict[Half, dict[str, str]] = {"noisy": {}, "clean": {}}
    skipped = []
    for name in names:
        found = _half(name)
        if found is None:
            skipped.append(name)
            continue
        half, key = found
        if key in halves[half]:
            raise InputError(
                f"{root.url}: {halves[half][key]} and {name} are both the {half} half of {key}; "
                "remove one"
            )
        halves[half][key] = name
    noisy, clean = halves["noisy"], halves["clean"]
    for key in sorted(noisy.keys() ^ clean.keys()):
        there, missing = ("noisy", "clean") if key in noisy else ("clean", "noisy")
        raise MissingDataError(
            f"{root.locate(noisy.get(key) or clean[key])} is the {there} half of a pair whose "
            f"{missing} half is not there; add it, or move the file out of the folder"
        )
    keys = sorted(noisy)
    if not keys:
        raise MissingDataError(
            f"{root.url}: no pair (pictures there: {len(names)}); name the halves X_noisy and "
            "X_clean, X_real and X_mean, NOISY_SRGB and GT_SRGB, or put them into noisy/ and clean/"
        )

    load = _OfFolder(root, tuple((clean[key], noisy[key]) for key in keys))
    entries = tuple(_entry(key) for key in keys)
    return Pairs(root.url, entries, load, tuple(range(len(keys))), tuple(skipped))


_HALVES: dict[str, Half] = {
    "noisy": "noisy", "real": "noisy", "noisy_srgb": "noisy",
    "clean": "clean", "mean": "clean", "gt_srgb": "clean",
}  # fmt: skip
_SIDD_HALF = re.compile(r"(noisy_srgb|gt_srgb)(?:_|$)", re.IGNORECASE)
_LAST_WORD = re.compile(r"(?:^|_)(noisy|clean|real|mean)$", re.IGNORECASE)


def _half(name: str) -> tuple[Half, str] | None:
    """Return which half of a pair a file is, and what both halves have in common."""
    path = PurePosixPath(name)
    folders = [part for part in path.parts[:-1] if part.lower() not in ("noisy", "clean")]
    if "noisy_only" in folders:
        return None
    for pattern in (_SIDD_HALF, _LAST_WORD):
        if word := pattern.search(path.stem):
            stem = path.stem[: word.start()] + path.stem[word.end() :]
            return _HALVES[word[1].lower()], "/".join([*folders, stem]).rstrip("/") or "pair"
    for part in reversed(path.parts[:-1]):
        if part.lower() in ("noisy", "clean"):
            return _HALVES[part.lower()], "/".join([*folders, path.stem])
    return None


_SIDD_CAPTURE = re.compile(r"(?:^|/)\d{4}_(?P<scene>\d{3})_(?P<camera>[A-Z0-9]{2})_\d{5}_\d{5}_")
_SIDD_BLOCK = re.compile(r"(?:(?P<camera>[A-Z0-9]{2})_\d{5}_)?(?P<scene>val\d{4})[-_]\d+$")
_POLYU = re.compile(r"(?P<camera>[^_/]+)_[\d-]+_[\d-]+_\d+_(?P<scene>[^_/]+)_\d+$")
_CC = re.compile(r"(?P<camera>[^_/]+)_iso\d+_\d+$")


def _entry(key: str) -> Entry:
    if match := _SIDD_CAPTURE.search(key):
        return Entry(key, f"SIDD {match['scene']}", match["camera"])
    if match := _SIDD_BLOCK.search(key):
        return Entry(key, f"SIDD {match['scene']}", match["camera"] or "")
    if match := _POLYU.search(key):
        return Entry(key, f"{match['camera']} {match['scene']}", match["camera"])
    match = _CC.search(key)
    return Entry(key, key, match["camera"] if match else "")


def _is_picture(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in pictures.EXTENSIONS
