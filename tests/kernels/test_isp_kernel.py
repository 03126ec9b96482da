"""The fused ISP is held to the torch pipeline, and its windows to its frames."""

import hashlib
import itertools
import os
import platform
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from noisegen.cfa import PHASES, plane_map, shift
from noisegen.errors import InputError
from noisegen.isp import pipeline
from noisegen.isp.bulk import LINEAR_OFFSET, LINEAR_SCALE, render
from noisegen.isp.parameters import DEMOSAICS, GAMMAS, IspParameters
from noisegen.kernels import transfer

MATRIX = ((0.7, 0.2, 0.1), (0.25, 0.8, -0.05), (0.02, -0.1, 1.08))
GAINS = (2.1, 1.0, 1.5)
BLACK = (512.0, 514.0, 510.5, 512.0)
WHITE = 15871.0
OFF_BY_ONE = 0.04  # share of values that may differ by one level
TURNED = 1e-3  # share that may differ by more for AHD, where a near tie of directions turned


def random_mosaic(height, width, seed=1):
    """Independent samples: saturated colours, overshoot, values below black and above white."""
    return np.random.default_rng(seed).integers(0, 16384, (height, width)).astype(np.uint16)


def smooth_mosaic(height, width, seed=1):
    """Waves of every direction with a little noise, from below black (above 0) to saturation."""
    y, x = np.mgrid[:height, :width]
    waves = 0.57 + 0.4 * np.sin(y / 9 + x / 17) + 0.15 * np.cos(x / 4)
    noise = np.random.default_rng(seed).normal(0, 60, (height, width))
    return np.clip(waves * 15000 + noise, 0, 16383).astype(np.uint16)


def by_torch(mosaic, phase, parameters, stage="tone_mapping", border="reflect"):
    """Render in float64 with the reference pipeline; (H, W, 3)."""
    zero = np.asarray(BLACK)[plane_map(phase, mosaic.shape)]
    signal = mosaic - zero
    if parameters.clip_black:
        signal = np.maximum(signal, 1e-8)
    normal = torch.from_numpy(signal / (WHITE - zero))[None, None]
    rgb = pipeline.render(normal, phase, parameters, final_stage=stage, border=border)
    return rgb[0].permute(1, 2, 0).numpy()


def codes(values, bits):
    greatest = 2**bits - 1
    return np.floor(np.clip(values * greatest + 0.5, 0, greatest)).astype(int)


def assert_same_picture(ours, reference, demosaic):
    difference = np.abs(ours.astype(int) - reference)
    assert (difference > 1).mean() <= (TURNED if demosaic == "ahd" else 0)
    assert (difference > 0).mean() <= OFF_BY_ONE


@pytest.mark.parametrize("demosaic", DEMOSAICS)
@pytest.mark.parametrize("phase", PHASES)
def test_kernel_equals_the_torch_pipeline(phase, demosaic):
    options = itertools.product(GAMMAS, (0.0, 0.6, 1.0, -0.5), (True, False))
    for gamma, alpha, clip_black in options:
        parameters = IspParameters(
            GAINS, MATRIX, demosaic=demosaic, gamma=gamma, alpha=alpha, clip_black=clip_black
        )
        for mosaic in (random_mosaic(41, 53), smooth_mosaic(41, 53)):
            reference = by_torch(mosaic, phase, parameters)
            for bits in (8, 16):
                ours = render(mosaic, phase, BLACK, WHITE, parameters, bits=bits)
                assert ours.dtype == {8: np.uint8, 16: np.uint16}[bits]
                assert_same_picture(ours, codes(reference, bits), demosaic)


@pytest.mark.parametrize("clip_black", [True, False])
@pytest.mark.parametrize("demosaic", DEMOSAICS)
def test_linear_stage_keeps_the_sign(demosaic, clip_black):
    parameters = IspParameters(GAINS, MATRIX, demosaic=demosaic, clip_black=clip_black)
    mosaic = smooth_mosaic(40, 56)
    reference = by_torch(mosaic, "GRBG", parameters, "rgb_to_srgb")
    expected = np.clip(np.floor(reference * LINEAR_SCALE + LINEAR_OFFSET + 0.5), 0, 65535)
    ours = render(mosaic, "GRBG", BLACK, WHITE, parameters, stage="linear")
    assert (expected < LINEAR_OFFSET).any()
    assert_same_picture(ours, expected, demosaic)


def test_values_beyond_the_table_are_computed():
    strong = np.array([[9.0, -7.0, -1.0], [-3.0, 5.0, -1.0], [-4.0, -4.0, 9.0]])
    parameters = IspParameters(GAINS, tuple(map(tuple, strong)), alpha=0.05)
    mosaic = random_mosaic(64, 64)
    assert by_torch(mosaic, "RGGB", parameters, "rgb_to_srgb").max() > transfer.TABLE_LIMIT
    ours = render(mosaic, "RGGB", BLACK, WHITE, parameters)
    assert_same_picture(ours, codes(by_torch(mosaic, "RGGB", parameters), 8), "malvar")


def ahd_difference(mosaic):
    """Return |ours - float64 reference| in linear RGB, which shows turned directions."""
    parameters = IspParameters(GAINS, MATRIX, demosaic="ahd")
    reference = by_torch(mosaic, "RGGB", parameters, "rgb_to_srgb")
    ours = render(mosaic, "RGGB", BLACK, WHITE, parameters, stage="linear")
    expected = np.clip(
        reference, (0 - LINEAR_OFFSET) / LINEAR_SCALE, (65535 - LINEAR_OFFSET) / LINEAR_SCALE
    )
    return np.abs((ours - LINEAR_OFFSET) / LINEAR_SCALE - expected)


def test_ahd_takes_the_direction_of_the_reference():
    # Few levels make many exact ties, which must stay ties however the sums are ordered.
    coarse = np.random.default_rng(3).integers(0, 4, (96, 128)) * 4000 + 600
    for mosaic in (coarse, random_mosaic(96, 128), smooth_mosaic(96, 128)):
        turned = (ahd_difference(mosaic.astype(np.uint16)) > 2 / LINEAR_SCALE).any(axis=2)
        assert turned.mean() <= TURNED


def test_ahd_directions_turn_only_where_they_hardly_matter():
    # In flat blocks the two greens' unequal black levels alone decide, at float32's last digits,
    # and what they choose between differs by as much as the greens do.
    blocks = np.kron(np.random.default_rng(3).integers(0, 4, (12, 16)), np.ones((8, 8)))
    difference = ahd_difference((blocks * 4000 + 600).astype(np.uint16))
    green_imbalance = (BLACK[1] - BLACK[3]) / (WHITE - BLACK[1])
    assert difference.max() <= 2 * green_imbalance
    assert (difference > 2 / LINEAR_SCALE).any(axis=2).mean() <= 0.05


@pytest.mark.parametrize("demosaic", DEMOSAICS)
@given(data=st.data())
def test_window_is_the_crop_of_the_frame(demosaic, data):
    height, width = data.draw(st.integers(6, 40)), data.draw(st.integers(6, 40))
    top, left = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    rows, columns = data.draw(st.integers(1, height - top)), data.draw(st.integers(1, width - left))
    phase = data.draw(st.sampled_from(PHASES))
    parameters = IspParameters(GAINS, MATRIX, demosaic=demosaic, alpha=0.5)
    mosaic = random_mosaic(height, width)
    frame = render(mosaic, phase, BLACK, WHITE, parameters)
    cut = (top, left, rows, columns)
    window = render(mosaic, phase, BLACK, WHITE, parameters, cut=cut)
    np.testing.assert_array_equal(window, frame[top : top + rows, left : left + columns])


@pytest.mark.parametrize("demosaic", DEMOSAICS)
def test_crop_with_halo_is_the_crop_of_the_frame(demosaic):
    parameters = IspParameters(GAINS, MATRIX, demosaic=demosaic, alpha=0.5)
    mosaic = random_mosaic(50, 60)
    frame = render(mosaic, "GBRG", BLACK, WHITE, parameters)
    crop = mosaic[7:39, 12:51]
    phase = shift("GBRG", 7, 12)
    window = render(crop, phase, BLACK, WHITE, parameters, cut=(4, 4, 24, 31))
    np.testing.assert_array_equal(window, frame[11:35, 16:47])


@pytest.mark.parametrize("demosaic", DEMOSAICS)
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (2, 2), (3, 2), (5, 1)])
def test_tiny_mosaics_continue_by_reflection(shape, demosaic):
    parameters = IspParameters(GAINS, MATRIX, demosaic=demosaic)
    mosaic = random_mosaic(*shape)
    mode = [("edge" if n == 1 else "reflect") for n in shape]
    padded = np.pad(mosaic, ((8, 8), (0, 0)), mode=mode[0])
    padded = np.pad(padded, ((0, 0), (8, 8)), mode=mode[1])
    inner = render(padded, "RGGB", BLACK, WHITE, parameters, cut=(8, 8, *shape))
    np.testing.assert_array_equal(render(mosaic, "RGGB", BLACK, WHITE, parameters), inner)


def test_a_window_may_lie_beyond_the_frame():
    parameters = IspParameters(GAINS, MATRIX)
    mosaic = random_mosaic(12, 14)
    padded = np.pad(mosaic, 10, mode="reflect")
    for top, left, height, width in (
        (-6, -8, 24, 30),
        (-8, 0, 3, 14),
        (4, 15, 8, 6),
        (2, -7, 9, 2),
    ):
        window = render(mosaic, "GRBG", BLACK, WHITE, parameters, cut=(top, left, height, width))
        cut = (top + 10, left + 10, height, width)
        expected = render(padded, "GRBG", BLACK, WHITE, parameters, cut=cut)
        np.testing.assert_array_equal(window, expected)


@pytest.mark.parametrize("demosaic", DEMOSAICS)
def test_published_border(demosaic):
    parameters = IspParameters(GAINS, MATRIX, demosaic=demosaic, gamma="rec709", alpha=0.4)
    mosaic = random_mosaic(31, 38)
    ours = render(mosaic, "BGGR", BLACK, WHITE, parameters, border="published")
    reference = codes(by_torch(mosaic, "BGGR", parameters, border="published"), 8)
    assert_same_picture(ours, reference, demosaic)
    reflected = render(mosaic, "BGGR", BLACK, WHITE, parameters)
    np.testing.assert_allclose(ours[4:-4, 4:-4], reflected[4:-4, 4:-4], atol=1)
    assert (ours != reflected).any()
    cut = render(mosaic, "BGGR", BLACK, WHITE, parameters, border="published", cut=(3, 2, 20, 30))
    alone = render(
        mosaic[3:23, 2:32], shift("BGGR", 3, 2), BLACK, WHITE, parameters, border="published"
    )
    np.testing.assert_array_equal(cut, alone)


@pytest.mark.parametrize("demosaic", DEMOSAICS)
@pytest.mark.parametrize("bits", [8, 16])
def test_black_and_white_go_to_the_ends(bits, demosaic):
    parameters = IspParameters(GAINS, MATRIX, demosaic=demosaic, alpha=0.7)
    ends = {0: 0, 16383: 2**bits - 1}
    for sample, code in ends.items():
        mosaic = np.full((12, 14), sample, np.uint16)
        assert np.all(render(mosaic, "RGGB", BLACK, WHITE, parameters, bits=bits) == code)


def test_out_is_written_and_returned():
    parameters = IspParameters(GAINS, MATRIX)
    mosaic = random_mosaic(20, 22)
    store = np.full((3, 10, 11, 3), 7, np.uint8)
    got = render(mosaic, "RGGB", BLACK, WHITE, parameters, cut=(4, 4, 10, 11), out=store[1])
    assert got is not None and np.shares_memory(got, store)
    np.testing.assert_array_equal(
        store[1], render(mosaic, "RGGB", BLACK, WHITE, parameters, cut=(4, 4, 10, 11))
    )
    assert np.all(store[[0, 2]] == 7)


def test_any_memory_layout_is_read():
    parameters = IspParameters(GAINS, MATRIX)
    mosaic = random_mosaic(20, 22)
    expected = render(mosaic, "RGGB", BLACK, WHITE, parameters)
    read_only = mosaic.copy()
    read_only.setflags(write=False)
    for same in (read_only, np.asfortranarray(mosaic), np.repeat(mosaic, 2, axis=1)[:, ::2]):
        np.testing.assert_array_equal(render(same, "RGGB", BLACK, WHITE, parameters), expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mosaic": np.zeros((4, 4), np.float32)}, "uint16"),
        ({"mosaic": np.zeros((0, 4), np.uint16)}, "uint16"),
        ({"black": (0.0, 0.0, 0.0)}, "four black levels"),
        ({"white": 500.0}, "below white"),
        ({"phase": "RGBG"}, "phase"),
        ({"bits": 12}, "8 or 16"),
        ({"stage": "gamma"}, "stage"),
        ({"border": "zero"}, "border"),
        ({"cut": (0, 0, 0, 3)}, "empty"),
        ({"cut": (-2, 0, 3, 3), "border": "published"}, "leaves the mosaic"),
        ({"out": np.zeros((8, 8, 3), np.uint16)}, "out is"),
        ({"out": np.zeros((8, 16, 3), np.uint8)[:, ::2]}, "contiguous"),
    ],
)
def test_wrong_input_is_refused_by_name(change, message):
    arguments = {"mosaic": random_mosaic(8, 8), "phase": "RGGB", "black": BLACK, "white": WHITE}
    with pytest.raises(InputError, match=message):
        render(parameters=IspParameters(GAINS, MATRIX), **(arguments | change))


@pytest.mark.parametrize(("low", "high", "bound"), [(1e-8, 1 / 512, 1.2e-6), (1 / 512, 64, 5e-7)])
@pytest.mark.parametrize("exponent", [1 / 2.4, 0.45, 1 / 2.2, 1 / 3])
def test_power_within_its_stated_error(exponent, low, high, bound):
    x = np.geomspace(low, high, 5001).astype(np.float32)
    got = np.array([transfer.power(v, np.float32(exponent)) for v in x], np.float64)
    exact = x.astype(np.float64) ** float(np.float32(exponent))
    assert np.abs(got / exact - 1).max() < bound


def test_table_nodes_lie_in_their_entries():
    nodes = transfer.table_nodes()
    assert nodes.size == transfer.TABLE_SIZE
    some = np.r_[0:200, 200 : nodes.size : 97]
    assert [transfer.table_index(np.float32(nodes[i])) for i in some] == some.tolist()
    assert transfer.table_index(np.float32(-3)) == 0
    assert transfer.table_index(np.float32(99)) == nodes.size - 1


DIGEST = """
import hashlib, sys
import numpy as np
from noisegen.isp.bulk import render, unprocess
from noisegen.isp.parameters import DEMOSAICS, GAMMAS, IspParameters
from noisegen.isp.shading import GainMaps, Radial, Shading

mosaic = np.random.default_rng(0).integers(0, 16384, (67, 93)).astype(np.uint16)
matrix = ((0.7, 0.2, 0.1), (0.25, 0.8, -0.05), (0.02, -0.1, 1.08))
grids = np.random.default_rng(1).uniform(1, 3, (4, 5, 7))
shading = Shading(Radial((0.4, 0.3)), GainMaps(grids, spacing=(0.25, 1 / 6))).at((300, 400), 90, 7)
levels = ((512.0, 514.0, 510.5, 512.0), 15871.0)
digest = hashlib.sha256()
for demosaic in DEMOSAICS:
    for gamma in GAMMAS:
        p = IspParameters((2.1, 1.0, 1.5), matrix, demosaic=demosaic, gamma=gamma, alpha=0.37)
        for bits in (8, 16):
            picture = render(mosaic, "GRBG", *levels, p, bits=bits)
            digest.update(picture)
            digest.update(unprocess(picture, "GRBG", *levels, p))
        picture = render(mosaic, "GRBG", *levels, p, shading=shading)
        digest.update(picture)
        digest.update(unprocess(picture, "GRBG", *levels, p, shading=shading))
sys.stdout.write(digest.hexdigest())
"""


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() != "x86_64", reason="compares instruction sets of x86-64")
def test_same_bytes_on_every_x86_64(tmp_path):
    digests = set()
    for cpu in ("x86-64", "haswell", "host"):
        environment = dict(os.environ, NUMBA_CACHE_DIR=str(tmp_path / cpu))
        if cpu != "host":
            environment |= {"NUMBA_CPU_NAME": cpu, "NUMBA_CPU_FEATURES": ""}
        run = subprocess.run(
            [sys.executable, "-c", DIGEST],
            env=environment, capture_output=True, text=True, check=True,
        )  # fmt: skip
        digests.add(run.stdout)
    assert len(digests) == 1
    assert len(digests.pop()) == 2 * hashlib.sha256().digest_size


@pytest.mark.parametrize("border", ["reflect", "published"])
def test_mosaics_together_are_those_one_by_one(border):
    mosaics = np.random.default_rng(7).integers(0, 1024, (3, 20, 24), np.uint16)
    options = {"cut": (2, 3, 10, 12), "border": border}
    parameters = IspParameters(GAINS, MATRIX)
    together = render(mosaics, "GRBG", BLACK, WHITE, parameters, **options)
    for mosaic, picture in zip(mosaics, together, strict=True):
        alone = render(mosaic, "GRBG", BLACK, WHITE, parameters, **options)
        np.testing.assert_array_equal(picture, alone)
