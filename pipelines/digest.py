"""Digests of samples: what "the same bytes" means.

A sample's digest covers its arrays and its recorded parameters; a corpus's covers its valid samples
in their order. Neither knows of chunks, shards, compression or of what is computed when read.

Samples are hashed with XXH3 (128 bits), which keeps up with memory, and their digests with SHA-256.
Any damage shows; a forger is not what they guard against.
"""

import hashlib
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from xxhash import xxh3_128


def sample_digest(row: np.void, arrays: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """Return the 16-byte digest of a sample.

    Parameters
    ----------
    row
        Its recorded parameters.
    arrays
        Its C-contiguous arrays by name; none for a sample that could not be made.
    """
    hasher = xxh3_128(row.tobytes())
    for name in sorted(arrays):
        array = arrays[name]
        hasher.update(_heading(name, array.dtype, array.shape))
        hasher.update(array.data)
    return hasher.digest()


def combined(digests: Iterable[bytes]) -> bytes:
    """Return the 32-byte digest of a sequence of digests."""
    return hashlib.sha256(b"".join(digests)).digest()


@cache
def _heading(name: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> bytes:
    return f"{name} {dtype.name} {shape}".encode()
