"""The Dark Vision Dataset: clean RGB-IR mosaics and their near infrared, as NumPy files.

Files are (h, w, 16) planes of cells of 4x4 pixels, on a scale of 0 to 1023; the same name under
``RGB`` and ``NIR`` is a pair.

References
----------
S. Jin et al., "DarkVisionNet: Low-Light Imaging via RGB-NIR Fusion with Deep Inconsistency Prior",
AAAI 2022.
"""

import hashlib
import io
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt

from catalogs.sources.base import (
    Guide,
    ImageRef,
    Ingested,
    Option,
    Source,
    SourceEntry,
    SourceImage,
)
from catalogs.sources.guide_set import GuideSet, Half, Place, check_register
from catalogs.sources.roots import Root
from noisegen.errors import InputError, UnreadableFileError

FOLDERS = {
    "train": ("train_raw", "dvd_train_raw"),
    "patches": ("train",),
    "test": ("test", "dvd_test"),
}
"""Folders of each split, in small letters: DVN's repository calls them otherwise than RFFNet's."""

CENTRE = (slice(64, 316), slice(112, 560))
"""Cells that published training patches are cut from."""

WHITE = 1023.0

_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}

_HALVES: dict[str, Half] = {"rgb": "picture", "nir": "guide"}
_PATCH = re.compile(r"^(\d+)_\d+(?:\.png)?$")


@dataclass(frozen=True)
class Dvd(GuideSet):
    """One split of the set.

    Parameters
    ----------
    split
        ``train``: whole frames; ``patches``: what the published script cuts them into; ``test``.
    region
        ``published``: of frames for training the middle that patches are cut from; ``whole``.
    """

    split: str = "train"
    region: str = "published"

    name = "dvd"
    licence = "not stated; cite Jin et al., AAAI 2022"
    endings = frozenset({".npy"})
    words = ("mosaic (RGB)", "near infrared (NIR)")

    @property
    def part(self) -> str:
        """Which part of the set is listed, for messages."""
        return f" of split '{self.split}'"

    def place(self, path: str) -> Place | None:
        """Tell which half a file is by its folder."""
        parts = PurePosixPath(path)
        # A root may itself be one split's folder.
        split = (PurePosixPath(self.root.rstrip("/")) / path).parent.parent.name.lower()
        half = _HALVES.get(parts.parent.name.lower())
        if half is None or split not in FOLDERS[self.split]:
            return None
        return Place(half, parts.stem)

    def scene(self, key: str) -> str:
        """Return the frame that a patch was cut from, or the file's name."""
        match = _PATCH.match(key) if self.split == "patches" else None
        return match[1] if match else key

    def read(self, ref: ImageRef) -> SourceImage:
        """Read a mosaic, 0 to 1023, and its infrared as linear light."""
        root = Root(self.root)
        data = root.read(ref.name)
        planes = _planes(data, root.locate(ref.name))
        mosaic = self._frame(planes)
        sha256 = hashlib.sha256(data).digest()
        if self.guide is None:
            return SourceImage("rgbir", mosaic, sha256)
        other = self.guide_of(ref)
        infrared = _planes(root.read(other), root.locate(other))
        check_register(planes[..., 1:2], infrared, root.locate(ref.name), root.locate(other))
        guide = self._frame(infrared)[..., None] / np.float32(WHITE)
        return SourceImage("rgbir", mosaic, sha256, guide=guide)

    def size(self, ref: ImageRef) -> tuple[int, int]:
        """Return height and width of a mosaic in pixels, from the beginning of its file.

        Raises
        ------
        UnreadableFileError
            If that is no NumPy file's.
        """
        root = Root(self.root)
        try:
            with root.open(ref.name) as stream:
                version = np.lib.format.read_magic(stream)
                (height, width, _), _, _ = _HEADERS[version](stream)
        except Exception as error:  # other packages' file systems raise what they like
            where = root.locate(ref.name)
            raise UnreadableFileError(f"{where} is no NumPy file ({error})") from error
        if self._is_cut(height, width):
            height, width = (part.stop - part.start for part in CENTRE)
        return 4 * height, 4 * width

    def _is_cut(self, height: int, width: int) -> bool:
        """Tell whether only the middle of a frame of so many cells is taken."""
        large = height >= CENTRE[0].stop and width >= CENTRE[1].stop
        return self.split == "train" and self.region == "published" and large

    def _frame(self, planes: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        from noisegen import rgbir  # the catalogue is listed without loading OpenCV

        if self._is_cut(planes.shape[0], planes.shape[1]):
            planes = planes[CENTRE]
        return np.ascontiguousarray(rgbir.in_place(planes))


def _planes(data: bytes, where: str) -> npt.NDArray[np.float32]:
    """Return the planes of a file."""
    try:
        planes: Any = np.load(io.BytesIO(data), allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise UnreadableFileError(f"{where} is no NumPy file ({error}); fetch it again") from error
    if not isinstance(planes, np.ndarray) or planes.ndim != 3 or planes.shape[2] != 16:
        found = "x".join(map(str, np.shape(planes)))
        raise InputError(f"{where} is {found}; mosaics are height x width x 16 planes")
    if planes.dtype.kind not in "fui":
        raise InputError(f"{where} holds {planes.dtype}; planes are numbers from 0 to 1023")
    low, high = float(planes.min()), float(planes.max())
    if not (low >= 0 and high <= WHITE):
        raise InputError(f"{where} has values from {low:g} to {high:g}; planes are from 0 to 1023")
    return planes.astype(np.float32)


def _make(root: str, *, split: str, region: str, guide: Guide | None) -> Source:
    return Dvd(root, guide, split, region)


ENTRY = SourceEntry(
    name=Dvd.name,
    title="Dark Vision Dataset: RGB-IR mosaics with near infrared",
    licence=Dvd.licence,
    url="https://github.com/megvii-research/DVN",
    size="any: links in the README",
    layout=(
        "train_raw/RGB/X.npy and train_raw/NIR/X.npy (or DVD_train_raw), test (or DVD_test); "
        "patches: train"
    ),
    make=_make,
    options={
        "split": Option("train", "frames for training, their patches, or for testing", (*FOLDERS,)),
        "region": Option(
            "published", "of train: the middle that patches are cut from", ("published", "whole")
        ),
    },
    guides=("nir",),
    guide="nir",
    ingested=Ingested("dvd", 256, 60),
)
