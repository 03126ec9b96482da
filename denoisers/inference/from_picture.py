"""Finished pictures for networks of mosaics: taken back to a mosaic, denoised, developed again.

What the picture's camera was is not known, and a stand-in is taken: the means of the matrices and
gains of "unprocessing". The mosaic keeps one of a pixel's three values, and its noise is what the
camera's processing left of it: white no more, and smaller in shadows than the networks expect.

References
----------
T. Brooks et al., "Unprocessing Images for Learned Raw Denoising", CVPR 2019.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from catalogs.color import BLUE_GAIN, GOOGLE_MATRICES, RED_GAIN
from denoisers.inference.raws import RED, Frame, Noise
from denoisers.models.dualdn import Isp, Shot
from noisegen.errors import InputError
from noisegen.isp.bulk import unprocess
from noisegen.isp.color import camera_to_xyz
from noisegen.isp.parameters import IspParameters, Matrix3
from noisegen.sensor import estimate_noise

WARNING = (
    "{path} is no raw: it is taken back to a mosaic of a stand-in camera, which keeps one of three "
    "values of a pixel, and its noise is not the one that {model} knows; a network of pictures "
    "suits it better"
)

LEVELS = ((0.0,) * 4, 65535.0)
"""Black and white of the mosaic."""

SIDE = 22
"""Smallest height and width: the rim of a frame mirrors that much."""

SMALLEST = 1e-6
"""Smallest K that is taken for an estimate: a picture may show no shot noise at all."""


def parameters(isp: Isp, alpha: float) -> IspParameters:
    """Return how the stand-in camera's mosaics are developed by a network's ISP."""
    matrix = camera_to_xyz(np.mean(list(GOOGLE_MATRICES.values()), axis=0))
    rows: Matrix3 = tuple(tuple(row) for row in matrix.tolist())  # type: ignore[assignment]
    gains = (float(np.mean(RED_GAIN)), 1.0, float(np.mean(BLUE_GAIN)))
    return IspParameters(gains, rows, isp.reference, isp.demosaic, isp.gamma, alpha)


def frame(
    picture: npt.NDArray[Any], isp: Isp, alpha: float, given: Noise | None, where: Path
) -> tuple[Frame, Noise]:
    """Return the frame of a picture, which the ISP develops to the picture again, and its noise.

    Parameters
    ----------
    picture
        (H, W, 3) uint8 or uint16, finished for sRGB.
    isp, alpha
        That it will be developed by.
    given
        Noise of the mosaic; none: it is estimated on flat places.
    where
        For messages.

    Raises
    ------
    InputError
        If the picture is too small, or too busy for an estimate.
    """
    height, width = picture.shape[:2]
    if min(height, width) < SIDE:
        raise InputError(
            f"{where}: {width}x{height} pixels; networks of mosaics take {SIDE}x{SIDE} and more"
        )
    own = parameters(isp, alpha)
    codes = unprocess(picture, RED, *LEVELS, own)
    noise = given or _estimate(codes, where)
    shot = Shot(
        torch.tensor([noise.shot]),
        torch.tensor([noise.read]),
        torch.tensor([own.white_balance]),
        torch.tensor(own.cam_to_xyz)[None],
        torch.tensor([alpha]),
    )
    mosaic = codes.astype(np.float32) / np.float32(LEVELS[1])
    return Frame.at_red(mosaic, RED, shot, isp), noise


def _estimate(codes: npt.NDArray[np.uint16], where: Path) -> Noise:
    found = estimate_noise(codes, *LEVELS, RED)
    if found is None:
        raise InputError(
            f"{where}: too few flat places to estimate its noise; give --shot and --read"
        )
    return Noise(max(float(np.mean(found.shot)), SMALLEST), float(np.mean(found.read)), "estimate")
