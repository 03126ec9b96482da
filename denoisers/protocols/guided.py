"""The Dark Vision Dataset and FAID: pictures with near infrared or a flash photo for a guide.

DVD: frames for testing are darkened to a green mean of 5 of 1023, get noise of level σ, are
developed, cut to their middle and that into tiles of 256 pixels, each a picture of its own. They
are dark, so that noisy, restored and clean are divided by the clean one's largest value.
FAID: white noise on the ambient picture, cut to [0, 1]; pictures are run by overlapping tiles.

The plain protocols compare with the PSNR and the SSIM as they are defined. Those of RFFNet's and
DVN's scripts, by names of their own, have 100 dB below an MSE of 1e-5 and the SSIM of an even
window at a dynamic range of 2, as old versions of scikit-image took it; FAID's results are not cut
to [0, 1] there.

References
----------
Q. Wang et al., RFFNet, ACM Multimedia 2024, doi 10.1145/3664647.3680675, and its code.
S. Jin et al., "DarkVisionNet: Low-Light Imaging via RGB-NIR Fusion with Deep Inconsistency Prior",
AAAI 2022, and its code.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from catalogs import sources
from catalogs.sources import GUIDE_CHANNELS, ImageRef, Source
from denoisers.inference.grid import Box, Grid
from denoisers.protocols.base import Asked, Case, Cases, Floats, Measure, Protocol, similarity
from noisegen import rgbir
from noisegen.metrics import psnr, saturating_psnr, ssim_uniform
from noisegen.random import Stream, generator
from pipelines.frame import perceptual_hash, thumbnail

SEED = 0
"""Of the noise; that of the published tests is not seeded."""

FRAME = (1520, 2688)
"""Rows and columns of the set's frames."""

MIDDLE = Box(259, 451, 1263, 2239)
"""What is tested of them."""

TILES = Grid(256, 256)
"""How that is cut, nothing overlapping but the last of a row or column."""

LEVELS = (2, 4, 6, 8)
"""σ of the published test of the Dark Vision Dataset."""

WHOLE = Grid(512, 768, 128, 192)
"""Tiles of whole pictures, as RFFNet's script has them."""

RANGE = 2.0
"""What old versions of scikit-image take for the range of floating point."""

PLAIN = (
    Measure("psnr", "PSNR", lambda x, y: psnr(x, y, 1.0), 2),
    Measure("ssim", "SSIM", lambda x, y: similarity(x, y), 4),
)
"""Of floating point."""

PUBLISHED = (
    Measure("psnr", "PSNR", saturating_psnr, 2),
    Measure("ssim", "SSIM", lambda x, y: ssim_uniform(x, y, RANGE), 4),
)


class Frame(NamedTuple):
    """A developed frame, (H, W, C) each, and the hash that tells it from others."""

    clean: Floats
    noisy: Floats
    guide: Floats
    perceptual_hash: npt.NDArray[np.uint8]


def frame(source: Source, ref: ImageRef, number: int, sigma: float) -> Frame:
    """Return a frame of the Dark Vision Dataset as it is tested, cut to what is.

    Noise is drawn by a generator of the frame's number. Frames of another size than the set's are
    taken whole.
    """
    image = source.read(ref)
    assert image.guide is not None  # the source was opened with it
    planes = rgbir.to_planes(image.pixels)
    hashed = perceptual_hash(thumbnail(planes[..., 1:2]))
    dark = planes.astype(np.float64) * rgbir.test_factor(planes)
    levels = [sigma] * len(rgbir.PLANES)
    rng = generator(SEED, Stream.HELD_OUT_RGBIR, number)
    noisy = rgbir.with_noise(dark, levels, levels, rng)
    near = image.guide.astype(np.float64) ** rgbir.GAMMA
    box = MIDDLE if image.pixels.shape == FRAME else Box(0, 0, *image.pixels.shape)
    clean, given = rgbir.develop(dark), rgbir.develop(noisy)
    return Frame(_cut(clean, box), _cut(given, box), _cut(near, box), hashed)


@dataclass(frozen=True)
class _Tiles:
    """Reads tiles; those of one frame follow each other, so that the last frame is kept."""

    source: Source
    refs: tuple[ImageRef, ...]
    sigma: float
    places: tuple[tuple[int, Box], ...]

    def __call__(self, number: int) -> Case:
        image, box = self.places[number]
        found = _kept(self, image)
        clean, noisy, guide = (_cut(p, box) for p in found[:3])
        return Case(noisy, clean, found.perceptual_hash, guide=guide)


@lru_cache(maxsize=1)
def _kept(tiles: _Tiles, image: int) -> Frame:
    return frame(tiles.source, tiles.refs[image], image, tiles.sigma)


def open_dvd(asked: Asked) -> Cases:
    """Find the frames for testing and their tiles."""
    source: Any = sources.open("dvd", asked.root.url, guide="nir", split="test")
    refs = source.images()
    places, names, groups, odd = [], [], [], 0
    for number, ref in enumerate(refs):
        height, width = source.size(ref)
        whole = (height, width) == FRAME
        odd += not whole
        size = (MIDDLE.bottom - MIDDLE.top, MIDDLE.right - MIDDLE.left)
        for box in TILES.boxes(*(size if whole else (height, width))):
            places.append((number, box))
            names.append(f"{ref.scene} {box.top},{box.left}")
            groups.append(ref.scene)
    notes = [f"{odd} frames are not of {FRAME[1]}x{FRAME[0]} pixels: taken whole"] if odd else []
    sigma = _told(asked)
    if sigma not in LEVELS:
        notes.append(f"σ {sigma:g} is none of the published test's")
    load = _Tiles(source, refs, sigma, tuple(places))
    return Cases(asked.root.url, tuple(names), load, tuple(groups), tuple(notes), 1)


@dataclass(frozen=True)
class _Flash:
    """Reads pictures by ambient light, puts noise on them, and reads their flash photos."""

    source: Source
    refs: tuple[ImageRef, ...]
    sigma: float

    def __call__(self, number: int) -> Case:
        image = self.source.read(self.refs[number])
        rng = generator(SEED, Stream.HELD_OUT_AWGN, number)
        drawn = rng.standard_normal(image.pixels.shape, np.float32)
        white = np.float32((1 << 8 * image.pixels.dtype.itemsize) - 1)
        noisy = image.pixels / white + np.float32(self.sigma / 255) * drawn
        return Case(np.clip(noisy, 0, 1), image.pixels, guide=image.guide)


def open_faid(asked: Asked) -> Cases:
    """Find the pairs of the published test list."""
    source = sources.open("faid", asked.root.url, guide="flash", split="test")
    refs = source.images()
    count = sources.entry("faid").expected["test"]
    notes = [f"{len(refs)} of the set's {count} pairs are there"] if len(refs) < count else []
    groups = tuple(ref.scene.rsplit("_", 1)[0] for ref in refs)
    names = tuple(ref.scene for ref in refs)
    load = _Flash(source, refs, _told(asked))
    return Cases(asked.root.url, names, load, groups, tuple(notes), GUIDE_CHANNELS["flash"])


def _told(asked: Asked) -> float:
    assert asked.sigma is not None  # the protocol was checked
    return asked.sigma


def _cut(picture: npt.NDArray[Any], box: Box) -> Floats:
    part: Floats = picture[box.top : box.bottom, box.left : box.right].astype(np.float32)
    return part


def _dvd(name: str, source: str, measures: Sequence[Measure]) -> Protocol:
    return Protocol(
        name=name,
        title="Dark Vision Dataset, near infrared",
        source=source,
        layout=sources.entry("dvd").layout,
        channels=3,
        open=open_dvd,
        sigma=True,
        noise=f"noise of level σ, {', '.join(map(str, LEVELS))} as published, on dark mosaics: say "
        "which, such as --sigma 4",
        measures=tuple(measures),
        settings={"noise_seed": SEED, "green_mean": rgbir.TEST_MEAN, "tiles": TILES[:2]},
        published_bgr=True,
        peak="clean",
        scores_input=True,
    )


def _faid(name: str, source: str, measures: Sequence[Measure], *, clips: bool) -> Protocol:
    return Protocol(
        name=name,
        title="FAID, flash photo",
        source=source,
        layout=sources.entry("faid").layout,
        channels=3,
        open=open_faid,
        sigma=True,
        tile=WHOLE,
        ensemble_tile=WHOLE,
        measures=tuple(measures),
        settings={"noise_seed": SEED},
        published_bgr=True,
        clips=clips,
        scores_input=True,
    )


SCRIPT = "as RFFNet's script compares (ACM Multimedia 2024)"

DVD = _dvd("dvd", "S. Jin et al., AAAI 2022", PLAIN)
DVD_RFFNET = _dvd("dvd-rffnet", f"S. Jin et al., AAAI 2022; {SCRIPT}", PUBLISHED)
FAID = _faid("faid", "Y. Aksoy et al., ECCV 2018", PLAIN, clips=True)
FAID_RFFNET = _faid("faid-rffnet", f"Y. Aksoy et al., ECCV 2018; {SCRIPT}", PUBLISHED, clips=False)
