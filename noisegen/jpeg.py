"""JPEG as cameras write it: what a picture is after one, and how fine the one was that it was in.

References
----------
ITU-T T.81, "Digital compression and coding of continuous-tone still images", 1992: blocks (A.2) and
tables of steps (K.1). Qualities scale these as libjpeg does.
ITU-T T.871, "JPEG File Interchange Format", 2011, clause 7: colours.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

Subsampling = Literal["4:4:4", "4:2:2", "4:2:0"]
"""How a JPEG stores its colours: in full, at half the width, at half the width and height."""

SUBSAMPLINGS: tuple[Subsampling, ...] = get_args(Subsampling)

UNIT: dict[Subsampling, tuple[int, int]] = {
    "4:4:4": (8, 8),
    "4:2:2": (8, 16),
    "4:2:0": (16, 16),
}
"""Height and width of the blocks that a JPEG works on, all components together (T.81, A.2)."""

BLOCK = 8
"""Pixels of a component's block, down and across."""

LUMA = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
"""Steps of the coefficients of Y at quality 50 (T.81, table K.1)."""

CHROMA = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    *((99,) * BLOCK,) * 4,
)
"""Of Cb and Cr (table K.2)."""

YCBCR = np.array(
    [
        [0.299, 0.587, 0.114],
        [-0.299 / 1.772, -0.587 / 1.772, 0.5],
        [0.5, -0.587 / 1.402, -0.114 / 1.402],
    ]
)
"""R, G, B to Y, Cb, Cr (T.871, clause 7)."""

YCBCR.setflags(write=False)

QUALITIES = range(10, 99)
"""Those that :func:`quality_of` tells: steps of finer ones are lost in the rounding of pixels."""

CERTAIN = 0.2
"""How far coefficients must keep to the steps of a quality; chance comes to 0.06."""

COARSE, NEAR = 3, 0.45
"""Steps from which on noise that came after the JPEG shows, and how far off them coefficients may
be then (root mean square): the rounding of pixels makes 0.3 to 0.4."""

FEWEST = 8
"""Coefficients of a frequency, off zero, that its steps are seen in."""

HALVED = 0.97
"""Below this ratio colours were stored at half the height (width); chance comes to 0.99."""

Picture = npt.NDArray[np.uint8]


class Setting(NamedTuple):
    """Of a JPEG: its quality on libjpeg's scale from 1 to 100, and how it stores colours."""

    quality: int
    subsampling: Subsampling


def through_jpeg(picture: Picture, quality: int, subsampling: Subsampling) -> Picture:
    """Write a picture as JPEG and read it again (OpenCV: libjpeg-turbo).

    Parameters
    ----------
    picture
        (H, W, 3) **B, G, R**.
    quality
        On libjpeg's scale from 1 to 100.
    subsampling
        Of the colours.

    Returns
    -------
    numpy.ndarray
        Like it, blue first too.
    """
    import cv2

    factors: dict[Subsampling, int] = {
        "4:4:4": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
        "4:2:2": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422,
        "4:2:0": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
    }
    options = [cv2.IMWRITE_JPEG_QUALITY, quality]
    options += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, factors[subsampling]]
    _, code = cv2.imencode(".jpg", picture, options)
    return np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR), np.uint8)


def margins(unit: tuple[int, int]) -> tuple[int, int]:
    """Return how far beyond its own blocks, down and across, what is read of a block depends.

    Where colours are stored at half the resolution, reading interpolates them from one block into
    the next.
    """
    height, width = unit
    return height if height > BLOCK else 0, width if width > BLOCK else 0


def widened(
    corner: tuple[int, int], shape: tuple[int, int], size: tuple[int, int], unit: tuple[int, int]
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return corner and shape of the window of a picture that a window of its JPEG follows from.

    Parameters
    ----------
    corner, shape
        First row and column, height and width of what is wanted.
    size
        Height and width of the picture.
    unit
        Height and width of the JPEG's blocks, as in :data:`UNIT`.
    """
    spans = [
        (max(first // edge * edge - margin, 0), min(-(-(first + n) // edge) * edge + margin, all_))
        for first, n, edge, margin, all_ in zip(
            corner, shape, unit, margins(unit), size, strict=True
        )
    ]
    (top, bottom), (left, right) = spans
    return (top, left), (bottom - top, right - left)


def steps(table: tuple[tuple[int, ...], ...], quality: int) -> npt.NDArray[np.int64]:
    """Return the (8, 8) steps of a table at a quality, as libjpeg scales them."""
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    return np.clip((np.array(table, np.int64) * scale + 50) // 100, 1, 255)


def quality_of(pictures: Iterable[npt.NDArray[Any]]) -> int | None:
    """Return the quality of the JPEGs that pictures were in; None where they were in none.

    Coefficients of a picture that was in a JPEG, and was not moved since, are near multiples of its
    steps; nearer than where noise was added after the JPEG. Blocks with colours at black or white
    are left out, which are cut after that.

    Parameters
    ----------
    pictures
        (H, W, 3) uint8 R, G, B, of one camera and setting; at best those with much noise.

    Returns
    -------
    int or None
        The nearest of :data:`QUALITIES`: cameras have tables of their own.
    """
    parts = [_coefficients(picture) for picture in pictures]
    if not parts:
        return None
    found = np.concatenate(parts)
    kept = {quality: _kept(found, steps(LUMA, quality).ravel()) for quality in QUALITIES}
    best = max(kept, key=lambda quality: kept[quality])
    near = _off(found, steps(LUMA, best).ravel()) <= NEAR
    return best if kept[best] >= CERTAIN and near else None


def subsampling_of(pictures: Iterable[npt.NDArray[Any]]) -> Subsampling:
    """Return how the JPEGs that pictures were in stored colours.

    libjpeg enlarges a row c of colours to ``a = (3 c + c_before) / 4`` and ``b = (3 c + c_after) /
    4``, so that ``3 (b - a) = a_after - b_before``. Off by one pixel that is not so, least of all
    between two blocks, whose edges are left out. Decoders that repeat colours are not seen.

    Parameters
    ----------
    pictures
        As of :func:`quality_of`.
    """
    ratios = []
    for picture in pictures:
        colours = _planes(picture)[1:]
        ratios.append([_doubled(colours.swapaxes(1, 2)), _doubled(colours)])
    down, across = np.exp(np.mean(np.log(ratios), axis=0)).tolist()
    return "4:2:0" if down < HALVED else "4:2:2" if across < HALVED else "4:4:4"


def _planes(picture: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return (3, H, W) Y, Cb, Cr; 0 is grey."""
    planes = np.einsum("ij,hwj->ihw", YCBCR, picture.astype(np.float64))
    planes[0] -= 128
    return np.asarray(planes)


def _coefficients(picture: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return (blocks, 64) coefficients of Y, of blocks that are not cut."""
    from scipy.fft import dctn

    height, width = (length // BLOCK * BLOCK for length in picture.shape[:2])
    cut = picture[:height, :width]
    grid = (height // BLOCK, BLOCK, width // BLOCK, BLOCK)
    kept = np.asarray(((cut > 3) & (cut < 252)).all(-1))
    whole = np.asarray(kept.reshape(grid).all(axis=(1, 3)))
    blocks = _planes(cut)[0].reshape(grid).swapaxes(1, 2)[whole]
    return np.asarray(dctn(blocks, axes=(1, 2), norm="ortho")).reshape(-1, BLOCK**2)


def _kept(coefficients: npt.NDArray[np.float64], own: npt.NDArray[np.int64]) -> float:
    """Return how near coefficients off zero are to multiples of steps: 1 at them, 0 anywhere."""
    found = [np.cos(2 * np.pi / step * off).mean() for off, step in _off_zero(coefficients, own, 2)]
    return float(np.mean(found)) if found else 0.0


def _off(coefficients: npt.NDArray[np.float64], own: npt.NDArray[np.int64]) -> float:
    """Return the distance of coefficients off zero from multiples of coarse steps, 0 of finer ones.

    Root mean square of a frequency, and of these the one that a tenth is below: of a camera's own
    tables some steps alone are libjpeg's.
    """
    found = [
        np.sqrt(np.mean((off - step * np.rint(off / step)) ** 2))
        for off, step in _off_zero(coefficients, own, COARSE)
    ]
    return float(np.quantile(found, 0.1)) if found else 0.0


def _off_zero(
    coefficients: npt.NDArray[np.float64], own: npt.NDArray[np.int64], least: int
) -> Iterator[tuple[npt.NDArray[np.float64], int]]:
    """Yield the coefficients off zero of each frequency whose step is not too small, and it."""
    for values, step in zip(coefficients.T, own.tolist(), strict=True):
        off = values[np.abs(values) > step / 2]
        if step >= least and len(off) >= FEWEST:
            yield off, step


def _doubled(planes: npt.NDArray[np.float64]) -> float:
    """Return how far (N, H, W) planes are from doubled ones, over the same off by one pixel."""
    a, b = planes[..., 1:-2], planes[..., 2:-1]
    off = (3 * (b - a) - (planes[..., 3:] - planes[..., :-3])) ** 2
    at = np.arange(off.shape[-1])
    within = (at % 2 == 0) & (at % BLOCK != BLOCK - 2)
    own, shifted = off[..., 1::2].mean(), off[..., within].mean()
    return float(own / shifted) if own and shifted else 1.0
