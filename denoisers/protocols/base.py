"""What a test protocol is: its pictures, how networks are run on them, what is measured."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from catalogs.sources.roots import Root
from denoisers.inference.chop import Chop
from denoisers.inference.grid import Grid
from denoisers.inference.raws import Frame
from noisegen.errors import InputError
from noisegen.isp.parameters import Demosaic
from noisegen.metrics import WINDOW, psnr, ssim, to_8bit

Picture = npt.NDArray[Any]
"""(H, W, C) uint8, uint16, or float32 where 0 is black and 1 white; channels R, G, B, or one."""

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Case:
    """One test picture.

    Attributes
    ----------
    noisy
        What the network gets; floating point may leave [0, 1].
    clean
        What it is compared with; none where the set keeps it to itself.
    perceptual_hash
        (8,) uint8 of the whole frame that it was cut from, where that is recorded.
    frame
        The mosaic that networks of mosaics get; ``noisy`` is then its rendering.
    guide
        (H, W, G) of the same scene, where the set has one.
    reference
        (H, W, 3) float32 picture whose colours a restored mosaic's picture gets.
    """

    noisy: Picture
    clean: Picture | None
    perceptual_hash: npt.NDArray[np.uint8] | None = None
    frame: Frame | None = None
    guide: Picture | None = None
    reference: Floats | None = None


@dataclass(frozen=True)
class Cases:
    """The pictures of a test, read one at a time.

    Attributes
    ----------
    where
        Folder, file or corpus, for messages.
    names
        Of the pictures.
    load
        Reads the picture of a number.
    groups
        What each picture belongs to (its camera, its scene), where means of it are wanted too.
    guide_channels
        Of the guides; 0: there are none.
    notes
        What a reader of the figures has to know, such as that the set is not whole.
    """

    where: str
    names: tuple[str, ...]
    load: Callable[[int], Case]
    groups: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    guide_channels: int = 0

    def __len__(self) -> int:
        return len(self.names)

    def group(self, number: int) -> str:
        """Return what a picture belongs to; empty where it is all one."""
        return self.groups[number] if self.groups else ""


@dataclass(frozen=True)
class Asked:
    """What a user says of a test, beside its name and network.

    Attributes
    ----------
    root
        Where its pictures lie: a folder or an fsspec URL.
    sigma
        Standard deviation of the noise that is put on, in 8-bit levels.
    split
        Scenes of which split of the scenes' hash are tested on; none: all.
    demosaic
        Demosaicer of the ISP that mosaics are developed by; none: AHD.
    """

    root: Root
    sigma: float | None = None
    split: str | None = None
    demosaic: Demosaic | None = None


@dataclass(frozen=True)
class Measure:
    """A number that is measured of a restored picture.

    Attributes
    ----------
    key, title
        What it is called in files, and on pages.
    of
        Takes the restored and the clean picture, (H, W, C) float32 in [0, 1].
    decimals
        That are shown.
    """

    key: str
    title: str
    of: Callable[[Floats, Floats], float]
    decimals: int


def similarity(picture: Picture, reference: Picture) -> float:
    """Return the SSIM, NaN of pictures smaller than its window."""
    return ssim(picture, reference) if min(picture.shape[:2]) >= WINDOW else float("nan")


PSNR = Measure("psnr", "PSNR", lambda x, y: psnr(to_8bit(x), to_8bit(y)), 2)
SSIM = Measure("ssim", "SSIM", lambda x, y: similarity(to_8bit(x), to_8bit(y)), 4)
"""Of pictures rounded to 8 bits, half to even, as most papers have them."""


class Submission(ABC):
    """Files for a server that keeps the clean pictures; cases are added in their order."""

    @abstractmethod
    def add(self, number: int, restored: Floats) -> None:
        """Take the restored picture of a case, (H, W, 3) in [0, 1].

        Raises
        ------
        StorageError
            If a file cannot be written.
        """

    def add_mosaic(self, number: int, mosaic: Floats) -> None:  # noqa: B027 - pictures have none
        """Take the restored mosaic of a case, (H, W), before its picture."""

    @abstractmethod
    def finish(self) -> tuple[Path, ...]:
        """Write what is not written yet, read all back, compare, and return the files.

        Raises
        ------
        StorageError
            If a file cannot be written, or does not hold what was written.
        """


@dataclass(frozen=True)
class Protocol:
    """A test by its name.

    Attributes
    ----------
    name, title
        What it is called, and what it is.
    source
        Where its rules come from.
    layout
        What must lie under the root.
    channels
        Of its pictures.
    open
        Finds the pictures. Raises InputError where there are none, or not those of the set.
    sigma, noise
        Whether noise is put on whose strength is to be said, and which.
    split
        Whether the scenes of one split can be asked for.
    tile, ensemble_tile
        How a picture is cut if nothing is said, without and with self-ensemble: 0, whole.
    peak
        What is white where pictures are compared: white, or the largest value of the clean one, by
        which all are divided.
    clips
        Whether the network's result is cut to [0, 1] before.
    scores_input
        Whether PSNR and SSIM of the noisy picture are measured as those of the restored one; if
        not, they are those of floating point.
    measures
        What is measured; PSNR and SSIM come first.
    submission
        Makes the files for a server, of cases in a folder.
    settings
        What of its rules is written down beside figures, such as the seed.
    published_bgr
        Whether the published test gives networks B, G, R.
    mosaics
        Whether it is of networks of mosaics.
    """

    name: str
    title: str
    source: str
    layout: str
    channels: int
    open: Callable[[Asked], Cases]
    sigma: bool = False
    noise: str = "white noise on clean pictures: say how much, in 8-bit levels, such as --sigma 25"
    split: bool = False
    tile: int | Chop | Grid = 0
    ensemble_tile: int | Chop | Grid = 0
    peak: Literal["white", "clean"] = "white"
    clips: bool = True
    scores_input: bool = False
    measures: tuple[Measure, ...] = (PSNR, SSIM)
    submission: Callable[[Cases, Path], Submission] | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    published_bgr: bool = False
    mosaics: bool = False

    def check(self, asked: Asked) -> None:
        """Refuse what the protocol does not take.

        Raises
        ------
        InputError
            One line.
        """
        if asked.demosaic is not None and not self.mosaics:
            raise InputError(f"{self.name} is of pictures: leave --demosaic away")
        if self.sigma and asked.sigma is None:
            raise InputError(f"{self.name} puts {self.noise}")
        if not self.sigma and asked.sigma is not None:
            raise InputError(
                f"{self.name} has noise of its own: leave --sigma away, or test on clean pictures "
                "with --on awgn"
            )
        if asked.sigma is not None and not 0 < asked.sigma <= 255:
            raise InputError(f"--sigma {asked.sigma:g} is not above 0 and up to 255")
        if asked.split is not None and not self.split:
            raise InputError(
                f"{self.name} is tested on whole: leave --split away, or test pairs or a corpus"
            )
