"""Digests of samples: what "the same bytes" means.

A sample's digest covers its arrays and its recorded parameters; a corpus's covers its valid samples
in their order. Neither knows of chunks, shards, compression or of what is computed when read.

Samples are hashed with XXH3 (128 bits), which keeps up with memory, and their digests with SHA-256.
Any damage shows; a forger is not what they guard against.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
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
    named = sorted(arrays.items())
    return _digest(row.tobytes(), [(_heading(n, a.dtype, a.shape), a) for n, a in named])


def sample_digests(
    rows: npt.NDArray[np.void], arrays: Mapping[str, npt.NDArray[Any]]
) -> Iterator[bytes]:
    """Yield the digests of samples: their (n,) rows, and (n, …) arrays of all of them by name."""
    named = [(_heading(n, a.dtype, a.shape[1:]), a) for n, a in sorted(arrays.items())]
    data, step = rows.tobytes(), rows.itemsize
    for i in range(len(rows)):
        yield _digest(data[i * step : (i + 1) * step], [(heading, a[i]) for heading, a in named])


def combined(digests: Iterable[bytes]) -> bytes:
    """Return the 32-byte digest of a sequence of digests."""
    return hashlib.sha256(b"".join(digests)).digest()


@cache
def _heading(name: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> bytes:
    return f"{name} {dtype.name} {shape}".encode()


def _digest(row: bytes, arrays: Iterable[tuple[bytes, npt.NDArray[Any]]]) -> bytes:
    hasher = xxh3_128(row)
    for heading, array in arrays:
        hasher.update(heading)
        hasher.update(array.data)
    return hasher.digest()
