"""Frames of chunks are blosc's own, whoever makes the bit planes."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numcodecs import blosc

from noisegen.kernels import bitshuffle
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


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["u1", "<u2", "<f4", "<f8"])
def test_frames_are_those_of_blosc(kind, dtype):
    rng = np.random.default_rng(3)
    for shape in SHAPES:
        chunk = KINDS[kind](np.prod(shape), rng).astype(dtype).reshape(shape)
        theirs = blosc.compress(chunk, b"lz4", 1, blosc.BITSHUFFLE)
        assert b"".join(compress(chunk)) == theirs
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


def test_planes_of_mosaics_and_pictures_are_made_here(monkeypatch):
    made = []
    for name in ("shuffle", "unshuffle"):
        monkeypatch.setattr(bitshuffle, name, lambda *a, name=name: made.append(name))
    for chunk in (np.zeros((64, 64), np.uint16), np.zeros((64, 64, 3), np.uint8)):
        decompress(b"".join(compress(chunk)), chunk)
    assert made == ["shuffle", "unshuffle"] * 2


def test_threads_do_not_share_planes():
    rng = np.random.default_rng(4)
    chunks = [rng.integers(0, 99 + i, (128, 128)).astype(np.uint16) for i in range(40)]

    def there_and_back(chunk):
        out = np.empty_like(chunk)
        for _ in range(10):
            decompress(b"".join(compress(chunk)), out)
            np.testing.assert_array_equal(out, chunk)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(there_and_back, chunks))


def test_a_damaged_frame_is_refused():
    chunk = np.arange(16384, dtype=np.uint16).reshape(128, 128)
    frame = bytearray(b"".join(compress(chunk)))
    frame[16:24] = b"\xff" * 8  # where its blocks begin
    with pytest.raises(ValueError, match="decompress"):
        decompress(bytes(frame), chunk)
    assert not compression.blosc.use_threads
