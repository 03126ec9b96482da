"""Frames of chunks are blosc's own, whoever makes the bit planes."""

import ctypes
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numcodecs import blosc

from noisegen.kernels import frames
from noisegen.kernels.frames import HEADER
from pipelines.store import compression
from pipelines.store.compression import compress, decompress

SHAPES = [(256, 256), (128, 128, 3), (64, 64), (400, 400, 3), (100, 100), (9, 7, 3), (8, 8), (1,)]
KINDS = {
    "noise": lambda n, rng: rng.integers(0, 2**62, n),
    "low noise": lambda n, rng: rng.integers(0, 40, n),
    "ramp": lambda n, rng: np.arange(n) // 7,
    "half noise": lambda n, rng: np.where(np.arange(n) < n // 2, rng.integers(0, 2**62, n), 5),
    "zeros": lambda n, rng: np.zeros(n, np.int64),
}


def frame_of(chunk):
    out = np.empty(chunk.nbytes + HEADER, np.uint8)
    (length,) = compress(chunk[None], out, 0)
    return out[:length].tobytes()


@pytest.fixture(params=["called from compiled code", "called from Python"])
def caller(request, monkeypatch):
    if "Python" in request.param:
        monkeypatch.setattr(frames, "compressor", lambda: 0)


@pytest.mark.usefixtures("caller")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["u1", "<u2", "<f4", "<f8"])
def test_frames_are_those_of_blosc(kind, dtype):
    rng = np.random.default_rng(3)
    for shape in SHAPES:
        chunk = KINDS[kind](np.prod(shape), rng).astype(dtype).reshape(shape)
        theirs = blosc.compress(chunk, b"lz4", 1, blosc.BITSHUFFLE)
        assert frame_of(chunk) == theirs
        out = np.empty_like(chunk)
        decompress(theirs, out)
        np.testing.assert_array_equal(out, chunk)


@pytest.mark.parametrize("shuffled", [blosc.NOSHUFFLE, blosc.SHUFFLE, blosc.BITSHUFFLE])
@pytest.mark.parametrize("codec", [b"lz4", b"zstd", b"blosclz"])
@pytest.mark.parametrize("block", [0, 8192])
def test_frames_of_other_settings_are_read(shuffled, codec, block):
    for dtype in ("u1", "<u2", "<i4"):
        chunk = (np.arange(65536) // 9 % 251).astype(dtype)
        out = np.empty_like(chunk)
        decompress(blosc.compress(chunk, codec, 5, shuffled, block), out)
        np.testing.assert_array_equal(out, chunk)


def test_the_compressor_of_numcodecs_is_found():
    """Where it is not, all is the same, but slower: tell of it."""
    assert frames.compressor()


@pytest.mark.usefixtures("caller")
@pytest.mark.parametrize("dtype", ["u1", "<u2", "<f4"])
def test_frames_of_many_chunks_lie_side_by_side(dtype):
    rng = np.random.default_rng(6)
    chunks = np.stack([KINDS[kind](64 * 64, rng).astype(dtype) for kind in KINDS])
    size, gap = chunks[0].nbytes + HEADER, 5
    out = np.full(len(chunks) * (size + gap), 7, np.uint8)
    lengths = compress(chunks.reshape(-1, 64, 64), out, gap)
    place = 0
    for chunk, length in zip(chunks, lengths, strict=True):
        assert out[place : place + length].tobytes() == frame_of(chunk)
        place += length + gap
        assert (out[place - gap : place] == 7).all()


def test_a_failure_of_blosc_is_told():
    failing = ctypes.CFUNCTYPE(ctypes.c_int)(lambda: -1)
    address = ctypes.cast(failing, ctypes.c_void_p).value
    chunk, out = np.zeros((1, 128), np.uint8), np.zeros(144, np.uint8)
    with pytest.raises(RuntimeError, match="cannot compress 128 bytes"):
        frames.compress(address, chunk, 2, 128, np.empty(128, np.uint8), out, 0)


def test_threads_do_not_share_planes():
    rng = np.random.default_rng(4)
    chunks = [rng.integers(0, 99 + i, (128, 128)).astype(np.uint16) for i in range(40)]

    def there_and_back(chunk):
        out = np.empty_like(chunk)
        for _ in range(10):
            decompress(frame_of(chunk), out)
            np.testing.assert_array_equal(out, chunk)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(there_and_back, chunks))


def test_a_damaged_frame_is_refused():
    chunk = np.arange(16384, dtype=np.uint16).reshape(128, 128)
    frame = bytearray(frame_of(chunk))
    frame[16:24] = b"\xff" * 8  # where its blocks begin
    with pytest.raises(ValueError, match="decompress"):
        decompress(bytes(frame), chunk)
    assert not compression.blosc.use_threads
