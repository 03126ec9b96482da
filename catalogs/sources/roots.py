"""The folder a source lies in: a local path or any fsspec URL, listed and read alike."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any
from urllib.parse import unquote

from noisegen.errors import MissingDataError, UnreadableFileError

_IGNORED_FOLDERS = frozenset({"__MACOSX"})


@dataclass(frozen=True)
class Root:
    """A folder of files.

    Parameters
    ----------
    url
        A path of this machine, or a URL that fsspec knows, such as ``s3://bucket/raws``.
    """

    url: str

    @property
    def path(self) -> Path | None:
        """The folder on this machine; None if it lies elsewhere."""
        if self.url.startswith("file://"):
            return Path(unquote(self.url.removeprefix("file://")))
        return None if "://" in self.url else Path(self.url).expanduser()

    def exists(self) -> bool:
        """Tell whether the folder is there.

        Raises
        ------
        MissingDataError
            If the URL's file system is unknown, not installed or cannot be reached.
        """
        if (path := self.path) is not None:
            return path.is_dir()
        with self._reaching():
            files, inner = self._remote()
            return bool(files.isdir(inner))

    def names(self) -> list[str]:
        """Return the files below the folder, sorted, as relative paths with forward slashes.

        Hidden files and files in hidden folders are left out; links to folders are followed once.

        Raises
        ------
        MissingDataError
            If the folder is not there or cannot be listed.
        """
        with self._reaching():
            path = self.path
            found = self._remote_names() if path is None else _local_names(path)
        return sorted(name for name in found if not _hidden(name))

    def locate(self, name: str) -> str:
        """Return the path or URL of one file."""
        path = self.path
        return str(path / name) if path is not None else f"{self.url.rstrip('/')}/{name}"

    def has(self, name: str) -> bool:
        """Tell whether there is a file of that name; errors are those of :meth:`exists`."""
        if (path := self.path) is not None:
            return (path / name).is_file()
        with self._reaching():
            files, inner = self._remote()
            return bool(files.isfile(f"{inner}/{name}"))

    def read(self, name: str) -> bytes:
        """Return a file's bytes.

        Raises
        ------
        UnreadableFileError
            If it is gone, empty or cannot be read.
        """
        try:
            if (path := self.path) is not None:
                data = (path / name).read_bytes()
            else:
                files, inner = self._remote()
                data = bytes(files.cat_file(f"{inner}/{name}"))
        except Exception as error:  # other packages' file systems raise what they like
            reason = getattr(error, "strerror", None) or error
            raise UnreadableFileError(f"cannot read {self.locate(name)}: {reason}") from error
        if not data:
            raise UnreadableFileError(f"{self.locate(name)} is empty; fetch it again or remove it")
        return data

    @contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        """Open a file to read parts of it; what its file system raises is left as it is."""
        if (path := self.path) is not None:
            with (path / name).open("rb") as stream:
                yield stream
        else:
            files, inner = self._remote()
            with files.open(f"{inner}/{name}", "rb") as stream:
                yield stream

    def _remote_names(self) -> list[str]:
        files, inner = self._remote()
        return [str(path).removeprefix(f"{inner}/") for path in files.find(inner)]

    def _remote(self) -> tuple[Any, str]:
        import fsspec

        files, inner = fsspec.core.url_to_fs(self.url)
        return files, str(inner).rstrip("/")

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        """Turn any failure to get at the folder into one line."""
        try:
            yield
        except Exception as error:  # other packages' file systems raise what they like
            reason = getattr(error, "strerror", None) or error
            raise MissingDataError(f"cannot reach {self.url}: {reason}") from error


def _local_names(path: Path) -> list[str]:
    if not path.is_dir():
        raise FileNotFoundError("there is no such folder")
    found: list[str] = []
    seen: set[str] = set()
    for folder, folders, files in os.walk(path, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders.sort()
        below = Path(folder).relative_to(path)
        found += [(below / name).as_posix() for name in files]
    return found


def _hidden(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return any(part.startswith(".") or part in _IGNORED_FOLDERS for part in parts)
