"""Mosaics without a header: a ``.raw`` or grey ``.png`` that a JSON of the same stem describes.

The smallest description of ``frame.raw`` is a ``frame.json`` like this::

    {"width": 768, "height": 512, "cfa": "RGGB", "black_level": 600, "white_level": 15520}

======================== ===========================================================================
key (or its synonym)     value
======================== ===========================================================================
``width``, ``height``    columns and rows; a PNG may leave them out
``cfa``                  ``cfa_pattern``: RGGB, BGGR, GRBG or GBRG, at the first pixel
``black_level``          one number, or four by position in the 2x2 tile, row by row
``white_level``          one number
``dtype``, ``byteorder`` of a ``.raw``: uint16 (default) or uint8; little (default) or big
``bits``                 bits of one code, checked against the codes
``white_balance``        gains of R, G, B; or ``white_balance_rggb``: of R, G, G, B
``as_shot_neutral``      camera RGB of a neutral object
``xyz_to_cam``           ``color_matrix2_xyz_to_cam``: 9 numbers or 3x3, XYZ (D65) to camera
``cam_to_srgb``          ``ccm_cam_to_srgb``: 9 numbers or 3x3, white-balanced camera to linear sRGB
``noise_profile``        shot, read, shot, read …: 1, 3 (R, G, B) or 4 (by position) pairs
``orientation``          EXIF, 1 to 8
``make``, ``model``      text
``iso``                  ISO speed
``exposure_time``        seconds
======================== ===========================================================================

Optional values may be null; other keys are ignored.
"""

import dataclasses
import json
import math
import struct
import zlib
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from noisegen import cfa
from noisegen.errors import UnreadableFileError, UnsupportedFileError
from noisegen.raw.files import DAMAGED, read_bytes
from noisegen.raw.metadata import (
    D65,
    UNIT_GAINS,
    UNKNOWN_GAINS,
    Matrix,
    Planes,
    RawImage,
    RawMetadata,
    Triple,
    gains_of_neutral,
    neutral_of_gains,
)

_PNG = b"\x89PNG\r\n\x1a\n"
_CFA_KEYS = ("cfa", "cfa_pattern")
_LEVEL_KEYS = ("black_level", "white_level")
_REMEDY = (
    "describe it in a JSON of the same stem (width, height, cfa, black_level, white_level) "
    "or take it out of the folder"
)


def sidecar_path(path: str) -> str:
    """Return where the description of a headerless mosaic is looked for: ``STEM.json``."""
    stem, dot, suffix = path.rpartition(".")
    return f"{stem}.json" if dot and "/" not in suffix else f"{path}.json"


def is_mosaic(path: str, data: bytes | None = None, description: bytes | None = None) -> bool:
    """Tell a mosaic with a description from a grey or colour picture.

    Parameters
    ----------
    path, data, description
        As in :func:`read`.

    Returns
    -------
    bool
        True for every ``.raw`` and for a single-channel PNG whose description names a CFA; False
        for a PNG that is an ordinary picture.

    Raises
    ------
    UnsupportedFileError
        If the PNG is one band of a multispectral camera: described, but without a CFA.
    UnreadableFileError
        If the description is no JSON object.
    MissingDataError
        If there is no such file.
    """
    if not path.lower().endswith(".png"):
        return True
    head = read_bytes(path, 26) if data is None else data[:26]
    if len(head) < 26 or head[25] != 0:  # PNG colour type 0: grey without alpha
        return False
    described = _description(path, description)
    if described is None:
        return False
    if any(key in described for key in _CFA_KEYS):
        return True
    if any(key in described for key in _LEVEL_KEYS):
        raise _without_cfa(path)
    return False


def read(path: str, data: bytes | None = None, description: bytes | None = None) -> RawImage:
    """Read a headerless mosaic with its description.

    Parameters
    ----------
    path
        A ``.raw`` or ``.png`` file; with ``data`` only its name.
    data, description
        Bytes of the file and of its JSON, if they are already at hand.

    Returns
    -------
    RawImage
        (H, W) uint16 mosaic in digital numbers, and its metadata.

    Raises
    ------
    MissingDataError
        If there is no such file.
    UnsupportedFileError
        If nothing describes the file, the description names no CFA, or the PNG has colours.
    UnreadableFileError
        If the file or the description is damaged, or they do not fit together.
    """
    if data is None:
        data = read_bytes(path)
    described = _description(path, description)
    if described is None:
        raise UnsupportedFileError(f"{path}: headerless pixels without a sidecar; {_REMEDY}")
    if not any(key in described for key in _CFA_KEYS):
        raise _without_cfa(path)
    sheet = _Sheet(sidecar_path(path), described)
    if path.lower().endswith(".png"):
        mosaic = _png(path, data)
        sheet.check_size(mosaic.shape)
    else:
        mosaic = _headerless(path, data, sheet)
    return RawImage(mosaic, sheet.metadata(path, mosaic))


def _without_cfa(path: str) -> UnsupportedFileError:
    return UnsupportedFileError(
        f"{path}: one band without a colour filter array (CFA), no mosaic; "
        "take it out of the folder"
    )


def _description(path: str, description: bytes | None) -> dict[str, Any] | None:
    """Return the JSON of the same stem, or the entry in a capture's metadata.json, or None."""
    name = sidecar_path(path)
    if description is None and Path(name).is_file():
        description = read_bytes(name)
    if description is not None:
        return _json_object(name, description)
    listing = Path(path).parent / "metadata.json"
    if not listing.is_file():
        return None
    try:
        capture = _json_object(str(listing), read_bytes(str(listing)))
    except UnreadableFileError:
        return None  # somebody else's file of a common name
    bands = capture.get("bands")
    if not isinstance(bands, dict) or Path(path).name not in bands:
        return None
    return {"black_level": None, "white_level": None} | dict(bands[Path(path).name])


def _json_object(name: str, text: bytes) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:  # of JSON or of UTF-8
        raise UnreadableFileError(f"{name}: no JSON ({error}); mend or remove it") from error
    if not isinstance(value, dict):
        raise UnreadableFileError(f"{name}: no JSON object; mend or remove it")
    return value


class _Sheet:
    """The checked values of a description; every complaint names the file and the key."""

    def __init__(self, name: str, values: dict[str, Any]) -> None:
        self.name = name
        self.values = values

    def error(self, what: str) -> UnreadableFileError:
        return UnreadableFileError(f"{self.name}: {what}")

    def find(self, *keys: str) -> tuple[str, Any]:
        for key in keys:
            if self.values.get(key) is not None:
                return key, self.values[key]
        return keys[0], None

    def numbers(self, *keys: str, sizes: tuple[int, ...], positive: bool = False) -> list[float]:
        """Return a value's numbers, flattened; an empty list if it is missing."""
        key, value = self.find(*keys)
        if value is None:
            return []
        try:
            flat = np.asarray(value, np.float64).ravel()
        except (TypeError, ValueError):
            flat = np.empty(0)
        if flat.size not in sizes or not np.all(np.isfinite(flat)) or isinstance(value, str | bool):
            wanted = " or ".join(str(n) for n in sizes)
            raise self.error(f"'{key}' is {value!r}, {wanted} finite number(s) expected")
        if positive and np.any(flat <= 0):
            raise self.error(f"'{key}' is {value!r}, must be above 0")
        return [float(v) for v in flat]

    def whole(self, key: str) -> int | None:
        values = self.numbers(key, sizes=(1,), positive=True)
        if values and values[0] != int(values[0]):
            raise self.error(f"'{key}' is {values[0]!r}, a whole number expected")
        return int(values[0]) if values else None

    def word(self, key: str, default: str, *choices: str) -> str:
        value = self.values.get(key) or default
        if value not in choices:
            raise self.error(f"'{key}' is {value!r}, {' or '.join(choices)} expected")
        return cast(str, value)

    def triple(self, *keys: str) -> Triple | None:
        values = self.numbers(*keys, sizes=(3,), positive=True)
        return (values[0], values[1], values[2]) if values else None

    def matrix(self, *keys: str) -> Matrix | None:
        m = self.numbers(*keys, sizes=(9,))
        if not m:
            return None
        return (m[0], m[1], m[2]), (m[3], m[4], m[5]), (m[6], m[7], m[8])

    def check_size(self, shape: tuple[int, ...]) -> None:
        for key, size in zip(("height", "width"), shape, strict=True):
            said = self.whole(key)
            if said is not None and said != size:
                raise self.error(f"'{key}' is {said}, but the picture has {size}")

    def metadata(self, path: str, mosaic: npt.NDArray[np.uint16]) -> RawMetadata:
        phase = self.phase()
        black = self.numbers("black_level", sizes=(1, 4))
        white = self.numbers("white_level", sizes=(1,), positive=True)
        if not black or not white:
            raise self.error("'black_level' and 'white_level' are needed")
        if min(black) < 0 or max(black) >= white[0]:
            raise self.error(
                f"'white_level' {white[0]:g} is not above 'black_level' {max(black):g}"
            )
        bits = self.whole("bits")
        top = int(mosaic.max(initial=0))
        if bits is not None and top >= 1 << bits:
            raise self.error(
                f"'bits' is {bits}, but {path} has a code {top}; is 'byteorder' right?"
            )
        neutral, gains, origin = self.white_balance()
        matrix = self.matrix("xyz_to_cam", "color_matrix2_xyz_to_cam")
        ccm = self.matrix("cam_to_srgb", "ccm_cam_to_srgb")
        iso = self.numbers("iso", sizes=(1,), positive=True)
        exposure = self.numbers("exposure_time", sizes=(1,), positive=True)
        orientation = self.whole("orientation") or 1
        if orientation > 8:
            raise self.error(f"'orientation' is {orientation}, 1 to 8 expected")
        metadata = RawMetadata(
            path=path,
            shape=(mosaic.shape[0], mosaic.shape[1]),
            cfa=phase,
            black_level=cfa.from_position(black * (4 // len(black)), phase),
            white_level=white[0],
            bits=bits if bits is not None else math.ceil(math.log2(white[0] + 1)),
            as_shot_neutral=neutral,
            white_balance=gains,
            color_matrices=() if matrix is None else ((D65, matrix),),
            xyz_to_cam=matrix,
            color_matrix=ccm,
            noise_profile=self.noise_profile(phase),
            orientation=orientation,
            make=str(self.values.get("make") or ""),
            model=str(self.values.get("model") or ""),
            iso=iso[0] if iso else None,
            exposure_time=exposure[0] if exposure else None,
        )
        where = Path(self.name).name
        given = {
            field: where if getattr(metadata, field) not in (None, (), "") else "unknown"
            for field in RawMetadata.__dataclass_fields__
            if field not in ("path", "shape", "origin")
        }
        if bits is None:
            given["bits"] = "white level"
        if self.values.get("orientation") is None:
            given["orientation"] = "unknown: upright"
        given |= {"white_balance": origin if neutral is None else where}
        return dataclasses.replace(metadata, origin=given)

    def phase(self) -> cfa.Phase:
        key, value = self.find(*_CFA_KEYS)
        phase = str(value).upper()
        if phase not in cfa.PHASES:
            raise self.error(f"'{key}' is {value!r}, one of {', '.join(cfa.PHASES)} expected")
        return phase

    def white_balance(self) -> tuple[Triple | None, Triple, str]:
        neutral = self.triple("as_shot_neutral")
        gains: Any = self.triple("white_balance")
        rggb = self.numbers("white_balance_rggb", sizes=(4,), positive=True)
        if gains is None and rggb:
            gains = (rggb[0], (rggb[1] + rggb[2]) / 2, rggb[3])
        if neutral is None and gains is not None:
            neutral = neutral_of_gains(gains)
        if neutral is None:
            return None, UNIT_GAINS, UNKNOWN_GAINS
        return neutral, gains_of_neutral(neutral), "sidecar"

    def noise_profile(self, phase: cfa.Phase) -> tuple[Planes, Planes] | None:
        values = self.numbers("noise_profile", sizes=(2, 6, 8))
        if not values:
            return None
        if min(values) < 0:
            raise self.error("'noise_profile' has a negative variance")
        return _planes(values[0::2], phase), _planes(values[1::2], phase)


def _planes(values: list[float], phase: cfa.Phase) -> Planes:
    """Spread 1 value, 3 values (R, G, B) or 4 values (by position) over the planes."""
    if len(values) == 1:
        return values[0], values[0], values[0], values[0]
    if len(values) == 3:
        return values[0], values[1], values[2], values[1]
    return cfa.from_position(values, phase)


def _headerless(path: str, data: bytes, sheet: _Sheet) -> npt.NDArray[np.uint16]:
    width, height = sheet.whole("width"), sheet.whole("height")
    if width is None or height is None:
        raise sheet.error("'width' and 'height' are needed for a .raw")
    dtype = sheet.word("dtype", "uint16", "uint16", "uint8")
    order = sheet.word("byteorder", "little", "little", "big")
    stored = np.dtype(dtype).newbyteorder(">" if order == "big" else "<")
    if len(data) != width * height * stored.itemsize:
        raise UnreadableFileError(
            f"{path}: {len(data)} bytes, but {width} x {height} {dtype} need "
            f"{width * height * stored.itemsize}; check {sheet.name} or get an intact copy"
        )
    return np.frombuffer(data, stored).reshape(height, width).astype(np.uint16)


def _png(path: str, data: bytes) -> npt.NDArray[np.uint16]:
    import cv2

    _check_png(path, data)
    depth, color_type = data[24], data[25]
    if color_type != 0 or depth < 8:
        raise UnsupportedFileError(
            f"{path}: a PNG with colours, alpha or fewer than 8 bits is no mosaic; take it out of "
            "the folder"
        )
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.ndim != 2:
        raise UnreadableFileError(f"{path}: a damaged PNG; {DAMAGED}")
    return np.ascontiguousarray(pixels, np.uint16)


def _check_png(path: str, data: bytes) -> None:
    """Refuse a PNG with a broken chunk: decoders fill gaps with zeros and say nothing."""
    at, kind = len(_PNG), b""
    sound = data.startswith(_PNG)
    while sound and kind != b"IEND":
        length, kind = struct.unpack(">I4s", data[at : at + 8].ljust(8, b"\0"))
        end = at + 12 + length
        body = data[at + 4 : end - 4]
        sound = end <= len(data) and data[end - 4 : end] == struct.pack(">I", zlib.crc32(body))
        at = end
    if not sound:
        raise UnreadableFileError(f"{path}: a PNG that is damaged or cut short; {DAMAGED}")
