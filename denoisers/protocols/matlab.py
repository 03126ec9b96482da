"""MATLAB files of blocks and cells, read and written, version 5 (``-v7``)."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.io

from catalogs.sources.roots import Root
from denoisers.storage import write_whole
from noisegen.errors import InputError, StorageError, UnreadableFileError, UnsupportedFileError

Array = npt.NDArray[Any]


def read_blocks(root: Root, name: str, variable: str) -> npt.NDArray[np.uint8]:
    """Return (scenes, blocks, H, W, 3) uint8 R, G, B, a variable of a file.

    Raises
    ------
    UnreadableFileError
        If the file is damaged, or of version 7.3, which is HDF5.
    InputError
        If the variable is not there, or of another shape or type.
    """
    where = root.locate(name)
    content = _read(root.read(name), where)
    if variable not in content:
        there = ", ".join(key for key in content if not key.startswith("__")) or "nothing"
        raise InputError(f"{where} has no variable {variable}, it holds {there}")
    blocks: Array = content[variable]
    if blocks.dtype != np.uint8 or blocks.ndim != 5 or blocks.shape[-1] != 3 or not blocks.size:
        raise InputError(
            f"{where}: {variable} is {times(blocks.shape)} {blocks.dtype}; blocks are "
            "scenes x blocks x height x width x 3 uint8, 40x32x256x256x3 in SIDD"
        )
    return blocks


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
    found = _read(path.read_bytes(), str(path))
    for name, value in values.items():
        if name not in found or not _same(found[name], value):
            raise StorageError(f"{path}: {name} is not what was written; check the disk")


def cell(arrays: Sequence[Array], shape: tuple[int, ...]) -> Array:
    """Return a cell array of arrays, filled row by row."""
    out = np.empty(len(arrays), object)
    for number, array in enumerate(arrays):
        out[number] = array
    return out.reshape(shape)


def times(shape: tuple[int, ...]) -> str:
    """Return a shape in words, such as 512x512x3."""
    return "x".join(map(str, shape))


def _read(data: bytes, where: str) -> dict[str, Any]:
    try:
        content: dict[str, Any] = scipy.io.loadmat(io.BytesIO(data))
    except NotImplementedError:
        raise UnsupportedFileError(
            f"{where} is a MATLAB file of version 7.3 (HDF5): save it again with -v7"
        ) from None
    except Exception as error:  # a damaged file may raise anything
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise UnreadableFileError(f"cannot read {where}: {reason}; fetch it again") from None
    return content


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
