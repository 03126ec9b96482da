"""Continuation of a picture beyond its border."""

from numba import njit


@njit(cache=True, nogil=True, error_model="numpy")
def reflect(i, n):
    """Return the index that reflect-101 continuation takes sample ``i`` of ``n`` from."""
    if n == 1:
        return 0
    period = 2 * n - 2
    i = i % period
    return i if i < n else period - i
