"""Sources of clean images by name.

>>> source = open("deadleaves", count=2)
>>> [image.name for image in source.images()]
['scene-000000', 'scene-000001']

A package of other people offers a source as an entry point of the group ``noisegen.sources`` whose
object is a :class:`SourceEntry`; it is loaded when it is asked for.
"""

import os
from pathlib import Path
from typing import Any

from catalogs.sources import (
    bsds,
    cc,
    deadleaves,
    div2k,
    dvd,
    faid,
    fivek,
    folder,
    kodak,
    lol,
    lsrw,
    pair_folder,
    polyu,
    renoir,
    rgbnir,
    sidd,
    sidd_blocks,
)
from catalogs.sources.base import (
    GUIDE_CHANNELS,
    Check,
    Guide,
    ImageRef,
    Ingested,
    Option,
    Source,
    SourceEntry,
    SourceImage,
    SplitCheck,
    Windows,
)
from catalogs.sources.pair_set import PairRef, PairSource, Shot, SourcePair
from catalogs.sources.roots import Root
from noisegen import plugins
from noisegen.errors import InputError, MissingDataError, NoisegenError, UnknownNameError

__all__ = [
    "GROUP",
    "GUIDE_CHANNELS",
    "ROOTS_VARIABLE",
    "BrokenSourceError",
    "Check",
    "Guide",
    "ImageRef",
    "Ingested",
    "Option",
    "PairRef",
    "PairSource",
    "Root",
    "Shot",
    "Source",
    "SourceEntry",
    "SourceImage",
    "SourcePair",
    "SplitCheck",
    "Windows",
    "check",
    "check_pairs",
    "default_root",
    "entries",
    "entry",
    "names",
    "open",
    "open_pairs",
]

GROUP = "noisegen.sources"
"""Entry point group of other people's sources."""

ROOTS_VARIABLE = "NOISEGEN_SOURCES"
"""Environment variable naming the folder that holds the sources' folders, each by its name."""

_OWN: dict[str, SourceEntry] = {
    page.name: page
    for page in (
        *(module.ENTRY for module in (deadleaves, folder, fivek, div2k, bsds, kodak)),
        *(module.ENTRY for module in (pair_folder, polyu, cc, renoir, sidd)),
        sidd.CROPS,
        sidd_blocks.ENTRY,
        *(module.ENTRY for module in (lsrw, lol, rgbnir, faid, dvd)),
    )
}


class BrokenSourceError(InputError):
    """A source whose package cannot be loaded."""


def names() -> list[str]:
    """Return all names, this project's first; nothing is loaded."""
    return plugins.names(GROUP, _OWN)


def entry(name: str) -> SourceEntry:
    """Return a source's page in the catalogue.

    Raises
    ------
    UnknownNameError
        If nobody has heard of it.
    BrokenSourceError
        If the package that offers it cannot be loaded.
    """
    if name in _OWN:
        return _OWN[name]
    found = plugins.load(
        GROUP, name, SourceEntry, "catalogs.sources.SourceEntry", "source", BrokenSourceError
    )
    if found is None:
        raise UnknownNameError("source", name, names(), "`noisegen sources` lists them")
    return found


def entries() -> tuple[list[SourceEntry], list[str]]:
    """Return all pages that can be loaded, and one line for each broken one."""
    found, broken = [], []
    for name in names():
        try:
            found.append(entry(name))
        except BrokenSourceError as error:
            broken.append(str(error))
    return found, broken


def default_root(name: str) -> str | None:
    """Return ``$NOISEGEN_SOURCES/NAME``, or None if the variable is not set."""
    base = os.environ.get(ROOTS_VARIABLE)
    if not base:
        return None
    return f"{base.rstrip('/')}/{name}" if "://" in base else str(Path(base) / name)


def open(  # noqa: A001
    name: str,
    root: str | os.PathLike[str] | None = None,
    *,
    guide: Guide | None = None,
    **options: Any,
) -> Source:
    """Open a source by name.

    Parameters
    ----------
    name
        One of :func:`names`.
    root
        Folder or fsspec URL; by default ``$NOISEGEN_SOURCES/NAME``. Sources that need none ignore
        it.
    guide
        A second picture of each scene that is read beside it, where the source has it.
    options
        The source's own settings, such as ``split``; see its page.

    Returns
    -------
    Source
        A picklable value.

    Raises
    ------
    UnknownNameError
        If there is no such source.
    MissingDataError
        If its folder is not given or not there.
    RecipeError
        If an option is unknown or has a value that does not fit, or there is no such guide.
    """
    page = entry(name)
    if not page.needs_root:
        return page.open("", options, guide)
    return page.open(_find(page, root), options, guide)


def open_pairs(name: str, root: str | os.PathLike[str] | None = None, **options: Any) -> PairSource:
    """Open a set of noisy/clean pairs by name; parameters and errors as :func:`open`.

    Raises
    ------
    InputError
        If the source has clean pictures only.
    """
    check_pairs(name)
    found: Any = open(name, root, **options)
    return found  # type: ignore[no-any-return]


def check_pairs(name: str) -> Windows:
    """Return how a set's pairs are cut unless the user says otherwise.

    Raises
    ------
    InputError
        If the source has clean pictures only.
    """
    page = entry(name)
    if page.windows is None:
        pairs = ", ".join(n for n in _OWN if _OWN[n].windows)
        raise InputError(
            f"source '{name}' has clean pictures only: noisegen synthesize --source {name} puts "
            f"noise on them; sets of pairs are {pairs} (noisegen sources)"
        )
    return page.windows


def check(name: str, root: str | os.PathLike[str] | None = None, limit: int | None = None) -> Check:
    """Look at what lies under a source's root.

    Parameters
    ----------
    name, root
        As in :func:`open`.
    limit
        How many images to read, spread evenly over the list; None reads all.

    Returns
    -------
    Check
        Counts for each split, and what could not be read.
    """
    page = entry(name)
    source: Any = open(name, root)
    images, read = (
        (source.images(), source.read)
        if page.windows is None
        else (source.pairs(), source.read_pair)
    )
    splits = [SplitCheck(s, _count(page, root, s), n) for s, n in page.expected.items()]
    if not splits:
        splits.append(SplitCheck("all", len(images), None))
    step = 1 if limit is None else max(1, -(-len(images) // limit))
    opened = images[::step]
    unreadable = []
    for ref in opened:
        try:
            read(ref)
        except NoisegenError as error:
            unreadable.append(str(error))
    return Check(tuple(splits), len(opened), tuple(unreadable), source.skipped)


def _count(page: SourceEntry, root: str | os.PathLike[str] | None, split: str) -> int:
    options: dict[str, Any] = {"split": split} if "split" in page.options else {}
    try:
        source: Any = open(page.name, root, **options)
        return len(source.images() if page.windows is None else source.pairs())
    except MissingDataError:
        return 0


def _find(page: SourceEntry, root: str | os.PathLike[str] | None) -> str:
    get = f"`noisegen sources {page.name}` shows the layout"
    if "://" in page.url:
        get = f"get it from {page.url} ({page.size}); {get}"
    found = os.fspath(root) if root is not None else default_root(page.name)
    if found is None:
        raise MissingDataError(
            f"source '{page.name}' needs its folder: give --root DIR, or set {ROOTS_VARIABLE} to "
            f"the folder that holds {page.name}/; {get}"
        )
    if not Root(found).exists():
        told = "" if root is not None else f" (${ROOTS_VARIABLE}/{page.name})"
        raise MissingDataError(f"source '{page.name}': there is no folder {found}{told}; {get}")
    return found
