"""CC: fifteen crops of the eleven scenes of Nam et al., the clean half the mean of 500 shots.

Names are camera, ISO and number: ``5dmark3_iso3200_1_real.png``. Each crop is a scene of its own.

References
----------
S. Nam, Y. Hwang, Y. Matsushita, S. J. Kim, "A holistic approach to cross-channel image noise
modeling and its application to image denoising", CVPR 2016.
"""

import re

from catalogs.sources.base import Source, SourceEntry, Windows
from catalogs.sources.pair_names import NamedPairs
from catalogs.sources.pair_set import Shot

_NAME = re.compile(r"(?P<camera>[^_/]+)_iso(?P<iso>\d+)_\d+$", re.IGNORECASE)


class CrossChannel(NamedPairs):
    """The crops of 512 pixels."""

    name = "cc"
    licence = "non-commercial research, cite Nam et al., CVPR 2016"
    layout = "name the halves CAMERA_isoN_CROP_real and …_mean"

    def told(self, key: str) -> tuple[str, Shot] | None:
        """Return the scene and what a pair's name tells; None if it is none of the set."""
        return shot(key)


def shot(key: str) -> tuple[str, Shot] | None:
    """Return the scene and what a name of CC tells; None if it is none."""
    match = _NAME.search(key)
    return (key, Shot(match["camera"], float(match["iso"]))) if match else None


def _make(root: str) -> Source:
    return CrossChannel(root)


ENTRY = SourceEntry(
    name=CrossChannel.name,
    title="CC: real noise of three cameras, 15 crops of the scenes of Nam et al.",
    licence=CrossChannel.licence,
    url="https://github.com/csjunxu/MCWNNM_ICCV2017",
    size="10 MB: Real_ccnoise_denoised_part",
    layout="*_real.png and *_mean.png, flat or in folders",
    make=_make,
    expected={"all": 15},
    windows=Windows(512, 512),
)
