"""Cutting a patch with its surroundings out of a frame.

A tile is the patch and a halo as wide as the reach of the ISP and the finish. Where the halo leaves
the frame it is filled by reflection about the border pixel (reflect-101, ``dcb|abcd``), which keeps
the CFA's phase. Noise is drawn inside the frame only and reflected after, so that a patch at the
border is the crop of the frame's rendering too.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from noisegen.kernels.border import reflect

Pixel = TypeVar("Pixel", bound=np.generic)


@dataclass(frozen=True)
class Window:
    """Where a tile lies in its frame.

    Attributes
    ----------
    y, x
        Place of the patch in the frame, in pixels.
    patch
        Height and width of the patch (of what it covers, where the finish shrinks it).
    halo
        Width of the surroundings.
    height, width
        Size of the frame.
    """

    y: int
    x: int
    patch: int
    halo: int
    height: int
    width: int

    @cached_property
    def inside(self) -> tuple[slice, slice]:
        """The part of the tile that lies in the frame."""
        return (
            _span(self.y, self.patch, self.halo, self.height),
            _span(self.x, self.patch, self.halo, self.width),
        )

    @property
    def core(self) -> tuple[slice, slice]:
        """The patch within the tile."""
        return (slice(self.halo, self.halo + self.patch),) * 2

    @property
    def corner(self) -> tuple[int, int]:
        """Place in the frame of the tile's first pixel that lies in the frame."""
        return max(self.y - self.halo, 0), max(self.x - self.halo, 0)

    def cut(self, frame: npt.NDArray[Pixel]) -> npt.NDArray[Pixel]:
        """Return the tile of an (H, W) or (H, W, 3) frame, contiguous."""
        rows, columns = self.inside
        top, left = self.corner
        size = self.patch + 2 * self.halo
        tile = np.empty((size, size, *frame.shape[2:]), frame.dtype)
        tile[rows, columns] = frame[
            top : top + rows.stop - rows.start, left : left + columns.stop - columns.start
        ]
        self.reflect(tile)
        return tile

    def reflect(self, tile: npt.NDArray[Pixel]) -> None:
        """Fill, in place, what lies outside of the frame from what lies inside."""
        rows, columns = self.inside
        _reflect(tile, rows)
        _reflect(tile.swapaxes(0, 1), columns)


def places(
    y: npt.NDArray[np.integer],
    x: npt.NDArray[np.integer],
    patch: int,
    halo: int,
    height: npt.ArrayLike,
    width: npt.ArrayLike,
) -> npt.NDArray[np.int64]:
    """Return the parts of N tiles that lie in their frames, as :class:`noisegen.sensor.Address`.

    Parameters
    ----------
    y, x
        (N,) places of the patches in their frames.
    patch, halo
        As in :class:`Window`.
    height, width
        Sizes of the frames, (N,) or one for all.
    """
    out = np.empty((len(y), 6), np.int64)
    for axis, (at, length) in enumerate(((y, height), (x, width))):
        at = at.astype(np.int64)
        first, stop = np.maximum(at - halo, 0), np.minimum(at + patch + halo, length)
        out[:, axis], out[:, 2 + axis], out[:, 4 + axis] = first - at + halo, stop - first, first
    return out


def _span(at: int, patch: int, halo: int, length: int) -> slice:
    return slice(max(halo - at, 0), min(halo + length - at, patch + 2 * halo))


def _reflect(tile: npt.NDArray[Pixel], inside: slice) -> None:
    # The halo of a finish may be wider than a small frame, which is then gone through to and fro.
    length = inside.stop - inside.start
    for i in (*range(inside.start), *range(inside.stop, len(tile))):
        tile[i] = tile[inside.start + reflect(i - inside.start, length)]
