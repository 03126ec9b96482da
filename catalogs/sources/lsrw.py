"""LSRW: pairs of low and normal light of a phone and of a camera, for training R2RNet.

Pairs are JPEGs of 960x720 (Huawei) and 960x640 pixels (Nikon). Its authors say that some of the
pairs taken outdoors are not aligned.

References
----------
J. Hai et al., "R2RNet: Low-light Image Enhancement via Real-low to Real-normal Network", Journal of
Visual Communication and Image Representation 90, 2023.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from catalogs.sources.base import Option, Source, SourceEntry, Windows
from catalogs.sources.low_light import LowLightSet
from catalogs.sources.pair_set import Place


@dataclass(frozen=True)
class Lsrw(LowLightSet):
    """The pairs of both cameras, or of one.

    Parameters
    ----------
    camera
        ``huawei``, ``nikon`` or ``all``.
    """

    camera: str = "all"

    name = "lsrw"
    licence = "not stated, cite Hai et al., 2023"
    title = "LSRW"
    layout = "halves of one name lie in Huawei/low and Huawei/high, Nikon/low and Nikon/high"
    splits: ClassVar[Mapping[str, str]] = {
        "training data": "train",
        "train": "train",
        "eval": "test",
    }
    cameras: ClassVar[Mapping[str, str]] = {"huawei": "Huawei P40 Pro", "nikon": "Nikon D7500"}

    def place(self, path: str) -> Place | None:
        """Tell which half a picture is; None if it is of another camera than is asked for."""
        found = super().place(path)
        if found is None or self.camera == "all":
            return found
        return found if self._told(found.key, self.cameras) == self.cameras[self.camera] else None


def _make(root: str, *, camera: str) -> Source:
    return Lsrw(root, camera)


ENTRY = SourceEntry(
    name=Lsrw.name,
    title="LSRW: low and normal light, a phone and a camera, 5650 pairs",
    licence=Lsrw.licence,
    url="https://github.com/JianghaiSCU/R2RNet",
    size="5650 pairs of JPEGs",
    layout="{Training data,Eval}/{Huawei,Nikon}/{low,high}/*.jpg, or any of these folders",
    make=_make,
    options={"camera": Option("all", "whose pairs", ("all", *Lsrw.cameras))},
    windows=Windows(320, 320),
)
