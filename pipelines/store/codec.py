"""Bytes of one chunk and of a shard's index, as the Zarr v3 specification lays them out.

A chunk is little-endian values, optionally through blosc, then their CRC-32C. A shard is its
chunks, then an index of (offset, length) pairs with a CRC-32C of its own. Nothing here touches a
disk.
"""

import struct
from collections.abc import Callable
from typing import Any

import google_crc32c
import numpy as np
import numpy.typing as npt

from noisegen.kernels.frames import HEADER, STORED
from pipelines.store.compression import compress, decompress, number
from pipelines.store.layout import ArraySpec

ABSENT = 2**64 - 1
"""Offset and length of a chunk that a shard does not hold."""

CRC_BYTES = 4
_CRC = struct.Struct("<I")
_HEAD = 1024  # enough for the places of 252 blocks, which are of 64 kB as a rule

Part = bytes | memoryview
Read = Callable[[int, int], Part]


def encode_chunks(
    spec: ArraySpec, chunks: npt.NDArray[Any], out: npt.NDArray[np.uint8]
) -> list[int]:
    """Write encoded chunks, one after the other, and return their lengths.

    Parameters
    ----------
    chunks
        (n, …) C-contiguous, of the type on disk: n chunks of values.
    out
        At least n times :func:`encoded_bytes`, written.

    Raises
    ------
    ValueError
        If ``chunks`` are anything else.
    """
    size, count = spec.chunk_bytes, len(chunks)
    if chunks.dtype != spec.stored or chunks.nbytes != count * size:
        raise ValueError(
            f"{spec.name}: a chunk is {spec.chunk} {spec.dtype}, not {chunks.shape[1:]} "
            f"{chunks.dtype}"
        )
    if not chunks.flags.c_contiguous:
        raise ValueError(f"{spec.name}: chunks must be C-contiguous")
    if spec.compressed:
        lengths = compress(chunks, out, CRC_BYTES)
    else:
        lengths = [size] * count
        rows = out[: count * (size + CRC_BYTES)].reshape(count, -1)
        rows[:, :size] = chunks.reshape(count, -1).view(np.uint8)
    written, memory = out.view(), out.data
    written.flags.writeable = False  # the checksum takes nothing else without a copy
    place = 0
    for length in lengths:
        end = place + length
        _CRC.pack_into(memory, end, google_crc32c.extend(0, written[place:end]))
        place = end + CRC_BYTES
    return [length + CRC_BYTES for length in lengths]


def encoded_bytes(spec: ArraySpec) -> int:
    """Return the most bytes that a chunk takes when it is encoded."""
    return spec.chunk_bytes + HEADER + CRC_BYTES


def decode_chunk(spec: ArraySpec, data: bytes, out: npt.NDArray[Any]) -> None:
    """Decode one stored chunk into `out`, C-contiguous and of the type on disk.

    Raises
    ------
    ValueError
        If `data` is not what was written.
    """
    body = body_of(spec, data)
    if spec.compressed:
        decompress(body, out)
    else:
        out.reshape(-1)[:] = np.frombuffer(body, spec.stored)


def body_of(spec: ArraySpec, data: bytes) -> memoryview:
    """Return what a stored chunk holds before its checksum, which is compared.

    Raises
    ------
    ValueError
        If `data` is not what was written.
    """
    _check(data)
    body = memoryview(data)[:-CRC_BYTES]
    if not spec.compressed:
        if len(body) != spec.chunk_bytes:
            raise ValueError(f"{len(body)} bytes where {spec.chunk_bytes} were written")
    # The header is read here: a sound blosc frame of another size would leave part of `out` old.
    elif len(body) < HEADER or number(body, 4) != spec.chunk_bytes:
        raise ValueError(f"not a blosc frame of {spec.chunk_bytes} bytes")
    return body


def decode_span(
    spec: ArraySpec, read: Read, length: int, start: int, stop: int
) -> npt.NDArray[np.uint8]:
    """Return bytes `start` up to `stop` of a chunk whose checksum was compared before.

    Of a compressed chunk only those blosc blocks are read and decoded that hold them. They are put
    into a frame of their own: its header, the places of its blocks, the blocks as they are stored.

    Parameters
    ----------
    spec
        Of the array.
    read
        Gives so many bytes from some place of the stored chunk.
    length
        Of the stored chunk, without its checksum.
    start, stop
        Places in the decoded chunk.

    Raises
    ------
    ValueError
        If the chunk is not what was written after all.
    """

    def part(place: int, size: int) -> Part:
        data = read(place, size)
        if len(data) != size:
            raise ValueError("it is shorter than its index says")
        return data

    if not spec.compressed:
        return np.frombuffer(part(start, stop - start), np.uint8)
    head = part(0, min(_HEAD, length))
    nbytes, block, cbytes = (number(head, place) for place in (4, 8, 12))
    if (nbytes, cbytes) != (spec.chunk_bytes, length) or block < 1:
        raise ValueError(f"not a blosc frame of {spec.chunk_bytes} bytes")
    if head[2] & STORED:
        return np.frombuffer(part(HEADER + start, stop - start), np.uint8)
    count = -(-nbytes // block)
    starts = _starts(head, count)
    if not starts:
        return _decoded(part(0, length), nbytes)[start:stop]
    first, last = start // block, -(-stop // block)
    if first == last - 1 == count - 1:
        first -= 1  # blosc refuses a frame that is shorter than its blocks, as the last one may be
    offset, begin = first * block, starts[first]
    end = starts[last] if last < count else length
    size = min(last * block, nbytes) - offset
    shift = begin - HEADER - 4 * (last - first)
    frame = b"".join(
        (
            head[:4],
            np.array([size, block, end - shift], "<u4").tobytes(),
            (np.array(starts[first:last], "<u4") - np.uint32(shift)).tobytes(),
            part(begin, end - begin),
        )
    )
    return _decoded(frame, size)[start - offset : stop - offset]


def encode_index(index: npt.NDArray[np.uint64]) -> bytes:
    """Return the bytes that end a shard, of (slots, 2) offsets and lengths."""
    body = index.astype("<u8").tobytes()
    return body + _crc(body)


def index_bytes(spec: ArraySpec) -> int:
    """Return the size of a shard's index."""
    return spec.slots * 16 + CRC_BYTES


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
    return np.frombuffer(data[:-CRC_BYTES], "<u8").reshape(-1, 2)


def _starts(head: Part, count: int) -> list[int]:
    """Return where the blocks of a frame begin; nothing if they cannot be read on their own.

    There may be but one, or more than the head tells, or threads wrote them in another order.
    """
    if count == 1 or HEADER + 4 * count > len(head):
        return []
    starts: list[int] = np.frombuffer(head, "<u4", count, HEADER).tolist()
    return starts if starts == sorted(starts) else []


def _decoded(frame: Part, size: int) -> npt.NDArray[np.uint8]:
    out = np.empty(size, np.uint8)
    decompress(frame, out)
    return out


def _crc(data: Part) -> bytes:
    # Through NumPy: the checksum takes a read-only array without a copy, but not a memoryview.
    return _CRC.pack(google_crc32c.extend(0, np.frombuffer(data, np.uint8)))


def _check(data: bytes) -> None:
    if len(data) < CRC_BYTES or _crc(memoryview(data)[:-CRC_BYTES]) != data[-CRC_BYTES:]:
        raise ValueError("its checksum does not match its bytes")
