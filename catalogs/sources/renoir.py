"""RENOIR: low light, two cameras and a phone; two noisy pictures of each of 120 scenes.

A scene is a folder: the reference at low ISO, a second picture like it (``full``, not used here),
and two at high ISO, aligned to the reference.

References
----------
J. Anaya, A. Barbu, "RENOIR - a dataset for real low-light image noise reduction", Journal of
Visual Communication and Image Representation 51, 2018.
"""

import re
from pathlib import PurePosixPath

from catalogs.sources.base import Source, SourceEntry, Windows
from catalogs.sources.pair_set import PairSet, Place, Shot

_BATCH = re.compile(r"(?:^|/)(?P<camera>Mi3|S90|T3i)_[^/]*/(?:.*/)?Batch_?(?P<number>\d+)$", re.I)
_HALF = re.compile(r"(?P<half>Noisy|Reference)$", re.IGNORECASE)

CAMERAS = {"mi3": "Xiaomi Mi3", "s90": "Canon S90", "t3i": "Canon T3i"}
"""What the cameras' folders are named after."""


class Renoir(PairSet):
    """The aligned pictures."""

    name = "renoir"
    licence = "research, cite Anaya and Barbu, 2018"
    several = True
    layout = "each scene lies in CAMERA_Aligned/Batch_NNN as *Reference.bmp and *Noisy.bmp"

    def place(self, path: str) -> Place | None:
        """Tell which half a picture is; the folder is what both have in common."""
        file = PurePosixPath(path)
        folder, half = str(file.parent), _HALF.search(file.stem)
        if half is None or not _BATCH.search(folder):
            return None
        return Place("noisy" if half["half"].lower() == "noisy" else "clean", folder)

    def describe(self, key: str, noisy: str) -> tuple[str, Shot]:
        """Return a pair's scene and camera."""
        match = _BATCH.search(key)
        if match is None:
            return key, Shot()
        camera = CAMERAS[match["camera"].lower()]
        return f"RENOIR {camera} {int(match['number'])}", Shot(camera)


def _make(root: str) -> Source:
    return Renoir(root)


ENTRY = SourceEntry(
    name=Renoir.name,
    title="RENOIR: low light, three cameras, 120 scenes with two noisy pictures each",
    licence=Renoir.licence,
    url="https://ani.stat.fsu.edu/~abarbu/Renoir.html",
    size="9 GB: Mi3_Aligned, S90_Aligned and T3i_Aligned",
    layout="{Mi3,S90,T3i}_Aligned/Batch_NNN/*Reference.bmp, *Noisy.bmp (and *full.bmp, not used)",
    make=_make,
    windows=Windows(512, 512),
)
