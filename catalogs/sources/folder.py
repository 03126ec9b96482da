"""Any folder of raw files and pictures, searched to the bottom, mixed as it is."""

import hashlib
import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import PurePosixPath

from catalogs.sources import pictures
from catalogs.sources.base import ImageRef, Source, SourceEntry, SourceImage, no_images
from catalogs.sources.roots import Root
from noisegen.errors import UnsupportedFileError

RAW_EXTENSIONS = frozenset(
    {".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2", ".pef", ".raw"}
)
"""Endings of the raw formats that are read; a ``.raw`` needs a sidecar."""


@dataclass(frozen=True)
class Folder:
    """The raws and pictures under a folder, in the order of their relative paths.

    Parameters
    ----------
    root
        A path or an fsspec URL.
    """

    root: str
    name: str = "folder"
    licence: str = "that of your files"
    default_per_image: int = 16

    def images(self) -> tuple[ImageRef, ...]:
        """List every raw and picture; a file's scene is its path without the ending.

        Raises
        ------
        MissingDataError
            If there is none.
        """
        names = [name for name in Root(self.root).names() if _ending(name) in _KNOWN]
        if not names:
            raise no_images(self.name, self.root, "no raw file and no picture")
        return tuple(ImageRef(name, str(PurePosixPath(name).with_suffix(""))) for name in names)

    @property
    def skipped(self) -> tuple[str, ...]:
        """One line for each unknown ending; sidecars of files that are read do not count."""
        names = Root(self.root).names()
        stems = {str(PurePosixPath(n).with_suffix("")) for n in names if _ending(n) in _KNOWN}
        others = defaultdict(list)
        for name in names:
            ending = _ending(name)
            if ending in _KNOWN:
                continue
            if ending == ".json" and str(PurePosixPath(name).with_suffix("")) in stems:
                continue
            others[ending].append(name)
        return tuple(
            f"{len(files)} {'file' if len(files) == 1 else 'files'} "
            f"{f'ending in {ending}' if ending else 'without an ending'}, first {files[0]}"
            for ending, files in sorted(others.items())
        )

    def read(self, ref: ImageRef) -> SourceImage:
        """Read a mosaic or a picture.

        Raises
        ------
        UnreadableFileError
            If the file is damaged, cut short or gone.
        UnsupportedFileError
            If it is a raw of a kind noisegen refuses, a ``.raw`` without a sidecar, a single band
            of a sensor without a colour filter array, or no picture.
        """
        return read_file(Root(self.root), ref.name)


def read_file(root: Root, name: str) -> SourceImage:
    """Read one file under a root as what it is: see :meth:`Folder.read`."""
    where, data = root.locate(name), root.read(name)
    sha256 = hashlib.sha256(data).digest()
    ending = _ending(name)
    if ending in RAW_EXTENSIONS or ending == ".png":
        from noisegen import raw
        from noisegen.raw import sidecar

        described = _description(root, name) if ending in _HEADERLESS else None
        if ending != ".png" or sidecar.is_mosaic(where, data, described):
            image = raw.read(where, data, described)
            return SourceImage("mosaic", image.mosaic, sha256, image.metadata)
    if data.startswith((b"II", b"MM")) and b":BandName" in data:  # XMP of a multispectral TIFF
        raise UnsupportedFileError(
            f"{where} is one band without a colour filter array (CFA), no mosaic; "
            "take it out of the folder"
        )
    picture = pictures.decode(data, where)
    return SourceImage("srgb", picture, sha256, lossy=pictures.is_lossy(data))


def sidecars(name: str) -> tuple[str, ...]:
    """Return the files that may describe a mosaic without a header: the first that is there does.

    They are its own JSON and its folder's; other files need none.
    """
    if _ending(name) not in _HEADERLESS:
        return ()
    path = PurePosixPath(name)
    return str(path.with_suffix(".json")), str(path.with_name("metadata.json"))


def _description(root: Root, name: str) -> bytes | None:
    """Return what describes a headerless mosaic: its own JSON, or its entry in metadata.json."""
    beside, shared = sidecars(name)
    if root.has(beside):
        return root.read(beside)
    # Under a local root noisegen.raw finds it; what lies elsewhere is fetched here.
    if root.path is not None or not root.has(shared):
        return None
    try:
        bands = json.loads(root.read(shared))["bands"]
        return json.dumps({"black_level": None, **bands[PurePosixPath(name).name]}).encode()
    except (ValueError, LookupError, TypeError):
        return None  # somebody else's file of a common name


def _ending(name: str) -> str:
    return PurePosixPath(name).suffix.lower()


def _make(root: str) -> Source:
    return Folder(root)


_KNOWN = RAW_EXTENSIONS | pictures.EXTENSIONS
_HEADERLESS = frozenset({".raw", ".png"})

ENTRY = SourceEntry(
    name="folder",
    title="Your own raw files and pictures, any mixture, searched to the bottom",
    licence="that of your files",
    url="your files",
    size="any",
    layout=(
        "any tree of raw files (DNG, CR2, CR3, NEF, ARW, RAF, ORF, RW2, PEF; a headerless .raw or "
        "grey .png with a sidecar .json) and pictures (PNG, JPEG, TIFF, BMP, WebP; 8 or 16 bits)"
    ),
    make=_make,
)
