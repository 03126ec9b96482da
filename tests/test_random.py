"""Generators that the whole project draws from."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from noisegen import random
from noisegen.random import Stream


@given(first=st.integers(0, 2**40), count=st.integers(1, 9), each=st.integers(1, 9), data=st.data())
def test_the_uniforms_of_an_item_are_its_own(first, count, each, data):
    start = first + data.draw(st.integers(0, count - 1))
    stop = data.draw(st.integers(start + 1, first + count))
    many = random.uniforms(3, Stream.CAMERA, 5, items=range(first, first + count), each=each)
    few = random.uniforms(3, Stream.CAMERA, 5, items=range(start, stop), each=each)
    assert many.shape == (count, each)
    np.testing.assert_array_equal(many[start - first : stop - first], few)


def test_uniforms_of_items_are_uniform_and_independent():
    n = 40_000
    u = random.uniforms(1, Stream.CAMERA, items=range(n), each=3)
    # Means and correlations have standard errors 1 / sqrt(12 n) and 1 / sqrt(n).
    assert np.abs(u.mean(axis=0) - 0.5).max() < 5 / math.sqrt(12 * n)
    columns = np.concatenate([u[1:].T, u[:-1].T])
    assert np.abs(np.corrcoef(columns) - np.eye(6)).max() < 5 / math.sqrt(n)
    assert u.min() >= 0 and u.max() < 1


def test_other_streams_and_keys_give_other_uniforms():
    drawn = [
        random.uniforms(seed, stream, *key, items=range(2), each=2)
        for seed in (0, 1)
        for stream in (Stream.CAMERA, Stream.TONE)
        for key in ((), (0,), (1,), (0, 0))
    ]
    assert len({u.tobytes() for u in drawn}) == len(drawn)
