"""Figures and parameters that describe no camera body: one line each."""

import pytest

from noisegen.errors import InputError
from noisegen.sensor import BodyFigures, BodyParameters


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"prnu": 0.2}, "prnu is standard deviation .*: 0 to 0.1, not 0.2"),
        ({"dsnu": -1}, "dsnu is .*: 0 to 10000 electron, not -1"),
        ({"hot_pixels": 1e-3}, "hot_pixels needs hot_rate"),
        ({"dual_gain_ratio": 2}, "dual_gain_ratio needs dual_gain_level"),
        ({"dual_gain_ratio": 0.5}, "dual_gain_ratio is read noise .*: 1 to 1000, not 0.5"),
        ({"column": float("nan")}, "column is .*, not nan"),
    ],
)
def test_figures_that_describe_no_body_are_refused(values, message):
    with pytest.raises(InputError, match=message):
        BodyFigures(**values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"column": -1.0}, "column must be finite and at least 0"),
        ({"hot_charge": float("inf")}, "hot_charge must be finite"),
        ({"dead_pixels": 0.5}, "dead_pixels is share"),
    ],
)
def test_parameters_that_describe_no_body_are_refused(values, message):
    with pytest.raises(InputError, match=message):
        BodyParameters(**values)
