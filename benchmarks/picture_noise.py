"""Noise on a 4 MP sRGB picture, uint8 in and out, one core, against NumPy and OpenCV.

Run ``python -m benchmarks.picture_noise [OUT.json]``. White noise stands against NumPy's float32
normals for three channels alone; grain of radius r against the same normals, OpenCV's filter2D for
each of the nine tables of the kernel, the table of standard deviations, and rounding.
"""

from dataclasses import replace

import cv2
import numpy as np

from benchmarks import harness
from noisegen.picture import PictureNoise, add_noise
from noisegen.random import counter

SHAPE = (2048, 2048)
RADII = (2, 5)


def main() -> None:
    """Measure and print."""
    rng = np.random.Generator(np.random.SFC64(1))
    picture = rng.integers(0, 256, (*SHAPE, 3), np.uint8)
    out = np.empty_like(picture)
    white = PictureNoise((0.0, 1.0), ((0.02, 0.05),) * 3)
    std = 255 * white.std_at(np.broadcast_to(np.arange(256) / 255, (3, 256))).astype(np.float32)

    def normals() -> np.ndarray:
        return rng.standard_normal((3, *SHAPE), dtype=np.float32)

    def filtered(taps: np.ndarray) -> np.ndarray:
        fields = normals()
        noisy = np.empty_like(picture)
        for k in range(3):
            n = sum(cv2.filter2D(fields[j], -1, taps[k, j]) for j in range(3))
            value = picture[..., k] + std[k][picture[..., k]] * n
            noisy[..., k] = np.clip(np.rint(value), 0, 255)
        return noisy

    def ours(noise: PictureNoise) -> object:
        return add_noise(picture, noise, counter(1, 1), out=out)

    measured = {"white": harness.ratio(normals, lambda: ours(white), rounds=5)}
    for r in RADII:
        taps = rng.standard_normal((3, 3, 2 * r + 1, 2 * r + 1), dtype=np.float32)
        taps /= np.sqrt((taps**2).sum((1, 2, 3), keepdims=True))
        kernel = tuple(tuple(tuple(map(tuple, t)) for t in f) for f in taps.tolist())
        grain = replace(white, kernel=kernel)
        measured[f"grain of radius {r}"] = harness.ratio(
            lambda taps=taps: filtered(taps), lambda grain=grain: ours(grain), rounds=5
        )
    for line in measured.values():
        line["megapixels_per_second"] = picture[..., 0].size / 1e6 / line["subject_seconds"]
    harness.report("picture_noise", dict(measured))


if __name__ == "__main__":
    main()
