"""Raw files denoised: their noise looked up, networks run in tiles.

What is run in tiles is the network on the packed mosaic, the ISP, and the network on the picture,
one after the other over the whole frame: each has the overlap that it needs.
"""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple, Self

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import pad, pixel_shuffle, pixel_unshuffle

from denoisers.inference import memory
from denoisers.inference.padding import Restore, padded
from denoisers.inference.restorer import TILE, WHOLE, Precision
from denoisers.inference.tiles import OVERLAP, tiled
from denoisers.models.dualdn import Developing, Isp, Shot
from noisegen.cfa import Phase, by_position, from_planes, plane_map, shift
from noisegen.errors import InputError
from noisegen.isp import bilateral
from noisegen.isp.geometry import first_red
from noisegen.raw import RawImage, RawMetadata
from pipelines.frame import matrix_of
from pipelines.source_noise import Origin, find
from pipelines.tables.source_noise import SourceNoise

HALO = 16
"""Pixels around a band of rows that the ISP looks at; its demosaicers look at 6 at most."""

RIM = 8
"""Mirrored pixels around a frame: more than the ISP looks at, so that its own border is cut off."""

BAND = 512
"""Rows that are developed at once."""

MOST_PARAMETERS = 20_000_000
"""Of networks whose freed memory is kept: holes between blocks make it half as much again."""

DARKEST = 1e-6
"""What pictures and noise maps are cut at, where they are given other colours."""

RED: Phase = "RGGB"
"""Of the mosaics that networks take."""

Picture = npt.NDArray[np.float32]

Told = Origin | Literal["given"]


class Noise(NamedTuple):
    """K and S of a raw file, means over its planes, and where they come from."""

    shot: float
    read: float
    origin: Told


def noise_of(image: RawImage) -> Noise:
    """Return a raw file's noise: as it states it, as the catalog has it, or as it looks.

    Raises
    ------
    InputError
        If none of them tells.
    """
    own = find(image.mosaic, image.metadata, SourceNoise(policy="reject"))
    if not own.is_known:
        raise InputError(
            f"{image.metadata.path}: no NoiseProfile, a camera that is not in the catalog at this "
            "ISO, and too few flat places to estimate its noise; give --shot and --read"
        )
    return Noise(float(np.mean(own.shot)), float(np.mean(own.read)), own.origin)


@dataclass(frozen=True)
class Frame:
    """A mosaic as networks take it.

    Attributes
    ----------
    mosaic
        (1, 1, H, W) float32, black 0 and white 1, cut to that; red at the corner. It has a rim of
        mirrored pixels, which keep the phase, on each side.
    shot
        What the ISP and the noise maps need.
    place
        (top, left, height, width) of the mosaic that it is of.
    isp
        That it is developed by; none: the network's own.
    """

    mosaic: Tensor
    shot: Shot
    place: tuple[int, int, int, int]
    isp: Isp | None = None

    @classmethod
    def at_red(cls, mosaic: Picture, phase: Phase, shot: Shot, isp: Isp | None = None) -> Self:
        """Return the frame of a mosaic of any phase.

        Parameters
        ----------
        mosaic
            (H, W), black 0 and white 1, cut to that.
        phase
            At its corner.
        shot, isp
            As in this class.
        """
        height, width = mosaic.shape
        top, left = (RIM + n for n in first_red(phase))
        margins = (left, RIM + (left + width) % 2, top, RIM + (top + height) % 2)
        whole = pad(torch.from_numpy(mosaic)[None, None], margins, "reflect")
        return cls(whole, shot, (top, left, height, width), isp)

    @classmethod
    def of(cls, image: RawImage, noise: Noise, alpha: float) -> Self:
        """Return the frame of a raw file.

        Raises
        ------
        InputError
            If the file has no colour matrix.
        """
        clean = np.clip(normalised(image), 0, 1)
        return cls.at_red(clean, image.metadata.cfa, shot_of(image.metadata, noise, alpha))

    def inner(self, top: int, left: int, height: int, width: int) -> Self:
        """Return the same frame for a window of its mosaic; the rest is surroundings."""
        place = (self.place[0] + top, self.place[1] + left, height, width)
        return replace(self, place=place)

    def own(self, picture: Tensor) -> Picture:
        """Return the mosaic's part of (1, C, H, W), (H, W, C)."""
        top, left, height, width = self.place
        part = picture[0, :, top : top + height, left : left + width]
        return part.permute(1, 2, 0).numpy()


def normalised(image: RawImage) -> Picture:
    """Return a raw file's mosaic, black 0 and white 1, not cut."""
    own = image.metadata
    codes = image.mosaic.astype(np.float32)
    black = by_position(own.black_level, own.cfa)
    for y, x in np.ndindex(2, 2):
        part = codes[y::2, x::2]
        part -= np.float32(black[y, x])
        part /= np.float32(own.white_level - black[y, x])
    return codes


def upright(image: RawImage) -> tuple[Picture, Phase]:
    """Return a raw file's mosaic upright, black 0 and white 1, not cut, and its phase then."""
    own = image.metadata
    planes = oriented(plane_map(own.cfa, image.mosaic.shape), own.orientation)
    return oriented(normalised(image), own.orientation), from_planes(planes[:2, :2])


def shot_of(own: RawMetadata, noise: Noise, alpha: float) -> Shot:
    """Return what networks are told of a raw file.

    Raises
    ------
    InputError
        If the file has no colour matrix.
    """
    matrix = matrix_of(own)
    if matrix is None:
        raise InputError(
            f"{own.path}: no colour matrix in the file, and LibRaw knows none of its camera "
            f"({own.make} {own.model}); a DNG converter adds one"
        )
    return Shot(
        torch.tensor([noise.shot]),
        torch.tensor([noise.read]),
        torch.tensor([own.white_balance]),
        torch.tensor(matrix, dtype=torch.float32)[None],
        torch.tensor([alpha]),
    )


def as_large_as(codes: npt.NDArray[Any], size: tuple[int, ...]) -> Picture:
    """Return a picture of integers from 0 to 1, enlarged if it has half a mosaic's size."""
    picture = codes.astype(np.float32) / np.float32(np.iinfo(codes.dtype).max)
    height, width = picture.shape[:2]
    if size == (2 * height, 2 * width):
        picture = cv2.resize(picture, (2 * width, 2 * height), interpolation=cv2.INTER_CUBIC)
    cut: Picture = np.clip(picture, 0, 1)
    return cut


def cropped(image: RawImage, height: int, width: int) -> RawImage:
    """Return the middle of a raw file.

    Raises
    ------
    InputError
        If the file is smaller.
    """
    rows, columns = image.mosaic.shape
    top, left = (rows - height) // 2, (columns - width) // 2
    if min(top, left) < 0:
        raise InputError(
            f"{image.metadata.path}: a mosaic of {columns}x{rows}, smaller than the reference of "
            f"{width}x{height}"
        )
    mosaic = image.mosaic[top : top + height, left : left + width]
    phase = shift(image.metadata.cfa, top, left)
    return RawImage(mosaic, replace(image.metadata, shape=(height, width), cfa=phase))


class Developed(NamedTuple):
    """A denoised frame: (1, 1, H, W) mosaic and (1, 3, H, W) picture, not clipped."""

    mosaic: Tensor
    picture: Tensor


@dataclass(frozen=True)
class RawRestorer:
    """Runs a network on frames of any size.

    Attributes
    ----------
    model
        In evaluation mode, on its device.
    tile
        Side of the tiles in pixels of the mosaic; 0: whole, None: whole if small.
    precision
        What the backbones compute in.
    device
        Where they do.
    published_colours
        Whether colours of a reference are fitted as the published code does.
    """

    model: Developing
    tile: int | None = None
    precision: Precision = "float32"
    published_colours: bool = False
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    def __call__(self, frame: Frame, reference: Picture | None = None) -> Developed:
        """Return the frame denoised.

        Parameters
        ----------
        frame
            To be denoised.
        reference
            (H, W, 3) picture of the frame's size, not turned, whose colours the picture gets
            before the second network.
        """
        height, width = frame.mosaic.shape[-2:]
        isp = frame.isp or self.model.isp
        side = self.tile
        if side is None:
            side = TILE if height * width > WHOLE else 0
        with torch.inference_mode():
            packed = self._run(self._first(frame.shot), side // 2)(pixel_unshuffle(frame.mosaic, 2))
            memory.give_back()
            mosaic = pixel_shuffle(packed, 2)
            picture = developed(mosaic, frame.shot, isp)
            noise = None
            if self.model.maps_picture:
                noise = developed(frame.shot.noise_map(frame.mosaic), frame.shot, isp)
            if reference is not None:
                picture, noise = self._recoloured(frame, picture, noise, reference)
            if self.model.domain != "raw":
                second = self._run(self._second, side)
                picture = second(picture) if noise is None else second(picture, noise)
        memory.give_back()
        return Developed(mosaic, picture)

    def _run(self, restore: Restore, side: int) -> Restore:
        run = padded(restore, self.model.backbone_multiple)
        return tiled(run, side, min(OVERLAP, side // 4)) if side else run

    def _first(self, shot: Shot) -> Restore:
        placed = Shot(*(t.to(self.device) for t in shot[:5]))

        def run(packed: Tensor) -> Tensor:
            with self._autocast(), self._reused():
                return self.model.first(packed.to(self.device), placed).float().cpu()

        return run

    def _second(self, picture: Tensor, noise: Tensor | None = None) -> Tensor:
        maps = None if noise is None else noise.to(self.device)
        with self._autocast(), self._reused():
            return self.model.second(picture.to(self.device), maps).float().cpu()

    def _autocast(self) -> torch.autocast:
        return torch.autocast(
            self.device.type, torch.bfloat16, enabled=self.precision == "bfloat16"
        )

    def _reused(self) -> AbstractContextManager[None]:
        """Return a context in which a network that is not large keeps the memory that it frees."""
        size = sum(parameter.numel() for parameter in self.model.parameters())
        return memory.reused() if size <= MOST_PARAMETERS else nullcontext()

    def _recoloured(
        self, frame: Frame, picture: Tensor, noise: Tensor | None, reference: Picture
    ) -> tuple[Tensor, Tensor | None]:
        """Put the colours of a reference on a picture, and the same matrices on its noise map."""
        own = np.clip(frame.own(picture), DARKEST, 1)
        grid = bilateral.fit(own, reference, published=self.published_colours)
        whole = picture[0].permute(1, 2, 0).clamp(DARKEST, 1).numpy()

        def put(what: Picture) -> Tensor:
            return torch.from_numpy(grid.apply(what, whole)).permute(2, 0, 1)[None]

        if noise is None:
            return put(whole), None
        return put(whole), put(noise[0].permute(1, 2, 0).numpy()).clamp_min(DARKEST)


def developed(mosaic: Tensor, shot: Shot, isp: Isp) -> Tensor:
    """Return (1, 3, H, W) picture of a (1, 1, H, W) mosaic of even sides, in bands of rows."""
    height, width = mosaic.shape[-2:]
    out = torch.empty((1, 3, height, width))
    for first in range(0, height, BAND):
        above, below = max(0, first - HALO), min(height, first + BAND + HALO)
        rows = slice(first - above, min(first + BAND, height) - above)
        band = isp.develop(mosaic[..., above:below, :], shot)
        out[..., first : first + BAND, :] = band[..., rows, :]
    return out


def oriented(picture: npt.NDArray[Any], orientation: int) -> npt.NDArray[Any]:
    """Return an (H, W, …) picture upright, by its EXIF orientation from 1 to 8."""
    if orientation in (2, 3):
        picture = picture[:, ::-1]
    if orientation in (3, 4):
        picture = picture[::-1]
    if orientation in (5, 6, 7, 8):
        picture = picture.swapaxes(0, 1)
    if orientation in (6, 7):
        picture = picture[:, ::-1]
    if orientation in (7, 8):
        picture = picture[::-1]
    return np.ascontiguousarray(picture)


def unoriented(picture: npt.NDArray[Any], orientation: int) -> npt.NDArray[Any]:
    """Undo :func:`oriented`."""
    # Quarter turns undo each other; all others undo themselves.
    return oriented(picture, {6: 8, 8: 6}.get(orientation, orientation))
