"""MATLAB files of version 5 (``-v7``), read."""

import io
from typing import Any

import numpy as np
import numpy.typing as npt

from catalogs.sources.roots import Root
from noisegen.errors import InputError, UnreadableFileError, UnsupportedFileError

Array = npt.NDArray[Any]
Blocks = npt.NDArray[np.uint8]


def read_blocks(root: Root, name: str, variable: str) -> Blocks:
    """Return (scenes, blocks, H, W, 3) uint8 R, G, B, a variable of a file.

    Raises
    ------
    UnreadableFileError
        If the file is damaged, or of version 7.3, which is HDF5.
    InputError
        If the variable is not there, or of another shape or type.
    """
    where = root.locate(name)
    content = read(root.read(name), where)
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


def read(data: bytes, where: str) -> dict[str, Any]:
    """Return all variables of a file.

    Parameters
    ----------
    data
        The whole file.
    where
        Its path or URL, for messages.

    Raises
    ------
    UnreadableFileError
        If it is damaged, or of version 7.3, which is HDF5.
    """
    import scipy.io

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


def times(shape: tuple[int, ...]) -> str:
    """Return a shape in words, such as 512x512x3."""
    return "x".join(map(str, shape))
