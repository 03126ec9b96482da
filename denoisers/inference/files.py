"""Picture files in and out: 8 and 16 bits, with their profile and EXIF."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt

from catalogs.sources import pictures
from denoisers.inference import exif, metadata
from denoisers.inference.metadata import Metadata
from denoisers.storage import write_whole
from noisegen.errors import InputError, MissingDataError
from noisegen.metrics import to_8bit

QUALITY = 95
"""Of written JPEGs."""

WRITTEN = (".png", ".tif", ".tiff", ".jpg", ".jpeg")
"""Endings of the files that can be written."""

Bits = Literal[8, 16]


@dataclass(frozen=True)
class File:
    """A picture and what its file says beside it.

    Attributes
    ----------
    picture
        (H, W, 3) uint8 or uint16, upright.
    metadata
        ICC profile and EXIF.
    """

    picture: npt.NDArray[Any]
    metadata: Metadata

    @property
    def bits(self) -> Bits:
        """Bits of a value."""
        return 8 if self.picture.dtype == np.uint8 else 16

    @property
    def grey(self) -> bool:
        """Whether the three channels are one."""
        first = self.picture[..., :1]
        return bool((self.picture == first).all())


def read(path: Path) -> File:
    """Read a picture.

    Raises
    ------
    MissingDataError
        If there is no such file.
    UnreadableFileError
        If it is damaged, or no picture.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise MissingDataError(f"cannot read {path}: {error.strerror or error}") from None
    return File(pictures.decode(data, str(path)), metadata.read(data))


def check_ending(path: Path, bits: Bits | None = None) -> None:
    """Refuse a file that cannot be written.

    Raises
    ------
    InputError
        If its ending is of no format that is written, or one without that many bits.
    """
    if path.suffix.lower() not in WRITTEN:
        raise InputError(
            f"{path}: pictures are written as {', '.join(WRITTEN)}; name it so, or convert what is "
            "read"
        )
    if bits == 16 and path.suffix.lower() in (".jpg", ".jpeg"):
        raise InputError(f"{path}: a JPEG has 8 bits; write a PNG or TIFF, or give --bits 8")


def write(
    path: Path, picture: npt.NDArray[np.float32], bits: Bits, meta: Metadata
) -> tuple[str, ...]:
    """Write a picture, whole or not at all.

    Parameters
    ----------
    path
        Its ending says the format.
    picture
        (H, W, 1 or 3) in [0, 1].
    bits
        Of a value; JPEGs have 8.
    meta
        What is put into the file beside the pixels.

    Returns
    -------
    tuple of str
        What of the file that was read is not in it.

    Raises
    ------
    InputError
        As :func:`check_ending`.
    StorageError
        If it cannot be written.
    """
    check_ending(path)
    ending = path.suffix.lower()
    jpeg = ending in (".jpg", ".jpeg")
    meta = metadata.fitting(meta, channels=picture.shape[2], jpeg=jpeg)
    codes = to_8bit(picture) if bits == 8 or jpeg else np.rint(picture * 65535).astype(np.uint16)
    if ending in (".tif", ".tiff"):
        write_whole(path, lambda partial: _write_tiff(partial, codes, meta))
        return meta.lost
    options = [cv2.IMWRITE_JPEG_QUALITY, QUALITY] if jpeg else []
    _, encoded = cv2.imencode(ending, codes[..., ::-1], options)
    data = metadata.put(encoded.tobytes(), meta)
    write_whole(path, lambda partial: partial.write_bytes(data))
    return meta.lost


def _write_tiff(path: Path, codes: npt.NDArray[Any], meta: Metadata) -> None:
    import tifffile

    order = exif.order(meta.exif) if meta.exif else None
    plain = codes[..., 0] if codes.shape[2] == 1 else codes
    tifffile.imwrite(
        path,
        plain,
        byteorder=order,
        photometric="minisblack" if plain.ndim == 2 else "rgb",
        iccprofile=meta.icc,
        metadata=None,
    )
    if meta.exif and order:
        path.write_bytes(exif.into_tiff(path.read_bytes(), exif.upright(meta.exif)))
