"""The JPEG that gradients go through is libjpeg's."""

import cv2
import numpy as np
import pytest
import torch

from denoisers.neca.jpeg import through_jpeg
from noisegen import jpeg
from noisegen.jpeg import LUMA, SUBSAMPLINGS, YCBCR, steps


def picture(seed=0, noise=8.0, size=(96, 128)):
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(60, 196, (5, 6, 3))
    smooth = cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC)
    return np.clip(np.rint(smooth + rng.normal(0, noise, smooth.shape)), 0, 255).astype(np.uint8)


def tensor(codes):
    return torch.tensor(codes / np.float32(255)).permute(2, 0, 1)[None]


def ours(codes, quality, subsampling):
    out = 255 * through_jpeg(tensor(codes), quality, subsampling)[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(out, np.rint(out), atol=1e-3)
    assert out.min() >= 0
    assert out.max() <= 255
    return np.rint(out).astype(np.uint8)


def libjpegs(codes, quality, subsampling):
    return jpeg.through_jpeg(codes[..., ::-1].copy(), quality, subsampling)[..., ::-1]


def rms(one, other):
    return float(np.sqrt(np.mean((one.astype(float) - other) ** 2)))


@pytest.mark.parametrize("subsampling", SUBSAMPLINGS)
@pytest.mark.parametrize("quality", [30, 75, 95])
def test_it_is_libjpegs_but_for_coefficients_near_the_middle_of_two_steps(quality, subsampling):
    codes = picture(1)
    out, theirs = (through(codes, quality, subsampling) for through in (ours, libjpegs))
    # Off by e, a coefficient is rounded to the next step s with a chance of e / s: mean squares are
    # s e of these, and s² / 12 of what the JPEG changes. libjpeg's whole numbers are off by 0.06.
    bound = np.sqrt(12 * 0.06 / steps(LUMA, quality).mean())
    assert rms(out, theirs) < max(bound, 0.15) * rms(theirs, codes)
    assert abs(out.mean() - theirs.mean()) < 0.15
    if quality < 95:
        assert (out == theirs).mean() > 0.8


@pytest.mark.parametrize("subsampling", SUBSAMPLINGS)
def test_smooth_pictures_come_out_as_libjpegs_do(subsampling):
    codes = picture(2, noise=0)
    off = ours(codes, 100, subsampling).astype(int) - libjpegs(codes, 100, subsampling)
    # steps are 1, and in the middle of two of them one in twenty coefficients is
    assert (np.abs(off) <= 1).mean() > 0.94


def test_at_its_best_it_keeps_pictures():
    codes = picture(3)
    out, theirs = (through(codes, 100, "4:4:4") for through in (ours, libjpegs))
    for other in (theirs, codes):
        assert (np.abs(out.astype(int) - other) <= 1).mean() > 0.9
    # no further off than libjpeg's, whose Y, Cb and Cr are whole codes too
    assert rms(out, codes) == pytest.approx(rms(theirs, codes), rel=0.05)


@pytest.mark.parametrize("subsampling", SUBSAMPLINGS)
def test_once_more_changes_little(subsampling):
    codes = picture(4)
    once = ours(codes, 60, subsampling)
    # Whole codes move coefficients by 0.3 in the mean, and most steps are above 8.
    assert rms(ours(once, 60, subsampling), once) < 0.1 * rms(once, codes)


def test_what_is_cut_off_stays_within_the_codes():
    rng = np.random.default_rng(5)
    codes = rng.choice(np.array([0, 255], np.uint8), (32, 48, 3))
    for subsampling in SUBSAMPLINGS:
        assert rms(ours(codes, 40, subsampling), libjpegs(codes, 40, subsampling)) < 8


@pytest.mark.parametrize("subsampling", SUBSAMPLINGS)
def test_gradients_go_through(subsampling):
    x = tensor(picture(6)).requires_grad_(True)
    out = through_jpeg(x, 75, subsampling)
    (total,) = torch.autograd.grad(out.sum(), x, retain_graph=True)
    # Colours are spread over other pixels, and every picture's sum is kept.
    torch.testing.assert_close(total, torch.ones_like(x), atol=1e-4, rtol=0)
    gen = torch.Generator().manual_seed(7)
    rough = torch.randn(x.shape, generator=gen)
    smooth = torch.nn.functional.interpolate(
        torch.randn((1, 3, 3, 4), generator=gen), x.shape[-2:], mode="bicubic"
    )

    def off(direction):
        (found,) = torch.autograd.grad(out, x, direction, retain_graph=True)
        return float((found - direction).norm() / direction.norm())

    assert off(smooth) < 0.05
    # White, Y apart: along a halved axis a pixel comes to 3, 3, 1 and 1 eighths of four.
    halved = SUBSAMPLINGS.index(subsampling)
    lost = 1 - 2 * (3 / 8) ** halved + (20 / 64) ** halved
    colours = (1 + 3 * np.square(YCBCR[0]).sum()) / 3
    assert off(rough) == pytest.approx(np.sqrt(colours * lost), rel=0.02, abs=1e-5)


def test_each_picture_of_a_batch_is_its_own():
    pair = torch.cat([tensor(picture(seed, size=(32, 48))) for seed in (8, 9)])
    for subsampling in SUBSAMPLINGS:
        out = through_jpeg(pair, 50, subsampling)
        assert out.shape == pair.shape
        alone = torch.cat([through_jpeg(one[None], 50, subsampling) for one in pair])
        assert torch.equal(out, alone)


def test_what_a_validation_was_the_first_to_ask_for_can_be_learned_through():
    x = tensor(picture(10, size=(16, 16)))
    with torch.inference_mode():
        through_jpeg(x, 37, "4:2:0")
    x.requires_grad_(True)
    through_jpeg(x, 37, "4:2:0").square().sum().backward()
    assert x.grad.abs().max() > 0
