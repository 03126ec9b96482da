"""The training pairs as files: what every row is trained on, or made of."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from noisegen.errors import StorageError
from pipelines.pairs import Pairs, Picture

LARGEST = 512
"""Side of the samples of a corpus, at most."""


@dataclass(frozen=True)
class Halves:
    """A folder of pairs.

    Attributes
    ----------
    folder
        With ``noisy/`` and ``clean/``.
    side, per_image
        Samples of a corpus that show as much of the clean halves as the pictures have: their height
        and width, as large as the smallest picture lets them be, and how many of each picture.
    """

    folder: Path
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
    try:
        if not folder.exists():
            shutil.rmtree(partial, ignore_errors=True)
            for pair in pairs:
                _save(partial / "noisy" / f"{pair.name}.png", pair.noisy)
                _save(partial / "clean" / f"{pair.name}.png", pair.clean)
            partial.rename(folder)
    except OSError as error:
        raise StorageError(f"cannot write {folder}: {error.strerror or error}") from None
    sizes = [pair.clean.shape[:2] for pair in pairs]
    side = min(LARGEST, *(min(size) for size in sizes)) // 8 * 8
    area = float(np.mean([height * width for height, width in sizes]))
    return Halves(folder, side, max(1, round(area / side**2)))


def _save(path: Path, picture: Picture) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows: Any = np.ascontiguousarray(picture[..., ::-1])
    if not cv2.imwrite(str(path), rows):
        raise StorageError(f"cannot write {path}")
