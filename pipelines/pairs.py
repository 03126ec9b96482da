"""Noisy/clean pairs of sRGB pictures, from a folder of files or from a corpus.

What a file is, its name says (:mod:`catalogs.sources.pair_names`). The folder is searched to the
bottom.

Every pair has a scene, so that crops of one scene never fall on both sides of a split: SIDD's
number of the physical scene (of the capture in names with ``val``), PolyU's camera and object, the
image's scene in a corpus, and the pair's own name everywhere else.
"""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from catalogs.sources import PairRef, pair_names, pictures
from catalogs.sources.pair_folder import PairFolder
from catalogs.sources.pair_set import is_picture
from catalogs.sources.roots import Root
from noisegen.errors import CorpusMismatchError, MissingDataError
from pipelines import prepare
from pipelines.corpus import Corpus
from pipelines.schema import SPLITS

Picture = pictures.Picture

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
    """What is known of a pair before it is read.

    ``split`` is a place in ``pipelines.schema.SPLITS``: the one that its set publishes, or that of
    the hash of its scene. ``iso`` is the ISO speed where the corpus or the name tells it.
    """

    name: str
    scene: str
    camera: str
    split: int
    iso: float | None = None


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
        return Pair(entry.name, entry.scene, entry.camera, clean, noisy, *guide)

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

    def of_split(self, split: str) -> "Pairs":
        """Return the pairs of one of ``pipelines.schema.SPLITS``."""
        wanted = SPLITS.index(split)
        return self.take([i for i, entry in enumerate(self.entries) if entry.split == wanted])

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
    return _of_folder(root)


def has_pairs(path: str | Path) -> bool:
    """Tell whether any picture of a folder is by its name half of a pair.

    Raises
    ------
    MissingDataError
        If there is no such folder.
    """
    return any(pair_names.place(n) for n in Root(str(path)).names() if is_picture(n))


@dataclass(frozen=True)
class _OfCorpus:
    corpus: Corpus

    def __call__(self, sample: int) -> tuple[Picture, ...]:
        arrays = self.corpus[sample].arrays
        return tuple(arrays[name] for name in ("clean", "noisy", "guide") if name in arrays)


@dataclass(frozen=True)
class _OfFolder:
    source: PairFolder
    refs: tuple[PairRef, ...]

    def __call__(self, place: int) -> tuple[Picture, Picture]:
        pair = self.source.read_pair(self.refs[place])
        return pair.clean, pair.noisy


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
        row = corpus.table[number]
        image, iso = int(row["image"]), float(row["iso"])
        name, split = f"{images.names[image]}:{number}", int(images.split[image])
        entries.append(
            Entry(
                name, images.scenes[image], images.cameras[image], split, iso if iso > 0 else None
            )
        )

    return Pairs(where, tuple(entries), _OfCorpus(corpus), tuple(valid), corpus=corpus)


def _of_folder(root: Root) -> Pairs:
    source = PairFolder(root.url)
    refs, skipped = source.listed()
    splits = prepare.splits_of(refs).tolist()
    entries = tuple(
        Entry(ref.name, ref.scene, ref.shot.camera, split, ref.shot.iso)
        for ref, split in zip(refs, splits, strict=True)
    )
    return Pairs(root.url, entries, _OfFolder(source, refs), tuple(range(len(refs))), skipped)
