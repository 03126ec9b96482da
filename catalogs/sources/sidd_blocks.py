"""SIDD's validation blocks, which lie in two MATLAB files of its authors.

A file is one array of scenes and their blocks, numbered from 0. What is a scene there is one of 40
captures; which of SIDD's ten physical scenes it shows, and what camera and ISO, the files do not
say. Both are read whole and kept, 250 MB each, by every process that reads a block.

References
----------
A. Abdelhamed, S. Lin, M. S. Brown, "A high-quality denoising dataset for smartphone cameras",
CVPR 2018.
"""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePosixPath
from typing import ClassVar

import numpy as np

from catalogs.sources import matlab, sidd
from catalogs.sources.base import ImageRef, Source, SourceEntry, SourceImage, Windows
from catalogs.sources.matlab import Blocks
from catalogs.sources.pair_set import PairRef, SourcePair
from catalogs.sources.roots import Root
from noisegen.errors import InputError, MissingDataError, UnreadableFileError

SCENES, BLOCKS, SIDE = 40, 32, 256
"""Of the whole set: scenes, blocks of each, and their height and width."""

NOISY, CLEAN = "ValidationNoisyBlocksSrgb", "ValidationGtBlocksSrgb"
"""Variables, and the names of their files without the ending."""


@dataclass(frozen=True)
class SiddBlocks:
    """The blocks of both files.

    Parameters
    ----------
    root
        A path or an fsspec URL.
    """

    root: str

    name: ClassVar[str] = "sidd-val"
    licence: ClassVar[str] = sidd.LICENCE
    default_per_image: ClassVar[int] = 16
    skipped: ClassVar[tuple[str, ...]] = ()

    def pairs(self) -> tuple[PairRef, ...]:
        """List all blocks, scene by scene.

        Raises
        ------
        MissingDataError
            If a file is not there.
        UnreadableFileError, InputError
            If one is damaged, or does not hold blocks like the other's.
        """
        noisy, _ = _kept(self.root)
        return tuple(
            PairRef(block_name(s, b), f"SIDD validation {s:04d}", None, NOISY, CLEAN)
            for s in range(noisy.shape[0])
            for b in range(noisy.shape[1])
        )

    def images(self) -> tuple[ImageRef, ...]:
        """List the clean blocks."""
        return tuple(ImageRef(ref.name, ref.scene) for ref in self.pairs())

    def read(self, ref: ImageRef) -> SourceImage:
        """Read one clean block."""
        _, clean = self._block(ref)
        return SourceImage("srgb", clean, _sha256(clean))

    def size(self, ref: PairRef) -> tuple[int, int]:
        """Return height and width of the clean half."""
        _, clean = _kept(self.root)
        return clean.shape[2], clean.shape[3]

    def read_pair(self, ref: PairRef) -> SourcePair:
        """Read one pair; see :meth:`catalogs.sources.pair_set.PairSource.read_pair`."""
        noisy, clean = self._block(ref)
        return SourcePair(clean, noisy, _sha256(clean))

    def _block(self, ref: ImageRef) -> tuple[Blocks, Blocks]:
        noisy, clean = _kept(self.root)
        place = tuple(int(number) for number in ref.name.split("-"))
        if any(at >= there for at, there in zip(place, noisy.shape, strict=False)):
            raise UnreadableFileError(
                f"block {ref.name} is no longer under {self.root}; put the files back or give "
                "their --root"
            )
        return np.ascontiguousarray(noisy[place]), np.ascontiguousarray(clean[place])


def block_name(scene: int, block: int) -> str:
    """Return the name of a block, such as ``0012-0003``."""
    return f"{scene:04d}-{block:04d}"


def find(root: Root) -> dict[str, str | None]:
    """Return where under a root the file of each of both variables lies, None where it is not."""
    names = root.names()
    found: dict[str, str | None] = {}
    for variable in (NOISY, CLEAN):
        those = [n for n in names if PurePosixPath(n).name == f"{variable}.mat"]
        found[variable] = those[0] if those else None
    return found


def read_both(root: Root) -> tuple[Blocks, Blocks]:
    """Return the noisy and the clean blocks, (scenes, blocks, H, W, 3) uint8 R, G, B each.

    Raises
    ------
    MissingDataError
        If a file is not there.
    UnreadableFileError
        If one is damaged or of version 7.3.
    InputError
        If one does not hold its variable, or they differ in shape.
    """
    arrays = []
    for variable, name in find(root).items():
        if name is None:
            raise MissingDataError(f"{root.url}: {variable}.mat is not there; add it")
        arrays.append(matlab.read_blocks(root, name, variable))
    noisy, clean = arrays
    if noisy.shape != clean.shape:
        raise InputError(
            f"{root.url}: {NOISY} is {matlab.times(noisy.shape)}, {CLEAN} "
            f"{matlab.times(clean.shape)}; they have one shape"
        )
    return noisy, clean


@lru_cache(maxsize=1)
def _kept(root: str) -> tuple[Blocks, Blocks]:
    return read_both(Root(root))


def _sha256(block: Blocks) -> bytes:
    return hashlib.sha256(block.tobytes()).digest()


def _make(root: str) -> Source:
    return SiddBlocks(root)


ENTRY = SourceEntry(
    name=SiddBlocks.name,
    title="SIDD's validation blocks: 40 captures of 32 blocks",
    licence=SiddBlocks.licence,
    url=sidd.URL,
    size=f"400 MB: {NOISY}.mat and {CLEAN}.mat",
    layout=f"{NOISY}.mat and {CLEAN}.mat, as they are handed out",
    make=_make,
    expected={"all": SCENES * BLOCKS},
    windows=Windows(SIDE, SIDE),
)
