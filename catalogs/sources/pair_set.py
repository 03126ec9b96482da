"""Data sets of noisy/clean pairs: what has to be said of one, and all that they have in common.

A set says which half of a pair a file is by its name, and what the name tells of the picture. The
clean halves alone are a source like any other, so that noise can be put on them.
"""

import hashlib
from abc import ABC, abstractmethod
from collections import defaultdict
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import ClassVar, Literal, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from catalogs.sources import headers, pictures
from catalogs.sources.base import ImageRef, Source, SourceImage
from catalogs.sources.folder import read_file
from catalogs.sources.pictures import Picture
from catalogs.sources.roots import Root
from noisegen.errors import InputError, MissingDataError, UnreadableFileError

Half = Literal["noisy", "clean"]


@dataclass(frozen=True)
class Shot:
    """What is told of how a noisy picture was taken; empty or None where nothing is.

    Parameters
    ----------
    camera
        Its name in the set.
    iso
        ISO speed.
    aperture
        f-number.
    exposure_time
        In seconds.
    temperature
        Colour temperature of the light, K.
    split
        ``"train"``, ``"val"`` or ``"test"`` where the set publishes it; if empty, the hash of the
        scene says.
    """

    camera: str = ""
    iso: float | None = None
    aperture: float | None = None
    exposure_time: float | None = None
    temperature: float | None = None
    split: str = ""


@dataclass(frozen=True)
class PairRef(ImageRef):
    """One pair of a set; `name` is the pair's, `noisy` and `clean` are files or parts of files."""

    noisy: str = ""
    clean: str = ""
    shot: Shot = Shot()


@dataclass(frozen=True, eq=False)
class SourcePair:
    """One pair as it was read.

    Parameters
    ----------
    clean, noisy
        (H, W, 3) uint8 or uint16 gamma-coded R, G, B, both of one size and type.
    sha256
        32 bytes, of the clean half's file, or of its pixels where it is a part of a file.
    """

    clean: Picture
    noisy: Picture
    sha256: bytes


class PairSource(Source, Protocol):
    """A source that has noisy pictures of what its clean ones show."""

    def pairs(self) -> tuple[PairRef, ...]:
        """List all pairs, in an order that depends on their names alone."""

    def size(self, ref: PairRef) -> tuple[int, int]:
        """Return height and width of the clean half, reading no more than is needed."""

    def read_pair(self, ref: PairRef) -> SourcePair:
        """Read one pair.

        Raises
        ------
        UnreadableFileError
            If a half is damaged, cut short or gone.
        InputError
            If the halves differ in size or depth.
        """


class Place(NamedTuple):
    """Which half of a pair a file is, and what both halves have in common."""

    half: Half
    key: str


@dataclass(frozen=True)
class PairSet(ABC):
    """Pairs that lie as files under a root.

    Parameters
    ----------
    root
        A path or an fsspec URL.
    """

    root: str

    name: ClassVar[str]
    licence: ClassVar[str]
    default_per_image: ClassVar[int] = 16
    several: ClassVar[bool] = False
    """Whether a clean picture may have several noisy ones."""
    layout: ClassVar[str]
    """How the halves are named, to be said where there is none."""

    @abstractmethod
    def place(self, path: str) -> Place | None:
        """Tell by its path which half a picture is; None if it is none of a pair of the set."""

    @abstractmethod
    def describe(self, key: str, noisy: str) -> tuple[str, Shot]:
        """Return a pair's scene and what its name tells.

        `key` is what both halves have in common, `noisy` the path of the noisy one.
        """

    def pairs(self) -> tuple[PairRef, ...]:
        """List all pairs in the order of their names.

        Raises
        ------
        MissingDataError
            If a half is missing, or there is no pair at all.
        InputError
            If two files are the same half.
        """
        return self.listed()[0]

    @property
    def skipped(self) -> tuple[str, ...]:
        """One line on the pictures that are no halves of pairs, if there are any."""
        others = self.listed()[1]
        if not others:
            return ()
        what = "picture is no half" if len(others) == 1 else "pictures are no halves"
        return (f"{len(others)} {what} of a pair, first {others[0]}",)

    def listed(self) -> tuple[tuple[PairRef, ...], tuple[str, ...]]:
        """Return the pairs, and the pictures that are no halves of any; see :meth:`pairs`."""
        root = Root(self.root)
        noisy: dict[str, list[str]] = defaultdict(list)
        clean: dict[str, list[str]] = defaultdict(list)
        there = [name for name in root.names() if is_picture(name)]
        others = []
        for name in there:
            if (place := self.place(name)) is None:
                others.append(name)
            else:
                (noisy if place.half == "noisy" else clean)[place.key].append(name)
        found = []
        for key in sorted(noisy.keys() | clean.keys()):
            self._check(root, key, noisy[key], clean[key])
            found += self._refs(key, noisy[key], clean[key][0])
        if not found:
            raise MissingDataError(
                f"{root.url}: no pair (pictures there: {len(there)}); {self.layout}"
            )
        return tuple(found), tuple(others)

    def images(self) -> tuple[ImageRef, ...]:
        """List the clean pictures, each once."""
        return tuple({ref.clean: ImageRef(ref.clean, ref.scene) for ref in self.pairs()}.values())

    def read(self, ref: ImageRef) -> SourceImage:
        """Read one clean picture."""
        return read_file(Root(self.root), ref.name)

    def size(self, ref: PairRef) -> tuple[int, int]:
        """Return height and width of the clean half."""
        return headers.size(Root(self.root), self._file(ref, ref.clean))

    def read_pair(self, ref: PairRef) -> SourcePair:
        """Read one pair; see :meth:`PairSource.read_pair`."""
        root = Root(self.root)
        files = [self._file(ref, name) for name in (ref.clean, ref.noisy)]
        data = [root.read(name) for name in files]
        clean_at, noisy_at = map(root.locate, files)
        clean, noisy = map(pictures.decode, data, (clean_at, noisy_at))
        check_halves(clean, noisy, clean_at, noisy_at)
        return SourcePair(clean, noisy, hashlib.sha256(data[0]).digest())

    def _file(self, ref: PairRef, name: str) -> str:
        if not name:
            raise UnreadableFileError(
                f"pair {ref.name} is no longer under {self.root}; put it back or give its --root"
            )
        return name

    def _check(self, root: Root, key: str, noisy: list[str], clean: list[str]) -> None:
        """Refuse a pair that lacks a half or has one twice."""
        twice: tuple[tuple[Half, list[str]], ...] = (("noisy", noisy), ("clean", clean))
        for half, files in twice[self.several :]:
            if len(files) > 1:
                raise InputError(
                    f"{root.url}: {files[0]} and {files[1]} are both the {half} half of {key}; "
                    "remove one"
                )
        if noisy and clean:
            return
        there, missing = ("noisy", "clean") if noisy else ("clean", "noisy")
        raise MissingDataError(
            f"{root.locate((noisy or clean)[0])} is the {there} half of a pair whose {missing} "
            "half is not there; add it, or move the file out of the folder"
        )

    def _refs(self, key: str, noisy: list[str], clean: str) -> list[PairRef]:
        """Return the pairs of one clean picture."""
        refs = []
        for file in noisy:
            scene, shot = self.describe(key, file)
            name = key if len(noisy) == 1 else str(PurePosixPath(file).with_suffix(""))
            refs.append(PairRef(name, scene, None, file, clean, shot))
        return refs


def check_halves(
    clean: npt.NDArray[np.generic], noisy: npt.NDArray[np.generic], clean_at: str, noisy_at: str
) -> None:
    """Refuse halves of two sizes or depths.

    Raises
    ------
    InputError
        That names both files.
    """
    if clean.shape != noisy.shape:
        sizes = " and ".join(f"{p.shape[1]}x{p.shape[0]}" for p in (noisy, clean))
        raise InputError(
            f"{noisy_at} and {clean_at} are {sizes} pixels; the halves of a pair have one size"
        )
    if clean.dtype != noisy.dtype:
        raise InputError(
            f"{noisy_at} is {noisy.dtype}, {clean_at} {clean.dtype}; store both halves of a pair "
            "in one depth"
        )


def is_picture(name: str) -> bool:
    """Tell by its ending whether a file is a picture."""
    return PurePosixPath(name).suffix.lower() in pictures.EXTENSIONS
