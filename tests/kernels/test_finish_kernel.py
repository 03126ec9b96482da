"""The filters of the finish are held to their definitions in plain float64."""

import hashlib
import os
import platform
import subprocess
import sys

import numpy as np
import pytest
from scipy.ndimage import convolve1d, uniform_filter

from noisegen.kernels import finish

RNG = np.random.default_rng(5)
CLOSE = 2e-6  # of values within [0, 1]: sums of at most 17 x 17 products in float32


def picture(height=37, width=41):
    """Steps, a slope and noise: flat and steep places for the filters."""
    y, x = np.mgrid[:height, :width]
    steps = 0.3 + 0.4 * (x > width / 2) + 0.1 * (y > height / 3) + x / 400
    return (steps + RNG.normal(0, 0.02, steps.shape)).astype(np.float32)


def filtered(kernel, plane, reach, *arguments):
    out = np.empty((plane.shape[0] - 2 * reach, plane.shape[1] - 2 * reach), np.float32)
    kernel(plane, *arguments, out)
    return out


def bilateral_by_definition(plane, radius, sigma):
    side = 2 * radius + 1
    binomial = np.poly1d([1, 1]) ** (2 * radius)
    spatial = np.outer(binomial.coeffs, binomial.coeffs)
    windows = np.lib.stride_tricks.sliding_window_view(plane.astype(float), (side, side))
    difference = windows - windows[..., radius, radius][..., None, None]
    weights = spatial * np.maximum(1 - (difference / sigma) ** 2 / 16, 0) ** 8
    return (weights * windows).sum(axis=(2, 3)) / weights.sum(axis=(2, 3))


@pytest.mark.parametrize("radius", [1, 2, 3])
@pytest.mark.parametrize("sigma", [0.01, 0.05, 1.0])
def test_bilateral_is_its_definition(radius, sigma):
    plane = picture()
    strengths = sigma * RNG.uniform(0.5, 2, (37 - 2 * radius, 41 - 2 * radius)).astype(np.float32)
    ours = filtered(finish.bilateral, plane, radius, radius, strengths)
    expected = bilateral_by_definition(plane, radius, strengths[..., None, None])
    np.testing.assert_allclose(ours, expected, atol=CLOSE)


def test_strength_follows_the_curve_over_the_luma():
    luma = np.linspace(-0.5, 1.5, 400, dtype=np.float32).reshape(20, 20)
    nodes = np.array([2.0, 0.5, 1.0, 0.0], np.float32)
    out = np.empty_like(luma)
    finish.strength(luma, nodes, np.float32(0.1), out)
    expected = np.maximum(0.1 * np.interp(luma, np.linspace(0, 1, 4), nodes), 1e-5)
    np.testing.assert_allclose(out, expected, rtol=1e-4)


def test_the_range_weight_is_nearly_gaussian():
    d = np.linspace(0, 6, 601)
    weight = np.maximum(1 - d**2 / 16, 0) ** 8
    assert np.abs(weight - np.exp(-(d**2) / 2)).max() < 0.04


@pytest.mark.parametrize("radius", [1, 3, 8])
@pytest.mark.parametrize("sigma", [0.005, 0.05, 1.0])
def test_guided_is_the_guided_filter(radius, sigma):
    plane = picture() - np.float32(0.5)
    side, exact = 2 * radius + 1, plane.astype(float)
    mean = uniform_filter(exact, side)
    variance = uniform_filter(exact**2, side) - mean**2
    strengths = sigma * RNG.uniform(0.5, 2, plane.shape).astype(np.float32)
    a = variance / (variance + strengths.astype(float) ** 2)
    b = mean - a * mean
    expected = uniform_filter(a, side) * exact + uniform_filter(b, side)
    inside = (slice(2 * radius, -2 * radius),) * 2
    windows = np.ascontiguousarray(strengths[radius:-radius, radius:-radius])
    ours = filtered(finish.guided, plane, 2 * radius, radius, windows)
    # The variance is a difference of float32 sums, 1e-7 off, beside the square of sigma.
    np.testing.assert_allclose(ours, expected[inside], atol=CLOSE + 2e-8 / sigma)


@pytest.mark.parametrize("amount", [0.5, 3.0])
def test_unsharp_is_the_difference_to_the_blurred(amount):
    plane, weights = picture(), np.array([0.1, 0.2, 0.4, 0.2, 0.1], np.float32)
    blurred = convolve1d(convolve1d(plane.astype(float), weights, axis=0), weights, axis=1)
    expected = (plane + amount * (plane - blurred))[2:-2, 2:-2]
    ours = filtered(finish.unsharp, plane, 2, weights, np.float32(amount))
    np.testing.assert_allclose(ours, expected, atol=CLOSE * (1 + amount))


def cubic(t):
    t = np.abs(t)
    near, far = 1.5 * t**3 - 2.5 * t**2 + 1, -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2
    return np.where(t < 1, near, np.where(t < 2, far, 0))


@pytest.mark.parametrize("step", [1.0, 1.3, 2.0, 3.7])
def test_resampling_weighs_the_input_by_the_stretched_cubic(step):
    plane, size = picture(60, 70), (8, 9)
    first = (3, 2)  # of the output; its taps are inside the plane
    taps = []
    for start, count in zip(first, size, strict=True):
        starts = np.empty(count, np.int64)
        weights = np.empty((count, int(np.ceil(4 * step)) + 1), np.float32)
        finish.resampling(start, count, step, starts, weights)
        taps.append((starts, weights))
    corner = (-2, -3)  # of the plane, beyond the first taps
    out = np.empty(size, np.float32)
    finish.resample(plane, corner, *taps[0], *taps[1], out)
    matrices = []
    for start, count, length, edge in zip(first, size, plane.shape, corner, strict=True):
        centre = (np.arange(start, start + count) + 0.5) * step - 0.5
        weights = cubic((np.arange(length) + edge - centre[:, None]) / step)
        matrices.append(weights / weights.sum(axis=1, keepdims=True))
    expected = matrices[0] @ plane.astype(float) @ matrices[1].T
    np.testing.assert_allclose(out, expected, atol=CLOSE)


def test_ycbcr_is_that_of_jpeg_and_comes_back():
    codes = RNG.integers(0, 65536, (20, 30, 3)).astype(np.uint16)
    planes = np.empty((3, 20, 30), np.float32)
    finish.load(codes, (0, 0), (20, 30), (0, 0), planes)
    r, g, b = np.moveaxis(codes / 65535, 2, 0)
    y = 0.299 * r + 0.587 * g + 0.114 * b
    expected = [y, 0.5 * (b - y) / (1 - 0.114), 0.5 * (r - y) / (1 - 0.299)]
    np.testing.assert_allclose(planes, expected, atol=CLOSE)
    for order in (1, -1):
        out = np.empty((20, 30, 3), np.uint16)
        finish.store(planes, 65535, order == -1, out)
        np.testing.assert_array_equal(out[..., ::order], codes)


def test_the_picture_is_reflected_beyond_its_frame():
    codes = RNG.integers(0, 65536, (9, 7, 3)).astype(np.uint16)
    reach = 15  # more than once around
    padded = np.pad(codes, ((reach, reach), (reach, reach), (0, 0)), mode="reflect")
    planes = np.empty((3, 9 + 2 * reach, 7 + 2 * reach), np.float32)
    finish.load(codes, (0, 0), (9, 7), (-reach, -reach), planes)
    out = np.empty(padded.shape, np.uint16)
    finish.store(planes, 65535, False, out)
    np.testing.assert_array_equal(out, padded)


DIGEST = """
import hashlib
import sys

import numpy as np

from noisegen.isp.finish import finish
from noisegen.isp.parameters import FinishParameters

picture = np.random.default_rng(0).integers(0, 65536, (70, 131, 3)).astype(np.uint16)
digest = hashlib.sha256()
for resize in (1.0, 1.37):
    for luma, chroma in ((0.03, 0.05), (1.0, 0.7)):
        parameters = FinishParameters(
            luma=luma, luma_radius=2, chroma=chroma, sharpen=0.6, resize=resize,
            noise=(3.0, 1.0, 0.5),
        )
        for bits in (8, 16):
            digest.update(finish(picture, parameters, bits=bits).tobytes())
sys.stdout.write(digest.hexdigest())
"""


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() != "x86_64", reason="compares instruction sets of x86-64")
def test_same_bytes_on_every_x86_64(tmp_path):
    digests = set()
    for cpu in ("x86-64", "haswell", "host"):
        environment = dict(os.environ, NUMBA_CACHE_DIR=str(tmp_path / cpu))
        if cpu != "host":
            environment |= {"NUMBA_CPU_NAME": cpu, "NUMBA_CPU_FEATURES": ""}
        run = subprocess.run(
            [sys.executable, "-c", DIGEST],
            env=environment, capture_output=True, text=True, check=True,
        )  # fmt: skip
        digests.add(run.stdout)
    assert len(digests) == 1
    assert len(digests.pop()) == 2 * hashlib.sha256().digest_size
