"""Modulated deformable convolution (DCNv2) in plain torch.

References
----------
X. Zhu et al., "Deformable ConvNets v2: More Deformable, Better Results", CVPR 2019, eq. 1.
"""

import torch
from torch import Tensor
from torch.nn.functional import conv2d, grid_sample


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
    """Return a convolution whose taps are displaced by ``offset`` and scaled by ``mask``."""
    N, C, H, W = x.shape
    outputs, per_group, kh, kw = weight.shape
    groups, K = C // per_group, kh * kw
    G = mask.shape[1] // K
    Ho, Wo = offset.shape[-2:]
    rows = torch.arange(Ho, device=x.device, dtype=x.dtype).view(1, Ho, 1) * stride - padding
    columns = torch.arange(Wo, device=x.device, dtype=x.dtype).view(1, 1, Wo) * stride - padding
    offsets = offset.reshape(N * G, K, 2, Ho, Wo)
    masks = mask.reshape(N * G, K, 1, Ho, Wo)
    pictures = x.reshape(N * G, C // G, H, W)
    out = x.new_zeros(N, outputs, Ho, Wo)
    for t in range(K):
        y = rows + dilation * (t // kw) + offsets[:, t, 0]
        q = columns + dilation * (t % kw) + offsets[:, t, 1]
        grid = torch.stack(((2 * q + 1) / W - 1, (2 * y + 1) / H - 1), -1)
        sampled = grid_sample(pictures, grid, align_corners=False) * masks[:, t]
        tap = weight[:, :, t // kw, t % kw, None, None]
        out = out + conv2d(sampled.view(N, C, Ho, Wo), tap, groups=groups)
    return out if bias is None else out + bias.view(1, outputs, 1, 1)
