"""Files that are there whole or not at all, their digests, and their folders."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from noisegen.errors import StorageError


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file under another name with the same ending, and rename it.

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    partial = path.with_name(f"{path.stem}.{os.getpid()}.partial{path.suffix}")
    try:
        write(partial)
        partial.replace(path)
    except (OSError, RuntimeError) as error:  # torch raises RuntimeError on a full disk
        raise StorageError(f"cannot write {path}: {error}") from None
    finally:
        partial.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file as :func:`write_whole` does."""
    write_whole(path, lambda partial: partial.write_text(text, encoding="utf-8"))


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def make_folder(path: Path) -> None:
    """Make a folder and those above it; one that is there stays as it is.

    Raises
    ------
    StorageError
        If it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"cannot make {path}: {error.strerror or error}") from None
