"""EXIF blocks, and what a TIFF says of its picture: taken out of a file and put in beside pixels.

An EXIF block is a TIFF file without pixels: a first directory that says who made the picture and
when, and those of the camera (Exif), of the place (GPS) and of interoperability below it. In a TIFF
they stand among the entries that say how the pixels lie. Here entries are copied from one to the
other in the byte order that they have, their values byte for byte, maker notes too. Entries that
are damaged are left out.

References
----------
TIFF 6.0 section 2; BigTIFF; Exif 2.32 sections 4.6.2 to 4.6.7.
"""

import io
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

CLASSIC, BIG = (b"II*\0", b"MM\0*"), (b"II+\0", b"MM\0+")
"""How TIFF files begin; those of more than 4 GB have longer offsets."""

_DESCRIPTION, _ORIENTATION = 270, 274

_OF_PICTURE = frozenset(
    (
        269, _DESCRIPTION, 271, 272, _ORIENTATION, 282, 283, 296, 305, 306, 315, 316, 33432,
        18246, 18249, 40091, 40092, 40093, 40094, 40095,
    )
)  # fmt: skip
"""Entries of the first directory that say something of the picture, not of how its pixels lie:
name, description, maker, orientation, resolution, software, date, artist, copyright, rating."""

_OF_PIXELS = (b'{"shape"', b"ImageJ=", b"<?xml")
"""How descriptions begin that say how the pixels lie: tifffile's, ImageJ's and OME's."""

_BELOW: Mapping[int, Any] = {34665: {40965: {}}, 34853: {}}
"""Directories below the first one: Exif with that of interoperability, and GPS."""

_SHORT, _LONG = 3, 4
_SIZES = {1: 1, 2: 1, _SHORT: 2, _LONG: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
"""Bytes of a value, by its type."""


@dataclass(frozen=True)
class Entry:
    """A value of a directory, or the directory that it points to.

    Attributes
    ----------
    kind, count
        Type of the numbers, and how many there are.
    data
        Their bytes.
    below
        Directory in place of numbers.
    """

    kind: int
    count: int
    data: bytes
    below: "Mapping[int, Entry] | None" = None


Directory = Mapping[int, Entry]


@dataclass(frozen=True)
class _Place:
    """Where an entry's value is: in the entry, or where it points to."""

    tag: int
    kind: int
    count: int
    value: int
    first: int
    stop: int


def order(block: bytes) -> str | None:
    """Return the byte order of an EXIF block or TIFF, ``<`` or ``>``; none if it is neither."""
    if not block.startswith((*CLASSIC, *BIG)):
        return None
    return "<" if block.startswith(b"II") else ">"


def of_tiff(data: bytes) -> bytes | None:
    """Return what a TIFF says of its picture as an EXIF block; none if that is nothing."""
    entries = _of_picture(data)
    return _head(data, 8) + _packed(entries, _order(data), 8) if entries else None


def into_tiff(data: bytes, exif: bytes) -> bytes:
    """Return a TIFF with what an EXIF block says of its picture; a thumbnail stays behind.

    Parameters
    ----------
    data
        A TIFF of one page, not a BigTIFF, in the byte order of the block.
    exif
        An EXIF block.
    """
    entries = {**directory(data), **_of_picture(exif)}
    at = len(data) + len(data) % 2
    return _head(data, at) + data[8:].ljust(at - 8, b"\0") + _packed(entries, _order(data), at)


def pages(data: bytes) -> int:
    """Return how many pictures a TIFF has, without smaller ones of the same picture."""
    import tifffile

    with tifffile.TiffFile(io.BytesIO(data)) as tiff:
        return sum(not page.is_reduced for page in tiff.pages)


def upright(exif: bytes) -> bytes:
    """Return an EXIF block whose picture is upright; what is no EXIF comes back as it is."""
    if order(exif) is None:
        return exif
    out = bytearray(exif)
    for place in _places(exif, _first(exif)):
        if (place.tag, place.kind) == (_ORIENTATION, _SHORT):
            struct.pack_into(f"{_order(exif)}H", out, place.value, 1)
    return bytes(out)


def directory(data: bytes) -> Directory:
    """Return the first directory of an EXIF block or TIFF, with those below it."""
    return _directory(data, _first(data), _BELOW)


def entries(data: bytes, at: int) -> Directory:
    """Return the directory at a place of data whose offsets count from its first byte.

    It is big-endian unless the data begin as a little-endian TIFF does.
    """
    return _directory(data, at, {})


def _of_picture(data: bytes) -> Directory:
    return {
        tag: entry
        for tag, entry in directory(data).items()
        if entry.below
        or (
            tag in _OF_PICTURE
            and not (tag == _DESCRIPTION and entry.data.lstrip().startswith(_OF_PIXELS))
        )
    }


def _directory(data: bytes, at: int, below: Mapping[int, Any]) -> Directory:
    found = {}
    for place in _places(data, at):
        value = data[place.first : place.stop]
        if place.tag in below:
            pointed = int.from_bytes(value, "little" if _order(data) == "<" else "big")
            if inner := _directory(data, pointed, below[place.tag]):
                found[place.tag] = Entry(_LONG, 1, b"", inner)
        else:
            found[place.tag] = Entry(place.kind, place.count, value)
    return found


def _places(data: bytes, at: int) -> Iterator[_Place]:
    """Yield the entries of a directory that lie within the data."""
    big = data.startswith(BIG)
    number, offset, width = ("Q", "Q", 8) if big else ("H", "I", 4)
    sizes = _SIZES | {13: 4, 16: 8, 18: 8}  # of pointers to directories, and BigTIFF's own
    try:
        (count,) = struct.unpack_from(f"{_order(data)}{number}", data, at)
        at += struct.calcsize(number)
        for _ in range(count):
            tag, kind, many = struct.unpack_from(f"{_order(data)}HH{offset}", data, at)
            value = first = at + 4 + width
            size = sizes.get(kind, 0) * many
            if size > width:
                (first,) = struct.unpack_from(f"{_order(data)}{offset}", data, value)
            if size > 0 and first + size <= len(data):
                yield _Place(tag, kind, many, value, first, first + size)
            at = value + width
    except (struct.error, OverflowError):
        return


def _packed(entries: Directory, byte_order: str, at: int) -> bytes:
    """Return a directory that is to lie at a place, its values and those below it after it."""
    known = {tag: e for tag, e in sorted(entries.items()) if e.below or e.kind in _SIZES}
    table = struct.pack(f"{byte_order}H", len(known))
    rest_at, rest = at + 2 + 12 * len(known) + 4, b""
    for tag, entry in known.items():
        value, place = entry.data, rest_at + len(rest)
        if entry.below:
            rest += _packed(entry.below, byte_order, place)
            value = struct.pack(f"{byte_order}I", place)
        elif len(value) > 4:
            rest += value + bytes(len(value) % 2)
            value = struct.pack(f"{byte_order}I", place)
        table += struct.pack(f"{byte_order}HHI", tag, entry.kind, entry.count) + value.ljust(
            4, b"\0"
        )
    return table + bytes(4) + rest


def _head(data: bytes, first: int) -> bytes:
    """Return the head of a TIFF in the byte order of another, its first directory at a place."""
    byte_order = _order(data)
    head = CLASSIC[0] if byte_order == "<" else CLASSIC[1]
    return head + struct.pack(f"{byte_order}I", first)


def _first(data: bytes) -> int:
    """Return where the first directory is; beyond the end, where that is not said."""
    at, offset = (8, "Q") if data.startswith(BIG) else (4, "I")
    try:
        first: int
        (first,) = struct.unpack_from(f"{_order(data)}{offset}", data, at)
    except struct.error:
        return len(data)
    return first


def _order(data: bytes) -> str:
    return "<" if data.startswith(b"II") else ">"
