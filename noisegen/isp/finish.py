"""What a camera does after its tone curve: noise reduction, sharpening, resizing, JPEG.

:func:`finish` takes the 16-bit picture that :func:`noisegen.isp.bulk.render` makes, or the part of
it that :func:`needed` names, and obeys one law: a window of a frame's finished picture is, to the
bit, the window of the whole finished frame. Filters reach a fixed number of pixels and see the
frame continued by reflection; output pixels of the resizing have absolute places; and JPEG works on
the frame's own grid of blocks, so a part is widened to it.

Stages, in their order, each of which may be off:

luma noise reduction
    A small bilateral filter on Y of JPEG's YCbCr: grain is softened, not removed.
chroma noise reduction
    A guided filter on Cb and Cr, with a wider window.
sharpening
    An unsharp mask on Y, added to all three colours.
resizing
    By a cubic kernel that is stretched to the step of the output.
JPEG
    Written and read by OpenCV (:mod:`noisegen.jpeg`).

References
----------
C. Tomasi, R. Manduchi, "Bilateral filtering for gray and color images", ICCV 1998.
K. He, J. Sun, X. Tang, "Guided image filtering", TPAMI 35(6), 2013.
"""

import math
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from noisegen import jpeg
from noisegen.errors import InputError
from noisegen.isp.geometry import Window
from noisegen.isp.parameters import FinishParameters
from noisegen.kernels import finish as kernel

BAND = 1 << 16
"""Pixels that are filtered at a time: their planes stay in cache."""


def finished_size(frame: tuple[int, int], resize: float) -> tuple[int, int]:
    """Return (height, width) of the finished picture of a frame of (height, width) pixels."""
    return max(int(frame[0] / resize), 1), max(int(frame[1] / resize), 1)


def needed(
    parameters: FinishParameters, frame: tuple[int, int], window: Window | None = None
) -> Window:
    """Return the part of a frame that a window of its finished picture is made of.

    Parameters
    ----------
    parameters
        What is done.
    frame
        (height, width) of the frame.
    window
        Window of the finished picture, in its own pixels; the whole picture by default.

    Raises
    ------
    InputError
        If the window is empty or leaves the finished picture.
    """
    size = finished_size(frame, parameters.resize)
    blocks = _whole_blocks(parameters, size, _checked(window, size))
    rows = _taps(blocks.top, blocks.height, parameters, frame[0])
    columns = _taps(blocks.left, blocks.width, parameters, frame[1])
    return Window(rows[0], columns[0], rows[1] - rows[0], columns[1] - columns[0])


def surroundings(parameters: FinishParameters) -> int:
    """Return how far :func:`needed` looks at most beyond the input pixels that a window covers.

    A window's pixels ``first`` to ``last`` along an axis cover the input from
    ``first * resize`` to ``(last + 1) * resize``.
    """
    block = parameters.block
    margins = [edge - 1 + margin for edge, margin in zip(block, jpeg.margins(block), strict=True)]
    return math.ceil(parameters.resize * (max(margins) + _cubic_reach(parameters))) + (
        parameters.filter_reach
    )


def finish(
    picture: npt.NDArray[np.uint16],
    parameters: FinishParameters,
    *,
    bits: Literal[8, 16] = 8,
    frame: tuple[int, int] | None = None,
    corner: tuple[int, int] = (0, 0),
    window: Window | None = None,
) -> npt.NDArray[Any]:
    """Finish a picture, or a window of one.

    Parameters
    ----------
    picture
        (h, w, 3) uint16 sRGB, 65535 is white: the frame, or a part of it.
    parameters
        What is done.
    bits
        8 or 16: the code of white is 255 or 65535. A JPEG has 8.
    frame
        (height, width) of the whole frame; the picture's own by default.
    corner
        (row, column) of the picture's first pixel in the frame.
    window
        What is wanted, in pixels of the finished picture; all of it by default.

    Returns
    -------
    ndarray
        (height, width, 3) uint8 or uint16, sRGB.

    Raises
    ------
    InputError
        If the picture does not hold what the window needs, the window leaves the finished picture,
        or a JPEG is wanted in 16 bits.
    """
    if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint16:
        raise InputError(f"a picture is (H, W, 3) uint16, not {picture.shape} {picture.dtype}")
    if bits not in (8, 16):
        raise InputError(f"pictures have 8 or 16 bits, not {bits}")
    if bits == 16 and parameters.quality is not None:
        raise InputError("finish: a JPEG has 8 bits; ask for 8, or switch it off")
    whole = frame or (picture.shape[0], picture.shape[1])
    size = finished_size(whole, parameters.resize)
    wanted = _checked(window, size)
    _check_holds(picture, corner, needed(parameters, whole, wanted))
    blocks = _whole_blocks(parameters, size, wanted)
    quality = parameters.quality
    is_jpeg = quality is not None
    out = np.empty((blocks.height, blocks.width, 3), np.uint8 if bits == 8 else np.uint16)
    # numba compiles anew for read-only arrays, so those are copied.
    picture = np.require(picture, requirements=("C", "A", "W"))
    band = max(BAND // blocks.width, 16)
    for top in range(0, blocks.height, band):
        rows = out[top : top + band]
        part = Window(blocks.top + top, blocks.left, len(rows), blocks.width)
        kernel.store(
            _filtered(picture, corner, whole, parameters, part), 2**bits - 1, is_jpeg, rows
        )
    if quality is not None:
        out = jpeg.through_jpeg(out, quality, parameters.subsampling)
    top, left = wanted.top - blocks.top, wanted.left - blocks.left
    return np.ascontiguousarray(
        out[top : top + wanted.height, left : left + wanted.width, :: -1 if is_jpeg else 1]
    )


def _filtered(
    picture: npt.NDArray[np.uint16],
    corner: tuple[int, int],
    frame: tuple[int, int],
    p: FinishParameters,
    part: Window,
) -> npt.NDArray[np.float32]:
    """Return the (3, height, width) YCbCr of a part of the picture that goes into the JPEG."""
    (top, bottom), (left, right) = (
        _span(part.top, part.height, p),
        _span(part.left, part.width, p),
    )
    reach = p.filter_reach
    shape = (bottom - top, right - left)
    planes = np.empty((3, shape[0] + 2 * reach, shape[1] + 2 * reach), np.float32)
    kernel.load(picture, corner, frame, (top - reach, left - reach), planes)
    luma = planes[0]
    if p.luma > 0:
        luma = _shrunk(luma, p.luma_radius)
        sigma = _strength(planes[0], luma.shape, p.luma, p.noise)
        kernel.bilateral(planes[0], p.luma_radius, sigma, luma)
    if p.sharpen > 0:
        blurred, luma = luma, _shrunk(luma, p.sharpen_reach)
        kernel.unsharp(blurred, _gaussian(p.sharpen_radius), np.float32(p.sharpen), luma)
    if reach == 0 and p.resize == 1:
        return planes
    filtered = np.empty((3, *shape), np.float32)
    filtered[0] = _centre(luma, shape)
    if p.chroma > 0:
        windows = (shape[0] + 2 * p.chroma_radius, shape[1] + 2 * p.chroma_radius)
        around = (shape[0] + 2 * p.chroma_reach, shape[1] + 2 * p.chroma_reach)
        sigma = _strength(planes[0], windows, p.chroma, p.noise)
    for i in (1, 2):
        if p.chroma > 0:
            kernel.guided(_centre(planes[i], around), p.chroma_radius, sigma, filtered[i])
        else:
            filtered[i] = _centre(planes[i], shape)
    return filtered if p.resize == 1 else _resized(filtered, (top, left), p.resize, part)


def _strength(
    luma: npt.NDArray[np.float32], shape: tuple[int, int], sigma: float, noise: tuple[float, ...]
) -> npt.NDArray[np.float32]:
    """Return the strength of a filter at the pixels of the middle of a plane."""
    out = np.empty(shape, np.float32)
    nodes = np.array(noise or (1.0, 1.0), np.float32)
    kernel.strength(_centre(luma, shape), nodes, np.float32(sigma), out)
    return out


def _resized(
    planes: npt.NDArray[np.float32], first: tuple[int, int], step: float, part: Window
) -> npt.NDArray[np.float32]:
    rows, columns = (
        _resampling(start, count, step)
        for start, count in ((part.top, part.height), (part.left, part.width))
    )
    out = np.empty((3, part.height, part.width), np.float32)
    for i in range(3):
        kernel.resample(planes[i], first, *rows, *columns, out[i])
    return out


def _checked(window: Window | None, size: tuple[int, int]) -> Window:
    if window is None:
        return Window(0, 0, *size)
    top, left, height, width = window
    if height < 1 or width < 1:
        raise InputError(f"a window of {height} x {width} pixels is empty")
    if top < 0 or left < 0 or top + height > size[0] or left + width > size[1]:
        raise InputError(
            f"window {tuple(window)} leaves the finished picture of {size[0]} x {size[1]} pixels"
        )
    return window


def _check_holds(picture: npt.NDArray[Any], corner: tuple[int, int], part: Window) -> None:
    top, left = part.top - corner[0], part.left - corner[1]
    height, width = picture.shape[:2]
    if min(top, left) < 0 or top + part.height > height or left + part.width > width:
        raise InputError(
            f"a picture of {height} x {width} pixels at {corner} does not hold {tuple(part)}, "
            "which the window needs (see noisegen.isp.finish.needed)"
        )


def _whole_blocks(p: FinishParameters, size: tuple[int, int], window: Window) -> Window:
    """Widen a window of the finished picture to what its JPEG blocks depend on."""
    corner, shape = jpeg.widened(window[:2], window[2:], size, p.block)
    return Window(*corner, *shape)


def _span(first: int, count: int, p: FinishParameters) -> tuple[int, int]:
    """Return the rows or columns that some rows or columns of the resized picture are made of."""
    if p.resize == 1:
        return first, first + count
    reach = kernel.CUBIC_REACH * p.resize
    low = math.ceil((first + 0.5) * p.resize - 0.5 - reach)
    high = math.floor((first + count - 0.5) * p.resize - 0.5 + reach)
    return low, high + 1


def _cubic_reach(p: FinishParameters) -> int:
    return kernel.CUBIC_REACH if p.resize > 1 else 0


def _taps(first: int, count: int, p: FinishParameters, length: int) -> tuple[int, int]:
    """Return first and end of the input that is read; reflected pixels are inside it."""
    low, high = _span(first, count, p)
    return max(low - p.filter_reach, 0), min(high + p.filter_reach, length)


def _shrunk(plane: npt.NDArray[np.float32], reach: int) -> npt.NDArray[np.float32]:
    return np.empty((plane.shape[0] - 2 * reach, plane.shape[1] - 2 * reach), np.float32)


def _centre(plane: npt.NDArray[np.float32], shape: tuple[int, int]) -> npt.NDArray[np.float32]:
    top, left = (plane.shape[0] - shape[0]) // 2, (plane.shape[1] - shape[1]) // 2
    return plane[top : top + shape[0], left : left + shape[1]]


@lru_cache(maxsize=256)
def _gaussian(std: float) -> npt.NDArray[np.float32]:
    reach = math.ceil(3 * std)
    weights = [math.exp(-0.5 * (k / std) ** 2) for k in range(-reach, reach + 1)]
    return (np.array(weights) / math.fsum(weights)).astype(np.float32)


@lru_cache(maxsize=256)
def _resampling(
    first: int, count: int, step: float
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    start = np.empty(count, np.int64)
    weights = np.empty((count, math.ceil(2 * kernel.CUBIC_REACH * step) + 1), np.float32)
    kernel.resampling(first, count, step, start, weights)
    return start, weights
