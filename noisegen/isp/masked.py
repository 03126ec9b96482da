"""Demosaicing by masks and convolutions: the equations as published, for any pattern of colours.

Slow and general. :mod:`noisegen.isp.packed` gets its kernels from these functions and does the
same work several times faster where the pattern is a Bayer tile; tests hold the two together.
All convolutions pad with zeros and all shifts are circular, as published.

References
----------
R. Li et al., "DualDn: Dual-domain Denoising via Differentiable ISP", ECCV 2024.
H. S. Malvar, L.-W. He, R. Cutler, "High-quality linear interpolation for demosaicing of
Bayer-patterned color images", ICASSP 2004.
K. Hirakawa, T. W. Parks, "Adaptive homogeneity-directed demosaicing algorithm", IEEE TIP 2005.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

from noisegen.isp.parameters import Demosaic

Kernel = Sequence[Sequence[float]]

RB: Kernel = [[0.25, 0.5, 0.25], [0.5, 1, 0.5], [0.25, 0.5, 0.25]]
GREEN: Kernel = [[0, 0.25, 0], [0.25, 1, 0.25], [0, 0.25, 0]]
ROW_GREEN: Kernel = [[-0.25, 0.5, 0.5, 0.5, -0.25]]

_TAP = math.exp(-1 / 4.5)
BLUR: Kernel = [[_TAP / (1 + 2 * _TAP), 1 / (1 + 2 * _TAP), _TAP / (1 + 2 * _TAP)]]
"""A Gaussian of standard deviation 1.5 cut to three taps."""

DIFFERENCES: tuple[Kernel, Kernel] = ([[1, 2, -3, 0, 0]], [[0, 0, -3, 2, 1]])
"""One-sided gradients along rows that AHD's direction is chosen by."""

COLUMN_DIFFERENCES: tuple[Kernel, Kernel] = (
    [[1], [2], [-3], [0], [0]],
    [[0], [0], [-3], [2], [1]],
)
"""The same along columns."""

MALVAR_GREEN: Kernel = [
    [0, 0, -1 / 8, 0, 0],
    [0, 0, 2 / 8, 0, 0],
    [-1 / 8, 2 / 8, 4 / 8, 2 / 8, -1 / 8],
    [0, 0, 2 / 8, 0, 0],
    [0, 0, -1 / 8, 0, 0],
]
MALVAR_SAME_ROW: Kernel = [
    [0, 0, 1 / 16, 0, 0],
    [0, -2 / 16, 0, -2 / 16, 0],
    [-2 / 16, 8 / 16, 10 / 16, 8 / 16, -2 / 16],
    [0, -2 / 16, 0, -2 / 16, 0],
    [0, 0, 1 / 16, 0, 0],
]
MALVAR_DIAGONAL: Kernel = [
    [0, 0, -3 / 16, 0, 0],
    [0, 4 / 16, 0, 4 / 16, 0],
    [-3 / 16, 0, 12 / 16, 0, -3 / 16],
    [0, 4 / 16, 0, 4 / 16, 0],
    [0, 0, -3 / 16, 0, 0],
]

Masks = tuple[Tensor, Tensor, Tensor]


def color_masks(cfa: Tensor, dtype: torch.dtype) -> Masks:
    """Return the masks of R, G (indices 1 and 3) and B of a (B, 1, H, W) colour index map."""
    return (cfa == 0).to(dtype), ((cfa == 1) | (cfa == 3)).to(dtype), (cfa == 2).to(dtype)


def demosaic(w: Tensor, cfa: Tensor, method: Demosaic, cam_to_xyz: Tensor) -> Tensor:
    """Demosaic white-balanced mosaics.

    Parameters
    ----------
    w
        (B, 1, H, W), white-balanced.
    cfa
        (B, 1, H, W) or (1, 1, H, W) colour indices: 0 R, 1 and 3 G, 2 B.
    method
        The demosaicer.
    cam_to_xyz
        (B, 3, 3), for AHD's direction alone.

    Returns
    -------
    Tensor
        (B, 3, H, W) camera RGB.
    """
    masks = color_masks(cfa, w.dtype)
    if method == "ahd":
        rough = bilinear(w, masks)
        row, column = ahd_directions(rough.detach(), cam_to_xyz.detach())
        red_green, blue_green = blurred_differences(rough)
        green = torch.where(row >= column, column_green(w, masks), row_green(w, masks))
        return torch.cat((red_green + green, green, blue_green + green), 1)
    return {"nearest": nearest, "bilinear": bilinear, "malvar": malvar}[method](w, masks)


def nearest(w: Tensor, masks: Masks) -> Tensor:
    """Repeat the sample to the left and above."""

    def spread(z: Tensor) -> Tensor:
        z = z + _right(z)
        return z + _down(z)

    red, green, blue = (w * m for m in masks)
    return torch.cat((spread(red), green + _right(green), spread(blue)), 1)


def bilinear(w: Tensor, masks: Masks) -> Tensor:
    """Interpolate each colour from its nearest samples."""
    red, green, blue = (w * m for m in masks)
    return torch.cat((convolve(red, RB), convolve(green, GREEN), convolve(blue, RB)), 1)


def malvar(w: Tensor, masks: Masks) -> Tensor:
    """Correct the bilinear estimate by the Laplacian of the colour that was measured."""
    mR, mG, mB = masks
    at_red_or_blue = convolve(w, MALVAR_GREEN)
    same_row = convolve(w, MALVAR_SAME_ROW)
    same_column = convolve(w, _transposed(MALVAR_SAME_ROW))
    diagonal = convolve(w, MALVAR_DIAGONAL)
    green = w * mG + at_red_or_blue * (mR + mB)
    red = w * mR + same_row * _right(mR) + same_column * _down(mR) + diagonal * mB
    blue = w * mB + same_row * _right(mB) + same_column * _down(mB) + diagonal * mR
    return torch.cat((red, green, blue), 1)


def row_green(w: Tensor, masks: Masks) -> Tensor:
    """AHD's green, interpolated along rows."""
    return w * masks[1] + convolve(w, ROW_GREEN) * (masks[0] + masks[2])


def column_green(w: Tensor, masks: Masks) -> Tensor:
    """AHD's green, interpolated along columns."""
    return w * masks[1] + convolve(w, _transposed(ROW_GREEN)) * (masks[0] + masks[2])


def blurred_differences(rgb: Tensor) -> tuple[Tensor, Tensor]:
    """AHD's colour differences R - G and B - G, blurred with a reflect-101 border."""
    differences = torch.cat((rgb[:, :1] - rgb[:, 1:2], rgb[:, 2:] - rgb[:, 1:2]), 0)
    padded = pad(differences, (1, 1, 1, 1), mode="reflect")
    blurred = conv2d(conv2d(padded, _weight(BLUR, rgb)), _weight(_transposed(BLUR), rgb))
    red_green, blue_green = blurred.chunk(2)
    return red_green, blue_green


def ahd_directions(rgb: Tensor, cam_to_xyz: Tensor) -> tuple[Tensor, Tensor]:
    """AHD's activity along rows and columns, (B, 1, H, W) each, in CIELAB units.

    The column candidate is taken where the activity along rows is not the smaller.
    """
    lab = cielab(rgb, cam_to_xyz)
    return _activity(lab, DIFFERENCES), _activity(lab, COLUMN_DIFFERENCES)


def cielab(rgb: Tensor, cam_to_xyz: Tensor) -> Tensor:
    """CIELAB (D65) of (B, 3, ...) camera RGB; L is -16 for black, as published."""
    white = torch.tensor([[0.95047], [1.0], [1.08883]], dtype=rgb.dtype, device=rgb.device)
    n = (cam_to_xyz / white) @ rgb.flatten(2)
    root = n.clamp(min=0.008856).pow_(1 / 3)
    fx, fy, fz = torch.where(n > 0.008856, root, 7.787 * n + 4 / 29).unbind(1)
    return torch.stack((116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)), 1).view_as(rgb)


def convolve(z: Tensor, kernel: Kernel) -> Tensor:
    """Cross-correlate one-channel pictures with a kernel, zero padded to the same size."""
    padding = (len(kernel) // 2, len(kernel[0]) // 2)
    return conv2d(z, _weight(kernel, z), padding=padding)


def _activity(lab: Tensor, kernels: Sequence[Kernel]) -> Tensor:
    total = torch.zeros_like(lab[:, :1])
    for kernel in kernels:
        lightness, a, b = (convolve(lab[:, i : i + 1], kernel) for i in range(3))
        total = total + lightness.abs() + torch.sqrt(a**2 + b**2)
    return total


def _weight(kernel: Kernel, like: Tensor) -> Tensor:
    return torch.tensor(kernel, dtype=like.dtype, device=like.device)[None, None]


def _transposed(kernel: Kernel) -> Kernel:
    return [list(column) for column in zip(*kernel, strict=True)]


def _right(z: Tensor) -> Tensor:
    return z.roll(1, dims=3)


def _down(z: Tensor) -> Tensor:
    return z.roll(1, dims=2)
