"""What networks free is kept while they run, and given back after."""

import sys
from pathlib import Path

import numpy as np
import pytest

from denoisers.inference import memory


def resident():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


@pytest.mark.skipif(memory._glibc() is None, reason="of glibc alone")
def test_freed_memory_is_kept_and_given_back():
    size = 256 << 20
    with memory.reused():
        block = np.ones(size, np.uint8)
        place = block.ctypes.data
        before = resident()
        del block
        assert resident() > before - size // 2
        again = np.ones(size, np.uint8)
        assert again.ctypes.data == place
        del again
    memory.give_back()
    assert resident() < before - size // 2
    whole = np.ones(size, np.uint8)
    before = resident()
    del whole
    assert resident() < before - size // 2


def test_other_libraries_do_without(monkeypatch):
    memory._glibc.cache_clear()
    monkeypatch.setattr(sys, "platform", "darwin")
    with memory.reused():
        assert memory._glibc() is None
    memory.give_back()
    memory._glibc.cache_clear()
