"""The folder of a training run: begun, gone on with, kept from a second run at the same time."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from denoisers.storage import make_folder, write_text
from noisegen.errors import CorpusMismatchError, InputError

WRITTEN = (
    "best.safetensors", "last.safetensors", "resume.pt", "log.jsonl", "curves.png", "samples",
    "tensorboard", "recipe.toml", "data.json",
)  # fmt: skip
"""All that ``noisegen train`` writes, in the order in which it is removed for another run."""


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Make a folder and hold it: no other process trains there meanwhile.

    The lock is one of the directory itself and ends with the process. File systems without such
    locks keep no two runs apart.

    Raises
    ------
    InputError
        If another process holds it.
    StorageError
        If it cannot be made.
    """
    make_folder(folder)
    directory = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            try:
                fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InputError(
                    f"{folder} is being trained by another process; wait for it, stop it, or give "
                    "another --out"
                ) from None
        yield
    finally:
        os.close(directory)


def prepare(
    folder: Path, told: dict[str, str], *, overwrite: bool, written: tuple[str, ...] = WRITTEN
) -> None:
    """Write what a run is into its folder, or see that it is written there.

    Parameters
    ----------
    folder
        That is held.
    told
        Files that say what a run is, ``recipe.toml`` and ``data.json``, and their text.
    overwrite
        Remove what another run wrote there, and nothing else.
    written
        What that may be, in the order in which it is removed.

    Raises
    ------
    CorpusMismatchError
        If another run is there, or files that are no run's.
    """
    there = all((folder / name).exists() for name in told)
    if there and not overwrite:
        for name, text in told.items():
            _same(folder, name, text)
        return
    begun = {"samples", "data.json"}  # of a run that was stopped before its recipe was written
    if not there and {path.name for path in folder.iterdir()} - begun:
        raise CorpusMismatchError(f"{folder} is there and no training run; give another --out")
    for name in written:
        path = folder / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    make_folder(folder / "samples")
    for name, text in reversed(told.items()):
        write_text(folder / name, text)


def _same(folder: Path, name: str, text: str) -> None:
    """Refuse a folder whose file says something else than a run."""
    found = (folder / name).read_text(encoding="utf-8").splitlines()
    wanted = text.splitlines()
    if found == wanted:
        return
    pairs = zip(found, wanted, strict=False)
    line = next((b for a, b in pairs if a != b), "the end")
    raise CorpusMismatchError(
        f"{folder} holds another run, its {name} differs at: {line.strip()}; give another --out, "
        "or --overwrite"
    )
