"""DIV2K: 900 pictures of 2K resolution.

References
----------
E. Agustsson, R. Timofte, "NTIRE 2017 challenge on single image super-resolution: dataset and
study", CVPR Workshops 2017.
"""

import re

from catalogs.sources.base import Option, Source, SourceEntry
from catalogs.sources.picture_set import PictureSet

_RANGES = {"all": range(1, 901), "train": range(1, 801), "valid": range(801, 901)}


class Div2k(PictureSet):
    """The high-resolution pictures 0001 to 0800 (train) and 0801 to 0900 (valid)."""

    name = "div2k"
    licence = "academic research only"
    pattern = re.compile(r"(?:^|/)(\d{4})\.png$", re.IGNORECASE)

    def belongs(self, path: str, scene: str) -> bool:
        """Tell whether a picture's number is in the split, and it is no low-resolution copy."""
        return int(scene) in _RANGES[self.split] and "_LR" not in path


def _make(root: str, *, split: str) -> Source:
    return Div2k(root, split)


ENTRY = SourceEntry(
    name="div2k",
    title="DIV2K: 900 pictures of 2K resolution",
    licence=Div2k.licence,
    url="https://data.vision.ee.ethz.ch/cvl/DIV2K/",
    size="3.8 GB: DIV2K_train_HR.zip and DIV2K_valid_HR.zip",
    layout="DIV2K_train_HR/0001.png … 0800.png and DIV2K_valid_HR/0801.png … 0900.png, or flat",
    make=_make,
    options={"split": Option("train", "which part", choices=tuple(_RANGES))},
    expected={split: len(numbers) for split, numbers in _RANGES.items()},
)
