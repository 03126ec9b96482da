"""Clean pictures with white noise, by the rules of ADFNet's two tests.

Both add noise to the picture in [0, 1] and neither cut nor round the sum. The noise of every
picture begins anew from one seed, so that pictures of one size get the same noise.

* Colour: OpenCV reads blue, green, red, so the first channel of the noise goes to blue. Pictures
  are mirrored up to multiples of 8 and run whole; with self-ensemble by four tiles. The published
  test gives the network blue, green, red as well; here it gets red, green, blue unless asked.
* Gray: the first channel that OpenCV reads; nothing is mirrored, always by four tiles.

References
----------
H. Shen et al., "Adaptive Dynamic Filtering Network for Image Denoising", AAAI 2023, and its code.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
import torch
from torch import Tensor

from catalogs.sources import pictures
from catalogs.sources.roots import Root
from denoisers.inference.chop import Chop
from denoisers.protocols.base import Asked, Case, Cases, Floats, Picture, Protocol
from noisegen.errors import InputError, MissingDataError
from noisegen.random import published_torch_generator

SEEDS = {3: 20, 1: 1}
"""Of the noise, by channels."""

SOURCE = "ADFNet (AAAI 2023), its test scripts for white noise"


def noise(shape: tuple[int, ...], sigma: float, seed: int) -> Tensor:
    """Return the noise of one test picture.

    Parameters
    ----------
    shape
        (1, C, H, W); in ADFNet's colour test channel 0 is blue.
    sigma
        Standard deviation in 8-bit levels.
    seed
        Given anew for every picture: 20 in ADFNet's colour test, 1 in its gray one.

    Returns
    -------
    Tensor
        float32 on the CPU, for pictures in [0, 1].
    """
    return torch.empty(shape).normal_(0, sigma / 255, generator=published_torch_generator(seed))


def folder(count: int | None, channels: int) -> Callable[[Asked], Cases]:
    """Return what opens a folder of clean pictures.

    Parameters
    ----------
    count
        How many pictures the set has; none: any number.
    channels
        1 or 3.
    """

    def open_folder(asked: Asked) -> Cases:
        root = asked.root
        names = [n for n in root.names() if PurePosixPath(n).suffix.lower() in pictures.EXTENSIONS]
        names.sort(key=natural)
        if not names:
            raise MissingDataError(
                f"{root.url}: no picture there ({', '.join(sorted(pictures.EXTENSIONS))})"
            )
        if count is not None and len(names) > count:
            raise InputError(
                f"{root.url}: {len(names)} pictures, the set has {count}; give --root the folder "
                "of the set alone, or test on any pictures with --on "
                + ("awgn" if channels == 3 else "awgn-gray")
            )
        notes = []
        if count not in (None, len(names)):
            notes.append(f"{len(names)} of the set's {count} pictures are there")
        assert asked.sigma is not None  # Protocol.check
        load = _Noisy(root, tuple(names), channels, asked.sigma)
        if channels == 1 and not load.is_grey(0):
            notes.append(
                f"{names[0]} is in colour: blue is tested on, as in the published test in grey"
            )
        stems = tuple(PurePosixPath(name).with_suffix("").as_posix() for name in names)
        return Cases(root.url, stems, load, notes=tuple(notes))

    return open_folder


def natural(name: str) -> list[tuple[int, str]]:
    """Return a key that sorts 2 before 10."""
    return [(int(n or 0), text) for text, n in re.findall(r"(\D*)(\d*)", name)]


@dataclass(frozen=True)
class _Noisy:
    root: Root
    files: tuple[str, ...]
    channels: int
    sigma: float

    def __call__(self, number: int) -> Case:
        colour = self._colour(number)
        # OpenCV's order is B, G, R: its first channel is our last.
        clean = colour if self.channels == 3 else colour[..., 2:]
        height, width, channels = clean.shape
        drawn = noise((1, channels, height, width), self.sigma, SEEDS[channels]).numpy()[0]
        white = np.float32(np.iinfo(clean.dtype).max)
        y: Floats = clean.astype(np.float32) / white + drawn[::-1].transpose(1, 2, 0)
        return Case(y, clean)

    def is_grey(self, number: int) -> bool:
        """Tell whether the channels of a picture are one."""
        colour = self._colour(number)
        return bool((colour == colour[..., :1]).all())

    def _colour(self, number: int) -> Picture:
        name = self.files[number]
        return pictures.decode(self.root.read(name), self.root.locate(name))


def _colour(name: str, title: str, count: int | None, layout: str) -> Protocol:
    return Protocol(
        name=name,
        title=title,
        source=SOURCE,
        layout=layout,
        channels=3,
        open=folder(count, 3),
        sigma=True,
        ensemble_tile=Chop(4_000_000, multiple=8),
        settings={"noise_seed": SEEDS[3], "noise_order": "B, G, R", "rounding": "half-even"},
        published_bgr=True,
    )


def _gray(name: str, title: str, count: int | None, layout: str) -> Protocol:
    return Protocol(
        name=name,
        title=title,
        source=SOURCE,
        layout=layout,
        channels=1,
        open=folder(count, 1),
        sigma=True,
        tile=Chop(400_000),
        ensemble_tile=Chop(400_000),
        settings={"noise_seed": SEEDS[1], "channel": "blue", "rounding": "half-even"},
    )


SET12 = _gray("set12", "Set12 in grey, white noise", 12, "01.png … 12.png")
BSD68 = _gray("bsd68", "BSD68 in grey, white noise", 68, "test001.png … test068.png")
URBAN100_GRAY = _gray("urban100-gray", "Urban100 in grey, white noise", 100, "its 100 PNG files")
AWGN_GRAY = _gray("awgn-gray", "any pictures in grey, white noise", None, "pictures, at any depth")

CBSD68 = _colour("cbsd68", "CBSD68 (BSD68 in colour), white noise", 68, "3096.png … 304074.png")
KODAK24 = _colour("kodak24", "Kodak24, white noise", 24, "kodim01.png … kodim24.png")
MCMASTER = _colour("mcmaster", "McMaster, white noise", 18, "1.tif … 18.tif")
URBAN100 = _colour("urban100", "Urban100, white noise", 100, "its 100 PNG files")
AWGN = _colour("awgn", "any pictures, white noise", None, "pictures, at any depth")
