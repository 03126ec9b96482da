"""Dynamic filtering on a CPU: compiled loops make, use and derive kernels in registers."""

from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from denoisers.layers.arrays import arrays
from denoisers.layers.blocks import blocks
from denoisers.layers.threads import divide

TAPS = 9

CACHED = 1 << 17
"""Values of the feature in a piece: with its derivative, what a core's own cache holds."""


class _Weights(NamedTuple):
    """What makes the kernels.

    Attributes
    ----------
    taps, bias
        (M, C', 9) and (M, 9), contiguous, C' the feature's channels made even.
    """

    taps: Tensor
    bias: Tensor


class _Piece(NamedTuple):
    """Some rows of a sample, and their feature (C', P), zero after C channels and R W pixels."""

    n: int
    rows: slice
    feature: Tensor


def forward(
    x: Tensor, feature: Tensor, weight: Tensor, bias: Tensor, dilations: tuple[int, ...]
) -> tuple[Tensor, ...]:
    """Return ``x`` filtered at each dilation.

    Parameters
    ----------
    x
        (N, M, H, W), contiguous, float32 or float64.
    feature
        (N, C, H, W), of any type.
    weight, bias
        (9M, C) and (9, M, 1, 1), by tap, of the type of ``x``.
    dilations
        Distances of the taps.
    """
    from noisegen.kernels.filtering import gather

    made = _weights(weight, bias)
    out = tuple(torch.empty_like(x) for _ in dilations)
    for piece in _pieces(feature, x.dtype):
        fixed = _arguments(made, piece, x, out)
        divide(lambda *part, fixed=fixed: gather(*fixed, part, dilations), 0, x.shape[1])
    return out


def derivatives(
    x: Tensor,
    feature: Tensor,
    weight: Tensor,
    bias: Tensor,
    dilations: tuple[int, ...],
    gradients: tuple[Tensor, ...],
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the products of ``gradients`` with the derivatives by the four tensors.

    Arguments are those of :func:`forward`; gradients are contiguous, of the type of ``x``.
    """
    made = _weights(weight, bias)
    to_x, to_feature = torch.zeros_like(x), torch.empty_like(feature)
    to_taps, to_bias = torch.zeros_like(made.taps), torch.zeros_like(made.bias)
    C, W = feature.shape[1], feature.shape[3]
    parts: dict[int, Tensor] = {}
    for piece in _pieces(feature, x.dtype):
        fixed = _arguments(made, piece, x, gradients)
        added = to_taps, to_bias, to_x[piece.n]
        divide(partial(_scatter, fixed, dilations, piece.feature, added, parts), 0, x.shape[1])
        sums, *others = (parts[first] for first in sorted(parts))
        for part in others:
            sums += part
        rows = piece.rows.stop - piece.rows.start
        to_feature[piece.n, :, piece.rows] = sums[:C, : rows * W].view(C, rows, W)
    to_weight = to_taps[:, :C].permute(2, 0, 1).reshape(weight.shape)
    return to_x, to_feature, to_weight, to_bias.t().reshape(bias.shape)


def _scatter(
    fixed: tuple[Any, ...],
    dilations: tuple[int, ...],
    feature: Tensor,
    added: tuple[Tensor, ...],
    parts: dict[int, Tensor],
    *channels: int,
) -> None:
    """Derive by some channels; what they say of the feature becomes one of the parts."""
    from noisegen.kernels.filtering import scatter

    to_feature = parts.get(channels[0])
    if to_feature is None or to_feature.shape != feature.shape:
        to_feature = parts[channels[0]] = torch.empty_like(feature)
    to_taps, to_bias, to_x = arrays(*added)
    scatter(*fixed, channels, dilations, to_taps, to_bias, to_feature.numpy(), to_x)


def _weights(weight: Tensor, bias: Tensor) -> _Weights:
    by_channel = weight.detach().view(TAPS, bias.shape[1], -1).permute(1, 2, 0)
    taps = pad(by_channel, (0, 0, 0, by_channel.shape[1] % 2)).contiguous()
    return _Weights(taps, bias.detach().view(TAPS, -1).t().contiguous())


def _pieces(feature: Tensor, dtype: torch.dtype) -> Iterator[_Piece]:
    """Yield pieces whose feature stays in the cache; they share its place."""
    N, C, H, W = feature.shape
    even, rows_before, place = C + C % 2, 0, torch.empty(0)
    for n in range(N):
        for _, rows in blocks(1, H, even * W, CACHED):
            high = rows.stop - rows.start
            if high != rows_before:
                place, rows_before = torch.zeros(even, _pixels(high * W), dtype=dtype), high
            place[:C, : high * W].view(C, high, W).copy_(feature.detach()[n, :, rows])
            yield _Piece(n, rows, place)


def _pixels(count: int) -> int:
    """Return the room for pixels: an odd multiple of what is worked on at a time.

    At other distances channels would lie in the same places of the first-level cache.
    """
    from noisegen.kernels.filtering import WIDE

    return (-(-count // WIDE) | 1) * int(WIDE)


def _arguments(
    made: _Weights, piece: _Piece, x: Tensor, outputs: tuple[Tensor, ...]
) -> tuple[Any, ...]:
    """Return what the kernels take first."""
    n, rows, feature = piece
    high = rows.stop - rows.start
    return *arrays(*made, feature, x[n]), tuple(arrays(*(o[n] for o in outputs))), rows.start, high
