"""Turning, flipping and cutting mosaics as the published training and test protocols do.

References
----------
R. Li et al., "DualDn: Dual-domain Denoising via Differentiable ISP", ECCV 2024.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from noisegen.cfa import Phase, colors
from noisegen.errors import InputError

Array = npt.NDArray[Any]

_QUARTER_TURNS = {0: 0, 3: 2, 5: 1, 6: 3}


class Window(NamedTuple):
    """A cut [top, top + height) x [left, left + width) of a frame."""

    top: int
    left: int
    height: int
    width: int


def augment(picture: Array, mode: int) -> Array:
    """Turn by ``mode // 2`` quarters counter-clockwise, then flip up-down if ``mode`` is odd.

    Parameters
    ----------
    picture
        (H, W, ...); a mosaic's colour map is augmented alike.
    mode
        0 to 7; 0 changes nothing.
    """
    if not 0 <= mode <= 7:
        raise InputError(f"augmentation {mode} is outside 0 … 7")
    turned = np.rot90(picture, mode // 2)
    return np.flipud(turned) if mode % 2 else turned


def upright(picture: Array, flip: int) -> Array:
    """Turn an (H, W, ...) picture upright by LibRaw's flip code.

    Parameters
    ----------
    picture
        The picture as the sensor delivers it.
    flip
        0 nothing, 3 by 180 degrees, 5 by 90 counter-clockwise, 6 by 90 clockwise.
    """
    if flip not in _QUARTER_TURNS:
        raise InputError(f"flip code {flip} is unknown; LibRaw's are 0, 3, 5 and 6")
    return np.rot90(picture, _QUARTER_TURNS[flip])


def published_upright(picture: Array, flip: int) -> Array:
    """Do as :func:`upright`, with DualDn's mistake: code 5 gives a mirror image."""
    return upright(np.flipud(picture) if flip == 5 else picture, flip)


def first_red(phase: Phase, top: int = 0, left: int = 0) -> tuple[int, int]:
    """Return row and column of the first red pixel at or after (top, left)."""
    (dy,), (dx,) = np.nonzero(colors(phase) == 0)
    return top + (int(dy) - top) % 2, left + (int(dx) - left) % 2


def tiled_window(phase: Phase, size: tuple[int, int], patch: int, border: int) -> Window:
    """Return the largest window that starts at red and holds whole patches plus one border.

    Parameters
    ----------
    phase
        CFA phase of the frame.
    size
        (H, W) of the frame. One too small for a patch gives a window of the border alone.
    patch, border
        Edge of a patch and the pixels shared by neighbours (512 and 16 in DualDn's test).

    Raises
    ------
    InputError
        If the frame does not even hold the border.
    """
    top, left = first_red(phase)
    height, width = size[0] - border - top, size[1] - border - left
    if min(height, width) < 0:
        raise InputError(f"frame of {size[0]}x{size[1]} does not hold a border of {border}")
    return Window(top, left, height // patch * patch + border, width // patch * patch + border)


def central_window(phase: Phase, size: tuple[int, int], patch: int, border: int) -> Window:
    """Return one patch with its border, at the first red at or after the centred place.

    Raises
    ------
    InputError
        If the window does not fit into the frame.
    """
    edge = patch + border
    top, left = first_red(phase, (size[0] - edge) // 2, (size[1] - edge) // 2)
    if min(top, left) < 0 or top + edge > size[0] or left + edge > size[1]:
        raise InputError(
            f"frame of {size[0]}x{size[1]} does not hold a patch of {patch} with a border of "
            f"{border} that starts at red"
        )
    return Window(top, left, edge, edge)
