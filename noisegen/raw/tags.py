"""The tags of a DNG, read by tifffile from IFD0, its Exif IFD and the raw IFD.

References
----------
Adobe, "Digital Negative (DNG) Specification", 1.7.1.0, chapters 4 and 5.
"""

import io
import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from noisegen.errors import UnreadableFileError
from noisegen.raw import opcodes
from noisegen.raw.files import DAMAGED
from noisegen.raw.metadata import Matrix, Triple
from noisegen.raw.opcodes import Opcodes

PHOTOMETRIC_CFA = 32803
PHOTOMETRIC_LINEAR_RAW = 34892

# What tifffile finds wrong becomes one error of ours or does not matter: keep its log off stderr
# where the application has set up no logging.
logging.getLogger("tifffile").addHandler(logging.NullHandler())


@dataclass(frozen=True)
class DngTags:
    """What the tags of a DNG say; None (or 0, or empty) where a tag is missing.

    Parameters
    ----------
    photometric, samples, sample_format, frames
        Of the raw IFD; ``frames`` counts the full-size mosaics in the file.
    cfa_shape, cfa_pattern, plane_colors
        CFARepeatPatternDim, CFAPattern (colour codes, row by row), CFAPlaneColor.
    origin_yx
        Top left corner of the active area, where the patterns of colours and black levels start.
    bits
        BitsPerSample; 0 if a LinearizationTable widens the codes.
    black_shape, black_level
        BlackLevelRepeatDim and BlackLevel by position, row by row, plus the means of
        BlackLevelDeltaH and BlackLevelDeltaV.
    white_level
        WhiteLevel.
    as_shot_neutral
        AsShotNeutral.
    color_matrices
        Pairs (illuminant, ColorMatrix).
    noise_profile
        Numbers of NoiseProfile: shot, read, shot, read …
    opcodes
        What opcode lists 2 and 3 say of lens shading; ``active_area`` has the place and size of the
        active area in the whole raw image.
    orientation, make, model, iso, exposure_time
        As in :class:`noisegen.raw.RawMetadata`.
    where
        Field name to tag name and IFD.
    """

    photometric: int
    samples: int
    sample_format: int
    frames: int
    cfa_shape: tuple[int, ...] = ()
    cfa_pattern: tuple[int, ...] = ()
    plane_colors: tuple[int, ...] = (0, 1, 2)
    origin_yx: tuple[int, int] = (0, 0)
    bits: int = 0
    black_shape: tuple[int, int] = (1, 1)
    black_level: tuple[float, ...] = ()
    white_level: float | None = None
    as_shot_neutral: Triple | None = None
    color_matrices: tuple[tuple[int, Matrix], ...] = ()
    noise_profile: tuple[float, ...] = ()
    orientation: int = 0
    make: str = ""
    model: str = ""
    iso: float | None = None
    exposure_time: float | None = None
    opcodes: Opcodes = field(default_factory=Opcodes)
    where: dict[str, str] = field(default_factory=dict)


def read_tags(path: str, data: bytes | None) -> DngTags | None:
    """Read the tags of a DNG.

    Parameters
    ----------
    path
        The file, and its name in messages.
    data
        The file's bytes, if they are already at hand.

    Returns
    -------
    DngTags or None
        None if the file is no DNG (or no TIFF at all).

    Raises
    ------
    UnreadableFileError
        If the file is a DNG whose tags are damaged or whose pixels lie beyond its end.
    """
    import tifffile

    try:
        tiff = tifffile.TiffFile(path if data is None else io.BytesIO(data))
    except Exception:  # tifffile lets all kinds out on foreign bytes: then LibRaw shall judge
        return None
    with tiff:
        try:
            if not tiff.is_dng:
                return None
            size = int(tiff.filehandle.size)
            return _Reader(path, tiff, size).tags()
        except UnreadableFileError:
            raise
        except Exception as error:  # a damaged tag can break tifffile anywhere
            raise UnreadableFileError(
                f"{path}: a DNG with damaged tags ({type(error).__name__}: {error}); {DAMAGED}"
            ) from error


class _Reader:
    """Looks tags up in the right order of IFDs and notes where each was found."""

    def __init__(self, path: str, tiff: Any, size: int) -> None:
        pages = list(_pages(tiff))
        # Bit 0 of NewSubfileType marks previews; enhanced images (16) and masks (4) are not raws.
        raws = [
            (name, page)
            for name, page in pages
            if int(page.photometric) in (PHOTOMETRIC_CFA, PHOTOMETRIC_LINEAR_RAW)
            and int(page.subfiletype) == 0
        ]
        self.main_name, self.main = pages[0]
        self.raw_name, self.raw = raws[0] if raws else pages[0]
        mosaics = [page for _, page in raws if int(page.photometric) == PHOTOMETRIC_CFA]
        self.frames = len(mosaics)
        self.exif = self.main.tags.get(34665)
        self.where: dict[str, str] = {}
        ends = [o + n for o, n in zip(self.raw.dataoffsets, self.raw.databytecounts, strict=False)]
        if max(ends, default=0) > size:
            raise UnreadableFileError(
                f"{path}: cut short, {size} bytes of at least {max(ends)}; {DAMAGED}"
            )

    def tags(self) -> DngTags:
        area = self.numbers(50829)
        black = self.numbers(50714, "black_level")
        repeat = [int(n) for n in self.numbers(50713)] or [1, 1]
        if len(black) != math.prod(repeat) * max(1, int(self.raw.samplesperpixel)):
            black = []
        delta = sum(float(np.mean(d)) for d in map(self.numbers, (50715, 50716)) if d)
        white = self.numbers(50717, "white_level")
        return DngTags(
            photometric=int(self.raw.photometric),
            samples=int(self.raw.samplesperpixel),
            sample_format=int(self.raw.sampleformat),
            frames=self.frames,
            cfa_shape=tuple(int(n) for n in self.numbers(33421)),
            cfa_pattern=tuple(int(n) for n in self.numbers(33422, "cfa")),
            plane_colors=tuple(int(n) for n in self.numbers(50710)) or (0, 1, 2),
            origin_yx=(int(area[0]), int(area[1])) if len(area) == 4 else (0, 0),
            # Behind a LinearizationTable the codes are wider than they are stored.
            bits=0 if self.find(50712, "") else int(np.max(self.raw.bitspersample)),
            black_shape=(repeat[0], repeat[1]),
            black_level=tuple(b + delta for b in black),
            white_level=white[0] if white and white[0] > 0 else None,
            as_shot_neutral=self.neutral(),
            color_matrices=tuple(self.color_matrices()),
            noise_profile=tuple(self.numbers(51041, "noise_profile")),
            orientation=int(self.first(274, "orientation", main_first=True)),
            make=self.text(271, "make"),
            model=self.text(272, "model") or self.text(50708, "model"),
            iso=self.first(34855, "iso", "ISOSpeedRatings") or None,
            exposure_time=self.first(33434, "exposure_time", "ExposureTime") or None,
            opcodes=self.opcodes(area),
            where=self.where,
        )

    def opcodes(self, area: list[float]) -> Opcodes:
        found = [(2, self.find(51009, "opcode_list_2")), (3, self.find(51022, "opcode_list_3"))]
        lists = [(number, _bytes(tag.value)) for number, tag in found if tag is not None]
        if not lists:
            return Opcodes()
        size = [int(n) for n in self.raw.shape[:2]]
        top, left, bottom, right = map(int, area) if len(area) == 4 else (0, 0, *size)
        return replace(opcodes.parse(lists), active_area=(top, left, bottom - top, right - left))

    def neutral(self) -> Triple | None:
        values = self.numbers(50728, "as_shot_neutral")
        if len(values) != 3 or not all(math.isfinite(v) and v > 0 for v in values):
            return None
        return values[0], values[1], values[2]

    def color_matrices(self) -> Iterator[tuple[int, Matrix]]:
        for matrix_code, light_code in ((50721, 50778), (50722, 50779), (52531, 52529)):
            m = self.numbers(matrix_code, "color_matrices")
            if len(m) == 9 and all(map(math.isfinite, m)) and np.linalg.det(np.reshape(m, (3, 3))):
                light = self.numbers(light_code)
                rows = (m[0], m[1], m[2]), (m[3], m[4], m[5]), (m[6], m[7], m[8])
                yield int(light[0]) if light else 0, rows

    def first(
        self, code: int, name: str, exif_name: str = "", *, main_first: bool = False
    ) -> float:
        """Return a tag's first number, from the Exif IFD if need be; 0 if missing or invalid."""
        values = self.numbers(code, name, main_first=main_first)
        if not values and exif_name and self.exif is not None:
            value = self.exif.value.get(exif_name)
            if value is not None:
                values = _rationals(value) if name == "exposure_time" else _flat(value)
                self.where[name] = f"{exif_name} (Exif IFD)"
        return values[0] if values and math.isfinite(values[0]) else 0.0

    def text(self, code: int, name: str) -> str:
        tag = self.find(code, name, main_first=True)
        return "" if tag is None else str(tag.value).replace("\0", " ").strip()

    def numbers(self, code: int, name: str = "", *, main_first: bool = False) -> list[float]:
        tag = self.find(code, name, main_first=main_first)
        if tag is None:
            return []
        return _rationals(tag.value) if int(tag.dtype) in (5, 10) else _flat(tag.value)

    def find(self, code: int, name: str, *, main_first: bool = False) -> Any:
        ifds = [(self.raw_name, self.raw), (self.main_name, self.main)]
        for ifd, page in reversed(ifds) if main_first else ifds:
            tag = page.tags.get(code)
            if tag is not None:
                if name:
                    self.where[name] = f"{tag.name} ({ifd})"
                return tag
        return None


def _pages(tiff: Any) -> Iterator[tuple[str, Any]]:
    for index, page in enumerate(tiff.pages):
        yield f"IFD{index}", page
        for sub, child in enumerate(page.pages or ()):
            yield f"IFD{index} SubIFD {sub}", child


def _flat(value: Any) -> list[float]:
    if isinstance(value, str):
        return []
    return [float(v) for v in (value if np.iterable(value) else (value,))]


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else bytes(int(v) & 0xFF for v in _flat(value))


def _rationals(value: Any) -> list[float]:
    flat = _flat(value)
    return [n / d if d else math.nan for n, d in zip(flat[::2], flat[1::2], strict=False)]
