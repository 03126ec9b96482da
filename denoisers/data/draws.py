"""What is drawn for the items of an epoch, as functions of (seed, epoch, index)."""

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from noisegen.random import Stream, generator

BLOCK = 1024
"""Items whose numbers are drawn at once: a generator takes longer to make than to use."""

NUMBERS = 4
"""Uniform numbers of an item: row and column of its crop, its turn, the strength of its noise."""

Uniforms = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]


def uniforms(seed: int, epoch: int, index: Numbers) -> Uniforms:
    """Return (n, 4) numbers in [0, 1) of n items of an epoch."""
    block, place = np.divmod(index, BLOCK)
    out = np.empty((len(index), NUMBERS))
    for number in np.unique(block):
        of_block = block == number
        out[of_block] = _block(seed, epoch, int(number))[place[of_block]]
    return out


def permutation(seed: int, length: int, *key: int) -> Numbers:
    """Return the numbers below ``length`` in an order of their own for each key."""
    order = generator(seed, Stream.ORDER, *key).permutation(length)
    order.setflags(write=False)
    return order


@lru_cache(maxsize=64)
def _block(seed: int, epoch: int, block: int) -> Uniforms:
    return generator(seed, Stream.TRAINING, epoch, block).random((BLOCK, NUMBERS))
