"""The reference outputs of the measures of noise: KLD, AKLD, PSNR."""

import numpy as np

from noisegen import metrics


def measures(case):
    seed, shape = int(case.fields["seed"]), case.shape()

    def gauss(number):
        return np.random.Generator(np.random.Philox(number)).standard_normal(
            shape, dtype=np.float32
        )

    def as_8_bits(picture):
        return np.clip(np.rint(picture), 0, 255).astype(np.uint8)

    levels = np.floor(256 * case.image(shape, seed))
    real, fake = (as_8_bits(levels + std * gauss(seed + n)) for n, std in ((1, 9), (2, 12)))
    clean, noisy, synthetic = (codes / np.float32(255) for codes in (levels, real, fake))
    unclipped = clean + np.float32(12 / 255) * gauss(seed + 2)
    real_noise, rounded = noisy - clean, metrics.to_8bit(unclipped) / np.float32(255) - clean
    pictures = (np.moveaxis(batch, 1, -1) for batch in (clean, noisy, unclipped))
    wide = (np.moveaxis(c, 1, -1).reshape(-1, *shape[:0:-2]) for c in (fake, as_8_bits(levels)))
    return {
        "kld_neca": metrics.kld(real_noise, rounded),
        "kld_neca_reverse": metrics.kld(rounded, real_noise),
        "kld_naflow": metrics.kld(real_noise, np.clip(unclipped, 0, 1) - clean, "naflow"),
        "kld_smoothed": metrics.kld(real_noise, synthetic - clean, "noise-flow"),
        "akld_danet": np.mean([metrics.akld(*three) for three in zip(*pictures, strict=True)]),
        "psnr": metrics.psnr(*wide),
    }


KINDS = {"neca_metrics": (measures, ("seed", "shape"))}
"""Kind: function, patterns of its inputs, settings it knows."""
