"""What the ISP needs to know about one picture, and the names of its stages and options."""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from noisegen.errors import InputError
from noisegen.isp.color import Reference, multiply, xyz_to_srgb

Demosaic = Literal["nearest", "bilinear", "malvar", "ahd"]
"""Demosaicers: pixel repetition, bilinear, Malvar-He-Cutler 2004, DualDn's simplified AHD."""

Gamma = Literal["srgb", "rec709", "2.2"]
"""Transfer functions: IEC 61966-2-1, ITU-R BT.709, the power 1/2.2."""

Stage = Literal["white_balance", "demosaic", "rgb_to_srgb", "gamma", "tone_mapping"]
"""Stages in their order."""

Matrix3 = tuple[tuple[float, float, float], tuple[float, float, float], tuple[float, float, float]]

DEMOSAICS: tuple[Demosaic, ...] = get_args(Demosaic)
GAMMAS: tuple[Gamma, ...] = get_args(Gamma)
REFERENCES: tuple[Reference, ...] = get_args(Reference)
STAGES: tuple[Stage, ...] = get_args(Stage)

HALO: dict[Demosaic, int] = {"nearest": 2, "bilinear": 2, "malvar": 2, "ahd": 4}
"""Pixels of context a demosaicer needs on every side, rounded up to keep the CFA phase."""


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


def check_option(what: str, value: str, known: tuple[str, ...]) -> None:
    """Raise :class:`InputError` unless ``value`` is one of ``known``."""
    if value not in known:
        raise InputError(f"no {what} is called '{value}'; there are {', '.join(known)}")
