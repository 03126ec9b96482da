"""The ISP of :mod:`noisegen.isp.pipeline` in compiled code: on the CPU, without gradients.

The values are the pipeline's to float32's last bits, but where AHD's two directions tie.
"""

import numpy as np
import torch
from torch import Tensor

from noisegen import cfa as bayer
from noisegen.isp import stages
from noisegen.isp.bulk import DEMOSAIC_CODES
from noisegen.isp.color import Reference, xyz_to_srgb
from noisegen.isp.parameters import HALO, Demosaic, Gamma
from noisegen.isp.transfer import CURVES
from noisegen.kernels.ahd import WHITE
from noisegen.kernels.develop import develop


def takes(mosaic: Tensor, *others: Tensor, demosaic: Demosaic) -> bool:
    """Tell whether :func:`process` can stand for the pipeline, as far as the tensors go.

    It cannot where a gradient is wanted, a graph is recorded, values are on another device or of
    another type, or numbers of one picture are for all. What the pipeline refuses is left to it.
    """
    tensors = (mosaic, *others)
    return (
        all(type(t) is Tensor and t.is_cpu and t.dtype == torch.float32 for t in tensors)
        and mosaic.ndim == 4
        and mosaic.shape[1] == 1
        and min(mosaic.shape[2:]) >= HALO[demosaic] + 2
        and all(t.ndim > 0 and len(t) == len(mosaic) for t in others)
        and not (torch.is_grad_enabled() and any(t.requires_grad for t in tensors))
        and not torch.compiler.is_compiling()
    )


def process(
    mosaic: Tensor,
    phase: bayer.Phase,
    white_balance: Tensor,
    cam_to_xyz: Tensor,
    alpha: Tensor,
    *,
    reference: Reference = "D65",
    demosaic: Demosaic = "malvar",
    gamma: Gamma = "srgb",
) -> Tensor:
    """Run the ISP, whose border reflects.

    Parameters
    ----------
    mosaic
        (B, 1, H, W) float32; height and width at least ``HALO[demosaic] + 2``.
    phase
        Of all mosaics.
    white_balance, cam_to_xyz, alpha
        (B, 3) or (B, 4), (B, 3, 3), (B,) float32, otherwise as in
        :func:`noisegen.isp.pipeline.process`.
    reference, demosaic, gamma
        As there.

    Returns
    -------
    Tensor
        (B, 3, H, W), not clipped.
    """
    batch, _, height, width = mosaic.shape
    gains = stages.normalised_gains(white_balance.detach()).numpy()[:, bayer.planes(phase)]
    to_xyz = cam_to_xyz.detach().numpy()
    out = np.empty((batch, 3, height, width), np.float32)
    develop(
        np.ascontiguousarray(mosaic[:, 0].detach().numpy()),
        DEMOSAIC_CODES[demosaic],
        divmod(phase.index("R"), 2),
        np.ascontiguousarray(gains),
        np.float32(stages.BLACK),
        (xyz_to_srgb(reference) @ to_xyz).astype(np.float32),
        (to_xyz / WHITE[:, None]).astype(np.float32),
        np.array(CURVES[gamma], np.float32),
        np.ascontiguousarray(alpha.detach().numpy()),
        out,
    )
    return torch.from_numpy(out)
