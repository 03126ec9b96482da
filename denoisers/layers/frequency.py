"""RFFNet's feed-forward network, in which every 8x8 patch is filtered in the Fourier domain.

A patch's transform is 64 sums over its pixels: a product with one real matrix for all patches and
channels, as the table that the spectrum is multiplied by is real. The transform works on pixels and
the 1x1 convolution before it on channels, so that it may come first, on an eighth of the channels;
what is left is three large matrix products. Without gradients the wide tensors are never whole:
rows of patches go through all steps while they lie in cache.

References
----------
Q. Wang et al., "RFFNet", ACM Multimedia 2024, whose feed-forward network is that of L. Kong et al.,
"Efficient Frequency Domain-based Transformers for High-Quality Image Deblurring", CVPR 2023.
"""

from functools import cache

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import conv2d, gelu

from denoisers.layers.blocks import budget
from denoisers.layers.precision import exact_dtype, without_autocast, working_dtype

PATCH = 8
"""Side of a patch in pixels."""

HALF = PATCH // 2 + 1
"""Columns of a real transform."""

CACHED = 1 << 20
"""Values of the widest tensor that rows of patches are taken together for (measured on a CPU)."""


def frequency_ffn(
    x: Tensor, project_in: Tensor, table: Tensor, dwconv: Tensor, project_out: Tensor
) -> Tensor:
    """Return ``project_out(gelu(a) * b)`` where a and b are halves of the filtered expansion.

    Parameters
    ----------
    x
        (N, C, H, W); H and W are multiples of 8.
    project_in
        (2M, C, 1, 1), the weight of the expansion, see :func:`expanded`.
    table
        (2M, 1, 1, 8, 5).
    dwconv
        (2M, 1, 3, 3), the depth-wise convolution after it, whose halves along channels are a and b.
    project_out
        (C, M, 1, 1).
    """
    if torch.is_grad_enabled() or torch.compiler.is_compiling() or x.device.type != "cpu":
        t = conv2d(expanded(x, project_in, table), dwconv, padding=1, groups=dwconv.shape[0])
        return _contracted(t, project_out)
    out = torch.empty_like(x, dtype=working_dtype(x), memory_format=torch.channels_last)
    height, wide = x.shape[-2], dwconv.shape[0]
    row = x.shape[0] * wide * x.shape[-1]
    high = max(1, budget(x.device, CACHED) // (PATCH * row)) * PATCH
    above = torch.zeros_like(x[:, :1, :1], dtype=working_dtype(x)).expand(-1, wide, -1, -1)
    done = 0
    for top in range(0, height, high):
        band = expanded(x[:, :, top : top + high], project_in, table)
        # The last row of a band waits for the row below it.
        below = [torch.zeros_like(band[:, :, :1])] if top + high >= height else []
        t = torch.cat((above, band, *below), 2)
        t = conv2d(t, dwconv, padding=(0, 1), groups=wide)
        out[:, :, done : done + t.shape[2]] = _contracted(t, project_out)
        done += t.shape[2]
        above = band[:, :, -2:]
    return out


def expanded(x: Tensor, weight: Tensor, table: Tensor) -> Tensor:
    """Return a 1x1 convolution of ``x`` whose patches are each multiplied by a table of spectra.

    Parameters
    ----------
    x
        (N, C, H, W); H and W are multiples of 8.
    weight
        (D, C, 1, 1).
    table
        (D, 1, 1, 8, 5), real: what half the spectrum of a channel's patches is multiplied by.

    Returns
    -------
    (N, D, H, W) Tensor
        Computed in float32 at least.
    """
    exact = exact_dtype(x)
    with without_autocast(x):
        given = x.to(exact), weight.to(exact), table.to(exact)
        matrices = x.device.type == "cpu" or torch.compiler.is_compiling()
        out = by_matrices(*given) if matrices else by_fft(*given)
    return out.to(working_dtype(x))


def by_fft(x: Tensor, weight: Tensor, table: Tensor) -> Tensor:
    """Do what :func:`expanded` says, as it says it."""
    t = conv2d(x, weight)
    n, d, h, w = t.shape
    patches = t.reshape(n, d, h // PATCH, PATCH, w // PATCH, PATCH).transpose(3, 4)
    spectrum = torch.fft.rfft2(patches) * table
    filtered: Tensor = torch.fft.irfft2(spectrum, s=(PATCH, PATCH))
    return filtered.transpose(3, 4).reshape(n, d, h, w)


def by_matrices(x: Tensor, weight: Tensor, table: Tensor) -> Tensor:
    """Do the same by products with the real Fourier basis of a patch; pixels go first."""
    n, c, h, w = x.shape
    basis = torch.from_numpy(fourier_basis()).to(x)
    first, second = (torch.from_numpy(index).to(x.device) for index in _places())
    flat = table.reshape(-1, PATCH * HALF)
    factors = ((flat[:, first] + flat[:, second]) / 2).t().unsqueeze(1)
    patches = x.permute(0, 2, 3, 1).reshape(n, h // PATCH, PATCH, w // PATCH, PATCH, c)
    pixels = patches.permute(2, 4, 0, 1, 3, 5).reshape(PATCH * PATCH, -1)
    spectrum = (basis @ pixels).view(PATCH * PATCH, -1, c) @ weight.flatten(1).t() * factors
    filtered = basis.t() @ spectrum.flatten(1)
    rows = filtered.view(PATCH, PATCH, n, h // PATCH, w // PATCH, -1).permute(2, 3, 0, 4, 1, 5)
    return rows.reshape(n, h, w, -1).permute(0, 3, 1, 2)


@cache
def fourier_basis() -> npt.NDArray[np.float64]:
    """Return (64, 64): orthonormal cosines and sines over the pixels of a patch, one a row."""
    y, x = np.divmod(np.arange(PATCH * PATCH), PATCH)
    rows = []
    for ky, kx, wave in _waves():
        row = wave(2 * np.pi * (ky * y + kx * x) / PATCH)
        rows.append(row / np.linalg.norm(row))
    return np.array(rows)


@cache
def _places() -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return two places in a table (8, 5) for each row of the basis, whose mean is its factor.

    In columns 0 and 4 a frequency and its negative both stand in the table, and the inverse
    transform of a real patch takes the mean of what they were multiplied by.
    """
    own, other = [], []
    for ky, kx, _ in _waves():
        own.append(ky * HALF + kx)
        other.append((-ky % PATCH if _is_whole(kx) else ky) * HALF + kx)
    return np.array(own), np.array(other)


def _waves() -> list[tuple[int, int, np.ufunc]]:
    """Return frequencies of rows and columns, and cosine or sine, of the 64 rows of the basis."""
    found: list[tuple[int, int, np.ufunc]] = []
    for kx in range(HALF):
        for ky in range(PATCH):
            if _is_whole(kx) and ky > PATCH // 2:
                continue  # the negative of one that is there
            found.append((ky, kx, np.cos))
            if not (_is_whole(kx) and _is_whole(ky)):
                found.append((ky, kx, np.sin))
    return found


def _is_whole(k: int) -> bool:
    """Whether a frequency is its own negative."""
    return k % (PATCH // 2) == 0


def _contracted(t: Tensor, weight: Tensor) -> Tensor:
    first, second = t.chunk(2, 1)
    return conv2d(gelu(first) * second, weight)
