"""ICC profile and EXIF of picture files, taken from one file and put into another.

OpenCV decodes and encodes pixels alone. What else is in a file is read and written here, by the
containers of PNG, JPEG and TIFF. The orientation of kept EXIF is set to upright, as the pixels are.

References
----------
ITU-T T.81 (JPEG), Exif 2.32 section 4.7, ICC.1:2022 annex B, PNG (third edition) section 11.
"""

import struct
import zlib
from dataclasses import dataclass

from denoisers.inference import exif as blocks

PNG = b"\x89PNG\r\n\x1a\n"
JPEG = b"\xff\xd8"

_EXIF, _ICC = b"Exif\0\0", b"ICC_PROFILE\0"
_ICC_TAG = 34675
_CHANNELS = {b"GRAY": 1, b"RGB ": 3, b"CMYK": 4, b"Lab ": 3}
"""Of the colour spaces that profiles of pictures are for."""
_LONGEST = 65533
"""Bytes of a segment of a JPEG."""
_SEGMENT = _LONGEST - len(_ICC) - 2
"""Bytes of a profile that fit into one segment of a JPEG."""


@dataclass(frozen=True)
class Metadata:
    """What a file says beside its pixels.

    Attributes
    ----------
    icc
        ICC profile.
    exif
        EXIF block, a TIFF file of its own.
    lost
        What of the file is not kept, one phrase each.
    """

    icc: bytes | None = None
    exif: bytes | None = None
    lost: tuple[str, ...] = ()


def read(data: bytes) -> Metadata:
    """Return the profile and EXIF of a PNG, JPEG or TIFF; of other files nothing."""
    if data.startswith(PNG):
        return _of_png(data)
    if data.startswith(JPEG):
        return _of_jpeg(data)
    if data.startswith((*blocks.CLASSIC, *blocks.BIG)):
        icc = blocks.directory(data).get(_ICC_TAG)
        pages = blocks.pages(data)
        lost = (f"its pages 2 to {pages}",) if pages > 1 else ()
        return Metadata(icc.data if icc else None, blocks.of_tiff(data), lost)
    return Metadata()


def fitting(metadata: Metadata, *, channels: int, jpeg: bool) -> Metadata:
    """Return what may stand in a file; what may not is told in ``lost``.

    Parameters
    ----------
    metadata
        Of another file.
    channels
        Of the picture: a profile is for values of one colour space.
    jpeg
        Whether the file is a JPEG, whose EXIF has 65527 bytes at most.
    """
    icc, exif, lost = metadata.icc, metadata.exif, metadata.lost
    if icc and _CHANNELS.get(space := icc[16:20], channels) != channels:
        icc = None
        lost += (f"the ICC profile, which is for {space.decode().strip()} values",)
    if exif and jpeg and len(_EXIF) + len(exif) > _LONGEST:
        lost += (f"the EXIF, {len(exif)} bytes and too long for a JPEG; write a PNG or TIFF",)
        exif = None
    return Metadata(icc, exif, lost)


def put(data: bytes, metadata: Metadata) -> bytes:
    """Return a PNG or JPEG with a :func:`fitting` profile and upright EXIF."""
    exif = blocks.upright(metadata.exif) if metadata.exif else None
    if data.startswith(PNG):
        chunks = b""
        if metadata.icc:
            chunks += _chunk(b"iCCP", b"icc\0\0" + zlib.compress(metadata.icc))
        if exif:
            chunks += _chunk(b"eXIf", exif)
        after_header = len(PNG) + 25
        return data[:after_header] + chunks + data[after_header:]
    segments = b""
    if exif:
        segments += _segment(0xE1, _EXIF + exif)
    if metadata.icc:
        parts = [metadata.icc[i : i + _SEGMENT] for i in range(0, len(metadata.icc), _SEGMENT)]
        for number, part in enumerate(parts, 1):
            segments += _segment(0xE2, _ICC + bytes((number, len(parts))) + part)
    return data[:2] + segments + data[2:]


def _of_png(data: bytes) -> Metadata:
    icc = exif = None
    lost: tuple[str, ...] = ()
    at = len(PNG)
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        if kind == b"iCCP":
            compressed = body.partition(b"\0")[2][1:]
            try:
                icc = zlib.decompress(compressed)
            except zlib.error:
                lost = ("the ICC profile, which is damaged",)
        elif kind == b"eXIf":
            exif = body
        at += 12 + length
    return Metadata(icc, exif, lost)


def _of_jpeg(data: bytes) -> Metadata:
    profile: dict[int, bytes] = {}
    exif = None
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != 0xDA:
        (length,) = struct.unpack_from(">H", data, at + 2)
        body = data[at + 4 : at + 2 + length]
        if data[at + 1] == 0xE1 and body.startswith(_EXIF):
            exif = body[len(_EXIF) :]
        elif data[at + 1] == 0xE2 and body.startswith(_ICC):
            profile[body[len(_ICC)]] = body[len(_ICC) + 2 :]
        at += 2 + length
    icc = b"".join(profile[number] for number in sorted(profile)) or None
    return Metadata(icc, exif)


def _chunk(kind: bytes, body: bytes) -> bytes:
    checksum = zlib.crc32(kind + body)
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", checksum)


def _segment(marker: int, body: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(body) + 2) + body
