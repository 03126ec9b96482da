"""KLD, AKLD and Wasserstein distance against their definitions, and against laws that are known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noisegen import metrics
from noisegen.errors import InputError, UnknownNameError

Z = 5.5
SEEDS = st.integers(0, 2**32 - 1)
EIGHT_BIT = np.arange(-255, 256) / 255


def eight_bit(seed, std, shape=(64, 64, 3)):
    rng = np.random.default_rng(seed)
    return np.clip(np.rint(std * rng.standard_normal(shape)), -255, 255)


def by_category(real, synthetic, category, categories, added):
    """The divergence by its definition, of integer differences."""
    counts = [np.zeros(categories), np.zeros(categories)]
    for count, noise in zip(counts, (real, synthetic), strict=True):
        for value in noise.ravel():
            count[category(int(value))] += 1
    p, q = ((c + added) / (c.sum() + added * categories) for c in counts)
    return sum(a * np.log(a / b) for a, b in zip(p, q, strict=True) if a > 0 and b > 0)


CATEGORIES = {
    # every bin holds one level at most: of the 66 bins some 13 are empty for ever
    "neca": (lambda k: min(max(k, -26), 26) + 26, 53, 0),
    "naflow": (lambda k: min((k + 255) * 128 // 255, 255), 256, 0),
    "srgb-flow": (lambda k: (k + 260) // 4, 130, 1),
}


@pytest.mark.parametrize("name", CATEGORIES)
@pytest.mark.parametrize("stds", [(3, 4), (20, 9), (100, 2)])
def test_eight_bit_differences_by_category(name, stds):
    real, synthetic = (eight_bit(seed, std, (40, 30, 3)) for seed, std in enumerate(stds))
    expected = by_category(real, synthetic, *CATEGORIES[name])
    for unit in (np.float32(255), np.float64(255)):
        levels = np.full(real.shape, 128, unit.dtype)
        noises = [(levels + n.astype(unit.dtype)) / unit - levels / unit for n in (real, synthetic)]
        assert metrics.kld(*noises, name) == pytest.approx(expected, abs=1e-9)


def test_noise_flow_adds_one_to_each_of_66_bins():
    real, synthetic = eight_bit(1, 3) / 255, eight_bit(2, 5) / 255
    edges = metrics.KLD["neca"].edges
    p, q = (np.histogram(n, edges)[0] + 1 for n in (real, synthetic))
    assert len(p) == 66
    expected = (p / p.sum() * np.log((p / p.sum()) / (q / q.sum()))).sum()
    assert metrics.kld(real, synthetic, "noise-flow") == pytest.approx(expected, abs=1e-12)


def test_empty_bins_are_dropped_or_smoothed():
    real, synthetic = np.array([0.0, 0.0, 0.05]), np.zeros(3)
    assert metrics.kld(real, synthetic) == pytest.approx(2 / 3 * np.log(2 / 3))  # negative
    smoothed = metrics.kld(real, synthetic, "noise-flow")
    expected = [(3, 4), (2, 1)]
    rest = 64 * 1 / 69 * np.log(1)
    assert smoothed == pytest.approx(rest + sum(a / 69 * np.log(a / b) for a, b in expected))


@pytest.mark.parametrize("name", metrics.KLD)
def test_the_divergence_of_two_gaussians(name):
    """Within what binning takes and chance adds; the wider one has no empty bins that count."""
    p, q, pixels = 6.0, 9.0, 400_000
    real, synthetic = (eight_bit(s, std, pixels) / 255 for s, std in ((3, p), (4, q)))
    expected = np.log(q / p) + p**2 / (2 * q**2) - 0.5
    chance = Z * np.sqrt(4 * expected / pixels) + 256 / pixels
    # Bins wider than a level lose a part (width / std)² / 12 of each variance's information.
    width = 4 if name == "srgb-flow" else 2
    found = metrics.kld(real, synthetic, name)
    assert expected * (1 - (width / p) ** 2 / 6) - chance < found < expected + chance


@given(SEEDS)
def test_laws_of_the_divergence(seed):
    real, synthetic = eight_bit(seed, 5, 300) / 255, eight_bit(seed + 1, 8, 300) / 255
    for name, how in metrics.KLD.items():
        assert metrics.kld(real, real, name) == 0
        if how.added:
            assert metrics.kld(real, synthetic, name) > 0
        counts = [
            np.bincount(np.rint(n * 255).astype(int) + 255, minlength=511)
            for n in (real, synthetic)
        ]
        told = metrics.kld(EIGHT_BIT, EIGHT_BIT, name, tuple(counts))
        assert told == pytest.approx(metrics.kld(real, synthetic, name), abs=1e-12)


def test_local_variance_is_its_definition_pixel_by_pixel():
    rng = np.random.default_rng(5)
    noise = rng.normal(0, 0.03, (9, 7, 2))
    table = np.array([1, 3.5, 7, 9, 7, 3.5, 1]) / 32
    squares = np.pad(noise**2, [(3, 3), (3, 3), (0, 0)], "reflect")
    expected = np.empty_like(noise)
    for y, x in np.ndindex(9, 7):
        window = squares[y : y + 7, x : x + 7]
        expected[y, x] = np.einsum("y,x,yxc->c", table, table, window)
    np.testing.assert_allclose(metrics.local_variance(noise), expected, rtol=1e-12)
    assert (metrics.local_variance(0 * noise) == 1e-10).all()


def test_akld_of_constant_noises():
    clean = np.full((12, 10, 3), 0.5)
    for factor in (0.5, 0.9, 1, 1.7):
        found = metrics.akld(clean, clean + 0.1, clean - factor * 0.1)
        ratio = factor**2
        assert found == pytest.approx((ratio - 1 - np.log(ratio)) / 2, abs=1e-12)
    limit = (10 - 1 - np.log(10)) / 2
    assert metrics.akld(clean, clean + 0.01, clean + 0.4) == pytest.approx(limit)
    # clipped to white before it is compared
    assert metrics.akld(clean, clean + 0.5, clean + 2) == 0


def test_wasserstein_of_shifted_and_scaled_noise():
    rng = np.random.default_rng(6)
    noise = rng.normal(0, 0.02, (50, 40, 3))
    assert metrics.wasserstein(noise, noise[::-1]) == 0
    assert metrics.wasserstein(noise, noise + 0.01) == pytest.approx(0.01, abs=1e-12)
    scaled = np.abs(noise).mean()  # W1 of x and 2x, which are in one order
    assert metrics.wasserstein(noise, 2 * noise) == pytest.approx(scaled, abs=1e-12)
    counts = np.zeros((2, 511))
    counts[0, 250], counts[1, 260] = 7, 3
    assert metrics.wasserstein(EIGHT_BIT, EIGHT_BIT, tuple(counts)) == pytest.approx(10 / 255)


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda n: metrics.kld(n, n, "naflo"), UnknownNameError, "did you mean 'naflow'"),
        (lambda n: metrics.kld(n[:0], n), InputError, "no noise to compare"),
        (lambda n: metrics.kld(n * np.nan, n), InputError, "not finite"),
        (lambda n: metrics.wasserstein(n, n * np.inf), InputError, "not finite"),
        (lambda n: metrics.akld(n, n, n[1:]), InputError, r"one shape, found"),
        (lambda n: metrics.local_variance(n[:3]), InputError, r"4x4 pixels, found \(3, 8\)"),
    ],
)
def test_what_cannot_be_compared_is_refused(call, error, said):
    with pytest.raises(error, match=said):
        call(np.random.default_rng(0).normal(0, 0.02, (8, 8)))
