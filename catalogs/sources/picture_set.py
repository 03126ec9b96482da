"""What published sets of pictures have in common: numbered files somewhere under a root."""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from catalogs.sources.base import ImageRef, SourceImage, no_images
from catalogs.sources.folder import read_file
from catalogs.sources.roots import Root


@dataclass(frozen=True)
class PictureSet(ABC):
    """One split of a published set; its pictures are known by their numbers, wherever they lie.

    Parameters
    ----------
    root
        A path or an fsspec URL.
    split
        Which part of the set.
    """

    root: str
    split: str = "all"

    name: ClassVar[str]
    licence: ClassVar[str]
    default_per_image: ClassVar[int] = 16
    pattern: ClassVar[re.Pattern[str]]
    """Finds a picture's name in its relative path; the first group is its scene."""

    @abstractmethod
    def belongs(self, path: str, scene: str) -> bool:
        """Tell whether a picture is of the split, by its path and its scene."""

    def images(self) -> tuple[ImageRef, ...]:
        """List the pictures of the split, each scene once, in the order of their paths.

        Raises
        ------
        MissingDataError
            If there is none.
        """
        refs = self._scan(Root(self.root).names())
        if not refs:
            raise no_images(self.name, self.root, f"no picture of split '{self.split}'")
        return refs

    @property
    def skipped(self) -> tuple[str, ...]:
        """One line on the copies of scenes that are already listed, if there are any."""
        names = Root(self.root).names()
        matching = [n for n in names if (m := self.pattern.search(n)) and self.belongs(n, m[1])]
        extra = len(matching) - len(self._scan(names))
        return (f"{extra} further copies of scenes that are listed",) if extra else ()

    def read(self, ref: ImageRef) -> SourceImage:
        """Read one picture.

        Raises
        ------
        UnreadableFileError
            If the file is damaged, cut short or gone.
        """
        return read_file(Root(self.root), ref.name)

    def _scan(self, names: Iterable[str]) -> tuple[ImageRef, ...]:
        found: dict[str, ImageRef] = {}
        for name in names:
            match = self.pattern.search(name)
            if match and match[1] not in found and self.belongs(name, match[1]):
                found[match[1]] = ImageRef(name, match[1])
        return tuple(found.values())
