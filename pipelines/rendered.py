"""A source's picture as clean sRGB tiles, for noise that is drawn on the picture."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from catalogs.camera import Camera
from catalogs.sources import SourceImage
from noisegen.errors import InputError
from noisegen.isp import color
from noisegen.isp.bulk import render
from noisegen.isp.parameters import HALO, IspParameters
from noisegen.sensor import Levels
from pipelines.develop import matrix3
from pipelines.frame import Frame
from pipelines.frame import frame as mosaic_frame
from pipelines.recipe import Recipe
from pipelines.shading import Lens
from pipelines.source_noise import OwnNoise
from pipelines.tile import Window

WHOLE_TILE = 512
"""Edge of the squares that a whole picture is put together of, even."""


@dataclass(frozen=True)
class RenderedFrame(Frame):
    """A frame whose tiles are pictures.

    Attributes
    ----------
    recipe
        Its bits are those of the tiles, its demosaic, gamma and border render them.
    """

    recipe: Recipe

    @abstractmethod
    def tile(self, window: Window, tone: float) -> npt.NDArray[Any]:
        """Return the clean picture of a window, (size, size, 3) of the recipe's bits."""

    def whole(self, tone: float) -> npt.NDArray[Any]:
        """Return the clean picture of the frame, (H, W, 3) of the recipe's bits."""
        out = np.empty(
            (self.height, self.width, 3), np.uint8 if self.recipe.depth == 8 else np.uint16
        )
        for y in range(0, self.height, WHOLE_TILE):
            for x in range(0, self.width, WHOLE_TILE):
                tile = self.tile(Window(y, x, WHOLE_TILE, 0, self.height, self.width), tone)
                part = out[y : y + WHOLE_TILE, x : x + WHOLE_TILE]
                part[:] = tile[: part.shape[0], : part.shape[1]]
        return out

    def tiles(
        self, places: npt.NDArray[np.int64], tones: npt.NDArray[np.float64], patch: int, halo: int
    ) -> npt.NDArray[Any]:
        """Return the clean pictures of several windows, at :func:`pipelines.tile.places`."""
        corners = (places[:, 4:] - places[:, :2] + halo).tolist()
        windows = [Window(y, x, patch, halo, self.height, self.width) for y, x in corners]
        tiles = [self.tile(w, tone) for w, tone in zip(windows, tones.tolist(), strict=True)]
        return np.stack(tiles)

    def statistics(self, tiles: npt.NDArray[Any], halo: int) -> npt.NDArray[np.float64]:
        """Return mean, texture and clipped share of the pictures, as of their encoded values."""
        return statistics(tiles[:, halo : tiles.shape[1] - halo, halo : tiles.shape[2] - halo])


@dataclass(frozen=True)
class ChainFrame(RenderedFrame):
    """A raw file or scene-linear picture: what the chain renders of it without noise."""

    inner: Frame

    def tile(self, window: Window, tone: float) -> npt.NDArray[Any]:
        """Return the rendering of a window: the crop of the frame's."""
        recipe, halo = self.recipe, window.halo
        reach = 0 if recipe.border == "published" else HALO[recipe.demosaic]
        size = window.patch + 2 * halo
        seen = Window(window.y - halo, window.x - halo, size, reach, window.height, window.width)
        parameters = IspParameters(
            self.white_balance,
            matrix3(self.cam_to_xyz),
            demosaic=recipe.demosaic,
            gamma=recipe.gamma,
            alpha=tone,
        )
        return render(
            self.inner.tile(seen, tone),
            self.phase,
            self.levels.black,
            self.levels.white,
            parameters,
            bits=recipe.depth,
            border=recipe.border,
            cut=(reach, reach, size, size),
        )

    def thumbnail(self) -> npt.NDArray[np.float32]:
        """Return that of the mosaic."""
        return self.inner.thumbnail()

    @property
    def own_noise(self) -> OwnNoise:
        """That of the mosaic."""
        return self.inner.own_noise

    @property
    def clean_noise(self) -> OwnNoise:
        """That of the mosaic."""
        return self.inner.clean_noise

    def record(self, rows: npt.NDArray[np.void]) -> None:
        """Write down what was drawn for the mosaic."""
        self.inner.record(rows)


@dataclass(frozen=True)
class SourceFrame(RenderedFrame):
    """An sRGB picture, taken as it is; its codes are cut or widened to the recipe's bits."""

    picture: npt.NDArray[Any]

    def tile(self, window: Window, tone: float) -> npt.NDArray[Any]:
        """Return a window of the picture."""
        return at_depth(window.cut(self.picture), self.recipe.depth)

    def whole(self, tone: float) -> npt.NDArray[Any]:
        """Return the picture at the recipe's bits."""
        return at_depth(self.picture, self.recipe.depth)

    def thumbnail(self) -> npt.NDArray[np.float32]:
        """Return its green channel, thinned."""
        step = max(1, min(self.picture.shape[:2]) // 512)
        return self.picture[::step, ::step, 1].astype(np.float32)


def statistics(pictures: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return (3, n) mean, texture and clipped share of n pictures, as of their encoded values."""
    white = np.iinfo(pictures.dtype).max
    x = pictures.astype(np.float32) / np.float32(white)
    # Along rows and along columns there are equally many neighbours.
    steps = [np.abs(np.diff(x, axis=axis)).mean((1, 2, 3), np.float64) for axis in (1, 2)]
    mean = x.mean((1, 2, 3), np.float64)
    return np.stack([mean, np.mean(steps, axis=0), (pictures == white).mean((1, 2, 3))])


def at_depth(picture: npt.NDArray[Any], bits: Literal[8, 16]) -> npt.NDArray[Any]:
    """Return the codes of a uint8 or uint16 picture, cut or widened to some bits."""
    if picture.dtype == np.uint8 and bits == 16:
        return picture * np.uint16(257)
    if picture.dtype == np.uint16 and bits == 8:
        return ((picture.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return picture


def frame(image: SourceImage, camera: Camera, recipe: Recipe, number: int) -> RenderedFrame:
    """Prepare a source's picture for cutting; parameters as :func:`pipelines.frame.frame`.

    Raises
    ------
    InputError
        If the recipe renders, and the picture is rendered already.
    """
    height, width = image.pixels.shape[:2]
    if image.kind != "srgb":
        inner = mosaic_frame(image, camera, recipe, number)
        return ChainFrame(
            height,
            width,
            inner.phase,
            inner.levels,
            inner.white_balance,
            inner.cam_to_xyz,
            inner.lens,
            recipe,
            inner,
        )
    for key in ("demosaic", "gamma", "tone", "border"):
        if getattr(recipe, key) != Recipe.model_fields[key].default:
            raise InputError(
                f"{key}: a picture that is rendered already is taken as it is when noise is drawn "
                f"on it; leave {key} away"
            )
    # The picture as a camera's: its codes are from 0 to white, its colours are sRGB already.
    white = float((1 << recipe.depth) - 1)
    return SourceFrame(
        height,
        width,
        "RGGB",
        Levels((0.0,) * 4, white),
        (1.0, 1.0, 1.0),
        color.inverse(color.xyz_to_srgb("D65")),
        Lens(),
        recipe,
        image.pixels,
    )
