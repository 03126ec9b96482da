"""Turning, flipping and cutting mosaics."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noisegen import cfa
from noisegen.errors import InputError
from noisegen.isp import geometry

PICTURE = np.arange(12).reshape(3, 4)

phases = st.sampled_from(cfa.PHASES)
sizes = st.tuples(st.integers(41, 150), st.integers(41, 150))


def test_augmentations_are_the_eight_symmetries():
    made = {geometry.augment(PICTURE, m).tobytes() for m in range(8)}
    assert len(made) == 8
    np.testing.assert_array_equal(geometry.augment(PICTURE, 1), PICTURE[::-1])
    np.testing.assert_array_equal(geometry.augment(PICTURE, 2), PICTURE.T[::-1])


def test_flip_codes():
    np.testing.assert_array_equal(geometry.upright(PICTURE, 0), PICTURE)
    np.testing.assert_array_equal(geometry.upright(PICTURE, 3), PICTURE[::-1, ::-1])
    np.testing.assert_array_equal(geometry.upright(PICTURE, 5), PICTURE.T[::-1])
    np.testing.assert_array_equal(geometry.upright(PICTURE, 6), PICTURE.T[:, ::-1])


def test_published_code_5_mirrors_and_the_others_are_right():
    for code in (0, 3, 6):
        right = geometry.upright(PICTURE, code)
        np.testing.assert_array_equal(geometry.published_upright(PICTURE, code), right)
    mirrored = geometry.published_upright(PICTURE, 5)
    np.testing.assert_array_equal(mirrored, np.fliplr(geometry.upright(PICTURE, 5)))


@given(phases, sizes)
def test_tiled_window_is_the_largest_of_whole_patches_from_red(phase, size):
    patch, border = 32, 8
    top, left, height, width = geometry.tiled_window(phase, size, patch, border)
    for start, length, edge in ((top, height, size[0]), (left, width, size[1])):
        assert start in (0, 1)
        assert start + length <= edge < start + length + patch
        assert (length - border) % patch == 0
    assert cfa.shift(phase, top, left) == "RGGB"


@given(phases, sizes)
def test_central_window_starts_at_red_and_fits(phase, size):
    patch, border = 32, 8
    top, left, height, width = geometry.central_window(phase, size, patch, border)
    assert (height, width) == (40, 40)
    for start, edge in ((top, size[0]), (left, size[1])):
        assert 0 <= start - (edge - border - patch) // 2 <= 1
        assert start + 40 <= edge
    assert cfa.shift(phase, top, left) == "RGGB"


@given(phases, st.integers(0, 50), st.integers(0, 50))
def test_first_red(phase, top, left):
    y, x = geometry.first_red(phase, top, left)
    assert 0 <= y - top <= 1
    assert 0 <= x - left <= 1
    assert cfa.shift(phase, y, x) == "RGGB"


def test_wrong_arguments_are_named():
    with pytest.raises(InputError, match="augmentation 8"):
        geometry.augment(PICTURE, 8)
    with pytest.raises(InputError, match="flip code 7"):
        geometry.upright(PICTURE, 7)
    with pytest.raises(InputError, match="frame of 7x50"):
        geometry.tiled_window("RGGB", (7, 50), 32, 8)
    for size in ((30, 50), (40, 40)):
        with pytest.raises(InputError, match=f"frame of {size[0]}x{size[1]}"):
            geometry.central_window("GBRG", size, 32, 8)


def test_frame_without_room_for_a_patch_gives_no_patch():
    assert geometry.tiled_window("RGGB", (30, 50), 32, 8) == (0, 0, 8, 40)
