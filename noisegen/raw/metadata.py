"""What a raw file says about itself, as one frozen value.

Every per-plane quantity is in the order of :data:`noisegen.cfa.PLANES` (R, G1, B, G2), every
matrix acts on column vectors, and :attr:`RawMetadata.origin` names where each value was found.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from noisegen.cfa import Phase
from noisegen.isp.illuminant import KELVIN
from noisegen.raw.opcodes import Opcodes

Planes = tuple[float, float, float, float]
"""One value a plane: R, G1, B, G2."""

Triple = tuple[float, float, float]
"""One value a colour: R, G, B."""

Matrix = tuple[Triple, Triple, Triple]
"""A 3x3 matrix, row by row."""

D65 = 21
"""EXIF LightSource code of the D65 illuminant."""

UNIT_GAINS: Triple = (1.0, 1.0, 1.0)
"""White balance of a file that recorded none."""

UNKNOWN_GAINS = "unknown: unit gains"
"""What ``origin`` says of it."""


@dataclass(frozen=True)
class RawMetadata:
    """Levels, colours and circumstances of one Bayer mosaic.

    Parameters
    ----------
    path
        Where the mosaic came from: a path or URL, as it was given.
    shape
        Rows and columns of the visible mosaic.
    cfa
        Phase at the mosaic's first pixel.
    black_level
        Digital numbers, one a plane (R, G1, B, G2).
    white_level
        Digital number at which the sensor saturates.
    bits
        Bits of one code: those the file packs its codes in or, where fewer, those the white level
        needs. None if neither is known.
    as_shot_neutral
        Camera RGB of a neutral object in the scene's light, any common factor; None if the camera
        recorded none.
    white_balance
        Gains of R, G, B with green 1, as shot; LibRaw's daylight gains where the camera recorded
        none, and (1, 1, 1) where nothing is known (see ``origin["white_balance"]``).
    color_matrices
        Pairs (EXIF illuminant code, XYZ to camera matrix) of the file's ColorMatrix tags; the code
        is 0 where the file names no illuminant.
    xyz_to_cam
        The XYZ to camera matrix to develop with: see :func:`choose_matrix`; None if unknown.
    color_matrix
        LibRaw's camera to linear sRGB matrix, for cameras without ``xyz_to_cam``; None if unknown.
    noise_profile
        Shot and read variances, one a plane each, of DNG's NoiseProfile: variance = shot·x + read
        with x = (DN - black) / (white - black). None if the file has none.
    orientation
        EXIF orientation, 1 to 8. The mosaic itself is never turned.
    make, model
        Of the camera; empty if unknown.
    iso
        ISO speed; None if unknown.
    exposure_time
        Seconds; None if unknown.
    opcodes
        What a DNG's opcode lists say of lens shading (:func:`noisegen.raw.recorded_shading`).
    origin
        Field name to where its value was found, in words.
    """

    path: str
    shape: tuple[int, int]
    cfa: Phase
    black_level: Planes
    white_level: float
    bits: int | None = None
    as_shot_neutral: Triple | None = None
    white_balance: Triple = UNIT_GAINS
    color_matrices: tuple[tuple[int, Matrix], ...] = ()
    xyz_to_cam: Matrix | None = None
    color_matrix: Matrix | None = None
    noise_profile: tuple[Planes, Planes] | None = None
    orientation: int = 1
    make: str = ""
    model: str = ""
    iso: float | None = None
    exposure_time: float | None = None
    opcodes: Opcodes = field(default_factory=Opcodes, compare=False)
    origin: Mapping[str, str] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        """Freeze ``origin`` too."""
        object.__setattr__(self, "origin", MappingProxyType(dict(self.origin)))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by fields: the read-only view of ``origin`` cannot be pickled."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return _rebuild, ({**values, "origin": dict(self.origin)},)


@dataclass(frozen=True, eq=False)
class RawImage:
    """A mosaic and what is known about it.

    Parameters
    ----------
    mosaic
        (H, W) uint16 digital numbers, not black-subtracted, not turned.
    metadata
        Its levels, colours and circumstances.
    """

    mosaic: npt.NDArray[np.uint16]
    metadata: RawMetadata


def choose_matrix(
    matrices: Sequence[tuple[int, Matrix]], table: Matrix | None
) -> tuple[Matrix | None, str]:
    """Choose the XYZ to camera matrix to develop with.

    In this order: the file's ColorMatrix for D65; LibRaw's own table, which holds Adobe's D65
    matrices by camera name; the file's ColorMatrix for the light nearest to D65, the last one where
    no light is named.

    Parameters
    ----------
    matrices
        Pairs (EXIF illuminant code, XYZ to camera matrix).
    table
        LibRaw's ``rgb_xyz_matrix``; None if it does not know the camera.

    Returns
    -------
    matrix, origin
        The matrix or None, and where it came from.
    """
    for illuminant, matrix in matrices:
        if illuminant == D65:
            return matrix, "ColorMatrix for D65"
    if table is not None:
        return table, "LibRaw's table of cameras"
    if not matrices:
        return None, "unknown"
    illuminant, matrix = min(
        reversed(matrices), key=lambda pair: abs(KELVIN.get(pair[0], 0) - KELVIN[D65])
    )
    named = f"illuminant {illuminant}" if illuminant else "an unnamed illuminant"
    return matrix, f"ColorMatrix for {named}"


def gains_of_neutral(neutral: Triple) -> Triple:
    """Return the white balance gains (green 1) that turn ``neutral`` into grey."""
    red, green, blue = neutral
    return green / red, 1.0, green / blue


def neutral_of_gains(gains: Sequence[float]) -> Triple:
    """Return the neutral (green 1) that the gains of R, G, B turn into grey."""
    red, green, blue = gains[:3]
    return green / red, 1.0, green / blue


def _rebuild(values: dict[str, Any]) -> RawMetadata:
    return RawMetadata(**values)
