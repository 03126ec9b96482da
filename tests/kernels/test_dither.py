"""Dither: each code anywhere in its level, the same wherever a crop is cut."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noisegen.kernels.dither import LEVEL, dither
from noisegen.kernels.philox import words
from noisegen.random import Field, counter

WHERE = counter(11, 5)


def picture(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


def slowly(codes, y, x):
    """Take the digits of each pixel's word, to base 257, as whole numbers."""
    rest = words(codes.shape[:2], WHERE, Field.DITHER, y, x).astype(np.uint64)
    out = np.empty(codes.shape, np.int64)
    for k in range(3):
        product = rest * np.uint64(LEVEL)
        out[..., k] = codes[..., k].astype(np.int64) * LEVEL + (product >> np.uint64(32)) - 128
        rest = product & np.uint64(0xFFFFFFFF)
    fixed = (codes == 0) | (codes == 255)
    return np.where(fixed, codes.astype(np.int64) * LEVEL, out)


@pytest.mark.parametrize(("y", "x"), [(0, 0), (3, 7), (1001, 2000)])
def test_the_kernel_is_the_digits_of_the_words(y, x):
    codes = picture(13, 300)
    found = dither(codes, WHERE, y, x)
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found, slowly(codes, y, x))


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 39), st.integers(0, 299), st.integers(1, 40), st.integers(1, 300))
def test_a_crop_is_the_crop_of_the_whole(y, x, height, width):
    codes = picture(40, 300)
    whole, crop = dither(codes, WHERE, 0, 0), codes[y : y + height, x : x + width]
    np.testing.assert_array_equal(dither(crop, WHERE, y, x), whole[y : y + height, x : x + width])


def test_offsets_are_uniform_and_independent_of_each_other():
    """χ² of 256 degrees of freedom lies below 386 but for once in a million; 3 + 3 of them here.

    Correlations of n pairs have a standard deviation of 1/√n: 5 of it, once in 1.7 million.
    """
    side = 1024
    codes = np.full((side, side, 3), 100, np.uint8)
    offsets = dither(codes, WHERE, 0, 0).astype(np.int64) - 100 * LEVEL
    assert (offsets.min(), offsets.max()) == (-128, 128)
    n = side**2
    for k in range(3):
        counts = np.bincount(offsets[..., k].ravel() + 128, minlength=LEVEL)
        assert ((counts - n / LEVEL) ** 2).sum() / (n / LEVEL) < 386
        for other in (offsets[..., (k + 1) % 3], np.roll(offsets[..., k], 1, axis=1)):
            related = np.corrcoef(offsets[..., k].ravel(), other.ravel())[0, 1]
            assert abs(related) < 5 / np.sqrt(n)


def test_black_and_white_stay_and_other_pictures_differ():
    codes = np.tile(np.array([0, 255, 7], np.uint8), (50, 60, 1))
    found = dither(codes, WHERE, 0, 0)
    assert (found[..., 0] == 0).all()
    assert (found[..., 1] == 65535).all()
    assert (found != dither(codes, counter(11, 6), 0, 0)).any()
    assert (found != dither(codes, counter(12, 5), 0, 0)).any()
