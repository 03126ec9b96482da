"""The skeleton of a corpus: all descriptions and no data, there at once or not at all.

Its root ``zarr.json`` is what makes a folder a corpus. Several processes may create the same one.
There is no consolidated metadata: it is no part of Zarr v3, and a corpus has few arrays.
"""

import errno
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from zarr.core.sync import sync

from noisegen.errors import CorpusMismatchError, DamagedCorpusError, MissingDataError
from pipelines.store.layout import ArraySpec
from pipelines.store.partials import SUFFIX, clean_folder, sibling_folder
from pipelines.store.storage import LocalStorage, Storage, open_store, storage_errors

MARK = "noisegen"
"""The root attribute that says a store is a corpus."""

ROOT = "zarr.json"


def create(
    path: str | Path | Storage, specs: Sequence[ArraySpec], attrs: Mapping[str, Any]
) -> bool:
    """Make an empty corpus at `path`, or find the one that is there.

    A new folder is built beside its place and renamed. An empty folder (it may be a mount point), a
    half-written skeleton and a remote store are filled in place, the root last. Nothing that is
    there is ever deleted.

    Parameters
    ----------
    specs
        All arrays. Groups are made as their names ask.
    attrs
        The root's attributes; :data:`MARK` must be among them.

    Returns
    -------
    bool
        True if this call made it; False if a whole one was there, which may be of another recipe.
        Of several calls at once just one returns True, unless they filled one place together.

    Raises
    ------
    ValueError
        If the arrays contradict each other, or `attrs` lack the mark.
    CorpusMismatchError
        If something else is at `path`.
    StorageError
        If it cannot be written.
    """
    storage = open_store(path)
    files = _files(specs, attrs)
    # Asked before looking for a root: a folder that turns up afterwards turns up whole.
    new_folder = isinstance(storage, LocalStorage) and not storage.path.exists()
    if _is_corpus(storage):
        return False
    if isinstance(storage, LocalStorage) and new_folder:
        if _rename_into_place(storage, files):
            return True
        if _is_corpus(storage):  # somebody else was faster
            return False
    _require_only(storage, files)
    with storage_errors(storage.url, "write"):
        _fill(storage, files)
    return True


def read_attributes(path: str | Path | Storage) -> dict[str, Any]:
    """Return the root attributes of the corpus at `path`.

    Raises
    ------
    MissingDataError
        If nothing is there.
    CorpusMismatchError
        If something else is there.
    DamagedCorpusError
        If its root cannot be read.
    """
    storage = open_store(path)
    data = storage.read(ROOT)
    if data is None:
        if next(storage.keys(), None) is None:
            raise MissingDataError(
                f"{storage.url}: no corpus here; make one with "
                f"noisegen synthesize --out {storage.url}"
            )
        raise CorpusMismatchError(f"{storage.url}: not a corpus, it has no {ROOT}")
    try:
        root = json.loads(data)
    except ValueError as error:
        raise DamagedCorpusError(f"{storage.url}: {ROOT} is damaged: {error}") from error
    attributes = root.get("attributes", {}) if isinstance(root, dict) else {}
    if not isinstance(attributes, dict) or MARK not in attributes:
        raise CorpusMismatchError(
            f"{storage.url}: a Zarr store that noisegen did not make; choose another path"
        )
    return attributes


def remove(path: str | Path | Storage) -> None:
    """Delete the corpus at `path`, so that it never looks like half of one.

    Raises
    ------
    MissingDataError, CorpusMismatchError, DamagedCorpusError
        As :func:`read_attributes`: only a corpus is ever deleted.
    StorageError
        If it cannot be deleted.
    """
    storage = open_store(path)
    read_attributes(storage)
    with storage_errors(storage.url, "delete"):
        if isinstance(storage, LocalStorage) and _remove_by_rename(storage.path.absolute()):
            return
        # The root goes last: what a killed removal leaves can be removed by the next.
        store = storage.zarr()
        for top in {key.split("/")[0] for key in storage.keys()} - {ROOT}:  # noqa: SIM118
            sync(store.delete_dir(top))
        sync(store.delete(ROOT))


def clean_partials(path: str | Path | Storage) -> list[str]:
    """Remove what killed writers left in and beside the corpus at `path`; return their paths.

    Nothing is done away from local disks, where a put leaves nothing behind, or where no corpus is.

    Raises
    ------
    StorageError
        If a file cannot be removed.
    """
    storage = open_store(path)
    if not isinstance(storage, LocalStorage) or storage.read(ROOT) is None:
        return []
    read_attributes(storage)
    with storage_errors(storage.url, "clean"):
        return clean_folder(storage.path.absolute())


def _files(specs: Sequence[ArraySpec], attrs: Mapping[str, Any]) -> dict[str, bytes]:
    """Return every file of the skeleton, the root last."""
    if MARK not in attrs:
        raise ValueError(f"the attributes of a corpus must hold '{MARK}'")
    lengths: dict[str, int] = {}
    for spec in specs:
        for dim, length in zip(spec.dims, spec.shape, strict=True):
            if lengths.setdefault(dim, length) != length:
                raise ValueError(
                    f"{spec.name}: dimension '{dim}' is {length} long here and "
                    f"{lengths[dim]} elsewhere; xarray refuses that, name it otherwise"
                )
    arrays = {spec.metadata_key: spec.metadata() for spec in specs}
    if len(arrays) != len(specs):
        raise ValueError("two arrays have one name")
    groups = {f"{group}/{ROOT}": _group({}) for spec in specs for group in _parents(spec.name)}
    whole = groups | arrays | {ROOT: _group(attrs)}
    return {key: json.dumps(value, allow_nan=False).encode() for key, value in whole.items()}


def _group(attrs: Mapping[str, Any]) -> dict[str, Any]:
    return {"zarr_format": 3, "node_type": "group", "attributes": dict(attrs)}


def _parents(name: str) -> Iterator[str]:
    parts = name.split("/")
    return ("/".join(parts[:depth]) for depth in range(1, len(parts)))


def _is_corpus(storage: Storage) -> bool:
    if isinstance(storage, LocalStorage) and storage.path.is_file():
        raise CorpusMismatchError(f"{storage.url}: a file, not a folder; choose another path")
    if storage.read(ROOT) is None:
        return False
    read_attributes(storage)
    return True


def _require_only(storage: Storage, files: Mapping[str, bytes]) -> None:
    """Refuse anything that is there but descriptions which are about to be replaced."""
    for key in storage.keys():  # noqa: SIM118
        if key not in files and not key.endswith(SUFFIX):
            raise CorpusMismatchError(
                f"{storage.url}: not empty and not a corpus (it holds {key}); choose another path"
            )


def _rename_into_place(storage: LocalStorage, files: Mapping[str, bytes]) -> bool:
    """Build the skeleton beside its place and rename it; False if the place is taken by then."""
    target = storage.path.absolute()
    with storage_errors(storage.url, "write"):
        target.parent.mkdir(parents=True, exist_ok=True)
        folder = sibling_folder(target)
        try:
            folder.mkdir()
            _fill(LocalStorage(folder), files)
            folder.rename(target)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            return False
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return True


def _remove_by_rename(path: Path) -> bool:
    """Delete a folder that is out of sight first; False if it cannot move, as a mount point."""
    away = sibling_folder(path)
    try:
        path.rename(away)
    except OSError:
        return False
    shutil.rmtree(away)
    return True


def _fill(storage: Storage, files: Mapping[str, bytes]) -> None:
    for key, data in files.items():
        if isinstance(storage, LocalStorage):
            (storage.path / key).parent.mkdir(parents=True, exist_ok=True)
        storage.write(key, [data])
