"""Blosc frames of many chunks in one call: bit planes made here, lz4 by the blosc of numcodecs.

numcodecs compresses one chunk a call, into memory of its own that is copied then. Between such
calls the interpreter's own code and data have left the caches, so that what it does there takes as
long as the bit planes do. Here blosc's function is called from compiled code, and writes its frames
to where they are stored from. It is a symbol of numcodecs' extension module; :func:`compressor`
tells whether it is there.
"""

import ctypes
from functools import cache

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic
from numcodecs import blosc

from noisegen.kernels.bitshuffle import turn_bytes, turn_words
from noisegen.kernels.philox import kernel

HEADER = 16
STORED = 2
"""Flag of a frame whose bytes are as they were."""

SHUFFLED = 4
"""Flag of a frame of bit planes."""

_FLAGS = 2  # place of the flags in a frame
_LEVEL, _NOSHUFFLE, _CHOSEN_BLOCK, _ONE_THREAD = 1, 0, 0, 1

Bytes = npt.NDArray[np.uint8]


@cache
def compressor() -> int:
    """Return the address of ``blosc_compress_ctx``; 0 where numcodecs does not show it."""
    try:
        function = ctypes.CDLL(blosc.__file__).blosc_compress_ctx
    except (OSError, AttributeError):
        return 0
    return ctypes.cast(function, ctypes.c_void_p).value or 0


def compress(
    function: int, chunks: Bytes, itemsize: int, block: int, planes: Bytes, out: Bytes, gap: int
) -> list[int]:
    """Write the frames of chunks, lz4 of level 1 on their bit planes, and return their lengths.

    Parameters
    ----------
    function
        From :func:`compressor`.
    chunks
        (n, B) uint8, the bytes of n chunks.
    itemsize, block
        Bytes of a number, and of a block of blosc; they fit
        (:func:`noisegen.kernels.bitshuffle.fits`).
    planes
        (B,) uint8 scratch.
    out
        Room for n frames of B + :data:`HEADER` bytes and their gaps, written.
    gap
        Bytes that are left as they are after each frame.

    Raises
    ------
    RuntimeError
        If blosc fails.
    """
    lengths = np.zeros(len(chunks), np.int64)
    view = chunks.view()
    view.flags.writeable = False  # numba compiles anew for a read-only array
    _compress(function, view, itemsize, block, planes, out, gap, lengths)
    if not lengths.all():
        raise RuntimeError(f"blosc cannot compress {chunks.shape[1]} bytes")
    return [int(length) for length in lengths]


@kernel
def _compress(function, chunks, itemsize, block, planes, out, gap, lengths):
    size, place = chunks.shape[1], 0
    words = planes.view(np.uint64)
    for i in range(len(chunks)):
        chunk = chunks[i]
        if itemsize == 1:
            turn_bytes(chunk, words, block)
        else:
            turn_words(chunk, words, block)
        target = out[place : place + size + HEADER]
        length = _call(function, itemsize, size, planes.ctypes.data, target.ctypes.data)
        if length <= 0:
            break
        if target[_FLAGS] & STORED:  # what lz4 cannot shrink is stored as it was, not as planes
            target[HEADER:] = chunk
        target[_FLAGS] |= np.uint8(SHUFFLED)
        lengths[i] = length
        place += length + gap


@intrinsic
def _call(typing, function, itemsize, size, source, target):
    """Call ``blosc_compress_ctx``: return the bytes of the frame that it writes."""

    def generate(context, builder, signature, arguments):
        flag, count, place = ir.IntType(32), ir.IntType(64), ir.IntType(8).as_pointer()
        kind = ir.FunctionType(
            flag, [flag, flag, count, count, place, place, count, place, count, flag]
        )
        address, typesize, nbytes, *ends = (
            context.cast(builder, value, own, types.int64)
            for value, own in zip(arguments, signature.args, strict=True)
        )
        return builder.call(
            builder.inttoptr(address, kind.as_pointer()),
            [
                flag(_LEVEL),
                flag(_NOSHUFFLE),
                typesize,
                nbytes,
                *(builder.inttoptr(end, place) for end in ends),
                builder.add(nbytes, count(HEADER)),
                context.insert_const_string(builder.module, "lz4"),
                count(_CHOSEN_BLOCK),
                flag(_ONE_THREAD),
            ],
        )

    return types.int32(function, itemsize, size, source, target), generate
