"""What DualDn's code does to raws of Apple's phones: their light and noise from the maker notes.

The exposure ratio r = AETarget / AEAverage sqrt((LightValue - BrightnessValue) BaselineExposure);
the mosaic is multiplied by max(r, 1) and cut, K = r mean(y) / 10^(SignalToNoiseRatio / 10) of that,
and S becomes r S.

References
----------
R. Li et al., "DualDn: Dual-domain Denoising via Differentiable ISP", ECCV 2024, and its code. Names
and numbers of the maker notes' tags are those of ExifTool.
"""

import math
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from denoisers.inference import exif
from denoisers.inference.raws import Noise, Picture
from noisegen.errors import InputError

APPLE = "Apple"
"""Make of the files that the rule is for."""

_NOTES = b"Apple iOS\0"
_NOTES_DIRECTORY = 14
"""Where the directory of the maker notes begins; their offsets count from their first byte."""

_EXIF, _MAKER_NOTES = 34665, 37500
_OF_FILE = {"BaselineExposure": 50730}
_OF_EXIF = {
    "ExposureTime": 33434,
    "FNumber": 33437,
    "ISOSpeedRatings": 34855,
    "BrightnessValue": 37379,
}
_OF_NOTES = {"AETarget": 0x0005, "AEAverage": 0x0006, "SignalToNoiseRatio": 0x0027}

_NUMBERS = {3: "H", 4: "I", 5: "II", 8: "h", 9: "i", 10: "ii"}
"""Formats of the kinds of numbers that these tags have."""


@dataclass(frozen=True)
class Exposure:
    """Exposure of a raw of Apple's phones.

    Attributes
    ----------
    ratio
        r.
    signal_to_noise
        In dB.
    """

    ratio: float
    signal_to_noise: float

    def applied(self, mosaic: Picture, noise: Noise) -> tuple[Picture, Noise]:
        """Return the mosaic brightened, cut to [0, 1], and its noise.

        Parameters
        ----------
        mosaic
            (H, W), black 0 and white 1, cut to that.
        noise
            Of which S is used.
        """
        bright = np.clip(mosaic * np.float32(max(self.ratio, 1)), 0, 1)
        mean = float(bright.mean(dtype=np.float64))
        shot = mean / 10 ** (self.signal_to_noise / 10) * self.ratio
        return bright, Noise(shot, noise.read * self.ratio, noise.origin)


def read(path: Path, data: bytes) -> Exposure:
    """Read the exposure of a DNG.

    Parameters
    ----------
    path
        For messages.
    data
        The file.

    Raises
    ------
    InputError
        If a tag is missing, or the numbers make no ratio.
    """
    first = exif.directory(data)
    camera = (first[_EXIF].below if _EXIF in first else None) or {}
    order = exif.order(data) or "<"
    found = _numbers(first, _OF_FILE, order) | _numbers(camera, _OF_EXIF, order)
    notes = camera[_MAKER_NOTES].data if _MAKER_NOTES in camera else b""
    if notes.startswith(_NOTES):
        found |= _numbers(exif.entries(notes, _NOTES_DIRECTORY), _OF_NOTES, ">")
    wanted = (*_OF_FILE, *_OF_EXIF, *_OF_NOTES)
    if missing := [name for name in wanted if name not in found]:
        raise InputError(
            f"{path}: the iPhone's exposure rule needs {', '.join(missing)}, which the file lacks; "
            "leave --iphone away"
        )
    time, aperture, speed = (found[n] for n in ("ExposureTime", "FNumber", "ISOSpeedRatings"))
    if min(time, aperture, speed, found["AEAverage"]) <= 0:
        raise InputError(f"{path}: exposure time, aperture, ISO and AEAverage must be above 0")
    light = 2 * math.log2(aperture) - math.log2(time) - math.log2(speed / 100)
    square = (light - found["BrightnessValue"]) * found["BaselineExposure"]
    ratio = found["AETarget"] / found["AEAverage"] * math.sqrt(max(square, 0))
    if ratio <= 0:
        raise InputError(
            f"{path}: the iPhone's exposure rule takes the root of (LightValue {light:.3g} - "
            f"BrightnessValue {found['BrightnessValue']:.3g}) x BaselineExposure "
            f"{found['BaselineExposure']:.3g}, and makes no ratio of it; leave --iphone away"
        )
    return Exposure(ratio, found["SignalToNoiseRatio"])


def _numbers(entries: exif.Directory, names: dict[str, int], order: str) -> dict[str, float]:
    """Return the numbers of some tags, as far as they are there and of a kind that can be read."""
    found = {}
    for name, tag in names.items():
        entry = entries.get(tag)
        if entry is None or entry.kind not in _NUMBERS or entry.count < 1:
            continue
        values = struct.unpack_from(order + _NUMBERS[entry.kind], entry.data)
        if len(values) == 1 or values[1]:
            found[name] = values[0] / values[1] if len(values) == 2 else float(values[0])
    return found
