"""Windows of pictures: places, tiles with halos, reflection beyond the border, codes as floats."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from noisegen.errors import InputError

Picture = npt.NDArray[Any]
"""(H, W, 3) R, G, B: uint8 or uint16 codes, or floating point with 0 black and 1 white."""

Floats = npt.NDArray[np.float32]


class Window(NamedTuple):
    """A rectangle of a picture; the second row and column of each pair lie outside."""

    top: int
    bottom: int
    left: int
    right: int

    @classmethod
    def of(cls, height: int, width: int) -> "Window":
        """Return that of a whole picture."""
        return cls(0, height, 0, width)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width."""
        return self.bottom - self.top, self.right - self.left

    @property
    def slices(self) -> tuple[slice, slice]:
        """Of the array that the window's coordinates are those of."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def grown(self, margin: int, within: "Window") -> "Window":
        """Return the window with a margin, as far as that lies within another."""
        return Window(
            max(self.top - margin, within.top),
            min(self.bottom + margin, within.bottom),
            max(self.left - margin, within.left),
            min(self.right + margin, within.right),
        )

    def aligned(self, multiple: int) -> "Window":
        """Return the smallest window around this one whose edges are on multiples of a number."""
        top, left = (edge // multiple * multiple for edge in (self.top, self.left))
        bottom, right = (-(-edge // multiple) * multiple for edge in (self.bottom, self.right))
        return Window(top, bottom, left, right)

    def within(self, other: "Window") -> "Window":
        """Return the window in coordinates of another one's first pixel."""
        return Window(
            self.top - other.top,
            self.bottom - other.top,
            self.left - other.left,
            self.right - other.left,
        )

    def halved(self, times: int) -> "Window":
        """Return the window on a grid that is 2**times coarser."""
        return Window(*(edge >> times for edge in self))

    def tiles(self, edge: int) -> Iterator["Window"]:
        """Yield windows of at most ``edge`` squared that fill this one, row by row."""
        for top in range(self.top, self.bottom, edge):
            for left in range(self.left, self.right, edge):
                yield Window(top, min(top + edge, self.bottom), left, min(left + edge, self.right))


def reflected(start: int, stop: int, size: int) -> npt.NDArray[np.intp]:
    """Return the places in 0 … size - 1 that places beyond the border are reflections of."""
    places = np.arange(start, stop) % max(2 * (size - 1), 1)
    return np.where(places < size, places, 2 * (size - 1) - places)


def cut(picture: Picture, window: Window) -> Picture:
    """Return a window of a picture, which goes on by reflection beyond its border."""
    height, width = picture.shape[:2]
    if window == window.grown(0, Window.of(height, width)):
        return picture[window.slices]
    rows = reflected(window.top, window.bottom, height)
    columns = reflected(window.left, window.right, width)
    return picture[rows[:, None], columns]


def planes(pixels: Tensor) -> Tensor:
    """Return (H, W, C) as (1, C, H, W), channels last in memory.

    The picture is numbered first: by its stride torch tells that channels lie last, and would
    otherwise copy it before each convolution.
    """
    return pixels[None].permute(0, 3, 1, 2)


def as_tensor(pixels: Picture, device: torch.device) -> Tensor:
    """Return (1, 3, h, w) float32 from 0 (black) to 1 (white), channels last in memory."""
    if pixels.dtype.kind == "u":
        white = np.float32(np.iinfo(pixels.dtype).max)
        values = pixels.astype(np.float32) / white
    else:
        values = np.ascontiguousarray(pixels, np.float32)
    return planes(torch.from_numpy(values).to(device))


def check_picture(picture: Picture, smallest: int) -> None:
    """Refuse what is no picture, or too small for the networks.

    Raises
    ------
    InputError
        One line that says what it is.
    """
    sound = picture.dtype in (np.uint8, np.uint16) or picture.dtype.kind == "f"
    if picture.ndim != 3 or picture.shape[2] != 3 or not sound:
        raise InputError(
            f"a picture of shape {picture.shape} and {picture.dtype}: NeCA takes (H, W, 3) uint8, "
            "uint16 or floating point"
        )
    if min(picture.shape[:2]) < smallest:
        raise InputError(
            f"a picture of {picture.shape[0]}x{picture.shape[1]} pixels is too small for NeCA: "
            f"{smallest}x{smallest} is the least"
        )
