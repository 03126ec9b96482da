"""The bulk unprocessing is held to the stage-by-stage inverse, and undone by the ISP."""

import itertools

import numpy as np
import pytest

from noisegen.cfa import PHASES, plane_map
from noisegen.errors import InputError
from noisegen.isp import inverse
from noisegen.isp.bulk import render, unprocess
from noisegen.isp.parameters import GAMMAS, IspParameters
from noisegen.isp.tone import ToneCurve

MATRIX = ((0.7, 0.2, 0.1), (0.25, 0.8, -0.05), (0.02, -0.1, 1.08))
GAINS = (2.1, 1.0, 1.5)
BLACK = (512.0, 514.0, 510.5, 512.0)
WHITE = 15871.0


TONES = (
    None,
    ToneCurve("amplification", 0.6),
    ToneCurve("smoothstep", 0.9),
    ToneCurve("s-curve", 0.5, 0.3),
)


def picture(dtype, shape=(21, 26, 3)):
    """Independent values over the whole range, both ends among them."""
    values = np.random.default_rng(2).random(shape)
    values[0, :4], values[1, :4] = 0, 1
    if dtype == np.float32:
        return values.astype(dtype)
    return np.rint(values * np.iinfo(dtype).max).astype(dtype)


def by_stages(rgb, phase, parameters, **options):
    values = rgb.astype(np.float64)
    if rgb.dtype != np.float32:
        values /= np.iinfo(rgb.dtype).max
    x = inverse.unprocess(values, parameters, phase, **options)
    zero = np.asarray(BLACK)[plane_map(phase, x.shape)]
    return np.clip(np.floor(zero + x * (WHITE - zero) + 0.5), 0, WHITE)


@pytest.mark.parametrize("highlights", ["saturate", "plain"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("phase", PHASES)
def test_kernel_equals_the_inverse_stages(phase, dtype, highlights):
    rgb = picture(dtype)
    for gamma, tone, encoded in itertools.product(GAMMAS, TONES, (True, False)):
        parameters = IspParameters(GAINS, MATRIX, gamma=gamma, alpha=-0.5)
        options = {"encoded": encoded, "highlights": highlights, "tone": tone}
        options["exposure"] = 1.7 if tone is None else 0.7
        ours = unprocess(rgb, phase, BLACK, WHITE, parameters, **options)
        expected = by_stages(rgb, phase, parameters, **options)
        difference = np.abs(ours - expected)
        assert ours.dtype == np.uint16
        assert difference.max() <= 1
        assert (difference > 0).mean() <= 0.01


def test_flat_pictures_come_back_through_the_isp():
    # On a flat picture every demosaicer is exact, so what is left is the rounding of the mosaic:
    # half a digital number of 15 359, times slopes of up to 5 (white balance and matrix) and 12.92.
    for alpha, code in itertools.product((0.0, 0.6), (3, 40, 128, 200, 255)):
        parameters = IspParameters(GAINS, MATRIX, alpha=alpha)
        flat = np.full((16, 16, 3), code, np.uint8)
        mosaic = unprocess(flat, "GRBG", BLACK, WHITE, parameters)
        back = render(mosaic, "GRBG", BLACK, WHITE, parameters)
        np.testing.assert_allclose(back.astype(int), flat, atol=1)


def test_white_saturates_only_where_highlights_are_saved():
    white = np.full((4, 6, 3), 255, np.uint8)
    parameters = IspParameters(GAINS, MATRIX)
    saved = unprocess(white, "RGGB", BLACK, WHITE, parameters)
    plain = unprocess(white, "RGGB", BLACK, WHITE, parameters, highlights="plain")
    assert np.all(saved == WHITE)
    assert np.all(plain[0::2, 0::2] < WHITE)  # red, which the white balance will raise
    assert np.all(plain[0::2, 1::2] == WHITE)  # green, which it will not


def test_a_strided_picture_is_read_as_it_is():
    rgb = picture(np.uint8, (20, 30, 3))
    parameters = IspParameters(GAINS, MATRIX)
    view = rgb[::2, ::-1]
    np.testing.assert_array_equal(
        unprocess(view, "RGGB", BLACK, WHITE, parameters),
        unprocess(view.copy(), "RGGB", BLACK, WHITE, parameters),
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"picture": np.zeros((4, 4), np.uint8)}, "picture of shape"),
        ({"picture": np.zeros((4, 4, 3), np.int32)}, "picture of shape"),
        ({"picture": np.full((4, 4, 3), np.nan, np.float32)}, "NaN"),
        ({"black": (1.0, 2.0)}, "four black levels"),
        ({"exposure": 0.0}, "exposure 0.0: a finite factor above 0"),
        ({"exposure": float("nan")}, "exposure nan"),
        ({"highlights": "keep"}, "highlights"),
    ],
)
def test_wrong_input_is_refused_by_name(change, message):
    arguments = {"picture": picture(np.uint8), "black": BLACK, "white": WHITE} | change
    with pytest.raises(InputError, match=message):
        unprocess(phase="RGGB", parameters=IspParameters(GAINS, MATRIX), **arguments)
