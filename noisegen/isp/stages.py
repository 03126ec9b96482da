"""The stages of the ISP that work pixel by pixel, differentiable, in torch.

White balance, camera to linear sRGB, gamma and tone mapping, each as published with DualDn; sRGB's
own transfer function and lens shading are added. Gamma and tone mapping keep one tensor for the
backward pass instead of one per operation, their backward passes need no second power, and they
work in place: fresh large temporaries cost the CPU more in page faults than in arithmetic.

References
----------
R. Li et al., "DualDn: Dual-domain Denoising via Differentiable ISP", ECCV 2024.
"""

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from noisegen.isp.color import Reference, xyz_to_srgb
from noisegen.isp.parameters import Gamma
from noisegen.isp.transfer import CURVES, Curve

BLACK = 1e-8
"""Lower bound of the clamp after white balance."""


def shade(mosaic: Tensor, gains: Tensor) -> Tensor:
    """Make up for the lens shading: cut at saturation, multiply by the gains, cut at 1 again.

    What the sensor saturated at stays so where the gain is 1 or more.
    """
    return (mosaic.clamp(max=1) * gains).clamp(max=1)


def normalised_gains(white_balance: Tensor) -> Tensor:
    """Return gains (B, 4) for the colour indices 0..3, divided by the smallest of each image.

    Parameters
    ----------
    white_balance
        (B, 3) gains of R, G, B, or (B, 4) gains of R, G1, B, G2.
    """
    if white_balance.shape[1] == 3:
        white_balance = white_balance[:, [0, 1, 2, 1]]
    return white_balance / white_balance.amin(dim=1, keepdim=True)


def clamp_balanced(balanced: Tensor, clip_black: bool) -> Tensor:
    """Clamp white-balanced values at 1 and, as published, at 1e-8."""
    return balanced.clamp(BLACK if clip_black else None, 1.0)


def color_matrix(cam_to_xyz: Tensor, reference: Reference) -> Tensor:
    """Return the (B, 3, 3) matrices from white-balanced camera RGB to linear sRGB."""
    to_srgb = torch.as_tensor(
        xyz_to_srgb(reference), dtype=cam_to_xyz.dtype, device=cam_to_xyz.device
    )
    return to_srgb @ cam_to_xyz


def apply_matrix(matrix: Tensor, rgb: Tensor) -> Tensor:
    """Multiply (B, 3, 3) matrices onto the channels of (B, 3, ...) pictures; no clamp."""
    return (matrix @ rgb.flatten(2)).view_as(rgb)


def gamma(linear: Tensor, kind: Gamma) -> Tensor:
    """Apply a transfer function; negative values go on along its straight part (2.2: to 1e-8)."""
    out: Tensor = _Gamma.apply(linear, CURVES[kind])  # type: ignore[no-untyped-call]
    return out


def tone_map(encoded: Tensor, alpha: Tensor) -> Tensor:
    """Apply z + alpha z (1 - z) twice, without a clamp.

    Parameters
    ----------
    encoded
        (B, 3, H, W), any range.
    alpha
        (B,), one strength per picture.
    """
    out: Tensor = _Tone.apply(encoded, alpha.view(-1, 1, 1, 1))  # type: ignore[no-untyped-call]
    return out


class _Gamma(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, s: Tensor, curve: Curve) -> Tensor:
        high = s.clamp(min=curve.threshold).pow_(curve.exponent)
        high.mul_(curve.scale).sub_(curve.offset)
        low = s * curve.slope
        if curve.floor:
            low.add_(curve.floor)
        out = torch.where(s >= curve.threshold, high, low, out=high)
        ctx.save_for_backward(s, out)
        ctx.curve = curve  # type: ignore[attr-defined]
        return out

    @staticmethod
    def backward(ctx: FunctionCtx, grad: Tensor) -> tuple[Tensor, None]:
        s, out = ctx.saved_tensors  # type: ignore[attr-defined]
        c: Curve = ctx.curve  # type: ignore[attr-defined]
        # d/ds (scale s^e - offset) = e (out + offset) / s
        high = (out + c.offset).mul_(c.exponent).div_(s.clamp(min=c.threshold))
        return torch.where(s >= c.threshold, high, c.slope).mul_(grad), None


class _Tone(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, z: Tensor, alpha: Tensor) -> Tensor:
        ctx.save_for_backward(z, alpha)
        return _bend(_bend(z, alpha), alpha)

    @staticmethod
    def backward(ctx: FunctionCtx, grad: Tensor) -> tuple[Tensor, Tensor | None]:
        z, alpha = ctx.saved_tensors  # type: ignore[attr-defined]
        once = _bend(z, alpha)
        outer = _slope(once, alpha)
        by_alpha = None
        if ctx.needs_input_grad[1]:  # type: ignore[attr-defined]
            slope = outer * z * (1 - z) + once * (1 - once)
            by_alpha = (grad * slope).sum(dim=(1, 2, 3), keepdim=True)
        return _slope(z, alpha).mul_(outer).mul_(grad), by_alpha


def _bend(z: Tensor, alpha: Tensor) -> Tensor:
    # z + a z (1 - z) = z (1 + a - a z)
    return torch.addcmul(1 + alpha, alpha, z, value=-1).mul_(z)


def _slope(z: Tensor, alpha: Tensor) -> Tensor:
    return torch.addcmul(1 + alpha, alpha, z, value=-2)
