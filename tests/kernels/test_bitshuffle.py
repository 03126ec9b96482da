"""Bit planes: what numpy says of the same bits, and back."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noisegen.kernels.bitshuffle import GROUP, fits, shuffle, unshuffle


def planes(values, block):
    """Return the bit planes of numbers, block by block."""
    width, out = 8 * values.itemsize, []
    for start in range(0, len(values), block // values.itemsize):
        part = values[start : start + block // values.itemsize]
        bits = part[None] >> np.arange(width, dtype=values.dtype)[:, None] & 1
        out.append(np.packbits(bits.astype(np.uint8), axis=1, bitorder="little").ravel())
    return np.concatenate(out)


@settings(max_examples=60, deadline=None)
@given(
    dtype=st.sampled_from(["u1", "<u2"]),
    groups=st.integers(1, 150),
    block=st.integers(1, 80),
    seed=st.integers(0, 2**32 - 1),
)
def test_planes_are_those_of_numpy_and_turn_back(dtype, groups, block, seed):
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 256, GROUP * groups * np.dtype(dtype).itemsize, np.uint8).view(dtype)
    size = block * GROUP * values.itemsize
    turned, back = np.empty(values.nbytes, np.uint8), np.empty(values.nbytes, np.uint8)
    shuffle(values.view(np.uint8), turned, values.itemsize, size)
    np.testing.assert_array_equal(turned, planes(values, size))
    unshuffle(turned, back, values.itemsize, size)
    np.testing.assert_array_equal(back.view(dtype), values)


@pytest.mark.parametrize(
    ("size", "itemsize", "block"),
    [(64, 2, 64), (192, 2, 128), (128, 4, 128), (128, 1, 96), (0, 1, 64), (64, 1, 0)],
)
def test_what_is_no_whole_groups_is_refused(size, itemsize, block):
    assert not fits(size, itemsize, block)
    data = np.zeros(size, np.uint8)
    for turn in (shuffle, unshuffle):
        with pytest.raises(ValueError, match="no whole groups of 64"):
            turn(data, data.copy(), itemsize, block)
