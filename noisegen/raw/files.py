"""Bytes of a local file, with noisegen's errors."""

from pathlib import Path

from noisegen.errors import MissingDataError, UnreadableFileError

DAMAGED = "replace the file by an intact copy or take it out of the folder"
"""What to do about a damaged file."""


def read_bytes(path: str, size: int = -1) -> bytes:
    """Return the first ``size`` bytes of a file, or all of it.

    Raises
    ------
    MissingDataError
        If there is no such file.
    UnreadableFileError
        If the system does not let it be read.
    """
    if not Path(path).is_file():
        raise MissingDataError(f"{path}: no such file; check the path")
    try:
        with Path(path).open("rb") as stream:
            return stream.read(size)
    except OSError as error:
        raise UnreadableFileError(
            f"{path}: cannot be read ({error.strerror or error}); check its permissions"
        ) from error
