"""Noise on pictures: fast = plain, crop of noise = noise of crop, and the moments it states.

A statistic of n samples is allowed five of its standard errors: one false alarm in about 2e6 for
each line.
"""

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from noisegen.errors import InputError
from noisegen.kernels import normals
from noisegen.kernels.picture import FIELDS
from noisegen.picture import PictureNoise, add_noise
from noisegen.picture.parameters import WHITE
from noisegen.random import counter

SIGMAS = 5
SHA256 = "e141fc4a5078727090b56da905a2712b143775909f40bd0e0fc6ffdff74be88a"


def picture(shape=(40, 50), dtype=np.uint8, seed=3):
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max + 1, (*shape, 3), dtype)


def plain(clean, noise, where, strength=1.0, y=0, x=0):
    """Return the noisy picture as the formula says, one float32 operation after the other."""
    height, width, _ = clean.shape
    r, white = noise.radius, np.iinfo(clean.dtype).max
    n = np.zeros((3, height, width), np.float32)
    for j, field in enumerate(FIELDS):
        w = normals((height + 2 * r, width + 2 * r), where, field, y - r, x - r)
        H = np.array(noise.kernel, np.float32)[:, j]
        for dy, dx in np.ndindex(H.shape[1:]):
            n = n + H[:, dy, dx, None, None] * w[dy : dy + height, dx : dx + width]
    out = np.empty_like(clean)
    for k in range(3):
        code = clean[..., k]
        level = code / white
        variance = np.interp(level, noise.level, np.square(noise.std[k]))
        std = (white * np.sqrt(variance)).astype(np.float32)
        value = code.astype(np.float32) + std * (np.float32(strength) * n[k]) + np.float32(0.5)
        out[..., k] = np.floor(np.clip(value, 0, white + 0.5))
    return out


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("radius", [0, 1, 5])
def test_the_kernel_is_the_formula(noise, dtype, radius):
    clean, drawn = picture((130, 600), dtype), noise(radius, radius)
    noisy = add_noise(clean, drawn, counter(7, 3, 1), strength=1.7, y=1001, x=-7)
    np.testing.assert_array_equal(noisy, plain(clean, drawn, counter(7, 3, 1), 1.7, 1001, -7))


@settings(max_examples=60, deadline=None)
@given(
    y=st.integers(-40, 40),
    x=st.integers(-700, 700),
    height=st.integers(1, 80),
    width=st.integers(1, 600),
    radius=st.integers(0, 3),
    inner=st.data(),
)
def test_the_noise_of_a_crop_is_the_crop_of_the_noise(noise, y, x, height, width, radius, inner):
    drawn, where = noise(radius, radius), counter(11, 5, 2)
    clean = picture((height, width))
    whole = add_noise(clean, drawn, where, y=y, x=x)
    top = inner.draw(st.integers(0, height - 1))
    left = inner.draw(st.integers(0, width - 1))
    bottom = inner.draw(st.integers(top + 1, height))
    part = add_noise(clean[top:bottom, left:], drawn, where, y=y + top, x=x + left)
    assert part.tobytes() == whole[top:bottom, left:].tobytes()


@pytest.mark.parametrize("radius", [0, 2])
def test_strength_grain_and_channels_are_those_stated(noise, radius):
    drawn = noise(4, radius, std=0.01)
    level = np.array([0.3, 0.5, 0.8])
    shape = (1000, 1200)
    codes = np.rint(level * 65535).astype(np.uint16)
    clean = np.broadcast_to(codes, (*shape, 3))
    noisy = add_noise(clean, drawn, counter(5, 1))
    std = drawn.std_at((codes / 65535)[:, None])[:, 0]
    n = ((noisy.astype(float) - codes) / 65535 / std).transpose(2, 0, 1)
    size = n[0].size
    # Variances of products of Gaussian fields are sums over their correlations (Bartlett): at most
    # twice the sum of all squared correlations over the number of pixels.
    reach = range(-2 * radius, 2 * radius + 1)
    spread = sum((drawn.correlation(dy, dx) ** 2).max() for dy in reach for dx in reach)
    error = SIGMAS * np.sqrt(2 * spread / size)
    assert np.abs(n.mean((1, 2))).max() < SIGMAS * np.sqrt(
        sum(abs(drawn.correlation(dy, dx)).max() for dy in reach for dx in reach) / size
    )
    for dy, dx in [(0, 0), (0, 1), (1, 0), (1, 1), (1, -1), (2, 0), (0, 3), (4, 4), (5, 0)]:
        here = n[:, : shape[0] - dy, max(-dx, 0) : shape[1] - max(dx, 0)]
        there = n[:, dy:, max(dx, 0) : shape[1] + min(dx, 0)]
        found = np.einsum("kyx,lyx->kl", here, there) / here[0].size
        np.testing.assert_allclose(found, drawn.correlation(dy, dx), rtol=0, atol=error)


def test_the_variance_is_linear_between_levels_and_constant_beyond():
    drawn = PictureNoise((0.25, 0.75), ((0.01, 0.03), (0.02, 0.02), (0.0, 0.04)))
    found = drawn.std_at([[0, 0.25, 0.5, 1]] * 3)
    np.testing.assert_allclose(found[0] ** 2, [1e-4, 1e-4, 5e-4, 9e-4], rtol=1e-12)
    np.testing.assert_allclose(found[2] ** 2, [0, 0, 8e-4, 16e-4], rtol=1e-12)


def test_strengths_are_drawn_log_linear_between_quantiles():
    drawn = PictureNoise((0.0,), ((0.1,),) * 3, strength=(0.5, 1.0, 4.0))
    rng = np.random.default_rng(1)
    found = np.array([drawn.draw_strength(rng) for _ in range(4000)])
    assert 0.5 <= found.min() < found.max() <= 4
    places = np.interp(np.log(found), np.log([0.5, 1, 4]), [0, 0.5, 1])
    assert stats.kstest(places, "uniform").pvalue > 1e-6


def test_draws_samples_and_channels_are_unrelated():
    drawn = PictureNoise((0.0,), ((0.05,),) * 3)
    clean = np.full((600, 600, 3), 32768, np.uint16)
    first = add_noise(clean, drawn, counter(1, 1, 0))
    for other in (counter(1, 1, 1), counter(1, 2, 0), counter(2, 1, 0)):
        second = add_noise(clean, drawn, other)
        for k in range(3):
            r = np.corrcoef(first[..., k].ravel(), second[..., k].ravel())[0, 1]
            assert abs(r) < SIGMAS / 600


def test_no_noise_changes_nothing():
    clean = picture(dtype=np.uint16)
    quiet = PictureNoise((0.0,), ((0.0,),) * 3)
    np.testing.assert_array_equal(add_noise(clean, quiet, counter(1, 1)), clean)


def test_in_place_and_strided_pictures_give_the_same(noise):
    clean, drawn = picture(), noise()
    expected = add_noise(clean, drawn, counter(1, 1))
    np.testing.assert_array_equal(
        add_noise(np.asfortranarray(clean), drawn, counter(1, 1)), expected
    )
    wide = np.repeat(clean, 2, axis=1)[:, ::2]
    np.testing.assert_array_equal(add_noise(wide, drawn, counter(1, 1)), expected)
    assert add_noise(clean, drawn, counter(1, 1), out=clean) is clean
    np.testing.assert_array_equal(clean, expected)


def test_the_bytes_never_change(noise):
    found = hashlib.sha256()
    for dtype in (np.uint8, np.uint16):
        found.update(add_noise(picture((70, 530), dtype), noise(), counter(2024, 7, 3), y=-5, x=9))
    assert found.hexdigest() == SHA256


@pytest.mark.slow
@pytest.mark.parametrize("cpu", ["haswell", "nocona"])
def test_other_processors_make_the_same_bytes(cpu, tmp_path):
    """AVX2 and SSE2 code, compiled afresh, makes the pinned bytes too."""
    extra = {
        "NUMBA_CPU_NAME": cpu,
        "NUMBA_CPU_FEATURES": "",
        "NUMBA_CACHE_DIR": str(tmp_path),
    }
    this = f"{__file__}::{test_the_bytes_never_change.__name__}"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", this]
    done = subprocess.run(
        command, env=os.environ | extra, capture_output=True, text=True, timeout=250
    )
    assert "1 passed" in done.stdout, done.stdout


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        (np.zeros((4, 4), np.uint8), "picture of shape (4, 4) and uint8"),
        (np.zeros((4, 4, 3), np.float32), "float32: (H, W, 3) uint8 or uint16"),
    ],
)
def test_wrong_pictures_are_refused(noise, wrong, line):
    with pytest.raises(InputError) as error:
        add_noise(wrong, noise(), counter(1, 1))
    assert line in str(error.value)


@pytest.mark.parametrize("strength", [-1.0, np.nan, np.inf])
def test_a_wrong_strength_is_refused(noise, strength):
    with pytest.raises(InputError, match="strength must be at least 0 and finite"):
        add_noise(picture((4, 4)), noise(), counter(1, 1), strength=strength)


def test_a_wrong_place_to_write_is_refused(noise):
    with pytest.raises(InputError, match=r"out is \(4, 4, 3\) uint16"):
        add_noise(picture((4, 4)), noise(), counter(1, 1), out=np.zeros((4, 4, 3), np.uint16))


ZERO = ((0.0,),)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"level": ()}, "levels from 0 to 1"),
        ({"level": (0.0, 1.5)}, "levels from 0 to 1"),
        ({"level": (0.5, 0.5)}, "must increase"),
        ({"std": ((0.1,),) * 3}, "found 3 rows of 1, 1, 1"),
        ({"std": ((0.1, -0.1),) * 3}, "not -0.1"),
        ({"std": ((0.1, float("nan")),) * 3}, "not nan"),
        ({"strength": ()}, "strength: numbers above 0"),
        ({"strength": (0.0, 1.0)}, "strength: numbers above 0"),
        ({"strength": (1.0, 0.5)}, "must not decrease"),
        ({"kernel": WHITE[:2]}, "3 x 3 tables"),
        ({"kernel": (WHITE[0], WHITE[1][:2], WHITE[2])}, "3 x 3 tables"),
        (
            {"kernel": (WHITE[0], WHITE[1], (ZERO, ZERO, ((0.5,),)))},
            "B must add up to 1, not to 0.25",
        ),
        (
            {"kernel": (WHITE[0], WHITE[1], (ZERO, ZERO, ((0.5, 0.5),)))},
            "a table of B is not 1 x 1",
        ),
        ({"kernel": ((((0.5, 0.5), (0.5, 0.5)),) * 3,) * 3}, "odd number of rows"),
        ({"kernel": ((((0.0,) * 33,) * 33,) * 3,) * 3}, "up to 31"),
    ],
)
def test_figures_that_describe_no_noise_are_refused(changes, line):
    figures = {"level": (0.0, 1.0), "std": ((0.1, 0.2),) * 3, **changes}
    with pytest.raises(InputError) as error:
        PictureNoise(**figures)
    assert line in str(error.value)


def test_figures_load_without_numba_and_scipy():
    code = "import sys, noisegen.picture; print({'numba', 'scipy', 'torch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
