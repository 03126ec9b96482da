"""Tiles side by side, the last of a row or column moved inwards, as RFFNet's and DVN's tests cut.

The published tests score such tiles one by one, and save pictures as plain means over larger ones
that overlap.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from denoisers.inference.padding import Restore


class Box(NamedTuple):
    """Rows and columns of a tile."""

    top: int
    left: int
    bottom: int
    right: int

    def of(self, picture: Tensor) -> Tensor:
        """Return the tile of (..., H, W)."""
        return picture[..., self.top : self.bottom, self.left : self.right]


class Grid(NamedTuple):
    """How tiles lie.

    Attributes
    ----------
    height, width
        Of a tile; along a side that is no longer, the picture is one tile.
    overlap_y, overlap_x
        By how much neighbours overlap at least.
    """

    height: int
    width: int
    overlap_y: int = 0
    overlap_x: int = 0

    def boxes(self, height: int, width: int) -> list[Box]:
        """Return the tiles of a picture, column by column; a tile may be there twice."""
        return [
            Box(top, left, top + min(self.height, height), left + min(self.width, width))
            for left in _starts(width, self.width, self.overlap_x)
            for top in _starts(height, self.height, self.overlap_y)
        ]

    def __call__(self, restore: Restore) -> Restore:
        """Return ``restore`` run on the tiles; what several cover is their mean."""

        def run(*pictures: Tensor) -> Tensor:
            first = pictures[0]
            out = torch.zeros_like(first, dtype=torch.float32)
            times = torch.zeros(first.shape[-2:], device=first.device)
            for box in self.boxes(*first.shape[-2:]):
                box.of(out).add_(restore(*(box.of(picture) for picture in pictures)))
                box.of(times).add_(1)
            return out / times

        return run


def _starts(length: int, side: int, overlap: int) -> list[int]:
    """Return first pixels of tiles along a side, as the published code does.

    The last one, moved inwards, is put down for every step that would leave the picture.
    """
    last = max(0, length - side)
    return [min(start, last) for start in range(0, max(1, length), side - overlap)]
