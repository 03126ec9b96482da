"""PolyU: real noise of five cameras, the clean half the mean of some 500 shots.

Names are camera, aperture, shutter, ISO, object and crop: ``Canon5D2_5_160_3200_plug_11_real.JPG``
was taken at f/5, 1/160 s and ISO 3200. Crops of one object by one camera are one scene.

References
----------
J. Xu, H. Li, Z. Liang, D. Zhang, L. Zhang, "Real-world noisy image denoising: a new benchmark",
arXiv 1804.02603, 2018.
"""

import re

from catalogs.sources.base import Source, SourceEntry, Windows
from catalogs.sources.pair_names import NamedPairs
from catalogs.sources.pair_set import Shot

_NAME = re.compile(
    r"(?P<camera>[^_/]+)_(?P<aperture>\d+(?:-\d+)?)_(?P<shutter>\d+(?:-\d+)?)_(?P<iso>\d+)"
    r"_(?P<scene>[^_/]+)_\d+$"
)


class PolyU(NamedPairs):
    """The crops, or whole pictures cut into any."""

    name = "polyu"
    licence = "non-commercial research, cite arXiv 1804.02603"
    layout = "name the halves CAMERA_APERTURE_SHUTTER_ISO_SCENE_CROP_real and …_mean"

    def told(self, key: str) -> tuple[str, Shot] | None:
        """Return the scene and what a pair's name tells; None if it is none of the set."""
        return shot(key)


def shot(key: str) -> tuple[str, Shot] | None:
    """Return the scene and what a name of PolyU tells; None if it is none."""
    match = _NAME.search(key)
    if match is None:
        return None
    aperture, shutter = (float(match[name].replace("-", ".")) for name in ("aperture", "shutter"))
    taken = Shot(match["camera"], float(match["iso"]), aperture, 1 / shutter)
    return f"{match['camera']} {match['scene']}", taken


def _make(root: str) -> Source:
    return PolyU(root)


ENTRY = SourceEntry(
    name=PolyU.name,
    title="PolyU: real noise of five cameras, 100 crops",
    licence=PolyU.licence,
    url="https://github.com/csjunxu/PolyU-Real-World-Noisy-Images-Dataset",
    size="5 MB: CroppedImages",
    layout="CroppedImages/*_real.JPG and *_mean.JPG, or flat",
    make=_make,
    expected={"all": 100},
    windows=Windows(512, 512),
)
