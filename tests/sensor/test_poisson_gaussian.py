"""Poisson shot noise and Gaussian read noise of one normal: formula, law, and which pixels.

A statistic of n samples is allowed five of its standard errors; a p-value is at least 1e-6.
"""

import numpy as np
import pytest
from scipy import special, stats

from noisegen.cfa import plane_map
from noisegen.kernels import normals
from noisegen.kernels.draws import LEAST_READ, THIRD_BELOW
from noisegen.random import Field, body_counter, counter
from noisegen.sensor import BodyParameters, Levels, NoiseParameters, add_noise, get

BLACK, WHITE, GAIN = 512, 16383, 4.0
SPAN = WHITE - BLACK
LEVELS = Levels((BLACK,) * 4, WHITE)
MODEL = get("poisson-gaussian")
SIGMAS = 5


def parameters(*reads, gain=GAIN):
    """Figures of a gain in DN an electron and of read noise in electrons."""
    reads = reads * 4 if len(reads) == 1 else reads
    return NoiseParameters((gain / SPAN,) * 4, tuple((gain * e / SPAN) ** 2 for e in reads))


def scene(shape=(64, 300)):
    """Dim, and below black in places, so that every way of drawing occurs in a block."""
    rng = np.random.default_rng(0)
    mosaic = BLACK - 8 + GAIN * np.exp(rng.uniform(0, np.log(3000), shape))
    mosaic[8:16] = BLACK + GAIN * rng.uniform(40, 3000, (8, shape[1]))
    return mosaic.astype(np.uint16)


@pytest.mark.parametrize("read", [0.9, 2.5, 5.0])
def test_the_kernel_is_the_formula(read):
    mosaic, where = scene(), counter(3, 4, 5)
    out = add_noise(mosaic, LEVELS, MODEL, parameters(read), LEVELS, "RGGB", where, y=3, x=70)
    z = normals(mosaic.shape, where, Field.READ, 3, 70).astype(np.float64)
    d = mosaic.astype(np.float64) - BLACK
    mean = np.maximum(d, 0) / GAIN
    v = mean + read**2
    r, s = mean / v, np.sqrt(v)
    third = (
        (z**4 - 6 * z**2 + 3) / 120
        - r * (z**4 - 5 * z**2 + 2) / 24
        + r**2 * (12 * z**4 - 53 * z**2 + 17) / 324
    )
    second = (z**3 - 3 * z) / 24 - r * (2 * z**3 - 5 * z) / 36
    second += np.where(v < THIRD_BELOW, third / s, 0)
    value = BLACK + d + GAIN * (s * z + r * ((z**2 - 1) / 6 + second / s)) + 0.5
    sure = (np.abs(value - np.rint(value)) > 1e-2) & (v >= 16)
    assert sure.mean() > 0.5
    np.testing.assert_array_equal(out[sure], np.floor(value).clip(0, WHITE)[sure])


@pytest.mark.parametrize("read", [0.85, 1.5, 2.5, 4.5])
@pytest.mark.parametrize("mean", [0.5, 9, 15, 20, 40, 400])
def test_codes_follow_the_exact_law(mean, read):
    """Both sides of the split: the histogram of the codes against the convolution."""
    gain = 16.0
    level = round(BLACK + gain * mean)
    flat = np.full((1000, 1000), level, np.uint16)
    figures = parameters(read, gain=gain)
    codes = add_noise(flat, LEVELS, MODEL, figures, LEVELS, "RGGB", counter(9, level))
    # Bins of four codes; a code holds what lies half a code around it.
    edges = np.arange(0, 8 * gain * (mean + 10 * read + 8), 4) - 0.5 + level % 4
    counts = np.arange(stats.poisson.isf(1e-14, mean) + 1)
    weights = stats.poisson.pmf(counts, mean)
    cdf = special.ndtr((edges[:, None] - BLACK - gain * counts) / (gain * read)) @ weights
    law, seen = np.diff(cdf) * codes.size, np.histogram(codes, edges)[0]
    common = law >= 10
    chi2 = ((seen - law)[common] ** 2 / law[common]).sum()
    assert common.sum() > 10
    assert stats.chi2.sf(chi2, common.sum()) > 1e-6
    electrons, n = (codes - float(level)) / gain, codes.size
    v = mean + read**2
    kurtosis = 3 + mean / v**2
    assert abs(electrons.mean()) < SIGMAS * np.sqrt(v / n)
    assert abs(electrons.var() - v - 1 / 12 / gain**2) < SIGMAS * v * np.sqrt((kurtosis - 1) / n)
    # The skew of a law that is nearly normal has standard error √(6/n), somewhat more if it is not.
    spread = np.sqrt((6 + 24 * mean / v**2 + 4 * mean**2 / v**3) / n)
    assert abs(stats.skew(electrons.ravel()) - mean / v**1.5) < SIGMAS * spread


def test_a_plane_is_drawn_by_its_own_figures_alone():
    """Read noise that is too small in one plane leaves the bytes of the others as they are."""
    mosaic, where = scene(), counter(1, 1)
    reads = [2.5, 2.5, 0.5, 2.5]
    out = [
        add_noise(mosaic, LEVELS, MODEL, parameters(*some), LEVELS, "RGGB", where)
        for some in ([2.5], [0.5], reads)
    ]
    blue = plane_map("RGGB", mosaic.shape) == 2
    np.testing.assert_array_equal(out[2], np.where(blue, out[1], out[0]))


@pytest.mark.parametrize("read", [0.0, 0.99 * LEAST_READ**0.5])
def test_read_noise_that_does_not_hide_the_steps_leaves_the_count_whole(read):
    gain = 64.0
    flat = np.full((100, 100), BLACK + 40 * 64, np.uint16)
    figures = parameters(read, gain=gain)
    arguments = (LEVELS, MODEL, figures, LEVELS, "RGGB", counter(1, 1))
    codes = add_noise(flat, *arguments).astype(np.float64)
    z = normals(flat.shape, counter(1, 1), Field.READ)
    count = (codes - BLACK - gain * read * z) / gain
    # What is left after the read noise is whole numbers, but for rounding to codes.
    assert np.abs(count - np.rint(count)).max() < 0.51 / gain
    assert np.ptp(np.rint(count)) > 30


def test_a_body_of_one_readout_draws_the_same_noise():
    mosaic, where = scene(), counter(2, 2)
    arguments = (mosaic, LEVELS, MODEL, parameters(2.5), LEVELS, "RGGB", where)
    body = BodyParameters(dead_pixels=1e-3)
    out = add_noise(*arguments, body=body, body_counter=body_counter(1, 1, 1))
    same = out == add_noise(*arguments)
    assert 0.99 < same.mean() < 1


def test_two_readouts_keep_the_count_apart():
    """The level that a readout is chosen by is one of electrons, before read noise."""
    flat = np.full((400, 400), BLACK + 400, np.uint16)
    body = BodyParameters(dual_gain_level=400 / SPAN, dual_gain_ratio=50.0)
    arguments = (flat, LEVELS, MODEL, parameters(1.0), LEVELS, "RGGB", counter(2, 2))
    codes = add_noise(*arguments, body=body, body_counter=body_counter(1, 1, 1)).astype(float)
    above = stats.poisson.sf(100, 100)
    var = GAIN**2 * 100 + (GAIN * 1) ** 2 * (1 + above * (50**2 - 1)) + 1 / 12
    # The fourth moment of the mixture is at most 3 (50 GAIN)^4 and what the count adds.
    error = np.sqrt(3 * (50 * GAIN) ** 4 / codes.size)
    assert abs(codes.var() - var) < SIGMAS * error
