"""Darmstadt Noise Dataset, sRGB: files for its server.

Taken are the 1000 boxes of 512x512 pixels that the set's own script cuts out of its frames, as PNG
files ``lq/IIII_B.png`` with image 0001 to 0050 and box 1 to 20. Its frames (``images_srgb/*.mat``
and ``info.mat``, which are HDF5) are not read.

References
----------
T. Plötz, S. Roth, "Benchmarking Denoising Algorithms with Real Photographs", CVPR 2017.
H. Shen et al., "Adaptive Dynamic Filtering Network for Image Denoising", AAAI 2023, and its code.
"""

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from catalogs.sources import pictures
from catalogs.sources.roots import Root
from denoisers.inference.chop import Chop
from denoisers.protocols import matlab
from denoisers.protocols.base import Asked, Case, Cases, Floats, Protocol, Submission
from denoisers.storage import make_folder
from noisegen.errors import InputError, MissingDataError, UnsupportedFileError

IMAGES, BOXES = 50, 20
"""Of the whole set."""

_NAME = re.compile(r"(\d{4})_(\d{1,2})\.png", re.IGNORECASE)


def open_boxes(asked: Asked) -> Cases:
    """Find the boxes."""
    root = asked.root
    names = root.names()
    found: dict[tuple[int, int], str] = {}
    for name in names:
        path = PurePosixPath(name)
        if path.parent.name == "lq" and (match := _NAME.fullmatch(path.name)):
            found[int(match[1]), int(match[2])] = name
    if not found:
        if any(PurePosixPath(name).name == "info.mat" for name in names):
            raise UnsupportedFileError(
                f"{root.url}: DND's own MATLAB files (HDF5) are not read; cut the boxes with the "
                "set's script and store them as lq/0001_1.png … lq/0050_20.png"
            )
        raise MissingDataError(f"{root.url}: no box lq/0001_1.png … lq/0050_20.png there")
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
    notes: tuple[str, ...] = ()
    if images != list(range(1, IMAGES + 1)):
        notes = (f"{len(images)} of DND's {IMAGES} images are there",)
    keys = sorted(found)
    return Cases(
        root.url,
        tuple(f"{image:04d}_{box}" for image, box in keys),
        _Boxes(root, tuple(found[key] for key in keys)),
        notes=notes,
    )


class Bundled(Submission):
    """``bundled/0001.mat`` … ``bundled/0050.mat``, 20 boxes each, floating point, not rounded.

    Parameters
    ----------
    cases
        Of :func:`open_boxes`.
    out
        Folder.
    """

    def __init__(self, cases: Cases, out: Path) -> None:
        self._names, self._folder = cases.names, out / "bundled"
        self._boxes: list[Floats] = []
        self._written: list[Path] = []
        make_folder(self._folder)

    def add(self, number: int, restored: Floats) -> None:
        """See :meth:`Submission.add`; an image's file is written with its last box."""
        self._boxes.append(restored)
        if len(self._boxes) < BOXES:
            return
        path = self._folder / f"{self._names[number][:4]}.mat"
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


DND = Protocol(
    name="dnd",
    title="DND, sRGB: files for its server",
    source="DND (CVPR 2017); ADFNet's script",
    layout="boxes lq/0001_1.png … lq/0050_20.png",
    channels=3,
    open=open_boxes,
    tile=Chop(400_000),
    ensemble_tile=Chop(400_000),
    measures=(),
    submission=Bundled,
    settings={"rounding": "none"},
)
