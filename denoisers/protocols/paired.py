"""Noisy/clean pairs: published sets, any folder, any corpus.

Both halves are compared as 8-bit pictures, whatever their depth; pictures are run whole.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from catalogs.sources import GUIDE_CHANNELS
from denoisers.protocols.base import Asked, Case, Cases, Protocol
from noisegen.errors import CorpusMismatchError, InputError, MissingDataError
from pipelines.pairs import Pairs, open_pairs

LAYOUT = (
    "X_real and X_mean, X_noisy and X_clean, NOISY_SRGB and GT_SRGB, or noisy/ and clean/; or a "
    "corpus"
)


Open = Callable[[Asked], Cases]


def opener(count: int | None = None, *, corpus: bool = False) -> Open:
    """Return what opens a set of pairs.

    Parameters
    ----------
    count
        How many pairs the set has; none: any number.
    corpus
        Whether it has to be a corpus.
    """

    def open_set(asked: Asked) -> Cases:
        where = asked.root.url
        if corpus and not asked.root.has("zarr.json"):
            raise CorpusMismatchError(
                f"{where} is no corpus; give --root one, or test on a folder with --on pairs"
            )
        pairs = open_pairs(where)
        if count is not None and len(pairs) > count:
            raise InputError(
                f"{where}: {len(pairs)} pairs, the set has {count}; give --root the folder of the "
                "set alone, or test on any pairs with --on pairs"
            )
        notes = []
        if count not in (None, len(pairs)):
            notes.append(f"{len(pairs)} of the set's {count} pairs are there")
        if pairs.corpus is not None and len(pairs) < len(pairs.corpus):
            notes.append(
                f"{len(pairs)} of the corpus's {len(pairs.corpus)} samples are there and valid; of "
                f"the others noisegen status {where} says more"
            )
        if pairs.skipped:
            notes.append(
                f"{len(pairs.skipped)} pictures are no halves of pairs, first {pairs.skipped[0]}"
            )
        if asked.split is not None:
            pairs = _of_split(pairs, asked.split)
        names = tuple(entry.name for entry in pairs.entries)
        load = _OfPairs(pairs, _hashes(pairs))
        guide = pairs.corpus.recipe.guide if pairs.corpus is not None else None
        channels = GUIDE_CHANNELS[guide] if guide else 0
        return Cases(where, names, load, _cameras(pairs), tuple(notes), channels)

    return open_set


def _of_split(pairs: Pairs, split: str) -> Pairs:
    """Return the pairs of a split."""
    kept = pairs.of_split(split)
    if not len(kept):
        raise MissingDataError(
            f"{pairs.where}: none of its {len(pairs.scenes)} scenes is of split '{split}'; leave "
            "--split away"
        )
    return kept


def _cameras(pairs: Pairs) -> tuple[str, ...]:
    """Return the camera of each pair, nothing if it is the same for all."""
    cameras = tuple(entry.camera or "camera unknown" for entry in pairs.entries)
    return cameras if len(set(cameras)) > 1 else ()


def _hashes(pairs: Pairs) -> npt.NDArray[np.uint8] | None:
    """Return (n, 8) perceptual hashes of the images that a corpus's samples were cut from."""
    corpus = pairs.corpus
    if corpus is None:
        return None
    recorded = corpus.reader("images/perceptual_hash").rows_or_fill(0, corpus.plan.images)
    hashes: npt.NDArray[np.uint8] = recorded[corpus.table["image"][list(pairs.places)]]
    return hashes


@dataclass(frozen=True)
class _OfPairs:
    pairs: Pairs
    hashes: npt.NDArray[np.uint8] | None

    def __call__(self, number: int) -> Case:
        pair = self.pairs[number]
        known = None if self.hashes is None else self.hashes[number]
        return Case(pair.noisy, pair.clean, known, guide=pair.guide)


def _set(name: str, title: str, source: str, layout: str, opened: Open) -> Protocol:
    return Protocol(
        name=name,
        title=title,
        source=source,
        layout=layout,
        channels=3,
        open=opened,
        split=True,
        settings={"rounding": "half-even"},
    )


POLYU = _set(
    "polyu",
    "PolyU, real noise of cameras",
    "J. Xu et al., arXiv 1804.02603",
    "X_real.JPG and X_mean.JPG, 100 crops",
    opener(100),
)
CC = _set(
    "cc",
    "CC, real noise of cameras",
    "S. Nam et al., CVPR 2016",
    "X_real.png and X_mean.png, 15 crops",
    opener(15),
)
PAIRS = _set("pairs", "noisy/clean pairs", "", LAYOUT, opener())
CORPUS = _set("corpus", "samples of a corpus", "", "a corpus of sRGB pictures", opener(corpus=True))
