"""Published formulas and priors, and the fast kernels held to the formulas."""

import numpy as np
import pytest
from scipy import stats

from noisegen.errors import InputError, UnknownNameError
from noisegen.kernels import normals, words
from noisegen.random import Field, counter
from noisegen.sensor import Levels, NoiseModel, NoiseParameters, add_noise, formulas, get, sampling

LEVELS = Levels((512,) * 4, 16383)
SPAN = 16383 - 512


def test_floors_and_saturation():
    x = np.array([0.0, 0.5])
    z = np.array([1.0, 1.0])
    np.testing.assert_allclose(formulas.heteroscedastic(x, z, 0, 0), x + 1e-5)
    np.testing.assert_allclose(formulas.poisson_gaussian([0, 2], z, 0.1, 0), [1e-5, 0.2 + 1e-5])
    np.testing.assert_allclose(formulas.noise_map(x, 0, 0), np.sqrt(1e-7))
    # Saturation 4: x = 0.5 is 2 electron units of variance 0.02; the noise comes back divided.
    scaled = formulas.heteroscedastic(x, z, 0.01, 0, saturation=4.0)
    np.testing.assert_allclose(scaled[1], 0.5 + np.sqrt(0.02) / 4)
    np.testing.assert_allclose(formulas.published_clip([-0.1, 0.3, 1.2]), [0, 0.3, 1])


def test_the_gaussian_kernel_is_the_formula_rounded():
    mosaic = np.random.default_rng(3).integers(512, 16384, (61, 517)).astype(np.uint16)
    shot, read = 4 / SPAN, (10 / SPAN) ** 2
    where = counter(8, 3)
    parameters = NoiseParameters((shot,) * 4, (read,) * 4)
    codes = add_noise(
        mosaic, LEVELS, get("heteroscedastic"), parameters, LEVELS, "RGGB", where, y=-7, x=9
    )
    z = normals(mosaic.shape, where, Field.READ, -7, 9).astype(np.float64)
    noisy = formulas.heteroscedastic((mosaic - 512.0) / SPAN, z, shot, read)
    value = 512 + noisy * SPAN + 0.5
    expected = np.clip(np.floor(value), 0, 16383)
    near = np.abs(value - np.rint(value)) < 2e-3
    assert near.mean() < 0.01
    np.testing.assert_array_equal(codes[~near], expected[~near])
    assert np.abs(codes - expected).max() <= 1


def test_gaussian_shot_with_tukey_read_is_the_formula_rounded():
    """Planes that differ, another phase, both fields, row offsets and bias."""
    mosaic = np.random.default_rng(4).integers(400, 4000, (40, 90)).astype(np.uint16)
    levels_in = Levels((500, 510, 520, 530), 4095)
    levels = Levels((60.5, 62, 63.25, 64), 1023)
    parameters = NoiseParameters(
        shot=(1e-3, 2e-3, 3e-3, 4e-3),
        read=(0,) * 4,
        row=2e-3,
        tukey_lambda=0.5,
        tukey_scale=4e-3,
        bias=(1e-3, -1e-3, 2e-3, 0),
    )
    model = NoiseModel("mixed", "gaussian", "tukey-lambda", row=True, bias=True)
    where = counter(5, 1, 9)
    codes = add_noise(
        mosaic, levels_in, model, parameters, levels, "GBRG", where, y=2, x=3, gain=0.5
    )
    plane = np.tile([[3, 2], [0, 1]], (20, 45))
    black_in, black = (np.asarray(one.black)[plane] for one in (levels_in, levels))
    d = 0.5 * (mosaic - black_in) / (4095 - black_in) * (1023 - black)
    span = 1023 - black
    z = normals(mosaic.shape, where, Field.SHOT, 2, 3).astype(np.float64)
    noise = np.sqrt(np.maximum(d, 0) * np.asarray(parameters.shot)[plane] * span) * z
    word = words(mosaic.shape, where, Field.READ, 2, 3)
    tail = ((word >> 1) + 0.5) / 2**32
    quantile = (np.sqrt(tail) - np.sqrt(1 - tail)) / 0.5
    noise += 4e-3 * span * np.where(word & 1, -quantile, quantile)
    noise += 2e-3 * (1023 - 62) * normals((40, 1), where, Field.ROW, 2, 0)
    value = black + d + np.asarray(parameters.bias)[plane] * span + noise + 0.5
    near = np.abs(value - np.rint(value)) < 1e-3
    expected = np.clip(np.floor(value), 0, 1023)
    np.testing.assert_array_equal(codes[~near], expected[~near])


@pytest.mark.parametrize("camera", sampling.DUALDN_CAMERAS)
def test_dualdn_prior_follows_its_line(camera):
    rng = np.random.default_rng(1)
    n = 4000
    drawn = np.log([sampling.dualdn_prior(rng, camera) for _ in range(n)])
    line = sampling.DUALDN_CAMERAS[camera]
    spread = drawn[:, 1] - (line.slope + 2) * drawn[:, 0] - line.bias
    assert stats.kstest(spread / line.spread, "norm").pvalue > 1e-6
    low, high = np.log(2e-4), np.log(2e-2)
    assert stats.kstest((drawn[:, 0] - low) / (high - low), "uniform").pvalue > 1e-6


def test_priors_draw_in_the_published_order():
    state = np.random.RandomState(100)
    K = np.exp(state.uniform(np.log(2e-4), np.log(2e-2)))
    n = state.normal()
    line = sampling.DUALDN_CAMERAS["SonyA7S2"]
    S = np.exp((line.slope + 2) * np.log(K) + line.bias + line.spread * n)
    drawn = sampling.dualdn_prior(np.random.RandomState(100))
    np.testing.assert_allclose(drawn, (K, S), rtol=1e-12)


def test_google_prior_follows_its_line():
    rng = np.random.default_rng(2)
    drawn = np.log([sampling.google_prior(rng) for _ in range(4000)])
    spread = (drawn[:, 1] - 2.18 * drawn[:, 0] - 1.20) / 0.26
    assert stats.kstest(spread, "norm").pvalue > 1e-6
    assert np.log(1e-4) <= drawn[:, 0].min() < drawn[:, 0].max() <= np.log(1.2e-2)


def test_refusals_of_priors():
    with pytest.raises(UnknownNameError, match="did you mean 'SonyA7S2'"):
        sampling.dualdn_prior(np.random.default_rng(1), "SonyA7S3")
    with pytest.raises(InputError, match="0 < low <= high"):
        sampling.log_uniform(np.random.default_rng(1), 3, 2)
