"""ADFNet's two operators as their definitions stand: every index and every copy written out.

Slow and large on purpose. The tests hold the product's operators to them, and the benches measure
against them. Autograd derives them as often as one likes.
"""

import torch
from torch import Tensor
from torch.nn.functional import unfold


def modulated_deform_conv2d(
    x: Tensor,
    offset: Tensor,
    mask: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
) -> Tensor:
    """Four gathers for every sample; arguments as the product's operator takes them."""
    N, C, H, W = x.shape
    outputs, per_group, kh, kw = weight.shape
    K = kh * kw
    G = mask.shape[1] // K
    Ho, Wo = mask.shape[2:]
    offsets = offset.reshape(N, G, K, 2, Ho, Wo)
    tap = torch.arange(K, device=x.device)
    rows = torch.arange(Ho, device=x.device).view(1, Ho, 1) * stride - padding
    columns = torch.arange(Wo, device=x.device).view(1, 1, Wo) * stride - padding
    y = (rows + (tap // kw).view(K, 1, 1) * dilation) + offsets[:, :, :, 0]
    q = (columns + (tap % kw).view(K, 1, 1) * dilation) + offsets[:, :, :, 1]
    strictly_inside = (y > -1) & (q > -1) & (y < H) & (q < W)
    y0, q0 = y.floor(), q.floor()
    fy, fq = y - y0, q - q0
    flat = x.reshape(N, G, C // G, H * W)
    samples = x.new_zeros(())
    for row, wy in ((y0, 1 - fy), (y0 + 1, fy)):
        for column, wq in ((q0, 1 - fq), (q0 + 1, fq)):
            there = (row >= 0) & (row < H) & (column >= 0) & (column < W)
            place = row.clamp(0, H - 1).long() * W + column.clamp(0, W - 1).long()
            index = place.view(N, G, 1, -1).expand(-1, -1, C // G, -1)
            pixel = flat.gather(3, index).view(N, G, C // G, K, Ho, Wo)
            samples = samples + pixel * (wy * wq * (there & strictly_inside)).unsqueeze(2)
    samples = samples * mask.reshape(N, G, 1, K, Ho, Wo)
    groups = C // per_group
    matrix = weight.view(groups, outputs // groups, per_group * K)
    out = (matrix @ samples.view(N, groups, per_group * K, Ho * Wo)).view(N, outputs, Ho, Wo)
    return out if bias is None else out + bias.view(1, -1, 1, 1)


def filter_by(x: Tensor, kernels: Tensor, dilation: int = 1) -> Tensor:
    """Nine copies of ``x`` (N, M, H, W) times kernels (N, 9M, H, W), summed."""
    N, M, H, W = x.shape
    neighbours = unfold(x, 3, dilation=dilation, padding=dilation).view(N, M, 9, H, W)
    return (neighbours * kernels.view(N, M, 9, H, W)).sum(2)


def dynamic_filter(
    x: Tensor, feature: Tensor, weight: Tensor, bias: Tensor, dilations: tuple[int, ...] = (1,)
) -> tuple[Tensor, ...]:
    """Kernels made whole, then nine copies for each dilation."""
    matrix = weight.view(weight.shape[0], -1)
    kernels = torch.einsum("kc,nchw->nkhw", matrix, feature) + bias.view(1, -1, 1, 1)
    return tuple(filter_by(x, kernels, d) for d in dilations)
