"""Tone curves: every family rises, keeps its slopes within bounds, and is undone by its inverse."""

import numpy as np
import pytest
import torch
from hypothesis import assume, example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from noisegen.errors import InputError, UnknownNameError
from noisegen.isp import inverse, pipeline, tone
from noisegen.isp.bulk import render, unprocess
from noisegen.isp.parameters import IspParameters
from noisegen.isp.tone import FAMILIES, PIVOT, ToneCurve
from noisegen.isp.transfer import encode

MATRIX = ((0.7161, 0.2475, 0.0364), (0.2759, 0.9854, -0.2613), (0.0253, -0.2454, 1.2201))
GAINS = (2.1, 1.0, 1.5)
LEVELS = ((512.0, 514.0, 510.5, 512.0), 15871.0)

curves = st.builds(
    lambda family, strength, pivot, darkens: ToneCurve(
        family, -strength if darkens and family == "amplification" else strength, pivot
    ),
    st.sampled_from(FAMILIES),
    st.floats(0, 1),
    st.floats(*PIVOT),
    st.booleans(),
)
unit = arrays(np.float64, 16, elements=st.floats(0, 1))

KINDS = [
    ToneCurve("amplification", 0.7),
    ToneCurve("amplification", -0.6),
    ToneCurve("smoothstep", 0.9),
    ToneCurve("s-curve", 0.8, 0.35),
]


def as_torch(values):
    return torch.from_numpy(np.ascontiguousarray(values))


def bound(curve, dtype):
    """Largest error that rounding may leave after there and back.

    An error e of y, of a few roundings, becomes at most e over the least slope. Where that slope
    vanishes the curve is at least its quadratic or, twice bent, quartic: e becomes the root of it.
    """
    e = 16 * float(np.finfo(dtype).eps)
    least = curve.slopes[0]
    worst = (e / 0.25) ** (0.25 if curve.family == "amplification" else 0.5)
    return min(e / least if least else worst, worst)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(curves, st.data())
def test_the_inverse_undoes_the_curve(dtype, curve, data):
    x = data.draw(arrays(dtype, 16, elements=st.floats(0, 1, width=32)))
    for convert in (np.asarray, as_torch):
        back = tone.invert(tone.apply(convert(x), curve), curve)
        assert back.dtype == convert(x).dtype
        np.testing.assert_allclose(np.asarray(back), x, rtol=0, atol=bound(curve, dtype))


@given(curves, unit)
def test_the_curve_undoes_the_inverse(curve, y):
    there = tone.apply(tone.invert(y, curve), curve)
    # Here the error is multiplied by the greatest slope instead.
    np.testing.assert_allclose(there, y, rtol=0, atol=64 * np.finfo(float).eps)


@given(curves, unit)
def test_torch_and_numpy_agree(curve, x):
    for function in (tone.apply, tone.invert):
        ours = function(as_torch(x), curve).numpy()
        # Sines of two libraries differ in the last bit, which smoothstep's flat ends magnify.
        np.testing.assert_allclose(ours, function(x, curve), rtol=0, atol=2e-8)


@given(curves)
def test_ends_stay_and_nothing_leaves_the_unit_interval(curve):
    ends = np.array([0.0, 1.0])
    for function in (tone.apply, tone.invert):
        np.testing.assert_allclose(function(ends, curve), ends, rtol=0, atol=bound(curve, float))
        np.testing.assert_array_equal(function(np.array([-0.5, 1.5]), curve), function(ends, curve))
        inside = function(np.linspace(0, 1, 999), curve)
        assert 0 <= inside.min() <= inside.max() <= 1


@given(curves, st.floats(0, 1), st.floats(0, 1))
def test_slopes_lie_within_their_bounds(curve, a, b):
    assume(abs(a - b) > 1e-3)
    x = np.sort([a, b])
    least, greatest = curve.slopes
    assert 0 <= least <= 1 <= greatest <= 4
    slope = np.diff(tone.apply(x, curve))[0] / np.diff(x)[0]
    assert least - 1e-12 <= slope <= greatest + 1e-12


@pytest.mark.parametrize("codes", [256, 65536])
@given(curve=curves)
@example(curve=ToneCurve("amplification", 0.9999999535, 0.5))
@example(curve=ToneCurve("amplification", -0.9999999535, 0.5))
def test_no_two_codes_change_their_order(codes, curve):
    y = np.arange(codes) / (codes - 1)
    assert np.all(np.diff(tone.apply(y, curve)) >= 0)
    assert np.all(np.diff(tone.invert(y, curve)) >= 0)


@given(st.sampled_from(FAMILIES), unit, st.floats(*PIVOT))
def test_strength_zero_changes_nothing(family, x, pivot):
    for function in (tone.apply, tone.invert):
        np.testing.assert_allclose(
            function(x, ToneCurve(family, 0.0, pivot)), x, rtol=0, atol=4e-16
        )


@given(st.floats(1e-9, 1e-4), unit)
def test_a_faint_smoothstep_has_no_seam(strength, y):
    # Where the cubic's angle is left for a series, both must agree.
    curve = ToneCurve("smoothstep", strength)
    np.testing.assert_allclose(tone.apply(tone.invert(y, curve), curve), y, rtol=0, atol=1e-12)


@given(unit)
def test_googles_curve_is_the_smoothstep_of_strength_one(y):
    # Brooks et al.: smoothstep(x) = 3x^2 - 2x^3, whose inverse is 1/2 - sin(asin(1 - 2y) / 3).
    curve = ToneCurve("smoothstep", 1.0)
    np.testing.assert_allclose(tone.apply(y, curve), 3 * y**2 - 2 * y**3, rtol=0, atol=1e-15)
    expected = 0.5 - np.sin(np.arcsin(1 - 2 * y) / 3)
    np.testing.assert_allclose(tone.invert(y, curve), expected, rtol=0, atol=1e-7)


@given(st.floats(0, 1), st.floats(*PIVOT))
def test_an_s_curve_turns_about_its_pivot(strength, pivot):
    curve = ToneCurve("s-curve", strength, pivot)
    h = 1e-6
    x = np.array([pivot - h, pivot, pivot + h, h, 1 - h])
    y = tone.apply(x, curve)
    assert y[1] == pytest.approx(pivot, abs=1e-15)
    # Second differences of the hyperbolas are below 2 slope² / pivot <= 180, times h.
    assert (y[2] - y[0]) / (2 * h) == pytest.approx(curve.contrast, abs=1e-3)
    assert y[3] / h == pytest.approx(1 / curve.contrast, abs=1e-3)
    assert (1 - y[4]) / h == pytest.approx(1 / curve.contrast, abs=1e-3)


@pytest.mark.parametrize("function", [tone.apply, tone.invert])
@pytest.mark.parametrize("curve", KINDS, ids=lambda c: f"{c.family}{c.strength}")
def test_gradients(function, curve):
    # Away from the ends and the pivot, where the slope jumps or the second derivative does.
    x = torch.linspace(0.05, 0.95, 12, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda v: function(v, curve), (x,))


@pytest.mark.parametrize("curve", KINDS, ids=lambda c: f"{c.family}{c.strength}")
def test_another_cameras_picture_comes_back_through_the_mosaic(curve):
    """The chain renders the light; bent as the picture was, it is the picture again."""
    y, x = np.mgrid[:96, :128]
    hue = np.stack([np.sin(x / 23 + k) * np.cos(y / 31 - k) for k in range(3)], -1)
    picture = 0.45 + 0.1 * np.cos((x + 2 * y) / 37)[..., None] + 0.05 * hue
    p = IspParameters(GAINS, MATRIX)
    mosaic = inverse.unprocess(picture, p, "GRBG", tone=curve)
    encoded = pipeline.render(torch.tensor(mosaic)[None, None], "GRBG", p)[0].permute(1, 2, 0)
    error = (tone.apply(encoded.numpy(), curve) - picture)[2:-2, 2:-2]
    # As for the chain's own curve (test_inverse): 80 dB, less the slopes of both curves.
    assert -10 * np.log10(np.mean(error**2)) > 60


@pytest.mark.parametrize("exposure", [0.25, 1.0])
@pytest.mark.parametrize("curve", KINDS, ids=lambda c: f"{c.family}{c.strength}")
def test_another_cameras_flat_picture_comes_back_through_the_kernels(curve, exposure):
    p = IspParameters(GAINS, MATRIX)
    for code in (12, 40, 128, 200, 235):
        flat = np.full((16, 16, 3), code, np.uint8)
        mosaic = unprocess(
            flat, "GRBG", *LEVELS, p, exposure=exposure, tone=curve, highlights="plain"
        )
        linear = render(mosaic, "GRBG", *LEVELS, p, stage="linear")
        light = (linear / 57344 - 4096 / 57344) / exposure
        back = tone.apply(encode(light, "srgb"), curve) * 255
        # Half a digital number of 15 359, times gain and matrix (5), the transfer function's
        # slope at the darkest code (12.92), the curve's (3), over the exposure: a code at most.
        slope = 5 * 12.92 * curve.slopes[1] / exposure
        np.testing.assert_allclose(back, flat, atol=255 * slope * (0.5 / 15359 + 0.5 / 57344))


def test_white_stays_white_at_full_exposure_and_grey_below():
    white = np.full((4, 4, 3), 255, np.uint8)
    p = IspParameters(GAINS, MATRIX)
    assert np.all(unprocess(white, "RGGB", *LEVELS, p) == LEVELS[1])
    dark = unprocess(white, "RGGB", *LEVELS, p, exposure=0.5)
    assert dark.max() < LEVELS[1]
    rendered = render(dark, "RGGB", *LEVELS, p, stage="linear") / 57344 - 4096 / 57344
    np.testing.assert_allclose(rendered, 0.5, atol=1e-3)  # no cast: all channels lost the same


def test_overexposed_colours_turn_white_and_not_their_opposite():
    red = np.full((4, 4, 3), (255, 40, 40), np.uint8)
    p = IspParameters(GAINS, MATRIX)
    clipped = unprocess(red, "RGGB", *LEVELS, p, exposure=4.0)
    assert clipped[0, 0] == LEVELS[1]  # red
    assert clipped[1, 1] < LEVELS[1]  # blue


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("smothstep", 0.5), UnknownNameError, r"smothstep' \(did you mean 'smoothstep'\?\)"),
        (("smoothstep", 1.1), InputError, r"strength 1.1 .* outside \[0, 1\]"),
        (("s-curve", -0.1), InputError, r"outside \[0, 1\]"),
        (("amplification", -1.1), InputError, r"outside \[-1, 1\]"),
        (("amplification", float("nan")), InputError, "strength nan"),
        (("s-curve", 0.5, 1.0), InputError, "pivot 1.0"),
    ],
)
def test_wrong_curves_are_refused_in_a_line(arguments, error, message):
    with pytest.raises(error, match=message) as caught:
        ToneCurve(*arguments)
    assert "\n" not in str(caught.value)
