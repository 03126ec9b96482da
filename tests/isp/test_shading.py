"""Lens shading: the model, its kernel, and its stage in both ISPs and both inverses."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from noisegen.cfa import PHASES, plane_map, shift
from noisegen.errors import InputError
from noisegen.isp import inverse, pipeline
from noisegen.isp.bulk import LINEAR_OFFSET, LINEAR_SCALE, render, unprocess
from noisegen.isp.parameters import DEMOSAICS, HALO, IspParameters
from noisegen.isp.shading import GainMaps, Radial, Shading
from noisegen.kernels.shading import shading_columns, shading_row
from tests.isp.shadings import KINDS, maps, shadings

MATRIX = ((0.7, 0.2, 0.1), (0.25, 0.8, -0.05), (0.02, -0.1, 1.08))
GAINS = (2.1, 1.0, 1.5)
BLACK = (512.0, 514.0, 510.5, 512.0)
WHITE = 15871.0
OFF_BY_ONE = 0.04  # share of values that may differ by one level
TURNED = 1e-3  # share that may differ by more for AHD, where a near tie of directions turned


def plain_gain(shading, frame, y, x, plane):
    """DNG's formulas for one pixel, scalar by scalar."""
    (height, width), gain = frame, 1.0
    if shading.radial is not None:
        cy, cx = shading.radial.centre[0] * height, shading.radial.centre[1] * width
        corners = [(b, a) for b in (0, height) for a in (0, width)]
        m = max(math.hypot(b - cy, a - cx) for b, a in corners)
        r = math.hypot(y + 0.5 - cy, x + 0.5 - cx) / m
        gain *= 1 + sum(k * r ** (2 * i + 2) for i, k in enumerate(shading.radial.k))
    if shading.maps is not None:
        grid = shading.maps.gains[plane].astype(float)
        at = []
        for axis, (pixel, length) in enumerate(((y, height), (x, width))):
            place = ((pixel + 0.5) / length - shading.maps.origin[axis]) / shading.maps.spacing[
                axis
            ]
            at.append(min(max(place, 0.0), grid.shape[axis] - 1))
        v, h = (min(int(a), n - 1) for a, n in zip(at, grid.shape, strict=True))
        v1, h1 = min(v + 1, grid.shape[0] - 1), min(h + 1, grid.shape[1] - 1)
        fv, fh = at[0] - v, at[1] - h
        top = grid[v, h] * (1 - fh) + grid[v, h1] * fh
        bottom = grid[v1, h] * (1 - fh) + grid[v1, h1] * fh
        gain *= top * (1 - fv) + bottom * fv
    return gain


@given(shadings(), st.sampled_from(PHASES), st.data())
def test_gains_are_those_of_the_formulas(shading, phase, data):
    frame = data.draw(st.tuples(st.integers(2, 12), st.integers(2, 12)))
    gains = shading.at(frame).gains(frame, phase)
    planes = plane_map(phase, frame)
    for (y, x), gain in np.ndenumerate(gains):
        assert gain == pytest.approx(plain_gain(shading, frame, y, x, planes[y, x]), rel=1e-12)


@given(shadings(), st.sampled_from(PHASES), st.data())
def test_gains_of_a_crop_are_the_crop_of_the_gains(shading, phase, data):
    frame = data.draw(st.tuples(st.integers(4, 40), st.integers(4, 40)))
    top, left = (data.draw(st.integers(0, n - 1)) for n in frame)
    shape = (frame[0] - top, frame[1] - left)
    whole = shading.at(frame).gains(frame, phase)
    crop = shading.at(frame, top, left).gains(shape, shift(phase, top, left))
    np.testing.assert_array_equal(crop, whole[top:, left:])
    wide = (frame[0] + 6, frame[1] + 6)
    around = shading.at(frame, -3, -3).gains(wide, shift(phase, -3, -3))
    np.testing.assert_array_equal(around, np.pad(whole, 3, mode="reflect"))


@settings(deadline=None)  # the kernel may have to be compiled
@given(shadings(), st.sampled_from(PHASES), st.data())
def test_the_kernel_computes_the_gains(shading, phase, data):
    frame = data.draw(st.tuples(st.integers(1, 60), st.integers(1, 60)))
    y, x = data.draw(st.tuples(st.integers(-4, 60), st.integers(-4, 60)))
    shape = data.draw(st.tuples(st.integers(1, 9), st.integers(1, 70)))
    local = shading.at(frame, y, x)
    expected = local.gains(shape, phase)
    numbers, grids = local.kernel_arguments(phase)
    columns = shading_columns(numbers, grids, 0, shape[1], shape[1])
    row = np.empty(shape[1], np.float32)
    for i in range(shape[0]):
        shading_row(numbers, grids, columns, i, shape[0], 0, row)
        # A handful of roundings of 6e-8 each; r² has one of its own, times a slope of at most 15.
        np.testing.assert_allclose(row, expected[i], rtol=2e-6)


def random_mosaic(height, width, seed=1):
    """Independent samples: saturated colours, values below black and above white."""
    return np.random.default_rng(seed).integers(0, 16384, (height, width)).astype(np.uint16)


def smooth_mosaic(height, width):
    """Waves of every direction with a little noise, from below black to saturation."""
    y, x = np.mgrid[:height, :width]
    waves = 0.57 + 0.4 * np.sin(y / 9 + x / 17) + 0.15 * np.cos(x / 4)
    noise = np.random.default_rng(1).normal(0, 60, (height, width))
    return np.clip(waves * 15000 + noise, 0, 16383).astype(np.uint16)


def by_torch(mosaic, phase, parameters, shading, stage="tone_mapping", border="reflect"):
    """Render in float64 with the reference pipeline; (H, W, 3)."""
    zero = np.asarray(BLACK)[plane_map(phase, mosaic.shape)]
    signal = mosaic - zero
    if parameters.clip_black:
        signal = np.maximum(signal, 1e-8)
    normal = torch.from_numpy(signal / (WHITE - zero))[None, None]
    options = {"final_stage": stage, "border": border, "shading": shading}
    return pipeline.render(normal, phase, parameters, **options)[0].permute(1, 2, 0).numpy()


def assert_same_picture(ours, reference, demosaic):
    difference = np.abs(ours.astype(int) - reference)
    assert (difference > 1).mean() <= (TURNED if demosaic == "ahd" else 0)
    assert (difference > 0).mean() <= OFF_BY_ONE


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("demosaic", DEMOSAICS)
@pytest.mark.parametrize("phase", PHASES)
def test_kernel_equals_the_torch_pipeline(phase, demosaic, kind):
    shading = KINDS[kind].at((301, 402), 37, 251)
    for mosaic in (random_mosaic(41, 53), smooth_mosaic(41, 53)):
        for bits, clip_black in ((8, True), (16, False)):
            parameters = IspParameters(
                GAINS, MATRIX, demosaic=demosaic, alpha=0.6, clip_black=clip_black
            )
            greatest = 2**bits - 1
            exact = by_torch(mosaic, phase, parameters, shading)
            expected = np.floor(np.clip(exact * greatest + 0.5, 0, greatest))
            ours = render(mosaic, phase, BLACK, WHITE, parameters, bits=bits, shading=shading)
            assert_same_picture(ours, expected, demosaic)


@pytest.mark.parametrize("kind", KINDS)
def test_linear_stage_keeps_the_sign_of_amplified_noise(kind):
    shading = KINDS[kind].at((40, 56))
    parameters = IspParameters(GAINS, MATRIX, clip_black=False)
    mosaic = smooth_mosaic(40, 56)
    exact = by_torch(mosaic, "GRBG", parameters, shading, "rgb_to_srgb")
    expected = np.clip(np.floor(exact * LINEAR_SCALE + LINEAR_OFFSET + 0.5), 0, 65535)
    ours = render(mosaic, "GRBG", BLACK, WHITE, parameters, stage="linear", shading=shading)
    assert (expected < LINEAR_OFFSET).any()
    assert_same_picture(ours, expected, "malvar")


@pytest.mark.parametrize("demosaic", DEMOSAICS)
def test_published_border_is_shaded_too(demosaic):
    shading = KINDS["both"].at((90, 80), 11, 6)
    parameters = IspParameters(GAINS, MATRIX, demosaic=demosaic)
    mosaic = random_mosaic(31, 38)
    exact = by_torch(mosaic, "BGGR", parameters, shading, border="published")
    options = {"border": "published", "shading": shading}
    ours = render(mosaic, "BGGR", BLACK, WHITE, parameters, **options)
    assert_same_picture(ours, np.floor(np.clip(exact * 255 + 0.5, 0, 255)), demosaic)
    cut = render(mosaic, "BGGR", BLACK, WHITE, parameters, cut=(3, 2, 20, 30), **options)
    alone = render(
        mosaic[3:23, 2:32], shift("BGGR", 3, 2), BLACK, WHITE, parameters, border="published",
        shading=KINDS["both"].at((90, 80), 14, 8),
    )  # fmt: skip
    np.testing.assert_array_equal(cut, alone)


@pytest.mark.parametrize("demosaic", DEMOSAICS)
@settings(deadline=None)
@given(shadings(), st.sampled_from(PHASES), st.data())
def test_crop_with_halo_is_the_crop_of_the_frame_to_the_bit(demosaic, shading, phase, data):
    frame = data.draw(st.tuples(st.integers(8, 40), st.integers(8, 40)))
    top, left = (data.draw(st.integers(0, n - 1)) for n in frame)
    height, width = (
        data.draw(st.integers(1, n - at)) for n, at in zip(frame, (top, left), strict=True)
    )
    halo = HALO[demosaic]
    parameters = IspParameters(GAINS, MATRIX, demosaic=demosaic, alpha=0.5)
    mosaic = random_mosaic(*frame)
    whole = render(mosaic, phase, BLACK, WHITE, parameters, shading=shading.at(frame))
    expected = whole[top : top + height, left : left + width]
    window = render(
        mosaic, phase, BLACK, WHITE, parameters, cut=(top, left, height, width),
        shading=shading.at(frame),
    )  # fmt: skip
    np.testing.assert_array_equal(window, expected)
    tile = np.pad(mosaic, halo, mode="reflect")
    tile = tile[top : top + height + 2 * halo, left : left + width + 2 * halo]
    alone = render(
        tile, shift(phase, top - halo, left - halo), BLACK, WHITE, parameters,
        cut=(halo, halo, height, width), shading=shading.at(frame, top - halo, left - halo),
    )  # fmt: skip
    np.testing.assert_array_equal(alone, expected)


def test_a_gain_of_one_changes_nothing():
    flat = Shading(Radial((0.0,)), GainMaps(np.ones((4, 3, 3)), spacing=(0.5, 0.5)))
    parameters = IspParameters(GAINS, MATRIX)
    mosaic = random_mosaic(20, 24)
    shaded = render(mosaic, "RGGB", BLACK, WHITE, parameters, shading=flat.at((20, 24)))
    assert_same_picture(shaded, render(mosaic, "RGGB", BLACK, WHITE, parameters), "malvar")


def test_the_sensor_saturates_before_the_gain_and_the_picture_after():
    gains = torch.tensor([[0.5, 2.0], [1.0, 4.0]]).tile(4, 4)[None, None]
    levels = torch.tensor([[1.3, 1.3], [0.7, 0.3]]).tile(4, 4)[None, None]
    options = {"final_stage": "shading", "shading": gains}
    shaded = pipeline.process(levels, "RGGB", torch.ones(3), torch.eye(3), **options)
    torch.testing.assert_close(shaded[0, 0, :2, :2], torch.tensor([[0.5, 1.0], [0.7, 1.0]]))
    options["shading"] = None
    unshaded = pipeline.process(levels, "RGGB", torch.ones(3), torch.eye(3), **options)
    assert torch.equal(unshaded, levels)


@pytest.mark.parametrize("border", ["reflect", "published"])
@pytest.mark.parametrize("demosaic", ["malvar", "ahd"])
def test_gradients_of_mosaic_and_gains(demosaic, border):
    generator = torch.Generator().manual_seed(0)
    mosaic, gains = (
        low + width * torch.rand(2, 1, 8, 6, generator=generator, dtype=torch.float64)
        for low, width in ((0.15, 0.1), (1.1, 0.2))
    )
    inputs = [mosaic.requires_grad_(), gains.requires_grad_()]

    def run(mosaic, gains):
        return pipeline.process(
            mosaic, "GRBG", torch.tensor(GAINS), torch.tensor(MATRIX), demosaic=demosaic,
            border=border, shading=gains,
        )  # fmt: skip

    assert torch.autograd.gradcheck(run, inputs)


def test_every_picture_of_a_batch_has_its_own_shading():
    mosaics = torch.rand(2, 1, 12, 14, dtype=torch.float64, generator=torch.manual_seed(1))
    places = [KINDS["both"].at((100, 90), 60, 4), KINDS["radial"].at((100, 90), 8, 70)]
    parameters = IspParameters(GAINS, MATRIX)
    batch = pipeline.render(mosaics, "GBRG", parameters, shading=places)
    for i, place in enumerate(places):
        single = pipeline.render(mosaics[i : i + 1], "GBRG", parameters, shading=place)
        torch.testing.assert_close(batch[i : i + 1], single)
    stages = pipeline.process_stages(
        mosaics, "GBRG", *(torch.tensor(a, dtype=torch.float64) for a in (GAINS, MATRIX)),
        shading=pipeline.shading_gains(places, "GBRG", mosaics),
    )  # fmt: skip
    torch.testing.assert_close(stages["tone_mapping"], batch)
    assert not torch.equal(stages["shading"], mosaics)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("phase", PHASES)
def test_unprocessing_kernel_equals_the_inverse_stages(phase, kind):
    rng = np.random.default_rng(2)
    codes = rng.integers(0, 256, (21, 26, 3)).astype(np.uint8)
    shading = KINDS[kind].at((200, 180), 5, 130)
    parameters = IspParameters(GAINS, MATRIX, alpha=0.4)
    zero = np.asarray(BLACK)[plane_map(phase, (21, 26))]
    for picture, encoded in ((codes, True), (rng.random((21, 26, 3), np.float32), False)):
        ours = unprocess(picture, phase, BLACK, WHITE, parameters, encoded=encoded, shading=shading)
        values = picture / 255 if encoded else picture.astype(float)
        x = inverse.unprocess(values, parameters, phase, encoded=encoded, shading=shading)
        difference = np.abs(ours - np.floor(zero + x * (WHITE - zero) + 0.5))
        assert difference.max() <= 1
        assert (difference > 0).mean() <= 0.01


@pytest.mark.parametrize("phase", PHASES)
def test_what_unprocessing_takes_the_isp_gives_back(phase):
    picture = np.full((40, 40, 3), 90, np.uint8)
    parameters = IspParameters(GAINS, MATRIX, alpha=0.3)
    shading = KINDS["both"].at((40, 40))
    black, white = (4096.0,) * 4, 65535.0
    mosaic = unprocess(picture, phase, black, white, parameters, shading=shading)
    assert np.ptp(mosaic[::2, ::2]) > 1000
    back = render(mosaic, phase, black, white, parameters, shading=shading)
    # The gain bends by less than 3e-3 within a demosaicer's reach: a level of 255 at most.
    assert np.abs(back.astype(int) - 90).max() <= 1


def test_white_stays_white_under_every_gain():
    parameters = IspParameters(GAINS, MATRIX)
    picture = np.full((24, 24, 3), 255, np.uint8)
    shading = Shading(Radial((1.5,))).at((24, 24))
    mosaic = unprocess(picture, "RGGB", BLACK, WHITE, parameters, shading=shading)
    assert mosaic[0, 0] < 0.5 * WHITE
    assert mosaic[12, 12] > 0.99 * WHITE
    back = render(mosaic, "RGGB", BLACK, WHITE, parameters, shading=shading)
    # White's neighbours are cut at white, so only rounding to a digital number can lose a level.
    assert back.min() >= 254


def test_gains_of_a_corner_and_of_the_centre():
    radial = Radial((0.5, 0.25))
    assert (radial.least, radial.greatest) == (1, 1.75)
    gains = Shading(radial).at((3001, 4001)).gains((3001, 4001), "RGGB")
    assert gains[1500, 2000] == 1
    assert gains[0, 0] == pytest.approx(1.75, abs=1e-3)
    assert maps().greatest >= maps().at((50, 50)).gains((50, 50), "RGGB").max()
    dip = Radial((-1.0, 1.2))
    assert dip.least == pytest.approx(1 - 1 / 4.8, abs=1e-7)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Radial(()), "one to 5"),
        (lambda: Radial((0.1,) * 6), "one to 5"),
        (lambda: Radial((math.nan,)), "finite"),
        (lambda: Radial((-1.0,)), "falls to 0"),
        (lambda: Radial((-4.0, 3.9)), r"falls to -0\.02"),
        (lambda: Radial((0.1,), (0.5, 1.5)), r"within \[0, 1\]"),
        (lambda: GainMaps(np.ones((3, 2, 2))), r"shape \(3, 2, 2\)"),
        (lambda: GainMaps(np.zeros((4, 2, 2))), "above 0"),
        (lambda: GainMaps(np.ones((4, 2, 2)), spacing=(0, 1)), "steps above 0"),
        (lambda: Shading().at((0, 4)), "empty"),
        (
            lambda: pipeline.render(
                torch.zeros(1, 1, 8, 8), torch.tensor([[0, 1], [3, 2]]),
                IspParameters(GAINS, MATRIX), shading=Shading(Radial((1.0,))).at((8, 8)),
            ),
            "one phase",
        ),
        (
            lambda: pipeline.process(
                torch.zeros(1, 1, 8, 8), "RGGB", torch.ones(3), torch.eye(3),
                shading=torch.ones(1, 1, 8, 9),
            ),
            r"shading of shape \(1, 1, 8, 9\)",
        ),
    ],
)  # fmt: skip
def test_wrong_input_is_named(make, message):
    with pytest.raises(InputError, match=message):
        make()


@given(shading=shadings())
def test_bytes_give_the_shading_back(shading):
    again = Shading.from_bytes(shading.to_bytes() + b"\0" * 9)
    assert again.radial == shading.radial
    assert (again.maps is None) == (shading.maps is None)
    if again.maps is not None and shading.maps is not None:
        np.testing.assert_array_equal(again.maps.gains, shading.maps.gains)
        assert again.maps.origin == shading.maps.origin
        assert again.maps.spacing == shading.maps.spacing


def test_bytes_of_nothing_are_refused():
    with pytest.raises(ValueError, match="no lens shading"):
        Shading.from_bytes(b"\0" * 20)
