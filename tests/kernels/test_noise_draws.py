"""Poisson and Tukey-lambda quantile functions against the exact laws."""

import runpy
from pathlib import Path

import numpy as np
import pytest
from scipy import special, stats

from noisegen.kernels import draws, noise

KERNELS_SHA256 = "9585079a6d213f34bb69660513b1e0c5fc42a715ac4906ffe7f611052d6b2f23"


@pytest.mark.parametrize("mean", [16, 17.3, 25, 60, 250, 1000, 20000])
def test_bright_poisson_has_the_exact_law_within_2e_5(mean):
    z = np.linspace(-5, 5, 1_000_001, dtype=np.float32)
    count = np.empty_like(z)
    draws.poisson_bright(np.full_like(z, mean), z, count, z.size)
    # The count steps from n to n + 1 at some z: Φ there is the distribution function at n.
    # Rounding may swap neighbours of the grid where counts are large.
    count.sort()
    steps = np.flatnonzero(np.diff(count))
    error = special.ndtr(z[steps].astype(np.float64)) - stats.poisson.cdf(count[steps], mean)
    # A grid step of 1e-5 moves Φ by 4e-6 at most.
    assert np.abs(error).max() < 2e-5 + 4e-6


@pytest.mark.parametrize("mean", [0.01, 0.5, 1, 3.7, 8, 12, 15.99])
def test_dark_poisson_has_the_exact_law_within_2e_5(mean):
    n = 1 << 18
    # Every 2**14-th word, shuffled bits aside: the uniforms are a grid of spacing 4e-6.
    word = (np.arange(n, dtype=np.uint32) << 14) + np.uint32(1 << 13)
    rate, count, p, total = (np.full(n, mean, np.float32) for _ in range(4))
    draws.poisson_dark(rate, word, np.float32(mean), count, p, total, n)
    cdf = np.cumsum(np.bincount(count.astype(int), minlength=50)) / n
    error = cdf - stats.poisson.cdf(np.arange(cdf.size), mean)
    assert np.abs(error).max() < 2e-5


def test_a_dark_count_does_not_depend_on_the_rest_of_its_block():
    rate = np.array([0.1, 2, 9], np.float32)
    word = np.full(3, 0xFFFFFFFF, np.uint32)  # the largest uniform there is
    alone, among = np.empty(3, np.float32), np.empty(3, np.float32)
    scratch = np.empty((2, 3), np.float32)
    for i in range(3):
        one = slice(i, i + 1)
        draws.poisson_dark(rate[one], word[one], rate[i], alone[one], *scratch[:, one], 1)
    draws.poisson_dark(rate, word, np.float32(16), among, *scratch, 3)
    assert alone.tolist() == among.tolist()
    assert (among < rate + 5.5 * np.sqrt(rate) + 6).all()


@pytest.mark.parametrize("shape", [-0.4, -0.1, -1e-3, -1e-6, 0, 1e-6, 1e-3, 0.14, 0.5, 1, 2])
def test_tukey_lambda_is_its_quantile_function(shape):
    n = 4000
    word = np.linspace(3, 2**32 - 3, n).astype(np.uint32)
    u = np.tile(word, (4, 1))
    z = np.empty((4, n), np.float32)
    draws.tukey_lambda(u, np.float32(shape), z, n)
    tail = ((word >> 1) + 0.5) / 2**32
    exact = special.boxcox(tail, shape) - special.boxcox(1 - tail, shape)
    exact = np.where(word & 1, -exact, exact)
    np.testing.assert_allclose(z[2], exact, rtol=2e-5, atol=2e-6)


def test_the_bytes_of_the_kernels_never_change():
    digest = runpy.run_path(str(Path(__file__).parent / "noise_digest.py"))["everything"]()
    assert digest == KERNELS_SHA256


def test_in_place_and_read_only_input_give_the_same_codes():
    mosaic = np.full((1, 9, 70), 700, np.uint16)
    terms = noise.Terms(*(np.full((1, 2, 2), v) for v in (512.0, 1, 4, 10, 512.5, 0)))
    word, white = np.ones(1, np.uint32), np.array([16383], np.float32)
    place = np.array([[0, 0, 9, 70, 3, 3]])
    batch = noise.Batch(np.zeros(1, np.int64), place, word, word, white, 0 * white)
    frozen = mosaic.copy()
    frozen.flags.writeable = False
    out = np.empty_like(mosaic)
    noise.joint(frozen, out, terms, batch, (1, 0))
    noise.joint(mosaic, mosaic, terms, batch, (1, 0))
    np.testing.assert_array_equal(out, mosaic)
