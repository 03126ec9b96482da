"""Bytes of one chunk and of a shard's index, as the Zarr v3 specification lays them out.

A chunk is little-endian values, optionally through blosc, then their CRC-32C. A shard is its
chunks, then an index of (offset, length) pairs with a CRC-32C of its own. Nothing here touches a
disk.
"""

from typing import Any

import google_crc32c
import numpy as np
import numpy.typing as npt
from numcodecs import blosc

from pipelines.store.layout import ArraySpec

ABSENT = 2**64 - 1
"""Offset and length of a chunk that a shard does not hold."""

_CRC_BYTES = 4
_BLOSC_HEADER = 16


def encode_chunk(spec: ArraySpec, chunk: npt.NDArray[Any]) -> tuple[bytes, bytes]:
    """Return the encoded body of `chunk` and its checksum, to be stored one after the other.

    Parameters
    ----------
    chunk
        C-contiguous, of the type on disk, exactly one chunk of values.

    Raises
    ------
    ValueError
        If `chunk` is anything else.
    """
    if chunk.dtype != spec.stored or chunk.nbytes != spec.chunk_bytes:
        raise ValueError(
            f"{spec.name}: a chunk is {spec.chunk} {spec.dtype}, not {chunk.shape} {chunk.dtype}"
        )
    if not chunk.flags.c_contiguous:
        raise ValueError(f"{spec.name}: a chunk must be C-contiguous")
    if spec.compressed:
        _stay_on_this_thread()
        body: bytes = blosc.compress(chunk, b"lz4", 1, blosc.BITSHUFFLE)
    else:
        body = chunk.tobytes()
    return body, _crc(body)


def decode_chunk(spec: ArraySpec, data: bytes, out: npt.NDArray[Any]) -> None:
    """Decode one stored chunk into `out`, C-contiguous and of the type on disk.

    Raises
    ------
    ValueError
        If `data` is not what was written.
    """
    _check(data)
    body = memoryview(data)[:-_CRC_BYTES]
    if not spec.compressed:
        if len(body) != spec.chunk_bytes:
            raise ValueError(f"{len(body)} bytes where {spec.chunk_bytes} were written")
        out.reshape(-1)[:] = np.frombuffer(body, spec.stored)
        return
    # The header is read here: a sound blosc frame of another size would leave part of `out` old.
    if len(body) < _BLOSC_HEADER or int.from_bytes(body[4:8], "little") != spec.chunk_bytes:
        raise ValueError(f"not a blosc frame of {spec.chunk_bytes} bytes")
    _stay_on_this_thread()
    try:
        blosc.decompress(body, out)
    except RuntimeError as error:
        raise ValueError(str(error)) from error


def encode_index(index: npt.NDArray[np.uint64]) -> bytes:
    """Return the bytes that end a shard, of (slots, 2) offsets and lengths."""
    body = index.astype("<u8").tobytes()
    return body + _crc(body)


def index_bytes(spec: ArraySpec) -> int:
    """Return the size of a shard's index."""
    return spec.slots * 16 + _CRC_BYTES


def decode_index(spec: ArraySpec, data: bytes) -> npt.NDArray[np.uint64]:
    """Return (slots, 2) offsets and lengths from the last :func:`index_bytes` of a shard.

    Raises
    ------
    ValueError
        If `data` is not what was written.
    """
    if len(data) != index_bytes(spec):
        raise ValueError("it is shorter than its index")
    _check(data)
    return np.frombuffer(data[:-_CRC_BYTES], "<u8").reshape(-1, 2)


def _crc(body: bytes) -> bytes:
    return int(google_crc32c.value(body)).to_bytes(_CRC_BYTES, "little")


def _check(data: bytes) -> None:
    # Through NumPy: the checksum takes a read-only array without a copy, but not a memoryview.
    view = np.frombuffer(data, np.uint8)
    if len(data) < _CRC_BYTES or _crc(view[:-_CRC_BYTES]) != data[-_CRC_BYTES:]:  # type: ignore[arg-type]
        raise ValueError("its checksum does not match its bytes")


def _stay_on_this_thread() -> None:
    """Keep blosc off its own threads, which cost 60 % more CPU time on chunks of this size.

    numcodecs offers this only as a switch of the process; the bytes are the same either way.
    """
    if blosc.use_threads is not False:
        blosc.use_threads = False
