"""Noise estimated from one mosaic: unbiased where it is flat, little above where it is not."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalogs import sources
from noisegen import cfa, raw
from noisegen.errors import InputError
from noisegen.isp.bulk import unprocess
from noisegen.isp.parameters import IspParameters
from noisegen.kernels.residuals import RESIDUAL, SIDE, SURFACE, split_blocks
from noisegen.random import counter
from noisegen.sensor import Levels, NoiseParameters, add_noise, models
from noisegen.sensor.estimate import MIN_BLOCKS, estimate_noise

BLACK, WHITE = (512.0, 510.0, 515.0, 508.0), 16383.0
LEVELS = Levels(BLACK, WHITE)
SPAN = np.array(LEVELS.span)

SIDES = 1040
"""Just large enough that blocks do not overlap: 16 900 in each plane."""

STEP = 40
"""Width of a step of a wedge: five blocks."""

GRID = [(2e-3, 2e-5), (2e-4, 1e-6), (2e-5, 2e-7), (0.0, 1e-5), (4e-4, 1e-8)]

Z = 4.5
"""A test makes 20 comparisons; a false alarm in one of them has a chance of 1e-4."""


def exposed(mosaic, shot, read, *, row=0.0, seed=0, phase="RGGB", clips_at="adc"):
    parameters = NoiseParameters((shot,) * 4, (read,) * 4, row)
    levels = Levels(BLACK, WHITE, clips_at)
    model = models.get("eld-gaussian" if row else "heteroscedastic")
    return add_noise(mosaic, LEVELS, model, parameters, levels, phase, counter(seed, 0))


def wedge(low=0.02, high=0.9, phase="RGGB"):
    """Return a mosaic of even steps from left to right; edges lie between blocks."""
    levels = np.linspace(low, high, SIDES // STEP)
    x = np.broadcast_to(np.repeat(levels, STEP), (SIDES, SIDES))
    black = np.array(BLACK)[cfa.plane_map(phase, x.shape)]
    return np.round(black + x * (WHITE - black)).astype(np.uint16)


def ratios(found, shot, read, at):
    """Return the estimated over the true variance, rounding included: one row a plane."""
    x = np.array(at)
    true = shot * x + read + 1 / 12 / SPAN[:, None] ** 2
    return (np.array(found.shot)[:, None] * x + np.array(found.read)[:, None]) / true


def scatter(shot, read, blocks, at, low=0.02, high=0.9):
    """Return the relative standard deviation of a fitted line's variance: one row a plane.

    A median of n laws of density f at their median m scatters by 1/(2 f m sqrt(n)) of itself:
    0.758/sqrt(n) for the chi-square law of 6 degrees of freedom. The line is fitted by least
    squares to blocks spread evenly from ``low`` to ``high``, each with its own precision.
    """
    x = np.linspace(low, high, 400)
    design = np.stack([x, np.ones_like(x)], 1) / (shot * x + read)[:, None]
    covariance = np.linalg.inv(design.T @ design / len(x)) * 0.758**2
    at = np.array(at)
    ends = np.stack([at, np.ones_like(at)], 1)
    relative = np.sqrt(np.einsum("ni,ij,nj->n", ends, covariance, ends)) / (shot * at + read)
    return relative / np.sqrt(np.array(blocks))[:, None]


AT = (0.02, 0.1, 0.3, 0.6, 0.9)


@pytest.mark.parametrize(("shot", "read"), GRID)
def test_on_a_smooth_mosaic_the_estimate_is_unbiased(shot, read):
    found = estimate_noise(exposed(wedge(), shot, read), BLACK, WHITE, "RGGB")
    # three in ten flat blocks are used, those of the brightest clipped columns left out
    assert min(found.blocks) > 4000
    off = ratios(found, shot, read, AT) - 1
    assert (np.abs(off) < Z * scatter(shot, read, found.blocks, AT)).all(), off


def test_the_test_above_would_notice():
    found = estimate_noise(exposed(wedge(), 2e-4, 1e-6), BLACK, WHITE, "RGGB")
    for shot, read in ((2.3e-4, 1e-6), (1.75e-4, 1e-6), (2e-4, 4e-6)):
        off = ratios(found, shot, read, AT) - 1
        assert (np.abs(off) > Z * scatter(shot, read, found.blocks, AT)).any()


def leaves(number, size=640):
    image = sources.open("deadleaves", count=number + 1, size=size)
    picture = image.read(image.images()[number]).pixels
    identity = ((0.41, 0.36, 0.18), (0.21, 0.72, 0.07), (0.02, 0.12, 0.95))
    return unprocess(
        picture, "RGGB", BLACK, WHITE, IspParameters((2.0, 1.0, 1.6), identity), encoded=False
    )


@pytest.mark.parametrize(("shot", "read"), [(2e-3, 2e-5), (2e-4, 1e-6), (2e-5, 1e-7)])
def test_textured_scenes_bias_it_upwards_by_a_few_percent(shot, read):
    """Mid-tones of four scenes, 16 planes: the mean is within -2 and +6 %."""
    off = []
    for number in range(4):
        found = estimate_noise(exposed(leaves(number), shot, read), BLACK, WHITE, "RGGB")
        assert min(found.blocks) >= MIN_BLOCKS
        # overlapping blocks: four carry as much as one at the least
        independent = np.array(found.blocks) / 4
        bound = Z * scatter(shot, read, independent, (0.1, 0.3), 0.0, 0.6)
        planes = ratios(found, shot, read, (0.1, 0.3)) - 1
        assert (planes < 0.06 + bound).all()
        assert (planes > -0.02 - bound).all()
        off.append(planes)
    assert -0.02 < np.mean(off) < 0.06


@pytest.mark.parametrize("clips_at", ["adc", "black"])
def test_clipped_codes_do_not_count(clips_at):
    """A wedge from below black to above white, noise of 2 % of the range: both ends are cut."""
    shot, read = 1e-4, 4e-4
    mosaic = exposed(wedge(-0.03, 1.0), shot, read, clips_at=clips_at)
    found = estimate_noise(mosaic, BLACK, WHITE, "RGGB")
    at = (0.15, 0.5, 0.85)
    off = ratios(found, shot, read, at) - 1
    # blocks keep 4 standard deviations from the cuts, which leaves 0.1 to 0.9
    assert (np.abs(off) < Z * scatter(shot, read, found.blocks, at, 0.1, 0.9)).all(), off


def test_offsets_of_rows_are_not_taken_for_noise_of_pixels():
    shot, read, row = 2e-4, 1e-6, 1e-3
    found = estimate_noise(exposed(wedge(), shot, read, row=row), BLACK, WHITE, "RGGB")
    off = ratios(found, shot, read, AT) - 1
    assert row**2 >= read  # they are as strong as the read noise
    assert (np.abs(off) < Z * scatter(shot, read, found.blocks, AT)).all(), off


@given(seed=st.integers(0, 9), lift=st.integers(1, 3000))
@settings(max_examples=10, deadline=None)
def test_it_does_not_depend_on_the_offset(seed, lift):
    """To the last bit: the levels move with black and white."""
    mosaic = exposed(wedge(0.02, 0.5)[:300, ::2].copy(), 2e-4, 1e-6, seed=seed)
    found = estimate_noise(mosaic, BLACK, WHITE, "RGGB")
    moved = tuple(b + lift for b in BLACK)
    assert estimate_noise(mosaic + np.uint16(lift), moved, WHITE + lift, "RGGB") == found


@pytest.mark.parametrize("phase", cfa.PHASES)
def test_each_plane_has_its_own_noise_whatever_the_phase(phase):
    shots = (1e-4, 2e-4, 4e-4, 8e-4)
    parameters = NoiseParameters(shots, (1e-6,) * 4)
    mosaic = wedge(phase=phase)
    model = models.get("heteroscedastic")
    noisy = add_noise(mosaic, LEVELS, model, parameters, LEVELS, phase, counter(1, 0))
    found = estimate_noise(noisy, BLACK, WHITE, phase)
    for plane, shot in enumerate(shots):
        off = ratios(found, shot, 1e-6, AT)[plane] - 1
        assert (np.abs(off) < Z * scatter(shot, 1e-6, found.blocks, AT)[plane]).all(), off


def test_a_plane_without_flat_blocks_takes_the_mean_of_the_others():
    mosaic = exposed(wedge(), 2e-4, 1e-6)
    rng = np.random.default_rng(0)
    mosaic[0::2, 0::2] = rng.choice([600, 16000], (SIDES // 2, SIDES // 2))
    mosaic[0::2, 0::2][::2, ::2] = 16383
    found = estimate_noise(mosaic, BLACK, WHITE, "RGGB")
    assert found.blocks[0] == 0
    assert found.shot[0] == pytest.approx(np.mean(found.shot[1:]), rel=1e-12)
    assert found.read[0] == pytest.approx(np.mean(found.read[1:]), rel=1e-12)


@pytest.mark.parametrize("shape", [(1, 1), (2, 40), (20, 20)])
def test_what_is_too_small_is_not_estimated(shape):
    assert estimate_noise(np.full(shape, 3000, np.uint16), BLACK, WHITE, "RGGB") is None


def test_a_saturated_mosaic_is_not_estimated():
    assert estimate_noise(np.full((200, 200), 16383, np.uint16), BLACK, WHITE, "RGGB") is None


def test_a_constant_mosaic_has_the_noise_of_rounding():
    found = estimate_noise(np.full((200, 200), 3000, np.uint16), BLACK, WHITE, "RGGB")
    assert found.shot == (0.0,) * 4
    np.testing.assert_allclose(found.read, 1 / 12 / SPAN**2, rtol=1e-12)


def test_bad_arguments_are_refused():
    with pytest.raises(InputError, match=r"a mosaic is \(H, W\) uint16"):
        estimate_noise(np.zeros((4, 4)), BLACK, WHITE, "RGGB")
    with pytest.raises(InputError, match="four black levels below white"):
        estimate_noise(np.zeros((4, 4), np.uint16), BLACK, 500, "RGGB")


def slow_split(mosaic, y, x, step, low, high):
    """Project each block with an orthonormal basis of polynomials."""
    basis = np.linalg.qr(np.vander(np.arange(SIDE) - 1.5, SIDE, increasing=True))[0].T
    degree = np.add.outer(np.arange(SIDE), np.arange(SIDE))
    plane = mosaic[y::2, x::2].astype(np.float64)
    found = []
    for top in range(0, plane.shape[0] - SIDE + 1, step):
        for left in range(0, plane.shape[1] - SIDE + 1, step):
            block = plane[top : top + SIDE, left : left + SIDE]
            if block.min() > low and block.max() < high:
                square = (basis @ block @ basis.T) ** 2
                surface = square[(degree > 0) & (degree < 4)].sum() / SURFACE
                found.append((block.mean(), surface, square[degree >= 4].sum() / RESIDUAL))
    return np.array(found).reshape(-1, 3).T


@given(
    seed=st.integers(0, 1000),
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    y=st.integers(0, 1),
    x=st.integers(0, 1),
    step=st.integers(1, 5),
)
@settings(max_examples=60, deadline=None)
def test_blocks_are_split_as_by_the_plain_formula(seed, height, width, y, x, step):
    mosaic = np.random.default_rng(seed).integers(0, 65536, (height, width)).astype(np.uint16)
    low, high = 500, 65000
    found = split_blocks(mosaic, y, x, step, low, high)
    expected = slow_split(mosaic, y, x, step, low, high)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-3)


@pytest.fixture
def real_raw():
    root = Path(os.environ.get("NOISEGEN_DATA", "/nowhere")) / "raw"
    if not root.is_dir():
        pytest.skip("NOISEGEN_DATA names no folder with raw/")
    return lambda name: raw.read(root / name)


def test_a_real_frame_has_the_gain_that_was_measured_by_hand(real_raw):
    """Canon 550D: 2.055 to 2.085 DN per electron and 133 to 144 DN², row offsets in it, by flat
    windows chosen by hand (the catalog's CanonEOS550D)."""
    image = real_raw("canon_550d_magiclantern_colorchart.dng")
    about = image.metadata
    found = estimate_noise(image.mosaic, about.black_level, about.white_level, about.cfa)
    span = about.white_level - about.black_level[0]
    np.testing.assert_allclose(np.array(found.shot) * span, (2.055, 2.085, 2.071, 2.083), rtol=0.03)
    # the hand's figure holds row offsets of 2.4 DN, which the blocks' surface takes up
    read = np.array(found.read) * span**2 + 2.4**2
    np.testing.assert_allclose(read, (144.1, 142.6, 132.6, 137.7), rtol=0.12)


def test_a_real_frames_noise_profile_is_found_again(real_raw):
    """Infinite-ISP's sensor: the profile of the file and 1.2 to 1.5 % PRNU, both by hand."""
    image = real_raw("derived/infinite_isp_colorchecker_cfa_noiseprofile.dng")
    about = image.metadata
    shot, read = np.array(about.noise_profile)
    found = estimate_noise(image.mosaic, about.black_level, about.white_level, about.cfa)
    prnu = np.array((0.012, 0.0147, 0.0124, 0.0143))
    for x in (0.1, 0.3):
        expected = shot * x + read + (prnu * x) ** 2
        np.testing.assert_allclose(np.array(found.shot) * x + found.read, expected, rtol=0.12)
