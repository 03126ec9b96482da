"""The only door to LibRaw: a raw file as plain values, before anyone judges them."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from noisegen.errors import UnreadableFileError
from noisegen.raw.files import DAMAGED
from noisegen.raw.metadata import Matrix, Planes


@dataclass(frozen=True, eq=False)
class Decoded:
    """What LibRaw makes of a file.

    Parameters
    ----------
    mosaic
        (H, W) uint16, the visible pixels; None if it was not asked for or is no single-plane
        integer image.
    shape, margins
        Rows and columns of the visible mosaic; rows above and columns left of it.
    tile
        Colour indices at the visible origin, 0 R, 1 G1, 2 B, 3 G2; None without a Bayer tile.
    pattern_shape
        Size of the repeating colour filter pattern; None if there is no filter array.
    colors, description
        Number of colours and their letters, such as ``"RGBG"``.
    black_level, white_level
        Digital numbers; black by LibRaw's colour index, which is plane order.
    camera_gains, daylight_gains
        White balance by colour index, any common factor; all zero if unknown.
    xyz_to_cam, color_matrix
        XYZ to camera and camera to linear sRGB; None where LibRaw does not know.
    flip
        LibRaw's turn: 0, 3 (half a turn), 5 (90° counter-clockwise), 6 (90° clockwise).
    iso, exposure_time
        Zero if unknown.
    """

    mosaic: npt.NDArray[np.uint16] | None
    shape: tuple[int, int]
    margins: tuple[int, int]
    tile: tuple[int, int, int, int] | None
    pattern_shape: tuple[int, ...] | None
    colors: int
    description: str
    black_level: Planes
    white_level: float
    camera_gains: tuple[float, ...]
    daylight_gains: tuple[float, ...]
    xyz_to_cam: Matrix | None
    color_matrix: Matrix | None
    flip: int
    iso: float
    exposure_time: float


def decode(path: str, data: bytes | None, *, pixels: bool) -> Decoded:
    """Decode a raw file.

    Parameters
    ----------
    path
        The file, and its name in messages.
    data
        The file's bytes, if they are already at hand.
    pixels
        Whether to copy the mosaic out.

    Raises
    ------
    UnreadableFileError
        If LibRaw does not know the file or finds it damaged.
    """
    with _opened(path, data) as raw:
        sizes = raw.sizes
        top, left = int(sizes.top_margin), int(sizes.left_margin)
        pattern = raw.raw_pattern
        image = raw.raw_image_visible
        flat = image is not None and image.ndim == 2 and image.dtype == np.uint16
        bayer = flat and pattern is not None and np.shape(pattern) == (2, 2)
        other = getattr(raw, "other", None)  # since rawpy 0.25
        return Decoded(
            # The view dies with the RawPy object: copy it while that is open.
            mosaic=np.array(image, order="C") if flat and pixels else None,
            shape=(int(sizes.height), int(sizes.width)),
            margins=(top, left),
            tile=_tile(raw, top, left) if bayer else None,
            pattern_shape=None if pattern is None else np.shape(pattern),
            colors=int(raw.num_colors),
            description=raw.color_desc.decode("ascii", "replace").rstrip("\0"),
            black_level=_planes(raw.black_level_per_channel),
            white_level=float(raw.white_level),
            camera_gains=tuple(float(g) for g in raw.camera_whitebalance),
            daylight_gains=tuple(float(g) for g in raw.daylight_whitebalance),
            xyz_to_cam=_xyz_to_cam(raw.rgb_xyz_matrix),
            color_matrix=_matrix(raw.color_matrix),
            flip=int(sizes.flip),
            iso=float(getattr(other, "iso_speed", 0.0)),
            exposure_time=float(getattr(other, "shutter_speed", 0.0)),
        )


def visible_shape(path: str, data: bytes | None) -> tuple[int, int]:
    """Return rows and columns of the visible mosaic without decoding a pixel.

    Raises
    ------
    UnreadableFileError
        If LibRaw does not know the file.
    """
    with _opened(path, data) as raw:
        return int(raw.sizes.height), int(raw.sizes.width)


@contextmanager
def _opened(path: str, data: bytes | None) -> Iterator[Any]:
    import rawpy

    # RawPy and not imread: unpacking starts no threads, so imread's warning about processes that
    # were forked does not concern us.
    raw: Any = rawpy.RawPy()
    try:
        if data is None:
            raw.open_file(path)
        else:
            raw.open_buffer(io.BytesIO(data))
        yield raw
    except (rawpy.LibRawFileUnsupportedError, rawpy.LibRawNotImplementedError) as error:
        raise UnreadableFileError(
            f"{path}: no raw file that LibRaw knows ({_words(error)}); {DAMAGED}"
        ) from error
    except (rawpy.LibRawError, OSError) as error:
        raise UnreadableFileError(
            f"{path}: damaged or cut short ({_words(error)}); {DAMAGED}"
        ) from error
    finally:
        raw.close()


def _words(error: Exception) -> str:
    first = error.args[0] if error.args else error
    text = first.decode("utf-8", "replace") if isinstance(first, bytes) else str(first)
    return f"LibRaw: {text.lower()}"


def _tile(raw: Any, top: int, left: int) -> tuple[int, int, int, int]:
    # raw_pattern starts at the full frame's corner: after an odd margin it is not the visible one.
    at = [int(raw.raw_color(top + y, left + x)) for y in (0, 1) for x in (0, 1)]
    return at[0], at[1], at[2], at[3]


def _planes(values: Any) -> Planes:
    red, green, blue, second = (float(v) for v in values)
    return red, green, blue, second


def _matrix(values: Any) -> Matrix | None:
    array = np.asarray(values, np.float64)[:3, :3]
    if array.shape != (3, 3) or not np.all(np.isfinite(array)) or not np.any(array):
        return None
    rows = [(float(a), float(b), float(c)) for a, b, c in array]
    return rows[0], rows[1], rows[2]


def _xyz_to_cam(values: Any) -> Matrix | None:
    # An unknown camera has zeros here; DualDn's rule takes any zero for that.
    matrix = _matrix(values)
    return None if matrix is None or 0.0 in np.asarray(matrix) else matrix
