"""The ISP and its inverse for bulk work: fused kernels behind :class:`IspParameters`.

:func:`render` means the same as :func:`noisegen.isp.pipeline.process` on the same mosaic and ends
in integers: at most one level off, on at most 4 % of the values. (Where AHD's two directions vary
alike to float32's last digits, on fewer than one pixel in a thousand of a photograph, the other
may be taken; in flat areas the two hardly differ.) :func:`unprocess` means the same as
:func:`noisegen.isp.inverse.unprocess`. Both run on one core, release the GIL, and give the same
bytes on every x86-64.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from noisegen.cfa import PHASES, Phase, by_position, colors, plane_map, shift
from noisegen.errors import InputError
from noisegen.isp.color import inverse
from noisegen.isp.inverse import Highlights, chain_tone, check_exposure
from noisegen.isp.parameters import Gamma, IspParameters, check_option
from noisegen.isp.shading import NO_MAPS, LocalShading
from noisegen.isp.tone import ToneCurve, invert
from noisegen.isp.transfer import CURVES, FloatArray, decode, encode
from noisegen.kernels import isp as kernel
from noisegen.kernels.ahd import WHITE
from noisegen.kernels.transfer import TABLE_LIMIT, table_nodes
from noisegen.kernels.unprocess import unprocess_codes, unprocess_linear

LINEAR_SCALE = 57344.0
"""Codes per unit of linear RGB (stage ``"linear"``)."""

LINEAR_OFFSET = 4096.0
"""Code of linear 0: what lies below black keeps its sign."""

# numba compiles anew for read-only arrays, so those are copied.
_KERNEL_INPUT: Final = ("C", "A", "W")
DEMOSAIC_CODES = {
    "nearest": kernel.NEAREST,
    "bilinear": kernel.BILINEAR,
    "malvar": kernel.MALVAR,
    "ahd": kernel.AHD,
}
_OVERSHOOT = 1.5  # AHD's values lie in [-1.5, 2.5] for samples in [0, 1]; the others' inside that


def render(
    mosaic: npt.NDArray[np.uint16],
    phase: Phase,
    black: Sequence[float],
    white: float,
    parameters: IspParameters,
    *,
    bits: Literal[8, 16] = 8,
    stage: Literal["srgb", "linear"] = "srgb",
    border: Literal["reflect", "published"] = "reflect",
    cut: tuple[int, int, int, int] | None = None,
    shading: LocalShading | None = None,
    out: npt.NDArray[Any] | None = None,
) -> npt.NDArray[Any]:
    """Render a mosaic, or a window of it; or several mosaics that are alike.

    Parameters
    ----------
    mosaic
        (H, W) uint16, digital numbers including the black level; or (N, H, W).
    phase
        CFA phase at the mosaic's top left pixel.
    black
        Black levels of R, G1, B, G2 in digital numbers.
    white
        White level in digital numbers, above every black level.
    parameters
        What the ISP does.
    bits
        8 or 16: the code of 1.0 is 255 or 65535.
    stage
        ``"srgb"``: after transfer function and tone curve. ``"linear"``: after the colour matrix,
        as 16-bit codes ``x * LINEAR_SCALE + LINEAR_OFFSET``.
    border
        ``"reflect"``: the mosaic continues by reflection, so a window equals that part of the whole
        picture. ``"published"``: DualDn's zero padding (of the window, when there is one), by way
        of the torch pipeline and thus slowly.
    cut
        (top, left, height, width) of the window; the whole mosaic by default. It may reach beyond
        the mosaic when the border is ``"reflect"``.
    shading
        Lens shading to make up for, at the mosaic's place in its frame; none by default.
    out
        Array to write to, of the shape and type that is returned.

    Returns
    -------
    ndarray
        (height, width, 3), or (N, height, width, 3), uint8 or uint16, clipped to the codes' range.

    Raises
    ------
    InputError
        If the mosaic, the levels, the window or ``out`` do not fit.
    """
    mosaic = _checked_mosaic(mosaic)
    _check_levels(black, white)
    check_option("phase", phase, PHASES)
    if bits not in (8, 16):
        raise InputError(f"pictures have 8 or 16 bits, not {bits}")
    check_option("stage", stage, ("srgb", "linear"))
    check_option("border", border, ("reflect", "published"))
    top, left, height, width = map(int, (0, 0, *mosaic.shape[-2:]) if cut is None else cut)
    if height < 1 or width < 1:
        raise InputError(f"a window of {height} x {width} pixels is empty")
    dtype = np.uint8 if bits == 8 and stage == "srgb" else np.uint16
    shape = (*mosaic.shape[:-2], height, width, 3)
    if out is None:
        out = np.empty(shape, dtype)
    elif out.shape != shape or out.dtype != dtype:
        raise InputError(f"out is {out.shape} {out.dtype}; {shape} {np.dtype(dtype)} is needed")
    elif not out.flags.carray:
        raise InputError("out is not contiguous and writable; pass a fresh array in C order")
    mosaics, pictures = mosaic.reshape(-1, *mosaic.shape[-2:]), out.reshape(-1, *shape[-3:])
    if border == "published":
        for one, picture in zip(mosaics, pictures, strict=True):
            _render_published(one, phase, black, white, parameters, stage, cut, shading, picture)
        return out
    shaded = None
    if shading is not None:
        # Only what is not cut at black depends on the gain: the plan then serves every shading.
        shaded = 1.0 if parameters.clip_black else shading.shading.greatest
    plan = _plan(phase, tuple(black), white, parameters, bits, stage, shaded)
    kernel.render(mosaics, top, left, *_shading_arguments(shading, phase), *plan, pictures)
    return out


def unprocess(
    picture: npt.NDArray[Any],
    phase: Phase,
    black: Sequence[float],
    white: float,
    parameters: IspParameters,
    *,
    encoded: bool = True,
    highlights: Highlights = "saturate",
    exposure: float = 1.0,
    tone: ToneCurve | None = None,
    shading: LocalShading | None = None,
) -> npt.NDArray[np.uint16]:
    """Turn a picture into the mosaic that a camera would have recorded without noise.

    Parameters
    ----------
    picture
        (H, W, 3) uint8 or uint16 codes (1.0 is 255 or 65535), or float32 in [0, 1]; sRGB primaries.
    phase
        CFA phase of the mosaic.
    black, white
        Levels of the mosaic in digital numbers: R, G1, B, G2 and one white.
    parameters
        The camera's gains and matrix, and the gamma and tone to undo. The demosaicer is not used.
    encoded
        True: the picture has been through gamma and tone mapping. False: it is linear.
    highlights
        ``"saturate"``: what is white in the picture is white in the mosaic, see
        :func:`noisegen.isp.inverse.invert_white_balance`. ``"plain"``: divide all by the gains.
    exposure
        Factor on the picture's light, above 0, before the sensor clips.
    tone
        The tone curve to undo where it is not that of ``parameters``.
    shading
        Lens shading that the mosaic shall have, at the picture's place in its frame: the light is
        divided by the gains before the sensor clips. None by default.

    Returns
    -------
    ndarray
        (H, W) uint16 digital numbers, at most ``white``.

    Raises
    ------
    InputError
        If the picture, the levels, the exposure or an option do not fit.
    """
    if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype not in _PICTURE_TYPES:
        raise InputError(
            f"picture of shape {picture.shape} and {picture.dtype}: "
            "(H, W, 3) uint8, uint16 or float32 is needed"
        )
    _check_levels(black, white)
    check_option("phase", phase, PHASES)
    check_option("treatment of highlights", highlights, ("saturate", "plain"))
    check_exposure(exposure)
    curve = (tone or chain_tone(parameters)) if encoded else None
    out = np.empty(picture.shape[:2], np.uint16)
    arguments = (
        inverse(parameters.ccm).astype(np.float32),
        (1 / np.asarray(parameters.gains)).astype(np.float32),
        highlights == "saturate",
        *_shading_arguments(shading, phase),
        colors(phase).astype(np.int64),
        by_position(black, phase).astype(np.float32),
        np.float32(white),
        out,
    )
    picture = np.require(picture, requirements=_KERNEL_INPUT)
    if picture.dtype != np.float32:
        codes = np.iinfo(picture.dtype).max + 1
        light = _light_of_codes(codes, parameters.gamma, curve, float(exposure))
        unprocess_codes(picture, light, *arguments)
    else:
        if not np.isfinite(picture).all():
            raise InputError("the picture holds NaN or infinity; clean it first")
        if curve is not None:
            picture = decode(invert(picture, curve), parameters.gamma)
        unprocess_linear(picture, np.float32(exposure), *arguments)
    return out


def linear(
    picture: npt.NDArray[np.uint8 | np.uint16],
    parameters: IspParameters,
    *,
    exposure: float = 1.0,
    tone: ToneCurve | None = None,
    shrink: int = 1,
) -> npt.NDArray[np.float32]:
    """Return the linear light of an encoded picture, averaged over squares of pixels.

    Parameters
    ----------
    picture
        (H, W, 3) uint8 or uint16 codes.
    parameters, exposure, tone
        As in :func:`unprocess`, which takes the result with ``encoded=False``.
    shrink
        Edge of the squares; a remainder of rows or columns is left out.

    Returns
    -------
    (H // shrink, W // shrink, 3) float32
        Linear sRGB, times ``exposure``; the same bytes on every x86-64.
    """
    check_exposure(exposure)
    codes = np.iinfo(picture.dtype).max + 1
    curve = tone or chain_tone(parameters)
    light = _light_of_codes(codes, parameters.gamma, curve, float(exposure))[picture]
    if shrink == 1:
        return light
    height, width = (length // shrink * shrink for length in picture.shape[:2])
    total = np.zeros((height // shrink, width // shrink, 3), np.float32)
    # One order of sums, whatever the processor.
    for top in range(shrink):
        for left in range(shrink):
            total += light[top:height:shrink, left:width:shrink]
    return total * np.float32(1 / shrink**2)


_PICTURE_TYPES = (np.uint8, np.uint16, np.float32)
_NO_TABLE = np.empty(0, np.uint8)
_NO_SHADING = (np.empty(0, np.float64), NO_MAPS)


@lru_cache(maxsize=64)
def _plan(
    phase: Phase,
    black: tuple[float, ...],
    white: float,
    parameters: IspParameters,
    bits: int,
    stage: str,
    shaded: float | None,
) -> tuple[Any, ...]:
    """Return the kernel's arguments between shading and output: a patch is soon rendered again.

    ``shaded`` bounds what the shading multiplies values below black by; None: there is none.
    """
    gains = np.asarray(parameters.gains)[colors(phase)]
    zero = by_position(black, phase)
    scale = gains / (white - zero)
    below = float((zero * scale).max()) * (shaded or 1.0)
    ccm = parameters.ccm
    alpha = np.float32(parameters.alpha)
    if stage == "linear":
        code = np.array([LINEAR_SCALE, LINEAR_OFFSET, 65535], np.float32)
    else:
        code = np.array([2**bits - 1, 0, 2**bits - 1], np.float32)
    table = _NO_TABLE
    if stage == "linear":
        finish = kernel.LINEAR
    elif bits == 8 and _table_holds(parameters, ccm, below):
        finish = kernel.TABLED
        nodes = _encoded_nodes(parameters.gamma)
        table = np.empty(nodes.size, np.uint8)
        kernel.fill_table(nodes, alpha, code, table)
    else:
        finish = kernel.ENCODED
    return (
        DEMOSAIC_CODES[parameters.demosaic],
        divmod(phase.index("R"), 2),
        zero.astype(np.float32),
        (scale if shaded is None else 1 / (white - zero)).astype(np.float32),
        gains.astype(np.float32),
        np.float32(1e-8 if parameters.clip_black else -np.inf),
        ccm.astype(np.float32),
        (np.asarray(parameters.cam_to_xyz) / WHITE[:, None]).astype(np.float32),
        finish,
        np.array(CURVES[parameters.gamma], np.float32),
        alpha,
        code,
        table,
    )


@lru_cache
def _encoded_nodes(gamma: Gamma) -> npt.NDArray[np.float32]:
    return encode(table_nodes(), gamma).astype(np.float32)


@lru_cache(maxsize=16)
def _light_of_codes(
    codes: int, gamma: Gamma, curve: ToneCurve | None, exposure: float
) -> npt.NDArray[np.float32]:
    """Return the exposed linear value of every code; no curve means that codes are linear."""
    values: FloatArray = np.arange(codes) / (codes - 1)
    if curve is not None:
        values = decode(invert(values, curve), gamma)
    return (values * exposure).astype(np.float32)


def _render_published(
    mosaic: npt.NDArray[np.uint16],
    phase: Phase,
    black: Sequence[float],
    white: float,
    parameters: IspParameters,
    stage: str,
    cut: tuple[int, int, int, int] | None,
    shading: LocalShading | None,
    out: npt.NDArray[Any],
) -> None:
    import torch  # on request only: the kernels do without it

    from noisegen.isp import pipeline

    if cut is not None:
        top, left, height, width = cut
        if top < 0 or left < 0 or top + height > mosaic.shape[0] or left + width > mosaic.shape[1]:
            raise InputError(f"window {cut} leaves the mosaic, which the published border forbids")
        mosaic = mosaic[top : top + height, left : left + width]
        phase = shift(phase, top, left)
        shading = shading and shading.moved(top, left)
    zero = np.asarray(black)[plane_map(phase, (mosaic.shape[0], mosaic.shape[1]))]
    signal = mosaic - zero
    if parameters.clip_black:
        signal = np.maximum(signal, 1e-8)
    normal = torch.from_numpy((signal / (white - zero)).astype(np.float32))[None, None]
    with torch.no_grad():
        picture = pipeline.render(
            normal,
            phase,
            parameters,
            final_stage="rgb_to_srgb" if stage == "linear" else "tone_mapping",
            border="published",
            shading=shading,
        )
    rgb = picture[0].permute(1, 2, 0).numpy()
    greatest = np.iinfo(out.dtype).max
    codes = rgb * LINEAR_SCALE + LINEAR_OFFSET if stage == "linear" else rgb * greatest
    out[:] = np.floor(np.clip(codes + 0.5, 0, greatest))


def _table_holds(parameters: IspParameters, ccm: npt.NDArray[np.float64], below: float) -> bool:
    """Tell whether the table of codes covers all that the colour matrix may give.

    Entries must be fine where the transfer function is steep, which the pure power is endlessly at
    0; negative values must end as code 0, which a negative alpha turns positive; and the largest
    value must be inside.
    """
    if CURVES[parameters.gamma].slope == 0 or parameters.alpha < 0:
        return False
    least = 0.0 if parameters.clip_black else -below
    swing = _OVERSHOOT * (1 - least)
    high = np.maximum(ccm * (1 + swing), ccm * (least - swing)).sum(axis=1).max()
    return bool(high < TABLE_LIMIT)


def _shading_arguments(
    shading: LocalShading | None, phase: Phase
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float32]]:
    return _NO_SHADING if shading is None else shading.kernel_arguments(phase)


def _checked_mosaic(mosaic: npt.NDArray[Any]) -> npt.NDArray[np.uint16]:
    if mosaic.ndim not in (2, 3) or mosaic.dtype != np.uint16 or 0 in mosaic.shape:
        raise InputError(f"a mosaic is (H, W) uint16, not {mosaic.shape} {mosaic.dtype}")
    return np.require(mosaic, requirements=_KERNEL_INPUT)


def _check_levels(black: Sequence[float], white: float) -> None:
    if len(black) != 4 or not max(black) < white:
        raise InputError(
            f"black levels {tuple(black)} and white level {white}: four black levels "
            "(R, G1, B, G2) below white are needed"
        )
