"""The differentiable ISP: mosaics in, sRGB out, any Bayer phase, any stage.

Lens shading (on request), white balance, demosaicing, camera RGB to linear sRGB, gamma, tone
mapping, in this order and with no clamp after white balance: saturated colours go on below 0 and
above 1, and only whoever writes a file clips them. Gradients flow to the mosaic, the gains of
shading and white balance, the matrices and alpha; AHD's choice of direction is held constant.

Bayer tiles run in the packed form of :mod:`noisegen.isp.packed`; other patterns of colours run the
masked convolutions of :mod:`noisegen.isp.masked`.

References
----------
R. Li et al., "DualDn: Dual-domain Denoising via Differentiable ISP", ECCV 2024.
"""

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from noisegen import cfa as bayer
from noisegen.errors import InputError
from noisegen.isp import masked, packed, stages
from noisegen.isp.color import Reference
from noisegen.isp.packed import Border
from noisegen.isp.parameters import (
    DEMOSAICS,
    GAMMAS,
    HALO,
    REFERENCES,
    STAGES,
    Demosaic,
    Gamma,
    IspParameters,
    Stage,
    check_option,
)
from noisegen.isp.shading import LocalShading

Cfa = bayer.Phase | Tensor


class _Run(NamedTuple):
    """One call's arguments: tensors with the batch first, in the mosaic's dtype."""

    mosaic: Tensor
    cfa: Tensor
    shading: Tensor | None
    gains: Tensor
    cam_to_xyz: Tensor
    alpha: Tensor
    reference: Reference
    demosaic: Demosaic
    gamma: Gamma
    border: Border
    clip_black: bool


def normalise(
    mosaic: Tensor, cfa: Cfa, black: Tensor, white: Tensor | float, *, clip_black: bool = True
) -> Tensor:
    """Scale digital numbers to 0 at black and 1 at white; values above 1 stay.

    Parameters
    ----------
    mosaic
        (B, 1, H, W) digital numbers in a floating dtype, black level included.
    cfa
        As in :func:`process`.
    black
        (B, 4) or (4,) black levels of the colour indices 0..3 (R, G1, B, G2).
    white
        (B,) white levels, or one for all.
    clip_black
        Raise what lies below black to 1e-8 digital numbers above it, as published.
    """
    _check_mosaic(mosaic)
    batch, _, height, width = mosaic.shape
    indices = _indices(cfa, batch, (height, width), mosaic.device)
    if indices.ndim == 3:
        indices = _tiled(indices.to(mosaic.device), (height, width))
    levels = _batched("black", black, mosaic, ((4,),))
    floor = levels.gather(1, indices.flatten(1)).view_as(mosaic)
    top = _batched("white", torch.as_tensor(white), mosaic, ((),)).view(-1, 1, 1, 1)
    above = mosaic - floor
    if clip_black:
        above = above.clamp(min=stages.BLACK)
    return above / (top - floor)


def process(
    mosaic: Tensor,
    cfa: Cfa,
    white_balance: Tensor,
    cam_to_xyz: Tensor,
    alpha: Tensor | float = 0.0,
    *,
    reference: Reference = "D65",
    demosaic: Demosaic = "malvar",
    gamma: Gamma = "srgb",
    final_stage: Stage = "tone_mapping",
    border: Border = "reflect",
    clip_black: bool = True,
    shading: Tensor | None = None,
) -> Tensor:
    """Run the ISP and return its last picture.

    Parameters
    ----------
    mosaic
        (B, 1, H, W) float32 or float64, normalised: 0 black, 1 white; any range.
    cfa
        The phase of all mosaics; or (B, 2, 2) or (2, 2) tiles of colour indices (0 R, 1 G1, 2 B,
        3 G2); or an index of every pixel, (B, 1, H, W) or (1, 1, H, W). Pixel maps are checked for
        being periodic, so a phase or tiles are faster.
    white_balance
        (B, 3) gains R, G, B, or (B, 4) gains R, G1, B, G2, or the same without B; above 0. They are
        divided by the smallest.
    cam_to_xyz
        (B, 3, 3) or (3, 3) camera to XYZ matrices.
    alpha
        (B,) tone strengths, or one for all.
    reference
        White point of that XYZ.
    demosaic, gamma
        The demosaicer and the transfer function.
    final_stage
        The stage to stop after.
    border
        "reflect" continues the mosaic by reflect-101, which keeps its phase, as far as the
        demosaicer reaches: a crop with its halo, cut, is the crop of the frame's picture.
        "published" pads the demosaicer's steps as DualDn does, which darkens the border.
    clip_black
        Clamp to [1e-8, 1] after white balance, as published; False clamps at 1 alone.
    shading
        (B, 1, H, W) or (1, 1, H, W) gains that make up for the lens shading: the mosaic is cut at
        1, multiplied, and cut at 1 again. None: no shading, nothing is cut before white balance.

    Returns
    -------
    Tensor
        (B, 3, H, W); (B, 1, H, W) after ``shading`` and ``white_balance``.

    Raises
    ------
    InputError
        If a shape or an option does not fit.
    """
    run = _prepare(
        mosaic, cfa, white_balance, cam_to_xyz, alpha, reference, demosaic, gamma, border,
        clip_black, shading,
    )  # fmt: skip
    check_option("stage", final_stage, STAGES)
    return _pictures(run, (final_stage,))[final_stage]


def process_stages(
    mosaic: Tensor,
    cfa: Cfa,
    white_balance: Tensor,
    cam_to_xyz: Tensor,
    alpha: Tensor | float = 0.0,
    *,
    reference: Reference = "D65",
    demosaic: Demosaic = "malvar",
    gamma: Gamma = "srgb",
    border: Border = "reflect",
    clip_black: bool = True,
    shading: Tensor | None = None,
) -> dict[Stage, Tensor]:
    """Run the ISP and return the picture after every stage; arguments as in :func:`process`."""
    run = _prepare(
        mosaic, cfa, white_balance, cam_to_xyz, alpha, reference, demosaic, gamma, border,
        clip_black, shading,
    )  # fmt: skip
    return _pictures(run, STAGES)


def render(
    mosaic: Tensor,
    cfa: Cfa,
    parameters: IspParameters | Sequence[IspParameters],
    *,
    final_stage: Stage = "tone_mapping",
    border: Border = "reflect",
    shading: LocalShading | Sequence[LocalShading] | None = None,
) -> Tensor:
    """Run the ISP with recorded parameters and shading, one for the whole batch or one each.

    Raises
    ------
    InputError
        If the parameters of one batch differ in an option (reference, demosaicer, gamma,
        clip_black); render such pictures one by one.
    """
    each = [parameters] if isinstance(parameters, IspParameters) else list(parameters)
    first = each[0]
    options = (first.reference, first.demosaic, first.gamma, first.clip_black)
    if any((p.reference, p.demosaic, p.gamma, p.clip_black) != options for p in each):
        raise InputError(
            "pictures of one batch need one reference, demosaicer, gamma and clip_black; "
            "render them one by one"
        )
    return process(
        mosaic,
        cfa,
        torch.tensor([p.white_balance for p in each], dtype=torch.float64),
        torch.tensor([p.cam_to_xyz for p in each], dtype=torch.float64),
        torch.tensor([p.alpha for p in each], dtype=torch.float64),
        reference=first.reference,
        demosaic=first.demosaic,
        gamma=first.gamma,
        final_stage=final_stage,
        border=border,
        clip_black=first.clip_black,
        shading=None if shading is None else shading_gains(shading, cfa, mosaic),
    )


def shading_gains(
    shading: LocalShading | Sequence[LocalShading], cfa: Cfa, mosaic: Tensor
) -> Tensor:
    """Return the shading gains of a batch of mosaics, in their dtype.

    Parameters
    ----------
    shading
        One for all, or one each.
    cfa
        The phase of all mosaics.
    mosaic
        (B, 1, H, W).

    Returns
    -------
    Tensor
        (B, 1, H, W), or (1, 1, H, W) of one for all.
    """
    if not isinstance(cfa, str):
        raise InputError(
            "recorded shading needs one phase for the batch, not a map of colours; render the "
            "pictures of each phase by themselves"
        )
    each = [shading] if isinstance(shading, LocalShading) else shading
    height, width = mosaic.shape[-2:]
    gains = np.stack([one.gains((height, width), cfa) for one in each])
    return torch.from_numpy(gains)[:, None].to(mosaic)


def _prepare(
    mosaic: Tensor,
    cfa: Cfa,
    white_balance: Tensor,
    cam_to_xyz: Tensor,
    alpha: Tensor | float,
    reference: Reference,
    demosaic: Demosaic,
    gamma: Gamma,
    border: Border,
    clip_black: bool,
    shading: Tensor | None,
) -> _Run:
    check_option("reference", reference, REFERENCES)
    check_option("demosaicer", demosaic, DEMOSAICS)
    check_option("gamma", gamma, GAMMAS)
    check_option("border", border, ("reflect", "published"))
    _check_mosaic(mosaic)
    batch, _, height, width = mosaic.shape
    halo = HALO[demosaic]
    if min(height, width) < halo + 2:
        raise InputError(f"mosaic of {height}x{width}: at least {halo + 2} pixels are needed")
    gains = _batched("white balance", white_balance, mosaic, ((3,), (4,)))
    return _Run(
        mosaic,
        _indices(cfa, batch, (height, width), mosaic.device),
        None if shading is None else _batched("shading", shading, mosaic, ((1, height, width),)),
        stages.normalised_gains(gains),
        _batched("cam_to_xyz", cam_to_xyz, mosaic, ((3, 3),)),
        _batched("alpha", torch.as_tensor(alpha), mosaic, ((),)),
        reference,
        demosaic,
        gamma,
        border,
        clip_black,
    )


def _check_mosaic(mosaic: Tensor) -> None:
    if mosaic.ndim != 4 or mosaic.shape[1] != 1 or not mosaic.is_floating_point():
        raise InputError(
            f"mosaic of shape {tuple(mosaic.shape)} and {mosaic.dtype}: "
            "(B, 1, H, W) in a floating dtype is needed"
        )


def _batched(
    what: str, value: Tensor, mosaic: Tensor, shapes: tuple[tuple[int, ...], ...]
) -> Tensor:
    value = value.to(mosaic)
    batch = mosaic.shape[0]
    for shape in shapes:
        if tuple(value.shape) in (shape, (1, *shape), (batch, *shape)):
            return value.expand(batch, *shape)
    wanted = " or ".join(str((batch, *shape)) for shape in shapes)
    raise InputError(f"{what} of shape {tuple(value.shape)}: {wanted} is needed")


def _indices(cfa: Cfa, batch: int, size: tuple[int, int], device: torch.device) -> Tensor:
    """Colour indices as (B, 2, 2) tiles where the mosaics repeat them, else as (B, 1, H, W)."""
    if isinstance(cfa, str):
        check_option("phase", cfa, bayer.PHASES)
        # Not on the device: which colours they are is asked for at once.
        return torch.as_tensor(bayer.planes(cfa).astype(int), device="cpu").expand(batch, 2, 2)
    indices = cfa.to(device, torch.long)
    if tuple(indices.shape[-2:]) == (2, 2) and indices.ndim <= 3:
        return indices.expand(batch, 2, 2)
    if indices.ndim != 4 or tuple(indices.shape[1:]) != (1, *size):
        raise InputError(
            f"cfa of shape {tuple(cfa.shape)}: a phase, ({batch}, 2, 2) tiles or "
            f"{(batch, 1, *size)} indices are needed"
        )
    indices = indices.expand(batch, 1, *size)
    tiles = indices[:, 0, :2, :2]
    if torch.equal(indices, _tiled(tiles, size)) and all(map(packed.is_bayer, _colors(tiles))):
        return tiles
    return indices


def _pictures(run: _Run, keep: Sequence[Stage]) -> dict[Stage, Tensor]:
    # Half precision would show in the picture: eight bits of colour need more than bfloat16's.
    kind = run.mosaic.device.type
    has_autocast = torch.amp.is_autocast_available(kind)  # the meta device has none
    with torch.autocast(kind, enabled=False) if has_autocast else nullcontext():
        if run.shading is not None:
            run = run._replace(mosaic=stages.shade(run.mosaic, run.shading), shading=None)
        kept: dict[Stage, Tensor] = {"shading": run.mosaic} if "shading" in keep else {}
        later = [stage for stage in keep if stage != "shading"]
        return kept | _by_tile(run, later) if later else kept


def _by_tile(run: _Run, keep: Sequence[Stage]) -> dict[Stage, Tensor]:
    """Run the pictures of one tile together, and put the batch together again."""
    if run.cfa.ndim == 4:
        return _masked(run, keep)
    size = run.mosaic.shape[-2:]
    colors = _colors(run.cfa)
    if not all(map(packed.is_bayer, colors)):
        return _masked(run._replace(cfa=_tiled(run.cfa, size)), keep)
    if run.border == "published" and (size[0] % 2 or size[1] % 2):
        # Circular shifts and borders at odd sizes do not fit whole cells.
        return _masked(run._replace(cfa=_tiled(run.cfa, size)), keep)
    if len(set(colors)) == 1:
        return _packed(run, colors[0], keep)
    order: list[int] = []
    parts = []
    for tile in sorted(set(colors)):
        members = [i for i, color in enumerate(colors) if color == tile]
        part = run._replace(
            mosaic=run.mosaic[members],
            cfa=run.cfa[members],
            gains=run.gains[members],
            cam_to_xyz=run.cam_to_xyz[members],
            alpha=run.alpha[members],
        )
        parts.append(_packed(part, tile, keep))
        order += members
    back = torch.tensor(order, device=run.mosaic.device).argsort()
    return {stage: torch.cat([part[stage] for part in parts])[back] for stage in keep}


def _packed(run: _Run, tile: packed.Tile, keep: Sequence[Stage]) -> dict[Stage, Tensor]:
    height, width = run.mosaic.shape[-2:]
    halo = HALO[run.demosaic] if run.border == "reflect" else 0
    mosaic = run.mosaic
    margins = (halo, halo + width % 2, halo, halo + height % 2)
    if any(margins):
        mosaic = pad(mosaic, margins, mode="reflect")
    gains = run.gains.gather(1, run.cfa.to(mosaic.device).flatten(1))[:, :, None, None]
    balanced = stages.clamp_balanced(packed.pack(mosaic) * gains, run.clip_black)

    def unpacked(picture: Tensor) -> Tensor:
        return packed.unpack(picture)[..., :height, :width]

    kept: dict[Stage, Tensor] = {}
    if "white_balance" in keep:
        frame = packed.unpack(balanced)
        kept["white_balance"] = frame[..., halo : halo + height, halo : halo + width]
    if keep[-1] != "white_balance":
        rgb = packed.demosaic(balanced, tile, run.demosaic, run.cam_to_xyz.detach(), run.border)
        # Pixelwise stages do not care for the layout: (B, 3, 4 h, w) until a picture is wanted.
        shape = rgb.shape
        long = rgb.view(shape[0], 3, 4 * shape[2], shape[3])
        pictures = _pixelwise(run, long, keep[-1])
        kept |= {stage: unpacked(p.view(shape)) for stage, p in pictures if stage in keep}
    return kept


def _masked(run: _Run, keep: Sequence[Stage]) -> dict[Stage, Tensor]:
    mosaic, indices = run.mosaic, run.cfa.to(run.mosaic.device)
    height, width = mosaic.shape[-2:]
    halo = HALO[run.demosaic] if run.border == "reflect" else 0
    if halo:
        margins = (halo,) * 4
        mosaic = pad(mosaic, margins, mode="reflect")
        indices = pad(indices.to(mosaic.dtype), margins, mode="reflect").long()
    gains = run.gains.gather(1, indices.flatten(1)).view_as(mosaic)
    balanced = stages.clamp_balanced(mosaic * gains, run.clip_black)

    def cut(picture: Tensor) -> Tensor:
        return picture[..., halo : halo + height, halo : halo + width]

    kept: dict[Stage, Tensor] = {}
    if "white_balance" in keep:
        kept["white_balance"] = cut(balanced)
    if keep[-1] != "white_balance":
        rgb = masked.demosaic(balanced, indices, run.demosaic, run.cam_to_xyz.detach())
        pictures = _pixelwise(run, cut(rgb), keep[-1])
        kept |= {stage: p for stage, p in pictures if stage in keep}
    return kept


def _pixelwise(run: _Run, rgb: Tensor, last: Stage) -> Iterator[tuple[Stage, Tensor]]:
    """Yield the picture after each stage from demosaicing to ``last``; (B, 3, rows, columns)."""
    yield "demosaic", rgb
    if last == "demosaic":
        return
    matrix = stages.color_matrix(run.cam_to_xyz, run.reference)
    picture = stages.apply_matrix(matrix, rgb)
    yield "rgb_to_srgb", picture
    if last == "rgb_to_srgb":
        return
    picture = stages.gamma(picture, run.gamma)
    yield "gamma", picture
    if last == "tone_mapping":
        yield "tone_mapping", stages.tone_map(picture, run.alpha)


def _tiled(tiles: Tensor, size: tuple[int, int] | torch.Size) -> Tensor:
    height, width = size
    reps = ((height + 1) // 2, (width + 1) // 2)
    return tiles[:, None].tile(1, 1, *reps)[..., :height, :width]


def _colors(tiles: Tensor) -> list[packed.Tile]:
    """Return the colours of (B, 2, 2) tiles, the second green being a green."""
    flat: list[packed.Tile] = torch.where(tiles == 3, 1, tiles).flatten(1).tolist()
    return [(a, b, c, d) for a, b, c, d in flat]
