"""Noise on rendered pictures: the fast kernel underneath, its tables made once."""

import math
from functools import lru_cache
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from noisegen.errors import InputError
from noisegen.picture.parameters import PictureNoise
from noisegen.random import Counter

Code = TypeVar("Code", np.uint8, np.uint16)


def add_noise(
    picture: npt.NDArray[Code],
    noise: PictureNoise,
    counter: Counter,
    *,
    strength: float = 1.0,
    y: int = 0,
    x: int = 0,
    out: npt.NDArray[Code] | None = None,
) -> npt.NDArray[Code]:
    """Put noise on a clean picture.

    With ``white`` the largest code and n_k as :class:`PictureNoise` says, a code c of channel k
    becomes ``clip(floor(c + white s σ_k(c / white) n_k + 1/2), 0, white)``. The noise is a function
    of ``counter``, of the pixel's place in the full frame and of its own clean code: that of a crop
    is the crop of the frame's, to the bit, on any x86-64 processor. It knows of no borders: the
    white fields go on beyond the frame.

    Parameters
    ----------
    picture
        (H, W, 3) uint8 or uint16 gamma-coded R, G, B.
    noise
        What to add.
    counter
        Which noise, from :func:`noisegen.random.counter`.
    strength
        s of this picture, at least 0.
    y, x
        Place of the tile's (0, 0) in the full frame; any integers.
    out
        Where to write, C-contiguous; may be ``picture`` itself. A new array by default.

    Returns
    -------
    numpy.ndarray
        (H, W, 3) noisy picture of the type of ``picture``, ``out`` if given.

    Raises
    ------
    InputError
        If a picture is of the wrong kind or shape, or the strength is no strength.
    """
    # numba is loaded only when noise is drawn: files are checked without.
    from noisegen.kernels import picture as kernel

    if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype not in (np.uint8, np.uint16):
        raise InputError(
            f"picture of shape {picture.shape} and {picture.dtype}: (H, W, 3) uint8 or uint16 is "
            "needed"
        )
    if not 0 <= strength < math.inf:
        raise InputError(f"strength must be at least 0 and finite, not {strength:g}")
    if out is None:
        out = np.empty(picture.shape, picture.dtype)
    elif out.shape != picture.shape or out.dtype != picture.dtype or not out.flags.carray:
        raise InputError(
            f"out is {out.shape} {out.dtype}; {picture.shape} {picture.dtype}, contiguous and "
            "writable, is needed"
        )
    source = np.require(picture, requirements=("C", "A"))
    std, taps = _tables(noise, np.iinfo(picture.dtype).max)
    # NumPy's narrower integers would make numba compile again.
    kernel.add(source, out, std, taps, strength, counter, int(y), int(x))
    return out


@lru_cache(maxsize=16)
def _tables(
    noise: PictureNoise, white: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return σ of every code, in codes, and the taps, as the kernel takes them."""
    level = np.arange(white + 1) / white
    std = white * noise.std_at(np.broadcast_to(level, (3, white + 1)))
    taps = np.array(noise.kernel, np.float32).transpose(1, 2, 3, 0)
    return std.astype(np.float32), np.ascontiguousarray(taps)
