import cv2
import numpy as np
import pytest
from scipy import signal

from pipelines.realism.noise import noise_field

GREY = 30000
"""Level of a flat clean picture of 16 bits."""

CODES = 257
"""Codes of 16 bits in one 8-bit level."""


@pytest.fixture
def white():
    """Return (H, W, C) white Gaussian noise of variance 1."""

    def make(seed, height=256, width=256, channels=3):
        return np.random.default_rng(seed).standard_normal((height, width, channels))

    return make


@pytest.fixture
def filtered(white):
    """Return noise of variance 1 with the covariance of a kernel, the same in every channel."""

    def make(seed, kernel, height=256, width=256):
        margin = len(kernel) - 1
        noise = white(seed, height + margin, width + margin)
        moved = signal.convolve(noise, kernel[..., None], mode="valid")
        return moved / np.sqrt((kernel**2).sum())

    return make


@pytest.fixture
def on_grey():
    """Put noise, in 8-bit levels, on a flat picture of 16 bits and return the noise field."""

    def make(noise):
        clean = np.full(noise.shape, GREY, np.uint16)
        noisy = np.rint(GREY + CODES * noise).astype(np.uint16)
        return noise_field(clean, noisy)

    return make


@pytest.fixture
def write_pairs():
    """Write noise, in 8-bit levels, on clean pictures of 8 bits as pairs X_noisy, X_clean."""

    def write(folder, pairs, depth=np.uint8):
        top = np.iinfo(depth).max
        folder.mkdir(parents=True)
        for name, (clean, noise) in pairs.items():
            noisy = np.clip(np.rint(clean + noise * (top / 255)), 0, top).astype(depth)
            cv2.imwrite(str(folder / f"{name}_clean.png"), clean.astype(depth)[..., ::-1])
            cv2.imwrite(str(folder / f"{name}_noisy.png"), noisy[..., ::-1])
        return folder

    return write


@pytest.fixture
def ramp():
    """Return a clean picture of 8 bits with all levels from `low` to `high`."""

    def make(size=192, low=40, high=215):
        line = np.rint(np.linspace(low, high, size))
        return np.repeat(np.broadcast_to(line, (size, size))[..., None], 3, axis=2)

    return make
