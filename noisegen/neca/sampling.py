"""Noise for pictures of any size: gain, level map, and as many draws as are asked for.

The noise of a window is the window of the whole picture's: what is drawn depends on the counter and
on places in the picture alone, and the correlation network sees the picture's own surroundings.
"""

import contextlib
import math
import warnings
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch

from noisegen.errors import InputError, WeightsError
from noisegen.jpeg import UNIT, Subsampling, through_jpeg, widened
from noisegen.neca.correlation import TILE, FastCorrelation
from noisegen.neca.gain import FastGain
from noisegen.neca.level import KEPT, FastLevel
from noisegen.neca.model import Neca
from noisegen.neca.windows import Floats, Picture, Window, as_tensor, check_picture, cut
from noisegen.random import Counter, Field

Precision = Literal["float32", "bfloat16"]

FIELDS = (Field.NECA_R, Field.NECA_G, Field.NECA_B)
"""White fields of the channels."""


class Sampler:
    """Makes noise with a camera's networks, without gradients.

    Parameters
    ----------
    neca
        The networks; their weights are copied.
    device
        ``"cpu"`` or a CUDA device.
    precision
        Of the correlation network.
    winograd
        Convolve faster in the correlation network where that can be, on a CPU and for the published
        width and above: right for whole pictures. Without, the halo of a window is half as wide,
        which is right for small ones. Values differ by some 1e-6.
    tile
        Edge of the tiles that the correlation network works in, raised to a multiple of its own.
    kept
        Bytes of features that the level network keeps from layer to layer; the others it computes
        anew.

    Raises
    ------
    WeightsError
        If the gain network gives more than one number a picture.
    """

    def __init__(
        self,
        neca: Neca,
        *,
        device: str = "cpu",
        precision: Precision = "float32",
        winograd: bool = True,
        tile: int = TILE,
        kept: int = KEPT,
    ) -> None:
        self._device = torch.device(device)
        self.card = neca.card
        self._gain = None if neca.gain is None else FastGain(neca.gain, self._device)
        self._level = None if neca.level is None else FastLevel(neca.level, self._device, kept)
        dtype = getattr(torch, precision)
        self._correlation = FastCorrelation(neca.correlation, self._device, dtype, winograd)
        self._multiple = neca.correlation.multiple
        self._grid = self._correlation.grid
        self._tile = -(-tile // self._grid) * self._grid
        reflects = neca.correlation.padding == "reflect"
        self._smallest = max(4, self._multiple * (2 if reflects else 1))

    def gain(self, noisy: Picture) -> float:
        """Return the gain b of a noisy picture, bounded as in :meth:`bounded`.

        Parameters
        ----------
        noisy
            (H, W, 3) of any size.

        Raises
        ------
        WeightsError
            If there is no gain network.
        """
        if self._gain is None:
            raise WeightsError("there is no gain network (E) among these weights; give a gain")
        check_picture(noisy, 1)
        with _exact():
            return self.bounded(self._gain(noisy))

    def bounded(self, gain: float) -> float:
        """Return a gain, cut to 0 … ``card.highest_gain`` with a warning where it lies beyond.

        Raises
        ------
        InputError
            If it is not finite.
        """
        if not math.isfinite(gain):
            raise InputError(f"gain {gain} is not finite")
        bounded = min(max(gain, 0.0), self.card.highest_gain)
        if bounded != gain:
            warnings.warn(
                f"a gain of {gain:.4g} is not one that the networks were trained at; "
                f"{bounded:.4g} is taken",
                stacklevel=3,
            )
        return bounded

    def level_map(self, clean: Picture, gain: float) -> Floats:
        """Return m, the standard deviation of each pixel's and channel's independent noise v.

        Parameters
        ----------
        clean
            (H, W, 3) of any size; m depends on all of it.
        gain
            b, bounded as in :meth:`bounded`.

        Returns
        -------
        numpy.ndarray
            (H, W, 3) float32, 0 or more; 1 is white minus black.

        Raises
        ------
        WeightsError
            If there is no level network.
        """
        if self._level is None:
            raise WeightsError("there is no level network (P) among these weights")
        check_picture(clean, self._smallest)
        with _exact():
            return self._level(clean, self.bounded(gain))

    def noise(
        self,
        level: Floats | float,
        shape: tuple[int, int],
        source: Counter | Floats,
        window: Window | None = None,
    ) -> Floats:
        """Return w = v + C(v) with v = m e: the noise of a picture, or of a window of it.

        Parameters
        ----------
        level
            m of the whole picture, (H, W, 3), from :meth:`level_map` (NeCA-W); or one number for
            all pixels, σ / 255 (NeCA-S).
        shape
            Height and width of the whole picture.
        source
            Counter that e is drawn with; or e itself, (H', W', 3) with both sizes of the picture
            raised to multiples of the network's.
        window
            What is wanted of the picture; all of it by default.

        Returns
        -------
        numpy.ndarray
            (h, w, 3) float32, 1 is white minus black, not clipped.

        Raises
        ------
        InputError
            If shapes do not fit.
        """
        window = window or Window.of(*shape)
        out = np.empty((*window.shape, 3), np.float32)
        for tile, noise in self._tiles(level, shape, source, window):
            out[tile.within(window).slices] = noise
        return out

    def add_noise(
        self,
        clean: Picture,
        level: Floats | float,
        source: Counter | Floats,
        window: Window | None = None,
        *,
        quality: int | None = None,
    ) -> npt.NDArray[Any]:
        """Return noisy codes ``round(white clip(clean / white + w, 0, 1))``, half to even.

        Where the card has a JPEG, that is what goes into one, whose blocks begin at the corner of
        the picture, and what comes out is returned.

        Parameters
        ----------
        clean
            (H, W, 3) uint8 or uint16: the whole picture.
        level, source, window
            As in :meth:`noise`.
        quality
            Of the JPEG; by default the middle of the card's. 0: there is none, as where the card
            has none.

        Returns
        -------
        numpy.ndarray
            (h, w, 3) of the type of ``clean``.

        Raises
        ------
        InputError
            If shapes do not fit, the picture is not of codes, or not of 8 bits for a JPEG, or its
            quality is none.
        """
        if quality is not None and not 0 <= quality <= 100:
            raise InputError(f"a JPEG's quality is from 1 to 100 (0: no JPEG), not {quality}")
        if clean.dtype.kind != "u":
            raise InputError(f"noise is added to codes (uint8 or uint16), not to {clean.dtype}")
        check_picture(clean, self._smallest)
        shape = clean.shape[:2]
        white = np.float32(np.iinfo(clean.dtype).max)
        whole = Window.of(*shape)
        window = window or whole
        own = None if quality == 0 else self.card.jpeg
        if own is not None and clean.dtype != np.uint8:
            raise InputError(f"a JPEG has 8 bits ({own}, says the card); give an 8-bit picture")
        seen = window if own is None else _jpeg_blocks(window, whole, own.subsampling)
        out = np.empty((*seen.shape, 3), clean.dtype)
        for tile, noise in self._tiles(level, shape, source, seen):
            value = np.clip(clean[tile.slices] / white + noise, 0, 1)
            out[tile.within(seen).slices] = np.rint(value * white)
        if own is None:
            return out
        file = np.ascontiguousarray(out[..., ::-1])
        out = through_jpeg(file, quality or own.middle, own.subsampling)
        return np.ascontiguousarray(out[(*window.within(seen).slices, slice(None, None, -1))])

    def _tiles(
        self,
        level: Floats | float,
        shape: tuple[int, int],
        source: Counter | Floats,
        window: Window,
    ) -> Iterator[tuple[Window, Floats]]:
        """Yield tiles that fill the window, with the noise of each."""
        whole = Window.of(*shape)
        if window != window.grown(0, whole) or min(window.shape) < 1:
            raise InputError(f"window {tuple(window)} is not within a picture of {shape}")
        if isinstance(level, np.ndarray) and level.shape != (*shape, 3):
            raise InputError(f"a level map of shape {level.shape} for a picture of {shape}")
        extended = whole.aligned(self._multiple)
        if isinstance(source, np.ndarray) and source.shape != (*extended.shape, 3):
            raise InputError(f"a field of shape {source.shape}: {(*extended.shape, 3)} is needed")
        for core in window.aligned(self._grid).grown(0, extended).tiles(self._tile):
            seen = self._correlation.seen(core, extended)
            with _exact():
                noise = as_tensor(_field(source, seen), self._device)
                if isinstance(level, np.ndarray):
                    noise = noise * as_tensor(cut(level, seen), self._device)
                else:
                    noise = noise * level
                rows, columns = core.within(seen).slices
                mixed = self._correlation(noise, seen, core) + noise[..., rows, columns]
            tile = core.grown(0, window)
            rows, columns = tile.within(core).slices
            yield tile, mixed[0, :, rows, columns].permute(1, 2, 0).cpu().numpy()


def _jpeg_blocks(window: Window, whole: Window, subsampling: Subsampling) -> Window:
    """Return the window that a window of the JPEG follows from."""
    corner, shape = widened((window.top, window.left), window.shape, whole.shape, UNIT[subsampling])
    return Window(corner[0], corner[0] + shape[0], corner[1], corner[1] + shape[1])


@contextlib.contextmanager
def _exact() -> Iterator[None]:
    """Compute without gradients, on CUDA in full float32 and the same way every time."""
    flags = torch.backends.cudnn.flags(
        enabled=True, benchmark=False, deterministic=True, allow_tf32=False
    )
    with torch.inference_mode(), flags:
        yield


def _field(source: Counter | Floats, window: Window) -> Floats:
    """Return e of a window, (h, w, 3)."""
    if isinstance(source, np.ndarray):
        return source[window.slices]
    # numba is loaded only when noise is drawn.
    from noisegen.kernels.philox import normals

    planes = [normals(window.shape, source, f, window.top, window.left) for f in FIELDS]
    return np.stack(planes, axis=-1)
