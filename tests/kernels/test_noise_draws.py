"""Poisson and Tukey-lambda quantile functions against the exact laws."""

import runpy
from pathlib import Path

import numpy as np
import pytest
from scipy import special, stats

from noisegen.kernels import draws, noise

KERNELS_SHA256 = "6c58ad25a584ac57ab476e61794686f215e1262c8addcd7b55ff3309731db027"


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


def exact(x, mean, read):
    """Distribution function at x of Poisson electrons plus a normal of variance ``read``."""
    count = np.arange(stats.poisson.ppf(1e-16, mean), stats.poisson.isf(1e-16, mean) + 1)
    steps = special.ndtr((x[:, None] - count) / np.sqrt(read))
    return steps @ stats.poisson.pmf(count, mean)


def left_out(z, r, v):
    """First term of the expansion that is not used, over √v: its cumulants are λ = r v."""
    x = z * z
    if v >= draws.THIRD_BELOW:
        third = (x * x - 6 * x + 3) / 120 - r * (x * x - 5 * x + 2) / 24
        return r * (third + r * r * (12 * x * x - 53 * x + 17) / 324) / v**1.5
    fourth = (x * x - 10 * x + 15) / 720 - r * (2 * x * x - 17 * x + 21) / 180
    fourth += -r * (3 * x * x - 24 * x + 29) / 384 + r * r * (14 * x * x - 103 * x + 107) / 288
    return r * z * (fourth - r**3 * (252 * x * x - 1688 * x + 1511) / 7776) / v**2


TOGETHER = [
    (v - read, read)
    for read in (draws.LEAST_READ, 1.0, 2.25, 6.25, 15.99, 100.0, 2500.0)
    for v in (16, 18, 25, 31.9, 32, 40, 100, 1000, 30000)
    if v >= read
]


def drawn(z, mean, read, gain=4.0):
    """Electrons of Poisson and normal together, by the kernel's function in float32."""
    v = np.float32(mean + read)
    terms = (gain * mean, gain, 1 / gain, gain**2 * read)
    noise = draws.poisson_gaussian.py_func(
        *(np.full_like(z, term) for term in terms), z, v < draws.THIRD_BELOW
    )
    return mean + noise.astype(np.float64) / gain


@pytest.mark.parametrize(("mean", "read"), TOGETHER)
def test_poisson_and_normal_together_have_the_exact_law_within_2e_5(mean, read):
    z = np.linspace(-6.5, 6.5, 1301, dtype=np.float32)
    x, v = drawn(z, mean, read), mean + read
    assert (np.diff(x) > 0).all()
    error = np.abs(exact(x, mean, read) - special.ndtr(z.astype(np.float64)))
    fine = z.astype(np.float64)
    omitted = np.abs(left_out(fine, mean / v, v)) * stats.norm.pdf(fine)
    steps = 0.13 * np.exp(-2 * np.pi**2 * read * mean / v) / np.sqrt(v)
    # All further terms are a third of the first in these sums; float32 moves x by 1e-7 of itself.
    rounding = 3e-7 * (1 + np.abs(x - mean).max() / np.sqrt(v))
    assert error.max() < 4 / 3 * omitted.max() + steps + rounding
    assert error.max() < 2e-5


@pytest.mark.parametrize(("mean", "read"), TOGETHER)
def test_poisson_and_normal_together_have_the_exact_moments(mean, read):
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    weights = weights / weights.sum()
    x, v = drawn(nodes, mean, read), mean + read  # float64: quadrature is exact for polynomials
    first = weights @ x
    second, third, fourth = (weights @ (x - first) ** power for power in (2, 3, 4))
    assert first == pytest.approx(mean, abs=1e-6 * np.sqrt(v))
    # What is left out, T / v or T / v^3/2 electrons, is wanting in the third cumulant by 3 E[z² T]:
    # nothing for the fourth term, which is odd, and 3 (38 r³/324 - r²/12) for the third.
    assert third == pytest.approx(mean, abs=(0.103 if v >= 32 else 1e-3) + 1e-6 * v**1.5)
    # In the others it is of the order v^-2; the figures are those of r = 1.
    assert second == pytest.approx(v, rel=0.012 / v**2 + 1e-6)
    assert fourth / v**2 - 3 == pytest.approx(mean / v**2, abs=0.3 / v**2 + 1e-5)


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
