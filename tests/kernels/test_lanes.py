"""Numbers side by side: what numpy says of the same arrays."""

import numpy as np
import pytest

from noisegen.kernels.lanes import (
    chosen,
    flags,
    floor,
    fused,
    interleaved,
    load,
    prefetch,
    signs,
    spread,
    store,
    strided,
    sums,
    total,
    whole,
)
from noisegen.kernels.philox import kernel


@kernel
def reckon(a, b, out, numbers):
    one, other = load(a, 2, 8), load(b, 1, 8)
    two = a.dtype.type(2)
    store(out, 0, (one + other) * (one - two) - two * other)
    store(out, 8, fused(two, one, other))
    store(out, 16, fused(one, other, spread(two, 8)))
    store(out, 24, chosen((one < other) & (other > 0), one, 0))
    store(out, 32, chosen(one >= other, 1, other))
    store(out, 40, floor(one))
    store(out, 48, strided(a, 0, 1, 3, 8))
    store(numbers, 1, whole(floor(one)) * 3 + 1)


@kernel
def add_up(a, out):
    store(out, 3, sums(load(a, 0, 4), load(a, 4, 4), load(a, 8, 4), load(a, 12, 4)))
    out[0] = total(load(a, 0, 16))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_lanes_reckon_as_arrays_do(dtype):
    rng = np.random.default_rng(5)
    a, b = (rng.normal(0, 3, 24).astype(dtype) for _ in range(2))
    out, numbers = np.zeros(60, dtype), np.zeros(12, np.int32)
    reckon(a, b, out, numbers)
    one, other = a[2:10], b[1:9]
    expected = [
        (one + other) * (one - 2) - 2 * other,
        2 * one + other,
        one * other + 2,
        np.where((one < other) & (other > 0), one, 0),
        np.where(one >= other, 1, other),
        np.floor(one),
        a[1::3],
    ]
    tolerance = 8 * np.finfo(dtype).eps  # a few roundings of values up to about 50
    np.testing.assert_allclose(
        out[:56].reshape(7, 8), expected, rtol=tolerance, atol=50 * tolerance
    )
    assert not out[56:].any()
    assert numbers.tolist() == [0, *(np.floor(one) * 3 + 1), 0, 0, 0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sums(dtype):
    a, out = np.arange(16, dtype=dtype) ** 2, np.zeros(8, dtype)
    add_up(a, out)
    assert out.tolist() == [a.sum(), 0, 0, *a.reshape(4, 4).sum(1), 0]


@kernel
def turn_about(a, b, words, out, several):
    one, other = load(a, 1, 8), load(b, 0, 8)
    words[0], words[1] = signs(one), signs(one + one)
    store(out, 0, chosen(flags(words[0]), one, 0))
    store(several, 0, interleaved(one, other))


@pytest.mark.parametrize("dtype", [np.uint8, np.int16])
def test_signs_are_the_bits_of_a_word(dtype):
    rng = np.random.default_rng(6)
    a, b = (rng.integers(0, 256, 9).astype(np.uint8).astype(dtype) << 8 * (dtype().itemsize - 1)
            for _ in range(2))  # fmt: skip
    words, out, several = np.zeros(2, np.uint8), np.zeros(8, dtype), np.zeros(16, dtype)
    turn_about(a, b, words, out, several)
    signed = f"i{dtype().itemsize}"
    for word, values in zip(words, (a[1:], a[1:] + a[1:]), strict=True):
        bits = np.unpackbits(word, bitorder="little").astype(bool)
        np.testing.assert_array_equal(bits, values.view(signed) < 0)
    np.testing.assert_array_equal(out, np.where(a[1:].view(signed) < 0, a[1:], 0))
    np.testing.assert_array_equal(several, np.stack([a[1:], b[:8]], axis=1).ravel())


@kernel
def announce(a, place):
    prefetch(a, place)
    prefetch(a[1:], place)
    return a[0]


def test_any_place_may_be_announced():
    a = np.arange(4, dtype=np.uint16)
    for place in (0, 3, 4, 1 << 40, -(1 << 40)):
        assert announce(a, place) == 0
    assert a.tolist() == [0, 1, 2, 3]
