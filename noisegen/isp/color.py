"""Colour matrices and white balance of a camera, from what its files and tables say.

All matrices act on column vectors. ``xyz_to_cam`` is what DNG's ColorMatrix tags and LibRaw's
``rgb_xyz_matrix`` hold; ``cam_to_xyz`` is what the ISP multiplies by, scaled so that a
white-balanced neutral (1, 1, 1) stays (1, 1, 1). NumPy only.

References
----------
R. Li et al., "DualDn: Dual-domain Denoising via Differentiable ISP", ECCV 2024.
Adobe, "Digital Negative (DNG) Specification", 1.7, chapter 6 (ColorMatrix, AsShotNeutral).
"""

from typing import Literal

import numpy as np
import numpy.typing as npt

from noisegen.errors import InputError

Reference = Literal["D65", "D50"]
"""White point that the XYZ values of a camera matrix refer to."""

X65 = np.array(
    [
        [3.2404542, -1.5371385, -0.4985314],
        [-0.9692660, 1.8760108, 0.0415560],
        [0.0556434, -0.2040259, 1.0572252],
    ]
)
"""XYZ to linear sRGB for XYZ relative to D65 (B. Lindbloom)."""

X50 = np.array(
    [
        [3.1338561, -1.6168667, -0.4906146],
        [-0.9787684, 1.9161415, 0.0334540],
        [0.0719453, -0.2289914, 1.4052427],
    ]
)
"""XYZ to linear sRGB for XYZ relative to D50 (B. Lindbloom, Bradford-adapted)."""

for _constant in (X65, X50):
    _constant.setflags(write=False)

Matrix = npt.NDArray[np.float64]

SINGULAR = 1e-12
"""Determinant, relative to the cube of the largest entry, below which a matrix has no inverse."""


def row_normalise(matrix: npt.ArrayLike) -> Matrix:
    """Divide each row of a (..., 3, 3) matrix by its sum, so that it maps (1, 1, 1) to itself.

    Raises
    ------
    InputError
        If a row sums to zero.
    """
    array = np.asarray(matrix, np.float64)
    sums = array.sum(axis=-1, keepdims=True)
    if np.any(sums == 0):
        raise InputError("a colour matrix has a row that sums to zero; check the camera's matrix")
    return np.asarray(array / sums, np.float64)


def xyz_to_srgb(reference: Reference) -> Matrix:
    """Return the row-normalised XYZ to linear sRGB matrix for a white point."""
    return row_normalise({"D65": X65, "D50": X50}[reference])


def camera_to_xyz(xyz_to_cam: npt.ArrayLike) -> Matrix:
    """Invert an XYZ to camera matrix: ``inv(rn(C))``, rn being :func:`row_normalise`.

    Parameters
    ----------
    xyz_to_cam
        (3, 3) matrix of a three-colour camera, of any scale.

    Raises
    ------
    InputError
        If the matrix cannot be inverted.
    """
    return inverse(row_normalise(xyz_to_cam))


def camera_to_xyz_from_srgb(cam_to_srgb: npt.ArrayLike) -> Matrix:
    """Go back from a camera to linear sRGB matrix P: ``rn(inv(rn(X65)) P)``.

    The way for cameras that LibRaw has no XYZ matrix for: it takes P from the file's own tags.
    """
    return row_normalise(multiply(inverse(row_normalise(X65)), cam_to_srgb))


def multiply(first: npt.ArrayLike, second: npt.ArrayLike) -> Matrix:
    """Return the product of two (3, 3) matrices, the same bits on every processor.

    BLAS, behind NumPy's ``@``, fuses multiplications and additions where the processor can.
    """
    a, b = (np.asarray(matrix, np.float64).tolist() for matrix in (first, second))
    return np.array(
        [[sum(a[i][k] * b[k][j] for k in range(3)) for j in range(3)] for i in range(3)]
    )


def camera_matrix(xyz_to_cam: npt.ArrayLike, cam_to_srgb: npt.ArrayLike) -> Matrix:
    """Choose the camera to XYZ matrix as DualDn does from LibRaw's two matrices.

    Parameters
    ----------
    xyz_to_cam
        LibRaw's ``rgb_xyz_matrix``, (3, 3) or (4, 3) of which three rows are used. A zero anywhere
        in them means "camera unknown", as LibRaw fills the table with zeros then.
    cam_to_srgb
        LibRaw's ``color_matrix``, (3, 3) or (3, 4) of which three columns are used.
    """
    matrix = np.asarray(xyz_to_cam, np.float64)[:3, :3]
    if np.all(matrix != 0):
        return camera_to_xyz(matrix)
    return camera_to_xyz_from_srgb(np.asarray(cam_to_srgb, np.float64)[:3, :3])


def white_balance(as_shot: npt.ArrayLike, daylight: npt.ArrayLike) -> Matrix:
    """Choose the four white balance gains (R, G1, B, G2) as DualDn does from LibRaw's.

    Daylight gains stand in where the file has no as-shot ones (first gain 0); the second green is
    the first where it is missing (0).
    """
    gains = np.array(as_shot, np.float64)
    if gains[0] == 0:
        gains = np.array(daylight, np.float64)
    if gains[3] == 0:
        gains[3] = gains[1]
    return gains


def gains_from_neutral(neutral: npt.ArrayLike) -> Matrix:
    """Return the gains (R, G1, B, G2) that make DNG's AsShotNeutral (3 values) white."""
    gains = 1 / np.asarray(neutral, np.float64)
    return gains[[0, 1, 2, 1]]


def inverse(matrix: Matrix) -> Matrix:
    """Invert a (3, 3) matrix by its cofactors, for the reason of :func:`multiply`.

    Raises
    ------
    InputError
        If it has no inverse.
    """
    (a, b, c), (d, e, f), (g, h, i) = matrix.tolist()
    cofactors = np.array(
        [
            [e * i - f * h, c * h - b * i, b * f - c * e],
            [f * g - d * i, a * i - c * g, c * d - a * f],
            [d * h - e * g, b * g - a * h, a * e - b * d],
        ]
    )
    determinant = a * (e * i - f * h) + b * (f * g - d * i) + c * (d * h - e * g)
    scale = float(np.abs(matrix).max()) ** 3
    if not abs(determinant) > SINGULAR * scale:
        raise InputError("a colour matrix has no inverse; check the camera's colour matrix")
    return np.asarray(cofactors / determinant, np.float64)
