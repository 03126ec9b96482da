"""The Kodak lossless true colour image suite: 24 pictures, the usual test set."""

import re

from catalogs.sources.base import Source, SourceEntry
from catalogs.sources.picture_set import PictureSet


class Kodak(PictureSet):
    """The pictures kodim01 to kodim24."""

    name = "kodak"
    licence = "released by Kodak for unrestricted use"
    pattern = re.compile(r"(?:^|/)(kodim(?:0[1-9]|1\d|2[0-4]))\.png$", re.IGNORECASE)

    def belongs(self, path: str, scene: str) -> bool:
        """Tell whether a picture is of the split; there is only one."""
        return True


def _make(root: str) -> Source:
    return Kodak(root)


ENTRY = SourceEntry(
    name="kodak",
    title="Kodak lossless true colour image suite: 24 pictures",
    licence=Kodak.licence,
    url="https://r0k.us/graphics/kodak/",
    size="15 MB",
    layout="kodim01.png … kodim24.png, at any depth",
    make=_make,
    expected={"all": 24},
)
