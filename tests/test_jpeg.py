"""What is found of the JPEGs that pictures were in is what they were written with."""

import cv2
import numpy as np
import pytest

from noisegen import jpeg
from noisegen.jpeg import CHROMA, LUMA, SUBSAMPLINGS, quality_of, steps, subsampling_of

EDGE = 256


def picture(seed=0, size=(EDGE, EDGE)):
    """A smooth picture with noise of 8 codes."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(60, 196, (6, 6, 3))
    smooth = cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC)
    return np.clip(np.rint(smooth + rng.normal(0, 8, smooth.shape)), 0, 255).astype(np.uint8)


def written(codes, quality, subsampling):
    return np.ascontiguousarray(
        jpeg.through_jpeg(codes[..., ::-1].copy(), quality, subsampling)[..., ::-1]
    )


@pytest.mark.parametrize("subsampling", SUBSAMPLINGS)
@pytest.mark.parametrize("quality", [30, 50, 55, 75, 90, 97, 98])
def test_quality_and_subsampling_are_found_on_the_grid_alone(quality, subsampling):
    whole = written(picture(quality), quality, subsampling)
    for on_grid in (whole, whole[16:240, 32:208], whole[:250, :243]):
        assert (quality_of([on_grid]), subsampling_of([on_grid])) == (quality, subsampling)
    for off_grid in (whole[3:, 5:], whole[:, 1:]):
        assert quality_of([off_grid]) is None


@pytest.mark.parametrize("subsampling", SUBSAMPLINGS)
def test_several_pictures_tell_what_small_ones_do_not(subsampling):
    many = [written(picture(seed, (64, 96)), 85, subsampling) for seed in range(6)]
    assert (quality_of(many), subsampling_of(many)) == (85, subsampling)


def test_pictures_that_were_in_no_jpeg_are_told(seed=3):
    for codes in (picture(seed), picture(seed)[..., :1].repeat(3, -1)):
        assert quality_of([codes]) is None
        assert subsampling_of([codes]) == "4:4:4"


def test_grey_pictures_keep_their_quality():
    grey = written(picture(4)[..., :1].repeat(3, -1), 80, "4:2:0")
    assert quality_of([grey]) == 80


@pytest.mark.parametrize("code", [0, 128, 255])
def test_pictures_without_noise_or_that_are_all_cut_tell_nothing(code):
    for codes in (np.full((64, 48, 3), code, np.uint8), np.full((5, 7, 3), code, np.uint8)):
        assert quality_of([codes]) is None
    flat = written(np.full((64, 48, 3), code, np.uint8), 75, "4:2:0")
    assert (quality_of([flat]), subsampling_of([flat])) == (None, "4:4:4")


def test_blocks_that_are_cut_do_not_hide_the_others():
    codes = picture(5)
    codes[:128] = np.clip(codes[:128].astype(int) * 3 - 128, 0, 255)
    cut = written(codes, 70, "4:2:2")
    assert ((cut == 0) | (cut == 255)).mean() > 0.1
    assert quality_of([cut]) == 70


def tables(code):
    """Return the tables of steps in a JPEG's file, off their order from low to high (T.81)."""
    at, found = 2, {}
    order = sorted(
        np.ndindex(8, 8),
        key=lambda place: (sum(place), place[1] if sum(place) % 2 == 0 else place[0]),
    )
    while code[at + 1] != 0xDA:
        kind, length = code[at + 1], int.from_bytes(code[at + 2 : at + 4])
        body = code[at + 4 : at + 2 + length]
        while kind == 0xDB and body:
            assert body[0] < 16, "steps of 8 bits"
            found[body[0]] = np.zeros((8, 8), int)
            for place, step in zip(order, body[1:65], strict=True):
                found[body[0]][place] = step
            body = body[65:]
        at += 2 + length
    return found


@pytest.mark.parametrize("quality", [1, 2, 10, 25, 49, 50, 51, 75, 90, 95, 99, 100])
def test_steps_are_those_that_libjpeg_writes(quality):
    _, code = cv2.imencode(".jpg", picture(size=(16, 16)), [cv2.IMWRITE_JPEG_QUALITY, quality])
    found = tables(code.tobytes())
    for number, table in enumerate((LUMA, CHROMA)):
        np.testing.assert_array_equal(steps(table, quality), found[number])


@pytest.mark.parametrize("quality", [60, 75, 90])
@pytest.mark.parametrize("sigma", [1, 2, 3])
def test_noise_that_came_after_the_jpeg_is_none_of_it(quality, sigma):
    rng = np.random.default_rng(sigma)
    codes = written(picture(8), quality, "4:2:0")
    assert jpeg.quality_of([codes]) == quality
    noisy = np.clip(np.rint(codes + rng.normal(0, sigma, codes.shape)), 0, 255).astype(np.uint8)
    assert jpeg.quality_of([noisy]) is None


@pytest.mark.parametrize("subsampling", SUBSAMPLINGS)
def test_rows_follow_from_their_blocks_and_the_next(subsampling):
    codes = picture(6, (70, 90))
    whole = written(codes, 60, subsampling)
    unit = jpeg.UNIT[subsampling]
    for first, count in ((0, 1), (7, 2), (33, 9), (60, 10)):
        (top, left), (height, width) = jpeg.widened(
            (first, first), (count, count), codes.shape[:2], unit
        )
        assert top <= first < first + count <= top + height <= 70
        part = written(codes[top : top + height, left : left + width], 60, subsampling)
        rows, columns = (slice(first - start, first - start + count) for start in (top, left))
        wanted = whole[first : first + count, first : first + count]
        np.testing.assert_array_equal(part[rows, columns], wanted)
