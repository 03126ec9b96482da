"""Every noise term against its moments, over a grid of levels.

A statistic of n samples is allowed five (mean, variance) of its standard errors, computed from the
law's own moments: one false alarm in about 2e6 tests for each line.
"""

import numpy as np
import pytest
from scipy import integrate, stats

from noisegen.random import counter
from noisegen.sensor import (
    Levels,
    NoiseModel,
    NoiseParameters,
    add_noise,
    amplify,
    get,
    variance,
)
from noisegen.sensor.parameters import tukey_lambda_variance

SPAN = 16000
LEVELS = Levels((4000,) * 4, 4000 + SPAN)
SHAPE = (400, 1000)
N = SHAPE[0] * SHAPE[1]
SIGMAS = 5


def noise_of(level, model, parameters, seed=1, levels=LEVELS, **options):
    mosaic = np.full(SHAPE, level, np.uint16)
    codes = add_noise(
        mosaic, LEVELS, model, parameters, levels, "RGGB", counter(seed, level), **options
    )
    return codes.astype(np.float64) - level


def check_moments(sample, mean, var, kurtosis, skew=0.0):
    """Compare mean, variance and fourth moment; ``kurtosis`` is that of the law (normal: 3)."""
    sample = sample.ravel()
    n = sample.size
    assert abs(sample.mean() - mean) < SIGMAS * np.sqrt(var / n)
    assert abs(sample.var() - var) < SIGMAS * var * np.sqrt((kurtosis - 1) / n)
    if skew is not None:
        # For near-normal laws the skew has standard error √(6/n), the kurtosis √(24/n).
        assert abs(stats.skew(sample) - skew) < SIGMAS * 1.2 * np.sqrt(6 / n)
        assert abs(stats.kurtosis(sample, fisher=False) - kurtosis) < SIGMAS * 1.5 * np.sqrt(24 / n)


@pytest.mark.parametrize("level", [4000, 4100, 6000, 14000])
@pytest.mark.parametrize("name", ["awgn", "heteroscedastic"])
def test_gaussian_models(name, level):
    parameters = NoiseParameters((4 / SPAN,) * 4, ((10 / SPAN) ** 2,) * 4)
    model = get(name)
    sample = noise_of(level, model, parameters)
    expected = 100 + 1 / 12 + (4 * (level - 4000) if name == "heteroscedastic" else 0)
    assert variance((level - 4000) / SPAN, model, parameters, LEVELS) == pytest.approx(expected)
    check_moments(sample, 0, expected, 3)


@pytest.mark.parametrize("mean", [0.5, 1, 2, 5, 10, 15, 16, 17, 20, 50, 100, 300, 1000])
def test_poisson_shot_noise(mean):
    """Read noise zero and many DN per electron: the codes are the electrons themselves."""
    gain = 16 if mean < 500 else 8
    level = 4000 + round(mean * gain)
    mean = (level - 4000) / gain
    parameters = NoiseParameters((gain / SPAN,) * 4, (0,) * 4)
    codes = noise_of(level, get("poisson-gaussian"), parameters) + level - 4000
    count = codes / gain
    assert (count == np.rint(count)).all()
    check_moments(count, mean, mean, 3 + 1 / mean, skew=None)
    # Skew λ^-1/2, whose standard error for Poisson counts is at most √((6 + 24/λ + 4/λ²)/n).
    error = np.sqrt((6 + 24 / mean + 4 / mean**2) / N)
    assert abs(stats.skew(count.ravel()) - mean**-0.5) < SIGMAS * error
    seen = np.bincount(count.ravel().astype(int))
    law = stats.poisson.pmf(np.arange(seen.size), mean) * N
    common = law >= 10
    chi2 = ((seen - law)[common] ** 2 / law[common]).sum()
    rest = N - law[common].sum(), N - seen[common].sum()
    chi2 += (rest[1] - rest[0]) ** 2 / max(rest[0], 1)
    assert stats.chi2.sf(chi2, common.sum()) > 1e-6


@pytest.mark.parametrize("shape", [-0.2, -0.1, 0.0, 1e-5, 0.1, 0.5])
def test_tukey_lambda_read_noise(shape):
    scale = 40.0
    parameters = NoiseParameters((0,) * 4, (0,) * 4, tukey_lambda=shape, tukey_scale=scale / SPAN)
    model = NoiseModel("dark", "none", "tukey-lambda")
    sample = noise_of(9000, model, parameters)
    expected = scale**2 * stats.tukeylambda.var(shape) + 1 / 12
    assert variance(0.3, model, parameters, LEVELS) == pytest.approx(expected)
    kurtosis = 3 + stats.tukeylambda.stats(shape, moments="k") if shape > -0.24 else 30
    check_moments(sample, 0, expected, float(kurtosis), skew=None)
    dither = np.random.default_rng(1).uniform(-0.5, 0.5, sample.shape)
    assert (
        stats.kstest(((sample + dither) / scale).ravel(), stats.tukeylambda(shape).cdf).pvalue
        > 1e-6
    )


@pytest.mark.parametrize("shape", [-0.4, -0.1, -2e-4, -5e-5, 0, 5e-5, 2e-4, 0.14, 1, 3])
def test_variance_of_tukey_lambda(shape):
    # The variance is the integral of Q² over the unit interval; both ends by substitution.
    def squared(t):  # p = e^-t
        low, high = -t, np.log1p(-np.exp(-t))
        q = (np.expm1(shape * low) - np.expm1(shape * high)) / shape if shape else low - high
        return q * q * np.exp(-t)

    half, _ = integrate.quad(squared, np.log(2), 300, epsabs=1e-12, limit=500)
    assert tukey_lambda_variance(shape) == pytest.approx(2 * half, rel=1e-6)


def test_row_noise_is_one_offset_a_row():
    model = NoiseModel("rows", "none", "none", row=True)
    parameters = NoiseParameters((0,) * 4, (0,) * 4, row=200 / SPAN)
    tall = np.full((20000, 3), 9000, np.uint16)
    codes = add_noise(tall, LEVELS, model, parameters, LEVELS, "RGGB", counter(3, 1))
    assert (codes == codes[:, :1]).all()
    check_moments(codes[:, 0] - 9000.0, 0, 200**2 + 1 / 12, 3)
    other = add_noise(tall, LEVELS, model, parameters, LEVELS, "RGGB", counter(3, 1), x=77)
    np.testing.assert_array_equal(codes, other)


def test_rows_and_pixels_add_up():
    model = get("eld-gaussian")
    parameters = NoiseParameters(
        (4 / SPAN,) * 4, ((10 / SPAN) ** 2,) * 4, row=20 / SPAN, bias=(0.01, 0, -0.01, 0.02)
    )
    sample = noise_of(6000, model, parameters)
    within = sample - sample.mean(axis=1, keepdims=True)
    for plane, (dy, dx) in enumerate([(0, 0), (0, 1), (1, 1), (1, 0)]):
        part = sample[dy::2, dx::2]
        bias = parameters.bias[plane] * SPAN
        # The rows dominate the error of the mean: 200 of them of standard deviation 20.
        assert abs(part.mean() - bias) < SIGMAS * 20 / np.sqrt(200)
        inside = part - part.mean(axis=1, keepdims=True)
        expected = 4 * 2000 + 100 + 1 / 12
        assert inside.var() * 500 / 499 == pytest.approx(
            expected, rel=SIGMAS * np.sqrt(2 / part.size)
        )
    assert within.shape == SHAPE
    total = variance(2000 / SPAN, model, parameters, LEVELS)
    assert total == pytest.approx(4 * 2000 + 100 + 400 + 1 / 12)


@pytest.mark.parametrize("name", ["heteroscedastic", "poisson-gaussian", "eld-gaussian"])
def test_nothing_is_counted_twice(name):
    """Read noise measured on stored frames holds rounding and rows: the stored sum is the same."""
    measured = 3.0**2
    parameters = NoiseParameters(
        (0,) * 4,
        (measured / SPAN**2,) * 4,
        row=1.5 / SPAN,
        read_includes=("quantisation", "row"),
    )
    sample = noise_of(9000, get(name), parameters)
    assert variance(0.3, get(name), parameters, LEVELS) == pytest.approx(measured, rel=1e-6)
    # 400 row offsets carry a quarter of the variance: their sample variance sets the error.
    error = np.hypot(measured * np.sqrt(2 / N), 2.25 * np.sqrt(2 / SHAPE[0]))
    assert abs((sample**2).mean() - measured) < SIGMAS * error


def test_read_noise_below_rounding_is_floored():
    parameters = NoiseParameters((0,) * 4, (1e-12,) * 4, read_includes=("quantisation",))
    assert not noise_of(9000, get("awgn"), parameters).any()


def test_darkening_before_the_noise_and_gain_after_it():
    model = get("poisson-gaussian")
    parameters = NoiseParameters((4 / SPAN,) * 4, ((10 / SPAN) ** 2,) * 4)
    dark = noise_of(20000, model, parameters, gain=1 / 8) + 20000 - 6000
    check_moments(dark, 0, 4 * 2000 + 100 + 1 / 12, 3, skew=None)
    codes = (dark + 6000).astype(np.uint16)
    bright = amplify(codes, 8, LEVELS).astype(np.float64)
    np.testing.assert_array_equal(bright, np.clip(4000 + 8 * (codes - 4000.0), 0, 20000))


def test_shot_noise_of_two_rows_across_the_poisson_split_is_independent():
    """Mean 15.9 in even rows, 16.1 in odd ones: the two algorithms share no word."""
    mosaic = np.full((1000, 1000), 4000 + 159, np.uint16)
    mosaic[1::2] += 2
    parameters = NoiseParameters((10 / SPAN,) * 4, (0,) * 4)
    codes = add_noise(
        mosaic, LEVELS, get("poisson-gaussian"), parameters, LEVELS, "RGGB", counter(6, 1)
    )
    a, b = ((codes.astype(float) - mosaic)[i::2].ravel() / np.sqrt(1600) for i in (0, 1))
    n = a.size
    assert abs(np.corrcoef(a, b)[0, 1]) < SIGMAS / np.sqrt(n)
    assert abs(np.corrcoef(a**2, b**2)[0, 1]) < SIGMAS / np.sqrt(n)
