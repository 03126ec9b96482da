"""Dynamic filtering: one 3x3 filter for every pixel and channel.

References
----------
H. Shen, Z.-Q. Zhao, W. Zhang, "Adaptive Dynamic Filtering Network for Image Denoising", AAAI 2023.
"""

from torch import Tensor
from torch.nn.functional import pad


def dynamic_filter(x: Tensor, kernels: Tensor, dilation: int = 1) -> Tensor:
    """Return ``x`` filtered by its own 3x3 kernel at every pixel of every channel.

    Parameters
    ----------
    x
        (N, C, H, W); zero outside.
    kernels
        (N, 9C, H, W); tap 3i + j of channel c is channel 9c + 3i + j.
    dilation
        Distance of the taps in pixels.
    """
    N, C, H, W = x.shape
    taps = kernels.reshape(N, C, 9, H, W)
    padded = pad(x, (dilation,) * 4)
    out = taps[:, :, 0] * padded[:, :, :H, :W]
    for t in range(1, 9):
        i, j = (t // 3) * dilation, (t % 3) * dilation
        out = out.addcmul(taps[:, :, t], padded[:, :, i : i + H, j : j + W])
    return out
