"""The ISP backwards: from a finished or a linear picture to a plausible mosaic of a given camera.

Each stage undoes its twin of :mod:`noisegen.isp.stages` exactly where nothing was clipped. Pictures
are NumPy arrays (..., 3) of float32 or float64, and keep their precision.

References
----------
T. Brooks et al., "Unprocessing Images for Learned Raw Denoising", CVPR 2019, section 4.
"""

from typing import Literal

import numpy as np

from noisegen.cfa import Phase, colors
from noisegen.errors import InputError
from noisegen.isp.parameters import IspParameters, check_option
from noisegen.isp.shading import LocalShading
from noisegen.isp.tone import ToneCurve, invert
from noisegen.isp.transfer import FloatArray, decode

Highlights = Literal["saturate", "plain"]
"""What becomes of near-white pixels: they stay saturated, or are divided by the gains as all."""

INFLECTION = 0.9
"""Mean of R, G, B from which on "saturate" weakens the inverse gains (Brooks et al.)."""


def unprocess(
    rgb: FloatArray,
    parameters: IspParameters,
    phase: Phase,
    *,
    encoded: bool = True,
    highlights: Highlights = "saturate",
    exposure: float = 1.0,
    tone: ToneCurve | None = None,
    shading: LocalShading | None = None,
) -> FloatArray:
    """Turn a picture into the mosaic that a camera would have seen.

    Parameters
    ----------
    rgb
        (H, W, 3) float32 or float64 in [0, 1], sRGB primaries.
    parameters
        The camera's gains and matrix, and the gamma and tone to undo. The demosaicer is not used.
    phase
        CFA phase of the mosaic.
    encoded
        True: ``rgb`` has been through gamma and tone mapping. False: it is linear.
    highlights
        "saturate": pixels that are white in the picture are white in the mosaic, so that white
        balance takes them back to white. "plain": divide all pixels by the gains.
    exposure
        Factor on the picture's light, above 0. What is no longer white after it is not spared as a
        highlight.
    tone
        The tone curve to undo where it is not that of ``parameters``: a picture may have been
        finished by another camera than the one that is to render it.
    shading
        Lens shading that the mosaic shall have, at the picture's place in its frame: the light is
        divided by the gains before the sensor clips. None by default.

    Returns
    -------
    ndarray
        (H, W), normalised: 0 black, 1 saturation; clipped to [0, 1].

    Raises
    ------
    InputError
        If the picture is not (H, W, 3) floating point, ``exposure`` is no factor, or
        ``highlights`` is unknown.
    """
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype not in (np.float32, np.float64):
        raise InputError(
            f"picture of shape {rgb.shape} and {rgb.dtype}: (H, W, 3) float32 or float64 is needed"
        )
    check_exposure(exposure)
    if encoded:
        rgb = decode(invert(rgb, tone or chain_tone(parameters)), parameters.gamma)
    camera = invert_matrix(rgb * exposure, parameters)
    balanced_away = invert_white_balance(camera, parameters.gains, highlights)
    scene = mosaic(balanced_away, phase)
    if shading is not None:
        scene = invert_shading(scene, phase, shading)
    return np.clip(scene, 0, 1)


def chain_tone(parameters: IspParameters) -> ToneCurve:
    """Return the tone curve that the ISP itself ends with."""
    return ToneCurve("amplification", parameters.alpha)


def check_exposure(exposure: float) -> None:
    """Raise :class:`InputError` unless ``exposure`` is a finite factor above 0."""
    if not (np.isfinite(exposure) and exposure > 0):
        raise InputError(f"exposure {exposure}: a finite factor above 0 is needed")


def invert_matrix(linear: FloatArray, parameters: IspParameters) -> FloatArray:
    """Go from linear sRGB back to white-balanced camera RGB; no clamp."""
    inverse = np.linalg.inv(parameters.ccm).astype(linear.dtype)
    out: FloatArray = linear @ inverse.T
    return out


def invert_white_balance(
    camera: FloatArray, gains: tuple[float, float, float], highlights: Highlights = "saturate"
) -> FloatArray:
    """Divide camera RGB by the gains, sparing near-white pixels under "saturate".

    Parameters
    ----------
    camera
        (..., 3), 1 at saturation.
    gains
        Gains of R, G, B, at least 1.
    highlights
        Under "saturate" a pixel whose mean m exceeds 0.9 is multiplied by
        max(a + (1 - a) / gain, 1 / gain) with a = ((m - 0.9) / 0.1)^2, which is 1 at white and
        beyond.
    """
    check_option("treatment of highlights", highlights, ("saturate", "plain"))
    inverse = (1 / np.asarray(gains, np.float64)).astype(camera.dtype)
    if highlights == "plain":
        return camera * inverse
    mean = camera.mean(axis=-1, keepdims=True)
    a = np.clip((mean - INFLECTION) / (1 - INFLECTION), 0, 1) ** 2
    out: FloatArray = camera * np.maximum(a + (1 - a) * inverse, inverse)
    return out


def invert_shading(scene: FloatArray, phase: Phase, shading: LocalShading) -> FloatArray:
    """Divide an (H, W) mosaic by the gains of the shading; no clamp."""
    gains = shading.gains((scene.shape[0], scene.shape[1]), phase)
    out: FloatArray = scene / gains.astype(scene.dtype)
    return out


def mosaic(rgb: FloatArray, phase: Phase) -> FloatArray:
    """Keep of each pixel of an (H, W, 3) picture the colour that the phase has there."""
    out = np.empty(rgb.shape[:2], rgb.dtype)
    for (dy, dx), color in np.ndenumerate(colors(phase)):
        out[dy::2, dx::2] = rgb[dy::2, dx::2, color]
    return out
