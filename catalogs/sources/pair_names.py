"""Names of halves of pairs, in the ways that published sets use.

=============================  ==============================  =====================
noisy half                     clean half                      set
=============================  ==============================  =====================
``X_real.png``                 ``X_mean.png``                  PolyU, CC
``0001_NOISY_SRGB_010.PNG``    ``0001_GT_SRGB_010.PNG``        SIDD
``X_noisy.png``                ``X_clean.png``                 any
``noisy/X.png``                ``clean/X.png``                 any
=============================  ==============================  =====================

Case and ending do not matter, and halves may have different endings. Files in folders called
``noisy_only`` are none.
"""

import re
from abc import abstractmethod
from pathlib import PurePosixPath

from catalogs.sources.pair_set import Half, PairSet, Place, Shot

LAYOUT = (
    "name the halves X_noisy and X_clean, X_real and X_mean, NOISY_SRGB and GT_SRGB, or put them "
    "into noisy/ and clean/"
)
"""What to do where no half is found."""

_HALVES: dict[str, Half] = {
    "noisy": "noisy", "real": "noisy", "noisy_srgb": "noisy",
    "clean": "clean", "mean": "clean", "gt_srgb": "clean",
}  # fmt: skip
_SIDD_HALF = re.compile(r"(noisy_srgb|gt_srgb)(?:_|$)", re.IGNORECASE)
_LAST_WORD = re.compile(r"(?:^|_)(noisy|clean|real|mean)$", re.IGNORECASE)


def place(path: str) -> Place | None:
    """Return which half of a pair a file is, and what both halves have in common."""
    parts = PurePosixPath(path)
    folders = [part for part in parts.parts[:-1] if part.lower() not in ("noisy", "clean")]
    if "noisy_only" in folders:
        return None
    for pattern in (_SIDD_HALF, _LAST_WORD):
        if word := pattern.search(parts.stem):
            stem = parts.stem[: word.start()] + parts.stem[word.end() :]
            return Place(_HALVES[word[1].lower()], "/".join([*folders, stem]).rstrip("/") or "pair")
    for part in reversed(parts.parts[:-1]):
        if part.lower() in ("noisy", "clean"):
            return Place(_HALVES[part.lower()], "/".join([*folders, parts.stem]))
    return None


class NamedPairs(PairSet):
    """Pairs whose halves are named in one of these ways, and whose names tell more."""

    @abstractmethod
    def told(self, key: str) -> tuple[str, Shot] | None:
        """Return the scene and what a pair's name tells; None if it is none of the set."""

    def place(self, path: str) -> Place | None:
        """Tell which half a picture is."""
        found = place(path)
        return found if found and self.told(found.key) else None

    def describe(self, key: str, noisy: str) -> tuple[str, Shot]:
        """Return a pair's scene and what its name tells."""
        return self.told(key) or (key, Shot())
