"""MATLAB files of blocks and cells, written, version 5 (``-v7``)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.io

from catalogs.sources import matlab
from denoisers.storage import write_whole
from noisegen.errors import StorageError

Array = npt.NDArray[Any]


def write(path: Path, values: Mapping[str, Any]) -> None:
    """Write a file whole, read it back, and compare.

    Parameters
    ----------
    path
        Ends in ``.mat``.
    values
        Variables: numbers, texts, arrays of at least two axes, and cells (arrays of dtype object)
        of arrays.

    Raises
    ------
    StorageError
        If it cannot be written, or does not hold what was written.
    """
    write_whole(path, lambda partial: scipy.io.savemat(partial, dict(values)))
    found = matlab.read(path.read_bytes(), str(path))
    for name, value in values.items():
        if name not in found or not _same(found[name], value):
            raise StorageError(f"{path}: {name} is not what was written; check the disk")


def cell(arrays: Sequence[Array], shape: tuple[int, ...]) -> Array:
    """Return a cell array of arrays, filled row by row."""
    out = np.empty(len(arrays), object)
    for number, array in enumerate(arrays):
        out[number] = array
    return out.reshape(shape)


def _same(found: Array, written: Any) -> bool:
    """Compare what was read with a number, a text or an array; MATLAB's have at least 2 axes."""
    if isinstance(written, np.ndarray) and written.dtype == object:
        pairs = zip(found.ravel(), written.ravel(), strict=True)
        return found.size == written.size and all(
            a.dtype == b.dtype and np.array_equal(a, b) for a, b in pairs
        )
    if isinstance(written, np.ndarray):
        return found.dtype == written.dtype and np.array_equal(found, written)
    return bool(np.array_equal(found.ravel(), np.atleast_1d(written).ravel()))
