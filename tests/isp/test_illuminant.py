"""Lights and DNG's two-matrix model against published chromaticities and their own laws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noisegen.errors import InputError
from noisegen.isp import color, illuminant
from noisegen.isp.illuminant import Calibration

# Sony Alpha 7R: ColorMatrix1 for A, ColorMatrix2 for D65.
TUNGSTEN = Calibration(
    2850, [[0.7216, -0.2921, 0.035], [-0.4204, 1.1461, 0.3143], [-0.0767, 0.1485, 0.7418]]
)
DAYLIGHT = Calibration(
    6500, [[0.4913, -0.0541, -0.0202], [-0.613, 1.3513, 0.2906], [-0.1564, 0.2151, 0.7183]]
)

temperatures = st.floats(illuminant.LEAST, illuminant.GREATEST)
between = st.floats(TUNGSTEN.temperature, DAYLIGHT.temperature)


def chromaticity(temperature):
    xyz = np.array(illuminant.white(temperature))
    return xyz[:2] / xyz.sum()


@pytest.mark.parametrize(
    ("temperature", "x", "y"),
    [
        # CIE 015: standard illuminants A, D50, D55, D65, D75 at their correlated temperatures.
        (2856, 0.44758, 0.40745),
        (5003, 0.34567, 0.35850),
        (5503, 0.33242, 0.34743),
        (6504, 0.31272, 0.32903),
        (7504, 0.29902, 0.31485),
        # Black bodies, Wyszecki and Stiles, table I(6.5.1).
        (2000, 0.5267, 0.4133),
        (3000, 0.4369, 0.4041),
    ],
)
def test_published_chromaticities(temperature, x, y):
    # The daylight locus is a fit, which the tabulated spectra lie up to 1.3e-4 off in y. Krystek is
    # within 1e-4 in (u, v), which is up to three times that in y.
    tolerance = 2e-4 if temperature >= 4000 else 4e-4
    np.testing.assert_allclose(chromaticity(temperature), (x, y), rtol=0, atol=tolerance)


@given(temperatures, st.floats(1.001, 2))
def test_a_hotter_light_is_bluer(temperature, factor):
    hotter = min(temperature * factor, illuminant.GREATEST)
    assert illuminant.white(hotter)[2] >= illuminant.white(temperature)[2]


def test_the_two_loci_are_apart_by_what_is_said():
    # Below 4000 K by a millikelvin, in which a black body moves by 1e-8.
    step = chromaticity(4000) - chromaticity(4000 - 1e-3)
    np.testing.assert_allclose(step, (0.0019, 0.0072), atol=1e-4)


def test_the_ends_of_the_locus_are_the_two_matrices():
    for order in ((TUNGSTEN, DAYLIGHT), (DAYLIGHT, TUNGSTEN)):
        for end in order:
            at_end = illuminant.interpolate(*order, end.temperature)
            np.testing.assert_array_equal(at_end, np.array(end.xyz_to_cam))
    for beyond, end in ((1800, TUNGSTEN), (20000, DAYLIGHT)):
        np.testing.assert_array_equal(
            illuminant.interpolate(TUNGSTEN, DAYLIGHT, beyond), np.array(end.xyz_to_cam)
        )


@given(between)
def test_matrices_are_linear_in_reciprocal_temperature(temperature):
    weight = (1 / temperature - 1 / 6500) / (1 / 2850 - 1 / 6500)
    expected = weight * np.array(TUNGSTEN.xyz_to_cam) + (1 - weight) * np.array(DAYLIGHT.xyz_to_cam)
    for order in ((TUNGSTEN, DAYLIGHT), (DAYLIGHT, TUNGSTEN)):
        found = illuminant.interpolate(*order, temperature)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


@given(between)
def test_the_camera_sees_white_as_its_neutral_and_the_way_back_makes_it_white(temperature):
    matrix = illuminant.interpolate(TUNGSTEN, DAYLIGHT, temperature)
    neutral = np.array(illuminant.neutral(matrix, temperature))
    seen = matrix @ np.array(illuminant.white(temperature))
    np.testing.assert_allclose(neutral, seen / seen.max(), rtol=1e-12)
    to_srgb = illuminant.camera_to_srgb(matrix, temperature)
    np.testing.assert_allclose(to_srgb @ np.ones(3), np.ones(3), atol=1e-12)


@given(between, st.tuples(*[st.floats(0, 1)] * 3))
def test_in_srgbs_own_light_colours_are_measured_as_they_are(temperature, rgb):
    """With the light at sRGB's white nothing is adapted: camera RGB is matrix times XYZ."""
    light = illuminant.white(6504)
    target = np.linalg.solve(color.X65, np.ones(3))
    np.testing.assert_allclose(light, target, atol=2e-3)  # the matrix's D65 is rounded
    matrix = illuminant.interpolate(TUNGSTEN, DAYLIGHT, temperature)
    camera = matrix @ np.linalg.solve(color.X65, np.array(rgb))
    balanced = camera / (matrix @ np.array(light))
    to_srgb = illuminant.camera_to_srgb(matrix, 6504)
    np.testing.assert_allclose(to_srgb @ balanced, rgb, atol=6e-3)


@given(between)
def test_the_adaptation_scales_bradfords_cones_alone(temperature):
    matrix = illuminant.interpolate(TUNGSTEN, DAYLIGHT, temperature)
    light = np.array(illuminant.white(temperature))
    adapt = (
        np.linalg.inv(color.X65)
        @ illuminant.camera_to_srgb(matrix, temperature)
        @ np.diag(1 / (matrix @ light))
        @ matrix
    )
    cones = illuminant.BRADFORD @ adapt @ np.linalg.inv(illuminant.BRADFORD)
    np.testing.assert_allclose(cones, np.diag(np.diag(cones)), atol=1e-10)


@pytest.mark.parametrize("temperature", [999.0, 25001.0, float("nan"), -5.0])
def test_lights_that_are_not_known_are_refused(temperature):
    with pytest.raises(InputError, match="outside 1000 to 25000 K"):
        illuminant.white(temperature)


def test_matrices_that_make_no_locus_are_refused():
    with pytest.raises(InputError, match="both colour matrices are for 6500 K"):
        illuminant.interpolate(DAYLIGHT, DAYLIGHT, 5000)
    with pytest.raises(InputError, match=r"gives white as \(-.*nearer"):
        illuminant.neutral(-np.eye(3), 5000)
