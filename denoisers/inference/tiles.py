"""Large pictures by overlapping tiles that are blended into each other.

Within the overlap the weight of a tile rises linearly from 0, at an eighth of it, to 1: what lies
nearer to a tile's cut edge, where a network sees padding instead of the picture, is dropped. A
network that looks no farther than that eighth gives the same picture whole and by tiles; one with
picture-wide means, such as ADFNet, does not: where two of its tiles differ by d, neighbouring
pixels differ by 4 d / 3 over the overlap.
"""

import torch
from torch import Tensor

from denoisers.inference.padding import Restore
from noisegen.errors import InputError

DROPPED = 8
"""The part of the overlap that is dropped is one in this many."""

OVERLAP = 64
"""In pixels, unless it is said otherwise."""


def tiled(restore: Restore, side: int, overlap: int = OVERLAP) -> Restore:
    """Return ``restore`` run on tiles of a picture.

    Parameters
    ----------
    restore
        Takes pictures of ``side`` x ``side`` pixels, and smaller ones.
    side
        Height and width of a tile; along a side that is no longer, the picture is one tile.
    overlap
        By how much tiles overlap at least.

    Raises
    ------
    InputError
        If tiles overlap by more than half.
    """
    if not 0 <= 2 * overlap <= side:
        raise InputError(
            f"tiles of {side} pixels cannot overlap by {overlap}: give {2 * overlap} or more"
        )

    def run(*pictures: Tensor) -> Tensor:
        picture = pictures[0]
        height, width = picture.shape[-2:]
        total = torch.zeros((height, width), device=picture.device)
        out = total.new_zeros(())
        for top, down in _spans(height, side, overlap):
            for left, right in _spans(width, side, overlap):
                tile = restore(*(p[..., top:down, left:right] for p in pictures))
                weight = torch.outer(
                    _ramps(top, down, height, overlap), _ramps(left, right, width, overlap)
                ).to(picture.device)
                if not out.ndim:
                    out = total.new_zeros((*tile.shape[:-2], height, width))
                out[..., top:down, left:right] += weight * tile
                total[top:down, left:right] += weight
        return out / total

    return run


def _spans(length: int, side: int, overlap: int) -> list[tuple[int, int]]:
    """Return first and stop of evenly spaced tiles along a side of a picture."""
    if length <= side:
        return [(0, length)]
    count = -(-(length - overlap) // (side - overlap))
    starts = [round(i * (length - side) / (count - 1)) for i in range(count)]
    return [(start, start + side) for start in starts]


def _ramps(first: int, stop: int, length: int, overlap: int) -> Tensor:
    """Return the weight of a tile along one side; it is 1 up to the borders of the picture."""
    weight = torch.ones(stop - first)
    dropped = overlap // DROPPED
    ramp = (torch.arange(overlap) + 1 - dropped).clamp(min=0) / (overlap + 1 - dropped)
    if first > 0 and overlap:
        weight[:overlap] = torch.minimum(weight[:overlap], ramp)
    if stop < length and overlap:
        weight[-overlap:] = torch.minimum(weight[-overlap:], ramp.flip(0))
    return weight
