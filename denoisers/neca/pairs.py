"""The pairs of one camera: which they are, that they are pairs, and how strong their noise is."""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from denoisers.neca.recipe import Compressed
from noisegen.errors import InputError
from noisegen.jpeg import quality_of, subsampling_of
from noisegen.neca.card import Jpeg
from pipelines.pairs import Pair, Pairs
from pipelines.tables import ends

MOST = 512
"""Pairs of a set that are measured, evenly spread over it."""

BLOCK = 16
"""Side of the blocks whose means are compared, in pixels: noise hardly moves them."""

FAR = 12 / 255
"""Standard deviation between the blocks of two halves that may still be noise, white being 1."""

MANY = 16
"""ISOs above which they are taken for drawn ones, and gains are put together stop by stop."""

MOST_JPEGS, JPEG_SIDE = 16, 768
"""Pictures, evenly spread, and pixels of their height and width, in which JPEGs are looked for."""

COMMON = 0.1, 0.9
"""Quantiles of the qualities found that are the least and the greatest: a stray one is left out."""

Gains = dict[int, tuple[float, ...]]


def of_camera(pairs: Pairs, camera: str) -> Pairs:
    """Return the pairs that were taken by a camera; all, where none is known to be.

    Parameters
    ----------
    pairs
        Their entries say the camera, where it is known.
    camera
        Letters and digits alone matter, and not their case: ``canon-5d2`` is ``Canon5D2``.
    """
    own = [i for i, e in enumerate(pairs.entries) if _plain(e.camera) == _plain(camera)]
    return pairs.take(own) if own else pairs


def weights_by_camera(folder: str, cameras: Iterable[str]) -> dict[str, str]:
    """Return where the networks of each camera are.

    Parameters
    ----------
    folder
        Their weights, or a folder of folders of weights, called as the cameras are
        (:func:`folder_of`; letters and digits alone matter).
    cameras
        Names; that of an unknown camera is empty.

    Raises
    ------
    InputError
        If some of the cameras have a folder there and others do not.
    """
    names = sorted(set(cameras))
    here = Path(folder)
    inside = sorted(here.iterdir()) if here.is_dir() else []
    own = {_plain(place.name): str(place) for place in inside if place.is_dir()}
    there = {name: own[folder_of(name)] for name in names if folder_of(name) in own}
    if not there:
        return dict.fromkeys(names, folder)
    missing = [folder_of(name) for name in names if name not in there]
    if missing:
        raise InputError(
            f"{folder}: it has networks of {', '.join(map(folder_of, there))}, and none of "
            f"{', '.join(missing)}; give each camera its folder"
        )
    return there


def folder_of(camera: str) -> str:
    """Return what the folder of a camera's networks is called."""
    return _plain(camera) or "unknown"


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def measured_gains(pairs: Pairs, patch: int, on_pair: Callable[[], None] = lambda: None) -> Gains:
    """Return the standard deviations of the pairs' noise by ISO, where an ISO is known.

    Where there are more than :data:`MANY` ISOs, as in corpora that draw them from a range, each
    counts as the nearest of …, 50, 100, 200, …

    Parameters
    ----------
    pairs
        Of one camera.
    patch
        Pixels that a picture must have in height and width.
    on_pair
        Called when a pair was read.

    Raises
    ------
    InputError
        If a pair is too small, has no noise, or its halves do not show the same.
    """
    found: list[tuple[int, float]] = []
    for number in spread(len(pairs)):
        pair = pairs[number]
        noise = check(pair, patch, pairs.where)
        if iso := iso_of(pairs, number):
            found.append((iso, float(noise.std(dtype=np.float64))))
        on_pair()
    drawn = len({iso for iso, _ in found}) > MANY
    gains: dict[int, list[float]] = {}
    for iso, gain in found:
        gains.setdefault(_whole_stop(iso) if drawn else iso, []).append(gain)
    return {iso: tuple(sorted(gains[iso])) for iso in sorted(gains)}


def _whole_stop(iso: int) -> int:
    return max(1, round(100 * 2.0 ** round(math.log2(iso / 100))))


def spread(count: int, most: int = MOST) -> list[int]:
    """Return the numbers of the pairs that are measured."""
    numbers: list[int] = np.unique(np.linspace(0, count - 1, min(count, most)).astype(int)).tolist()
    return numbers


def check(pair: Pair, patch: int, where: str) -> npt.NDArray[np.float32]:
    """Return the noise of a pair in units of white, and refuse what is none.

    Raises
    ------
    InputError
        As :func:`measured_gains`.
    """
    height, width, _ = pair.clean.shape
    if min(height, width) < patch:
        raise InputError(
            f"{where}: pair {pair.name} has {width}x{height} pixels, {patch}x{patch} or more are "
            "needed; leave it out"
        )
    white = np.float32(np.iinfo(pair.clean.dtype).max)
    clean, noisy = (half.astype(np.float32) / white for half in (pair.clean, pair.noisy))
    noise: npt.NDArray[np.float32] = noisy - clean
    if not noise.any():
        raise InputError(f"{where}: the halves of pair {pair.name} are equal: there is no noise")
    apart, content = (_blocks(t).std() for t in (noise, clean))
    if apart > FAR and apart > content / 2:
        raise InputError(
            f"{where}: the halves of pair {pair.name} do not show the same scene (means of "
            f"{BLOCK}x{BLOCK} pixels differ by {255 * apart:.0f} of 255); pair them anew"
        )
    return noise


def jpeg_of(pairs: Pairs, wanted: Compressed) -> Jpeg | None:
    """Return the JPEGs that the noisy pictures of pairs were in; None where they were in none.

    Parameters
    ----------
    pairs
        Of one camera.
    wanted
        What is known, and what is to be found (:mod:`noisegen.jpeg`).

    Raises
    ------
    InputError
        If a JPEG is asked for, and the pictures have not 8 bits.
    """
    if wanted.quality == "none":
        return None
    noisy = [
        pairs[number].noisy[:JPEG_SIDE, :JPEG_SIDE] for number in spread(len(pairs), MOST_JPEGS)
    ]
    if any(picture.dtype != np.uint8 for picture in noisy):
        if wanted.quality == "found":
            return None
        raise InputError(
            f"{pairs.where}: jpeg.quality: a JPEG has 8 bits, and these pictures have 16; leave it "
            "away"
        )
    if wanted.quality == "found":
        told = [quality_of([picture]) for picture in noisy]
        found = [quality for quality in told if quality is not None]
        if 2 * len(found) < len(noisy):
            return None
        low, high = np.quantile(found, COMMON, method="nearest").astype(int).tolist()
        noisy = [picture for picture, quality in zip(noisy, told, strict=True) if quality]
    else:
        low, high = map(int, ends(wanted.quality))
    own = subsampling_of(noisy) if wanted.subsampling == "found" else wanted.subsampling
    return Jpeg(quality=(low, high), subsampling=own)


def iso_of(pairs: Pairs, number: int) -> int | None:
    """Return the ISO speed of a pair in whole numbers, or None where it is not known."""
    iso = pairs.entries[number].iso
    return round(iso) if iso is not None else None


def taken(every: Pairs, own: Pairs, camera: str) -> str:
    """Say in a line how many pairs of which cameras are taken, and how many are not.

    Parameters
    ----------
    every
        The pairs there are.
    own
        Those of :func:`of_camera`.
    camera
        Whose they should be.
    """
    counts = Counter(entry.camera for entry in own.entries)
    names = sorted(counts.keys() - {""})
    text = f"{own.where}: {len(own)} pair{'s' * (len(own) > 1)}"
    if not names:
        return f"{text}, whose camera is not known"
    told = [f"{counts[name]} of {name}" for name in names]
    told += [f"{counts['']} of unknown cameras"] if counts[""] else []
    if any(_plain(name) == _plain(camera) for name in names):
        left = len(every) - len(own)
        return f"{text} of {names[0]}" + (f"; {left} of other cameras are left out" * (left > 0))
    return f"{text}, {', '.join(told)}: none is called {camera}, and all are taken"


def _blocks(picture: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
    down, across = (length // BLOCK for length in picture.shape[:2])
    cut = picture[: down * BLOCK, : across * BLOCK]
    apart = cut.reshape(down, BLOCK, across, BLOCK, -1)
    return np.asarray(apart.mean((1, 3), dtype=np.float64))
