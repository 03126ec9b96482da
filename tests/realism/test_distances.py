"""Distances between laws that are known, and no distance where there is none."""

import numpy as np
import pytest

from pipelines.realism import distances
from pipelines.realism.measures import measure
from pipelines.realism.noise import noise_field

Z = 5.5
PIXELS = 4 * 256 * 256


@pytest.fixture
def gaussian(white, on_grey):
    def make(seed, std, shift=0.0):
        return measure(on_grey(std * white(seed + i) + shift) for i in range(4))

    return make


def test_the_divergence_of_two_gaussians(gaussian):
    for p, q, shift in ((4, 6, 0), (6, 4, 0), (5, 5, 3)):
        real, other = gaussian(10, p), gaussian(20, q, shift)
        expected = np.log(q / p) + (p**2 + shift**2) / (2 * q**2) - 0.5
        # delta method: the variance of log(p/q) under p over the pixels, both histograms' noise
        spread = Z * np.sqrt(4 * expected / PIXELS)
        occupied = 12 * max(p, q)  # bins within six standard deviations
        assert distances.kld(real, other) == pytest.approx(expected, abs=spread + occupied / PIXELS)


def test_equal_laws_have_the_divergence_of_chance(gaussian):
    found = distances.kld(gaussian(30, 4), gaussian(40, 4))
    # 2 n KLD of two histograms of n pixels is twice a chi-square of as many degrees as bins less 1
    bins = 2 * 4 * 4.5
    assert found < (bins + Z * np.sqrt(2 * bins)) / PIXELS


def test_a_ratio_of_strengths_in_decibels(gaussian):
    found = distances.variance(gaussian(50, 2), gaussian(60, 3))
    error = Z * 10 / np.log(10) * np.sqrt(2 * 2 / PIXELS)
    assert found == pytest.approx(20 * np.log10(1.5), abs=error)


def test_levels_that_only_one_set_has_do_not_count(white):
    def at(levels, stds, seed):
        clean = np.repeat(np.array(levels, np.uint16) * 257, 256 // len(levels))
        clean = np.repeat(np.broadcast_to(clean[:, None], (256, 256))[..., None], 3, axis=2)
        std = np.repeat(np.array(stds, float), 256 // len(levels))[:, None, None]
        noisy = np.rint(clean + 257 * std * white(seed)).astype(np.uint16)
        return measure([noise_field(clean, noisy)])

    real, other = at([50, 100], [2, 3], 70), at([100, 150], [3, 30], 80)
    error = Z * 10 / np.log(10) * np.sqrt(2 * 2 / (128 * 256))
    assert distances.variance(real, other) < error
    np.testing.assert_allclose(distances.overlap(real, other).sum(1), 0.5)
    none = at([200], [3], 90)
    assert np.isnan(distances.variance(real, none))
    assert np.isnan(distances.kld(real, none))


def test_only_shape_counts_in_spectra_and_covariance(gaussian, filtered, on_grey):
    real, louder = gaussian(100, 2), gaussian(110, 8)
    # the mean of 64 periodograms scatters by 1/8, two of them by 10 log10(e) sqrt(2)/8 = 0.77 dB
    # from each other; the root mean square of 96 by 1/sqrt(2 * 96) of that
    decibels = 10 / np.log(10) * np.sqrt(2 / 64) * (1 + Z / np.sqrt(2 * 96))
    assert distances.rows(real, louder) < decibels
    assert distances.columns(real, louder) < decibels
    assert distances.radial(real, louder) < decibels / 2  # rings have 8 frequencies or more
    # 9 times 121 correlations, each of variance 2/n, against three ones
    assert distances.covariance(real, louder) < 1.2 * np.sqrt(9 * 121 * 2 / PIXELS / 3)
    smooth = measure([on_grey(filtered(120, np.ones((2, 2)) / 2))])
    # lags of 1/2 to both sides, down and across, and of 1/4 across corners, in each channel
    assert distances.covariance(real, smooth) == pytest.approx(np.sqrt(4 / 4 + 4 / 16), abs=0.05)
    assert distances.radial(real, smooth) > 5


def test_a_set_has_no_distance_from_itself(gaussian):
    one = gaussian(130, 5)
    assert {
        name: distance(one, one) for name, distance in distances.DISTANCES.items()
    } == dict.fromkeys(distances.DISTANCES, 0.0)
