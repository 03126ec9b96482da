"""Write a Bayer mosaic as a DNG that raw converters open.

References
----------
Adobe, "Digital Negative (DNG) Specification", 1.7.1.0, chapters 4 and 5.
"""

import contextlib
import math
import os
import secrets
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from noisegen import cfa as bayer
from noisegen.errors import InputError, StorageError
from noisegen.isp.shading import GainMaps
from noisegen.raw.metadata import D65
from noisegen.raw.opcodes import FixVignetteRadial, GainMap, encode
from noisegen.raw.shading import gain_map_opcodes
from noisegen.raw.tags import PHOTOMETRIC_CFA

Compression = Literal["lossless-jpeg"]

SMALLEST = 22
"""Rows and columns below which LibRaw takes a DNG's raw image for a thumbnail."""

_TILE = 256
_MAX_DENOMINATOR = 1_000_000
# The preview in front of a SubIFD is about this wide.
_PREVIEW = 160

_UNDEFINED = 7  # TIFF's type of bytes without a meaning of their own

_Tag = tuple[int, str | int, int, Any, bool]


def write_dng(
    path: str | os.PathLike[str],
    mosaic: npt.NDArray[np.uint16],
    *,
    cfa: bayer.Phase,
    black_level: float | Sequence[float],
    white_level: int,
    bits: int = 16,
    as_shot_neutral: Sequence[float] | None = None,
    color_matrix: npt.ArrayLike | None = None,
    noise_profile: tuple[Sequence[float], Sequence[float]] | None = None,
    orientation: int = 1,
    make: str = "",
    model: str = "",
    iso: int | None = None,
    exposure_time: float | None = None,
    gain_maps: GainMaps | Sequence[GainMap] = (),
    vignette: FixVignetteRadial | None = None,
    compression: Compression | None = None,
    subifd: bool = False,
) -> None:
    """Write a DNG; the file appears under its name only when it is whole.

    Parameters
    ----------
    path
        Where to write; an existing file is replaced.
    mosaic
        (H, W) uint16 digital numbers, at least 22x22.
    cfa
        Phase at the first pixel.
    black_level
        Digital numbers: one, or one a plane (R, G1, B, G2).
    white_level
        Digital number at which the sensor saturates.
    bits
        Bits of one code, 8 to 16: the precision of lossless JPEG. Uncompressed codes take 16-bit
        words all the same.
    as_shot_neutral
        Camera RGB of a neutral object.
    color_matrix
        (3, 3), XYZ to camera for D65 (ColorMatrix1).
    noise_profile
        Shot and read variances (variance = shot·x + read, x normalised), one a plane each. Written
        as three pairs, or as four by position where the greens differ.
    orientation
        EXIF orientation, 1 to 8.
    make, model
        Of the camera, ASCII.
    iso
        ISO speed, 1 to 65535.
    exposure_time
        Seconds.
    gain_maps
        Gains that make up for the lens's fall-off (OpcodeList2): a grid for each plane, written as
        four opcodes as phones do, or any opcodes.
    vignette
        Radial model of the same (OpcodeList3).
    compression
        ``"lossless-jpeg"`` needs the package imagecodecs.
    subifd
        Put the mosaic in a SubIFD behind a preview, as cameras do.

    Raises
    ------
    InputError
        If a value cannot be written, or imagecodecs is missing.
    StorageError
        If the file cannot be written.
    """
    mosaic = np.ascontiguousarray(mosaic)
    black = _four("black_level", black_level)
    _check(mosaic, cfa, black, white_level, bits, orientation)
    main = _main_tags(as_shot_neutral, color_matrix, orientation, make, model, iso, exposure_time)
    raw = _raw_tags(cfa, black, white_level, noise_profile)
    if isinstance(gain_maps, GainMaps):
        gain_maps = gain_map_opcodes(gain_maps, (mosaic.shape[0], mosaic.shape[1]), cfa)
    raw += _opcode_tags(gain_maps, vignette)
    options = _pixel_options(mosaic, bits, compression)
    pixels = options.pop("data")
    with _replacing(Path(path)) as writer:
        if subifd:
            preview = _preview(mosaic, cfa, black, white_level)
            writer.write(
                preview, photometric="rgb", subifds=1, subfiletype=1, metadata=None, extratags=main
            )
            main = []
        writer.write(
            pixels,
            shape=mosaic.shape,
            dtype=np.uint16,
            photometric=PHOTOMETRIC_CFA,
            subfiletype=0,
            metadata=None,
            extratags=main + raw,
            **options,
        )


def _check(
    mosaic: npt.NDArray[np.uint16],
    cfa: str,
    black: npt.NDArray[np.float64],
    white: int,
    bits: int,
    orientation: int,
) -> None:
    if mosaic.dtype != np.uint16 or mosaic.ndim != 2 or min(mosaic.shape) < SMALLEST:
        raise InputError(
            f"a DNG needs a (H, W) uint16 mosaic of at least {SMALLEST}x{SMALLEST}, "
            f"not {mosaic.dtype} {mosaic.shape}"
        )
    if cfa not in bayer.PHASES:
        raise InputError(f"cfa is {cfa!r}, one of {', '.join(bayer.PHASES)} expected")
    if not 8 <= bits <= 16:
        raise InputError(f"bits is {bits}, 8 to 16 expected")
    if int(mosaic.max()) >= 1 << bits:
        raise InputError(
            f"the mosaic has a code {int(mosaic.max())}, which {bits} bits cannot hold"
        )
    if white != int(white) or not max(black) < white < 1 << 16:
        raise InputError(
            f"white_level is {white}, a whole number above black_level ({max(black):g}) and below "
            "65536 expected"
        )
    if orientation not in range(1, 9):
        raise InputError(f"orientation is {orientation}, 1 to 8 expected")


def _main_tags(
    neutral: Sequence[float] | None,
    matrix: npt.ArrayLike | None,
    orientation: int,
    make: str,
    model: str,
    iso: int | None,
    exposure_time: float | None,
) -> list[_Tag]:
    for name, text in (("make", make), ("model", model)):
        if not text.isascii():
            raise InputError(f"{name} is {text!r}, but a DNG's is ASCII")
    tags: list[_Tag] = [
        (50706, "B", 4, bytes([1, 4, 0, 0]), True),  # DNGVersion
        (50707, "B", 4, bytes([1, 1, 0, 0]), True),  # DNGBackwardVersion
        (50708, "s", 0, " ".join(filter(None, (make, model))) or "noisegen", True),
        (274, "H", 1, orientation, True),
    ]
    if make:
        tags.append((271, "s", 0, make, True))
    if model:
        tags.append((272, "s", 0, model, True))
    if matrix is not None:
        values = _finite("color_matrix", matrix, (3, 3))
        tags.append((50721, "2i", 9, _rationals("color_matrix", values), True))
        tags.append((50778, "H", 1, D65, True))
    if neutral is not None:
        values = _finite("as_shot_neutral", neutral, (3,), above=0)
        tags.append((50728, "2I", 3, _rationals("as_shot_neutral", values), True))
    if iso is not None:
        if iso != int(iso) or not 1 <= iso <= 65535:
            raise InputError(f"iso is {iso}, a whole number from 1 to 65535 expected")
        tags.append((34855, "H", 1, int(iso), True))
    if exposure_time is not None:
        values = _finite("exposure_time", [exposure_time], (1,), above=0)
        tags.append((33434, "2I", 1, _rationals("exposure_time", values), True))
    return tags


def _raw_tags(
    cfa: bayer.Phase,
    black: npt.NDArray[np.float64],
    white: int,
    noise: tuple[Sequence[float], Sequence[float]] | None,
) -> list[_Tag]:
    levels = bayer.by_position(black.tolist(), cfa).ravel()
    tags: list[_Tag] = [
        (33421, "H", 2, (2, 2), True),  # CFARepeatPatternDim
        (33422, "B", 4, bayer.colors(cfa).tobytes(), True),  # CFAPattern
        (50710, "B", 3, bytes([0, 1, 2]), True),  # CFAPlaneColor
        (50711, "H", 1, 1, True),  # CFALayout: rectangular
        (50713, "H", 2, (2, 2), True),  # BlackLevelRepeatDim
        (50714, "2I", 4, _rationals("black_level", levels), True),
        (50717, "I", 1, int(white), True),
    ]
    if noise is not None:
        if len(noise) != 2:
            raise InputError("noise_profile is a pair: shot variances and read variances")
        shot, read = _four("noise_profile", noise[0]), _four("noise_profile", noise[1])
        pairs = np.stack([shot, read], axis=-1)
        greens_agree = np.array_equal(pairs[1], pairs[3])
        pairs = pairs[:3] if greens_agree else pairs[bayer.planes(cfa).ravel()]
        tags.append((51041, "d", pairs.size, tuple(pairs.ravel().tolist()), True))
    return tags


def _opcode_tags(gain_maps: Sequence[GainMap], vignette: FixVignetteRadial | None) -> list[_Tag]:
    lists: dict[int, Sequence[GainMap | FixVignetteRadial]] = {}
    if gain_maps:
        lists[51009] = gain_maps
    if vignette is not None:
        lists[51022] = [vignette]
    encoded = {code: encode(opcodes) for code, opcodes in lists.items()}
    return [(code, _UNDEFINED, len(data), data, True) for code, data in encoded.items()]


def _finite(
    name: str, values: npt.ArrayLike, shape: tuple[int, ...], above: float | None = None
) -> npt.NDArray[np.float64]:
    array = np.asarray(values, np.float64)
    if array.shape != shape or not np.all(np.isfinite(array)):
        raise InputError(f"{name} is {values!r}, finite numbers of shape {shape} expected")
    if above is not None and np.any(array <= above):
        raise InputError(f"{name} is {values!r}, numbers above {above:g} expected")
    return array


def _four(name: str, values: float | Sequence[float]) -> npt.NDArray[np.float64]:
    array = np.asarray(values, np.float64)
    if array.shape not in ((), (4,)) or not np.all(np.isfinite(array)) or np.any(array < 0):
        raise InputError(f"{name} is {values!r}, one number a plane (R, G1, B, G2), >= 0, expected")
    return np.broadcast_to(array, 4)


def _rationals(name: str, values: npt.NDArray[np.float64]) -> tuple[int, ...]:
    """Return numerator, denominator, …: the nearest rationals with denominators up to a million."""
    pairs: list[int] = []
    for value in values.ravel().tolist():
        nearest = Fraction(value).limit_denominator(_MAX_DENOMINATOR)
        if abs(nearest.numerator) >= 1 << 31 or (value and not nearest.numerator):
            raise InputError(f"{name} has {value:g}, which a rational of 32 bits cannot hold")
        pairs += [nearest.numerator, nearest.denominator]
    return tuple(pairs)


def _pixel_options(
    mosaic: npt.NDArray[np.uint16], bits: int, compression: Compression | None
) -> dict[str, Any]:
    """Return the arguments of tifffile's ``write`` that hold the pixels."""
    if compression is None:
        return {"data": mosaic, "rowsperstrip": mosaic.shape[0]}
    if compression != "lossless-jpeg":
        raise InputError(f"compression is {compression!r}, None or 'lossless-jpeg' expected")
    try:
        import imagecodecs
    except ImportError as error:
        raise InputError(
            "lossless JPEG needs the package imagecodecs; pip install imagecodecs, or write "
            "without compression"
        ) from error
    tiles = [imagecodecs.ljpeg_encode(tile, bitspersample=bits) for tile in _tiles(mosaic)]
    return {
        "data": iter(tiles),
        "tile": (_TILE, _TILE),
        "compression": 7,
        "bitspersample": bits,
    }


def _tiles(mosaic: npt.NDArray[np.uint16]) -> Iterator[npt.NDArray[np.uint16]]:
    height, width = mosaic.shape
    padded = np.pad(mosaic, ((0, -height % _TILE), (0, -width % _TILE)), mode="edge")
    for y in range(0, height, _TILE):
        for x in range(0, width, _TILE):
            yield np.ascontiguousarray(padded[y : y + _TILE, x : x + _TILE])


def _preview(
    mosaic: npt.NDArray[np.uint16], cfa: bayer.Phase, black: npt.NDArray[np.float64], white: int
) -> npt.NDArray[np.uint8]:
    """Return a small (h, w, 3) picture: one 2x2 cell of every few, gamma 2.2."""
    height, width = (n // 2 * 2 for n in mosaic.shape)
    step = 2 * math.ceil(width / (2 * _PREVIEW))
    planes = bayer.planes(cfa)
    channels = []
    for plane in range(3):
        y, x = np.argwhere(planes == plane)[0]
        codes = mosaic[:height, :width][y::step, x::step].astype(np.float64)
        channels.append((codes - black[plane]) / (white - black[plane]))
    linear = np.clip(np.stack(channels, axis=-1), 0, 1)
    return np.asarray(linear ** (1 / 2.2) * 255 + 0.5, np.uint8)


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[Any]:
    """Yield a TIFF writer on a temporary neighbour of ``path`` that takes its name at the end."""
    import tifffile

    # Not by tempfile, whose files only their owner may read.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    try:
        with tifffile.TiffWriter(temporary) as writer:
            yield writer
        temporary.replace(path)
    except OSError as error:
        raise StorageError(
            f"{path}: cannot be written ({error.strerror or error}); check the folder and the disk"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
