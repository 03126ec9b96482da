"""Read a raw file: pixels through LibRaw, tags by tifffile, everything else refused by name.

The mosaic is LibRaw's ``raw_image_visible``, copied and otherwise untouched.
"""

import os
from pathlib import Path

from noisegen import cfa
from noisegen.errors import UnreadableFileError, UnsupportedFileError
from noisegen.raw import libraw, sidecar
from noisegen.raw.assemble import assemble
from noisegen.raw.files import DAMAGED, read_bytes
from noisegen.raw.libraw import Decoded
from noisegen.raw.metadata import RawImage, RawMetadata
from noisegen.raw.tags import PHOTOMETRIC_CFA, PHOTOMETRIC_LINEAR_RAW, DngTags, read_tags

HEADERLESS = (".raw", ".png")
"""Suffixes of mosaics that a sidecar JSON describes (see :mod:`noisegen.raw.sidecar`)."""

REMEDY = "noisegen reads single Bayer mosaics; take the file out of the folder"


def read(
    path: str | os.PathLike[str], data: bytes | None = None, description: bytes | None = None
) -> RawImage:
    """Read the mosaic and the metadata of a raw file.

    Parameters
    ----------
    path
        A DNG or another Bayer raw that LibRaw knows (CR2, CR3, NEF, ARW, RAF …), or a headerless
        ``.raw`` or single-channel ``.png`` with a sidecar JSON. With ``data`` it is only a name,
        such as a URL, and need not exist.
    data
        The file's bytes, if they are already at hand.
    description
        The sidecar's bytes; read from beside ``path`` if None.

    Returns
    -------
    RawImage
        (H, W) uint16 mosaic in digital numbers, and its metadata.

    Raises
    ------
    MissingDataError
        If there is no such file.
    UnsupportedFileError
        If the file is sound, but X-Trans, four-colour, demosaiced, multi-frame, without a colour
        filter array, or headerless without a description.
    UnreadableFileError
        If the file is empty, cut short, damaged or no raw file.
    """
    name = os.fspath(path)
    if Path(name).suffix.lower() in HEADERLESS:
        return sidecar.read(name, data, description)
    tags, decoded = _decode(name, data, pixels=True)
    metadata = assemble(name, data, tags, decoded)
    if decoded.mosaic is None:
        raise UnsupportedFileError(f"{name}: no single plane of integer pixels; {REMEDY}")
    return RawImage(decoded.mosaic, metadata)


def read_metadata(
    path: str | os.PathLike[str], data: bytes | None = None, description: bytes | None = None
) -> RawMetadata:
    """Read the metadata of a raw file, and refuse what :func:`read` refuses.

    LibRaw has to decode the file for some of it: this saves the copy of the pixels, not the time.
    Parameters and errors are those of :func:`read`; :func:`read_shape` is the quick look.
    """
    name = os.fspath(path)
    if Path(name).suffix.lower() in HEADERLESS:
        return sidecar.read(name, data, description).metadata
    tags, decoded = _decode(name, data, pixels=False)
    return assemble(name, data, tags, decoded)


def read_shape(
    path: str | os.PathLike[str], data: bytes | None = None, description: bytes | None = None
) -> tuple[int, int]:
    """Return rows and columns of a raw file's visible mosaic without decoding its pixels.

    The file is not judged beyond that: :func:`read` may still refuse it. Parameters are those of
    :func:`read`.

    Raises
    ------
    MissingDataError
        If there is no such file.
    UnreadableFileError
        If LibRaw does not know the file, or as :func:`read` for a headerless one.
    """
    name = os.fspath(path)
    if Path(name).suffix.lower() in HEADERLESS:
        return sidecar.read(name, data, description).metadata.shape
    _magic(name, data)
    return libraw.visible_shape(name, data)


def _magic(path: str, data: bytes | None) -> bytes:
    magic = read_bytes(path, 4) if data is None else bytes(data[:4])
    if not magic:
        raise UnreadableFileError(f"{path}: empty; {DAMAGED}")
    return magic


def _decode(path: str, data: bytes | None, *, pixels: bool) -> tuple[DngTags | None, Decoded]:
    if _magic(path, data) == b"FOVb":
        raise _refusal(path, "a Foveon raw (three colours at every pixel)")
    tags = read_tags(path, data)
    if tags is not None:
        _refuse_tags(path, tags)
    decoded = libraw.decode(path, data, pixels=pixels)
    _refuse_decoded(path, decoded)
    return tags, decoded


def _refusal(path: str, what: str) -> UnsupportedFileError:
    return UnsupportedFileError(f"{path}: {what}; {REMEDY}")


def _refuse_tags(path: str, tags: DngTags) -> None:
    if tags.photometric == PHOTOMETRIC_LINEAR_RAW:
        raise _refusal(path, "already demosaiced (a LinearRaw DNG)")
    if tags.photometric != PHOTOMETRIC_CFA:
        raise _refusal(path, "a DNG without a mosaic")
    if tags.frames > 1:
        raise _refusal(path, f"a multi-frame DNG ({tags.frames} mosaics)")
    if tags.samples != 1:
        raise _refusal(path, f"a stacked DNG ({tags.samples} samples a pixel)")
    if tags.sample_format != 1:
        raise _refusal(path, "a floating-point DNG")
    if tags.cfa_shape == (6, 6):
        raise _refusal(path, "an X-Trans mosaic (6x6 colour filter array)")
    if tags.cfa_shape not in ((), (2, 2)):
        size = "x".join(str(n) for n in tags.cfa_shape)
        raise _refusal(path, f"a mosaic with a {size} colour filter array")
    if len(tags.plane_colors) > 3 or any(c > 2 for c in tags.cfa_pattern):
        raise _refusal(path, "a four-colour mosaic")
    if tags.plane_colors != (0, 1, 2):
        raise _refusal(path, "a mosaic whose planes are not red, green, blue (CFAPlaneColor)")


def _refuse_decoded(path: str, decoded: Decoded) -> None:
    if decoded.pattern_shape == (6, 6):
        raise _refusal(path, "an X-Trans mosaic (6x6 colour filter array)")
    if decoded.colors == 1:
        raise _refusal(path, "a monochrome raw (no colour filter array)")
    if decoded.pattern_shape is None:
        raise _refusal(path, "no mosaic (already demosaiced, stacked or a Foveon raw)")
    if decoded.colors != 3 or decoded.description != "RGBG":
        raise _refusal(path, f"a four-colour mosaic ({decoded.description})")
    if decoded.tile is None:
        size = "x".join(str(n) for n in decoded.pattern_shape)
        raise _refusal(path, f"no integer Bayer mosaic ({size} colour filter array)")
    try:
        cfa.from_planes(decoded.tile)
    except ValueError as error:
        raise _refusal(path, f"no Bayer mosaic ({error})") from error
