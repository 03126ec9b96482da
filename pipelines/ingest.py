"""Real noisy/clean pairs as samples: cut into windows, measured, and stored as they are.

Windows begin every stride pixels from the top left corner, row by row; the last ones of a row and
of a column end with the picture. So a picture gives as many samples as its size allows, and a
sample is a function of the pair alone.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any, cast

import cv2
import numpy as np
import numpy.typing as npt

from catalogs.sources import ImageRef, PairRef, PairSource, SourcePair
from noisegen.errors import InputError, UnreadableFileError
from pipelines import parameters
from pipelines.frame import perceptual_hash, thumbnail
from pipelines.job import Batch, ImageFacts, Job, missing, split
from pipelines.plan import Piece
from pipelines.recipe import Recipe
from pipelines.rendered import at_depth, statistics

CELL = 32
"""Pixels along the edge of the means by which two halves are held together."""

ALIKE = 0.7
"""Least correlation of these means in two pictures of one scene. The pairs of PolyU, CC and SIDD
have 0.978 or more; where a crop is flat, noise may lower it."""

EXPLAINED = 0.35
"""Noise explains it if their residual is less than this part of that of the pixels: in 1132 crops
of those pairs to 128 pixels it was at most 0.30. Of 4836 pairs of different pictures 37 pass."""


def starts(length: int, patch: int, stride: int) -> list[int]:
    """Return where windows begin along a side, as SIDD's published crops do.

    >>> starts(1200, 512, 384)
    [0, 384, 688]
    """
    return [*range(0, length - patch, stride), length - patch]


def counts(recipe: Recipe, source: PairSource, refs: Sequence[PairRef]) -> list[int]:
    """Return how many windows each pair gives.

    A pair whose size is not known, because it cannot be read or is too small, has one; what is
    wrong with it is said when it is made.
    """
    return [len(_corners(recipe, *_size(source, ref))) or 1 for ref in refs]


def found_again(source: PairSource, names: Sequence[str], scenes: Sequence[str]) -> list[PairRef]:
    """Return the pairs of an existing corpus; those that are gone have no files."""
    there = {ref.name: ref for ref in source.pairs()}
    return [
        there.get(name, PairRef(name, scene)) for name, scene in zip(names, scenes, strict=True)
    ]


def pieces(job: Job, piece: Piece) -> Iterator[ImageFacts | Batch]:
    """Yield the facts of a pair, followed by its windows in order."""
    ref = job.images[piece.image]
    try:
        pair = _read(job, ref)
        rows = _rows(job, piece, ref, pair)
    except (UnreadableFileError, InputError) as error:
        mistake = isinstance(error, InputError)
        yield ImageFacts(piece.image, problem=str(error), user_mistake=mistake)
        yield Batch(missing(job, piece), None, {})
        return
    height, width, _ = pair.clean.shape
    yield ImageFacts(
        piece.image,
        height,
        width,
        pair.sha256,
        perceptual_hash(thumbnail(pair.clean)).tobytes(),
        kind="srgb",
    )
    for part in split(job.developer, piece.patches):
        yield _batch(job, pair, rows[part])


def check_scene(pair: SourcePair, what: str) -> None:
    """Refuse halves that show different scenes.

    Parameters
    ----------
    pair
        The halves.
    what
        Names of their files, for the message.

    Raises
    ------
    InputError
        One line.
    """
    if not of_one_scene(pair.clean, pair.noisy):
        raise InputError(f"{what} show different scenes; are the names of one half in order?")


def of_one_scene(clean: npt.NDArray[Any], noisy: npt.NDArray[Any]) -> bool:
    """Tell whether two pictures may show one scene.

    They do if the means of their cells go together, whatever light and contrast each has. Where
    they do not, because the scene is flat, noise must be what sets them apart, and noise averages
    out: the means then differ by far less than the pixels do.

    Parameters
    ----------
    clean, noisy
        (H, W, 3) pictures of one size and type.
    """
    height, width = (max(2, length // CELL) for length in clean.shape[:2])
    a, b = (p[..., 1].astype(np.float32) for p in (clean, noisy))
    small = [cv2.resize(p, (width, height), interpolation=cv2.INTER_AREA) for p in (a, b)]
    x, y = (p - p.mean() for p in small)
    xx, yy, xy = (float((p * q).sum()) for p, q in ((x, x), (y, y), (x, y)))
    if xy >= ALIKE * math.sqrt(xx * yy) and xx:
        return True
    slope = max(0.0, xy / xx) if xx else 0.0
    left, every = float((y - slope * x).std()), float((b - slope * a).std())
    return left <= EXPLAINED * every


def _size(source: PairSource, ref: PairRef) -> tuple[int, int]:
    try:
        return source.size(ref)
    except UnreadableFileError:
        return 0, 0


def _corners(recipe: Recipe, height: int, width: int) -> npt.NDArray[np.intp]:
    """Return (n, 2) top left corners of the windows of a picture; none if it is too small."""
    patch, stride = recipe.patch, recipe.stride or recipe.patch
    if min(height, width) < patch:
        return np.zeros((0, 2), np.intp)
    sides = (starts(length, patch, stride) for length in (height, width))
    return np.stack(np.meshgrid(*sides, indexing="ij"), -1).reshape(-1, 2)


def _read(job: Job, ref: ImageRef) -> SourcePair:
    """Read a pair and refuse what is none, by the name of its files."""
    if not isinstance(ref, PairRef):
        raise TypeError(f"{ref.name} is an image without a noisy half")
    pair = cast(PairSource, job.source).read_pair(ref)
    what = f"{ref.noisy} and {ref.clean}"
    depth = pair.clean.dtype.itemsize * 8
    if job.recipe.bits is None and depth != job.recipe.depth:
        raise InputError(
            f"{what} have {depth} bits a channel; use --bits {depth} to keep them, or --bits "
            f"{job.recipe.depth} to round them"
        )
    if np.array_equal(pair.clean, pair.noisy):
        raise InputError(f"{what} are the same picture; replace one of them")
    check_scene(pair, what)
    return pair


def _rows(job: Job, piece: Piece, ref: ImageRef, pair: SourcePair) -> npt.NDArray[np.void]:
    """Return the (patches, 1) rows of a piece: what is told and where the windows are."""
    height, width, _ = pair.clean.shape
    corners = _corners(job.recipe, height, width)
    if not len(corners):
        fits = min(height, width) // 2 * 2
        remedy = f"use --patch {fits} or less" if fits >= 8 else "take it out of the folder"
        raise InputError(
            f"{ref.name} is {height} x {width} pixels, smaller than the patch of "
            f"{job.recipe.patch}; {remedy}"
        )
    planned = job.plan.patches_of_image(piece.image)
    if len(corners) != planned:
        raise InputError(
            f"{ref.name} is {height} x {width} pixels now, which gives {len(corners)} windows, and "
            f"the corpus was begun with {planned}; begin it anew with --overwrite"
        )
    numbers = np.arange(piece.first, piece.first + piece.patches)
    rows = parameters.empty(piece.patches).reshape(-1, 1)
    shot = cast(PairRef, ref).shot
    rows["valid"], rows["image"] = 1, piece.image
    rows["index"] = numbers[:, None]
    rows["key"] = piece.image * job.plan.per_image + numbers[:, None]
    rows["y"], rows["x"] = corners[numbers, :1], corners[numbers, 1:]
    rows["black"], rows["white"] = 0, (1 << job.recipe.depth) - 1
    for name in ("iso", "aperture", "exposure_time", "temperature"):
        if (value := getattr(shot, name)) is not None:
            rows[name] = value
    return rows


def _batch(job: Job, pair: SourcePair, rows: npt.NDArray[np.void]) -> Batch:
    """Cut the windows of some rows and measure them."""
    recipe = job.recipe
    places = zip(rows["y"][:, 0].tolist(), rows["x"][:, 0].tolist(), strict=True)
    cuts = [(slice(y, y + recipe.patch), slice(x, x + recipe.patch)) for y, x in places]
    halves = [
        np.stack([at_depth(half[cut], recipe.depth) for cut in cuts])
        for half in (pair.clean, pair.noisy)
    ]
    clean, noisy = halves
    for name, values in zip(("mean", "texture", "clipped"), statistics(clean), strict=True):
        rows[name] = values[:, None]
    noise = (noisy.astype(np.float32) - clean) / np.float32(np.iinfo(clean.dtype).max)
    rows["noise"] = noise.std((1, 2), dtype=np.float64)[:, None]
    tiles = np.concatenate(halves, axis=-1)
    sizes = np.full((len(rows), 2), pair.clean.shape[:2])
    return Batch(rows, tiles, job.developer.batch(rows, tiles, sizes))
