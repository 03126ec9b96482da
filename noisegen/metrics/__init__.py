"""How far pictures and noise are from each other, by the definitions that papers print.

:mod:`~noisegen.metrics.pictures` compares a picture with its reference (PSNR, SSIM),
:mod:`~noisegen.metrics.noise` synthetic noise with real noise (KLD, AKLD, Wasserstein).
"""

from noisegen.metrics.noise import (
    KLD,
    LEAST_VARIANCE,
    akld,
    gaussian_divergence,
    kld,
    local_variance,
    wasserstein,
)
from noisegen.metrics.pictures import (
    WINDOW,
    Picture,
    psnr,
    saturating_psnr,
    ssim,
    ssim_uniform,
    ssim_volume,
    to_8bit,
)

__all__ = [
    "KLD",
    "LEAST_VARIANCE",
    "WINDOW",
    "Picture",
    "akld",
    "gaussian_divergence",
    "kld",
    "local_variance",
    "psnr",
    "saturating_psnr",
    "ssim",
    "ssim_uniform",
    "ssim_volume",
    "to_8bit",
    "wasserstein",
]
