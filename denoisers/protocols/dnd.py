"""Darmstadt Noise Dataset, sRGB: files for its server.

Its pictures are 1000 boxes of 512x512 pixels, 20 in each of 50 images. They are cut out of the
set's own frames, ``images_srgb/0001.mat`` to ``0050.mat`` (floating point, not rounded), at the
places that its ``info.mat`` names, or are given as PNG files ``lq/IIII_B.png`` with image 0001 to
0050 and box 1 to 20, as ADFNet's script reads them.

References
----------
T. Plötz, S. Roth, "Benchmarking Denoising Algorithms with Real Photographs", CVPR 2017.
H. Shen et al., "Adaptive Dynamic Filtering Network for Image Denoising", AAAI 2023, and its code.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from catalogs.sources import pictures
from catalogs.sources.matlab import times
from catalogs.sources.roots import Root
from denoisers.inference.chop import Chop
from denoisers.protocols import matlab, matlab73
from denoisers.protocols.base import Asked, Case, Cases, Floats, Protocol, Submission
from denoisers.storage import make_folder
from noisegen.errors import InputError, MissingDataError
from pipelines.frame import perceptual_hash, thumbnail

IMAGES, BOXES, SIDE = 50, 20, 512
"""Of the whole set: images, boxes of each, and their height and width."""

INFO, FRAMES, VARIABLE = "info.mat", "images_srgb", "InoisySRGB"

_NAME = re.compile(r"(\d{4})_(\d{1,2})\.png", re.IGNORECASE)
_FRAME = re.compile(rf"{FRAMES}/(\d{{4}})\.mat")


def open_boxes(asked: Asked) -> Cases:
    """Find the boxes: PNG files where there are any, or else the frames."""
    root = asked.root
    names = root.names()
    found: dict[tuple[int, int], str] = {}
    for name in names:
        path = PurePosixPath(name)
        if path.parent.name == "lq" and (match := _NAME.fullmatch(path.name)):
            found[int(match[1]), int(match[2])] = name
    if not found:
        return _open_frames(root, names)
    images = sorted({image for image, _ in found})
    for image in images:
        for box in range(1, BOXES + 1):
            if (image, box) not in found:
                raise MissingDataError(
                    f"{root.url}: lq/{image:04d}_{box}.png is not there; every image has boxes 1 "
                    f"to {BOXES}"
                )
    if extra := [key for key in found if not 1 <= key[1] <= BOXES]:
        raise InputError(
            f"{root.url}: {found[extra[0]]} is no box of DND, they are 1 to {BOXES}; remove it"
        )
    files = tuple(found[key] for key in sorted(found))
    return _cases(root, images, _Boxes(root, files))


def _open_frames(root: Root, names: list[str]) -> Cases:
    found = {int(match[1]): match[0] for name in names if (match := _FRAME.fullmatch(name))}
    if INFO not in names:
        raise MissingDataError(
            f"{root.url}: {INFO} is not there, it names the boxes in {FRAMES}/; add it"
            if found
            else f"{root.url}: neither {INFO} and {FRAMES}/0001.mat … 0050.mat nor boxes "
            "lq/0001_1.png … lq/0050_20.png there"
        )
    if not found:
        raise MissingDataError(f"{root.url}: {FRAMES}/0001.mat … 0050.mat are not there; add them")
    listed = matlab73.field(root, INFO, "info", "boundingboxes")
    images = sorted(found)
    for image in images:
        if not 1 <= image <= len(listed):
            raise InputError(
                f"{root.url}: {found[image]} is none of the {len(listed)} images of {INFO}; remove "
                "it"
            )
    frames = tuple(_frame(root, found[image], image, listed[image - 1]) for image in images)
    sizes = {(b.bottom - b.top, b.right - b.left) for frame in frames for b in frame.boxes}
    notes: tuple[str, ...] = ()
    if sizes != {(SIDE, SIDE)}:
        height, width = min(sizes - {(SIDE, SIDE)})
        notes = (f"boxes of {height}x{width} pixels, DND's are {SIDE}x{SIDE}",)
    return _cases(root, images, _Frames(root, frames), notes)


def _cases(
    root: Root, images: list[int], load: Callable[[int], Case], notes: tuple[str, ...] = ()
) -> Cases:
    if images != list(range(1, IMAGES + 1)):
        notes = (f"{len(images)} of DND's {IMAGES} images are there", *notes)
    names = tuple(f"{image:04d}_{box}" for image in images for box in range(1, BOXES + 1))
    return Cases(root.url, names, load, notes=notes)


class Bundled(Submission):
    """``bundled/0001.mat`` … ``bundled/0050.mat``, 20 boxes each, floating point, not rounded.

    The boxes lie beside them one by one, as DND's own script leaves them: ``0001_01.mat`` ….

    Parameters
    ----------
    cases
        Of :func:`open_boxes`.
    out
        Folder.
    """

    def __init__(self, cases: Cases, out: Path) -> None:
        self._names, self._out = cases.names, out
        self._boxes: list[Floats] = []
        self._written: list[Path] = []
        make_folder(out / "bundled")

    def add(self, number: int, restored: Floats) -> None:
        """See :meth:`Submission.add`; an image's file is written with its last box."""
        image, box = self._names[number].split("_")
        single = self._out / f"{image}_{int(box):02d}.mat"
        matlab.write(single, {"Idenoised_crop": restored, "israw": 0})
        self._boxes.append(restored)
        if len(self._boxes) < BOXES:
            return
        path = self._out / "bundled" / f"{image}.mat"
        boxes = matlab.cell(self._boxes, (1, BOXES))
        matlab.write(path, {"Idenoised": boxes, "israw": 0, "eval_version": "1.0"})
        self._written.append(path)
        self._boxes = []

    def finish(self) -> tuple[Path, ...]:
        """See :meth:`Submission.finish`."""
        return tuple(self._written)


@dataclass(frozen=True)
class _Boxes:
    root: Root
    files: tuple[str, ...]

    def __call__(self, number: int) -> Case:
        name = self.files[number]
        return Case(pictures.decode(self.root.read(name), self.root.locate(name)), None)


class _Box(NamedTuple):
    """Rows and columns from 0, the last ones not in it."""

    top: int
    left: int
    bottom: int
    right: int


@dataclass(frozen=True)
class _Frame:
    file: str
    boxes: tuple[_Box, ...]


def _frame(root: Root, file: str, image: int, listed: matlab73.Array) -> _Frame:
    """Check a frame's header and the boxes that are listed for it."""
    shape, kind = matlab73.layout(root, file, VARIABLE)
    if len(shape) != 3 or shape[2] != 3 or kind.kind != "f":
        raise InputError(
            f"{root.locate(file)}: {VARIABLE} is {times(shape)} {kind}; frames are "
            "height x width x 3 of floating point"
        )
    where = f"{root.locate(INFO)}: boundingboxes of image {image}"
    if listed.shape != (BOXES, 4) or listed.dtype.kind not in "iuf":
        raise InputError(
            f"{where} are {times(listed.shape)} {listed.dtype}; they are {BOXES}x4 "
            "numbers: top, left, bottom, right"
        )
    top, left, bottom, right = listed.astype(np.float64).T
    within = (top >= 1) & (top <= bottom) & (bottom <= shape[0])
    within &= (left >= 1) & (left <= right) & (right <= shape[1])
    within &= (listed == np.rint(listed)).all(1)
    if not within.all():
        number = int(within.argmin())
        numbers = ", ".join(f"{value:g}" for value in listed[number].tolist())
        raise InputError(
            f"{where}: box {number + 1} ({numbers}) does not lie in {file}, which is "
            f"{shape[0]}x{shape[1]}"
        )
    # MATLAB counts from 1, and its last row and column are in the box.
    rows = np.rint(listed).astype(np.int64) - [1, 1, 0, 0]
    return _Frame(file, tuple(_Box(*row) for row in rows.tolist()))


class _Frames:
    """Boxes of frames: a frame, hundreds of megabytes, is read once for its boxes in turn."""

    def __init__(self, root: Root, frames: tuple[_Frame, ...]) -> None:
        self._root, self._frames = root, frames
        self._image, self._cut = -1, tuple[Case, ...]()

    def __call__(self, number: int) -> Case:
        image, box = divmod(number, BOXES)
        if image != self._image:
            self._image, self._cut = -1, ()  # that memory goes before the next frame is read
            self._cut = self._read(self._frames[image])
            self._image = image
        return self._cut[box]

    def _read(self, frame: _Frame) -> tuple[Case, ...]:
        picture = matlab73.array(self._root, frame.file, VARIABLE)
        own = perceptual_hash(thumbnail(picture))
        cases = []
        for number, (top, left, bottom, right) in enumerate(frame.boxes, 1):
            box = np.array(picture[top:bottom, left:right], np.float32, order="C")
            if not np.isfinite(box).all():
                raise InputError(
                    f"{self._root.locate(frame.file)}: box {number} has values that are not "
                    "finite; fetch it again"
                )
            cases.append(Case(box, None, own))
        return tuple(cases)


DND = Protocol(
    name="dnd",
    title="DND, sRGB: files for its server",
    source="DND (CVPR 2017); ADFNet's script",
    layout=f"{INFO} and {FRAMES}/0001.mat … 0050.mat, or boxes lq/0001_1.png … lq/0050_20.png",
    channels=3,
    open=open_boxes,
    tile=Chop(400_000),
    ensemble_tile=Chop(400_000),
    measures=(),
    submission=Bundled,
    settings={"rounding": "none"},
)
