"""The nine weighted reads of dynamic filtering, by torch."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad

TAPS = 9

Piece = tuple[slice, slice]
"""Samples and rows that are worked on."""


def gather(
    kernels: Tensor,
    bias: Tensor,
    x: Tensor,
    outputs: Sequence[Tensor],
    piece: Piece,
    dilations: tuple[int, ...],
) -> None:
    """Write the weighted sums of a piece.

    Parameters
    ----------
    kernels
        (n, 9, M, R, W), those of the piece, contiguous; the bias is added to them.
    bias
        (9, M, 1, 1), of the kernels.
    x
        (N, M, H, W), what is filtered, contiguous.
    outputs, dilations
        A tensor like ``x``, of which the piece is written, for each distance of the taps.
    piece
        n of N samples and R of H rows.
    """
    n, rows = piece
    kernels += bias
    window = _window(x, piece, max(dilations))
    for to, d in zip(outputs, dilations, strict=True):
        to[n, :, rows] = filtered(window, kernels, max(dilations), d)


def scatter(
    kernels: Tensor,
    bias: Tensor,
    x: Tensor,
    to_x: Tensor,
    gradients: Sequence[Tensor],
    piece: Piece,
    dilations: tuple[int, ...],
) -> None:
    """Add a piece's derivative by ``x``, and replace its kernels by their derivative.

    Parameters
    ----------
    kernels, bias, x, piece, dilations
        As in :func:`gather`.
    to_x
        Like ``x``, contiguous; it is added to.
    gradients
        Of the outputs, contiguous.
    """
    n, rows = piece
    kernels += bias
    reach = max(dilations)
    window = _window(x, piece, reach)
    to_window = torch.zeros_like(window)
    pieces = [(g[n, :, rows], d) for g, d in zip(gradients, dilations, strict=True)]
    for t in range(TAPS):
        kernel = kernels[:, t]
        for g, d in pieces:
            _shifted(to_window, g, reach, d, t).addcmul_(kernel, g)
        kernel.zero_()
        for g, d in pieces:
            kernel.addcmul_(_shifted(window, g, reach, d, t), g)
    H, W = x.shape[-2:]
    top, bottom = max(0, rows.start - reach), min(H, rows.stop + reach)
    inner = slice(top - rows.start + reach, bottom - rows.start + reach)
    to_x[n, :, top:bottom] += to_window[:, :, inner, reach : reach + W]


def filtered(window: Tensor, kernels: Tensor, reach: int, dilation: int) -> Tensor:
    """Return the weighted sums, by operations that autograd and compilers know.

    Parameters
    ----------
    window
        (n, M, R + 2 reach, W + 2 reach), the piece of ``x`` with what lies round it.
    kernels
        (n, 9, M, R, W).
    reach, dilation
        Width of what lies round it, and distance of the taps.
    """
    like = kernels[:, 0]
    out = like * _shifted(window, like, reach, dilation, 0)
    for t in range(1, TAPS):
        out = out.addcmul(kernels[:, t], _shifted(window, like, reach, dilation, t))
    return out


def _shifted(window: Tensor, like: Tensor, reach: int, dilation: int, tap: int) -> Tensor:
    """Return what a tap reads for pixels that are as many as those of ``like``."""
    H, W = like.shape[-2:]
    i, j = (reach + (k - 1) * dilation for k in divmod(tap, 3))
    return window[:, :, i : i + H, j : j + W]


def _window(x: Tensor, piece: Piece, reach: int) -> Tensor:
    """Return the rows of a piece with ``reach`` pixels more all round, zero outside of ``x``."""
    n, rows = piece
    H = x.shape[2]
    top, bottom = rows.start - reach, rows.stop + reach
    there = x[n, :, max(0, top) : min(H, bottom)]
    return pad(there, (reach, reach, max(0, -top), max(0, bottom - H)))
