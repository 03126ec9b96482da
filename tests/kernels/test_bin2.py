"""Means of 2x2 samples of one colour: the kernel against NumPy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noisegen import cfa
from noisegen.kernels.levels import bin2, requantise

OWN = np.array([[250.0, 256.5], [260.25, 258.0]])
WHITE = 4095.0


def slowly(mosaic, own, own_white, black, white):
    height, width = (length // 4 * 4 for length in mosaic.shape)
    cut = np.minimum(mosaic[:height, :width], np.floor(own_white)).astype(np.float64)
    # Axes: block row, sample row, parity of the row, and the same of columns.
    means = cut.reshape(height // 4, 2, 2, width // 4, 2, 2).mean(axis=(1, 4))
    x = (means - own[:, None]) / (own_white - own[:, None])
    codes = np.floor(black[:, None] + x * (white - black[:, None]) + 0.5)
    return np.clip(codes, 0, white).reshape(height // 2, width // 2)


@settings(deadline=None, max_examples=60)
@given(
    st.integers(4, 19), st.integers(4, 21), st.integers(0, 2**32 - 1),
    st.sampled_from([(64.0, 1023.0), (512.0, 16383.0), (0.0, 65535.0)]),
)  # fmt: skip
def test_the_kernel_is_the_mean(height, width, seed, levels):
    mosaic = np.random.default_rng(seed).integers(0, 4200, (height, width)).astype(np.uint16)
    black = levels[0] + np.array([[0.0, 0.25], [1.0, 0.0]])
    found = bin2(mosaic, OWN, WHITE, black, levels[1])
    expected = slowly(mosaic, OWN, WHITE, black, levels[1])
    assert found.dtype == np.uint16
    # Two ways to a half may fall on either side of it.
    assert found.shape == expected.shape
    assert np.abs(found - expected).max(initial=0) <= 1
    assert (found != expected).mean() < 0.05


@pytest.mark.parametrize("phase", cfa.PHASES)
def test_colours_stay_where_they_are(phase):
    """A mosaic of four flat planes is as flat afterwards, in the same order, at the same levels."""
    plane = cfa.plane_map(phase, (22, 27))
    flat = np.array([1000, 2000, 3000, 4000])
    same = np.full((2, 2), 250.0)
    found = bin2(flat[plane].astype(np.uint16), same, WHITE, same, WHITE)
    np.testing.assert_array_equal(found, flat[cfa.plane_map(phase, (10, 12))])


def test_what_is_constant_in_blocks_is_requantised():
    blocks = np.random.default_rng(0).integers(0, 4096, (8, 9, 2, 2)).astype(np.uint16)
    coarse = blocks.transpose(0, 2, 1, 3).reshape(16, 18)
    fine = np.tile(blocks, (1, 1, 2, 2)).transpose(0, 2, 1, 3).reshape(32, 36)
    black = np.full((2, 2), 64.0)
    np.testing.assert_array_equal(
        bin2(fine, OWN, WHITE, black, 1023.0), requantise(coarse, OWN, WHITE, black, 1023.0)
    )
