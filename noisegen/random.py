"""Where every random number of noisegen comes from.

Three kinds of generator, and no others anywhere in the project:

* :func:`generator` seeds NumPy's Philox from ``SeedSequence(seed, spawn_key=(stream, *key))``. It
  draws everything that is not a pixel: places of crops, ISO, white balance, exposure, scenes.
  :func:`uniforms` takes the numbers of many items out of one such generator.
* :func:`counter` gives the key and the fixed counter words of the Philox 4x32-10 field that the
  kernels of :mod:`noisegen.kernels` evaluate at a pixel's place in the full frame. The noise of a
  pixel is so a function of (seed, sample, draw, stream, y, x) alone. :func:`body_counter` does the
  same for the fixed pattern of a camera body, a function of (seed, camera, body, stream, y, x).
* :func:`torch_generator` seeds torch's own generators, for noise drawn on batches in training. The
  numbers depend on the device and on the version of torch. :func:`published_torch_generator` and
  :func:`published_legacy_generator` are theirs alone who repeat published noise.

References
----------
J. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
"""

import hashlib
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch

_PHILOX_WORDS = 4
"""Numbers of one block of NumPy's Philox, which is what its counter counts."""

DRAWS = 1 << 24
"""Draws of the noise of one patch that there are."""


class Stream(IntEnum):
    """Independent uses of one seed. A number, once released, is never given to another use."""

    CROP = 1
    CAMERA = 2
    EXPOSURE = 3
    TONE = 4
    COLOUR = 5
    SCENE = 6
    VERIFY = 7
    TRAINING = 8
    SPLIT = 9
    BODY = 10
    DARK_FRAME = 11
    GUIDE = 15
    RGBIR = 17
    WRONG_GUIDE = 18
    HELD_OUT_RGBIR = 19
    WEIGHTS = 20
    ORDER = 21
    MIXUP = 22
    AWGN = 23
    HELD_OUT_AWGN = 24
    PARITY = 25
    DROPOUT = 26
    MOSAIC = 27
    HELD_OUT_MOSAIC = 28
    REALISM = 30
    STRENGTH = 32
    FINISH = 40
    SHADING = 50
    UNPROCESS = 60
    NECA_GAIN = 65
    BOOTSTRAP = 70
    BENCH = 71
    NECA = 80
    NECA_HELD_OUT = 81


class Field(IntEnum):
    """Independent per-pixel fields of one sample (the third word of the Philox counter)."""

    SHOT = 1
    READ = 2
    ROW = 3
    SHOT_DARK = 4
    COLUMN = 5
    FRAME = 6
    DITHER = 8
    PICTURE_1 = 16
    PICTURE_2 = 17
    PICTURE_3 = 18
    NECA_R = 19
    NECA_G = 20
    NECA_B = 21


class BodyField(IntEnum):
    """Independent per-pixel fields of one camera body.

    Their numbers are those that no :class:`Field` has: the low byte of the counter's third word
    tells a body's blocks from a sample's, whatever the other words are.
    """

    PRNU = 128
    DSNU = 129
    COLUMN = 130
    SHADING = 131
    GREEN = 132
    DEFECT = 133
    HOT = 134


class Counter(NamedTuple):
    """Key and fixed counter words of one sample's noise fields.

    The kernels fill the two other words with the pixel's column and its row divided by four.
    """

    key0: int
    key1: int
    sample: int
    draw: int


class BodyCounter(NamedTuple):
    """Key and fixed counter words of one camera body's fields: the same in all of its frames."""

    key0: int
    key1: int
    camera: int
    body: int


def generator(seed: int, stream: Stream, *key: int) -> np.random.Generator:
    """Return the generator of ``(seed, stream, *key)``, the same on every machine.

    Parameters
    ----------
    seed
        The recorded seed, a non-negative integer of any size.
    stream
        What is drawn.
    key
        Further non-negative integers, such as the image's and the sample's number.
    """
    sequence = np.random.SeedSequence(seed, spawn_key=(int(stream), *key))
    return np.random.Generator(np.random.Philox(sequence))


def uniforms(
    seed: int, stream: Stream, *key: int, items: range, each: int
) -> npt.NDArray[np.float64]:
    """Return uniform numbers of many items, each a function of (seed, stream, key, item) alone.

    Seeding a generator takes far longer than drawing a few numbers: here one serves all items.

    Parameters
    ----------
    seed, stream, key
        As in :func:`generator`; nothing else may be drawn from that one.
    items
        Numbers of the items, consecutive.
    each
        Numbers an item.

    Returns
    -------
    ndarray
        (items, each) in [0, 1).
    """
    blocks = -(-each // _PHILOX_WORDS)
    rng = generator(seed, stream, *key)
    rng.bit_generator.advance(items.start * blocks)  # type: ignore[attr-defined]
    return rng.random((len(items), blocks * _PHILOX_WORDS))[:, :each]


def torch_generator(
    seed: int, stream: Stream, *key: int, device: "torch.device | str" = "cpu"
) -> "torch.Generator":
    """Return a torch generator of ``(seed, stream, *key)`` on a device.

    Parameters
    ----------
    seed, stream, key
        As in :func:`generator`; the numbers are others.
    device
        Where the numbers are wanted.

    Notes
    -----
    The generator's seed has 64 bits, of which torch's CPU generator (2.13) uses the lower 32: among
    n generators on the CPU, two are alike with odds of about n²/2³³.
    """
    import torch  # most of noisegen runs without it

    sequence = np.random.SeedSequence(seed, spawn_key=(int(stream), *key))
    words = sequence.generate_state(1, np.uint64)
    return torch.Generator(device).manual_seed(int(words[0]))


def published_torch_generator(seed: int) -> "torch.Generator":
    """Return torch's CPU generator as ``torch.manual_seed(seed)`` leaves it.

    Published test scripts draw their noise so, and their figures hold for that noise alone; nothing
    else is drawn from it.
    """
    import torch  # most of noisegen runs without it

    return torch.Generator().manual_seed(seed)


def published_legacy_generator(seed: int) -> np.random.RandomState:
    """Return NumPy's legacy generator, which published test scripts draw their noise from.

    Their figures hold for that noise alone; nothing else is drawn from it.
    """
    return np.random.RandomState(seed)


def counter(seed: int, sample: int, draw: int = 0) -> Counter:
    """Return the Philox key and counter words of one draw of one sample's noise.

    Parameters
    ----------
    seed
        The recorded seed; seeds below 2**64 give distinct keys, larger ones are folded to 64 bits.
    sample
        Number of the clean patch in its corpus, below 2**32.
    draw
        Number of the noise draw of that patch, below 2**24.
    """
    if not 0 <= sample < 1 << 32:
        raise ValueError(f"sample {sample} is outside 0 … 2**32 - 1")
    if not 0 <= draw < DRAWS:
        raise ValueError(f"draw {draw} is outside 0 … 2**24 - 1")
    return Counter(*_key(seed), sample, draw)


def body_counter(seed: int, camera: int, body: int) -> BodyCounter:
    """Return the Philox key and counter words of a camera body's fixed pattern.

    Parameters
    ----------
    seed
        The recorded seed, as in :func:`counter`.
    camera
        The camera's word, from :func:`camera_word`.
    body
        Number of the virtual body of that camera, below 2**24.
    """
    if not 0 <= camera < 1 << 32:
        raise ValueError(f"camera word {camera} is outside 0 … 2**32 - 1")
    if not 0 <= body < 1 << 24:
        raise ValueError(f"body {body} is outside 0 … 2**24 - 1")
    return BodyCounter(*_key(seed), camera, body)


def camera_word(name: str) -> int:
    """Return the 32-bit word that stands for a camera of that name in :func:`body_counter`."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4])


def _key(seed: int) -> tuple[int, int]:
    """Fold a seed to the 64 bits of a Philox key."""
    folded = seed
    while folded >> 64:
        folded = (folded >> 64) ^ (folded & (1 << 64) - 1)
    return folded & 0xFFFFFFFF, folded >> 32
