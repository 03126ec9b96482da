"""Reading rows at random: one read and one decode a chunk, every checksum checked.

Windows of rows are cut out of single blocks of a chunk. The checksum is of the whole chunk, and is
compared when a reader first comes to it.

Zarr itself reads an absent chunk as fill value. Here an absent chunk is damage: a corpus writes
every chunk, so one that is gone was lost.
"""

import json
import operator
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from pathlib import Path
from threading import Lock
from typing import Any, SupportsIndex

import numpy as np
import numpy.typing as npt

from noisegen.errors import CorpusMismatchError, DamagedCorpusError, MissingDataError
from pipelines.store.codec import (
    ABSENT,
    CRC_BYTES,
    body_of,
    decode_chunk,
    decode_index,
    decode_span,
    index_bytes,
)
from pipelines.store.layout import ArraySpec
from pipelines.store.storage import Storage, StoredObject, open_store

ONE_BLOCK = 1 << 16
"""Bytes of a chunk that blosc does not divide, as a rule: there is nothing to be saved."""


def read_spec(storage: Storage, name: str) -> ArraySpec:
    """Return what array `name` is.

    Raises
    ------
    MissingDataError
        If there is no such array.
    DamagedCorpusError
        If its description is not JSON.
    CorpusMismatchError
        If it is an array, but not stored as a corpus stores arrays.
    """
    key = f"{name}/zarr.json"
    data = storage.read(key)
    if data is None:
        raise MissingDataError(
            f"{storage.url}: no array '{name}'; see what there is: noisegen status {storage.url}"
        )
    try:
        metadata = json.loads(data)
    except ValueError as error:
        raise DamagedCorpusError(f"{storage.url}: {key} is damaged: {error}") from error
    try:
        return ArraySpec.from_metadata(name, metadata)
    except ValueError as error:
        raise CorpusMismatchError(f"{storage.url}: {error}; open it with zarr instead") from error


class SampleReader:
    """Random access to the rows of one array. Picklable; safe to share between threads.

    Parameters
    ----------
    path
        The corpus: a folder, an fsspec URL or a storage.
    name
        The array, such as ``"clean"``.
    max_open
        Shards kept open, each with its index, least recently used closed first.

    Raises
    ------
    MissingDataError, DamagedCorpusError, CorpusMismatchError
        As :func:`read_spec`.
    """

    def __init__(self, path: str | Path | Storage, name: str, *, max_open: int = 64) -> None:
        self.storage = open_store(path)
        self.spec = read_spec(self.storage, name)
        self._max_open = max_open
        self._checked = bytearray(-(-self.spec.rows // self.spec.chunk[0]))
        self._open: OrderedDict[int, tuple[StoredObject, npt.NDArray[np.uint64]]] = OrderedDict()
        self._lock = Lock()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle without the open files."""
        return _reopen, (self.storage, self.spec.name, self._max_open)

    def __len__(self) -> int:
        """Return the number of rows."""
        return self.spec.rows

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        return self.spec.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""
        return self.spec.stored

    def __getitem__(self, row: SupportsIndex) -> npt.NDArray[Any]:
        """Return one row, a new array.

        Raises
        ------
        IndexError
            If there is no such row.
        DamagedCorpusError
            If what is stored is not what was written, or nothing is stored.
        """
        values: npt.NDArray[Any] = self.take([operator.index(row)])[0]
        return values

    def rows(self, start: int, stop: int) -> npt.NDArray[Any]:
        """Return rows `start` up to but not including `stop`; as :meth:`take`."""
        return self.take(range(start, stop))

    def rows_or_fill(self, start: int, stop: int) -> npt.NDArray[Any]:
        """Return rows as :meth:`rows` does, with the fill value where no chunk was written.

        For arrays that are written as a run goes on, such as ``manifest``.

        Raises
        ------
        IndexError
            If there is no such row.
        ValueError
            If the array has shards.
        DamagedCorpusError
            If what is stored is not what was written.
        """
        if self.spec.shard is not None:
            raise ValueError(f"{self.spec.name} has shards: one that is missing is damage")
        if not 0 <= start <= stop <= self.spec.rows:
            raise IndexError(f"{self.spec.name} has {self.spec.rows} rows, not {start} to {stop}")
        out = np.full((stop - start, *self.spec.shape[1:]), self.spec.fill_value, self.spec.stored)
        step, chunk = self.spec.chunk[0], np.empty(self.spec.chunk, self.spec.stored)
        for index in range(start // step, -(-stop // step)):
            data = self.storage.read(self.spec.key(index))
            if data is not None:
                self._decode(index, data, chunk)
                first, last = max(start, index * step), min(stop, (index + 1) * step)
                out[first - start : last - start] = chunk[
                    first - index * step : last - index * step
                ]
        return out

    def take(self, rows: Iterable[int], out: npt.NDArray[Any] | None = None) -> npt.NDArray[Any]:
        """Return the given rows, in the order given, as one (n, …) array.

        Parameters
        ----------
        rows
            Each from -len to len - 1.
        out
            Where to put them: C-contiguous, of the array's type and the right shape.

        Raises
        ------
        IndexError
            If there is no such row.
        ValueError
            If `out` does not fit.
        DamagedCorpusError
            If what is stored is not what was written, or nothing is stored.
        """
        wanted = [self._row(row) for row in rows]
        shape = (len(wanted), *self.spec.shape[1:])
        if out is None:
            out = np.empty(shape, self.spec.stored)
        elif out.shape != shape or out.dtype != self.spec.stored or not out.flags.c_contiguous:
            raise ValueError(f"out must be {shape} {self.spec.dtype}, C-contiguous")
        step = self.spec.chunk[0]
        if step == 1:
            for place, row in enumerate(wanted):
                self._read_chunk(row, out[place : place + 1])
            return out
        chunk, held = np.empty(self.spec.chunk, self.spec.stored), -1
        for place, row in enumerate(wanted):
            if row // step != held:
                self._read_chunk(row // step, chunk)
                held = row // step
            out[place] = chunk[row % step]
        return out

    def windows(
        self, rows: Iterable[int], corners: Iterable[tuple[int, int]], size: int
    ) -> Iterator[npt.NDArray[Any]]:
        """Yield a square of each of the given rows, cut out of its second and third axis.

        Of a chunk of one row only what holds the square's lines is decoded.

        Parameters
        ----------
        rows
            Each from -len to len - 1.
        corners
            First line and column of each square.
        size
            Height and width of the squares.

        Yields
        ------
        (size, size, …) array, to be read before the next is asked for

        Raises
        ------
        IndexError
            If there is no such row, or a square is not wholly inside of it.
        DamagedCorpusError
            As :meth:`take`.
        """
        height, width = self.spec.shape[1:3]
        line = self.spec.chunk_bytes // (self.spec.chunk[0] * height)
        in_parts = self.spec.chunk[0] == 1 and self.spec.chunk_bytes > ONE_BLOCK
        scratch = np.empty((1, *self.spec.shape[1:]), self.spec.stored)
        for row, (y, x) in zip(rows, corners, strict=True):
            if not (0 <= y <= height - size and 0 <= x <= width - size):
                raise IndexError(
                    f"{self.spec.name}: no square of {size} at ({y}, {x}) of {height} x {width}"
                )
            if in_parts:
                span = self._read_span(self._row(row), y * line, (y + size) * line)
                lines = span.view(self.spec.stored).reshape(size, *self.spec.shape[2:])
            else:
                lines = self.take((row,), scratch)[0, y : y + size]
            yield lines[:, x : x + size]

    def _row(self, row: int) -> int:
        if not -self.spec.rows <= row < self.spec.rows:
            raise IndexError(f"{self.spec.name} has {self.spec.rows} rows, not {row}")
        return row % self.spec.rows

    def _read_chunk(self, chunk: int, out: npt.NDArray[Any]) -> None:
        """Read and decode chunk number `chunk` of the array into `out`."""
        self._decode(chunk, self._stored(chunk), out)

    def _read_span(self, chunk: int, start: int, stop: int) -> npt.NDArray[np.uint8]:
        """Decode some bytes of a chunk; its checksum is compared when it is first read."""
        try:
            if self._checked[chunk] and self.spec.shard is not None:
                shard, offset, length = self._place(chunk)
                length -= CRC_BYTES

                def read(place: int, size: int) -> bytes:
                    return shard.at(offset + place, size)

                return decode_span(self.spec, read, length, start, stop)
            body = body_of(self.spec, self._stored(chunk))
            self._checked[chunk] = 1

            def part(place: int, size: int) -> memoryview:
                return body[place : place + size]

            return decode_span(self.spec, part, len(body), start, stop)
        except ValueError as error:
            raise self._damaged_chunk(chunk, error) from error

    def _stored(self, chunk: int) -> bytes:
        """Return a chunk as it is stored."""
        if self.spec.shard is None:
            data = self.storage.read(self.spec.key(chunk))
            if data is None:
                raise self._damaged_chunk(chunk, "the chunk is missing")
            return data
        shard, offset, length = self._place(chunk)
        return shard.at(offset, length)

    def _place(self, chunk: int) -> tuple[StoredObject, int, int]:
        """Return the shard that holds a chunk, and where."""
        index, slot = divmod(chunk, self.spec.slots)
        shard, entries = self._shard(index)
        offset, length = entries[slot].tolist()
        if offset == ABSENT:
            raise self._damaged_chunk(chunk, "the chunk is missing")
        return shard, offset, length

    def _decode(self, chunk: int, data: bytes, out: npt.NDArray[Any]) -> None:
        try:
            decode_chunk(self.spec, data, out)
        except ValueError as error:
            raise self._damaged_chunk(chunk, error) from error

    def _shard(self, index: int) -> tuple[StoredObject, npt.NDArray[np.uint64]]:
        with self._lock:
            found = self._open.get(index)
            if found is not None:
                self._open.move_to_end(index)
                return found
        shard = self.storage.open(self.spec.key(index))
        if shard is None:
            raise self._damaged(index, "the shard is missing")
        try:
            entries = decode_index(self.spec, shard.tail(index_bytes(self.spec)))
        except ValueError as error:
            raise self._damaged(index, f"the shard is torn: {error}") from error
        with self._lock:
            self._open[index] = shard, entries
            while len(self._open) > self._max_open:
                self._open.popitem(last=False)
        return shard, entries

    def _damaged_chunk(self, chunk: int, what: ValueError | str) -> DamagedCorpusError:
        where = f"sample {chunk * self.spec.chunk[0]}: {what}"
        return self._damaged(chunk // self.spec.slots, where)

    def _damaged(self, index: int, what: str) -> DamagedCorpusError:
        part = "shard" if self.spec.shard else "chunk"
        return DamagedCorpusError(
            f"{self.storage.url}: {self.spec.name} {part} {index}: {what}; "
            "noisegen verify --forget, then the same synthesize, makes it again"
        )


def _reopen(storage: Storage, name: str, max_open: int) -> SampleReader:
    return SampleReader(storage, name, max_open=max_open)
