"""Laws of interpolation, extrapolation and digital gain, and the statistics of what is drawn."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalogs import cameras
from catalogs.camera import MID_GREY
from noisegen.errors import InputError

HEAD = """
title = "made up"
figures = "calibrated"
licence = "none"
note = "for tests"
cfa = "RGGB"
read_includes = []
{extra}
[[sources]]
figures = "noise"
path = "nowhere"
[levels]
black = 64
white = 1023
bits = 10
[color]
substitute = "google-mixture"
[noise]
"""

TABLE = """
kind = "table"
points = [
    { iso = 100, shot = 1e-4, read = 1e-7 },
    { iso = 400, shot = 4e-4, read = 8e-7 },
    { iso = 800, shot = 9e-4, read = 2e-7 },
    { iso = 1600, shot = 18e-4, read = 7e-7 },
]
"""


def made(noise, extra=""):
    return cameras.parse(HEAD.format(extra=extra) + noise, "made", "made.toml")


SMOOTH = made(TABLE)
DUAL = made(TABLE, "breakpoints = [800]")
AMPLIFIED = made(TABLE, "max_analog_iso = 800")


def at(camera, iso):
    parameters = camera.typical(iso=iso).parameters
    return parameters.shot[0], parameters.read[0]


@pytest.mark.parametrize("camera", [SMOOTH, DUAL])
def test_exact_at_calibrated_points(camera):
    for point in camera.noise.points:
        assert at(camera, point.iso) == (point.shot[0], point.read[0])


def test_log_log_between_two_points():
    # Half way between 100 and 400 in logarithms is 200: geometric means.
    assert at(SMOOTH, 200) == pytest.approx((2e-4, math.sqrt(8e-14)))


@given(st.floats(0, 1), st.integers(0, 2))
def test_values_lie_between_the_neighbours(t, i):
    below, above = SMOOTH.noise.points[i : i + 2]
    iso = min(max(below.iso * (above.iso / below.iso) ** t, below.iso), above.iso)
    for value, name in zip(at(SMOOTH, iso), ("shot", "read"), strict=True):
        ends = sorted((getattr(below, name)[0], getattr(above, name)[0]))
        assert ends[0] * (1 - 1e-12) <= value <= ends[1] * (1 + 1e-12)


@given(st.floats(100, 1599), st.floats(1e-6, 1))
def test_shot_noise_grows_with_iso(iso, step):
    assert at(SMOOTH, iso)[0] <= at(SMOOTH, min(iso * (1 + step), 1600))[0] * (1 + 1e-12)


@given(st.floats(400, 799.999))
def test_nothing_is_interpolated_across_a_breakpoint(iso):
    # Below 800 the line through 100 and 400 goes on: shot ∝ ISO, read ∝ ISO^1.5.
    shot, read = at(DUAL, iso)
    assert shot == pytest.approx(1e-6 * iso)
    assert read == pytest.approx(8e-7 * (iso / 400) ** 1.5)
    assert read >= 8e-7 * (1 - 1e-12) > 2e-7


def test_published_gain_modes_are_kept_apart():
    # Read noise of the A7S II rises to the step and falls at ISO 2000.
    camera = cameras.load("SonyA7S2-PMN")
    assert at(camera, 1999)[1] > at(camera, 1600)[1] > 4 * at(camera, 2000)[1]


@given(st.floats(1, 64))
def test_digital_gain_scales_shot_with_g_and_read_with_its_square(g):
    state = AMPLIFIED.typical(iso=800 * g)
    assert state.parameters.shot[0] == pytest.approx(9e-4 * g)
    assert state.parameters.read[0] == pytest.approx(2e-7 * g * g)
    assert state.gain == pytest.approx(9e-4 * g * (1023 - 64))
    assert state.warnings == ()


def test_digital_gain_scales_every_term():
    text = """
kind = "table"
unit = "DN"
points = [
    { iso = 100, shot = 0.1, read_std = 1.0, row = 0.2, tukey_lambda = 0.1, tukey_scale = 0.6 },
    { iso = 200, shot = 0.2, read_std = 1.5, row = 0.3, tukey_lambda = 0.0, tukey_scale = 0.8 },
]
"""
    camera = made(text, "max_analog_iso = 200")
    low = camera.typical(model="eld", iso=200).parameters
    high = camera.typical(model="eld", iso=800).parameters
    assert low.row == pytest.approx(0.3 / 959)
    assert low.tukey_scale == pytest.approx(0.8 / 959)
    assert (high.row, high.tukey_scale) == pytest.approx((4 * low.row, 4 * low.tukey_scale))
    assert high.tukey_lambda == low.tukey_lambda == 0


@pytest.mark.parametrize("iso", [50, 3200])
def test_extrapolation_continues_the_line_and_warns(iso):
    state = SMOOTH.typical(iso=iso)
    assert any("outside the calibrated 100..1600" in w for w in state.warnings)
    expected = {50: 5e-5, 3200: 36e-4}[iso]
    assert state.parameters.shot[0] == pytest.approx(expected)
    assert SMOOTH.typical(iso=1600).warnings == ()


def test_read_noise_of_zero_is_interpolated_linearly():
    camera = made(
        'kind = "table"\npoints = [{ iso = 100, shot = 1e-4, read = 0 },'
        "{ iso = 400, shot = 4e-4, read = 2e-6 }]"
    )
    assert at(camera, 200) == pytest.approx((2e-4, 1e-6))
    assert at(camera, 50)[1] == 0


def test_constant_table_warns_inside_and_is_refused_outside():
    camera = cameras.load("IP")
    state = camera.draw(np.random.default_rng(0), iso=400)
    assert state.parameters.shot == (0.000735,) * 4
    assert any("same noise at every ISO" in w for w in state.warnings)
    with pytest.raises(InputError, match=r"IP .*100\.\.1600"):
        camera.draw(np.random.default_rng(0), iso=3200)


def test_awgn_is_read_noise_plus_shot_noise_at_mid_grey():
    state = SMOOTH.draw(np.random.default_rng(0), model="awgn", iso=400)
    assert state.parameters.shot == (0.0,) * 4
    assert state.parameters.read == pytest.approx((8e-7 + MID_GREY * 4e-4,) * 4)
    assert state.gain == pytest.approx(4e-4 * 959)


def test_same_generator_same_draw():
    camera = cameras.load("NikonD850")
    first, second = (camera.draw(np.random.default_rng(3)) for _ in range(2))
    assert first[1:] == second[1:]
    # The setting and the scatter do not depend on the model.
    plain, rows = (
        camera.draw(np.random.default_rng(3), model=m) for m in ("heteroscedastic", "eld-gaussian")
    )
    assert first.gain == plain.gain == rows.gain
    assert plain.parameters.read == rows.parameters.read
    assert first.parameters.row == rows.parameters.row


def uniform_z(values, low, high):
    """Return how many standard errors the mean of n uniforms lies from the middle."""
    u = (np.asarray(values) - low) / (high - low)
    assert u.min() >= -1e-9 and u.max() <= 1 + 1e-9
    return (u.mean() - 0.5) * math.sqrt(12 * len(u))


# Each z below is beyond 5 once in 1.7 million runs; the seeds are fixed besides.
N = 4000


@pytest.mark.parametrize("iso", [None, (100, 3200), (400, 800)])
def test_iso_is_log_uniform(iso):
    rng = np.random.default_rng(11)
    camera = cameras.load("GP")
    drawn = [math.log(camera.draw(rng, iso=iso).iso) for _ in range(N)]
    low, high = np.log(iso or (100, 3200))
    assert abs(uniform_z(drawn, low, high)) < 5
    # The variance of a uniform is 1/12, its estimate has standard error sqrt(1/180/n).
    u = (np.array(drawn) - low) / (high - low)
    assert abs(u.var() - 1 / 12) < 5 * math.sqrt(1 / 180 / N)


def test_regression_scatter_has_the_published_moments():
    rng = np.random.default_rng(12)
    camera = cameras.load("SonyA7S2")
    states = [camera.draw(rng, model="eld-gaussian") for _ in range(N)]
    rng = np.random.default_rng(12)
    tukey = [camera.draw(rng, model="eld").parameters.tukey_scale for _ in range(N)]
    log_k = np.log([s.gain for s in states])
    assert abs(uniform_z(log_k, math.log(0.0939161), math.log(6.01063))) < 5
    full = 15583
    terms = {
        "gaussian": (
            np.log([math.sqrt(s.parameters.read[0]) * full for s in states]),
            (0.54075, 1.21824, 0.267512),
        ),
        "tukey": (
            np.log(np.multiply(tukey, full)),
            (0.462105, 0.565715, 0.263371),
        ),
        "row": (
            np.log([s.parameters.row * full for s in states]),
            (0.527536, -0.5917, 0.294288),
        ),
    }
    residuals = []
    for values, (slope, bias, sigma) in terms.values():
        z = (values - slope * log_k - bias) / sigma
        residuals.append(z)
        assert abs(z.mean()) < 5 / math.sqrt(N)
        assert abs(z.var() - 1) < 5 * math.sqrt(2 / N)
    # The three are drawn independently: a correlation has standard error 1 / sqrt(n).
    correlation = np.corrcoef(residuals) - np.eye(3)
    assert np.abs(correlation).max() < 5 / math.sqrt(N)


@pytest.mark.parametrize(
    ("name", "slope", "intercept", "sigma", "ends"),
    [
        ("google", 2.18, 1.2, 0.26, (1e-4, 0.012)),
        ("dualdn", 2.5407496082896145, 1.218237123334061, 0.26751211630129734, (2e-4, 0.02)),
    ],
)
def test_prior_has_the_published_distribution(name, slope, intercept, sigma, ends):
    rng = np.random.default_rng(13)
    camera = cameras.load(name)
    parameters = [camera.draw(rng).parameters for _ in range(N)]
    log_shot = np.log([p.shot[0] for p in parameters])
    assert abs(uniform_z(log_shot, *np.log(ends))) < 5
    z = (np.log([p.read[0] for p in parameters]) - slope * log_shot - intercept) / sigma
    assert abs(z.mean()) < 5 / math.sqrt(N)
    assert abs(z.var() - 1) < 5 * math.sqrt(2 / N)


def test_dnd_draws_the_level_of_an_image():
    rng = np.random.default_rng(14)
    camera = cameras.load("SonyA7R")
    points = camera.noise.points
    drawn = [camera.draw(rng).parameters.shot[0] for _ in range(N)]
    total = sum(p.images for p in points)
    assert total == 13
    for point in points:
        share, p = np.mean(np.isclose(drawn, point.shot[0], rtol=1e-9)), point.images / total
        assert abs(share - p) < 5 * math.sqrt(p * (1 - p) / N)


def test_dnd_interpolates_by_gain():
    # SonyA7R, full scale 7424: half way between two levels in log gain.
    shot = math.sqrt(0.000106288 * 0.000186897)
    parameters = cameras.load("SonyA7R").typical(gain=shot * 7424).parameters
    assert parameters.shot == pytest.approx((shot,) * 4)
    assert parameters.read == pytest.approx((math.sqrt(5.65292e-8 * 9.96703e-8),) * 4)


def test_color_of_a_camera_with_a_matrix_and_a_neutral():
    color = cameras.load("S6").draw_color(np.random.default_rng(0))
    assert np.sum(color.cam_to_xyz, axis=1) == pytest.approx(np.ones(3))
    # The D65 matrix is the one used: rows of its inverse, normalised.
    rows = np.array([[0.6640625, -0.04589844, -0.12011719], [-0.54296875, 1.43847656, 0.07128906]])
    rows = np.vstack([rows, [-0.17675781, 0.40527344, 0.47558594]])
    expected = np.linalg.inv(rows / rows.sum(axis=1, keepdims=True))
    assert np.array(color.cam_to_xyz) == pytest.approx(expected)
    assert color.white_balance == pytest.approx((1 / 0.55273438, 1, 1 / 0.484375))


def test_color_of_a_camera_without_any():
    rng = np.random.default_rng(15)
    drawn = [cameras.load("GP").draw_color(rng) for _ in range(1000)]
    red, green, blue = np.array([c.white_balance for c in drawn]).T
    assert (green == 1).all()
    assert abs(uniform_z(red, 1.9, 2.4)) < 5
    assert abs(uniform_z(blue, 1.5, 1.9)) < 5
    matrices = np.array([c.cam_to_xyz for c in drawn])
    assert matrices.sum(axis=2) == pytest.approx(np.ones((1000, 3)))
    assert len({c.description for c in drawn}) == 1000


@pytest.mark.parametrize("name", cameras.names())
def test_a_settled_camera_does_not_depend_on_its_draws(name):
    camera = cameras.load(name)
    low, high = camera.iso_range or camera.gain_range or (1.0, 1.0)
    key = "iso" if camera.iso_range else "gain"
    rng = np.random.default_rng(0)
    for setting in ({}, {key: low}, {key: (high, high)}, {key: (low, high)}):
        camera.check(**setting)
        states = {camera.at(rng.random(4).tolist(), **setting)._replace(warnings=()) for _ in "123"}
        assert camera.is_settled(**setting) == (len(states) == 1)
