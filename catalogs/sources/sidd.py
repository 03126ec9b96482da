"""SIDD: smartphone pictures with a clean half made of 150 shots each.

SIDD-Medium is one folder a scene instance, named ``AAAA_BBB_CC_DDDDD_EEEEE_FFFF_G``: instance,
scene, camera, ISO, shutter (1/s), colour temperature and brightness. NeCA's list of instances for
testing is that of its repository; all others are for training. Both are of the same ten scenes.

References
----------
A. Abdelhamed, S. Lin, M. S. Brown, "A high-quality denoising dataset for smartphone cameras",
CVPR 2018.
Z. Fu, L. Guo, B. Wen, "sRGB real noise synthesizing with neighboring correlation-aware noise
model", CVPR 2023.
"""

import re
from dataclasses import dataclass, replace

from catalogs.sources.base import Option, Source, SourceEntry, Windows
from catalogs.sources.pair_names import LAYOUT, NamedPairs, place
from catalogs.sources.pair_set import Place, Shot

LICENCE = "SIDD terms, research, cite Abdelhamed et al., CVPR 2018"
URL = "https://abdokamel.github.io/sidd/"

_INSTANCE = re.compile(
    r"(?:^|/)(?P<instance>\d{4})_(?P<scene>\d{3})_(?P<camera>[A-Z0-9]{2})_(?P<iso>\d{5})"
    r"_(?P<shutter>\d{5})_(?P<temperature>\d{4})_[LNH]/"
)
_BLOCK = re.compile(
    r"(?:(?:^|/|_)(?P<camera>[A-Z0-9]{2})_(?P<iso>\d{5})_|^|/|_)(?P<scene>val\d{4})[-_]\d+$"
)

TEST = frozenset(
    {
        "0059", "0077", "0122", "0173",  # G4
        "0034", "0086", "0107", "0156", "0199",  # GP
        "0032", "0090", "0110", "0114", "0115", "0134", "0139", "0165", "0191", "0193",  # IP
        "0050", "0054", "0075", "0096",  # N6
        "0002", "0007", "0008", "0014", "0081", "0126", "0152",  # S6
    }
)  # fmt: skip
"""Instances of SIDD-Medium that NeCA keeps for testing."""


@dataclass(frozen=True)
class Sidd(NamedPairs):
    """SIDD-Medium, whole or cut by NeCA's script.

    Parameters
    ----------
    split
        ``"published"``: train and test are NeCA's lists; ``"scene"``: the hash of the scene says.
    """

    split: str = "published"

    name = "sidd"
    licence = LICENCE
    layout = (
        "pairs lie in AAAA_BBB_CC_DDDDD_EEEEE_FFFF_G as X_NOISY_SRGB_Y and X_GT_SRGB_Y; the "
        "validation set's .mat files are sidd-val"
    )

    def told(self, key: str) -> tuple[str, Shot] | None:
        """Return the scene and what a pair's name tells; None if it is none of the set."""
        found = instance(key)
        if found is None or self.split == "published":
            return found
        return found[0], replace(found[1], split="")


class SiddCrops(NamedPairs):
    """Crops of SIDD as repositories hand them about, named after the validation set or not."""

    name = "sidd-crops"
    licence = LICENCE
    layout = LAYOUT

    def place(self, path: str) -> Place | None:
        """Tell which half a picture is: any name will do."""
        return place(path)

    def told(self, key: str) -> tuple[str, Shot] | None:
        """Return the scene and what a pair's name tells."""
        return instance(key) or block(key)


def instance(key: str) -> tuple[str, Shot] | None:
    """Return the scene and what the folder of an instance tells; None if there is none."""
    match = _INSTANCE.search(key)
    if match is None:
        return None
    iso, shutter, temperature = (float(match[n]) for n in ("iso", "shutter", "temperature"))
    split = "test" if match["instance"] in TEST else "train"
    # A shutter of 00000 would be no time at all.
    taken = Shot(match["camera"], iso, None, 1 / shutter if shutter else None, temperature, split)
    return f"SIDD {match['scene']}", taken


def block(key: str) -> tuple[str, Shot] | None:
    """Return the scene and what the name of a validation block tells; None if it is none.

    The capture stands for the scene: which of the ten it shows, the name does not say.
    """
    match = _BLOCK.search(key)
    if match is None:
        return None
    iso = float(match["iso"]) if match["iso"] else None
    return f"SIDD {match['scene']}", Shot(match["camera"] or "", iso)


def _make(root: str, *, split: str) -> Source:
    return Sidd(root, split)


def _make_crops(root: str) -> Source:
    return SiddCrops(root)


ENTRY = SourceEntry(
    name=Sidd.name,
    title="SIDD-Medium: five smartphones, 320 pairs of 160 scene instances",
    licence=LICENCE,
    url=URL,
    size="12 GB: SIDD_Medium_Srgb.zip",
    layout="Data/AAAA_BBB_CC_DDDDD_EEEEE_FFFF_G/AAAA_NOISY_SRGB_0XX.PNG and AAAA_GT_SRGB_0XX.PNG",
    make=_make,
    options={
        "split": Option(
            "published", "train and test by NeCA's lists, or by scene", ("published", "scene")
        )
    },
    expected={"published": 320},
    windows=Windows(512, 384),
)

CROPS = SourceEntry(
    name=SiddCrops.name,
    title="Crops of SIDD",
    licence=LICENCE,
    url=URL,
    size="any",
    layout="CC_DDDDD_valSSSS-BBBB_noisy.png and …_clean.png, or any name",
    make=_make_crops,
    windows=Windows(256, 256),
)
