"""A source's picture as clean mosaic tiles at the target camera's levels."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from catalogs.camera import Camera
from catalogs.sources import SourceImage
from noisegen import cfa, random
from noisegen.isp import color
from noisegen.isp.bulk import linear, unprocess
from noisegen.isp.parameters import IspParameters
from noisegen.kernels.dither import dither
from noisegen.kernels.levels import bin2, requantise
from noisegen.kernels.statistics import mosaic_statistics, of_sums
from noisegen.kernels.tiles import cut
from noisegen.raw import RawMetadata
from noisegen.raw.metadata import UNKNOWN_GAINS
from noisegen.sensor import Levels
from pipelines import source_noise
from pipelines.develop import matrix3
from pipelines.recipe import Recipe
from pipelines.shading import Lens, lens_of
from pipelines.source_noise import UNKNOWN, OwnNoise
from pipelines.tile import Window
from pipelines.unprocessing import Unprocessing, draw

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Frame(ABC):
    """One picture, ready to be cut.

    Attributes
    ----------
    height, width
        Size in pixels.
    phase
        Phase of the mosaic at (0, 0).
    levels
        Black and white of the tiles: the target camera's.
    white_balance
        Gains of R, G, B; the smallest is 1.
    cam_to_xyz
        (3, 3) matrix from white-balanced camera RGB to XYZ.
    lens
        The lens, whose shading the ISP makes up for.
    """

    height: int
    width: int
    phase: cfa.Phase
    levels: Levels
    white_balance: tuple[float, float, float]
    cam_to_xyz: Matrix
    lens: Lens

    @abstractmethod
    def tile(self, window: Window, tone: float) -> npt.NDArray[Any]:
        """Return the clean mosaic of a window, in digital numbers.

        ``tone`` is the amplification α of the rendering, which a picture's encoding is undone with.
        """

    def tiles(
        self, places: npt.NDArray[np.int64], tones: npt.NDArray[np.float64], patch: int, halo: int
    ) -> npt.NDArray[Any]:
        """Return the clean mosaics of several windows, at :func:`pipelines.tile.places`."""
        size = patch + 2 * halo
        out = np.empty((len(places), size, size), np.uint16)
        corners = places[:, 4:] - places[:, :2] + halo
        for (y, x), tone, tile in zip(corners.tolist(), tones.tolist(), out, strict=True):
            tile[:] = self.tile(Window(y, x, patch, halo, self.height, self.width), tone)
        return out

    def measured(
        self, places: npt.NDArray[np.int64], tones: npt.NDArray[np.float64], patch: int, halo: int
    ) -> tuple[npt.NDArray[Any], npt.NDArray[np.float64]]:
        """Return n tiles, and (3, n) mean, texture and clipped share of the patches inside them."""
        tiles = self.tiles(places, tones, patch, halo)
        return tiles, self.statistics(tiles, halo)

    def statistics(self, tiles: npt.NDArray[Any], halo: int) -> npt.NDArray[np.float64]:
        """Return what :meth:`measured` does of tiles."""
        return mosaic_statistics(tiles, self._black, self.levels.white, margin=halo)

    @property
    def _black(self) -> npt.NDArray[np.float64]:
        return cfa.by_position(self.levels.black, self.phase)

    @abstractmethod
    def thumbnail(self) -> npt.NDArray[np.float32]:
        """Return a small grey picture of the whole frame, for its perceptual hash."""

    @property
    def own_noise(self) -> OwnNoise:
        """Noise of the picture itself, as it is cut, but for the rounding to the camera's codes."""
        return UNKNOWN

    @property
    def clean_noise(self) -> OwnNoise:
        """Noise of the clean mosaic at the camera's levels."""
        return self.own_noise

    def record(self, rows: npt.NDArray[np.void]) -> None:  # noqa: B027 - most frames draw nothing
        """Write into rows of the parameter table, whose ``tone`` is known, what else was drawn."""


@dataclass(frozen=True)
class MosaicFrame(Frame):
    """A raw file: its codes are moved to the target camera's levels."""

    mosaic: npt.NDArray[np.uint16]
    raw: RawMetadata
    own: OwnNoise
    rounded: bool

    def tile(self, window: Window, tone: float) -> npt.NDArray[np.uint16]:
        """Return the requantised mosaic of a window."""
        tile, raw, levels = window.cut(self.mosaic), self.raw, self.levels
        # Windows lie on the CFA's period: a tile has the phase of its frame.
        own, black = (cfa.by_position(b, self.phase) for b in (raw.black_level, levels.black))
        return requantise(tile, own, raw.white_level, black, levels.white)

    def measured(
        self, places: npt.NDArray[np.int64], tones: npt.NDArray[np.float64], patch: int, halo: int
    ) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.float64]]:
        """Return tiles, requantised, and their statistics."""
        raw, levels = self.raw, self.levels
        if raw.black_level != levels.black or raw.white_level != levels.white:
            return super().measured(places, tones, patch, halo)
        # Codes above white are saturated; the noisy picture has none.
        tiles, sums = cut(self.mosaic, places, patch + 2 * halo, levels.white, halo)
        return tiles, of_sums(sums, (patch, patch), self._black, levels.white)

    def thumbnail(self) -> npt.NDArray[np.float32]:
        """Return one of its green planes, shrunk."""
        (y, x) = np.argwhere(cfa.colors(self.phase) == 1)[0]
        step = 2 * max(1, min(self.mosaic.shape) // 512)
        return self.mosaic[y::step, x::step].astype(np.float32)

    @property
    def own_noise(self) -> OwnNoise:
        """Noise of the file itself, or of its means."""
        return self.own

    @property
    def clean_noise(self) -> OwnNoise:
        """Its noise with that of rounding to the camera's codes, where they are others."""
        return self.own.rounded(self.levels) if self.rounded else self.own

    @cached_property
    def lowest(self) -> tuple[float, ...]:
        """Lowest x of each plane (R, G1, B, G2) in the whole frame."""
        corner = np.array([[self.mosaic[y::2, x::2].min() for x in (0, 1)] for y in (0, 1)])
        raw, levels = self.raw, self.levels
        own, black = (cfa.by_position(b, self.phase) for b in (raw.black_level, levels.black))
        codes = requantise(corner, own, raw.white_level, black, levels.white)
        x = (codes - black) / (levels.white - black)
        places = cfa.planes(self.phase).ravel().tolist()
        return tuple(float(x.flat[places.index(plane)]) for plane in range(4))


@dataclass(frozen=True)
class PictureFrame(Frame):
    """A rendered or scene-linear picture: unprocessed to a mosaic of the target camera."""

    picture: npt.NDArray[np.uint8 | np.uint16 | np.float32]
    encoded: bool
    recipe: Recipe
    unprocessing: Unprocessing
    number: int
    shrink: int

    def tile(self, window: Window, tone: float) -> npt.NDArray[np.uint16]:
        """Return the mosaic that a camera would have made of what the picture shows."""
        parameters = IspParameters(
            self.white_balance,
            matrix3(self.cam_to_xyz),
            demosaic=self.recipe.demosaic,
            gamma=self.recipe.gamma,
            alpha=tone if self.encoded else 0.0,
        )
        exposure, curve = self.unprocessing.exposure, self.unprocessing.curve
        picture = self._codes(window)
        if self.shrink > 1:
            picture = self._spread(
                linear(picture, parameters, exposure=exposure, tone=curve, shrink=self.shrink),
                window,
            )
            exposure = 1.0
        return unprocess(
            picture,
            self.phase,
            self.levels.black,
            self.levels.white,
            parameters,
            encoded=self.encoded and self.shrink == 1,
            exposure=exposure,
            tone=curve,
            shading=self.lens.at(
                (self.height, self.width), window.y - window.halo, window.x - window.halo
            ),
        )

    def _codes(self, window: Window) -> npt.NDArray[Any]:
        """Return what a window is made of, dithered where it has 8 bits.

        Of a picture that is averaged this is the part inside the frame, at full size.
        """
        dithers = self.recipe.source_noise.dither and self.picture.dtype == np.uint8
        if self.shrink == 1 and not dithers:
            return window.cut(self.picture)
        (rows, columns), (top, left), step = window.inside, window.corner, self.shrink
        height, width = rows.stop - rows.start, columns.stop - columns.start
        y, x = step * top, step * left
        part: npt.NDArray[Any] = self.picture[y : y + step * height, x : x + step * width]
        if dithers:
            part = dither(part, random.counter(self.recipe.seed, self.number), y, x)
        return part if step > 1 else self._spread(part, window)

    @staticmethod
    def _spread(part: npt.NDArray[Any], window: Window) -> npt.NDArray[Any]:
        """Return a tile of its part inside the frame: the rest is reflected after all draws."""
        size = window.patch + 2 * window.halo
        tile = np.empty((size, size, 3), part.dtype)
        tile[window.inside] = part
        window.reflect(tile)
        return tile

    def record(self, rows: npt.NDArray[np.void]) -> None:
        """Write down how the picture was unprocessed."""
        self.unprocessing.record(rows, self.encoded)

    def thumbnail(self) -> npt.NDArray[np.float32]:
        """Return its green channel, thinned."""
        return thumbnail(self.picture)


def frame(image: SourceImage, camera: Camera, recipe: Recipe, number: int) -> Frame:
    """Prepare a source's picture for cutting.

    Parameters
    ----------
    image
        What the source read.
    camera
        The target camera (built of the file itself for "as-shot").
    recipe
        Its seed draws colours where neither file nor camera states them.
    number
        The image's row in the corpus.
    """
    height, width = image.pixels.shape[:2]
    if image.raw is not None and recipe.source_noise.policy == "bin2":
        # A remainder is left out of the means; the lens's centre does not move with it.
        covered = (height // 4 * 4, width // 4 * 4)
        image = replace(image, raw=replace(image.raw, shape=covered))
    levels, lens = camera.levels, lens_of(recipe, image, number)
    if image.raw is not None:
        raw = image.raw
        drawn = camera.draw_color(random.generator(recipe.seed, random.Stream.COLOUR, number))
        matrix = matrix_of(raw)
        known = raw.origin.get("white_balance", "") != UNKNOWN_GAINS
        gains = _normalised(raw.white_balance if known else drawn.white_balance)
        cam_to_xyz = np.asarray(drawn.cam_to_xyz) if matrix is None else matrix
        mosaic = image.pixels.astype(np.uint16, copy=False)
        own = source_noise.find(mosaic, raw, recipe.source_noise)
        rounded = _rounds(raw, levels)
        if recipe.source_noise.policy == "bin2":
            mosaic, raw = _means(mosaic, raw, levels)
            own, rounded = own.averaged(4), True
            height, width = mosaic.shape
        return MosaicFrame(
            height,
            width,
            raw.cfa,
            levels,
            gains,
            cam_to_xyz,
            lens,
            mosaic,
            raw,
            own,
            rounded,
        )
    unprocessing = draw(recipe, camera, number)
    shrink = recipe.source_noise.shrink if image.lossy else 1
    height, width = height // shrink, width // shrink
    return PictureFrame(
        height,
        width,
        camera.cfa,
        levels,
        _normalised(unprocessing.color.white_balance),
        np.asarray(unprocessing.color.cam_to_xyz),
        lens,
        image.pixels,
        image.kind == "srgb",
        recipe,
        unprocessing,
        number,
        shrink,
    )


def thumbnail(picture: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Return the green, or only, channel of an (H, W, C) picture, thinned."""
    step = max(1, min(picture.shape[:2]) // 512)
    return picture[::step, ::step, picture.shape[2] // 2].astype(np.float32)


def perceptual_hash(thumbnail: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Return the 64-bit difference hash (dHash) of a grey picture as eight bytes.

    Pictures of one scene differ in few bits, whatever their size and exposure.
    """
    small = cv2.resize(thumbnail, (9, 8), interpolation=cv2.INTER_AREA)
    return np.packbits(small[:, 1:] > small[:, :-1])


def _rounds(raw: RawMetadata, levels: Levels) -> bool:
    """Tell whether a file's codes fall between those of other levels."""
    for own, black in zip(raw.black_level, levels.black, strict=True):
        scale = (levels.white - black) / (raw.white_level - own)
        if not (scale.is_integer() and (black - own * scale).is_integer()):
            return True
    return False


def _means(
    mosaic: npt.NDArray[np.uint16], raw: RawMetadata, levels: Levels
) -> tuple[npt.NDArray[np.uint16], RawMetadata]:
    """Return the means of 2x2 samples of one colour at other levels, and what describes them."""
    own, black = (cfa.by_position(b, raw.cfa) for b in (raw.black_level, levels.black))
    means = bin2(mosaic, own, raw.white_level, black, levels.white)
    shape = (means.shape[0], means.shape[1])
    return means, replace(raw, shape=shape, black_level=levels.black, white_level=levels.white)


def _normalised(gains: npt.ArrayLike) -> tuple[float, float, float]:
    scaled = np.asarray(gains, np.float64) / np.min(gains)
    return tuple(scaled.tolist())


def matrix_of(raw: RawMetadata) -> Matrix | None:
    """Return the matrix from white-balanced camera RGB to XYZ of a raw file; None if unknown."""
    if raw.xyz_to_cam is not None:
        return color.camera_to_xyz(raw.xyz_to_cam)
    if raw.color_matrix is not None:
        return color.camera_to_xyz_from_srgb(raw.color_matrix)
    return None
