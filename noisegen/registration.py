"""A noisy picture and its clean one laid on each other: their global shift, in parts of a pixel.

The shift is that of least squares between both pictures, blurred, with Huber's weights
(B. D. Lucas and T. Kanade, IJCAI 1981). What else may differ smoothly, brightness and sharpness, is
fitted with it. Gradients are those of the clean picture, so that noise does not pull the shift
towards 0. Whole pixels are found first, by the phase of the spectra (C. D. Kuglin and D. C. Hines,
1975).
"""

from itertools import pairwise
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
from scipy import ndimage

from noisegen.errors import InputError

LARGEST = 4.0
"""Shifts above that are refused, in pixels: such halves are no pair."""

MARGIN = 8
"""What a moved picture loses at each side, in pixels: its shift, and where the border is felt."""

LEAST = 32
"""Least height and width of pictures that are laid on each other, in pixels."""

_BLUR = 1.0  # standard deviation in pixels: noise has more of the fine detail
_BLOCKS = 4  # along an axis, of which each is left out once for the standard error
_STEPS, _SETTLED = 20, 1e-3
_HUBER = 1.345  # 95 % of the efficiency of least squares where the noise is normal
_SPLINE = 5

Picture = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
Floats = npt.NDArray[np.float64]


class Shift(NamedTuple):
    """How far the content of one picture lies from that of another.

    Attributes
    ----------
    down, right
        In pixels.
    error
        Standard error of the larger of both, in pixels: their scatter as blocks of the picture are
        left out.
    """

    down: float
    right: float
    error: float

    @property
    def length(self) -> float:
        """In pixels."""
        return float(np.hypot(self.down, self.right))


def find_shift(clean: Picture, noisy: Picture) -> Shift:
    """Return by how much the noisy picture's content lies below and right of the clean one's.

    Parameters
    ----------
    clean, noisy
        (H, W, C), both of one size and type, 32 pixels or more in height and width.

    Returns
    -------
    Shift
        0 where the clean picture shows nothing whose shift could be seen.

    Raises
    ------
    InputError
        If the pictures are too small, or further apart than 4 pixels.
    """
    if min(clean.shape[:2]) < LEAST:
        raise InputError(
            f"{clean.shape[1]}x{clean.shape[0]} pixels are too few to find a shift, "
            f"{LEAST}x{LEAST} or more are needed"
        )
    still, seen = (_grey(picture) for picture in (clean, noisy))
    # Where noise hides the peak of the phases, whole pixels are wrong: only if they bring nearer.
    shift = min(np.zeros(2), _whole_pixels(still, seen), key=lambda s: _distance(still, seen, s))
    for _ in range(_STEPS):
        sums = _normal_sums(_moved(still, shift), seen)
        step = _solved(sums.sum(0))
        shift = shift + step
        if np.abs(shift).max() > LARGEST:
            raise InputError(
                f"the halves lie {np.abs(shift).max():.1f} pixels apart or more, {LARGEST:g} at "
                "most are made good"
            )
        if np.abs(step).max() < _SETTLED:
            break
    # Jackknife: what is left out moves the solution by about one step.
    without = np.array([_solved(sums.sum(0) - block) for block in sums])
    spread = (len(without) - 1) * without.var(0)
    down, right = shift.tolist()
    return Shift(down, right, float(np.sqrt(spread.max())))


def moved(picture: Picture, shift: Shift) -> Picture:
    """Return a picture whose content is moved, by a spline of degree 5, without its margin.

    Parameters
    ----------
    picture
        (H, W, C).
    shift
        Down and right, in pixels.

    Returns
    -------
    (H - 16, W - 16, C)
        Of the same type, rounded.
    """
    white = np.iinfo(picture.dtype).max
    found = _moved(picture.astype(np.float64), np.array([shift.down, shift.right]))
    whole: Picture = np.rint(within(found).clip(0, white)).astype(picture.dtype)
    return whole


def within(picture: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return a picture without the margin that a moved one loses."""
    return np.ascontiguousarray(picture[MARGIN:-MARGIN, MARGIN:-MARGIN])


def _grey(picture: Picture) -> Floats:
    values = picture.mean(-1) / np.iinfo(picture.dtype).max
    return np.asarray(cv2.GaussianBlur(values, (0, 0), _BLUR))


def _moved(picture: Floats, shift: Floats) -> Floats:
    apart = (*shift.tolist(), *(0,) * (picture.ndim - 2))
    found: Floats = ndimage.shift(picture, apart, order=_SPLINE, mode="mirror")
    return found


def _whole_pixels(clean: Floats, noisy: Floats) -> Floats:
    window = cv2.createHanningWindow(clean.shape[1::-1], cv2.CV_64F)
    (right, down), _ = cv2.phaseCorrelate(clean - clean.mean(), noisy - noisy.mean(), window)
    return np.round([down, right])


def _distance(clean: Floats, noisy: Floats, shift: Floats) -> float:
    return float(within(_moved(clean, shift) - noisy).var())


def _normal_sums(clean: Floats, noisy: Floats) -> Floats:
    """Return the sums of the normal equations in each block.

    Parameters
    ----------
    clean
        Moved already by what is known.
    noisy
        Of the same size.

    Returns
    -------
    (blocks, 4, 5)
        Unknowns: steps of the shift, sharpness, brightness. The last column is the right side.
    """
    inner = (slice(MARGIN, -MARGIN),) * 2
    down, right = np.gradient(clean)
    regressors = [-down, -right, ndimage.laplace(clean), np.ones_like(clean), noisy - clean]
    columns = np.stack([regressor[inner] for regressor in regressors], -1)
    left = columns[..., -1] - np.median(columns[..., -1])
    scale = 1.4826 * np.median(np.abs(left)) + 1e-9
    weights = np.minimum(1, _HUBER * scale / np.maximum(np.abs(left), 1e-12))
    blocks = [
        (weights[y, x].reshape(-1, 1), columns[y, x].reshape(-1, 5))
        for y in _cuts(columns.shape[0])
        for x in _cuts(columns.shape[1])
    ]
    return np.array([(w * c[:, :4]).T @ c for w, c in blocks])


def _cuts(length: int) -> list[slice]:
    ends = np.linspace(0, length, _BLOCKS + 1).astype(int).tolist()
    return [slice(a, b) for a, b in pairwise(ends)]


def _solved(sums: Floats) -> Floats:
    """Return the shift of normal equations; 0 in a direction that nothing tells."""
    found: Floats = np.linalg.lstsq(sums[:, :4], sums[:, 4], rcond=1e-12)[0].astype(np.float64)
    return found[:2]
