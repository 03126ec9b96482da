"""MATLAB files of version 7.3, which are HDF5: arrays, and fields of struct arrays.

MATLAB's first axis runs fastest and HDF5's last, so that an array of H x W x 3 lies in the file as
3 x W x H. Here arrays have MATLAB's axes. A struct array is a group with a dataset of references a
field, one for each element.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from catalogs.sources.roots import Root
from noisegen.errors import InputError, NoisegenError, UnreadableFileError

Array = npt.NDArray[Any]


def layout(root: Root, name: str, variable: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return the shape and the type of an array, which is not read.

    Raises
    ------
    UnreadableFileError
        If the file is damaged or of another version.
    InputError
        If the array is not there.
    """
    with _opened(root, name) as file:
        found = _dataset(file, root.locate(name), variable)
        return tuple(found.shape[::-1]), found.dtype


def array(root: Root, name: str, variable: str) -> Array:
    """Return an array; raises what :func:`layout` raises."""
    with _opened(root, name) as file:
        found: Array = _dataset(file, root.locate(name), variable)[()]
    return found.T


def field(root: Root, name: str, struct: str, key: str) -> list[Array]:
    """Return the arrays that a field of a struct array holds, one for each element.

    Raises
    ------
    UnreadableFileError
        If the file is damaged or of another version.
    InputError
        If the field is not there, or the struct is no array of them.
    """
    import h5py

    where = root.locate(name)
    with _opened(root, name) as file:
        references = _dataset(file, where, f"{struct}/{key}")
        if h5py.check_ref_dtype(references.dtype) is not h5py.Reference:
            raise InputError(
                f"{where}: {struct}/{key} is {references.dtype}, in a struct array it would be "
                "references"
            )
        return [file[reference][()].T for reference in references[()].ravel()]


def structs(
    root: Root, name: str, struct: str, key: str, fields: tuple[str, ...]
) -> list[tuple[Array, ...]]:
    """Return some fields of the structs that a field of a struct array holds, one each element.

    Raises
    ------
    UnreadableFileError
        If the file is damaged or of another version.
    InputError
        If a field is not there.
    """
    where = root.locate(name)
    with _opened(root, name) as file:
        references = _dataset(file, where, f"{struct}/{key}")[()].ravel()
        return [
            tuple(_dataset(file[reference], f"{where}: {struct}/{key}", f)[()].T for f in fields)
            for reference in references
        ]


@contextmanager
def _opened(root: Root, name: str) -> Iterator[Any]:
    """Open a file for h5py, and turn any failure to read it into one line."""
    import h5py

    try:
        with root.open(name) as stream, h5py.File(stream, "r") as file:
            yield file
    except NoisegenError:
        raise
    except Exception as error:  # a damaged file may raise anything
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise UnreadableFileError(
            f"cannot read {root.locate(name)} as a MATLAB file of version 7.3 (HDF5): {reason}; "
            "fetch it again"
        ) from None


def _dataset(file: Any, where: str, path: str) -> Any:
    import h5py

    place = file
    for part in path.split("/"):
        if not isinstance(place, h5py.Group) or part not in place:
            there = ", ".join(key for key in file if not key.startswith("#")) or "nothing"
            raise InputError(f"{where} has no {path}, it holds {there}")
        place = place[part]
    if not isinstance(place, h5py.Dataset):
        raise InputError(f"{where}: {path} is a struct, an array should be there")
    return place
