"""Put together what LibRaw, the tags and EXIF say: one metadata record with its origins.

A DNG's levels, colours and noise come from its own tags; other formats keep them in makers' notes
that LibRaw knows. LibRaw's pixels start at its visible area, which may begin a row or a column
later than the DNG's active area (it rounds odd margins up): patterns are turned to that origin.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from noisegen import cfa
from noisegen.errors import UnreadableFileError
from noisegen.raw.exif import Exif, read_exif
from noisegen.raw.files import DAMAGED
from noisegen.raw.libraw import Decoded
from noisegen.raw.metadata import (
    UNIT_GAINS,
    UNKNOWN_GAINS,
    Planes,
    RawMetadata,
    Triple,
    choose_matrix,
    gains_of_neutral,
    neutral_of_gains,
)
from noisegen.raw.opcodes import Opcodes
from noisegen.raw.tags import DngTags


def assemble(path: str, data: bytes | None, tags: DngTags | None, decoded: Decoded) -> RawMetadata:
    """Return the metadata of a file that is known to hold a Bayer mosaic.

    Parameters
    ----------
    path, data
        The file's name, and its bytes if they are at hand.
    tags
        A DNG's tags; None for any other format.
    decoded
        What LibRaw made of the file.

    Raises
    ------
    UnreadableFileError
        If the levels make no sense.
    """
    phase = cfa.from_planes(decoded.tile or ())
    exif = Exif() if tags is not None else read_exif(path, data)
    black, black_origin = _black(tags, decoded, phase)
    white, white_origin = decoded.white_level, "LibRaw"
    if tags is not None and tags.white_level is not None:
        white, white_origin = tags.white_level, tags.where["white_level"]
    if not (math.isfinite(white) and max(black) < white and min(black) >= 0):
        raise UnreadableFileError(
            f"{path}: white level {white:g} is not above black level {max(black):g}, or black is "
            f"below 0; {DAMAGED}"
        )
    bits, bits_origin = math.ceil(math.log2(white + 1)), "white level"
    if tags is not None and 0 < tags.bits <= bits:
        bits, bits_origin = tags.bits, "BitsPerSample"
    neutral, gains, gains_origin = _white_balance(tags, decoded)
    matrices = () if tags is None else tags.color_matrices
    chosen, chosen_origin = choose_matrix(matrices, decoded.xyz_to_cam)
    noise, noise_origin = _noise(tags, decoded, phase)
    where = {} if tags is None else tags.where
    orientation = 0 if tags is None else tags.orientation
    said: Exif | DngTags = exif if tags is None else tags
    given = "exifread"
    # LibRaw makes exposures up where a DNG has none, and then knows no ISO either.
    guess_iso = decoded.iso if tags is None else 0.0
    guess_exposure = decoded.exposure_time if guess_iso > 0 else 0.0
    iso, exposure = said.iso or guess_iso, said.exposure_time or guess_exposure
    return RawMetadata(
        path=path,
        shape=decoded.shape,
        cfa=phase,
        black_level=black,
        white_level=float(white),
        bits=bits,
        as_shot_neutral=neutral,
        white_balance=gains,
        color_matrices=matrices,
        xyz_to_cam=chosen,
        color_matrix=decoded.color_matrix,
        noise_profile=noise,
        orientation=orientation if 1 <= orientation <= 8 else _ORIENTATION.get(decoded.flip, 1),
        make=said.make,
        model=said.model,
        iso=iso if iso > 0 else None,
        exposure_time=exposure if exposure > 0 else None,
        opcodes=_opcodes(tags, decoded),
        origin={
            "cfa": "LibRaw, at the visible origin",
            "black_level": black_origin,
            "white_level": white_origin,
            "bits": bits_origin,
            "as_shot_neutral": gains_origin if neutral is not None else "unknown",
            "white_balance": gains_origin,
            "color_matrices": where.get("color_matrices", "none in the file"),
            "xyz_to_cam": chosen_origin,
            "color_matrix": "unknown" if decoded.color_matrix is None else "LibRaw",
            "noise_profile": noise_origin,
            "opcodes": _opcodes_origin(tags),
            "orientation": where["orientation"] if 1 <= orientation <= 8 else "LibRaw",
            "make": where.get("make", given) if said.make else "unknown",
            "model": where.get("model", given) if said.model else "unknown",
            "iso": _found(said.iso, where.get("iso", given), guess_iso),
            "exposure_time": _found(
                said.exposure_time, where.get("exposure_time", given), guess_exposure
            ),
        },
    )


# LibRaw's turn to EXIF orientation.
_ORIENTATION = {0: 1, 3: 3, 5: 8, 6: 6}


def _opcodes(tags: DngTags | None, decoded: Decoded) -> Opcodes:
    """Move the active area to where the visible mosaic starts."""
    if tags is None:
        return Opcodes()
    _, _, height, width = tags.opcodes.active_area
    return replace(tags.opcodes, active_area=(*_from_visible(tags, decoded), height, width))


def _opcodes_origin(tags: DngTags | None) -> str:
    if tags is None:
        return "none in the file"
    where = tags.where
    lists = [where[n] for n in ("opcode_list_2", "opcode_list_3") if n in where]
    origin = " and ".join(lists) or "none in the file"
    if tags.opcodes.problem:
        return f"{origin}, damaged: {tags.opcodes.problem}"
    ignored = ", ".join(tags.opcodes.ignored)
    return f"{origin}, ignored: {ignored}" if ignored else origin


def _found(value: float | None, where: str, fallback: float) -> str:
    if value:
        return where
    return "LibRaw" if fallback > 0 else "unknown"


def _black(tags: DngTags | None, decoded: Decoded, phase: cfa.Phase) -> tuple[Planes, str]:
    if tags is None or not tags.black_level:
        by_index = np.asarray(decoded.black_level)[list(decoded.tile or ())]
        return cfa.from_position(by_index, phase), "LibRaw"
    rows, columns = tags.black_shape
    # The pattern starts at the active area, which LibRaw's visible area may cut by a row or column.
    pattern = np.reshape(tags.black_level, (rows, columns))
    whole = np.roll(np.tile(pattern, (2, 2)), _from_visible(tags, decoded), axis=(0, 1))
    tile = [whole[y::2, x::2] for y in (0, 1) for x in (0, 1)]
    origin = tags.where["black_level"]
    if any(np.ptp(part) for part in tile):
        origin += f", a {rows}x{columns} pattern averaged by position"
    return cfa.from_position([part.mean() for part in tile], phase), origin


def _from_visible(tags: DngTags, decoded: Decoded) -> tuple[int, int]:
    """Return the shift that brings a pattern of the active area to the visible origin."""
    return tags.origin_yx[0] - decoded.margins[0], tags.origin_yx[1] - decoded.margins[1]


def _white_balance(tags: DngTags | None, decoded: Decoded) -> tuple[Triple | None, Triple, str]:
    if tags is not None and tags.as_shot_neutral is not None:
        neutral = tags.as_shot_neutral
        return neutral, gains_of_neutral(neutral), tags.where["as_shot_neutral"]
    if _usable(decoded.camera_gains):
        neutral = neutral_of_gains(decoded.camera_gains)
        return neutral, gains_of_neutral(neutral), "LibRaw, as shot"
    # LibRaw's daylight gains are all one for cameras that it does not know.
    if _usable(decoded.daylight_gains) and len(set(decoded.daylight_gains[:3])) > 1:
        daylight = neutral_of_gains(decoded.daylight_gains)
        return None, gains_of_neutral(daylight), "LibRaw, daylight (none recorded as shot)"
    return None, UNIT_GAINS, UNKNOWN_GAINS


def _usable(gains: Sequence[float]) -> bool:
    return all(math.isfinite(g) and g > 0 for g in gains[:3])


def _noise(
    tags: DngTags | None, decoded: Decoded, phase: cfa.Phase
) -> tuple[tuple[Planes, Planes] | None, str]:
    if tags is None or not tags.noise_profile:
        return None, "none in the file"
    where = tags.where["noise_profile"]
    numbers = np.asarray(tags.noise_profile)
    if numbers.size not in (2, 6, 8) or not np.all(np.isfinite(numbers)):
        return None, f"{where} ignored: {numbers.size} numbers, 1, 3 or 4 finite pairs expected"
    shot, read_variance = numbers[0::2], numbers[1::2]
    if np.any(shot < 0):
        return None, f"{where} ignored: a negative shot variance"
    if np.any(read_variance < 0):
        read_variance = np.maximum(read_variance, 0)
        where += ", negative read variance taken as 0"
    return (
        _pairs_to_planes(shot, tags, decoded, phase),
        _pairs_to_planes(read_variance, tags, decoded, phase),
    ), where


def _pairs_to_planes(
    values: npt.NDArray[np.float64], tags: DngTags, decoded: Decoded, phase: cfa.Phase
) -> Planes:
    if values.size == 1:
        value = float(values[0])
        return value, value, value, value
    if values.size == 3:
        red, green, blue = (float(v) for v in values)
        return red, green, blue, green
    # Four pairs are no DNG standard; phones write Android's, by position in the mosaic.
    tile = np.roll(values.reshape(2, 2), _from_visible(tags, decoded), axis=(0, 1))
    return cfa.from_position(tile, phase)
