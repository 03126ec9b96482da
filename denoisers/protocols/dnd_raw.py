"""Darmstadt Noise Dataset, raw: files for both of its server's tracks.

Mosaics are ``Raw/0001.mat`` to ``0050.mat`` (``Inoisy``, black 0 and white 1); ``info.mat`` names
the boxes, noise levels and colours. Each box is denoised with surroundings, as far as the frame has
any.

References
----------
T. Plötz, S. Roth, "Benchmarking Denoising Algorithms with Real Photographs", CVPR 2017.
R. Li et al., "DualDn: Dual-domain Denoising via Differentiable ISP", ECCV 2024, and its code.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from catalogs.sources.matlab import times
from catalogs.sources.roots import Root
from denoisers.inference.raws import Frame, Picture, developed
from denoisers.models.dualdn import Isp, Shot
from denoisers.protocols import matlab, matlab73
from denoisers.protocols.base import Asked, Case, Cases, Floats, Protocol, Submission
from denoisers.protocols.dnd import BOXES, IMAGES, INFO
from denoisers.storage import make_folder
from noisegen.cfa import Phase, from_planes, shift
from noisegen.errors import InputError, MissingDataError
from noisegen.isp.color import camera_to_xyz, gains_from_neutral
from noisegen.isp.parameters import Demosaic

FRAMES, VARIABLE = "Raw", "Inoisy"

MARGIN = 32
"""Pixels of a frame's surroundings that a box is denoised with; even."""

D65 = "Nexus6P"
"""The camera whose matrices refer to D65; the others' to D50, as the published code has it."""

_FRAME = re.compile(rf"{FRAMES}/(\d{{4}})\.mat")


def open_boxes(asked: Asked) -> Cases:
    """Find the frames and what is known of them."""
    root = asked.root
    names = root.names()
    found = {int(match[1]): match[0] for name in names if (match := _FRAME.fullmatch(name))}
    if INFO not in names or not found:
        raise MissingDataError(
            f"{root.url}: {INFO} and {FRAMES}/0001.mat … 0050.mat are needed there; add them"
        )
    listed = _listed(root)
    images = sorted(found)
    if images[-1] > len(listed) or images[0] < 1:
        raise InputError(
            f"{root.url}: {found[images[-1]]} is none of the {len(listed)} images of {INFO}"
        )
    notes = () if len(images) == IMAGES else (f"{len(images)} of DND's {IMAGES} images are there",)
    cases = tuple(f"{image:04d}_{box:02d}" for image in images for box in range(1, BOXES + 1))
    frames = tuple((found[i], listed[i - 1]) for i in images)
    load = _Boxes(root, frames, asked.demosaic or "ahd")
    return Cases(
        root.url,
        cases,
        load,
        tuple(listed[i - 1].camera for i in images for _ in range(BOXES)),
        notes,
    )


@dataclass(frozen=True)
class _Image:
    """What ``info.mat`` says of an image."""

    boxes: npt.NDArray[np.int64]
    shot: float
    read: float
    camera: str
    phase: Phase
    white_balance: npt.NDArray[np.float64]
    cam_to_xyz: npt.NDArray[np.float64]

    def isp(self, demosaic: Demosaic) -> Isp:
        """Return the ISP of DND's sRGB, as far as it is known."""
        return Isp(demosaic, "2.2", reference="D65" if self.camera == D65 else "D50")


def _listed(root: Root) -> list[_Image]:
    def of(name: str) -> list[Any]:
        return matlab73.field(root, INFO, "info", name)

    levels = matlab73.structs(root, INFO, "info", "nlf", ("a", "b"))
    fields = ("type", "pattern", "AsShotNeutral", "ColorMatrix2")
    cameras = matlab73.structs(root, INFO, "info", "camera", fields)
    images = []
    for boxes, (a, b), (kind, pattern, neutral, matrix) in zip(
        of("boundingboxes"), levels, cameras, strict=True
    ):
        if boxes.shape != (BOXES, 4):
            raise InputError(
                f"{root.locate(INFO)}: boundingboxes are {times(boxes.shape)}, they are "
                f"{BOXES}x4: top, left, bottom, right"
            )
        images.append(
            _Image(
                np.rint(boxes).astype(np.int64) - [1, 1, 0, 0],
                float(a.ravel()[0]),
                float(b.ravel()[0]),
                "".join(chr(int(code)) for code in kind.ravel()),
                from_planes(np.rint(pattern).astype(int) - 1),
                gains_from_neutral(neutral.ravel()),
                camera_to_xyz(matrix.ravel().reshape(3, 3)),
            )
        )
    return images


class _Boxes:
    """Boxes of frames; a frame is read once for its boxes in turn."""

    def __init__(
        self, root: Root, frames: tuple[tuple[str, _Image], ...], demosaic: Demosaic
    ) -> None:
        self._root, self._frames, self._demosaic = root, frames, demosaic
        self._read: tuple[int, Picture] = (-1, np.empty((0, 0), np.float32))

    def __call__(self, number: int) -> Case:
        image, box = divmod(number, BOXES)
        file, own = self._frames[image]
        if self._read[0] != image:
            self._read = image, matlab73.array(self._root, file, VARIABLE).astype(np.float32)
        mosaic = self._read[1]
        top, left, bottom, right = own.boxes[box].tolist()
        if not (0 <= top < bottom <= mosaic.shape[0] and 0 <= left < right <= mosaic.shape[1]):
            raise InputError(
                f"{self._root.locate(INFO)}: box {box + 1} does not lie in {file}, which is "
                f"{times(mosaic.shape)}"
            )
        above, before = max(0, top - MARGIN), max(0, left - MARGIN)
        part = mosaic[above : bottom + MARGIN, before : right + MARGIN]
        if not np.isfinite(part).all():
            raise InputError(f"{self._root.locate(file)}: box {box + 1} has values not finite")
        shot = Shot(
            torch.tensor([own.shot]),
            torch.tensor([own.read]),
            torch.tensor(own.white_balance, dtype=torch.float32)[None],
            torch.tensor(own.cam_to_xyz, dtype=torch.float32)[None],
            torch.zeros(1),
        )
        isp = own.isp(self._demosaic)
        frame = Frame.at_red(np.clip(part, 0, 1), shift(own.phase, above, before), shot, isp)
        frame = frame.inner(top - above, left - before, bottom - top, right - left)
        with torch.inference_mode():
            rendered = frame.own(developed(frame.mosaic, shot, isp))
        return Case(np.clip(rendered, 0, 1), None, frame=frame)


class BothTracks(Submission):
    """``Raw/`` and ``sRGB/``: boxes one by one, and 20 of each image in ``bundled/``; not clipped.

    Parameters
    ----------
    cases
        Of :func:`open_boxes`.
    out
        Folder.
    """

    def __init__(self, cases: Cases, out: Path) -> None:
        self._names, self._out = cases.names, out
        self._boxes: dict[str, list[Floats]] = {"Raw": [], "sRGB": []}
        self._written: list[Path] = []
        for track in self._boxes:
            make_folder(out / track / "bundled")

    def add_mosaic(self, number: int, mosaic: Floats) -> None:
        """See :meth:`Submission.add_mosaic`."""
        self._add("Raw", number, mosaic)

    def add(self, number: int, restored: Floats) -> None:
        """See :meth:`Submission.add`; an image's file is written with its last box."""
        self._add("sRGB", number, restored)

    def finish(self) -> tuple[Path, ...]:
        """See :meth:`Submission.finish`."""
        return tuple(self._written)

    def _add(self, track: str, number: int, box: Floats) -> None:
        israw, name, boxes = int(track == "Raw"), self._names[number], self._boxes[track]
        box = np.ascontiguousarray(box)
        matlab.write(self._out / track / f"{name}.mat", {"Idenoised_crop": box, "israw": israw})
        boxes.append(box)
        if len(boxes) < BOXES:
            return
        path = self._out / track / "bundled" / f"{name[:4]}.mat"
        cells = matlab.cell(boxes, (1, BOXES))
        matlab.write(path, {"Idenoised": cells, "israw": israw, "eval_version": "1.0"})
        self._written.append(path)
        boxes.clear()


DND_RAW = Protocol(
    name="dnd-raw",
    title="DND, raw and sRGB tracks: files for its server",
    source="DND (CVPR 2017); DualDn's code",
    layout=f"{INFO} and {FRAMES}/0001.mat … 0050.mat",
    channels=3,
    open=open_boxes,
    measures=(),
    submission=BothTracks,
    settings={"rounding": "none", "isp": "gamma 2.2"},
    mosaics=True,
)
