"""A JPEG that gradients go through: what a camera's file does to made noise as it did to the real.

The steps of libjpeg's baseline coder: Y, Cb, Cr in whole codes, colours at less resolution, cosine
transform of 8x8 pixels, coefficients rounded to multiples of the tables of Annex K scaled to a
quality, and all of it back (ITU-T T.81 and T.871, as :mod:`noisegen.jpeg`). The derivative of every
rounding is taken for 1. Values are those of libjpeg but where its whole numbers round a coefficient
the other way.
"""

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

from noisegen.jpeg import BLOCK, CHROMA, LUMA, UNIT, YCBCR, Subsampling, steps

_TO_RGB = (
    (1.0, 0.0, 1.402),
    (1.0, -0.114 * 1.772 / 0.587, -0.299 * 1.402 / 0.587),
    (1.0, 1.772, 0.0),
)
"""Y, Cb, Cr to R, G, B."""


def through_jpeg(picture: Tensor, quality: int, subsampling: Subsampling) -> Tensor:
    """Return pictures as they come out of a JPEG.

    Parameters
    ----------
    picture
        (N, 3, H, W) R, G, B from 0 to 1; both sizes are multiples of those of
        :data:`noisegen.jpeg.UNIT`.
    quality
        On libjpeg's scale from 1 to 100.
    subsampling
        Of the colours.

    Returns
    -------
    Tensor
        Like the picture, whole codes over 255.
    """
    down, across = (edge // BLOCK for edge in UNIT[subsampling])
    codes = _rounded(255 * picture)
    luma, *colours = _rounded(_mixed(codes, codes.new_tensor(YCBCR))).chunk(3, 1)
    planes = [128 + _coded(luma - 128, _steps(LUMA, quality, picture.device))]
    for colour in colours:
        own = _coded(_shrunk(colour, down, across), _steps(CHROMA, quality, picture.device))
        planes.append(_enlarged(own, down, across))
    out: Tensor = (
        _rounded(_mixed(torch.cat(planes, 1), codes.new_tensor(_TO_RGB))).clamp(0, 255) / 255
    )
    return out


def _coded(plane: Tensor, own: Tensor) -> Tensor:
    """Return (N, 1, H, W) codes, 0 for grey, after their coefficients were rounded to steps."""
    count, _, height, width = plane.shape
    basis = _basis(plane.device)
    grid = (count, height // BLOCK, BLOCK, width // BLOCK, BLOCK)
    coefficients = basis @ plane.reshape(grid).transpose(2, 3) @ basis.T
    kept = _rounded(coefficients / own) * own
    out = (basis.T @ kept @ basis).transpose(2, 3).reshape(plane.shape)
    return _rounded(out).clamp(-128, 127)


def _shrunk(plane: Tensor, down: int, across: int) -> Tensor:
    """Return means of 1, 2 or 4 codes as whole codes; of two columns one rounds halves up."""
    if across == 1:
        return plane
    means = functional.avg_pool2d(plane, (down, across))
    up = torch.arange(means.shape[-1], device=plane.device) % 2
    return _straight(means, (means + (up + down - 1) / (down * across)).floor())


def _enlarged(plane: Tensor, down: int, across: int) -> Tensor:
    """Return a plane at full size: three quarters of the nearest code, one of the next.

    Of two columns, libjpeg adds less before it cuts the fraction off at the first, or at the last.
    """
    if across == 1:
        return plane
    if down == 2:
        plane = _doubled(plane.transpose(2, 3)).transpose(2, 3)
    wide = _doubled(plane)
    added = plane.new_tensor((8.0, 7.0) if down == 2 else (4.0, 8.0)) / 16
    return _straight(wide, (wide + added.repeat(plane.shape[-1])).floor())


def _doubled(plane: Tensor) -> Tensor:
    before = torch.cat([plane[..., :1], plane[..., :-1]], -1)
    after = torch.cat([plane[..., 1:], plane[..., -1:]], -1)
    return torch.stack([3 * plane + before, 3 * plane + after], -1).flatten(-2) / 4


def _mixed(planes: Tensor, matrix: Tensor) -> Tensor:
    return torch.einsum("ij,njhw->nihw", matrix, planes)


def _rounded(values: Tensor) -> Tensor:
    return _straight(values, values.round())


def _straight(values: Tensor, whole: Tensor) -> Tensor:
    """Return `whole` with the derivative of `values`."""
    return values + (whole - values).detach()


@lru_cache(maxsize=256)
def _steps(table: tuple[tuple[int, ...], ...], quality: int, device: torch.device) -> Tensor:
    # kept ones of inference mode, as validation is in, would be of no use to a training
    with torch.inference_mode(False):
        return torch.from_numpy(steps(table, quality)).to(device, torch.float32)


@lru_cache(maxsize=8)
def _basis(device: torch.device) -> Tensor:
    """Return the orthonormal cosine transform, (frequency, place)."""
    with torch.inference_mode(False):
        at = torch.arange(BLOCK, dtype=torch.float64)
        basis = torch.cos((2 * at + 1) * at[:, None] * torch.pi / (2 * BLOCK)) / 2
        basis[0] /= 2**0.5
        return basis.to(device, torch.float32)
