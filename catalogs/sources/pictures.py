"""Pictures as files: decoded whole or refused, never half.

OpenCV decodes a JPEG that was cut short and fills the rest with grey, so each format's own end and
lengths are checked first.
"""

import io
import re
import struct
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt

from noisegen.errors import UnreadableFileError, UnsupportedFileError

EXTENSIONS = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp"})
"""Endings of the picture formats that are read."""

Picture = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]

_PNG = b"\x89PNG\r\n\x1a\n"
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_UNASSOCIATED = 2
"""What a TIFF's ExtraSamples says of alpha that its colours are not multiplied with."""
# A marker inside compressed JPEG data: 0xFF and neither a stuffed zero, a restart nor padding.
_JPEG_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")


def decode(data: bytes, where: str) -> Picture:
    """Decode a PNG, JPEG, TIFF, BMP or WebP.

    Parameters
    ----------
    data
        The whole file; its first bytes tell the format, not its name.
    where
        The file's path or URL, for messages.

    Returns
    -------
    (H, W, 3) uint8 or uint16
        Gamma-coded R, G, B, upright (EXIF orientation is applied), alpha dropped, grey repeated.

    Raises
    ------
    UnreadableFileError
        If the file is damaged or cut short.
    UnsupportedFileError
        If it is no picture, or one of other than 8 or 16 bits.
    """
    if (fault := _fault(data, where)) is not None:
        raise UnreadableFileError(f"{where} {fault}; fetch it again or remove it")
    import cv2

    flags = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH
    try:
        picture: Any = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        reason = str(error).strip().splitlines()[-1]
        raise UnreadableFileError(f"{where} cannot be decoded: {reason}") from error
    if picture is None:
        raise UnreadableFileError(f"{where} is damaged or of a variant that OpenCV cannot decode")
    if picture.dtype not in (np.uint8, np.uint16):
        raise UnsupportedFileError(
            f"{where} holds {picture.dtype} pixels; pictures must have 8 or 16 bits a channel"
        )
    return np.ascontiguousarray(picture[..., ::-1])


def is_lossy(data: bytes) -> bool:
    """Tell whether a picture that :func:`decode` reads was compressed with loss: JPEG or WebP."""
    if data.startswith(b"\xff\xd8"):
        return True
    if not (data.startswith(b"RIFF") and data[8:12] == b"WEBP"):
        return False
    at = 12
    while at + 8 <= len(data):
        if data[at : at + 4] in (b"VP8 ", b"VP8L"):
            return data[at : at + 4] == b"VP8 "
        (length,) = struct.unpack_from("<I", data, at + 4)
        at += 8 + length + length % 2
    return False


def _fault(data: bytes, where: str) -> str | None:
    """Say what is wrong with the file as a container, or return None."""
    if data.startswith(_PNG):
        return _png_fault(data)
    if data.startswith(b"\xff\xd8"):
        return None if _jpeg_ends(data) else "is a JPEG that was cut short"
    if data.startswith(_TIFF):
        return _tiff_fault(data, where)
    if data.startswith(b"BM"):
        (length,) = struct.unpack_from("<I", data.ljust(6, b"\0"), 2)
        return "is a BMP that was cut short" if length > len(data) else None
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        (length,) = struct.unpack_from("<I", data, 4)
        return "is a WebP that was cut short" if length + 8 > len(data) else None
    raise UnsupportedFileError(
        f"{where} is no PNG, JPEG, TIFF, BMP or WebP, whatever its name says"
    )


def _png_fault(data: bytes) -> str | None:
    at = len(_PNG)
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        end = at + 12 + length
        if end > len(data):
            break
        if zlib.crc32(data[at + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
            return "is a PNG with a wrong checksum"
        if data[at + 4 : at + 8] == b"IEND":
            return None
        at = end
    return "is a PNG that was cut short"


def _jpeg_ends(data: bytes) -> bool:
    """Walk the segments to the end-of-image marker; a thumbnail inside one does not count."""
    at = 2
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            return False
        marker = data[at + 1]
        if marker == 0xFF:  # padding before a marker
            at += 1
            continue
        if marker == 0xD9:
            return True
        (length,) = struct.unpack_from(">H", data, at + 2)
        at += 2 + length
        if marker == 0xDA:  # start of scan: compressed data follow, up to the next marker
            following = _JPEG_MARKER.search(data, at)
            if following is None:
                return False
            at = following.start()
    return data[at : at + 2] == b"\xff\xd9"


def _tiff_fault(data: bytes, where: str) -> str | None:
    import tifffile

    try:
        with tifffile.TiffFile(io.BytesIO(data)) as tiff:
            page: Any = tiff.pages[0]
            ends = [o + n for o, n in zip(page.dataoffsets, page.databytecounts, strict=True)]
            kind = _misread(page, data)
    except (tifffile.TiffFileError, ValueError, IndexError, struct.error) as error:
        return f"is a damaged TIFF ({error})"
    if kind is not None:
        raise UnsupportedFileError(
            f"{where} is a TIFF of {kind}, which OpenCV decodes to other values; store it "
            "as RGB or as grey where 0 is black, pixel by pixel and without alpha"
        )
    return "is a TIFF that was cut short" if max(ends, default=0) > len(data) or not ends else None


def _misread(page: Any, data: bytes) -> str | None:
    """Say what of a TIFF's page OpenCV 5.0 gets wrong without an error, or return None."""
    samples = int(page.samplesperpixel)
    if page.dtype == np.uint8 and samples == 4 and _UNASSOCIATED in page.extrasamples:
        return "8 bits with transparent pixels" if _is_transparent(data) else None
    if page.dtype != np.uint16:
        return None
    if samples > 1 and int(page.planarconfig) == 2:
        return "16 bits with its channels one after the other"
    if samples == 2:
        return "16 bits in grey with alpha"
    return "16 bits where 0 is white" if int(page.photometric) == 0 else None


def _is_transparent(data: bytes) -> bool:
    """Tell whether a picture with alpha has a pixel that is not opaque."""
    import cv2

    picture: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    return picture is not None and bool((picture[..., 3:] < 255).any())
