"""The differentiable ISP: fast = slow, laws, gradients, input checks."""

import importlib.util
import itertools
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from noisegen import cfa
from noisegen.errors import InputError
from noisegen.isp import masked, packed, pipeline
from noisegen.isp.parameters import DEMOSAICS, GAMMAS, HALO, STAGES, IspParameters

_path = Path(__file__).parents[2] / "benchmarks" / "isp_torch.py"
_spec = importlib.util.spec_from_file_location("benchmarks_isp_torch", _path)
benchmark = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(benchmark)

MATRIX = torch.tensor(
    [[0.7161, 0.2475, 0.0364], [0.2759, 0.9854, -0.2613], [0.0253, -0.2454, 1.2201]],
    dtype=torch.float64,
)
CASES = list(itertools.product(DEMOSAICS, cfa.PHASES))


def batch(height, width, n=3, low=-0.05, high=1.05, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    mosaic = torch.rand(n, 1, height, width, generator=generator, dtype=torch.float64)
    gains = 1 + torch.rand(n, 4, generator=generator, dtype=torch.float64)
    twist = 0.1 * torch.rand(n, 3, 3, generator=generator, dtype=torch.float64)
    alpha = torch.rand(n, generator=generator, dtype=torch.float64)
    arguments = (mosaic * (high - low) + low, gains, MATRIX + twist, alpha)
    return tuple(a.to(dtype) for a in arguments)


def index_map(phase, height, width, n=1):
    return torch.tensor(cfa.plane_map(phase, (height, width)).astype(int)).expand(
        n, 1, height, width
    )


@pytest.mark.parametrize("size", [(12, 16), (11, 13)], ids=["even", "odd"])
@pytest.mark.parametrize(("demosaic", "phase"), CASES)
def test_published_border_equals_plain_masked_convolutions(demosaic, phase, size):
    inputs = [a.requires_grad_() for a in batch(*size)]
    mosaic, *others = inputs
    for gamma, clip_black in itertools.product(GAMMAS, (True, False)):
        slow = benchmark.plain(
            mosaic, index_map(phase, *size, 3), *others, demosaic, gamma, clip_black
        )
        fast = pipeline.process(
            mosaic,
            phase,
            *others,
            demosaic=demosaic,
            gamma=gamma,
            clip_black=clip_black,
            border="published",
        )
        torch.testing.assert_close(fast, slow, rtol=1e-10, atol=1e-10)
        cotangent = torch.rand_like(slow)
        ours, theirs = (torch.autograd.grad(z, inputs, cotangent) for z in (fast, slow))
        for a, b in zip(ours, theirs, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize(("demosaic", "phase"), CASES)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_picture_of_a_crop_with_its_halo_is_the_crop_of_the_picture(demosaic, phase, data):
    halo, (height, width) = HALO[demosaic], (24, 26)
    mosaic, *others = batch(height, width, n=2, seed=data.draw(st.integers(0, 99)))
    top = data.draw(st.integers(halo, height - halo - 1))
    left = data.draw(st.integers(halo, width - halo - 1))
    bottom = data.draw(st.integers(top + 1, height - halo))
    right = data.draw(st.integers(left + 1, width - halo))
    frame = pipeline.process(mosaic, phase, *others, demosaic=demosaic)
    patch = mosaic[..., top - halo : bottom + halo, left - halo : right + halo]
    there = cfa.shift(phase, top - halo, left - halo)
    cut = pipeline.process(patch, there, *others, demosaic=demosaic)[..., halo:-halo, halo:-halo]
    torch.testing.assert_close(cut, frame[..., top:bottom, left:right], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(("demosaic", "phase"), CASES)
def test_reflected_border_is_the_inside_of_the_reflected_mosaic(demosaic, phase):
    mosaic, gains, matrix, alpha = batch(10, 13)
    halo = HALO[demosaic]
    wide = torch.nn.functional.pad(mosaic, (halo,) * 4, mode="reflect")
    map_ = index_map(phase, *wide.shape[-2:], 3)
    slow = benchmark.plain(wide, map_, gains, matrix, alpha, demosaic)
    fast = pipeline.process(mosaic, phase, gains, matrix, alpha, demosaic=demosaic)
    torch.testing.assert_close(fast, slow[..., halo:-halo, halo:-halo], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("border", ["reflect", "published"])
@pytest.mark.parametrize("demosaic", DEMOSAICS)
def test_map_tiles_and_phase_mean_the_same_and_batches_mix_them(demosaic, border):
    mosaic, *others = batch(12, 14, n=4)
    options = {"demosaic": demosaic, "border": border}
    maps = torch.cat([index_map(p, 12, 14) for p in cfa.PHASES])
    tiles = torch.stack([torch.tensor(cfa.planes(p).astype(int)) for p in cfa.PHASES])
    by_map = pipeline.process_stages(mosaic, maps, *others, **options)
    by_tile = pipeline.process_stages(mosaic, tiles, *others, **options)
    for i, phase in enumerate(cfa.PHASES):
        one = [a[i : i + 1] for a in (mosaic, *others)]
        single = pipeline.process_stages(one[0], phase, *one[1:], **options)
        for stage in STAGES:
            torch.testing.assert_close(by_map[stage][i : i + 1], single[stage])
            torch.testing.assert_close(by_tile[stage][i : i + 1], single[stage])


def test_each_green_has_its_own_gain():
    mosaic = torch.full((1, 1, 8, 8), 0.25)
    gains = torch.tensor([1.0, 2.0, 1.0, 3.0])
    swapped = torch.tensor([[0, 3], [1, 2]])
    for indices in (torch.tensor([[0, 1], [3, 2]]), swapped, swapped.tile(4, 4)[None, None]):
        balanced = pipeline.process(mosaic, indices, gains, MATRIX, final_stage="white_balance")
        expected = 0.25 * gains[indices.expand(1, 1, *indices.shape[-2:])[..., :2, :2].long()]
        torch.testing.assert_close(balanced[..., 2:4, 4:6], expected)


@pytest.mark.parametrize("demosaic", DEMOSAICS)
def test_any_pattern_of_colours_is_rendered(demosaic):
    mosaic, gains, matrix, alpha = batch(12, 12, n=2)
    generator = torch.Generator().manual_seed(5)
    indices = torch.randint(0, 4, (2, 1, 12, 12), generator=generator)
    slow = benchmark.plain(mosaic, indices, gains, matrix, alpha, demosaic)
    ours = pipeline.process(
        mosaic, indices, gains, matrix, alpha, demosaic=demosaic, border="published"
    )
    torch.testing.assert_close(ours, slow, rtol=1e-10, atol=1e-10)
    quad = torch.tensor([[0, 0], [1, 2]])
    as_tile = pipeline.process(mosaic, quad, gains, matrix, alpha, demosaic=demosaic)
    as_map = pipeline.process(
        mosaic, quad.tile(6, 6)[None, None], gains, matrix, alpha, demosaic=demosaic
    )
    torch.testing.assert_close(as_tile, as_map)


@pytest.mark.parametrize("border", ["reflect", "published"])
@pytest.mark.parametrize("demosaic", DEMOSAICS)
def test_gradients_of_every_input(demosaic, border):
    # Between the clamps, the bends of the curves and AHD's changes of direction.
    mosaic, gains, matrix, alpha = batch(8, 6, n=2, low=0.2, high=0.4)
    inputs = [a.requires_grad_() for a in (mosaic, gains, matrix, alpha)]

    def run(*arguments):
        return pipeline.process(
            arguments[0], "GRBG", *arguments[1:], demosaic=demosaic, border=border
        )

    if demosaic == "ahd":
        # AHD's direction reads the matrix, but no gradient flows through the choice.
        inputs[2] = matrix.detach()
    assert torch.autograd.gradcheck(run, inputs)


@pytest.mark.parametrize("gamma", GAMMAS)
def test_second_derivatives(gamma):
    mosaic, gains, matrix, alpha = batch(6, 6, n=1, low=0.2, high=0.4)
    inputs = [a.requires_grad_() for a in (mosaic, alpha)]

    def run(mosaic, alpha):
        return pipeline.process(mosaic, "RGGB", gains, matrix, alpha, gamma=gamma)

    assert torch.autograd.gradgradcheck(run, inputs)


@pytest.mark.parametrize("final_stage", STAGES)
def test_stopping_after_a_stage_gives_that_stage(final_stage):
    mosaic, *others = batch(9, 10)
    stages = pipeline.process_stages(mosaic, "BGGR", *others, demosaic="ahd")
    stopped = pipeline.process(mosaic, "BGGR", *others, demosaic="ahd", final_stage=final_stage)
    assert torch.equal(stopped, stages[final_stage])
    assert stopped.shape == (3, 1 if final_stage in ("shading", "white_balance") else 3, 9, 10)


@pytest.mark.parametrize("demosaic", DEMOSAICS)
def test_float32_follows_float64(demosaic):
    # Inputs on a grid that float32 holds; one flipped direction of AHD would show in full.
    mosaic, *others = batch(32, 32, dtype=torch.float32, seed=3)
    single = pipeline.process(mosaic, "GBRG", *others, demosaic=demosaic)
    double = pipeline.process(
        mosaic.double(), "GBRG", *(a.double() for a in others), demosaic=demosaic
    )
    assert single.dtype == torch.float32
    assert double.dtype == torch.float64
    # float32 keeps 6e-8; the colour matrix and twice a slope of up to 12.92 (1 + alpha)^2 amplify.
    torch.testing.assert_close(single.double(), double, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("demosaic", DEMOSAICS)
def test_mixed_precision_does_not_reach_the_picture(demosaic):
    mosaic, *others = batch(12, 12, dtype=torch.float32)
    expected = pipeline.process(mosaic, "RGGB", *others, demosaic=demosaic)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        picture = pipeline.process(mosaic, "RGGB", *others, demosaic=demosaic)
    assert torch.equal(picture, expected)


def test_rendering_for_inference_first_leaves_training_able():
    mosaic, *others = batch(12, 12)
    packed._kernel_on.cache_clear()
    with torch.inference_mode():
        pipeline.process(mosaic, "RGGB", *others)
    pipeline.process(mosaic.requires_grad_(), "RGGB", *others).sum().backward()
    assert mosaic.grad.isfinite().all()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
@pytest.mark.parametrize("demosaic", DEMOSAICS)
def test_gpu_equals_cpu(demosaic):
    mosaic, *others = batch(20, 22)
    here = pipeline.process(mosaic, "RGGB", *others, demosaic=demosaic)
    there = pipeline.process(mosaic.cuda(), "RGGB", *others, demosaic=demosaic)
    assert there.is_cuda
    torch.testing.assert_close(there.cpu(), here, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("phase", cfa.PHASES)
@pytest.mark.parametrize("demosaic", DEMOSAICS)
def test_grey_stays_grey_up_to_the_border(demosaic, phase):
    gains = torch.tensor([2.0, 1.0, 1.6], dtype=torch.float64)
    camera = (0.3 / gains)[cfa.colors(phase).astype(int)]
    mosaic = camera.tile(4, 5)[None, None]
    options = {"demosaic": demosaic, "final_stage": "demosaic"}
    rgb = pipeline.process(mosaic, phase, gains, MATRIX, **options)
    torch.testing.assert_close(rgb, torch.full_like(rgb, 0.3))
    if demosaic != "nearest":
        rgb = pipeline.process(mosaic, phase, gains, MATRIX, border="published", **options)
        assert (rgb[..., 0, :] < 0.299).any()


@pytest.mark.parametrize("phase", cfa.PHASES)
@pytest.mark.parametrize("demosaic", ["bilinear", "malvar", "ahd"])
def test_grey_ramps_are_reproduced(demosaic, phase):
    rows = torch.arange(16, dtype=torch.float64)
    ramp = 0.1 + 0.02 * rows[:, None] + 0.013 * rows
    rgb = pipeline.process(
        ramp[None, None], phase, torch.ones(3), MATRIX, demosaic=demosaic, final_stage="demosaic"
    )
    inside = (slice(None), slice(None), slice(4, -4), slice(4, -4))
    torch.testing.assert_close(rgb[inside], ramp.expand(1, 3, 16, 16)[inside])


def test_ahd_follows_an_edge():
    # Along a vertical step AHD interpolates by columns, but for a few pixels; bilinear across it.
    mosaic = torch.full((1, 1, 16, 16), 0.2, dtype=torch.float64)
    mosaic[..., 7:] = 0.8
    error = {}
    for d in ("ahd", "bilinear"):
        rgb = pipeline.process(
            mosaic, "RGGB", torch.ones(3), MATRIX, demosaic=d, final_stage="demosaic"
        )
        error[d] = (rgb[0, 1] - mosaic[0, 0]).abs().mean()
    assert error["bilinear"] > 0
    assert error["ahd"] < error["bilinear"] / 1.9


@pytest.mark.parametrize(
    ("gamma", "encoded"),
    [("srgb", 0.735356983052), ("rec709", 0.705515089922), ("2.2", 0.72974005)],
)
def test_transfer_function_of_one_half(gamma, encoded):
    mosaic = torch.full((1, 1, 8, 8), 0.5, dtype=torch.float64)
    neutral = MATRIX / MATRIX.sum(1, keepdim=True)
    picture = pipeline.process(mosaic, "RGGB", torch.ones(3), neutral, gamma=gamma)
    torch.testing.assert_close(picture, torch.full_like(picture, encoded), rtol=0, atol=1e-8)


def test_black_is_cut_on_request_alone():
    mosaic = torch.full((1, 1, 8, 8), -0.01, dtype=torch.float64)
    options = {"final_stage": "white_balance"}
    cut = pipeline.process(mosaic, "RGGB", torch.ones(3), MATRIX, **options)
    kept = pipeline.process(mosaic, "RGGB", torch.ones(3), MATRIX, clip_black=False, **options)
    assert torch.all(cut == 1e-8)
    torch.testing.assert_close(kept, mosaic)
    assert torch.all(pipeline.process(mosaic + 2, "RGGB", torch.ones(3), MATRIX, **options) == 1)


def test_common_factor_of_the_gains_does_not_matter():
    mosaic, gains, matrix, alpha = batch(8, 8)
    one, other = (pipeline.process(mosaic, "RGGB", g, matrix, alpha) for g in (gains, 1024 * gains))
    torch.testing.assert_close(one, other)


def test_recorded_parameters_render_as_the_arguments_do():
    mosaic, gains, matrix, alpha = batch(10, 10)
    recorded = [
        IspParameters(
            tuple(g[:3]), tuple(map(tuple, m)), "D50", "ahd", "rec709", a, clip_black=False
        )
        for g, m, a in zip(gains.tolist(), matrix.tolist(), alpha.tolist(), strict=True)
    ]
    expected = pipeline.process(
        mosaic, "GRBG", gains[:, :3], matrix, alpha, reference="D50", demosaic="ahd",
        gamma="rec709", clip_black=False,
    )  # fmt: skip
    assert torch.equal(pipeline.render(mosaic, "GRBG", recorded), expected)
    first = pipeline.render(mosaic[:1], "GRBG", recorded[0])
    torch.testing.assert_close(first, expected[:1])
    mixed = [recorded[0], IspParameters((1, 1, 1), recorded[0].cam_to_xyz)]
    with pytest.raises(InputError, match="one reference, demosaicer"):
        pipeline.render(mosaic[:2], "GRBG", mixed)


def test_normalise_by_the_black_level_of_each_plane():
    black = torch.tensor([500.0, 510.0, 520.0, 530.0])
    scaled = torch.tensor([0.0, 0.5, 1.25, -0.1])
    mosaic = (black + scaled * (4095 - black))[[0, 1, 3, 2]].view(1, 1, 2, 2).tile(1, 1, 4, 4)
    above = pipeline.normalise(mosaic, "RGGB", black, 4095, clip_black=False)
    torch.testing.assert_close(above[0, 0, :2, :2].flatten(), scaled[[0, 1, 3, 2]])
    cut = pipeline.normalise(mosaic, "RGGB", black, 4095)
    torch.testing.assert_close(cut[0, 0, 1, 0], torch.tensor(1e-8 / (4095 - 530)))


def test_lab_of_white_and_black():
    neutral = torch.diag(torch.tensor([0.95047, 1, 1.08883], dtype=torch.float64))[None]
    rgb = torch.tensor([[1.0, 0.0]], dtype=torch.float64).expand(3, 2)[None, :, None]
    lab = masked.cielab(rgb, neutral)[0, :, 0]
    torch.testing.assert_close(lab[:, 0], torch.tensor([100.0, 0, 0], dtype=torch.float64))
    torch.testing.assert_close(lab[0, 1], torch.tensor(-16 + 116 * 4 / 29, dtype=torch.float64))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mosaic": torch.zeros(1, 8, 8)}, r"mosaic of shape \(1, 8, 8\)"),
        ({"mosaic": torch.zeros(1, 1, 8, 8, dtype=torch.int32)}, "floating dtype"),
        ({"mosaic": torch.zeros(1, 1, 3, 8)}, "at least 4 pixels"),
        ({"white_balance": torch.ones(2)}, "white balance of shape"),
        ({"cam_to_xyz": torch.ones(2, 3, 3)}, "cam_to_xyz of shape"),
        ({"alpha": torch.ones(3)}, "alpha of shape"),
        ({"cfa": "RGBG"}, "no phase is called 'RGBG'"),
        ({"cfa": torch.zeros(1, 1, 4, 4)}, "cfa of shape"),
        ({"demosaic": "lmmse"}, "no demosaicer is called 'lmmse'"),
        ({"gamma": "2.4"}, "no gamma is called"),
        ({"reference": "A"}, "no reference is called"),
        ({"border": "zero"}, "no border is called"),
        ({"final_stage": "sharpen"}, "no stage is called"),
    ],
)
def test_wrong_input_is_named(change, message):
    good = {
        "mosaic": torch.zeros(1, 1, 8, 8),
        "cfa": "RGGB",
        "white_balance": torch.ones(3),
        "cam_to_xyz": torch.eye(3),
    }
    with pytest.raises(InputError, match=message):
        pipeline.process(**(good | change))
