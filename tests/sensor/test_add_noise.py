"""add_noise: place in the frame, levels and clipping, refusals, registry."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noisegen.cfa import PHASES, plane_map, shift
from noisegen.errors import InputError, UnknownNameError
from noisegen.random import counter
from noisegen.sensor import (
    Levels,
    NoiseModel,
    NoiseParameters,
    add_noise,
    amplify,
    get,
    names,
    variance,
)
from noisegen.sensor.parameters import tukey_lambda_variance

LEVELS_IN = Levels((512, 513, 514, 512.5), 16383)
LEVELS = Levels((64, 63.5, 64.25, 65), 1023)
PARAMETERS = NoiseParameters(
    shot=(1e-3, 2e-3, 3e-3, 1.5e-3),
    read=(1e-6, 2e-6, 3e-6, 4e-6),
    row=1e-3,
    tukey_lambda=-0.1,
    tukey_scale=2e-3,
    bias=(1e-3, 0, -1e-3, 2e-3),
)
SILENT = NoiseParameters((0,) * 4, (0,) * 4)
ALIKE = Levels((512,) * 4, 16383)


def frame(height=45, width=300):
    """A scene from below black to white, so that every branch of the kernels is taken."""
    rng = np.random.default_rng(0)
    mosaic = np.exp(rng.uniform(np.log(400), np.log(16383), (height, width)))
    mosaic[:12] = rng.uniform(500, 600, (12, width))
    return mosaic.astype(np.uint16)


@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize("alike", [False, True])
@settings(max_examples=25, deadline=None)
@given(
    phase=st.sampled_from(PHASES),
    y=st.integers(-9, 5000),
    x=st.integers(-9, 5000),
    top=st.integers(0, 44),
    left=st.integers(0, 299),
    height=st.integers(1, 45),
    width=st.integers(1, 300),
)
def test_noise_of_a_crop_is_the_crop_of_the_noise(
    name, alike, phase, y, x, top, left, height, width
):
    levels = ALIKE if alike else LEVELS
    parameters = (
        NoiseParameters((1e-3,) * 4, (1e-6,) * 4, tukey_lambda=0.0, tukey_scale=1e-3)
        if alike
        else PARAMETERS
    )
    mosaic = frame()
    where = counter(42, 7, 1)
    whole = add_noise(mosaic, levels, get(name), parameters, levels, phase, where, y=y, x=x)
    window = np.s_[top : top + height, left : left + width]
    part = add_noise(
        mosaic[window],
        levels,
        get(name),
        parameters,
        levels,
        shift(phase, top, left),
        where,
        y=y + top,
        x=x + left,
    )
    np.testing.assert_array_equal(part, whole[window])


@pytest.mark.parametrize("name", names())
def test_planes_that_are_alike_take_the_fast_path_to_the_same_bytes(name):
    """An unnoticeable difference in one plane's black sends the rest down the general path."""
    base = NoiseParameters((1e-3,) * 4, (1e-6,) * 4, tukey_lambda=-0.1, tukey_scale=1e-3)
    unlike = NoiseParameters(
        (1e-3, 1e-3, 1e-3, 2e-3), (1e-6,) * 4, tukey_lambda=-0.1, tukey_scale=1e-3
    )
    mosaic = frame()
    first, second = (
        add_noise(mosaic, ALIKE, get(name), p, ALIKE, "RGGB", counter(1, 1)) for p in (base, unlike)
    )
    same = plane_map("RGGB", mosaic.shape) != 3
    np.testing.assert_array_equal(first[same], second[same])


def test_without_noise_the_mosaic_passes_unchanged():
    mosaic = frame()
    levels = Levels(LEVELS_IN.black, 16383)
    for name in ("awgn", "heteroscedastic"):
        out = add_noise(mosaic, levels, get(name), SILENT, levels, "GRBG", counter(1, 1))
        np.testing.assert_array_equal(out, mosaic)
    shot_only = NoiseModel("none", "none", "none")
    out = add_noise(mosaic, levels, shot_only, SILENT, levels, "GRBG", counter(1, 1))
    np.testing.assert_array_equal(out, mosaic)


@pytest.mark.parametrize("phase", PHASES)
def test_levels_are_exchanged_per_plane(phase):
    mosaic = frame(20, 20)
    planes = plane_map(phase, mosaic.shape)
    black_in, black = np.asarray(LEVELS_IN.black)[planes], np.asarray(LEVELS.black)[planes]
    v = (mosaic - black_in) / (16383 - black_in)
    out = add_noise(mosaic, LEVELS_IN, get("awgn"), SILENT, LEVELS, phase, counter(1, 1))
    value = black + v * (1023 - black) + 0.5
    sure = np.abs(value - np.rint(value)) > 1e-3
    np.testing.assert_array_equal(out[sure], np.floor(value).clip(0, 1023)[sure])


def test_clipping_at_the_converter_and_at_black():
    noisy = NoiseParameters((0,) * 4, ((40 / 959) ** 2,) * 4)
    dark = np.full((200, 200), 512, np.uint16)
    planes = plane_map("RGGB", dark.shape)
    adc = add_noise(dark, ALIKE, get("awgn"), noisy, LEVELS, "RGGB", counter(1, 1))
    cut = Levels(LEVELS.black, LEVELS.white, clips_at="black")
    published = add_noise(dark, ALIKE, get("awgn"), noisy, cut, "RGGB", counter(1, 1))
    assert adc.min() < 20
    lowest = np.floor(np.asarray(LEVELS.black) + 0.5)[planes]
    np.testing.assert_array_equal(published, np.maximum(adc, lowest))
    white = np.full((200, 200), 16383, np.uint16)
    top = add_noise(white, ALIKE, get("awgn"), noisy, LEVELS, "RGGB", counter(1, 1))
    assert top.max() == 1023
    # Half of the noise lies above white: five standard errors of a share of 40 000.
    assert abs((top == 1023).mean() - 0.5) < 5 * 0.5 / 200 + 0.01


def test_a_clean_mosaic_below_black_keeps_its_mean():
    """Clean frames have noise about black too; cutting it there would shift the shadows."""
    mosaic = np.full((200, 200), 500, np.uint16)
    for name in ("heteroscedastic", "poisson-gaussian"):
        out = add_noise(
            *(mosaic, ALIKE, get(name), NoiseParameters((1e-3,) * 4, ((10 / 15871) ** 2,) * 4)),
            *(ALIKE, "RGGB", counter(2, 2)),
        )
        assert abs(out.mean() - 500) < 5 * 10 / 200


def test_white_of_sixteen_bits():
    levels = Levels((0,) * 4, 65535)
    mosaic = np.array([[0, 1, 65534, 65535]], np.uint16)
    out = add_noise(mosaic, levels, get("awgn"), SILENT, levels, "RGGB", counter(1, 1))
    np.testing.assert_array_equal(out, mosaic)


def test_out_may_be_the_mosaic_a_view_or_left_out():
    mosaic = frame()
    where = counter(1, 1)
    arguments = LEVELS_IN, get("eld"), PARAMETERS, LEVELS, "RGGB", where
    fresh = add_noise(mosaic, *arguments)
    view = np.zeros((90, 600), np.uint16)[::2, ::2]
    assert add_noise(mosaic, *arguments, out=view) is view
    np.testing.assert_array_equal(view, fresh)
    inside = mosaic.copy()
    add_noise(inside, *arguments, out=inside)
    np.testing.assert_array_equal(inside, fresh)
    np.testing.assert_array_equal(add_noise(np.asfortranarray(mosaic), *arguments), fresh)


def test_amplify_keeps_each_planes_black():
    mosaic = np.array([[66, 65], [65, 66]], np.uint16)
    out = amplify(mosaic, 4, LEVELS, "RGGB")
    np.testing.assert_array_equal(out, [[72, 70], [65, 71]])
    with pytest.raises(InputError, match="say which CFA phase"):
        amplify(mosaic, 4, LEVELS)


def test_variance_has_a_plane_axis():
    result = variance(np.zeros((3, 2)), get("heteroscedastic"), PARAMETERS, LEVELS)
    assert result.shape == (3, 2, 4)
    expected = np.asarray(PARAMETERS.read) * np.asarray(LEVELS.span) ** 2 + 1 / 12
    np.testing.assert_allclose(result[0, 0], expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mosaic": np.zeros((4, 4))}, "uint16 array, not float64"),
        ({"mosaic": np.zeros((4, 4, 1), np.uint16)}, r"shape \(4, 4, 1\)"),
        ({"mosaic": [[1]]}, "not list"),
        ({"phase": "RGBG"}, "RGGB, BGGR, GRBG, GBRG, not 'RGBG'"),
        ({"gain": 0.0}, "gain must be above 0"),
        ({"gain": float("nan")}, "gain must be above 0"),
        ({"out": np.zeros((4, 5), np.uint16)}, r"\(4, 5\), the mosaic \(4, 4\)"),
        ({"out": np.zeros((4, 4), np.int32)}, "out must be .* uint16"),
        ({"model": get("eld"), "parameters": SILENT}, "needs tukey_lambda"),
    ],
)
def test_refusals(change, message):
    arguments = {
        "mosaic": np.zeros((4, 4), np.uint16),
        "levels_in": LEVELS_IN,
        "model": get("awgn"),
        "parameters": PARAMETERS,
        "levels": LEVELS,
        "phase": "RGGB",
        "counter": counter(1, 1),
    }
    with pytest.raises(InputError, match=message):
        add_noise(**arguments | change)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Levels((0, 0, 0), 9), "needs four numbers"),
        (lambda: Levels((0, 0, 0, 10), 9), "white level 9 must lie above the black level 10"),
        (lambda: Levels((0,) * 4, 70000), "at most at 65535"),
        (lambda: Levels((0,) * 4, 9, "white"), "clips_at is 'adc' or 'black'"),
        (lambda: NoiseParameters((-1, 0, 0, 0), (0,) * 4), "shot gain must be finite"),
        (lambda: NoiseParameters((0,) * 4, (0, 0, 0, np.inf)), "read variance must be finite"),
        (lambda: NoiseParameters((0,) * 4, (0,) * 4, row=-1), "row noise"),
        (lambda: NoiseParameters((0,) * 4, (0,) * 4, tukey_lambda=0.1), "or neither"),
        (
            lambda: NoiseParameters((0,) * 4, (0,) * 4, tukey_lambda=-0.5, tukey_scale=1.0),
            "no finite variance",
        ),
        (
            lambda: NoiseParameters((0,) * 4, (0,) * 4, tukey_lambda=0.5, tukey_scale=-1.0),
            "tukey_scale must be",
        ),
        (
            lambda: NoiseParameters((0,) * 4, (0,) * 4, read_includes=("column",)),
            "not 'column'",
        ),
    ],
)
def test_parameters_that_describe_nothing_are_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_registry():
    assert names() == ("awgn", "heteroscedastic", "poisson-gaussian", "eld", "eld-gaussian")
    assert all(get(name).name == name for name in names())
    with pytest.raises(UnknownNameError, match="did you mean 'poisson-gaussian'"):
        get("poisson-gausian")


def test_the_package_is_light_until_noise_is_drawn():
    code = (
        "import sys, noisegen.sensor, noisegen.sensor.sampling;"
        "assert not {'numba', 'torch', 'dask'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize("name", ["heteroscedastic", "poisson-gaussian", "eld", "eld-gaussian"])
@pytest.mark.parametrize("gain", [1.0, 0.25])
def test_noise_that_is_there_already_is_taken_off(name, gain):
    """At 1/4 of the light a mosaic's own shot noise counts a quarter, its read noise a sixteenth.

    Another order of operations may move a value over the edge between two codes.
    """
    present = (2e-4, 3e-4, 4e-4, 1e-4), (5e-7, 1e-6, 1e-7, 2e-6)
    less = [tuple(np.array(own) * gain**power) for own, power in zip(present, (1, 2), strict=True)]
    shot, read = (
        tuple(np.array(every) - own)
        for every, own in zip((PARAMETERS.shot, PARAMETERS.read), less, strict=True)
    )
    tukey = PARAMETERS.tukey_scale
    if name == "eld":  # one scale for all planes, so that what is taken off must be alike
        present = present[0], (1e-6,) * 4
        unit = tukey_lambda_variance(PARAMETERS.tukey_lambda)
        tukey = (PARAMETERS.tukey_scale**2 - 1e-6 * gain**2 / unit) ** 0.5
    rest = replace(PARAMETERS, shot=shot, read=read, tukey_scale=tukey)
    arguments = {"gain": gain, "levels": LEVELS, "phase": "GRBG", "counter": counter(1, 2)}
    mosaic = frame()
    found = add_noise(mosaic, LEVELS_IN, get(name), PARAMETERS, present=present, **arguments)
    expected = add_noise(mosaic, LEVELS_IN, get(name), rest, **arguments)
    assert (found != expected).mean() < 1e-3
    assert np.abs(found.astype(int) - expected).max() <= 1
    assert (found != add_noise(mosaic, LEVELS_IN, get(name), PARAMETERS, **arguments)).any()


def test_more_read_noise_than_the_sensor_has_is_shot_noise_of_what_lies_above():
    """shot x + read with read < 0 is shot (x - floor): the same as of a mosaic with that black."""
    own = (0.0,) * 4, (3e-5,) * 4
    parameters = NoiseParameters((1e-3,) * 4, (1e-5,) * 4)
    floor = 2e-5 / 1e-3
    black = tuple(zero + floor * (ALIKE.white - zero) for zero in ALIKE.black)
    mosaic = np.maximum(frame(), 1500)  # x = 0.06
    where = counter(3, 4)
    model = get("poisson-gaussian")
    found = add_noise(mosaic, ALIKE, model, parameters, ALIKE, "RGGB", where, present=own)
    raised = Levels(black, ALIKE.white)
    # The same electrons: shot noise of a gain in DN.
    alike = NoiseParameters(
        tuple(1e-3 * s / r for s, r in zip(ALIKE.span, raised.span, strict=True)), (0.0,) * 4
    )
    expected = add_noise(mosaic, raised, model, alike, raised, "RGGB", where)
    assert (found != expected).mean() < 1e-3
    assert np.abs(found.astype(int) - expected).max() <= 1


def test_noise_that_no_sensor_has_cannot_be_there():
    with pytest.raises(InputError, match="read variance must be finite and at least 0, not -1"):
        add_noise(
            frame(), ALIKE, get("awgn"), SILENT, ALIKE, "RGGB", counter(0, 0),
            present=((0.0,) * 4, (-1.0,) * 4),
        )  # fmt: skip
