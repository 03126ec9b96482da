"""The predicted noise of a grey is what a rendered grey has."""

import numpy as np
import pytest

from noisegen import cfa
from noisegen.errors import InputError
from noisegen.isp.bulk import render
from noisegen.isp.parameters import DEMOSAICS, GAMMAS, IspParameters
from noisegen.isp.rendered_noise import NODES, luma_curve, rendered_noise
from noisegen.jpeg import YCBCR

MATRIX = ((0.7161, 0.2475, 0.0364), (0.2759, 0.9854, -0.2613), (0.0253, -0.2454, 1.2201))
SHOT = np.array([4e-4, 3e-4, 5e-4, 3.2e-4])
READ = np.array([2e-6, 1e-6, 3e-6, 1e-6])
SIDE = 512
BLACK, WHITE = (2000.0,) * 4, 62000.0


@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize("demosaic", DEMOSAICS)
def test_prediction_is_what_is_measured(demosaic, gamma):
    parameters = IspParameters((2.1, 1.0, 1.5), MATRIX, demosaic=demosaic, gamma=gamma, alpha=0.4)
    level, planes = 0.18, cfa.plane_map("RGGB", (SIDE, SIDE))
    x = (level / np.array(parameters.gains)[[0, 1, 2, 1]])[planes]
    rng = np.random.default_rng(7)
    noisy = x + rng.normal(size=x.shape) * np.sqrt(SHOT[planes] * x + READ[planes])
    mosaic = np.round(noisy * 60000 + 2000).astype(np.uint16)
    picture = render(mosaic, "RGGB", BLACK, WHITE, parameters, bits=16) / 65535 @ YCBCR.T
    luma, cb, cr = picture.std(axis=(0, 1))
    found = rendered_noise(SHOT, READ, parameters, level)
    # 512² pixels, about four of them correlated: a standard deviation is good to 0.3 %, and the
    # first order of the curve to about 1 %. AHD's luma is predicted a twentieth low.
    low = 0.92 if demosaic == "ahd" else 0.975
    assert low < found.luma / luma < 1.025
    assert 0.975 < found.chroma / np.sqrt((cb**2 + cr**2) / 2) < 1.025


def test_noise_grows_with_the_sensor_noise_alone():
    parameters = IspParameters((2.1, 1.0, 1.5), MATRIX)
    once = rendered_noise(SHOT, READ, parameters)
    twice = rendered_noise(4 * SHOT, 4 * READ, parameters)
    np.testing.assert_allclose(twice, 2 * np.array(once), rtol=1e-12)
    assert rendered_noise(0 * SHOT, 0 * READ, parameters) == (0, 0)


def test_the_curve_is_the_prediction_at_each_grey():
    parameters = IspParameters((2.1, 1.0, 1.5), MATRIX, alpha=0.4)
    curve = luma_curve(SHOT, READ, parameters)
    assert len(curve) == NODES
    middle = rendered_noise(SHOT, READ, parameters).luma
    for level in (0.001, 0.02, 0.18, 0.6):
        luma = render(
            np.full((8, 8), round(60000 * level), np.uint16),
            "RGGB", (0.0,) * 4, 60000.0, IspParameters((1, 1, 1), MATRIX, alpha=0.4), bits=16,
        ).mean() / 65535  # fmt: skip
        expected = rendered_noise(SHOT, READ, parameters, level).luma / middle
        found = np.interp(luma, np.linspace(0, 1, NODES), curve)
        # linear between 33 nodes
        assert found == pytest.approx(expected, rel=0.05)
    assert luma_curve(0 * SHOT, 0 * READ, parameters) == (1.0,) * NODES


@pytest.mark.parametrize("level", [0.0, 1.0, -1.0])
def test_levels_without_a_first_order_are_refused(level):
    with pytest.raises(InputError, match="grey level"):
        rendered_noise(SHOT, READ, IspParameters((2.1, 1.0, 1.5), MATRIX), level)
