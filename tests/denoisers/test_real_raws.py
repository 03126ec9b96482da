"""What the benchmark on real raws takes for flat, for noise, and for a colour that moves."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from benchmarks.real_raws import (
    SIDES,
    Picture,
    blocks,
    colours,
    drawn_noise,
    flat_blocks,
    measure,
    shown,
)
from denoisers.inference.raws import Frame, Noise
from denoisers.models.dualdn import Isp, Shot
from noisegen.isp.transfer import decode, encode

SIZE = 384
NOISE = Noise(2e-4, 1e-6, "given")
ISP = Isp()


def frame_of(mosaic: Picture) -> Frame:
    """Return the frame of a mosaic of a camera whose colours are those of the screen."""
    matrix = torch.tensor(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    shot = Shot(
        torch.tensor([NOISE.shot]),
        torch.tensor([NOISE.read]),
        torch.tensor([[1.8, 1.0, 1.4]]),
        matrix[None],
        torch.tensor([0.0]),
    )
    return Frame.at_red(mosaic.astype(np.float32).clip(0, 1), "RGGB", shot)


def grey(level: Picture) -> Picture:
    """Return the mosaic of a grey scene."""
    mosaic = level.copy()
    mosaic[::2, ::2] /= 1.8
    mosaic[1::2, 1::2] /= 1.4
    return mosaic


def exposed(mosaic: Picture, times: float = 1.0) -> Picture:
    """Return a mosaic with noise, of ``times`` the standard deviation."""
    rng = np.random.default_rng(5)
    noisy = rng.poisson(mosaic / NOISE.shot) * NOISE.shot
    noisy += np.sqrt(NOISE.read) * rng.standard_normal(mosaic.shape)
    found: Picture = mosaic + times * (noisy - mosaic)
    return found


@pytest.fixture(scope="module")
def ramp() -> Picture:
    """Return a scene that gets brighter from left to right."""
    return grey(np.tile(np.linspace(0.1, 0.4, SIZE, dtype=np.float32), (SIZE, 1)))


@pytest.mark.parametrize("side", SIDES)
def test_noise_explains_itself(ramp: Picture, side: int) -> None:
    frame = frame_of(exposed(ramp))
    before = shown(frame, ISP)
    drawn = drawn_noise(frame, NOISE, ISP)
    found = measure(before, before, drawn, side)
    every = (SIZE // side) ** 2
    # A block has 13 degrees of freedom at least; chi-square of 13 is above twice that in 1.7 %
    # of blocks, of 576 in more than 5 % with odds of 1e-7.
    assert len(found.flat) > 0.95 * every
    # The standard deviation of a block of 256 pixels, correlated over some 4, is good to 9 %; the
    # median of 144 ratios of two such figures to 1.3 %: five times that.
    assert_allclose(np.median(found.before / found.drawn), 1, atol=0.065)


def test_what_is_flat_does_not_hang_on_how_strong_fine_noise_is(ramp: Picture) -> None:
    """Noise beyond K and S, such as non-uniformity, is measured, not left out."""
    frame = frame_of(exposed(ramp, 1.2))
    before, drawn = shown(frame, ISP), drawn_noise(frame, NOISE, ISP)
    found = measure(before, before, drawn, SIDES[0])
    assert len(found.flat) > 0.7 * (SIZE // SIDES[0]) ** 2
    assert_allclose(np.median(found.before / found.drawn), 1.2, atol=0.08)


def test_texture_is_not_flat(ramp: Picture) -> None:
    """A pattern of twice the noise's deviation, in the right half alone."""
    y, x = np.mgrid[:SIZE, :SIZE]
    pattern = np.sin(y / 3) * np.sin(x / 3) * (x >= SIZE // 2)
    deviation = np.sqrt(NOISE.shot * ramp + NOISE.read)
    textured = (ramp + 4 * deviation * pattern).astype(np.float32)
    frame = frame_of(exposed(textured))
    flat = flat_blocks(shown(frame, ISP), drawn_noise(frame, NOISE, ISP), SIDES[0])
    wide = SIZE // SIDES[0]
    right = np.count_nonzero(flat % wide >= wide // 2)
    assert right <= 3 < 0.9 * wide * wide / 2 < len(flat)


def test_blotches_count_as_grain_does(ramp: Picture) -> None:
    frame = frame_of(exposed(ramp))
    before, drawn = shown(frame, ISP), drawn_noise(frame, NOISE, ISP)
    clean = shown(frame_of(ramp), ISP)
    quarter = measure(before, clean + (before - clean) / 4, drawn, SIDES[0])
    assert_allclose(np.median(quarter.before / quarter.after), 4, rtol=0.02)
    rng = np.random.default_rng(1)
    coarse = rng.standard_normal((SIZE // 4, SIZE // 4, 3)).repeat(4, 0).repeat(4, 1)
    blotched = measure(before, clean + 0.01 * coarse.astype(np.float32), drawn, SIDES[1])
    # 64 independent means less a plane: each block to 9 %, the median of them to 1 %.
    assert_allclose(np.median(blotched.after), 0.01, rtol=0.05)


def test_texture_that_stays_is_not_counted_as_noise_that_is_left(ramp: Picture) -> None:
    """A fine pattern of half the noise's deviation, which averages out in the means."""
    pattern = np.random.default_rng(2).standard_normal(ramp.shape)
    deviation = np.sqrt(NOISE.shot * ramp + NOISE.read)
    textured = (ramp + 0.5 * deviation * pattern).astype(np.float32)
    frame = frame_of(exposed(textured))
    before, drawn = shown(frame, ISP), drawn_noise(frame, NOISE, ISP)
    clean = shown(frame_of(textured), ISP)
    found = measure(before, clean + (before - clean) / 4, drawn, SIDES[0])
    # A quarter of the noise is left, and the pattern: the whole is sqrt((1 + 1/4) / (1/16 + 1/4)) =
    # 2 times less. A block's variance is good to 18 %, the median of a hundred to 2 %; of the noise
    # that is a third of 1/16, so of a quarter a sixth: three times that.
    assert_allclose(np.median(found.before / found.after), 2, rtol=0.1)
    assert_allclose(found.left, 0.25, rtol=0.5)


def test_no_block_is_flat(ramp: Picture) -> None:
    noise = np.random.default_rng(0).uniform(0.1, 0.5, ramp.shape).astype(np.float32)
    frame = frame_of(noise)
    before = shown(frame, ISP)
    found = measure(before, before, drawn_noise(frame, NOISE, ISP), SIDES[1])
    assert len(found.flat) == 0
    assert str(found).count("|") == 5


def test_colours_move_by_what_they_are_multiplied_with() -> None:
    coded = np.random.default_rng(0).uniform(0.3, 0.6, (128, 192, 3)).astype(np.float32)
    after = encode(decode(coded.astype(np.float64), "rec709") * 1.01, "rec709")
    whole, single = colours(coded, after.astype(np.float32))
    assert_allclose(whole, 0.01, rtol=1e-4)
    assert_allclose(single, 0.01, rtol=1e-4)
    assert (whole.size, single.size) == (6, 18)


def test_a_weak_channel_of_a_saturated_colour_is_told_apart() -> None:
    linear = np.tile(np.array([0.5, 0.4, 0.03]), (64, 64, 1))
    moved = linear + np.array([0, 0, 0.003])
    before, after = (encode(p, "rec709").astype(np.float32) for p in (linear, moved))
    whole, single = colours(before, after)
    assert_allclose(whole, 0.003 / np.linalg.norm(linear[0, 0]), rtol=1e-3)
    assert_allclose(single.max(), 0.1, rtol=1e-3)


def test_blocks_are_those_of_the_picture() -> None:
    picture = np.arange(40 * 33 * 3, dtype=np.float32).reshape(40, 33, 3)
    cut = blocks(picture, 16)
    assert cut.shape == (4, 16, 16, 3)
    assert (cut[3] == picture[16:32, 16:32]).all()
