"""The torch samplers: equal in law to add_noise, planes in their places, gradients, refusals.

Two samples of n pixels may differ in a moment by five standard errors, computed from the sample's
own higher moments by the delta method (false alarms: one in 1.7e6 for each comparison), and the
Kolmogorov-Smirnov test may give a p-value of 1e-6 (codes tie, which makes it rarer still).
"""

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from noisegen.cfa import PHASES, plane_map, planes
from noisegen.errors import InputError
from noisegen.random import Stream, counter, torch_generator
from noisegen.sensor import (
    Levels,
    NoiseModel,
    NoiseParameters,
    add_noise,
    formulas,
    get,
    names,
    variance,
)
from noisegen.sensor.differentiable import BatchParameters, noise_map, sample

SPAN = 16000
LEVELS = Levels((4000,) * 4, 4000 + SPAN)
SHAPE = (250, 1000)
N = SHAPE[0] * SHAPE[1]
SIGMAS = 5
# Up to 1000 electrons: 0.5 and 10 below the kernels' split at 16.
SIGNALS = [0, 4, 80, 400, 8000]
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
PARAMETERS = NoiseParameters(
    shot=(8 / SPAN,) * 4,
    read=((6 / SPAN) ** 2,) * 4,
    tukey_lambda=0.1,
    tukey_scale=4 / SPAN,
    bias=(3.3 / SPAN,) * 4,
)
SILENT = NoiseParameters((0,) * 4, (0,) * 4)
ROWS = NoiseModel("rows", "none", "none", row=True)


def rng(*key, device="cpu"):
    return torch_generator(5, Stream.TRAINING, *key, device=device)


def codes_of(y, levels, phase="RGGB"):
    """Return normalised mosaics in DN, float64."""
    black = np.asarray(levels.black)[plane_map(phase, tuple(y.shape[-2:]))]
    return y.detach().cpu().double().numpy() * (levels.white - black) + black


def both(signal, model, parameters, levels=LEVELS, dtype=torch.float32, device="cpu"):
    """Codes minus the clean one of a flat mosaic, by torch and by the kernels."""
    flat = np.full(SHAPE, 4000 + signal, np.uint16)
    fast = add_noise(flat, LEVELS, model, parameters, levels, "RGGB", counter(8, signal))
    x = torch.full((1, 1, *SHAPE), signal / SPAN, dtype=dtype, device=device)
    options = {"levels": levels, "quantise": True, "clip": levels.clips_at}
    y = sample(x, model, parameters, "RGGB", rng(signal, device=device), **options)
    slow = codes_of(y, levels)[0, 0]
    np.testing.assert_allclose(slow, np.rint(slow), atol=5e-3)
    return np.rint(slow) - flat, fast - flat.astype(float)


def moments(values):
    """Mean, variance and kurtosis of a sample, each with its standard error."""
    n, centred = values.size, values - values.mean()
    second, fourth = (centred**2).mean(), (centred**4).mean()
    if second == 0:
        return [(values.mean(), 0.0), (0.0, 0.0), (0.0, 0.0)]
    third = (centred**3).mean()
    influence = (
        (centred**4 - fourth - 4 * third * centred) / second**2
        - 2 * fourth / second**3 * (centred**2 - second)
    )  # fmt: skip
    return [
        (values.mean(), np.sqrt(second / n)),
        (second, (centred**2).std() / np.sqrt(n)),
        (fourth / second**2, influence.std() / np.sqrt(n)),
    ]


def check_same_law(a, b, kurtosis=True):
    a, b = a.ravel(), b.ravel()
    pairs = list(zip(moments(a), moments(b), strict=True))
    for (one, error), (other, other_error) in pairs if kurtosis else pairs[:2]:
        assert abs(one - other) <= SIGMAS * np.hypot(error, other_error)
    assert stats.ks_2samp(a, b, method="asymp").pvalue > 1e-6


# Equal in law


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("signal", SIGNALS)
@pytest.mark.parametrize("name", names())
def test_same_law_as_the_kernels(name, signal, device):
    model = get(name)
    slow, fast = both(signal, model, PARAMETERS, device=device)
    check_same_law(slow, fast)
    expected = variance(signal / SPAN, model, PARAMETERS, LEVELS)[0]
    error = moments(slow)[1][1]
    assert abs(slow.var() - expected) < SIGMAS * error
    assert abs(slow.mean() - 3.3 * model.bias) < SIGMAS * np.sqrt(expected / N)


@pytest.mark.parametrize("shape", [-0.3, -0.1, 0.0, 1e-15, 1e-3, 0.5, 2.0])
def test_same_tukey_lambda_law(shape):
    model = NoiseModel("dark", "none", "tukey-lambda")
    scale = 200 / SPAN
    parameters = NoiseParameters((0,) * 4, (0,) * 4, tukey_lambda=shape, tukey_scale=scale)
    slow, fast = both(8000, model, parameters)
    # From λ = -1/8 down the kurtosis has no standard error, from -1/4 down the variance has none.
    if shape > -0.125:
        check_same_law(slow, fast)
    assert stats.ks_2samp(slow.ravel(), fast.ravel(), method="asymp").pvalue > 1e-6
    dither = np.random.default_rng(1).uniform(-0.5, 0.5, SHAPE)
    law = stats.tukeylambda(0.0 if shape == 1e-15 else shape)
    assert stats.kstest(((slow + dither) / 200).ravel(), law.cdf).pvalue > 1e-6


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("mean", [0.5, 2, 10, 15, 17, 100, 1000])
def test_poisson_counts(mean, dtype):
    """Read noise zero and 16 DN per electron: the codes are the electrons themselves."""
    levels = Levels((100,) * 4, 32100)
    parameters = NoiseParameters((16 / 32000,) * 4, (0,) * 4)
    x = torch.full((1, 1, *SHAPE), mean * 16 / 32000, dtype=dtype)
    model = get("poisson-gaussian")
    y = sample(x, model, parameters, "GBRG", rng(int(2 * mean)), levels=levels, quantise=True)
    count = (codes_of(y, levels) - 100) / 16
    np.testing.assert_allclose(count, np.rint(count), atol=1e-3)
    count = np.rint(count).ravel()
    assert abs(count.mean() - mean) < SIGMAS * np.sqrt(mean / N)
    assert abs(count.var() - mean) < SIGMAS * np.sqrt((2 * mean**2 + mean) / N)
    law = stats.poisson(mean)
    seen = np.bincount(count.astype(int))
    expected = law.pmf(np.arange(seen.size)) * N
    common = expected >= 10
    chi2 = ((seen - expected)[common] ** 2 / expected[common]).sum()
    assert stats.chi2.sf(chi2, common.sum()) > 1e-6


def test_clipped_codes_follow_the_same_law():
    """Near black and with heavy noise, under both conventions and with fractions of a code."""
    parameters = NoiseParameters((30 / 880.25,) * 4, ((25 / 880.25) ** 2,) * 4)
    model = get("heteroscedastic")
    for levels in (Levels((20.5,) * 4, 900.75, "black"), Levels((20.5,) * 4, 900.75, "adc")):
        flat = np.full(SHAPE, 4000, np.uint16)
        flat[:, 500:] = 20000
        fast = add_noise(flat, LEVELS, model, parameters, levels, "RGGB", counter(1, 1))
        x = torch.from_numpy((flat - 4000.0) / SPAN)[None, None]
        options = {"levels": levels, "quantise": True, "clip": levels.clips_at}
        y = sample(x, model, parameters, "RGGB", rng(1), **options)
        slow = np.rint(codes_of(y, levels))[0, 0]
        for part in (np.s_[:, :500], np.s_[:, 500:]):
            a, b = slow[part].ravel(), fast[part].astype(float).ravel()
            assert stats.ks_2samp(a, b, method="asymp").pvalue > 1e-6
        assert slow.min() == fast.min() == (21 if levels.clips_at == "black" else 0)
        assert slow.max() == fast.max() == 900


@pytest.mark.parametrize("name", ["poisson-gaussian", "eld-gaussian", "eld"])
def test_nothing_is_counted_twice(name):
    """Noise measured on stored frames holds rounding and rows: so does the stored sum."""
    measured, unit = 3.0**2, 1.5
    shape = 0.1
    tukey = np.sqrt(measured / stats.tukeylambda.var(shape))
    parameters = NoiseParameters(
        (0,) * 4,
        (measured / SPAN**2,) * 4,
        row=unit / SPAN,
        tukey_lambda=shape,
        tukey_scale=tukey / SPAN,
        read_includes=("quantisation", "row"),
    )
    slow, fast = both(8000, get(name), parameters)
    # 250 row offsets carry a quarter of the variance: their sample variance sets the error.
    rows = unit**2 * np.sqrt(2 / SHAPE[0]) if get(name).row else 0
    error = np.hypot(measured * np.sqrt(2 / N), rows)
    for drawn in (slow, fast):
        assert abs((drawn**2).mean() - measured) < SIGMAS * error


def test_rounding_is_taken_off_only_where_it_is_added():
    unrounded = NoiseParameters((0,) * 4, ((0.5 / SPAN) ** 2,) * 4)
    included = NoiseParameters((0,) * 4, ((0.5 / SPAN) ** 2,) * 4, read_includes=("quantisation",))
    x = torch.zeros(1, 1, *SHAPE, dtype=torch.float64)
    for parameters in (unrounded, included):
        y = sample(x, get("awgn"), parameters, "RGGB", rng(2), levels=LEVELS) * SPAN
        assert abs(y.var().item() - 0.25) < SIGMAS * 0.25 * np.sqrt(2 / N)
    both_ways = [
        sample(x, get("awgn"), p, "RGGB", rng(2), levels=LEVELS, quantise=True)
        for p in (unrounded, included)
    ]
    # Normals of variance 1/4 - 1/12 and 1/4, rounded: codes 0 have these probabilities.
    for y, sd in zip(both_ways, (0.5, np.sqrt(1 / 6)), strict=True):
        p = stats.norm.cdf(0.5 / sd) - stats.norm.cdf(-0.5 / sd)
        share = (y == 0).double().mean().item()
        assert abs(share - p) < SIGMAS * np.sqrt(p * (1 - p) / N)


# Rows


def test_row_noise_is_one_offset_a_row():
    parameters = NoiseParameters((0,) * 4, (0,) * 4, row=200 / SPAN)
    x = torch.full((2, 1, 20000, 3), 0.3)
    options = {"levels": LEVELS, "quantise": True}
    y = np.rint(codes_of(sample(x, ROWS, parameters, "RGGB", rng(3), **options), LEVELS))
    assert (y == y[..., :1]).all()
    offsets = y[:, 0, :, 0] - 8800.0
    assert abs(np.corrcoef(offsets)[0, 1]) < SIGMAS / np.sqrt(20000)
    tall = np.full((20000, 3), 8800, np.uint16)
    fast = add_noise(tall, LEVELS, ROWS, parameters, LEVELS, "RGGB", counter(3, 1))
    check_same_law(offsets[0], fast[:, 0] - 8800.0)
    assert abs(offsets.var() - 200**2) < SIGMAS * 200**2 * np.sqrt(2 / offsets.size)
    lag = offsets[0, 1:], offsets[0, :-1]
    assert abs(np.corrcoef(*lag)[0, 1]) < SIGMAS / np.sqrt(20000)


def test_rows_are_offset_in_digital_numbers_of_the_second_plane():
    levels = Levels((0, 4000, 8000, 12000), 20000)
    parameters = NoiseParameters((0,) * 4, (0,) * 4, row=200 / 16000)
    x = torch.full((1, 1, 4000, 4), 0.5, dtype=torch.float64)
    y = sample(x, ROWS, parameters, "BGGR", rng(4), levels=levels)
    offset = codes_of(y - x, levels, "BGGR") - codes_of(x * 0, levels, "BGGR")
    np.testing.assert_allclose(offset, np.broadcast_to(offset[..., :1], offset.shape))
    one_a_row = offset[0, 0, :, 0]
    assert abs(one_a_row.var() - 200**2) < SIGMAS * 200**2 * np.sqrt(2 / 4000)


# Planes, levels and batches


@given(
    phase=st.sampled_from(PHASES), height=st.integers(1, 7), width=st.integers(1, 7),
    form=st.sampled_from(["phase", "tile", "tiles", "map", "maps"]),
)  # fmt: skip
@settings(deadline=None)
def test_planes_land_in_their_places(phase, height, width, form):
    tile = torch.from_numpy(planes(phase).astype(np.int64))
    pixels = torch.from_numpy(plane_map(phase, (height, width)))
    cfa = {
        "phase": phase,
        "tile": tile,
        "tiles": tile.expand(2, 2, 2),
        "map": pixels[None, None],
        "maps": pixels.expand(2, 1, height, width),
    }[form]
    bias = (0.125, 0.25, 0.5, 1.0)
    x = torch.zeros(2, 1, height, width)
    y = sample(x, get("eld-gaussian"), NoiseParameters((0,) * 4, (0,) * 4, bias=bias), cfa, rng(1))
    expected = np.asarray(bias)[plane_map(phase, (height, width))]
    np.testing.assert_array_equal(y, np.broadcast_to(expected, y.shape))
    K = torch.tensor([bias])
    np.testing.assert_array_equal(noise_map(x, 0.0, K**2, cfa), y)


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("name", names())
def test_every_figure_is_that_of_its_plane(name, phase):
    levels = Levels((1000, 2000, 3000, 4000), 20000)
    parameters = NoiseParameters(
        shot=(1e-4, 2e-4, 4e-4, 8e-4),
        read=(1e-6, 4e-6, 16e-6, 64e-6),
        tukey_lambda=0.1,
        tukey_scale=1e-3,
    )
    x = torch.full((1, 1, *SHAPE), 0.05)
    y = sample(x, get(name), parameters, phase, rng(6), levels=levels, quantise=True)
    codes = np.rint(codes_of(y, levels, phase))[0, 0]
    expected = variance(0.05, get(name), parameters, levels)
    where = plane_map(phase, SHAPE)
    for plane in range(4):
        mine = codes[where == plane]
        clean = 0.05 * levels.span[plane] + levels.black[plane]
        assert abs(mine.mean() - clean) < SIGMAS * np.sqrt(expected[plane] / mine.size)
        assert abs(mine.var() - expected[plane]) < SIGMAS * moments(mine)[1][1]


def test_silent_codes_are_those_of_the_kernels():
    """Without noise both round and clip the same signal: per-plane levels, bias, both clippings."""
    model = NoiseModel("offset", "none", "none", bias=True)
    source = Levels((512, 513, 514, 511), 16383)
    mosaic = np.random.default_rng(3).integers(0, 16384, (61, 83)).astype(np.uint16)
    parameters = NoiseParameters((0,) * 4, (0,) * 4, bias=(0.0101, -0.02, -0.3, 0.2))
    for phase in PHASES:
        black = np.asarray(source.black)[plane_map(phase, mosaic.shape)]
        x = torch.from_numpy((mosaic - black) / (16383 - black))[None, None]
        for levels in (
            Levels((64, 63.5, 70.25, 65), 1023.5),
            Levels((64, 63.5, 70.25, 65), 1023.5, "black"),
        ):
            fast = add_noise(mosaic, source, model, parameters, levels, phase, counter(0, 0))
            options = {"levels": levels, "quantise": True, "clip": levels.clips_at}
            y = sample(x, model, parameters, phase, rng(0), **options)
            slow = np.rint(codes_of(y, levels, phase))[0, 0]
            # The kernels work in float32: at a tie the last bit decides, never by more than 1.
            assert np.abs(slow - fast).max() <= 1
            assert (slow != fast).mean() < 2e-3


def test_images_of_a_batch_have_figures_and_levels_of_their_own():
    each = [
        NoiseParameters((0,) * 4, (0,) * 4, bias=(0.25,) * 4),
        NoiseParameters((0,) * 4, (0,) * 4, bias=(0.5,) * 4),
    ]
    levels = [Levels((0,) * 4, 10), Levels((7,) * 4, 11)]
    model = get("eld-gaussian")
    tiles = torch.from_numpy(np.stack([planes("RGGB"), planes("GRBG")]))
    x = torch.zeros(2, 1, 4, 4, dtype=torch.float64)
    y = sample(x, model, each, tiles, rng(0), levels=levels, quantise=True)
    np.testing.assert_allclose(y[0], 0.3)  # 2.5 codes, and a half is rounded up
    np.testing.assert_allclose(y[1], 0.5)


def test_unrounded_signal_is_cut_only_on_request():
    parameters = NoiseParameters((0,) * 4, (0.25,) * 4)
    x = torch.rand(1, 1, 64, 64, generator=rng(1), dtype=torch.float64)
    levels = Levels((100,) * 4, 500)
    draw = {"model": get("awgn"), "parameters": parameters, "cfa": "RGGB"}
    free = sample(x, **draw, generator=rng(2))
    assert free.min() < -0.25
    assert free.max() > 1
    black = sample(x, **draw, generator=rng(2), clip="black")
    np.testing.assert_array_equal(black, formulas.published_clip(free.numpy()))
    same = sample(x, **draw, generator=rng(2), clip="black", levels=levels)
    np.testing.assert_array_equal(black, same)
    adc = sample(x, **draw, generator=rng(2), clip="adc", levels=levels)
    np.testing.assert_array_equal(adc, free.clamp(-0.25, 1))


def test_formula_of_the_published_gaussian_model():
    x = torch.rand(2, 1, 8, 8, generator=rng(1), dtype=torch.float64)
    parameters = NoiseParameters((0.01,) * 4, (1e-4,) * 4)
    y = sample(x, get("heteroscedastic"), parameters, "RGGB", rng(9))
    z = torch.randn(x.shape, generator=rng(9), dtype=x.dtype)
    expected = formulas.heteroscedastic(x.numpy(), z.numpy(), 0.01, 1e-4)
    np.testing.assert_allclose(y, expected, rtol=1e-12)


@pytest.mark.parametrize("name", names())
def test_below_black_there_is_no_shot_noise(name):
    parameters = NoiseParameters((0.1,) * 4, (0,) * 4, tukey_lambda=0.0, tukey_scale=0.0)
    x = torch.full((1, 1, 6, 6), -0.125)
    np.testing.assert_array_equal(sample(x, get(name), parameters, "RGGB", rng(1)), x)


@pytest.mark.parametrize("name", names())
def test_no_figures_no_noise(name):
    silent = NoiseParameters((0,) * 4, (0,) * 4, tukey_lambda=0.2, tukey_scale=0.0)
    x = torch.rand(2, 1, 6, 5, generator=rng(1))
    np.testing.assert_array_equal(sample(x, get(name), silent, "RGGB", rng(1)), x)


# Gradients

TERMS = [
    get("awgn"),
    get("heteroscedastic"),
    NoiseModel("eld without Poisson", "gaussian", "tukey-lambda", row=True, bias=True),
    NoiseModel("rows and bias", "gaussian", "gaussian", row=True, bias=True),
]


@pytest.mark.parametrize("model", TERMS, ids=lambda model: model.name)
def test_gradients_are_those_of_finite_differences(model):
    x = 0.1 + torch.rand(2, 1, 4, 5, generator=rng(1), dtype=torch.float64)
    figures = [
        torch.rand(shape, generator=rng(2, i), dtype=torch.float64) * 0.1 + 0.01
        for i, shape in enumerate([(2, 4), (2, 4), (2,), (2,), (2, 4)])
    ]

    def draw(x, shot, read, row, scale, bias):
        parameters = BatchParameters(shot, read, row, -0.1, scale, bias, includes_row=True)
        levels = Levels((0, 1, 2, 3), 100)
        return sample(x, model, parameters, "GBRG", rng(7), levels=levels)

    inputs = [x, *figures]
    figures[2] *= 0.1  # rows stay below the read noise that includes them
    for tensor in inputs:
        tensor.requires_grad_()
    assert torch.autograd.gradcheck(draw, inputs)


@pytest.mark.parametrize("name", ["poisson-gaussian", "eld", "eld-gaussian"])
def test_poisson_gradient_is_that_of_the_mean(name):
    x = torch.rand(1, 1, 6, 6, generator=rng(1), dtype=torch.float64) - 0.2
    shot = torch.full((4,), 0.05, dtype=torch.float64)
    read = torch.full((4,), 0.01, dtype=torch.float64)
    scale = torch.full((1,), 0.1, dtype=torch.float64)
    for tensor in (x, shot, read, scale):
        tensor.requires_grad_()
    parameters = BatchParameters(shot, read, tukey_lambda=0.1, tukey_scale=scale)
    y = sample(x, get(name), parameters, "RGGB", rng(2))
    weights = torch.rand(x.shape, generator=rng(3), dtype=x.dtype)
    (weights * y).sum().backward()
    np.testing.assert_array_equal(x.grad, weights)
    assert shot.grad is None
    drawn = scale if name == "eld" else read
    assert drawn.grad.abs().sum() > 0


def test_gradient_of_codes_is_one_inside_and_zero_where_clipped():
    levels = Levels((10,) * 4, 20)
    x = torch.tensor([[-2.0, -0.5, 0.02, 0.44, 0.96, 1.2]], dtype=torch.float64)[None, None]
    for clip, inside in (("adc", [0, 1, 1, 1, 1, 0]), ("black", [0, 0, 1, 1, 1, 0])):
        x.grad = None
        x.requires_grad_()
        options = {"levels": levels, "quantise": True, "clip": clip}
        sample(x, get("awgn"), SILENT, "RGGB", rng(1), **options).sum().backward()
        assert x.grad.flatten().tolist() == inside


def test_no_figures_have_finite_gradients():
    x = torch.tensor([[-0.5, 0.0, 0.5, 1.0]])[None, None].requires_grad_()
    shot = torch.zeros(4, requires_grad=True)
    read = torch.zeros(4, requires_grad=True)
    for name in names():
        parameters = BatchParameters(shot, read, tukey_lambda=0.0, tukey_scale=0.0)
        sample(x, get(name), parameters, "RGGB", rng(1)).sum().backward()
    for tensor in (x, shot, read):
        assert tensor.grad is None or tensor.grad.isfinite().all()


def test_noise_map_is_the_published_one():
    y = torch.rand(3, 1, 6, 8, generator=rng(1), dtype=torch.float64) - 0.2
    expected = formulas.noise_map(y.numpy(), 0.01, 1e-4)
    np.testing.assert_allclose(noise_map(y, 0.01, 1e-4, "RGGB"), expected, rtol=1e-12)
    assert (expected == np.sqrt(formulas.MAP_FLOOR)).any()
    K = torch.rand(3, 1, generator=rng(2), dtype=torch.float64)
    by_image = formulas.noise_map(y.numpy(), K.numpy()[:, :, None, None], 1e-4)
    np.testing.assert_allclose(noise_map(y, K, 1e-4, "GRBG"), by_image, rtol=1e-12)
    inside = y.abs().requires_grad_()
    assert torch.autograd.gradcheck(lambda y: noise_map(y, 0.01, 1e-4, "RGGB"), [inside])


# Generators and refusals


def test_generators_repeat_and_differ_by_key():
    def words(*arguments):
        return torch_generator(*arguments).initial_seed()

    assert words(1, Stream.TRAINING, 2, 3) == words(1, Stream.TRAINING, 2, 3)
    different = {
        words(seed, stream, *key)
        for seed in (0, 1, 2**70)
        for stream in (Stream.TRAINING, Stream.SCENE)
        for key in ((), (0,), (1,), (0, 1), (1, 0))
    }
    assert len(different) == 30
    assert words(1, Stream.TRAINING, 2) == 0xDB232DA03EE542C0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", names())
def test_kind_is_kept_and_numbers_repeat(name, dtype):
    x = torch.rand(3, 1, 5, 4, generator=rng(1), dtype=dtype)
    first, again, other = (sample(x, get(name), PARAMETERS, "RGGB", rng(key)) for key in (2, 2, 3))
    assert first.dtype == dtype
    assert first.shape == x.shape
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


X = torch.zeros(2, 1, 4, 4)
AWGN = get("awgn")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": torch.zeros(4, 4)}, r"x of shape \(4, 4\)"),
        ({"x": torch.zeros(2, 3, 4, 4)}, "is needed"),
        ({"x": torch.zeros(2, 1, 4, 4, dtype=torch.float16)}, "float32 or float64"),
        ({"x": torch.zeros(2, 1, 4, 4, dtype=torch.int32)}, "float32 or float64"),
        ({"cfa": "RGBG"}, "RGGB, BGGR"),
        ({"cfa": torch.zeros(3, 2, 2)}, "tiles or"),
        ({"cfa": torch.full((2, 2), 4)}, "0 R, 1 G1"),
        ({"cfa": torch.full((2, 2), -1)}, "0 R, 1 G1"),
        ({"parameters": [SILENT] * 3}, "3 noise parameters for 2 mosaics"),
        ({"parameters": []}, "0 noise parameters for 2 mosaics"),
        ({"parameters": BatchParameters(torch.zeros(3, 4), 0.0)}, "shot of shape"),
        ({"parameters": BatchParameters(torch.zeros(3), 0.0)}, "shot of shape"),
        ({"model": get("eld")}, "needs tukey_lambda and tukey_scale"),
        ({"model": get("eld"), "parameters": [SILENT, PARAMETERS]}, "needs tukey_lambda"),
        ({"levels": [LEVELS] * 3}, "3 levels for 2 mosaics"),
        ({"quantise": True}, "rounding needs the sensor's black"),
        ({"clip": "adc"}, "clipping at the ADC's zero needs"),
        ({"clip": "white"}, "'adc', 'black' or None"),
    ],
)
def test_wrong_arguments(change, message):
    right = {"x": X, "model": AWGN, "parameters": SILENT, "cfa": "RGGB", "generator": rng(1)}
    with pytest.raises(InputError, match=message):
        sample(**(right | change))


@pytest.mark.parametrize(
    ("figures", "message"),
    [
        ({"shot": -1.0}, "shot gain must be finite and at least 0, not -1"),
        ({"shot": torch.tensor([0.0, np.inf, 0, 0])}, "not inf"),
        ({"read": torch.tensor([0.0, np.nan, 0, 0])}, "not nan"),
        ({"row": -0.5}, "row noise"),
        ({"bias": np.inf}, "bias must be finite, not inf"),
        ({"tukey_lambda": 0.1}, "together"),
        ({"tukey_lambda": -0.5, "tukey_scale": 1.0}, "above -0.5"),
        ({"tukey_lambda": 0.0, "tukey_scale": -1.0}, "tukey_scale"),
    ],
)
def test_wrong_figures(figures, message):
    with pytest.raises(InputError, match=message):
        BatchParameters(**({"shot": 0.0, "read": 0.0} | figures))


def test_a_generator_of_another_device_is_refused():
    with pytest.raises(InputError, match="lives on cpu and x on meta"):
        sample(X.to("meta"), AWGN, SILENT, "RGGB", rng(1))


def test_the_package_does_without_torch():
    code = (
        "import sys, noisegen.random, noisegen.sensor\n"
        "noisegen.random.generator(1, noisegen.random.Stream.CROP)\n"
        "sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
