"""Digests of samples: what "the same bytes" means.

A sample's digest covers its arrays and its recorded parameters; a corpus's covers its valid samples
in their order. Neither knows of chunks, shards, compression or of what is computed when read.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from blake3 import blake3


def sample_digest(row: np.void, arrays: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """Return the 32-byte BLAKE3 digest of a sample.

    Parameters
    ----------
    row
        Its recorded parameters.
    arrays
        Its C-contiguous arrays by name; none for a sample that could not be made.
    """
    parts: list[bytes | memoryview] = [row.tobytes()]
    for name in sorted(arrays):
        array = arrays[name]
        parts += (f"{name} {array.dtype.name} {array.shape}".encode(), array.data.cast("B"))
    # One piece: BLAKE3 hashes a whole tree of blocks at a time, a quarter faster with the copy.
    return blake3(b"".join(parts)).digest()


def combined(digests: Iterable[bytes]) -> bytes:
    """Return the digest of a sequence of digests."""
    hasher = blake3()
    for digest in digests:
        hasher.update(digest)
    return hasher.digest()
