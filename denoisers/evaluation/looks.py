"""What restored pictures look like: crops side by side, and where the errors are."""

from dataclasses import dataclass, field

import cv2
import numpy as np
import numpy.typing as npt

from denoisers.protocols.base import Floats
from noisegen.metrics import to_8bit

SIDE = 176
"""Height and width of the crops in pixels."""

SPREAD = 8
"""Pictures that are shown, spread evenly over the test."""

WORST = 4
"""Pictures that are shown because they gained least."""

Codes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Look:
    """A picture that is shown.

    Attributes
    ----------
    number, name
        Which.
    psnr, noisy_psnr
        Of the whole picture, in dB.
    crops
        Noisy, restored and clean, (h, w, 3) uint8, under their names.
    error
        (h, w) root mean square of the crop's errors over channels, in 8-bit levels.
    map
        The same of the whole picture, shrunk to the crop's height; none where the crop is all of
        it.
    box
        Left, top, right and bottom of the crop on the map.
    """

    number: int
    name: str
    psnr: float
    noisy_psnr: float
    crops: tuple[tuple[str, Codes], ...]
    error: Floats
    map: Floats | None
    box: tuple[int, int, int, int]

    @property
    def gain(self) -> float:
        """Of the PSNR, in dB."""
        return self.psnr - self.noisy_psnr


def of(
    number: int,
    name: str,
    pictures: tuple[Floats, Floats, Floats],
    psnr: float,
    noisy_psnr: float,
) -> Look:
    """Cut a picture where its restored version is farthest from the clean one.

    Parameters
    ----------
    number, name
        Which it is.
    pictures
        Noisy, restored and clean, (H, W, C) float32.
    psnr, noisy_psnr
        In dB.
    """
    _, restored, clean = pictures
    squares = np.mean((restored - clean) ** 2, axis=2)
    height, width = squares.shape
    h, w = min(SIDE, height), min(SIDE, width)
    # The mean over each window, at its middle; only windows that lie within the picture are taken.
    means = cv2.boxFilter(squares, -1, (w, h), borderType=cv2.BORDER_REFLECT)
    inside = means[h // 2 : h // 2 + height - h + 1, w // 2 : w // 2 + width - w + 1]
    y, x = (int(i) for i in np.unravel_index(int(inside.argmax()), inside.shape))
    crops = tuple(
        (title, _colour(to_8bit(picture[y : y + h, x : x + w])))
        for title, picture in zip(("noisy", "restored", "clean"), pictures, strict=True)
    )
    error: Floats = 255 * np.sqrt(squares)
    whole: Floats | None = None
    scale = h / height
    if (h, w) != (height, width):
        size = (max(1, round(width * scale)), h)
        whole = cv2.resize(error, size, interpolation=cv2.INTER_AREA)
    left, top, right, bottom = (round(i * scale) for i in (x, y, x + w, y + h))
    box = (left, top, right - 1, bottom - 1)
    return Look(
        number, name, psnr, noisy_psnr, crops, error[y : y + h, x : x + w].copy(), whole, box
    )


@dataclass
class Looks:
    """Those that are kept while pictures come in.

    Parameters
    ----------
    total
        How many pictures will come.
    """

    total: int
    _spread: list[Look] = field(default_factory=list)
    _worst: list[Look] = field(default_factory=list)

    def wants(self, number: int, gain: float) -> bool:
        """Tell whether a picture of this gain would be kept."""
        return self._is_spread(number) or len(self._worst) < WORST or gain < self._worst[-1].gain

    def add(self, look: Look) -> None:
        """Keep a picture, if it is one of those."""
        if self._is_spread(look.number):
            self._spread.append(look)
        self._worst = sorted([*self._worst, look], key=lambda one: one.gain)[:WORST]

    def all(self) -> tuple[list[Look], list[Look]]:
        """Return those spread evenly, and those that gained least and are not among them."""
        shown = {look.number for look in self._spread}
        return self._spread, [look for look in self._worst if look.number not in shown]

    def _is_spread(self, number: int) -> bool:
        count = min(SPREAD, self.total)
        return number in {i * self.total // count for i in range(count)}


def _colour(picture: Codes) -> Codes:
    return np.ascontiguousarray(np.broadcast_to(picture, (*picture.shape[:2], 3)))
