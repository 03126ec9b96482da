"""Data sets of pictures and their guides: two files a scene, in register.

A set says by a file's name whether it is a picture or a guide; all that they have in common is
here. Both halves must be of one size and show one scene from one place.
"""

import hashlib
from abc import ABC, abstractmethod
from collections import defaultdict
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from catalogs.sources import pictures
from catalogs.sources.base import Guide, ImageRef, SourceImage, no_images
from catalogs.sources.roots import Root
from noisegen.errors import InputError, MissingDataError

LARGEST = 512
"""Pixels along the longer edge, or up to twice as many less one, at which halves are compared."""

SMALLEST = 256
"""Pixels along the shorter edge below which halves are not compared: too little to tell."""

ALIKE = 20.0
"""Least height of the peak of the phase correlation, in its standard deviations, of one scene. The
12 RGB-NIR pairs under ``NOISEGEN_DATA`` have 69 or more and the flash pair 234; of the 132 pairs of
different scenes none has more than 9.4; scenes that are made up have up to 17."""

MOVED = 4
"""Pixels from which on a guide counts as out of register."""

Half = Literal["picture", "guide"]


class Place(NamedTuple):
    """Which half of a pair a file is, and what both halves have in common."""

    half: Half
    key: str


@dataclass(frozen=True)
class GuideSet(ABC):
    """Pictures with guides that lie as files under a root.

    Parameters
    ----------
    root
        A path or an fsspec URL.
    guide
        Its kind; None reads the pictures alone.
    """

    root: str
    guide: Guide | None = None

    name: ClassVar[str]
    licence: ClassVar[str]
    default_per_image: ClassVar[int] = 16
    endings: ClassVar[frozenset[str]] = pictures.EXTENSIONS
    """Of the files that are looked at."""
    words: ClassVar[tuple[str, str]]
    """What a picture and a guide are called in the set, for messages."""

    @abstractmethod
    def place(self, path: str) -> Place | None:
        """Tell by its path which half a file is; None if it is none of the set."""

    @property
    def part(self) -> str:
        """Which part of the set is listed, for messages; empty: all of it."""
        return ""

    def scene(self, key: str) -> str:
        """Return the scene of a pair by what both halves have in common."""
        return key

    def images(self) -> tuple[ImageRef, ...]:
        """List all pairs by their pictures, in the order of what both halves have in common.

        Raises
        ------
        MissingDataError
            If there is none, or a half is missing.
        InputError
            If two files are the same half.
        """
        halves = self._halves()
        if not halves:
            what = f"no pair of {' and '.join(self.words)}{self.part}"
            raise no_images(self.name, self.root, what)
        return tuple(ImageRef(halves[key]["picture"], self.scene(key)) for key in sorted(halves))

    @property
    def skipped(self) -> tuple[str, ...]:
        """One line on files of known endings that are no halves of pairs, if there are any."""
        others = [name for name in self._files() if self.place(name) is None]
        if not others:
            return ()
        what = "file is no half" if len(others) == 1 else "files are no halves"
        return (f"{len(others)} {what} of a pair{self.part}, first {others[0]}",)

    def read(self, ref: ImageRef) -> SourceImage:
        """Read a picture and its guide.

        Raises
        ------
        UnreadableFileError
            If a half is damaged, cut short or gone.
        InputError
            If the halves differ in size, show different scenes, or are not in register.
        """
        root = Root(self.root)
        data = root.read(ref.name)
        picture = pictures.decode(data, root.locate(ref.name))
        sha256, lossy = hashlib.sha256(data).digest(), pictures.is_lossy(data)
        if self.guide is None:
            return SourceImage("srgb", picture, sha256, lossy=lossy)
        other = self.guide_of(ref)
        guide = pictures.decode(root.read(other), root.locate(other))
        check_register(picture, guide, root.locate(ref.name), root.locate(other))
        if self.guide == "nir":
            guide = _grey(guide)
        return SourceImage("srgb", picture, sha256, lossy=lossy, guide=guide)

    def guide_of(self, ref: ImageRef) -> str:
        """Return the file of a picture's guide."""
        place = self.place(ref.name)
        found = self._halves().get(place.key, {}) if place else {}
        if "guide" not in found:
            raise MissingDataError(f"{Root(self.root).locate(ref.name)} is no longer a pair's half")
        return found["guide"]

    def _halves(self) -> dict[str, dict[Half, str]]:
        """Return the files of each pair."""
        root = Root(self.root)
        found: dict[str, dict[Half, str]] = defaultdict(dict)
        for name in self._files():
            if (place := self.place(name)) is None:
                continue
            if place.half in found[place.key]:
                raise InputError(
                    f"{root.url}: {found[place.key][place.half]} and {name} are both the "
                    f"{self._word(place.half)} of {place.key}; remove one"
                )
            found[place.key][place.half] = name
        for halves in found.values():
            if len(halves) == 1:
                ((half, name),) = halves.items()
                missing: Half = "guide" if half == "picture" else "picture"
                raise MissingDataError(
                    f"{root.locate(name)} is the {self._word(half)} of a pair whose "
                    f"{self._word(missing)} is not there; add it, or move the file out of the "
                    "folder"
                )
        return found

    def _files(self) -> list[str]:
        names = Root(self.root).names()
        return [n for n in names if PurePosixPath(n).suffix.lower() in self.endings]

    def _word(self, half: Half) -> str:
        return self.words[half == "guide"]


def check_register(
    picture: npt.NDArray[Any], guide: npt.NDArray[Any], picture_at: str, guide_at: str
) -> None:
    """Refuse a guide of another size, of another scene, or out of register.

    Gradients are compared, because brightness may be another: by phase correlation.

    Parameters
    ----------
    picture, guide
        (H, W, C) of any type.
    picture_at, guide_at
        What they are called in messages.

    Raises
    ------
    InputError
        That names both.
    """
    if picture.shape[:2] != guide.shape[:2]:
        sizes = " and ".join(f"{p.shape[1]}x{p.shape[0]}" for p in (picture, guide))
        raise InputError(
            f"{picture_at} and its guide {guide_at} are {sizes} pixels; a guide lies on its "
            "picture pixel by pixel"
        )
    if min(picture.shape[:2]) < SMALLEST:
        return
    (dy, dx), height = moved(picture, guide)
    if height < ALIKE:
        raise InputError(
            f"{guide_at} shows nothing of what {picture_at} shows; are the names of the guides in "
            "order?"
        )
    if max(abs(dy), abs(dx)) >= MOVED:
        raise InputError(
            f"{guide_at} lies {dy} rows and {dx} columns off {picture_at}; register both, or take "
            "them out of the folder"
        )


def moved(picture: npt.NDArray[Any], guide: npt.NDArray[Any]) -> tuple[tuple[int, int], float]:
    """Return by how many rows and columns a guide is moved, and how sure that is.

    Returns
    -------
    shift
        Rows down and columns to the right, in pixels, to the nearest ones of the compared size.
    height
        Of the peak of the phase correlation, in standard deviations.
    """
    step = max(1, max(picture.shape[:2]) // LARGEST)
    a, b = (_spectrum(p, step) for p in (picture, guide))
    cross = b * a.conj()
    size = np.abs(cross)
    cross /= size + 1e-9 * size.max() + np.finfo(np.float64).tiny
    height, width = (side // step for side in picture.shape[:2])
    surface = np.fft.irfft2(cross, (height, width))
    y, x = np.unravel_index(int(surface.argmax()), surface.shape)
    dy, dx = ((int(at) + side // 2) % side - side // 2 for at, side in ((y, height), (x, width)))
    spread = float(surface.std())
    return (step * dy, step * dx), float(surface.max()) / spread if spread else 0.0


def _spectrum(picture: npt.NDArray[Any], step: int) -> npt.NDArray[np.complex128]:
    """Return the spectrum of a picture's gradients, faded out towards its rim."""
    import cv2  # the catalogue is listed without loading it

    middle = picture[..., picture.shape[-1] // 2].astype(np.float32)
    white = np.iinfo(picture.dtype).max if picture.dtype.kind == "u" else 1.0
    height, width = (side // step for side in picture.shape[:2])
    small = cv2.resize(middle / white, (width, height), interpolation=cv2.INTER_AREA)
    logs = np.log(small + np.float32(1 / 32))
    slopes = [cv2.Sobel(logs, cv2.CV_32F, *order) for order in ((1, 0), (0, 1))]
    steep = np.hypot(*slopes).astype(np.float64)
    window = np.outer(np.hanning(height), np.hanning(width))
    return np.fft.rfft2((steep - steep.mean()) * window)


def _grey(picture: pictures.Picture) -> pictures.Picture:
    """Return (H, W, 1): what the three channels of a decoded grey picture have in common."""
    mean = np.rint(picture.mean(-1, dtype=np.float64, keepdims=True))
    grey: pictures.Picture = mean.astype(picture.dtype)
    return grey
