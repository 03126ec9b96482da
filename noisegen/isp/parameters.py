"""What the ISP needs to know about one picture, and the names of its stages and options."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from noisegen import jpeg
from noisegen.errors import InputError
from noisegen.isp.color import Reference, multiply, xyz_to_srgb

Demosaic = Literal["nearest", "bilinear", "malvar", "ahd"]
"""Demosaicers: pixel repetition, bilinear, Malvar-He-Cutler 2004, DualDn's simplified AHD."""

Gamma = Literal["srgb", "rec709", "2.2"]
"""Transfer functions: IEC 61966-2-1, ITU-R BT.709, the power 1/2.2."""

Stage = Literal["shading", "white_balance", "demosaic", "rgb_to_srgb", "gamma", "tone_mapping"]
"""Stages in their order."""

Matrix3 = tuple[tuple[float, float, float], tuple[float, float, float], tuple[float, float, float]]

DEMOSAICS: tuple[Demosaic, ...] = get_args(Demosaic)
GAMMAS: tuple[Gamma, ...] = get_args(Gamma)
REFERENCES: tuple[Reference, ...] = get_args(Reference)
STAGES: tuple[Stage, ...] = get_args(Stage)

HALO: dict[Demosaic, int] = {"nearest": 2, "bilinear": 2, "malvar": 2, "ahd": 4}
"""Pixels of context a demosaicer needs on every side, rounded up to keep the CFA phase."""

FINISH_LIMITS: dict[str, tuple[float, float]] = {
    "luma": (0, 1),
    "luma_radius": (1, 4),
    "chroma": (0, 1),
    "chroma_radius": (1, 16),
    "sharpen": (0, 5),
    "sharpen_radius": (0.3, 5),
    "resize": (1, 8),
    "quality": (1, 100),
}
"""Least and greatest value of each number in :class:`FinishParameters`."""


@dataclass(frozen=True)
class IspParameters:
    """Parameters of the ISP for one picture.

    Attributes
    ----------
    white_balance
        Gains of R, G, B with any common factor; the ISP divides by the smallest.
    cam_to_xyz
        Camera to XYZ matrix that keeps (1, 1, 1), see :mod:`noisegen.isp.color`.
    reference
        White point of that XYZ.
    demosaic, gamma
        Which demosaicer and which transfer function.
    alpha
        Strength of the tone curve z + alpha z (1 - z), applied twice; 0 is none. Within [-1, 1]
        the curve is monotone on [0, 1].
    clip_black
        White balance clamps to [1e-8, 1] as published; False clamps at 1 only, which keeps the
        noise below black.

    Raises
    ------
    InputError
        If a value is outside its range or no such option exists.
    """

    white_balance: tuple[float, float, float]
    cam_to_xyz: Matrix3
    reference: Reference = "D65"
    demosaic: Demosaic = "malvar"
    gamma: Gamma = "srgb"
    alpha: float = 0.0
    clip_black: bool = True

    def __post_init__(self) -> None:
        """Check every value."""
        if len(self.white_balance) != 3 or not all(
            np.isfinite(g) and g > 0 for g in self.white_balance
        ):
            raise InputError(
                f"white balance {self.white_balance}: three gains above 0 are needed (R, G, B)"
            )
        if np.shape(self.cam_to_xyz) != (3, 3) or not np.all(np.isfinite(self.cam_to_xyz)):
            raise InputError(f"cam_to_xyz {self.cam_to_xyz}: a finite 3x3 matrix is needed")
        if not -1 <= self.alpha <= 1:
            raise InputError(f"tone alpha {self.alpha} is outside [-1, 1]")
        check_option("reference", self.reference, REFERENCES)
        check_option("demosaic", self.demosaic, DEMOSAICS)
        check_option("gamma", self.gamma, GAMMAS)

    @property
    def gains(self) -> tuple[float, float, float]:
        """White balance gains divided by the smallest."""
        low = min(self.white_balance)
        red, green, blue = self.white_balance
        return red / low, green / low, blue / low

    @property
    def ccm(self) -> npt.NDArray[np.float64]:
        """(3, 3) matrix from white-balanced camera RGB to linear sRGB."""
        return multiply(xyz_to_srgb(self.reference), self.cam_to_xyz)


@dataclass(frozen=True)
class FinishParameters:
    """What is done to one picture after its tone curve; the defaults do nothing.

    Attributes
    ----------
    luma, chroma
        Strengths of the noise reduction: differences (of Y from 0 to 1, of Cb and Cr from -0.5 to
        0.5) well above it are kept, those below are smoothed. 0 is off.
    noise
        Curve that both strengths are multiplied by, over the luma of a pixel: its values at luma 0
        to 1 in even steps, linear between. Empty: 1 everywhere.
    luma_radius
        Reach of the luma filter in pixels; its spatial weights have a standard deviation of
        ``sqrt(luma_radius / 2)``.
    chroma_radius
        Radius of the chroma filter's window; the filter reaches twice as far.
    sharpen
        Amount of the unsharp mask; 0 is off.
    sharpen_radius
        Standard deviation of its blur, in pixels; it reaches three of them.
    resize
        Input pixels per output pixel; 1 is off.
    quality
        JPEG quality on libjpeg's scale from 1 to 100; None is off.
    subsampling
        Of the JPEG's colours.

    Raises
    ------
    InputError
        If a value makes no sense.
    """

    luma: float = 0.0
    luma_radius: int = 1
    chroma: float = 0.0
    chroma_radius: int = 3
    sharpen: float = 0.0
    sharpen_radius: float = 0.8
    resize: float = 1.0
    quality: int | None = None
    subsampling: jpeg.Subsampling = "4:2:0"
    noise: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Check every value."""
        for name, (low, high) in FINISH_LIMITS.items():
            value = getattr(self, name)
            if name == "quality" and value is None:
                continue
            if not low <= value <= high:
                raise InputError(f"finish: {_NAMES[name]} {value} is not from {low:g} to {high:g}")
            if name in _WHOLE and value != int(value):
                raise InputError(f"finish: {_NAMES[name]} {value} is not a whole number")
        if len(self.noise) == 1 or not all(0 <= value < np.inf for value in self.noise):
            raise InputError(
                f"finish: noise {self.noise}: two or more finite values from 0 on are needed"
            )
        check_option("JPEG subsampling", self.subsampling, jpeg.SUBSAMPLINGS)

    @property
    def changes_pixels(self) -> bool:
        """Whether anything but rounding is done."""
        filters = self.luma > 0 or self.chroma > 0 or self.sharpen > 0
        return filters or self.resize != 1 or self.quality is not None

    @property
    def filter_reach(self) -> int:
        """Pixels that noise reduction and sharpening together look beyond a pixel."""
        return max(self.luma_reach + self.sharpen_reach, self.chroma_reach)

    @property
    def block(self) -> tuple[int, int]:
        """Height and width of the grid that the JPEG works on; (1, 1) without one."""
        return (1, 1) if self.quality is None else jpeg.UNIT[self.subsampling]

    @property
    def luma_reach(self) -> int:
        """Pixels that the luma filter looks beyond a pixel."""
        return self.luma_radius if self.luma > 0 else 0

    @property
    def chroma_reach(self) -> int:
        """Pixels that the chroma filter looks beyond a pixel."""
        return 2 * self.chroma_radius if self.chroma > 0 else 0

    @property
    def sharpen_reach(self) -> int:
        """Pixels that the sharpening looks beyond a pixel."""
        return math.ceil(3 * self.sharpen_radius) if self.sharpen > 0 else 0


_NAMES = {name: name.replace("_", " ") for name in FINISH_LIMITS} | {"quality": "JPEG quality"}
_WHOLE = ("luma_radius", "chroma_radius", "quality")


def check_option(what: str, value: str, known: tuple[str, ...]) -> None:
    """Raise :class:`InputError` unless ``value`` is one of ``known``."""
    if value not in known:
        raise InputError(f"no {what} is called '{value}'; there are {', '.join(known)}")
