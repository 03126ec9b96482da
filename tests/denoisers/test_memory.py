"""What networks free is kept while they run, and given back after."""

import subprocess
import sys

import pytest

from denoisers.inference import memory

# In a process of its own: what others left free in the heap would be taken before anything is
# mapped.
SCRIPT = """
from pathlib import Path

import numpy as np

from denoisers.inference import memory


def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


size = 256 << 20
with memory.reused():
    block = np.ones(size, np.uint8)
    place = block.ctypes.data
    before = resident()
    del block
    assert resident() > before - size // 2, "freed memory is not kept"
    again = np.ones(size, np.uint8)
    assert again.ctypes.data == place, "kept memory is not used again"
    del again
memory.give_back()
assert resident() < before - size // 2, "kept memory is not given back"
# Larger than what may be left free in the heap.
whole = np.ones(2 * size, np.uint8)
before = resident()
del whole
assert resident() < before - size, "memory is still kept"
"""


@pytest.mark.skipif(memory._glibc() is None, reason="of glibc alone")
def test_freed_memory_is_kept_and_given_back():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_other_libraries_do_without(monkeypatch):
    memory._glibc.cache_clear()
    monkeypatch.setattr(sys, "platform", "darwin")
    with memory.reused():
        assert memory._glibc() is None
    memory.give_back()
    memory._glibc.cache_clear()
