"""LSRW and LOL: dark pictures made bright, compared with the same in normal light.

The part for testing is taken, ``Eval`` or ``eval15``, or the folder that is named. Pictures are run
whole. Papers do not agree on what they print, so there are two protocols of each set, and the plain
one measures in two ways: of the result as it is, and of the result times a number that gives it the
mean of the normal picture, which KinD and many since do and which no user can.

The other protocol is R2RNet's own script: codes are cut, not rounded, and equal pictures have
100 dB. It prints the PSNR alone; the SSIM here is that of the same codes.

References
----------
J. Hai et al., "R2RNet: Low-light Image Enhancement via Real-low to Real-normal Network", Journal of
Visual Communication and Image Representation 90, 2023, and its code.
Y. Zhang et al., "Kindling the Darkness: A Practical Low-light Image Enhancer", ACM MM 2019.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from catalogs import sources
from catalogs.sources import PairRef, PairSource
from denoisers.protocols.base import (
    PSNR,
    SSIM,
    Asked,
    Case,
    Cases,
    Floats,
    Measure,
    Picture,
    Protocol,
    similarity,
)
from denoisers.r2rnet.losses import LUMA
from noisegen.errors import InputError
from noisegen.metrics import psnr, to_8bit
from pipelines.ingest import check_scene

MOST = 100.0
"""PSNR of equal pictures in R2RNet's script, dB."""


def to_its_mean(picture: Floats, reference: Floats) -> Floats:
    """Return a picture times the number that gives its luma the mean of the reference's, cut to 1.

    Parameters
    ----------
    picture, reference
        (H, W, 3) in [0, 1].
    """
    mean, wanted = (float(p.mean((0, 1), dtype=np.float64) @ LUMA) for p in (picture, reference))
    if not mean:
        return picture
    scaled: Floats = np.minimum(picture * np.float32(wanted / mean), np.float32(1))
    return scaled


def _matched(measure: Measure) -> Measure:
    return Measure(
        f"{measure.key}_matched",
        f"{measure.title}, mean matched",
        lambda x, y: measure.of(to_its_mean(x, y), y),
        measure.decimals,
    )


def _cut(x: Floats, y: Floats) -> tuple[Picture, Picture]:
    return to_8bit(x, "truncate"), to_8bit(y, "truncate")


_CUT_PSNR = Measure("psnr", "PSNR", lambda x, y: min(MOST, psnr(*_cut(x, y))), 2)
_CUT_SSIM = Measure("ssim", "SSIM", lambda x, y: similarity(*_cut(x, y)), 4)


def opener(name: str, count: int) -> Callable[[Asked], Cases]:
    """Return what opens the test pictures of a set.

    Parameters
    ----------
    name
        Of the source.
    count
        How many there are in the published part for testing.
    """

    def open_set(asked: Asked) -> Cases:
        source = sources.open_pairs(name, asked.root.url)
        refs = source.pairs()
        kept = tuple(ref for ref in refs if ref.shot.split != "train")
        if not kept:
            raise InputError(
                f"{asked.root.url}: its {len(refs)} pairs are those that {name} has for training; "
                "give --root the part for testing or the whole set, or ingest it and test on the "
                "corpus"
            )
        notes = list(source.skipped)
        if len(kept) < len(refs):
            notes.append(f"{len(refs) - len(kept)} pairs for training are left out")
        if len(kept) < count:
            notes.append(f"{len(kept)} of the set's {count} pairs are there")
        cameras = tuple(ref.shot.camera or "camera unknown" for ref in kept)
        return Cases(
            asked.root.url,
            tuple(ref.name for ref in kept),
            _Pairs(source, kept),
            cameras if len(set(cameras)) > 1 else (),
            tuple(notes),
        )

    return open_set


@dataclass(frozen=True)
class _Pairs:
    source: PairSource
    refs: tuple[PairRef, ...]

    def __call__(self, number: int) -> Case:
        ref = self.refs[number]
        pair = self.source.read_pair(ref)
        check_scene(pair, f"{ref.noisy} and {ref.clean}")
        return Case(pair.noisy, pair.clean)


def _protocols(name: str, title: str, paper: str, count: int) -> tuple[Protocol, Protocol]:
    """Return the plain protocol of a set, and that of R2RNet's script."""
    source, opened = sources.entry(name), opener(name, count)

    def protocol(called: str, by: str, measures: tuple[Measure, ...], rounding: str) -> Protocol:
        return Protocol(
            name=called,
            title=f"{title}, low light",
            source=by,
            layout=source.layout,
            channels=3,
            open=opened,
            measures=measures,
            settings={"rounding": rounding},
        )

    plain = (PSNR, SSIM, _matched(PSNR), _matched(SSIM))
    script = f"{paper}; as R2RNet's script compares"
    return (
        protocol(name, paper, plain, "half-even"),
        protocol(f"{name}-r2rnet", script, (_CUT_PSNR, _CUT_SSIM), "truncate"),
    )


LSRW, LSRW_R2RNET = _protocols("lsrw", "LSRW", "J. Hai et al., JVCIR 90, 2023", 50)
LOL, LOL_R2RNET = _protocols("lol", "LOL", "C. Wei et al., BMVC 2018", 15)
