"""Pictures of any size for networks that take multiples of some number of pixels."""

from collections.abc import Callable

from torch import Tensor
from torch.nn.functional import pad

Restore = Callable[..., Tensor]
"""Takes a picture (N, C, H, W), and guides of its size, and returns channels of that size."""


def padded(restore: Restore, multiple: int) -> Restore:
    """Return ``restore`` for pictures of any size.

    The picture is mirrored at the bottom and the right (the edge itself not doubled) up to the next
    multiple, and the result cut back. Where a side is too short to be mirrored its edge is
    repeated instead.

    Parameters
    ----------
    restore
        Takes heights and widths that are multiples of ``multiple``.
    multiple
        In pixels.
    """

    def run(*pictures: Tensor) -> Tensor:
        height, width = pictures[0].shape[-2:]
        larger = [pad_to_multiple(picture, multiple) for picture in pictures]
        return restore(*larger)[..., :height, :width]

    return run


def pad_to_multiple(picture: Tensor, multiple: int) -> Tensor:
    """Return (N, C, H, W) with H and W brought up to multiples; itself if they are already."""
    for side in (-2, -1):
        length = picture.shape[side]
        missing = -length % multiple
        if missing:
            amount = (0, missing, 0, 0) if side == -1 else (0, 0, 0, missing)
            picture = pad(picture, amount, "reflect" if missing < length else "replicate")
    return picture
