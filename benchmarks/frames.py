"""12 MP frames for the end-to-end benches, made up but with the statistics that matter.

Dead leaves at several scales of light, so that lossless codecs find photographs' redundancy, with
the noise of a base-ISO shot on top.
"""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from catalogs.sources import ImageRef, SourceImage, deadleaves
from noisegen import raw

HEIGHT, WIDTH = 3000, 4000
BLACK, WHITE = 512.0, 16383.0
NEUTRAL = (0.5, 1.0, 0.6)
FULL_WELL, READ = 50_000, 3
"""Electrons at white, and standard deviation of the read noise in electrons."""
ROUNDING = 1 / 12 / (WHITE - BLACK) ** 2
"""Variance of rounding to whole codes, at full scale 1."""
D65_MATRIX = ((0.83, -0.25, -0.1), (-0.35, 1.2, 0.15), (-0.05, 0.2, 0.55))


def mosaic(seed: int = 0) -> npt.NDArray[np.uint16]:
    """Return a (3000, 4000) RGGB mosaic of 14 bits: black 512, white 16383."""
    scene = deadleaves.scene(seed, 0, (HEIGHT // 2, WIDTH // 2))
    linear = np.empty((HEIGHT, WIDTH), np.float32)
    for (y, x), channel in {(0, 0): 0, (0, 1): 1, (1, 0): 1, (1, 1): 2}.items():
        linear[y::2, x::2] = scene[..., channel] * NEUTRAL[channel]
    rng = np.random.default_rng(seed)
    electrons = linear * FULL_WELL
    spread = np.sqrt(electrons + READ**2)
    noisy = electrons + spread * rng.standard_normal(linear.shape, np.float32)
    return np.clip(noisy / FULL_WELL * (WHITE - BLACK) + BLACK, 0, WHITE).astype(np.uint16)


def photograph(*, noisy: bool) -> npt.NDArray[np.uint16]:
    """Return an RGGB mosaic with the spread of a daylight scene, smooth at large scale.

    ``noisy`` adds the noise of 4 DN an electron and a read noise of 10 DN.
    """
    rng = np.random.default_rng(7)
    exposure = np.zeros((HEIGHT, WIDTH), np.float32)
    for octave in range(2, 8):
        grid = rng.standard_normal((3 << octave, 4 << octave)).astype(np.float32)
        exposure += cv2.resize(grid, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC) / octave
    signal = 0.12 * np.exp(1.1 * exposure / exposure.std()) * (WHITE - BLACK)
    if noisy:
        signal += np.sqrt(4 * signal + 100) * rng.standard_normal(signal.shape, dtype=np.float32)
    return np.clip(np.rint(BLACK + signal), 0 if noisy else BLACK, WHITE).astype(np.uint16)


def write_dng(path: Path, compression: str | None) -> None:
    """Write the frame to a DNG file."""
    raw.write_dng(
        path,
        mosaic(),
        cfa="RGGB",
        black_level=(BLACK,) * 4,
        white_level=WHITE,
        bits=14,
        as_shot_neutral=NEUTRAL,
        color_matrix=D65_MATRIX,
        noise_profile=((1 / FULL_WELL,) * 4, (READ**2 / FULL_WELL**2 + ROUNDING,) * 4),
        compression=compression,
    )


@dataclass(frozen=True)
class MemorySource:
    """One frame, already decoded, under as many names as are wanted."""

    image: SourceImage
    count: int = 1
    name: str = "memory"
    licence: str = "made up"
    default_per_image: int = 16
    skipped: tuple[str, ...] = ()

    def images(self) -> tuple[ImageRef, ...]:
        """List the frame ``count`` times."""
        return tuple(ImageRef(f"frame-{i}", f"frame-{i}") for i in range(self.count))

    def read(self, ref: ImageRef) -> SourceImage:
        """Return the frame."""
        return self.image

    @cached_property
    def size(self) -> int:
        """Pixels of the frame."""
        return int(self.image.pixels.size)


def memory_source(path: Path, count: int = 1) -> MemorySource:
    """Return the frame of a DNG file, decoded once."""
    image = raw.read(str(path))
    digest = hashlib.sha256(path.read_bytes()).digest()
    return MemorySource(SourceImage("mosaic", image.mosaic, digest, image.metadata), count)
