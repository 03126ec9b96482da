"""FAID: pictures by ambient light, each with a photo by flash of the same scene.

References
----------
Y. Aksoy et al., "A dataset of flash and ambient illumination pairs from the crowd", ECCV 2018.
"""

import re
from dataclasses import dataclass

from catalogs.sources.base import Guide, Option, Source, SourceEntry
from catalogs.sources.faid_lists import TEST, VALIDATION
from catalogs.sources.guide_set import GuideSet, Half, Place

_NAME = re.compile(r"(?:^|/)(?P<key>[^/_]+_\d+)_(?P<half>ambient|flash)\.[^/.]+$", re.IGNORECASE)
_HALVES: dict[str, Half] = {"ambient": "picture", "flash": "guide"}


@dataclass(frozen=True)
class Faid(GuideSet):
    """One split of the set, by the published lists; pairs are known by category and number.

    Parameters
    ----------
    split
        ``train`` is what neither list names.
    """

    split: str = "train"

    name = "faid"
    licence = "research, cite Aksoy et al., ECCV 2018"
    words = ("ambient picture", "flash photo")

    @property
    def part(self) -> str:
        """Which part of the set is listed, for messages."""
        return f" of split '{self.split}'"

    def place(self, path: str) -> Place | None:
        """Tell which half a file is, whatever folder it lies in."""
        match = _NAME.search(path)
        if match is None or self.split not in ("all", split_of(match["key"])):
            return None
        return Place(_HALVES[match["half"].lower()], match["key"])


def split_of(key: str) -> str:
    """Return the published split of a pair by its category and number."""
    if key in TEST:
        return "test"
    return "val" if key in VALIDATION else "train"


def _make(root: str, *, split: str, guide: Guide | None) -> Source:
    return Faid(root, guide, split)


ENTRY = SourceEntry(
    name=Faid.name,
    title="Flash and Ambient Illuminations Dataset (FAID)",
    licence=Faid.licence,
    url="http://yaksoy.github.io/flashambient/",
    size="2775 pairs",
    layout="Category_number_ambient.png and Category_number_flash.png, in any folders",
    make=_make,
    options={
        "split": Option(
            "train", "test and val by the published lists", ("all", "train", "val", "test")
        )
    },
    expected={"val": len(VALIDATION), "test": len(TEST)},
    guides=("flash",),
    guide="flash",
)
