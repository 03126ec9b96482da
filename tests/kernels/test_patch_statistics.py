"""Mean, texture and clipped share of patches, against their definition in NumPy."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from noisegen.kernels.statistics import mosaic_statistics


def plain(mosaic, black, white):
    height, width = mosaic.shape
    zero = np.tile(black, (height // 2 + 1, width // 2 + 1))[:height, :width]
    x = (mosaic - zero) / (white - zero)
    steps = np.abs(x[2:] - x[:-2]).sum() + np.abs(x[:, 2:] - x[:, :-2]).sum()
    pairs = (height - 2) * width + height * (width - 2)
    return x.mean(), steps / pairs, (mosaic >= white).mean()


@given(
    shape=st.tuples(st.integers(3, 40), st.integers(3, 40)),
    margin=st.sampled_from([0, 2, 4]),
    seed=st.integers(0, 2**32 - 1),
    white=st.sampled_from([900.0, 1023.0, 65535.0]),
)
def test_the_kernel_is_the_definition(shape, margin, seed, white):
    rng = np.random.default_rng(seed)
    full = tuple(length + 2 * margin for length in shape)
    mosaics = rng.integers(0, rng.choice([200, 1024, 65536]), (3, *full)).astype(np.uint16)
    black = rng.uniform(0, 100, (2, 2))
    found = mosaic_statistics(mosaics, black, white, margin)
    inside = slice(margin, -margin or None)
    for got, mosaic in zip(found.T, mosaics[:, inside, inside], strict=True):
        np.testing.assert_allclose(got, plain(mosaic, black, white), rtol=1e-9, atol=1e-12)


def test_sums_do_not_overflow():
    """Steps of 16 bits up and down over more rows than 32 bits take."""
    tall = np.zeros((2, 70_001, 3), np.uint16)
    tall[0, ::4] = tall[0, 1::4] = tall[1] = 65535
    found = mosaic_statistics(tall, np.zeros((2, 2)), 65535.0)
    for got, mosaic in zip(found.T, tall, strict=True):
        np.testing.assert_allclose(got, plain(mosaic, np.zeros((2, 2)), 65535.0), rtol=1e-9)
