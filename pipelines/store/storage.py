"""Where a corpus lives: a local folder, or any address that fsspec understands.

Both kinds offer the same few verbs. Locally they are plain system calls, because a thousand reads a
second through an event loop are the loop's work; elsewhere they are calls of Zarr's own store.
"""

import errno
import os
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from zarr.abc.store import ByteRequest, RangeByteRequest, Store, SuffixByteRequest
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync
from zarr.storage import FsspecStore, LocalStore

from noisegen.errors import InputError, NoisegenError, StorageError
from pipelines.store.partials import partial_name
from pipelines.store.room import Room


class StoredObject(Protocol):
    """One shard, open for reading at any place from any thread."""

    def at(self, offset: int, length: int) -> bytes:
        """Return up to `length` bytes from `offset`."""

    def tail(self, length: int) -> bytes:
        """Return up to the last `length` bytes."""


class ObjectWriter(Protocol):
    """One object being written, piece by piece; it appears whole or not at all."""

    def append(self, parts: Sequence[bytes | memoryview]) -> None:
        """Add `parts`, one after the other; their memory may then be reused."""

    def commit(self, *, durable: bool = False) -> None:
        """Let the object appear.

        With `durable` the bytes are on the disk before: a power cut cannot take them back.
        """

    def discard(self) -> None:
        """Leave nothing behind, unless the object has appeared."""


class Storage(ABC):
    """A place for a corpus. Picklable; `url` names it in messages."""

    url: str

    @abstractmethod
    def read(self, key: str) -> bytes | None:
        """Return a whole object, or None if there is none."""

    @abstractmethod
    def open(self, key: str) -> StoredObject | None:
        """Open an object for random access; None if there is none."""

    @abstractmethod
    def writer(self, key: str) -> ObjectWriter:
        """Begin an object."""

    def write(
        self, key: str, parts: Sequence[bytes | memoryview], *, durable: bool = False
    ) -> None:
        """Store `parts`, one after the other, as one object."""
        writer = self.writer(key)
        try:
            writer.append(parts)
            writer.commit(durable=durable)
        finally:
            writer.discard()

    @abstractmethod
    def keys(self) -> Iterator[str]:
        """Yield the key of every object, in no order."""

    @abstractmethod
    def zarr(self) -> Store:
        """Return the Zarr store of this place, for ``zarr.open_group`` and its kin."""


class LocalStorage(Storage):
    """A folder of this machine (or of a file system mounted on it)."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.url = str(path)

    def read(self, key: str) -> bytes | None:
        """See :meth:`Storage.read`."""
        with storage_errors(self.url, "read"):
            try:
                return (self.path / key).read_bytes()
            except FileNotFoundError:
                return None

    def open(self, key: str) -> StoredObject | None:
        """See :meth:`Storage.open`."""
        with storage_errors(self.url, "read"):
            try:
                return _LocalObject(self.path / key)
            except FileNotFoundError:
                return None

    def writer(self, key: str) -> ObjectWriter:
        """See :meth:`Storage.writer`."""
        return _LocalWriter(self.url, f"{self.path}/{key}")

    def keys(self) -> Iterator[str]:
        """See :meth:`Storage.keys`."""
        with storage_errors(self.url, "read"):
            if not self.path.exists():
                return
            for folder, _, names in os.walk(self.path, onerror=_raise):
                for name in names:
                    yield Path(folder, name).relative_to(self.path).as_posix()

    def zarr(self) -> Store:
        """See :meth:`Storage.zarr`."""
        return LocalStore(self.path)


class RemoteStorage(Storage):
    """An fsspec address such as ``s3://bucket/data.zarr``.

    Keys, endpoints and other options come from fsspec's own settings files and variables.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        try:
            self._store = FsspecStore.from_url(url)
        except (ImportError, ValueError) as error:
            raise InputError(
                f"{url}: {error}; install the fsspec driver or mend the URL"
            ) from error

    def __reduce__(self) -> tuple[type, tuple[str]]:
        """Pickle as an address: a connection belongs to its process."""
        return type(self), (self.url,)

    def read(self, key: str) -> bytes | None:
        """See :meth:`Storage.read`."""
        return self._get(key, None)

    def open(self, key: str) -> StoredObject | None:
        """See :meth:`Storage.open`."""
        return _RemoteObject(self, key) if sync(self._store.exists(key)) else None

    def writer(self, key: str) -> ObjectWriter:
        """See :meth:`Storage.writer`."""
        return _RemoteWriter(self, key)

    def keys(self) -> Iterator[str]:
        """See :meth:`Storage.keys`."""
        with storage_errors(self.url, "read"):
            yield from sync(_collect(self._store.list()))

    def zarr(self) -> Store:
        """See :meth:`Storage.zarr`."""
        return self._store

    def _put(self, key: str, data: bytes) -> None:
        # A put is atomic and durable by itself in every object store.
        whole = default_buffer_prototype().buffer.from_bytes(data)
        with storage_errors(self.url, "write"):
            sync(self._store.set(key, whole))

    def _get(self, key: str, part: ByteRequest | None) -> bytes | None:
        with storage_errors(self.url, "read"):
            buffer = sync(self._store.get(key, default_buffer_prototype(), part))
        return None if buffer is None else buffer.to_bytes()


def open_store(path: str | Path | Storage) -> Storage:
    """Return the place that `path` names, whether or not anything is there yet.

    Parameters
    ----------
    path
        A folder, a ``file://`` URL, any other fsspec URL, or a storage, which is returned as it is.

    Raises
    ------
    InputError
        If nothing installed understands the URL.
    """
    if isinstance(path, Storage):
        return path
    text = str(path)
    if text.startswith("file://"):
        return LocalStorage(text.removeprefix("file://"))
    return RemoteStorage(text) if "://" in text or "::" in text else LocalStorage(path)


@contextmanager
def storage_errors(place: str | Path, verb: str) -> Iterator[None]:
    """Turn what the system says into one line with a remedy.

    Raises
    ------
    StorageError
        In place of an :class:`OSError`.
    """
    try:
        yield
    except NoisegenError:
        raise
    except OSError as error:
        reason = _REASONS.get(error.errno or 0, f"{error.strerror or error}")
        raise StorageError(f"{place}: cannot {verb}: {reason}") from error


_REASONS = {
    errno.ENOSPC: "the disk is full; free space and run the same command again",
    errno.EDQUOT: "the disk quota is used up; free space and run the same command again",
    errno.ENOTDIR: "part of the path is a file, not a folder; choose another path",
    errno.EACCES: "permission denied; choose another path or change its permissions",
    errno.EPERM: "permission denied; choose another path or change its permissions",
    errno.EROFS: "the file system is read-only; choose another path",
    errno.ENOENT: "the folder is gone; run the same command again",
}


class _LocalObject:
    """An open file descriptor, closed when the last thread that reads it lets go."""

    def __init__(self, path: Path) -> None:
        self._fd = -1
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._size = os.fstat(self._fd).st_size

    def at(self, offset: int, length: int) -> bytes:
        return os.pread(self._fd, length, offset)

    def tail(self, length: int) -> bytes:
        return self.at(max(self._size - length, 0), length)

    def __del__(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)


class _RemoteObject:
    def __init__(self, storage: RemoteStorage, key: str) -> None:
        self._storage, self._key = storage, key

    def at(self, offset: int, length: int) -> bytes:
        return self._storage._get(self._key, RangeByteRequest(offset, offset + length)) or b""

    def tail(self, length: int) -> bytes:
        return self._storage._get(self._key, SuffixByteRequest(length)) or b""


class _LocalWriter:
    """A file under a temporary name.

    Chunks go to the file as they come: memory that was just used is cheaper than a shard's worth of
    fresh pages. Paths are plain strings: an object takes as long as a small file's system calls.
    """

    def __init__(self, url: str, path: str) -> None:
        self._url, self._path, self._partial = url, path, partial_name(path)
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
        with storage_errors(url, "write"):
            self._fd = os.open(self._partial, flags, 0o666)
        self._room = Room(self._fd)

    def append(self, parts: Sequence[bytes | memoryview]) -> None:
        with storage_errors(self._url, "write"):
            self._room.before(sum(map(len, parts)))
            _write_all(self._fd, parts)

    def commit(self, *, durable: bool = False) -> None:
        with storage_errors(self._url, "write"):
            self._room.give_back()
            if durable:
                os.fsync(self._fd)
            self._close()
            os.replace(self._partial, self._path)  # noqa: PTH105
            self._partial = ""
            if durable:
                _sync_folder(os.path.dirname(self._path))  # noqa: PTH120

    def discard(self) -> None:
        with suppress(OSError):
            self._close()
        if self._partial:
            with suppress(OSError):
                os.unlink(self._partial)  # noqa: PTH108
            self._partial = ""

    def _close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


class _RemoteWriter:
    """Parts that are put together: an object store takes an object whole."""

    def __init__(self, storage: RemoteStorage, key: str) -> None:
        self._storage, self._key = storage, key
        self._parts: list[bytes] = []

    def append(self, parts: Sequence[bytes | memoryview]) -> None:
        self._parts += map(bytes, parts)

    def commit(self, *, durable: bool = False) -> None:
        self._storage._put(self._key, b"".join(self._parts))

    def discard(self) -> None:
        self._parts.clear()


_IOV_MAX = os.sysconf("SC_IOV_MAX")


def _write_all(fd: int, parts: Sequence[bytes | memoryview]) -> None:
    waiting = [memoryview(part) for part in parts if len(part)]
    start = 0
    while start < len(waiting):
        done = os.writev(fd, waiting[start : start + _IOV_MAX])
        # A short write is normal for large vectors and on a disk that is nearly full.
        while done:
            taken = min(done, len(waiting[start]))
            waiting[start] = waiting[start][taken:]
            done -= taken
            start += not waiting[start]


def _sync_folder(path: str) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _raise(error: OSError) -> None:
    raise error


async def _collect(keys: AsyncIterator[str]) -> list[str]:
    return [key async for key in keys]
