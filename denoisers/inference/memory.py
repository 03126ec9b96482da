"""Memory that networks use on the CPU: what a layer frees, the next one takes.

glibc asks the system for every large block anew and gives it back at once, and the system clears
its pages each time: of a network on tiles of 512 pixels that is half of the time.
"""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

# Of mallopt(3).
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4
_MOST = (1 << 31) - 1
_MAPPINGS = 65536
_LARGE = 32 << 20
"""What glibc's own threshold rises to."""


@contextmanager
def reused() -> Iterator[None]:
    """Keep what is freed; where the C library is another one, nothing is changed.

    Large blocks that are taken before, such as whole frames, are not touched.
    """
    library = _glibc()
    if library is None:
        yield
        return
    library.mallopt(_MMAP_MAX, 0)
    library.mallopt(_TRIM_THRESHOLD, _MOST)
    try:
        yield
    finally:
        library.mallopt(_MMAP_MAX, _MAPPINGS)
        library.mallopt(_MMAP_THRESHOLD, _LARGE)


def give_back() -> None:
    """Give the system what was kept."""
    library = _glibc()
    if library is not None:
        library.mallopt(_TRIM_THRESHOLD, 2 * _LARGE)
        library.malloc_trim(0)


@cache
def _glibc() -> Any | None:
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "gnu_get_libc_version") else None
