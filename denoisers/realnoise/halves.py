"""The training pairs as files: what every row is trained on, or made of."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from noisegen.errors import StorageError
from pipelines.pairs import Pairs, Picture

WHOLE, LARGEST = 512, 256
"""Sides at most: of the squares that strengths are measured on, and of the samples of a corpus."""

COVERED = 2
"""How often samples of a corpus cover the pictures: each has settings of its own."""


@dataclass(frozen=True)
class Halves:
    """A folder of pairs.

    Attributes
    ----------
    folder
        With ``noisy/`` and ``clean/``.
    singles
        With a folder for each picture, in which its clean half is alone: what is drawn for one
        picture is drawn of it.
    whole
        Height and width of the largest square that every picture holds, 512 at most.
    side, per_image
        Of the samples of a corpus: their height and width, and how many of each picture, so that
        they cover it twice.
    """

    folder: Path
    singles: tuple[Path, ...]
    whole: int
    side: int
    per_image: int

    @property
    def clean(self) -> Path:
        """Folder of the clean halves."""
        return self.folder / "clean"


def write(pairs: Pairs, folder: Path) -> Halves:
    """Write pairs as PNG files, whole or not at all; what is there already is kept.

    Raises
    ------
    StorageError
        If they cannot be written.
    """
    partial = folder.with_name(f"{folder.name}.partial")
    alone = folder.with_name(f"{folder.name}-singles")
    singles = tuple(alone / f"{number:05d}" for number in range(len(pairs)))
    try:
        if not folder.exists():
            shutil.rmtree(partial, ignore_errors=True)
            for number, pair in enumerate(pairs):
                save(partial / "noisy" / f"{pair.name}.png", pair.noisy)
                save(partial / "clean" / f"{pair.name}.png", pair.clean)
                save(singles[number] / f"{pair.name}.png", pair.clean)
            partial.rename(folder)
    except OSError as error:
        raise StorageError(f"cannot write {folder}: {error.strerror or error}") from None
    sizes = [pair.clean.shape[:2] for pair in pairs]
    whole = min(WHOLE, *(min(size) for size in sizes)) // 8 * 8
    side = min(whole, LARGEST)
    area = float(np.mean([height * width for height, width in sizes]))
    return Halves(folder, singles, whole, side, max(1, round(COVERED * area / side**2)))


def save(path: Path, picture: Picture) -> None:
    """Write a picture as PNG.

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    rows: Any = np.ascontiguousarray(picture[..., ::-1])
    if not cv2.imwrite(str(path), rows):
        raise StorageError(f"cannot write {path}")
