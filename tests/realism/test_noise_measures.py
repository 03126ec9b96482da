"""What is measured of noise whose law is known is that law, within bounds that are derived.

Every estimate is held to z standard errors with z = 5.5; a Gaussian estimate is outside with odds
of 4e-8, so that the thousand numbers of a test are all inside with odds of 0.99996.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.realism.measures import REACH, blocks, measure, of_field
from pipelines.realism.noise import MAX_CLIPPED, noise_field

Z = 5.5
PIXELS = 256 * 256


def kernel_correlation(kernel):
    """Return the (11, 11) correlations of white noise convolved with a small kernel."""
    wide = np.pad(kernel, 2 * REACH)
    energy = (kernel**2).sum()
    lags = range(-REACH, REACH + 1)
    moved = [[(wide * np.roll(wide, (dy, dx), (0, 1))).sum() for dx in lags] for dy in lags]
    return np.array(moved) / energy


def standard_error(correlation, pixels):
    """Bartlett: no correlation estimate's variance is above 4/n times the sum of all squared."""
    return np.sqrt(4 * (correlation**2).sum() / pixels)


def test_white_noise_has_no_correlation(white, on_grey):
    one = of_field(on_grey(3 * white(1)))
    error = 1 / np.sqrt(PIXELS)
    expected = np.zeros((3, 3, 2 * REACH + 1, 2 * REACH + 1))
    expected[np.arange(3), np.arange(3), REACH, REACH] = 1
    # fewer pixels have a partner at a lag: at most the 5 rows and columns at the border do not
    assert np.abs(one.correlation - expected).max() < Z * error * 256 / (256 - REACH)
    assert np.abs(one.kurtosis).max() < Z * np.sqrt(24 / PIXELS)
    np.testing.assert_array_equal(one.known[..., REACH, REACH], 1)


KERNELS = {
    "binomial": np.outer([1, 2, 1], [1, 2, 1]) / 16,
    "along rows": np.array([[0, 0, 0], [1, 1, 0], [0, 0, 0]]) / 2,
    "diagonal": np.eye(3),
    "sharpened": np.array([[0, -1, 0], [-1, 6, -1], [0, -1, 0]]) / 2,
}


@pytest.mark.parametrize("kernel", KERNELS.values(), ids=KERNELS.keys())
def test_filtered_noise_has_its_kernels_correlation(filtered, on_grey, kernel):
    one = of_field(on_grey(filtered(2, kernel)))
    expected = kernel_correlation(kernel)
    bound = Z * standard_error(expected, PIXELS)
    for c in range(3):
        assert np.abs(one.correlation[c, c] - expected).max() < bound
    down, across = expected[REACH + 1, REACH], expected[REACH, REACH + 1]
    np.testing.assert_allclose(one.lags(1), [[down, across]] * 3, atol=bound)


@pytest.mark.parametrize("rho", [0.3, 0.7])
def test_a_first_order_autoregression(white, on_grey, rho):
    noise = white(3)
    for axis in (0, 1):
        line = np.moveaxis(noise, axis, 0)
        for i in range(1, len(line)):
            line[i] = rho * line[i - 1] + np.sqrt(1 - rho**2) * line[i]
    lags = np.abs(np.arange(-REACH, REACH + 1))
    expected = rho ** (lags[:, None] + lags)
    squares = ((1 + rho**2) / (1 - rho**2)) ** 2  # of the correlations at all lags
    bound = Z * np.sqrt(4 * squares / PIXELS)
    one = of_field(on_grey(noise))
    for c in range(3):
        # the mean of the picture, taken out, lowers correlations by its variance
        mean = ((1 + rho) / (1 - rho)) ** 2 / PIXELS
        assert np.abs(one.correlation[c, c] - expected).max() < bound + Z * mean


def test_channels_that_share_noise(white, on_grey):
    noise = white(4)
    noise[..., 1] = 0.6 * noise[..., 2] + 0.8 * noise[..., 1]
    one = of_field(on_grey(noise))
    expected = [[1, 0, 0], [0, 1, 0.6], [0, 0.6, 1]]
    np.testing.assert_allclose(one.channels, expected, atol=Z / np.sqrt(PIXELS))


def test_a_shift_between_channels_is_seen_at_its_lag(white, on_grey):
    noise = white(5)
    noise[..., 2] = np.roll(noise[..., 0], (2, -1), (0, 1))
    one = of_field(on_grey(noise))
    assert one.correlation[0, 2, REACH + 2, REACH - 1] > 0.98
    assert one.correlation[2, 0, REACH - 2, REACH + 1] > 0.98
    assert abs(one.correlation[2, 0, REACH + 2, REACH - 1]) < Z / np.sqrt(PIXELS)


def test_strength_is_measured_level_by_level_and_taken_out_of_all_else(white):
    levels = np.repeat(np.array([8000, 20000, 50000], np.uint16), [96, 64, 96])
    clean = np.repeat(np.broadcast_to(levels[:, None], (256, 256))[..., None], 3, axis=2)
    std = np.where(levels == 8000, 2.0, np.where(levels == 20000, 4.0, 9.0))
    noise = white(6) * std[:, None, None]
    noise += np.where(levels == 8000, 3.0, -1.0)[:, None, None]
    one = of_field(noise_field(clean, np.rint(clean + 257 * noise).astype(np.uint16)))
    for level, sigma, mean in ((8000, 2.0, 3.0), (20000, 4.0, -1.0), (50000, 9.0, -1.0)):
        at = int(level / 257 / 8)
        pixels = 256 * int((levels == level).sum())
        np.testing.assert_array_equal(one.pixels[:, at], pixels)
        np.testing.assert_allclose(one.level[:, at], level / 257, rtol=1e-5)
        error = Z * sigma**2 * np.sqrt(2 / pixels)
        np.testing.assert_allclose(one.variance[:, at], sigma**2, atol=error)
        np.testing.assert_allclose(one.mean[:, at], mean, atol=Z * sigma / np.sqrt(pixels))
    assert np.isnan(one.variance[:, 0]).all()
    assert np.abs(one.kurtosis).max() < Z * np.sqrt(24 / PIXELS)


def test_the_spectrum_of_white_noise_is_one(white, on_grey):
    one = measure(on_grey(white(seed)) for seed in range(4))
    number = 4 * 16
    # a periodogram's ordinate is exponential; the mean of 64 has the skewness 2/8, so that its
    # upper tail is a little heavier than Gaussian: 7 standard errors leave 2e-7 of it
    assert np.abs(one.spectrum[:, 1:, 1:] - 1).max() < 7 / np.sqrt(number)
    assert abs(one.radial[:, 8:].mean() - 1) < Z / np.sqrt(number * 64 * 32)
    assert one.frequencies[-1] == 0.5


def test_offsets_of_rows_are_seen_in_the_spectrum_of_rows(white, on_grey):
    offsets = 0.5 * white(7)[:, :1]
    one = of_field(on_grey(white(8) + offsets))
    # the mean of 64 pixels has variance 1/64 + 1/4, of a total of 1 + 1/4
    expected = (1 + 64 / 4) / (1 + 1 / 4)
    number = 32 * 4  # frequencies, and independent blocks of rows: offsets go through all columns
    assert abs(one.rows.mean() / expected - 1) < Z / np.sqrt(number)
    assert one.columns.mean() < 1.3


def test_every_pair_counts_alike_whatever_its_size(filtered, white, on_grey):
    small = of_field(on_grey(filtered(9, KERNELS["binomial"], 64, 64)))
    large = of_field(on_grey(white(10)))
    both = small + large
    np.testing.assert_allclose(
        both.covariance[0, 0], (small.covariance + large.covariance)[0, 0] / 2, atol=0.01
    )
    np.testing.assert_allclose(both.spectrum, (small.spectrum + large.spectrum) / 2)
    np.testing.assert_allclose(both.histogram, small.histogram + large.histogram)


def test_levels_that_are_cut_off_are_left_out_whole(white):
    clean = np.full((128, 128, 3), 128, np.uint8)
    clean[:64] = 1
    noise = 10 * white(11, 128, 128)
    noisy = np.clip(np.rint(clean + noise), 0, 255).astype(np.uint8)
    one = noise_field(clean, noisy)
    assert (noisy[:64] == 0).mean() > MAX_CLIPPED
    assert not one.known[:64].any()
    assert one.known[64:].all()
    assert not one.standard[:64].any()


def test_pairs_without_noise_have_no_measures():
    clean = np.full((64, 64, 3), 100, np.uint8)
    one = of_field(noise_field(clean, clean))
    assert np.isnan(one.channels).all()
    assert np.isnan(one.spectrum).all()
    np.testing.assert_array_equal(one.variance[:, 100 // 8], 0)


def test_black_and_white_levels_of_a_mosaic_are_its_limits():
    clean = np.full((64, 64, 2), 564, np.uint16)
    noisy = clean.copy()
    noisy[::2] = 664
    noisy[1::2] = 464
    one = noise_field(clean, noisy, low=[64, 464], top=1023)
    np.testing.assert_allclose(one.level[0, 0], [500 * 255 / 959, 100 * 255 / 559], rtol=1e-6)
    np.testing.assert_allclose(one.noise[0, 0], [100 * 255 / 959, 100 * 255 / 559], rtol=1e-6)
    assert one.known[..., 0].all()
    assert not one.known[..., 1].any()


@given(height=st.integers(8, 40), width=st.integers(8, 40), size=st.sampled_from([4, 8]))
@settings(max_examples=30, deadline=None)
def test_blocks_tile_the_picture(height, width, size):
    picture = np.arange(height * width).reshape(height, width, 1)
    found = blocks(picture, size)
    assert found.shape == ((height // size) * (width // size), size, size, 1)
    at = 0
    for y in range(0, height - size + 1, size):
        for x in range(0, width - size + 1, size):
            np.testing.assert_array_equal(found[at], picture[y : y + size, x : x + size])
            at += 1
