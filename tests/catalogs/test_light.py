"""Light drawn from the illuminant locus, and the gamut of every camera's colours."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from catalogs import cameras, light
from catalogs.camera import as_range
from noisegen import cfa
from noisegen.errors import InputError
from noisegen.isp import illuminant, inverse
from noisegen.isp.color import inverse as inverted
from noisegen.isp.parameters import IspParameters

NAMES = cameras.names()
TWO_LIGHTS = ("Nexus6P", "OMD_EM10", "S6", "SonyA7R", "SonyRX100", "iPhone12Pro")
MIXED = "GP"


def drawn(name, temperatures=None, seed=0):
    return light.draw(cameras.load(name), np.random.default_rng(seed), temperatures)


def parameters(color):
    return IspParameters(color.white_balance, color.cam_to_xyz)


@pytest.mark.parametrize("name", TWO_LIGHTS)
def test_the_locus_ends_at_the_published_matrices(name):
    camera = cameras.load(name)
    published = {m.illuminant: np.array(m.xyz_to_cam) for m in camera.color_matrices}
    for light_name, temperature in (("A", 2850), ("D65", 6500)):
        color = drawn(name, temperature)
        assert color.temperature == temperature
        matrix = published[light_name]
        neutral = matrix @ np.array(illuminant.white(temperature))
        np.testing.assert_allclose(color.white_balance, neutral[1] / neutral, rtol=1e-12)
        expected = illuminant.camera_to_srgb(matrix, temperature)
        np.testing.assert_allclose(parameters(color).ccm, expected, rtol=0, atol=1e-9)


@given(st.sampled_from((*TWO_LIGHTS, MIXED)), st.floats(1500, 12000), st.integers(0, 99))
def test_what_is_drawn_is_a_camera(name, temperature, seed):
    color = drawn(name, temperature, seed)
    assert min(color.white_balance) > 0
    np.testing.assert_allclose(np.sum(color.cam_to_xyz, axis=1), np.ones(3), rtol=1e-9)
    inverted(parameters(color).ccm)


def test_reciprocal_temperatures_are_uniform():
    # Kolmogorov-Smirnov, n = 2000: exceeded by chance once in 3e8 (2 exp(-2 n d²)).
    rng = np.random.default_rng(3)
    camera = cameras.load("SonyA7R")
    found = np.sort([1e6 / light.draw(camera, rng, (2500, 8000)).temperature for _ in range(2000)])
    uniform = (found - 125) / (400 - 125)
    d = np.abs(uniform - (np.arange(2000) + 0.5) / 2000).max() + 0.5 / 2000
    assert d < 0.071
    assert 125 <= found[0] <= found[-1] <= 400


def test_without_a_range_the_two_calibrations_are_the_ends():
    rng = np.random.default_rng(4)
    found = [light.draw(cameras.load("SonyA7R"), rng).temperature for _ in range(200)]
    # That none of 200 falls into the outer fifth at either end has odds of 2 (4/5)^200 = 1e-19.
    assert 2850 <= min(found) < 3200
    assert 5100 < max(found) <= 6500


@pytest.mark.parametrize("temperatures", [2850.0, 25000.0, (24999.0, 25000.0), (1000.0, 1001.0)])
def test_rounding_does_not_leave_the_range(temperatures):
    low, high = as_range("temperature", temperatures)
    for seed in range(50):
        assert low <= drawn("SonyA7R", temperatures, seed).temperature <= high


def test_a_camera_without_a_matrix_mixes_four_for_each_light():
    """The same weights for both lights: between them the mixture is a camera's locus."""
    rng = np.random.default_rng(5)
    weights = rng.random(4)
    weights /= weights.sum()
    four = ("Nexus6P", "SonyA7R", "OMD_EM10", "SonyRX100")
    for light_name, temperature in (("A", 2850), ("D65", 6500)):
        mixed = sum(
            weight * np.array(m.xyz_to_cam)
            for weight, name in zip(weights, four, strict=True)
            for m in cameras.load(name).color_matrices
            if m.illuminant == light_name
        )
        neutral = mixed @ np.array(illuminant.white(temperature))
        color = drawn(MIXED, temperature, 5)
        np.testing.assert_allclose(color.white_balance, neutral[1] / neutral, rtol=1e-12)
        assert "mixture of Nexus6P" in color.description


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("IMX296", "camera IMX296 has a colour matrix for D65 only"),
        ("CanonEOS550D", "has a colour matrix for an unknown light only"),
    ],
)
def test_one_matrix_makes_no_locus(name, message):
    with pytest.raises(InputError, match=f"{message}; .* use white_balance = 'camera'") as caught:
        drawn(name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "distance"),
    [("SonyA7R", 0.02), ("Nexus6P", 0.05), ("OMD_EM10", 0.05), ("SonyRX100", 0.08), ("S6", 0.14)],
)
def test_recorded_neutrals_lie_by_the_locus(name, distance):
    """The model against cameras' own white balances: as logarithms, the nearest light's gains."""
    camera = cameras.load(name)
    for r, g, b in camera.neutrals:
        gaps = [
            math.hypot(math.log(red * r / g), math.log(blue * b / g))
            for red, _, blue in (
                drawn(name, 1e6 / mired).white_balance for mired in range(120, 400)
            )
        ]
        assert min(gaps) < distance


def colours(name):
    """Every published colour of a camera: each neutral with its matrix, and both ends of the locus.

    Cameras without one are drawn fifty times.
    """
    camera = cameras.load(name)
    rng = np.random.default_rng(6)
    yield from (camera.draw_color(rng) for _ in range(50))
    if name in TWO_LIGHTS or not camera.color_matrices:
        yield from (drawn(name, t, seed) for t in (2850, 4000, 6500) for seed in range(10))


@pytest.mark.parametrize("name", NAMES)
def test_neutrals_stay_within_the_gamut_and_come_back(name):
    """Greys below the highlights reach the mosaic unclipped, and are exactly undone."""
    grey = np.repeat(np.linspace(0, 0.9, 32)[None, :, None], 2, axis=0) * np.ones(3)
    for color in colours(name):
        p = parameters(color)
        mosaic = inverse.unprocess(grey, p, "RGGB", encoded=False)
        gains = np.array(p.gains)[cfa.colors("RGGB")]
        plain = grey[..., 1] / np.tile(gains, (1, 16))
        np.testing.assert_allclose(mosaic, plain, rtol=0, atol=1e-12)
        assert (mosaic[:, 1:] > 0).all() and mosaic.max() < 1


@pytest.mark.parametrize("name", NAMES)
@given(st.tuples(*[st.floats(0, 0.85)] * 3), st.integers(0, 9))
def test_colours_within_the_gamut_are_undone_exactly(name, rgb, seed):
    camera = cameras.load(name)
    color = camera.draw_color(np.random.default_rng(seed))
    p = parameters(color)
    camera_rgb = inverse.invert_matrix(np.array([rgb]), p)
    assume(camera_rgb.min() >= 0 and camera_rgb.max() <= 1)
    raw = inverse.invert_white_balance(camera_rgb, p.gains)
    assert raw.min() >= 0 and raw.max() <= 1
    back = (raw * p.gains) @ p.ccm.T
    np.testing.assert_allclose(back, [rgb], rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_a_camera_without_a_matrix_names_its_substitute(name):
    camera = cameras.load(name)
    assert bool(camera.color_matrices) != ("substitute" in camera.toml)
    assert (camera.substitute is None) == bool(camera.color_matrices)


def test_a_file_without_matrix_and_substitute_is_refused():
    text = cameras.load(MIXED).toml.replace('substitute = "google-mixture"', "")
    with pytest.raises(InputError, match="color: give either matrices or substitute"):
        cameras.parse(text, "mine", "mine.toml")
