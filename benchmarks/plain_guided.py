"""RFFNet's and R2RNet's layers as their papers and published code write them.

Channels first, whole pictures, torch's own convolutions and Fourier transforms, complex
convolutions as four real ones, nothing overwritten. The tests hold the product's networks to them,
and the benches measure against them.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, gelu, leaky_relu

from denoisers.layers import winograd
from denoisers.models import rffnet
from denoisers.r2rnet import body, decom, denoise, layers, relight


@contextmanager
def plain_layers() -> Iterator[None]:
    """Let both networks run the plain layers."""
    replaced: tuple[tuple[object, dict[str, object]], ...] = (
        (winograd.Convolution, {"forward": nn.Conv2d.forward}),
        (rffnet, {"_features": lambda conv, picture: conv(picture)}),
        (rffnet, {"frequency_ffn": frequency_ffn}),
        (layers.ComplexConv, {"forward": complex_convolution}),
        (body, {"in_strips": whole, "leaky": leaky}),
        (decom, {"in_strips": whole, "leaky": leaky}),
        (denoise, {"leaky": leaky}),
        (relight, {"leaky": leaky}),
    )
    with ExitStack() as stack:
        for place, new in replaced:
            stack.enter_context(patch.multiple(place, **new))
        yield


def whole(run: Callable[[Tensor], Tensor], x: Tensor, reach: int, widest: int) -> Tensor:
    """Run layers on all rows at once."""
    return run(x)


def leaky(x: Tensor) -> Tensor:
    return leaky_relu(x, layers.SLOPE)


def complex_convolution(layer: layers.ComplexConv, z: Tensor) -> Tensor:
    """Four convolutions: ``conv_r(p) - conv_i(q)`` and ``conv_r(q) + conv_i(p)``."""
    p, q = z.chunk(2, 1)
    real, imaginary = layer.conv_r, layer.conv_i
    return torch.cat((real(p) - imaginary(q), real(q) + imaginary(p)), 1)


def frequency_ffn(
    x: Tensor, project_in: Tensor, table: Tensor, dwconv: Tensor, project_out: Tensor
) -> Tensor:
    """Expansion, filter of 8x8 patches by real FFTs, depth-wise convolution, gate, contraction."""
    t = conv2d(x, project_in)
    n, d, h, w = t.shape
    patches = t.view(n, d, h // 8, 8, w // 8, 8).transpose(3, 4)
    filtered = torch.fft.irfft2(torch.fft.rfft2(patches) * table, s=(8, 8))
    t = filtered.transpose(3, 4).reshape(n, d, h, w)
    first, second = conv2d(t, dwconv, padding=1, groups=d).chunk(2, 1)
    return conv2d(gelu(first) * second, project_out)
