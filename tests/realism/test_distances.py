"""Distances between laws that are known, and no distance where there is none."""

import numpy as np
import pytest

from noisegen import metrics
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
    found = {name: distance(one, one) for name, distance in distances.DISTANCES.items()}
    assert found.pop("akld") > 0  # local variances scatter
    assert found == dict.fromkeys(found, 0.0)


@pytest.mark.parametrize("stds", [(5, 5), (4, 6), (3, 12)])
def test_local_variances_of_one_level_have_the_published_divergence(gaussian, white, stds):
    """Where all pixels have one law, any two are as good as two at one place."""
    found = distances.akld(*(gaussian(140 + 10 * s, std) for s, std in enumerate(stds)))
    clean = np.full((512, 512, 3), 0.5)
    noises = (std / 255 * white(160 + s, 512, 512) for s, std in enumerate(stds))
    published = metrics.akld(clean, *(clean + noise for noise in noises))
    # Windows of 7x7 have 1 / 0.04 pixels each that count; divergences scatter by 1.5 of their mean.
    pixels = 0.04 * 3 * 512**2
    assert found == pytest.approx(published, rel=Z * 1.5 * np.sqrt(2 / pixels))


def test_published_divergences_of_sets_are_those_of_their_noise(white, on_grey):
    noises = [np.rint(std * white(170 + s)) for s, std in enumerate((4, 7))]
    real, other = (measure([on_grey(noise)]) for noise in noises)
    for name in metrics.KLD:
        distance = distances.DISTANCES[f"kld_{name.replace('-', '')}"]
        expected = metrics.kld(*(noise / 255 for noise in noises), name)
        assert distance(real, other) == pytest.approx(expected, abs=1e-9)
    expected = metrics.wasserstein(*noises)
    assert distances.wasserstein(real, other) == pytest.approx(expected, abs=1e-9)
