"""The differentiable ISP, forward and backward, against plain masked convolutions.

The baseline is the ISP written down as its equations stand: masks, zero-padded convolutions of one
channel each, ``where`` and autograd. Bar: four times the baseline for every demosaicer that
convolves, on a batch of patches as on a frame; "nearest" convolves nothing and is there for
information. One thread, CPU seconds. Run ``python -m benchmarks.isp_torch [OUT.json]``.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from benchmarks.harness import ratio, report
from noisegen.isp import masked, pipeline
from noisegen.isp.color import xyz_to_srgb
from noisegen.isp.parameters import DEMOSAICS, Demosaic

SHAPES = {"4 patches of 256x256": (4, 256), "a frame of 1024x1024": (1, 1024)}
CAM_TO_XYZ = [[0.7161, 0.2475, 0.0364], [0.2759, 0.9854, -0.2612], [0.0253, -0.2454, 1.2201]]
CURVES = {
    "srgb": (0.0031308, 12.92, lambda s: 1.055 * s ** (1 / 2.4) - 0.055),
    "rec709": (0.018, 4.5, lambda s: 1.099 * s**0.45 - 0.099),
}


def plain(
    mosaic: Tensor,
    cfa: Tensor,
    white_balance: Tensor,
    cam_to_xyz: Tensor,
    alpha: Tensor,
    demosaic: Demosaic,
    gamma: str = "srgb",
    clip_black: bool = True,
) -> Tensor:
    """The whole ISP with published borders; arguments batched, gains (B, 4)."""
    gains = white_balance / white_balance.amin(1, keepdim=True)
    per_pixel = sum((cfa == i) * gains[:, i].view(-1, 1, 1, 1) for i in range(4))
    w = (mosaic * per_pixel).clamp(1e-8 if clip_black else None, 1)
    rgb = masked.demosaic(w, cfa, demosaic, cam_to_xyz)
    matrix = torch.as_tensor(xyz_to_srgb("D65"), dtype=mosaic.dtype) @ cam_to_xyz
    s = torch.einsum("bij,bjhw->bihw", matrix, rgb)
    if gamma == "2.2":
        z = s.clamp(min=1e-8) ** (1 / 2.2)
    else:
        threshold, slope, curve = CURVES[gamma]
        z = torch.where(s >= threshold, curve(s.clamp(min=threshold)), slope * s)
    a = alpha.view(-1, 1, 1, 1)
    z = z + a * z * (1 - z)
    return z + a * z * (1 - z)


def steps(
    demosaic: Demosaic, batch: int, size: int
) -> tuple[Callable[[], None], Callable[[], None]]:
    """Return the baseline's and the pipeline's training step on the same input."""
    generator = torch.Generator().manual_seed(1)
    mosaic = torch.rand(batch, 1, size, size, generator=generator).requires_grad_()
    cotangent = torch.rand(batch, 3, size, size, generator=generator)
    gains = torch.tensor([2.1, 1.0, 1.5, 1.0]).expand(batch, 4)
    matrix = torch.tensor(CAM_TO_XYZ).expand(batch, 3, 3)
    alpha = torch.linspace(0, 1, batch)
    cfa = torch.tensor([[0, 1], [3, 2]]).tile(size // 2, size // 2).expand(batch, 1, -1, -1)

    def step(render: Callable[[], Tensor]) -> None:
        mosaic.grad = None
        render().backward(cotangent)

    baseline = partial(plain, mosaic, cfa, gains, matrix, alpha, demosaic)
    ours = partial(pipeline.process, mosaic, "RGGB", gains, matrix, alpha, demosaic=demosaic)
    return partial(step, baseline), partial(step, ours)


def measure() -> dict[str, object]:
    """Return each figure by its name."""
    torch.set_num_threads(1)
    return {
        f"{demosaic}, {name}, vs plain": ratio(*steps(demosaic, *shape), rounds=7)
        for demosaic in DEMOSAICS
        for name, shape in SHAPES.items()
    }


if __name__ == "__main__":
    report("isp_torch", measure())
