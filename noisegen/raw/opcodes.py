"""DNG opcode lists, as far as they say something of lens shading: GainMap and FixVignetteRadial.

Opcodes are always big-endian. What they say is kept as the file has it, in coordinates of the DNG's
active area; :mod:`noisegen.raw.shading` makes a lens's shading of it.

References
----------
Adobe, "Digital Negative (DNG) Specification", 1.7.1.0, chapter 7.
"""

import math
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Pair = tuple[float, float]
"""A value down the rows and one along the columns."""

_GAIN_MAP, _VIGNETTE = 9, 3
_NAMES = {
    1: "WarpRectilinear", 2: "WarpFisheye", 3: "FixVignetteRadial", 4: "FixBadPixelsConstant",
    5: "FixBadPixelsList", 6: "TrimBounds", 7: "MapTable", 8: "MapPolynomial", 9: "GainMap",
    10: "DeltaPerRow", 11: "DeltaPerColumn", 12: "ScalePerRow", 13: "ScalePerColumn",
    14: "WarpRectilinear2",
}  # fmt: skip
_VERSION = 0x01030000  # of DNG, which opcodes came with
_OPTIONAL = 1

_HEADER = struct.Struct(">4I")
_AREA_AND_GRID = struct.Struct(">4i6I4dI")
_RADIAL = struct.Struct(">7d")


@dataclass(frozen=True, eq=False)
class GainMap:
    """One GainMap opcode.

    Attributes
    ----------
    gains
        (rows, columns, map planes) float32, above 0.
    area
        (top, left, bottom, right) of the pixels that it multiplies; bottom and right excluded.
    pitch
        Step between these pixels, down and across: 2 for a plane of a CFA.
    planes
        First plane of the picture that is multiplied, and how many.
    origin, spacing
        Place of the first point and distances of neighbours, where the active area is 1 by 1.
    opcode_list
        2 (applied to the mosaic) or 3 (after demosaicing).
    """

    gains: npt.NDArray[np.float32]
    area: tuple[int, int, int, int]
    pitch: tuple[int, int] = (1, 1)
    planes: tuple[int, int] = (0, 1)
    origin: Pair = (0.0, 0.0)
    spacing: Pair = (1.0, 1.0)
    opcode_list: int = 2


@dataclass(frozen=True)
class FixVignetteRadial:
    """One FixVignetteRadial opcode: gain = 1 + k[0] r² + … + k[4] r¹⁰.

    Attributes
    ----------
    k
        Five coefficients.
    centre
        (y, x) of the optical centre, where the active area is 1 by 1.
    """

    k: tuple[float, float, float, float, float]
    centre: Pair = (0.5, 0.5)


@dataclass(frozen=True, eq=False)
class Opcodes:
    """What a file's opcode lists 2 and 3 say of lens shading.

    Attributes
    ----------
    gain_maps, vignettes
        The opcodes, in their order.
    ignored
        Names of all others, with their list.
    problem
        What is wrong with a damaged list; empty if nothing.
    active_area
        (top, left, height, width) of the DNG's active area, which coordinates refer to, on the
        visible mosaic; (0, 0, 0, 0) where there are no opcodes.
    """

    gain_maps: tuple[GainMap, ...] = ()
    vignettes: tuple[FixVignetteRadial, ...] = ()
    ignored: tuple[str, ...] = ()
    problem: str = ""
    active_area: tuple[int, int, int, int] = (0, 0, 0, 0)


def parse(lists: Sequence[tuple[int, bytes]]) -> Opcodes:
    """Read opcode lists.

    Parameters
    ----------
    lists
        Pairs of a list's number (2 or 3) and its bytes.
    """
    maps: list[GainMap] = []
    vignettes: list[FixVignetteRadial] = []
    ignored: list[str] = []
    try:
        for number, data in lists:
            for code, body in _split(number, data):
                if code == _GAIN_MAP:
                    maps.append(_gain_map(number, body))
                elif code == _VIGNETTE:
                    vignettes.append(_vignette(number, body))
                else:
                    name = _NAMES.get(code, f"opcode {code}")
                    ignored.append(f"{name} (OpcodeList{number})")
    except ValueError as error:
        return Opcodes(ignored=tuple(ignored), problem=str(error))
    return Opcodes(tuple(maps), tuple(vignettes), tuple(ignored))


def encode(opcodes: Sequence[GainMap | FixVignetteRadial]) -> bytes:
    """Return the bytes of one opcode list."""
    parts = [struct.pack(">I", len(opcodes))]
    for opcode in opcodes:
        code, body = (
            (_GAIN_MAP, _gain_map_bytes(opcode))
            if isinstance(opcode, GainMap)
            else (_VIGNETTE, _RADIAL.pack(*opcode.k, *reversed(opcode.centre)))
        )
        parts += [_HEADER.pack(code, _VERSION, _OPTIONAL, len(body)), body]
    return b"".join(parts)


def _split(number: int, data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield code and parameters of each opcode of a list."""
    where = f"OpcodeList{number}"
    if len(data) < 4:
        raise ValueError(f"{where} has {len(data)} bytes, at least 4 expected")
    (count,) = struct.unpack_from(">I", data)
    at = 4
    for i in range(count):
        if at + _HEADER.size > len(data):
            raise ValueError(f"{where} ends before opcode {i + 1} of {count}")
        code, _, _, size = _HEADER.unpack_from(data, at)
        at += _HEADER.size
        if at + size > len(data):
            raise ValueError(f"{where} ends within opcode {i + 1} of {count}")
        yield code, data[at : at + size]
        at += size


def _gain_map(number: int, body: bytes) -> GainMap:
    where = f"OpcodeList{number}: a GainMap"
    if len(body) < _AREA_AND_GRID.size:
        raise ValueError(f"{where} of {len(body)} bytes, at least {_AREA_AND_GRID.size} expected")
    (
        top, left, bottom, right, plane, planes, row_pitch, column_pitch, rows, columns,
        step_v, step_h, origin_v, origin_h, map_planes,
    ) = _AREA_AND_GRID.unpack_from(body)  # fmt: skip
    points = rows * columns * map_planes
    if points == 0 or len(body) != _AREA_AND_GRID.size + 4 * points:
        raise ValueError(
            f"{where} of {rows} x {columns} points in {map_planes} planes has {len(body)} bytes, "
            f"{_AREA_AND_GRID.size + 4 * points} expected"
        )
    if 0 in (planes, row_pitch, column_pitch) or top >= bottom or left >= right:
        raise ValueError(f"{where} that multiplies no pixels")
    # A single point down or across is constant there, whatever its place.
    origin = (origin_v if rows > 1 else 0.0, origin_h if columns > 1 else 0.0)
    spacing = (step_v if rows > 1 else 1.0, step_h if columns > 1 else 1.0)
    if not all(map(math.isfinite, (*origin, *spacing))) or min(spacing) <= 0:
        raise ValueError(f"{where} with points from {origin} in steps of {spacing}")
    gains = np.frombuffer(body, ">f4", points, _AREA_AND_GRID.size).astype(np.float32)
    if not (np.isfinite(gains).all() and gains.min() > 0):
        raise ValueError(f"{where} with gains that are not finite and above 0")
    return GainMap(
        gains.reshape(rows, columns, map_planes),
        (top, left, bottom, right),
        (row_pitch, column_pitch),
        (plane, planes),
        origin,
        spacing,
        number,
    )


def _gain_map_bytes(opcode: GainMap) -> bytes:
    rows, columns, map_planes = opcode.gains.shape
    head = _AREA_AND_GRID.pack(
        *opcode.area, *opcode.planes, *opcode.pitch, rows, columns, *opcode.spacing,
        *opcode.origin, map_planes,
    )  # fmt: skip
    return head + opcode.gains.astype(">f4").tobytes()


def _vignette(number: int, body: bytes) -> FixVignetteRadial:
    where = f"OpcodeList{number}: a FixVignetteRadial"
    if len(body) != _RADIAL.size:
        raise ValueError(f"{where} of {len(body)} bytes, {_RADIAL.size} expected")
    k0, k1, k2, k3, k4, x, y = _RADIAL.unpack(body)
    if not all(map(math.isfinite, (k0, k1, k2, k3, k4, x, y))):
        raise ValueError(f"{where} with values that are not finite")
    return FixVignetteRadial((k0, k1, k2, k3, k4), (y, x))
