"""Pairs whose halves lie on each other: the clean one is moved, the noise is left as it is."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from catalogs.sources import pictures
from catalogs.sources.pictures import Picture
from denoisers.realnoise import halves
from denoisers.storage import write_text
from noisegen.errors import InputError, StorageError
from noisegen.registration import Shift, find_shift, moved, within
from pipelines.pairs import Pairs

Shifts = Mapping[str, Shift]
"""By the name of the pair, of its noisy half against its clean one."""


def registered(pairs: Pairs, folder: Path) -> tuple[Pairs, Shifts]:
    """Return pairs whose clean halves are moved onto the noisy ones, and by how much.

    Both halves lose a margin of :data:`noisegen.registration.MARGIN` pixels.

    Parameters
    ----------
    pairs
        As they are.
    folder
        Where they are written; what is there already is kept.

    Raises
    ------
    InputError
        If the halves of a pair are too small or too far apart.
    StorageError
        If they cannot be written.
    """
    partial, found = folder.with_name(f"{folder.name}.partial"), "shifts.json"
    try:
        if not folder.exists():
            shutil.rmtree(partial, ignore_errors=True)
            shifts = {}
            for number, pair in enumerate(pairs):
                shift = shifts[pair.name] = _shift(pairs, number)
                halves.save(partial / _place("noisy", number), within(pair.noisy))
                halves.save(partial / _place("clean", number), moved(pair.clean, shift))
            write_text(partial / found, json.dumps(shifts, indent=1, ensure_ascii=False) + "\n")
            partial.rename(folder)
        read = json.loads((folder / found).read_text(encoding="utf-8"))
    except OSError as error:
        raise StorageError(f"cannot write {folder}: {error.strerror or error}") from None
    places = tuple(range(len(pairs)))
    own = replace(pairs, load=_Files(folder), places=places)
    return own, {name: Shift(*shift) for name, shift in read.items()}


def _shift(pairs: Pairs, number: int) -> Shift:
    pair = pairs[number]
    try:
        return find_shift(pair.clean, pair.noisy)
    except InputError as error:
        raise InputError(
            f"{pairs.where}: pair {pair.name}: {error}; leave it out, or give --no-register"
        ) from None


def _place(half: str, number: int) -> str:
    return f"{half}/{number:05d}.png"


@dataclass(frozen=True)
class _Files:
    folder: Path

    def __call__(self, place: int) -> tuple[Picture, ...]:
        paths = [self.folder / _place(half, place) for half in ("clean", "noisy")]
        return tuple(pictures.decode(path.read_bytes(), str(path)) for path in paths)
