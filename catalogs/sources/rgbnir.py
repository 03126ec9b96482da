"""Folders of colour pictures and their near infrared, such as EPFL's RGB-NIR scenes.

References
----------
M. Brown, S. Susstrunk, "Multi-spectral SIFT for scene category recognition", CVPR 2011.
"""

import re
from pathlib import PurePosixPath

from catalogs.sources.base import Guide, Source, SourceEntry
from catalogs.sources.guide_set import GuideSet, Half, Place

_HALVES: dict[str, Half] = {"rgb": "picture", "nir": "guide"}
_LAST_WORD = re.compile(r"[_-](rgb|nir)$", re.IGNORECASE)


class RgbNir(GuideSet):
    """Pictures ``X_rgb`` and guides ``X_nir``, or ``rgb/X`` and ``nir/X``, at any depth."""

    name = "rgbnir"
    licence = "that of your files; EPFL's: research, cite Brown and Susstrunk, CVPR 2011"
    words = ("picture (rgb)", "near infrared (nir)")

    def place(self, path: str) -> Place | None:
        """Tell which half a file is: the last word of its name says it, or its folder does."""
        parts = PurePosixPath(path)
        if word := _LAST_WORD.search(parts.stem):
            key = parts.with_name(parts.stem[: word.start()])
            return Place(_HALVES[word[1].lower()], str(key))
        folder = parts.parent.name.lower()
        if folder in _HALVES:
            return Place(_HALVES[folder], str(parts.parent.parent / parts.stem))
        return None


def _make(root: str, *, guide: Guide | None) -> Source:
    return RgbNir(root, guide)


ENTRY = SourceEntry(
    name=RgbNir.name,
    title="Pictures with their near infrared, such as EPFL's 477 RGB-NIR scenes",
    licence=RgbNir.licence,
    url="https://www.epfl.ch/labs/ivrl/research/downloads/rgb-nir-scene-dataset/",
    size="any; nirscene1.zip: 1.2 GB",
    layout="X_rgb.tiff and X_nir.tiff, or rgb/X and nir/X, at any depth; one size, in register",
    make=_make,
    guides=("nir",),
    guide="nir",
)
