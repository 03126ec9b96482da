"""Bilateral guided upsampling: the colours of one picture, put on another by a grid of matrices.

A grid over rows, columns and brightness holds an affine colour matrix in each cell. It is fitted on
small copies of a picture and its reference, then applied at full size.

References
----------
J. Chen et al., "Bilateral Guided Upsampling", ACM TOG 35(6), 2016.
R. Li et al., "DualDn: Dual-domain Denoising via Differentiable ISP", ECCV 2024: to give a denoised
raw the colours of the camera's JPEG.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.sparse.linalg import lsqr, spsolve

from noisegen.errors import InputError

Floats = npt.NDArray[np.float64]

CELL = 16
"""Pixels of a small picture for each cell of the grid, in rows and in columns."""

DEPTH = 8
"""Cells along brightness."""

BENDING = 4e-7
"""Weight of second differences along brightness."""

ITERATIONS = 500
"""Of the published solver."""

BAND = 1 << 18
"""Pixels that are sliced at once."""


@dataclass(frozen=True)
class Grid:
    """Affine colour matrices over rows, columns and brightness.

    Attributes
    ----------
    cells
        (rows, columns, 8, 3, 4): what R, G, B and 1 are multiplied by.
    """

    cells: Floats

    def apply(
        self, picture: npt.NDArray[Any], guide: npt.NDArray[Any] | None = None
    ) -> npt.NDArray[np.float32]:
        """Return a picture in the colours of the reference.

        Parameters
        ----------
        picture
            (H, W, 3), of any size.
        guide
            (H, W, 3) picture whose brightness chooses the cells; none: the picture itself.
        """
        height, width = picture.shape[:2]
        out = np.empty((height, width, 3), np.float32)
        rows = max(1, BAND // width)
        for first in range(0, height, rows):
            band = slice(first, min(first + rows, height))
            part = picture[band].astype(np.float64)
            places = _places(
                brightness(part if guide is None else guide[band]),
                self.cells.shape[:3],
                (height, width),
                first,
            )
            flat = self.cells.reshape(-1, 12)
            matrices = np.zeros((part.shape[0] * width, 12))
            for corner, weight in _corners(places, self.cells.shape[:3], beyond=True):
                matrices += weight[:, None] * flat[corner]
            matrices = matrices.reshape(-1, 3, 4)
            values = part.reshape(-1, 3)
            made = np.einsum("nij,nj->ni", matrices[..., :3], values) + matrices[..., 3]
            out[band] = made.reshape(part.shape)
        return out


def fit(
    picture: npt.NDArray[Any],
    reference: npt.NDArray[Any],
    ratio: int = 8,
    *,
    published: bool = False,
) -> Grid:
    """Return the grid that turns a picture's colours into those of a reference.

    Parameters
    ----------
    picture, reference
        (H, W, 3) RGB of one size, 0 to 1.
    ratio
        Both are fitted at this part of their height and width.
    published
        As the code published with DualDn does it, whose smoothness terms lack entries that a port
        lost: coefficients are pulled to zero where a cell has no data, which leaves dark holes.

    Raises
    ------
    InputError
        If the pictures differ in size, or are too small.
    """
    height, width = picture.shape[:2]
    if picture.shape != reference.shape or picture.shape[2:] != (3,):
        raise InputError(
            f"colours are fitted to a picture of the same size, found {picture.shape} and "
            f"{reference.shape}"
        )
    size = (width // ratio, height // ratio)
    small, target = (
        cv2.resize(p.astype(np.float64), size, interpolation=cv2.INTER_LANCZOS4)
        if min(size) > 0
        else np.empty((0, 0, 3))
        for p in (picture, reference)
    )
    height, width = small.shape[:2]
    shape = (round(height / CELL), round(width / CELL), DEPTH)
    if min(shape) < 1:
        raise InputError(
            f"colours cannot be fitted on {width}x{height} pixels: {CELL}x{CELL} are needed after "
            f"division by {ratio}"
        )
    data = _rows(small, shape)
    smooth = sparse.kron(_smoothness(shape, (height, width), published), sparse.identity(4))
    matrix = sparse.vstack((data, smooth)).tocsr()
    wanted = np.zeros((matrix.shape[0], 3))
    wanted[: len(target) * width] = target.reshape(-1, 3)
    if published:
        every = sparse.block_diag((matrix,) * 3, format="csr")
        solved = lsqr(every, wanted.T.reshape(-1), iter_lim=ITERATIONS)[0].reshape(3, -1).T
    else:
        solved = spsolve((matrix.T @ matrix).tocsc(), matrix.T @ wanted)
    return Grid(solved.reshape(*shape, 4, 3).swapaxes(3, 4).copy())


def brightness(picture: npt.NDArray[Any]) -> Floats:
    """Return R/4 + G/2 + B/4."""
    weighted: Floats = picture.astype(np.float64) @ np.array([0.25, 0.5, 0.25])
    return weighted


def _places(
    guide: Floats, shape: tuple[int, ...], size: tuple[int, int], first: int = 0
) -> tuple[Floats, Floats, Floats]:
    """Return row, column and depth in the grid of each pixel of some rows of a picture."""
    rows = (np.arange(first, first + len(guide)) + 0.5) * (shape[0] - 1) / size[0]
    columns = (np.arange(size[1]) + 0.5) * (shape[1] - 1) / size[1]
    y, x = np.meshgrid(rows, columns, indexing="ij")
    return y.ravel(), x.ravel(), guide.ravel() * (shape[2] - 1)


def _corners(places: tuple[Floats, Floats, Floats], shape: tuple[int, ...], *, beyond: bool) -> Any:
    """Yield flat cells and weights of the eight cells around each place.

    ``beyond`` goes on linearly outside the grid; if not, cells outside have no weight.
    """
    axes = []
    for at, length in zip(places, shape, strict=True):
        low = np.floor(at).astype(np.int64)
        if beyond:
            low = np.clip(low, 0, max(0, length - 2))
        share = at - low if length > 1 else np.zeros_like(at)
        ends = []
        for cell, weight in ((low, 1 - share), (low + 1, share)):
            inside = (cell >= 0) & (cell < length)
            ends.append((np.clip(cell, 0, length - 1), np.where(inside, weight, 0.0)))
        axes.append(ends)
    for y, wy in axes[0]:
        for x, wx in axes[1]:
            for z, wz in axes[2]:
                yield (y * shape[1] + x) * shape[2] + z, wy * wx * wz


def _rows(picture: Floats, shape: tuple[int, ...]) -> Any:
    """Return the (pixels, cells x 4) matrix that makes one colour of a picture by a grid."""
    height, width = picture.shape[:2]
    pixels = height * width
    values = np.concatenate((picture.reshape(-1, 3), np.ones((pixels, 1))), 1)
    places = _places(brightness(picture), shape, (height, width))
    rows, columns, data = [], [], []
    for corner, weight in _corners(places, shape, beyond=False):
        rows.append(np.repeat(np.arange(pixels), 4))
        columns.append((corner[:, None] * 4 + np.arange(4)).ravel())
        data.append((weight[:, None] * values).ravel())
    parts = (np.concatenate(data), (np.concatenate(rows), np.concatenate(columns)))
    return sparse.coo_matrix(parts, (pixels, 4 * int(np.prod(shape)))).tocsr()


def _smoothness(shape: tuple[int, ...], size: tuple[int, int], published: bool) -> Any:
    """Return the (rows, cells) matrix whose products with a grid are to be zero."""
    gh, gw, gd = shape
    bx, by, bz = size[1] / gw, size[0] / gh, 1 / DEPTH

    def along(axis: int, matrix: Any) -> Any:
        whole = sparse.identity(1)
        for i, length in enumerate(shape):
            whole = sparse.kron(whole, matrix if i == axis else sparse.identity(length))
        return whole

    return sparse.vstack(
        (
            bx * bz / by * along(0, _slopes(gh, published)),
            by * bz / bx * along(1, _slopes(gw, published)),
            bx * by / bz**2 * BENDING * along(2, _bends(gd, published)),
        )
    )


def _slopes(length: int, published: bool) -> Any:
    """First differences; the published last one lacks its positive entry."""
    matrix = np.eye(length, k=1)[:-1] - np.eye(length)[:-1]
    if published and length > 1:
        matrix[-1, -1] = 0
    return sparse.csr_matrix(matrix)


def _bends(length: int, published: bool) -> Any:
    """Second differences, first ones at both ends; the published lack entries.

    There the ends are -G[0] and G[length - 2] alone, and rows between lose what lies at length - 2
    and above.
    """
    matrix = np.eye(length, k=1) - 2 * np.eye(length) + np.eye(length, k=-1)
    matrix[0, 0], matrix[-1, -1] = -1, -1
    if published:
        matrix[0, 1] = matrix[-1, -1] = 0
        matrix[1:-1, length - 2 :] = 0
    return sparse.csr_matrix(matrix)
