"""Lens shading: the gains that make up for the light a lens loses towards the corners.

A sensor gets less light away from the optical axis: its mosaic is the clean one over the gain.
Noise is drawn on that, and the ISP multiplies by the gain, between black level and white balance,
so the corners of a picture are noisier than its centre.

The gain at a pixel is a function of the pixel's place in the full frame and of the frame's size:
the gains of a crop are the crop of the frame's gains, to the bit. A pixel (y, x) lies at its
centre, (y + 1/2, x + 1/2).

References
----------
Adobe, "Digital Negative (DNG) Specification", 1.7.1.0, chapter 7: FixVignetteRadial and GainMap.
"""

import math
import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from noisegen.cfa import Phase, planes
from noisegen.errors import InputError

TERMS = 5
"""Coefficients of the radial model: those of r², r⁴, r⁶, r⁸ and r¹⁰."""

_RADII = 4097  # as many as a frame has pixels from centre to corner: no dip is missed

Pair = tuple[float, float]
"""A value down the rows and one along the columns."""


@dataclass(frozen=True)
class Radial:
    """Gains that grow with the distance from an optical centre, the same in all planes.

    gain = 1 + k[0] r² + k[1] r⁴ + … + k[4] r¹⁰, with r = 1 at the corner of the frame that lies
    farthest from the centre: half the diagonal for a centred lens.

    Attributes
    ----------
    k
        One to five coefficients; missing ones are 0.
    centre
        (y, x) of the optical centre, from (0, 0) at the top left corner of the frame to (1, 1) at
        its bottom right one.

    Raises
    ------
    InputError
        If the gain is not above 0 everywhere, or a value is outside its range.
    """

    k: tuple[float, ...]
    centre: Pair = (0.5, 0.5)

    def __post_init__(self) -> None:
        """Check every value, and fill up the coefficients."""
        if not 1 <= len(self.k) <= TERMS or not all(map(math.isfinite, self.k)):
            raise InputError(f"radial shading {self.k}: one to {TERMS} finite coefficients")
        if not all(0 <= c <= 1 for c in self.centre):
            raise InputError(f"optical centre {self.centre}: (y, x) within [0, 1] is needed")
        object.__setattr__(self, "k", (*self.k, *(0.0,) * (TERMS - len(self.k))))
        if self.least <= 0:
            raise InputError(
                f"radial shading {self.k}: its gain falls to {self.least:g}; it must stay above 0"
            )

    @property
    def least(self) -> float:
        """The smallest gain between the centre and the corner."""
        squared = np.linspace(0, 1, _RADII)
        return float(np.polynomial.polynomial.polyval(squared, (1.0, *self.k)).min())

    @property
    def greatest(self) -> float:
        """A gain that no place exceeds."""
        return 1 + sum(max(k, 0.0) for k in self.k)

    def scale(self, frame: tuple[int, int]) -> tuple[float, float, float]:
        """Return the centre (y, x) in pixels and 1/m², m the distance to the farthest corner."""
        (height, width), (cy, cx) = frame, self.centre
        y, x = cy * height, cx * width
        farthest = max(y, height - y) ** 2 + max(x, width - x) ** 2
        return y, x, 1 / farthest


@dataclass(frozen=True, eq=False)
class GainMaps:
    """A grid of gains for each plane, interpolated bilinearly.

    Attributes
    ----------
    gains
        (4, V, H) float32, in the order of :data:`noisegen.cfa.PLANES`, above 0.
    origin
        Place of the first point, from (0, 0) at the top left corner of the frame to (1, 1) at its
        bottom right one. Beyond the outermost points the gain stays that of the nearest.
    spacing
        Distances of neighbouring points in the same units, above 0.

    Raises
    ------
    InputError
        If the grids are not as above.
    """

    gains: npt.NDArray[np.float32]
    origin: Pair = (0.0, 0.0)
    spacing: Pair = (1.0, 1.0)

    def __post_init__(self) -> None:
        """Check every value, and freeze the grids."""
        gains = np.array(self.gains, np.float32)
        if gains.ndim != 3 or gains.shape[0] != 4 or 0 in gains.shape:
            raise InputError(f"gain maps of shape {gains.shape}: (4, rows, columns) is needed")
        if not (np.isfinite(gains).all() and gains.min() > 0):
            raise InputError("gain maps: every gain must be finite and above 0")
        if not (all(map(math.isfinite, self.origin)) and all(0 < s < 9e9 for s in self.spacing)):
            raise InputError(
                f"gain maps from {self.origin} in steps of {self.spacing}: finite places and steps "
                "above 0 are needed"
            )
        gains.setflags(write=False)
        object.__setattr__(self, "gains", gains)

    @property
    def points(self) -> tuple[int, int]:
        """Rows and columns of the grid."""
        return self.gains.shape[1], self.gains.shape[2]

    def interpolated(
        self, rows: npt.NDArray[np.float64], columns: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64]:
        """Return the (4, rows, columns) gains at places in units of the frame."""
        v, above = self._cell(0, rows)
        h, left = self._cell(1, columns)
        gains = self.gains.astype(np.float64)
        below = np.minimum(v + 1, gains.shape[1] - 1)
        right = np.minimum(h + 1, gains.shape[2] - 1)
        lines = gains[:, v] + above[:, None] * (gains[:, below] - gains[:, v])
        out: npt.NDArray[np.float64] = lines[..., h] + left * (lines[..., right] - lines[..., h])
        return out

    def _cell(
        self, axis: int, places: npt.NDArray[np.float64]
    ) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float64]]:
        """Return the point before each place, and the share of the way to the next one."""
        at = (places - self.origin[axis]) / self.spacing[axis]
        at = np.clip(at, 0, self.points[axis] - 1)
        point = at.astype(np.intp)
        return point, at - point


@dataclass(frozen=True, eq=False)
class Shading:
    """The shading of one lens: the product of its radial model and its gain maps.

    Attributes
    ----------
    radial, maps
        What there is of them; nothing: the gain is 1.
    """

    radial: Radial | None = None
    maps: GainMaps | None = None

    def __bool__(self) -> bool:
        """Tell whether there is any shading."""
        return self.radial is not None or self.maps is not None

    @property
    def greatest(self) -> float:
        """A gain that no pixel exceeds."""
        radial = 1.0 if self.radial is None else self.radial.greatest
        return radial * (1.0 if self.maps is None else float(self.maps.gains.max()))

    def to_bytes(self) -> bytes:
        """Return the shading as bytes that :meth:`from_bytes` turns back; zeros may follow them."""
        radial, maps = self.radial or _FLAT, self.maps
        points, grid = ((0, 0), (0.0, 0.0, 1.0, 1.0))
        if maps is not None:
            points, grid = maps.points, (*maps.origin, *maps.spacing)
        head = _PACKED.pack(self.radial is not None, *points, *radial.k, *radial.centre, *grid)
        return head + (b"" if maps is None else maps.gains.astype("<f4").tobytes())

    @classmethod
    def from_bytes(cls, data: bytes) -> "Shading":
        """Turn :meth:`to_bytes` back.

        Raises
        ------
        ValueError
            If the bytes are no shading's.
        """
        try:
            has_radial, rows, columns, *values = _PACKED.unpack_from(data)
        except struct.error as error:
            raise ValueError(f"no lens shading: {error}") from None
        maps = None
        if rows:
            gains = np.frombuffer(data, "<f4", 4 * rows * columns, _PACKED.size)
            origin, spacing = (values[7], values[8]), (values[9], values[10])
            maps = GainMaps(gains.reshape(4, rows, columns), origin, spacing)
        radial = Radial(tuple(values[:TERMS]), (values[5], values[6])) if has_radial else None
        return cls(radial, maps)

    def at(self, frame: tuple[int, int], y: int = 0, x: int = 0) -> "LocalShading":
        """Return the shading of a mosaic whose first pixel is at (y, x) of a frame."""
        return LocalShading(self, frame, y, x)


@dataclass(frozen=True, eq=False)
class LocalShading:
    """A lens's shading as a mosaic, or a picture, of a part of the frame has it.

    Attributes
    ----------
    shading
        The lens's.
    frame
        (H, W) of the full frame.
    y, x
        Place in the frame of the first pixel. Pixels beyond the frame have the gain of those
        that they are a reflection of (reflect-101).
    """

    shading: Shading
    frame: tuple[int, int]
    y: int = 0
    x: int = 0

    def __post_init__(self) -> None:
        """Check the frame."""
        if min(self.frame) < 1:
            raise InputError(f"frame of {self.frame} pixels is empty")

    def moved(self, top: int, left: int) -> "LocalShading":
        """Return the shading of a window whose first pixel is at (top, left) of the mosaic."""
        return LocalShading(self.shading, self.frame, self.y + top, self.x + left)

    def gains(self, shape: tuple[int, int], phase: Phase) -> npt.NDArray[np.float64]:
        """Return the (H, W) gains of a mosaic of a phase: plainly, in double precision.

        The kernels compute the same row by row.
        """
        rows = _reflected(self.y + np.arange(shape[0]), self.frame[0]) + 0.5
        columns = _reflected(self.x + np.arange(shape[1]), self.frame[1]) + 0.5
        out = np.ones(shape)
        if self.shading.radial is not None:
            cy, cx, scale = self.shading.radial.scale(self.frame)
            squared = ((rows[:, None] - cy) ** 2 + (columns - cx) ** 2) * scale
            out *= np.polynomial.polynomial.polyval(squared, (1.0, *self.shading.radial.k))
        if self.shading.maps is not None:
            maps = self.shading.maps
            every = maps.interpolated(rows / self.frame[0], columns / self.frame[1])
            for (dy, dx), plane in np.ndenumerate(planes(phase)):
                out[dy::2, dx::2] *= every[plane, dy::2, dx::2]
        return out

    def kernel_arguments(
        self, phase: Phase
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float32]]:
        """Return what :mod:`noisegen.kernels.shading` takes: numbers, and the maps by position."""
        radial, maps = self.shading.radial or _FLAT, self.shading.maps
        numbers = [*self.frame, self.y, self.x, *radial.scale(self.frame), *radial.k]
        if maps is None:
            return np.array([*numbers, 0, 0, 1, 1], np.float64), NO_MAPS
        # A cell has two points on each side.
        repeats = [(0, 0), *((0, 1) if n == 1 else (0, 0) for n in maps.points)]
        by_position = np.pad(maps.gains, repeats, mode="edge")[planes(phase)]
        numbers += [*maps.origin, *maps.spacing]
        return np.array(numbers, np.float64), np.ascontiguousarray(by_position)


_FLAT = Radial((0.0,))

_PACKED = struct.Struct("<3I11d")  # radial or not, points, five k, centre, origin, spacing

NO_MAPS: npt.NDArray[np.float32] = np.empty((2, 2, 0, 0), np.float32)
"""Gain maps by position of a shading that has none."""


def _reflected(i: npt.NDArray[np.intp], n: int) -> npt.NDArray[np.intp]:
    """Return where reflect-101 continuation takes samples ``i`` of ``n`` from."""
    if n == 1:
        return np.zeros_like(i)
    i = i % (2 * n - 2)
    return np.minimum(i, 2 * n - 2 - i)
