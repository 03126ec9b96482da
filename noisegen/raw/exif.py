"""Make, model, ISO and exposure of raw files that are no DNG, by exifread."""

import io
import logging
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

# As for tifffile in noisegen.raw.tags: files without EXIF are ordinary.
logging.getLogger("exifread").addHandler(logging.NullHandler())

_RAF = b"FUJIFILMCCD-RAW"
_CR3 = b"ftypcrx "
# The boxes that hold a CR3's TIFF blocks come before its pictures.
_CR3_HEAD = 1 << 20


@dataclass(frozen=True)
class Exif:
    """What the file's EXIF says; empty or None where it says nothing."""

    make: str = ""
    model: str = ""
    iso: float | None = None
    exposure_time: float | None = None


def read_exif(path: str, data: bytes | None) -> Exif:
    """Read what EXIF a raw file has, wherever its maker put it; never raises on odd contents.

    Parameters
    ----------
    path
        A local file.
    data
        The file's bytes, if they are already at hand.
    """
    with Path(path).open("rb") if data is None else io.BytesIO(data) as stream:
        tags: dict[str, Any] = {}
        for block in _blocks(stream):
            tags |= _process(block)
    return Exif(
        make=_text(tags, "Image Make"),
        model=_text(tags, "Image Model"),
        # The second block of a CR3 is a bare Exif IFD, which exifread takes for an image's.
        iso=_number(tags, "EXIF ISOSpeedRatings", "Image ISOSpeedRatings"),
        exposure_time=_number(tags, "EXIF ExposureTime", "Image ExposureTime"),
    )


def _blocks(stream: BinaryIO) -> list[BinaryIO]:
    head = stream.read(92)
    if head.startswith(_RAF):
        # A RAF keeps a whole JPEG, with EXIF, at the place its header names (big-endian).
        offset, length = struct.unpack(">II", head[84:92]) if len(head) == 92 else (0, 0)
        stream.seek(offset)
        return [io.BytesIO(stream.read(length))]
    if head[4:12] == _CR3:
        return _cr3_blocks(head + stream.read(_CR3_HEAD))
    stream.seek(0)
    return [stream]


def _cr3_blocks(head: bytes) -> list[BinaryIO]:
    blocks: list[BinaryIO] = []
    for name in (b"CMT1", b"CMT2"):  # IFD0 and the Exif IFD, each a TIFF of its own
        at = head.find(name)
        if at >= 4:
            (size,) = struct.unpack(">I", head[at - 4 : at])
            blocks.append(io.BytesIO(head[at + 4 : at - 4 + size]))
    return blocks


def _process(stream: BinaryIO) -> dict[str, Any]:
    import exifread

    try:
        return dict(exifread.process_file(stream, details=False))
    except Exception:  # optional knowledge: damaged EXIF must not cost the picture
        return {}


def _text(tags: dict[str, Any], key: str) -> str:
    return str(tags.get(key, "")).replace("\0", " ").strip()


def _number(tags: dict[str, Any], *keys: str) -> float | None:
    for key in keys:
        values: Sequence[Any] = getattr(tags.get(key), "values", None) or ()
        try:
            number = float(values[0])
        except (IndexError, TypeError, ValueError, ZeroDivisionError):
            continue
        if number > 0:
            return number
    return None
