"""How far a picture is from another: PSNR and SSIM, as papers on denoising print them.

Pictures are (H, W) or (H, W, C), channel last, 8 or 16 bit integers or floating point. ``peak`` is
the value of white: by default 255 or 65535 for integers and 1 for floating point. Papers disagree
on what is compared rather than on the formulas, so the conversion to 8 bits is a step of its own:

========================================  =========================================================
printed by                                is
========================================  =========================================================
most papers on synthetic noise            ``psnr(to_8bit(y), to_8bit(x))``, ``ssim`` likewise
ADFNet's and MIRNet's SIDD scripts, PSNR  ``psnr(y, x)`` of floating point in [0, 1], not rounded
ADFNet's SIDD script, SSIM                ``ssim`` of ``to_8bit(…, rounding="truncate")``
SIDD's MATLAB script, SSIM                ``ssim_volume`` of 8-bit pictures
DVN's and RFFNet's scripts, PSNR          ``saturating_psnr`` of floating point
DVN's and RFFNet's scripts, SSIM          ``ssim_uniform`` of floating point with ``peak`` 2
========================================  =========================================================

References
----------
Z. Wang et al., "Image Quality Assessment: From Error Visibility to Structural Similarity", IEEE TIP
13(4), 2004.
"""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.ndimage import correlate1d, uniform_filter1d

from noisegen.errors import InputError

Picture = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]

Rounding = Literal["half-even", "truncate"]

WINDOW = 11
"""Side of SSIM's window in pixels."""

SATURATION = 1e-5
"""MSE below which the PSNR of DVN's and RFFNet's scripts is 100 dB."""


def to_8bit(picture: Picture, rounding: Rounding = "half-even") -> npt.NDArray[np.uint8]:
    """Return a floating-point picture as 8-bit codes.

    Parameters
    ----------
    picture
        Floating point of any shape, 0 black and 1 white; what lies outside is clipped.
    rounding
        ``"half-even"`` rounds 255 v to the nearest code; ``"truncate"`` cuts its fraction off.

    Raises
    ------
    InputError
        If the picture is not floating point, or not finite.
    """
    if picture.dtype.kind != "f":
        raise InputError(f"to_8bit takes floating point in [0, 1], found {picture.dtype}")
    if not np.isfinite(picture).all():
        raise InputError("to_8bit: the picture has values that are not finite")
    scaled = np.clip(picture, 0, 1) * picture.dtype.type(255)
    codes: npt.NDArray[np.uint8] = (np.rint(scaled) if rounding == "half-even" else scaled).astype(
        np.uint8
    )
    return codes


def psnr(picture: Picture, reference: Picture, peak: float | None = None) -> float:
    """Return the peak signal-to-noise ratio ``20 log10(peak / sqrt(MSE))`` in decibels.

    Parameters
    ----------
    picture, reference
        Two pictures of one shape and one kind of number; neither is rounded or clipped here.
    peak
        Value of white.

    Returns
    -------
    float
        Infinite for equal pictures. The MSE is over all pixels and channels, in float64.

    Raises
    ------
    InputError
        If the pictures cannot be compared.
    """
    peak = _checked(picture, reference, peak)
    difference = picture.astype(np.float64) - reference.astype(np.float64)
    mse = float(np.mean(difference * difference))
    return float("inf") if mse == 0 else float(20 * np.log10(peak / np.sqrt(mse)))


def saturating_psnr(picture: Picture, reference: Picture) -> float:
    """Return the PSNR of pictures in [0, 1], 100 dB where the MSE is below 1e-5.

    Raises
    ------
    InputError
        If the pictures cannot be compared.
    """
    found = psnr(picture, reference, 1.0)
    return 100.0 if found > -10 * np.log10(SATURATION) else found


def ssim(picture: Picture, reference: Picture, peak: float | None = None) -> float:
    """Return the structural similarity, the mean over pixels and channels.

    The window is Gaussian, 11x11 with sigma 1.5 and sum 1; ``C1 = (0.01 peak)²`` and
    ``C2 = (0.03 peak)²``; only windows that lie whole within the picture count.

    Parameters
    ----------
    picture, reference
        Two pictures of one shape and one kind of number, at least 11 pixels wide and high.
    peak
        Value of white.

    Raises
    ------
    InputError
        If the pictures cannot be compared.
    """
    peak = _checked(picture, reference, peak)
    _check_window(picture)
    return _similarity(picture, reference, peak, _windowed)


def ssim_volume(picture: Picture, reference: Picture, peak: float | None = None) -> float:
    """Return the structural similarity as MATLAB's ``ssim`` has it for an (H, W, C) array.

    It takes channels for a third direction of space: the window is 11x11x11, and every place
    counts, the outermost values repeated beyond the borders. Constants are those of :func:`ssim`.

    Parameters
    ----------
    picture, reference
        Two pictures of one shape and one kind of number.
    peak
        Value of white.

    Raises
    ------
    InputError
        If the pictures cannot be compared.
    """
    peak = _checked(picture, reference, peak)
    return _similarity(picture, reference, peak, _windowed_volume)


def ssim_uniform(picture: Picture, reference: Picture, peak: float | None = None) -> float:
    """Return the structural similarity with an 11x11 window of equal weights.

    As scikit-image has it unless told otherwise: variances are those of a sample, divided by 120
    and not 121. Constants, and windows that count, are those of :func:`ssim`.

    Parameters
    ----------
    picture, reference
        Two pictures of one shape and one kind of number, at least 11 pixels wide and high.
    peak
        Value of white. Older versions of scikit-image take 2 for floating point, and papers have
        figures of it.

    Raises
    ------
    InputError
        If the pictures cannot be compared.
    """
    peak = _checked(picture, reference, peak)
    _check_window(picture)
    return _similarity(picture, reference, peak, _windowed_evenly, WINDOW**2 / (WINDOW**2 - 1))


def _similarity(
    picture: Picture,
    reference: Picture,
    peak: float,
    windowed: Callable[[Floats], Floats],
    of_sample: float = 1.0,
) -> float:
    """Return the mean similarity; (co)variances are multiplied by ``of_sample``."""
    x, y = picture.astype(np.float64), reference.astype(np.float64)
    C1, C2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    mean_x, mean_y = windowed(x), windowed(y)
    variance_x = of_sample * (windowed(x * x) - mean_x * mean_x)
    variance_y = of_sample * (windowed(y * y) - mean_y * mean_y)
    covariance = of_sample * (windowed(x * y) - mean_x * mean_y)
    luminance = (2 * mean_x * mean_y + C1) / (mean_x * mean_x + mean_y * mean_y + C1)
    structure = (2 * covariance + C2) / (variance_x + variance_y + C2)
    return float(np.mean(luminance * structure))


def _windowed(picture: Floats) -> Floats:
    """Return the Gaussian-weighted mean of every window that lies within the picture."""
    reach, weights = WINDOW // 2, _weights()
    rows = correlate1d(picture, weights, axis=0)[reach:-reach]
    whole: Floats = correlate1d(rows, weights, axis=1)[:, reach:-reach]
    return whole


def _windowed_evenly(picture: Floats) -> Floats:
    """Return the mean of every window that lies within the picture."""
    reach = WINDOW // 2
    means = uniform_filter1d(uniform_filter1d(picture, WINDOW, axis=0), WINDOW, axis=1)
    inner: Floats = means[reach:-reach, reach:-reach]
    return inner


def _windowed_volume(picture: Floats) -> Floats:
    """Return the Gaussian-weighted mean about every value, along all axes."""
    for axis in range(picture.ndim):
        picture = correlate1d(picture, _weights(), axis=axis, mode="nearest")
    return picture


def _check_window(picture: Picture) -> None:
    if min(picture.shape[:2]) < WINDOW:
        raise InputError(
            f"SSIM needs pictures of at least {WINDOW}x{WINDOW} pixels, found "
            f"{picture.shape[0]}x{picture.shape[1]}"
        )


def _weights() -> Floats:
    """Return SSIM's window along one axis."""
    reach = WINDOW // 2
    weights: Floats = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * 1.5**2))
    weights /= weights.sum()
    return weights


def _checked(picture: Picture, reference: Picture, peak: float | None) -> float:
    """Return the peak of two pictures that can be compared."""
    if picture.shape != reference.shape or picture.ndim not in (2, 3) or not picture.size:
        raise InputError(
            "metrics compare two pictures (H, W) or (H, W, C) of one shape, found "
            f"{picture.shape} and {reference.shape}"
        )
    kinds = {a.dtype if a.dtype.kind in "ui" else np.dtype(float) for a in (picture, reference)}
    if len(kinds) > 1 or {a.dtype.kind for a in (picture, reference)} - set("uf"):
        raise InputError(
            "metrics compare pictures of one kind of number, unsigned integers or floating point, "
            f"found {picture.dtype} and {reference.dtype}"
        )
    if peak is not None:
        return peak
    return 1.0 if picture.dtype.kind == "f" else float(np.iinfo(picture.dtype).max)
