"""Writing shards and chunks: each one whole, once, by an atomic rename or put.

Partial writes of a shard by several tasks lose data without a word, so there is no way to make one.
"""

from typing import Any, Self

import numpy as np
import numpy.typing as npt

from pipelines.store.codec import ABSENT, encode_chunks, encode_index, encoded_bytes
from pipelines.store.layout import ArraySpec
from pipelines.store.storage import ObjectWriter, Storage

TOGETHER = 1 << 20
"""Bytes of chunks that are written at a time: fewer calls, and still in cache."""


class ShardBuilder:
    """Makes one shard chunk by chunk; it appears with :meth:`finish`.

    A context manager: what was not finished at its end leaves nothing behind.

    Parameters
    ----------
    storage
        Where the corpus lives.
    spec
        An array with shards.
    index
        Which shard.

    Raises
    ------
    ValueError
        If the array has no shards.
    IndexError
        If there is no such shard.
    """

    def __init__(self, storage: Storage, spec: ArraySpec, index: int) -> None:
        if spec.shard is None:
            raise ValueError(f"{spec.name} has no shards; use write_chunk")
        self._storage, self._spec, self._index = storage, spec, index
        self._chunks = -(-len(spec.rows_of(index)) // spec.chunk[0])
        self._entries: list[tuple[int, int]] = []
        self._writer: ObjectWriter | None = None
        self._most = encoded_bytes(spec)
        self._waiting = np.empty(max(TOGETHER, self._most), np.uint8)
        self._written = self._filled = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._writer is not None:
            self._writer.discard()

    def add(self, chunks: npt.NDArray[Any]) -> None:
        """Encode the next chunks; their buffer may then be reused.

        Parameters
        ----------
        chunks
            (n, …) C-contiguous, of the array's type: n whole chunks, one after the other.

        Raises
        ------
        ValueError
            If they are not such chunks, or more than the shard still takes.
        """
        if len(self._entries) + len(chunks) > self._chunks:
            raise ValueError(
                f"{self._spec.name}: shard {self._index} takes "
                f"{self._chunks - len(self._entries)} more chunks, not {len(chunks)}"
            )
        while len(chunks):
            if len(self._waiting) - self._filled < self._most:
                self._write()
            free = self._waiting[self._filled :]
            count = len(free) // self._most
            for length in encode_chunks(self._spec, chunks[:count], free):
                self._entries.append((self._written + self._filled, length))
                self._filled += length
            chunks = chunks[count:]

    def finish(self, *, durable: bool = False) -> int:
        """Write the shard and return its size in bytes.

        Raises
        ------
        ValueError
            If chunks are missing.
        StorageError
            If it cannot be written; nothing is left behind then.
        """
        if len(self._entries) != self._chunks:
            raise ValueError(
                f"{self._spec.name}: shard {self._index} has {len(self._entries)} of "
                f"{self._chunks} chunks"
            )
        entries = np.full((self._spec.slots, 2), ABSENT, np.uint64)
        entries[: self._chunks] = self._entries
        index = encode_index(entries)
        self._write(index).commit(durable=durable)
        return self._written + len(index)

    def _write(self, *more: bytes) -> ObjectWriter:
        """Write the chunks that wait, and what follows them, and return the shard's object."""
        if self._writer is None:
            self._writer = self._storage.writer(self._spec.key(self._index))
        self._writer.append([self._waiting[: self._filled].data, *more])
        self._written += self._filled
        self._filled = 0
        return self._writer


def write_shard(
    storage: Storage,
    spec: ArraySpec,
    index: int,
    block: npt.NDArray[Any],
    *,
    durable: bool = False,
) -> int:
    """Write shard `index` of (n, …) `block`, its rows in order, and return its size in bytes.

    Raises
    ------
    ValueError
        If `block` is not exactly the rows of that shard (fewer in the last one).
    StorageError
        If it cannot be written.
    """
    _require_rows(spec, index, block)
    step = spec.chunk[0]
    with ShardBuilder(storage, spec, index) as builder:
        for first in range(0, len(block), step):
            builder.add(_whole_chunk(spec, block[first : first + step])[None])
        return builder.finish(durable=durable)


def write_chunk(
    storage: Storage,
    spec: ArraySpec,
    index: int,
    block: npt.NDArray[Any],
    *,
    durable: bool = False,
) -> int:
    """Write chunk `index` of an array without shards and return its size in bytes.

    Raises
    ------
    ValueError
        If the array has shards or `block` is not exactly the rows of that chunk.
    StorageError
        If it cannot be written.
    """
    if spec.shard is not None:
        raise ValueError(f"{spec.name} has shards; use write_shard")
    _require_rows(spec, index, block)
    encoded = np.empty(encoded_bytes(spec), np.uint8)
    (length,) = encode_chunks(spec, _whole_chunk(spec, block)[None], encoded)
    storage.write(spec.key(index), [encoded[:length].data], durable=durable)
    return length


def _require_rows(spec: ArraySpec, index: int, block: npt.NDArray[Any]) -> None:
    wanted = (len(spec.rows_of(index)), *spec.shape[1:])
    if block.shape != wanted:
        raise ValueError(f"{spec.name}: part {index} is {wanted}, not {block.shape}")


def _whole_chunk(spec: ArraySpec, block: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return `block` contiguous and padded to one chunk, as Zarr stores the array's edge."""
    if len(block) == spec.chunk[0]:
        return np.ascontiguousarray(block)
    whole = np.full(spec.chunk, spec.fill_value, block.dtype)
    whole[: len(block)] = block
    return whole
