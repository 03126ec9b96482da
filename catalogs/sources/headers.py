"""The size of a picture, from the beginning of its file where that tells it."""

import struct
from typing import IO

from catalogs.sources import pictures
from catalogs.sources.roots import Root
from noisegen.errors import UnreadableFileError

_HEAD = 32
_PNG = b"\x89PNG\r\n\x1a\n"
# Start of frame of every kind of JPEG; C4, C8 and CC are tables.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_APP1, _SCAN = 0xE1, 0xDA


def size(root: Root, name: str) -> tuple[int, int]:
    """Return the height and width that :func:`catalogs.sources.pictures.decode` gives a picture.

    PNGs and JPEGs say it at their beginning; all else is decoded, and so is a JPEG whose EXIF may
    turn it.

    Raises
    ------
    UnreadableFileError
        If the file is gone, damaged or no picture.
    """
    try:
        with root.open(name) as stream:
            found = _size(stream)
    except Exception as error:  # other packages' file systems raise what they like
        reason = getattr(error, "strerror", None) or error
        raise UnreadableFileError(f"cannot read {root.locate(name)}: {reason}") from error
    if found is None:
        height, width, _ = pictures.decode(root.read(name), root.locate(name)).shape
        return height, width
    return found


def _size(stream: IO[bytes]) -> tuple[int, int] | None:
    head = stream.read(_HEAD)
    if head.startswith(_PNG) and head[12:16] == b"IHDR":
        width, height = struct.unpack_from(">II", head, 16)
        return height, width
    return _jpeg_size(stream) if head.startswith(b"\xff\xd8") else None


def _jpeg_size(stream: IO[bytes]) -> tuple[int, int] | None:
    """Walk over the segments of a JPEG to its start of frame; None where it must be decoded."""
    stream.seek(2)
    while len(mark := stream.read(4)) == 4 and mark[0] == 0xFF:
        kind, length = mark[1], int.from_bytes(mark[2:])
        if kind in (_APP1, _SCAN):
            return None
        if kind in _FRAMES:
            frame = stream.read(5)
            return (*struct.unpack(">HH", frame[1:]),) if len(frame) == 5 else None
        stream.seek(length - 2, 1)
    return None
