"""Work divided among as many threads as torch has."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise

import torch


def divide(work: Callable[[int, int], object], start: int, stop: int) -> None:
    """Call ``work(first, last)`` for parts of what goes from ``start`` to ``stop``, all at once.

    Parameters
    ----------
    work
        Releases the GIL; writes to its own part alone.
    start, stop
        Bounds of channels, rows or samples.
    """
    parts = max(1, min(torch.get_num_threads(), stop - start))
    edges = [start + (stop - start) * part // parts for part in range(parts + 1)]
    first, *others = pairwise(edges)
    waiting = [_pool(parts - 1).submit(work, *each) for each in others] if others else []
    work(*first)
    for done in waiting:
        done.result()


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, "noisegen-layers")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # threads do not live on in a child
