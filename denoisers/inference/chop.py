"""The published tiling ("chop"): four overlapping tiles, stitched without blending.

It is here so that published figures can be made again: the seams are hard, and a network with
picture-wide means gives another result by tiles than whole.

References
----------
B. Lim et al., "Enhanced Deep Residual Networks for Single Image Super-Resolution", CVPRW 2017,
whose code brought it; in the form of ADFNet's code.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from denoisers.inference.padding import Restore, padded
from noisegen.errors import InputError

OVERLAP = 24
"""Pixels by which a tile is longer than half the picture, cut to a multiple of 8."""

SMALLEST = 40
"""Least side of a picture in pixels: below, the tiles would be larger than the picture."""

FIXED_POINT = 48
"""Side of the tiles that cutting again and again leads to: they never get smaller."""


@dataclass(frozen=True)
class Chop:
    """How a published test cuts its pictures.

    Attributes
    ----------
    min_size
        As in :func:`chop`.
    multiple
        The picture is mirrored up to multiples of this before it is cut.
    """

    min_size: int
    multiple: int = 1

    def __call__(self, restore: Restore) -> Restore:
        """Return ``restore`` run on the tiles."""
        return padded(chop(restore, self.min_size), self.multiple)


def chop(restore: Restore, min_size: int) -> Restore:
    """Return ``restore`` run on quarters of the picture, cut again until they are small enough.

    Parameters
    ----------
    restore
        Gets tiles whose sides are multiples of 8, whatever the picture's.
    min_size
        Tiles of fewer pixels are run, others cut again; above 48 x 48.

    Raises
    ------
    InputError
        If ``min_size`` would never be reached, or, from the result, if a picture is too small.
    """
    if min_size <= FIXED_POINT**2:
        raise InputError(
            f"min_size {min_size} is never reached: tiles stop shrinking at "
            f"{FIXED_POINT}x{FIXED_POINT}, so give more than {FIXED_POINT**2}"
        )

    def run(*pictures: Tensor) -> Tensor:
        h, w = pictures[0].shape[-2:]
        if min(h, w) < SMALLEST:
            raise InputError(
                f"tiles of the published kind need {SMALLEST}x{SMALLEST} pixels, found {h}x{w}: "
                "run the picture whole (--tile 0)"
            )
        th, tw = (side // 2 // 8 * 8 + OVERLAP for side in (h, w))
        inner = restore if th * tw < min_size else run
        top, bottom = (
            [
                inner(*(picture[..., rows, columns] for picture in pictures))
                for columns in (slice(0, tw), slice(w - tw, w))
            ]
            for rows in (slice(0, th), slice(h - th, h))
        )
        upper, lower = (
            torch.cat((left[..., : w // 2], right[..., w // 2 - w :]), -1)
            for left, right in (top, bottom)
        )
        return torch.cat((upper[..., : h // 2, :], lower[..., h // 2 - h :, :]), -2)

    return run
