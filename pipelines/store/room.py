"""Room on the disk that a large file asks for ahead of what is written.

Otherwise ext4 counts and books every page of a write, which takes as long as copying the data. What
is asked for lies beyond the file's end and is given back when the file is whole. Nothing depends on
it: a file system without such a call, or without the room, is left to find out by the write itself.
"""

import ctypes
import os
from collections.abc import Callable
from functools import cache

AHEAD = 4 << 20
"""Bytes that are asked for at a time."""

LEAST = 1 << 18
"""Bytes of a write from which on it is worth asking."""

_KEEP_SIZE = 1  # FALLOC_FL_KEEP_SIZE of <linux/falloc.h>


class Room:
    """The room of one file that is written from its beginning to its end."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._size = self._end = 0
        self._asks = True

    def before(self, length: int) -> None:
        """Ask for room for the next so many bytes, where that is worth it."""
        self._size += length
        if self._asks and length >= LEAST and self._size > self._end:
            more = max(AHEAD, self._size - self._end)
            self._asks = _allocate(self._fd, self._end, more)
            self._end += more * self._asks

    def give_back(self) -> None:
        """Give back what was not written to."""
        if self._end > self._size:
            os.ftruncate(self._fd, self._size)


def _allocate(fd: int, start: int, length: int) -> bool:
    function = _fallocate()
    return function is not None and function(fd, _KEEP_SIZE, start, length) == 0


@cache
def _fallocate() -> Callable[[int, int, int, int], int] | None:
    """Return Linux's call; ``os.posix_fallocate`` writes to every page where there is none."""
    try:
        function = ctypes.CDLL(None).fallocate
    except (OSError, AttributeError, TypeError):
        return None
    function.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_long, ctypes.c_long]
    return function
