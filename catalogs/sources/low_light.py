"""What sets of dark and well lit pictures have in common: two folders with files of one name.

The dark half lies in ``low``, the bright one in ``high`` or ``normal`` beside it. The folders above
tell the published split; where the root is one of them, its own name does.
"""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import ClassVar

from catalogs.sources.pair_set import Half, PairSet, Place, Shot

HALVES: Mapping[str, Half] = {"low": "noisy", "high": "clean", "normal": "clean"}
"""Folder of a half, whatever its case."""


class LowLightSet(PairSet):
    """Dark and bright pictures, named alike."""

    title: ClassVar[str]
    """What the names of its scenes begin with."""
    splits: ClassVar[Mapping[str, str]]
    """Folder of a published part, in small letters, and its split."""
    cameras: ClassVar[Mapping[str, str]] = {}
    """Folder of a camera, in small letters, and the camera."""

    def place(self, path: str) -> Place | None:
        """Tell which half a picture is; all but that is what both halves have in common."""
        file = PurePosixPath(path)
        word = file.parent.name.lower()
        if word not in HALVES:
            return None
        # LOL-v2 says the half in the file's name too.
        stem = file.stem.removeprefix(word)
        return Place(HALVES[word], (file.parent.parent / (stem or file.stem)).as_posix())

    def describe(self, key: str, noisy: str) -> tuple[str, Shot]:
        """Return a pair's scene, its camera and its published split."""
        camera = self._told(key, self.cameras)
        return f"{self.title} {key}", Shot(camera, split=self._told(key, self.splits))

    def _told(self, key: str, words: Mapping[str, str]) -> str:
        """Return what the innermost folder that tells something tells."""
        root = Path(self.root).absolute() if "://" not in self.root else PurePosixPath(self.root)
        folders = (*root.parts[-2:], *PurePosixPath(key).parts[:-1])
        return next((words[f.lower()] for f in reversed(folders) if f.lower() in words), "")
