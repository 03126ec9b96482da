"""Camera matrices and white balance gains."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from noisegen.errors import InputError
from noisegen.isp import color
from noisegen.isp.parameters import IspParameters

XYZ_TO_CAM = np.array(
    [[0.8198, -0.2239, -0.0724], [-0.4871, 1.2389, 0.2798], [-0.1043, 0.205, 0.7181]]
)
TO_SRGB = np.array([[1.7, -0.6, -0.1, 0], [-0.2, 1.5, -0.3, 0], [0.03, -0.5, 1.47, 0]])
IDENTITY = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))

matrices = arrays(np.float64, (3, 3), elements=st.floats(-0.3, 0.3)).map(lambda m: m + np.eye(3))


def test_what_needs_no_torch_imports_none():
    modules = ("parameters", "color", "transfer", "inverse", "geometry")
    lines = [f"import noisegen.isp.{m}" for m in modules]
    code = "; ".join([*lines, "import sys", "sys.exit('torch' in sys.modules)"])
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@given(matrices)
def test_camera_white_is_kept(matrix):
    for made in (color.camera_to_xyz(matrix), color.camera_to_xyz_from_srgb(matrix)):
        np.testing.assert_allclose(made.sum(1), 1, atol=1e-9)


@given(matrices, st.floats(0.1, 10))
def test_scale_of_the_matrix_does_not_matter(matrix, factor):
    np.testing.assert_allclose(
        color.camera_to_xyz(matrix * factor), color.camera_to_xyz(matrix), rtol=1e-9, atol=1e-9
    )


def test_a_zero_in_the_table_diverts_to_the_files_own_matrix():
    fallback = color.camera_to_xyz_from_srgb(TO_SRGB[:, :3])
    with_zero = XYZ_TO_CAM.copy()
    with_zero[2, 0] = 0
    for unknown in (np.zeros((4, 3)), with_zero):
        assert np.array_equal(color.camera_matrix(unknown, TO_SRGB), fallback)
    four_rows = np.vstack((XYZ_TO_CAM, np.zeros(3)))
    expected = color.camera_to_xyz(XYZ_TO_CAM)
    assert np.array_equal(color.camera_matrix(four_rows, TO_SRGB), expected)


def test_fallback_gives_back_the_matrix_it_came_from():
    # rn(X65) rn(inv(rn(X65)) P) = P for a P that keeps white.
    p = color.row_normalise(TO_SRGB[:, :3])
    made = color.xyz_to_srgb("D65") @ color.camera_to_xyz_from_srgb(p)
    np.testing.assert_allclose(made, p, atol=1e-12)


@pytest.mark.parametrize("matrix", [np.ones((3, 3)), [[1, -1, 0], [0, 1, 0], [0, 0, 1]]])
def test_unusable_matrices_are_refused(matrix):
    with pytest.raises(InputError, match="colour matrix"):
        color.camera_to_xyz(matrix)


@pytest.mark.parametrize(
    ("as_shot", "expected"),
    [
        ([2.0, 1.0, 1.5, 0.9], [2.0, 1.0, 1.5, 0.9]),
        ([2.0, 1.0, 1.5, 0.0], [2.0, 1.0, 1.5, 1.0]),
        ([0.0, 0.0, 0.0, 0.0], [1.9, 0.95, 1.4, 0.95]),
    ],
)
def test_white_balance_rule(as_shot, expected):
    assert color.white_balance(as_shot, [1.9, 0.95, 1.4, 0.0]).tolist() == expected


def test_gains_make_the_neutral_white():
    neutral = np.array([0.4922, 1.0078, 0.6016])
    gains = color.gains_from_neutral(neutral)
    np.testing.assert_allclose(gains[:3] * neutral, 1)
    assert gains[3] == gains[1]


def test_parameters_normalise_gains_and_chain_the_matrices():
    p = IspParameters((1.0, 0.5, 0.75), IDENTITY, reference="D50")
    assert p.gains == (2.0, 1.0, 1.5)
    np.testing.assert_allclose(p.ccm, color.X50 / color.X50.sum(1, keepdims=True))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"white_balance": (1, 1)}, "three gains"),
        ({"white_balance": (1, 0, 1)}, "above 0"),
        ({"white_balance": (1, float("nan"), 1)}, "above 0"),
        ({"cam_to_xyz": ((1, 0), (0, 1))}, "3x3"),
        ({"alpha": 1.5}, "outside"),
        ({"demosaic": "vng"}, "demosaic"),
        ({"gamma": "linear"}, "gamma"),
        ({"reference": "E"}, "reference"),
    ],
)
def test_parameters_refuse_what_makes_no_sense(changes, message):
    with pytest.raises(InputError, match=message):
        IspParameters(**({"white_balance": (1, 1, 1), "cam_to_xyz": IDENTITY} | changes))
