"""Blosc frames of a chunk: lz4 of level 1 on its bit planes.

The frames are byte for byte those of blosc with its own bit shuffle. Where a chunk fits, its planes
are made by :mod:`noisegen.kernels.bitshuffle`, and blosc is told of numbers that are not shuffled:
a frame tells of that in one bit of its header. That saves 40 % of the time to encode and to decode.
:mod:`noisegen.kernels.frames` does so for many chunks in one call.
"""

import threading
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from numcodecs import blosc

from noisegen.kernels import bitshuffle, frames
from noisegen.kernels.frames import HEADER, SHUFFLED, STORED

_TURNED = 1 | STORED | SHUFFLED  # flags that tell what was done to the numbers
_OWN = threading.local()

Frame = bytes | memoryview


def compress(chunks: npt.NDArray[Any], out: npt.NDArray[np.uint8], gap: int) -> list[int]:
    """Write the frames of chunks and return their lengths.

    Parameters
    ----------
    chunks
        (n, …) C-contiguous.
    out
        Room for n frames, each of a chunk's bytes and :data:`HEADER`, and their gaps; written.
    gap
        Bytes that are left as they are after each frame.
    """
    itemsize = chunks.dtype.itemsize
    size = chunks[0].nbytes
    function, block = frames.compressor(), _block(size, itemsize)
    fits = bitshuffle.fits(size, itemsize, block)
    if function and fits:
        values = chunks.reshape(len(chunks), -1).view(np.uint8)
        return frames.compress(function, values, itemsize, block, _scratch(size), out, gap)
    _stay_on_this_thread()
    place, lengths = 0, []
    for chunk in chunks:
        frame = _frame(chunk, block) if fits else blosc.compress(chunk, b"lz4", 1, blosc.BITSHUFFLE)
        out[place : place + len(frame)] = np.frombuffer(frame, np.uint8)
        lengths.append(len(frame))
        place += len(frame) + gap
    return lengths


def _frame(chunk: npt.NDArray[Any], block: int) -> bytes:
    """Return the frame of a chunk whose planes are made here: :func:`frames.compress`, slower."""
    values, planes = chunk.reshape(-1).view(np.uint8), _scratch(chunk.nbytes)
    bitshuffle.shuffle(values, planes, chunk.itemsize, block)
    frame: bytes = blosc.compress(planes.view(f"u{chunk.itemsize}"), b"lz4", 1, blosc.NOSHUFFLE)
    stored = frame[2] & STORED
    head = frame[:2] + bytes((frame[2] | SHUFFLED,)) + frame[3:HEADER]
    return head + (values.tobytes() if stored else frame[HEADER:])


def decompress(frame: Frame, out: npt.NDArray[Any]) -> None:
    """Decode a frame of so many bytes as `out` has, which is C-contiguous.

    Raises
    ------
    ValueError
        If it is no such frame.
    """
    _stay_on_this_thread()
    flags, itemsize, block = frame[2], frame[3], number(frame, 8)
    try:
        if flags & _TURNED != SHUFFLED or not bitshuffle.fits(out.nbytes, itemsize, block):
            blosc.decompress(frame, out)
            return
        planes, plain = _scratch(out.nbytes), bytearray(frame)
        plain[2] ^= SHUFFLED
        blosc.decompress(plain, planes)
    except RuntimeError as error:
        raise ValueError(str(error)) from error
    bitshuffle.unshuffle(planes, out.reshape(-1).view(np.uint8), itemsize, block)


def number(data: Frame, place: int) -> int:
    """Return one of the numbers of a frame."""
    return int.from_bytes(data[place : place + 4], "little")


@lru_cache
def _block(size: int, itemsize: int) -> int:
    """Return the bytes of a block that blosc chooses for a chunk, as its frames tell."""
    zeros = np.zeros(size // itemsize, f"u{itemsize}")
    return number(blosc.compress(zeros, b"lz4", 1, blosc.NOSHUFFLE), 8)


def _scratch(size: int) -> npt.NDArray[np.uint8]:
    """Return bytes that this thread reuses: fresh memory of a chunk's size costs page faults."""
    held: npt.NDArray[np.uint8] | None = getattr(_OWN, "planes", None)
    if held is None or len(held) < size:
        held = _OWN.planes = np.empty(size, np.uint8)
    return held[:size]


def _stay_on_this_thread() -> None:
    """Keep blosc off its own threads, which cost 60 % more CPU time on chunks of this size.

    numcodecs offers this only as a switch of the process; the bytes are the same either way.
    """
    if blosc.use_threads is not False:
        blosc.use_threads = False
