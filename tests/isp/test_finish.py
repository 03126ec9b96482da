"""The finish of a window is the window of the finish; what makes no sense is refused."""

import itertools

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noisegen import jpeg
from noisegen.errors import InputError
from noisegen.isp import finish as module
from noisegen.isp.finish import finish, finished_size, needed, surroundings
from noisegen.isp.geometry import Window
from noisegen.isp.parameters import FinishParameters
from noisegen.jpeg import SUBSAMPLINGS, YCBCR

FRAME = (75, 90)


def noise(height, width, seed=0):
    """A grey wedge with strong noise of all three colours, in 16 bits."""
    rng = np.random.default_rng(seed)
    wedge = np.linspace(5000, 60000, width)[None, :, None]
    return np.clip(rng.normal(wedge, 6000, (height, width, 3)), 0, 65535).astype(np.uint16)


PICTURE = noise(*FRAME)


def cut(picture, window):
    top, left, height, width = window
    return picture[top : top + height, left : left + width]


@st.composite
def cases(draw):
    """Any combination of stages, and a window of the finished frame."""
    parameters = FinishParameters(
        luma=draw(st.sampled_from([0.0, 0.05, 1.0])),
        luma_radius=draw(st.integers(1, 2)),
        chroma=draw(st.sampled_from([0.0, 0.1])),
        chroma_radius=draw(st.sampled_from([1, 4])),
        sharpen=draw(st.sampled_from([0.0, 0.8])),
        sharpen_radius=draw(st.sampled_from([0.5, 1.2])),
        resize=draw(st.sampled_from([1.0, 1.37, 2.0, 3.9])),
        quality=draw(st.sampled_from([None, 60, 95])),
        subsampling=draw(st.sampled_from(SUBSAMPLINGS)),
        noise=draw(st.sampled_from([(), (3.0, 1.0, 0.0)])),
    )
    size = finished_size(FRAME, parameters.resize)
    window = []
    for length in size:
        first = draw(st.integers(0, length - 1))
        window.append((first, draw(st.integers(1, min(length - first, 40)))))
    (top, height), (left, width) = window
    return parameters, Window(top, left, height, width)


@settings(max_examples=400, deadline=None)
@given(cases())
def test_a_window_of_the_finished_frame_needs_its_part_alone(case):
    parameters, window = case
    part = needed(parameters, FRAME, window)
    ours = finish(cut(PICTURE, part), parameters, frame=FRAME, corner=part[:2], window=window)
    np.testing.assert_array_equal(ours, cut(finish(PICTURE, parameters), window))
    reach, step = surroundings(parameters), parameters.resize
    for axis in range(2):
        assert part[axis] >= window[axis] * step - reach
        end = (window[axis] + window[axis + 2]) * step
        assert part[axis] + part[axis + 2] <= end + reach


@pytest.mark.parametrize("resize", [1.0, 1.5])
def test_filters_look_as_far_as_is_said(resize):
    parameters = FinishParameters(luma=1.0, chroma=1.0, sharpen=1.0, resize=resize)
    window = Window(21, 20, 3, 3)
    top, left, height, width = needed(parameters, FRAME, window)
    inner = Window(top + 1, left + 1, height - 2, width - 2)
    changed = noise(*FRAME, seed=1)
    cut(changed, inner)[:] = cut(PICTURE, inner)
    before, after = (
        cut(finish(picture, parameters, bits=16), window) for picture in (PICTURE, changed)
    )
    assert (before != after).any()


@pytest.mark.parametrize("subsampling", ["4:2:2", "4:2:0"])
def test_halved_colours_depend_on_the_next_block(monkeypatch, subsampling):
    parameters = FinishParameters(quality=50, subsampling=subsampling)
    window = Window(16, 16, 32, 32)
    whole = cut(finish(PICTURE, parameters), window)
    monkeypatch.setattr(jpeg, "margins", lambda unit: (0, 0))
    part = needed(parameters, FRAME, window)
    alone = finish(cut(PICTURE, part), parameters, frame=FRAME, corner=part[:2], window=window)
    assert (alone != whole).any()


def test_bands_do_not_show(monkeypatch):
    parameters = FinishParameters(luma=0.1, chroma=0.1, sharpen=0.5, resize=1.37, quality=90)
    whole = finish(PICTURE, parameters)
    monkeypatch.setattr(module, "BAND", 1)
    np.testing.assert_array_equal(finish(PICTURE, parameters), whole)


def test_the_defaults_only_round():
    off = FinishParameters()
    assert not off.changes_pixels
    np.testing.assert_array_equal(finish(PICTURE, off, bits=16), PICTURE)
    np.testing.assert_array_equal(finish(PICTURE, off), np.floor(PICTURE / 257 + 0.5))


@pytest.mark.parametrize("subsampling", SUBSAMPLINGS)
@pytest.mark.parametrize("quality", [1, 50, 100])
def test_the_jpeg_is_of_the_quality_and_subsampling_asked_for(monkeypatch, quality, subsampling):
    codes = []

    def decode(code, flags):
        codes.append(code.tobytes())
        return read(code, flags)

    read = cv2.imdecode
    monkeypatch.setattr(cv2, "imdecode", decode)
    parameters = FinishParameters(quality=quality, subsampling=subsampling)
    rounded = finish(PICTURE, FinishParameters())
    out = finish(PICTURE, parameters)
    (code,) = codes
    np.testing.assert_array_equal(
        out, cv2.imdecode(np.frombuffer(code, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    )
    factors, first_step = headers(code)
    luma = {"4:4:4": (1, 1), "4:2:2": (2, 1), "4:2:0": (2, 2)}[subsampling]
    assert factors == [luma, (1, 1), (1, 1)]
    # T.81's table K.1 begins with 16; libjpeg scales it by 50 / q below 50 and 2 - q / 50 above.
    scale = 50 / quality if quality < 50 else 2 - quality / 50
    assert first_step == min(max(int(16 * scale + 0.5), 1), 255)
    if quality == 100 and subsampling == "4:4:4":
        # Colours and coefficients are rounded to whole numbers on the way, and no more.
        assert np.sqrt(np.mean((out.astype(float) - rounded) ** 2)) < 1


def headers(code):
    """Return sampling factors of the components and the first quantiser step of a JPEG."""
    at, step, factors = 2, None, []
    while code[at + 1] != 0xDA:
        kind, length = code[at + 1], int.from_bytes(code[at + 2 : at + 4])
        body = code[at + 4 : at + 2 + length]
        if kind == 0xDB and step is None:
            step = body[1]
        if kind == 0xC0:
            factors = [divmod(body[7 + 3 * i], 16) for i in range(body[5])]
        at += 2 + length
    return factors, step


def test_noise_is_reduced_where_it_is_asked_for_and_edges_stay():
    rng = np.random.default_rng(3)
    edge = np.where(np.arange(200)[None, :, None] < 100, 0.25, 0.75)
    codes = ((edge + rng.normal(0, 0.01, (200, 200, 3))) * 65535).astype(np.uint16)
    flat = (slice(20, -20), slice(20, 80))

    def ycbcr(parameters):
        return finish(codes, parameters, bits=16) / 65535 @ YCBCR.T

    before = ycbcr(FinishParameters())
    luma = ycbcr(FinishParameters(luma=0.03))
    chroma = ycbcr(FinishParameters(chroma=0.03))
    sharp = ycbcr(FinishParameters(sharpen=1.0))
    assert luma[flat][..., 0].std() < 0.6 * before[flat][..., 0].std()
    np.testing.assert_allclose(luma[..., 1:], before[..., 1:], atol=5e-5)
    assert chroma[flat][..., 1].std() < 0.4 * before[flat][..., 1].std()
    np.testing.assert_allclose(chroma[..., 0], before[..., 0], atol=5e-5)
    assert sharp[flat][..., 0].std() > 1.2 * before[flat][..., 0].std()
    np.testing.assert_allclose(sharp[..., 1:], before[..., 1:], atol=5e-5)
    step = luma[:, 102, 0].mean() - luma[:, 97, 0].mean()
    assert step == pytest.approx(0.5, abs=0.005)


def test_strengths_follow_the_curve_of_the_noise():
    rng = np.random.default_rng(4)
    levels = np.where(np.arange(200)[None, :, None] < 100, 0.1, 0.9)
    codes = ((levels + rng.normal(0, 0.01, (200, 200, 3))) * 65535).astype(np.uint16)
    dark, bright = np.s_[20:-20, 20:80], np.s_[20:-20, 120:180]
    out = finish(codes, FinishParameters(luma=0.03, chroma=0.03, noise=(1.0, 0.0, 0.0)), bits=16)
    assert out[dark].std() < 0.6 * codes[dark].std()
    assert out[bright].std() > 0.99 * codes[bright].std()


def test_stages_come_in_their_order():
    every = {"luma": 0.1, "chroma": 0.1, "sharpen": 0.7, "resize": 1.37, "quality": 80}
    step_by_step = PICTURE
    for names in (("luma", "chroma"), ("sharpen",), ("resize",)):
        parameters = FinishParameters(**{name: every[name] for name in names})
        step_by_step = finish(step_by_step, parameters, bits=16)
    nearly = finish(PICTURE, FinishParameters(**{**every, "quality": None}), bits=16)
    # Each step alone rounds to 16 bits and clips; the wedge's noise seldom reaches its ends.
    assert np.quantile(np.abs(nearly.astype(int) - step_by_step), 0.9) <= 2
    jpeg = finish(nearly, FinishParameters(quality=80))
    differing = finish(PICTURE, FinishParameters(**every)) != jpeg
    assert differing.mean() < 0.05  # where 16 bits were halfway between two codes of 8


def test_resizing_keeps_the_mean_and_takes_away_what_is_too_fine():
    fine = np.full((64, 64, 3), 20000, np.uint16)
    fine[:, ::2] = 40000
    out = finish(fine, FinishParameters(resize=4.0), bits=16)
    assert out.shape == (16, 16, 3)
    inner = out[:, 2:-2].astype(float)
    assert np.abs(inner - 30000).max() < 300


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"quality": 0}, "JPEG quality 0 is not from 1 to 100"),
        ({"quality": 101}, "JPEG quality 101 is not from 1 to 100"),
        ({"quality": 90.5}, "JPEG quality 90.5 is not a whole number"),
        ({"luma": -0.1}, "luma -0.1 is not from 0 to 1"),
        ({"chroma": float("nan")}, "chroma nan is not from 0 to 1"),
        ({"luma_radius": 0}, "luma radius 0 is not from 1 to 4"),
        ({"chroma_radius": 2.5}, "chroma radius 2.5 is not a whole number"),
        ({"sharpen": -1.0}, "sharpen -1.0 is not from 0 to 5"),
        ({"sharpen_radius": 0.0}, "sharpen radius 0.0 is not from 0.3 to 5"),
        ({"resize": 0.5}, "resize 0.5 is not from 1 to 8"),
        ({"noise": (1.0,)}, "two or more finite values"),
        ({"noise": (1.0, -1.0)}, "two or more finite values"),
        ({"subsampling": "4:1:1"}, "no JPEG subsampling is called '4:1:1'"),
    ],
)
def test_what_makes_no_sense_is_refused(change, line):
    with pytest.raises(InputError, match=line):
        FinishParameters(**change)


def test_pictures_and_windows_that_do_not_fit_are_refused():
    jpeg = FinishParameters(quality=90)
    with pytest.raises(InputError, match="a JPEG has 8 bits"):
        finish(PICTURE, jpeg, bits=16)
    with pytest.raises(InputError, match="uint16, not"):
        finish(PICTURE.astype(np.uint8), jpeg)
    with pytest.raises(InputError, match="leaves the finished picture of 75 x 90"):
        finish(PICTURE, jpeg, window=Window(70, 0, 8, 8))
    with pytest.raises(InputError, match="is empty"):
        finish(PICTURE, jpeg, window=Window(0, 0, 0, 8))
    with pytest.raises(InputError, match="does not hold"):
        finish(PICTURE[8:24], jpeg, frame=FRAME, corner=(8, 0), window=Window(8, 0, 8, 90))
    with pytest.raises(InputError, match="8 or 16 bits, not 12"):
        finish(PICTURE, FinishParameters(), bits=12)


@pytest.mark.parametrize("shape", [(1, 1), (2, 5), (8, 8), (17, 3)])
def test_tiny_frames_are_finished_too(shape):
    picture = noise(*shape)
    for resize, quality in itertools.product((1.0, 1.6, 8.0), (None, 90)):
        parameters = FinishParameters(
            luma=0.1, chroma=0.1, sharpen=0.5, resize=resize, quality=quality
        )
        out = finish(picture, parameters)
        assert out.shape == (*finished_size(shape, resize), 3)
