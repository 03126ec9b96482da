"""LOL: pairs of low and normal light, version 1 and 2.

References
----------
C. Wei et al., "Deep Retinex Decomposition for Low-Light Enhancement", BMVC 2018.
W. Yang et al., "Sparse Gradient Regularized Deep Retinex Network for Robust Low-Light Image
Enhancement", IEEE TIP 30, 2021 (version 2).
"""

from collections.abc import Mapping
from typing import ClassVar

from catalogs.sources.base import Source, SourceEntry, Windows
from catalogs.sources.low_light import LowLightSet


class Lol(LowLightSet):
    """The pairs, 600x400 pixels in version 1."""

    name = "lol"
    licence = "not stated, cite Wei et al., 2018"
    title = "LOL"
    layout = "halves of one name lie in our485/low and our485/high, eval15/low and eval15/high"
    splits: ClassVar[Mapping[str, str]] = {
        "our485": "train", "train": "train", "eval15": "test", "test": "test",
    }  # fmt: skip


def _make(root: str) -> Source:
    return Lol(root)


ENTRY = SourceEntry(
    name=Lol.name,
    title="LOL: low and normal light, 500 pairs; version 2 too",
    licence=Lol.licence,
    url="https://daooshee.github.io/BMVC2018website/",
    size="340 MB: LOLdataset.zip",
    layout=(
        "{our485,eval15}/{low,high}/N.png; version 2: Real_captured/{Train,Test}/Low/lowN.png and "
        "Normal/normalN.png, Synthetic/{Train,Test}/{Low,Normal}/X.png"
    ),
    make=_make,
    windows=Windows(200, 200),
)
