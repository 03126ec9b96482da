"""What classical filters come to that are tuned on each picture's own clean half.

No network is trained, and nobody could tune so: a bound of what smoothing alone does.
"""

import cv2
import numpy as np
import numpy.typing as npt

from noisegen.metrics import psnr

BLURS = (0.4, 0.5, 0.6, 0.8, 1.0, 1.3, 1.6, 2.0)
"""Standard deviations of Gaussian blurs, in pixels."""

STRENGTHS = (2.0, 3.0, 5.0, 7.0, 10.0, 15.0)
"""Strengths h of non-local means (A. Buades et al., CVPR 2005), of luma and chroma alike."""

Bytes = npt.NDArray[np.uint8]


def best(noisy: Bytes, clean: Bytes) -> float:
    """Return the highest PSNR of a filtered picture, in dB, among all blurs and non-local means."""
    blurred = (cv2.GaussianBlur(noisy, (0, 0), sigma) for sigma in BLURS)
    means = (cv2.fastNlMeansDenoisingColored(noisy, None, h, h, 7, 21) for h in STRENGTHS)
    return max(psnr(np.asarray(tried), clean) for tried in (*blurred, *means))
