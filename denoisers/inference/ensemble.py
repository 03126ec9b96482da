"""Geometric self-ensemble ("x8"): the mean over the eight turns and mirrors of a picture.

References
----------
B. Lim et al., "Enhanced Deep Residual Networks for Single Image Super-Resolution", CVPRW 2017.
"""

import torch
from torch import Tensor

from denoisers.inference.padding import Restore

VIEWS = ((0, False), (1, True), (0, True), (3, False), (2, True), (1, False), (2, False), (3, True))
"""Quarter turns counter-clockwise, and whether the result is then mirrored upside down.

In the order of the published code, which the order of the sum follows.
"""


def self_ensemble(restore: Restore) -> Restore:
    """Return ``restore`` averaged over the eight views of the picture, each turned back."""

    def run(*pictures: Tensor) -> Tensor:
        results = [
            _back(restore(*(_view(picture, *view) for picture in pictures)), *view)
            for view in VIEWS
        ]
        return torch.stack(results).mean(0)

    return run


def _view(picture: Tensor, turns: int, mirrored: bool) -> Tensor:
    turned = picture.rot90(turns, (-2, -1))
    return turned.flip(-2) if mirrored else turned


def _back(picture: Tensor, turns: int, mirrored: bool) -> Tensor:
    unmirrored = picture.flip(-2) if mirrored else picture
    return unmirrored.rot90(-turns, (-2, -1))
