"""Noise of the Dark Vision Dataset: drawn on RGB-IR mosaics, which are then developed as published.

Mosaics come from the data set, or are made of a picture or a scene-linear image, by undoing the
development. A sample's clean picture is the crop of its frame's, darkened by the sample's factor;
its noise is drawn by a generator of (seed, image, patch, draw) over the sample and a cell around
it, which is as far as the development reaches.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from catalogs.sources import SourceImage
from noisegen import random, rgbir
from noisegen.errors import InputError, UnreadableFileError
from noisegen.rgbir_gains import CALIBRATED
from pipelines import guides, parameters
from pipelines.frame import perceptual_hash, thumbnail
from pipelines.job import Batch, ImageFacts, Job, missing, split
from pipelines.plan import Piece
from pipelines.recipe import Recipe
from pipelines.rendered import at_depth, statistics
from pipelines.tables import ends
from pipelines.tables.dvd import Dvd

_STEPS = 2.0**40
# Powers differ in their last bit between processors; what is left of them here does not.

Mosaic = npt.NDArray[np.float64]
"""(H, W) in units of 1023, sides multiples of 4."""


class Levels(NamedTuple):
    """What noise is drawn with, in units of 1023.

    Attributes
    ----------
    sigma
        Level of the published test; NaN at a calibrated gain.
    read, shot
        As :func:`noisegen.rgbir.with_noise` takes them.
    """

    sigma: float
    read: list[float]
    shot: list[float]

    def record(self, rows: npt.NDArray[np.void]) -> None:
        """Write it into rows of the parameter table; figures of a colour are its planes' means."""
        rows["strength"], rows["gain"] = self.sigma, np.mean(self.shot)
        for plane, colour in enumerate("RGBG"):
            of_colour = [p for p, name in enumerate(rgbir.PLANES) if name[0] == colour]
            shot = np.mean([self.shot[p] for p in of_colour])
            read = np.mean([self.read[p] ** 2 for p in of_colour])
            rows["shot"][:, plane] = shot / rgbir.WHITE
            rows["read"][:, plane] = read / rgbir.WHITE**2


def pieces(job: Job, piece: Piece) -> Iterator[ImageFacts | Batch]:
    """Yield the facts of an image, followed by its patches in order."""
    ref, recipe = job.images[piece.image], job.recipe
    try:
        image = job.source.read(ref)
        frame = mosaic(image)
        height, width = frame.shape
        if min(height, width) < recipe.patch:
            raise InputError(
                f"{ref.name} is {height} x {width} pixels (whole cells of 4), smaller than the "
                f"patch of {recipe.patch}; use --patch {min(height, width)} or less"
            )
        guide = _guide(image, recipe, ref.name)
    except (UnreadableFileError, InputError) as error:
        mistake = isinstance(error, InputError)
        yield ImageFacts(piece.image, problem=str(error), user_mistake=mistake)
        yield Batch(missing(job, piece), None, {})
        return
    small = perceptual_hash(thumbnail(rgbir.to_planes(frame)[..., 1:2]))
    yield ImageFacts(piece.image, height, width, image.sha256, small.tobytes(), kind=image.kind)
    rows, levels = _rows(job, piece, frame)
    for part in split(job.developer, piece.patches):
        yield _batch(job, frame, guide, rows[part], levels[part])


def mosaic(image: SourceImage) -> Mosaic:
    """Return the RGB-IR mosaic of a source's image, infrared 0 where it shows none.

    Pictures are linear to the power of 1 / 0.45 here, whatever made them, so that the development
    gives back what was undone. A remainder of a cell at the right and below is left out.
    """
    height, width = (side // rgbir.CELL * rgbir.CELL for side in image.pixels.shape[:2])
    pixels = image.pixels[:height, :width]
    if image.kind == "rgbir":
        return pixels.astype(np.float64)
    light: npt.NDArray[Any] = pixels
    if image.kind == "srgb":
        light = _light(pixels.dtype.itemsize)[pixels]
    elif image.kind != "linear":
        raise InputError(
            "noise dvd is drawn on RGB-IR mosaics: of the Dark Vision Dataset, or made of "
            "pictures; a Bayer mosaic has none of its camera's infrared"
        )
    return _undeveloped(light)


def _undeveloped(light: npt.NDArray[Any]) -> Mosaic:
    """Return the mosaic whose development has the colours of (H, W, 3) linear light.

    A captured red moves by one row and one column when it is developed: it is taken from there.
    """
    height, width = light.shape[:2]
    out = np.zeros((height, width))
    for p, name in enumerate(rgbir.PLANES):
        y, x = divmod(p, rgbir.CELL)
        channel = "RGB".find(name[0])
        if name.startswith("IR"):
            continue
        moved = 1 if name[0] == "R" else 0
        # Reds lie in even rows and columns: none is moved beyond the rim.
        rows = np.arange(y, height, rgbir.CELL) + moved
        columns = np.arange(x, width, rgbir.CELL) + moved
        taken = light[rows[:, None], columns, channel].astype(np.float64)
        out[y :: rgbir.CELL, x :: rgbir.CELL] = taken * (rgbir.WHITE / rgbir.GAIN[name[0]])
    return out


@cache
def _light(size: int) -> npt.NDArray[np.float64]:
    """Return the linear light of every code of 8 or 16 bits."""
    codes = 1 << (8 * size)
    power = (np.arange(codes) / (codes - 1)) ** (1 / rgbir.GAMMA)
    light: npt.NDArray[np.float64] = np.rint(power * _STEPS) / _STEPS
    return light


def _codes(picture: npt.NDArray[np.floating], bits: int) -> npt.NDArray[Any]:
    """Return the codes of a picture in [0, 1]."""
    white = (1 << bits) - 1
    codes: npt.NDArray[Any] = np.rint(picture * white).astype(np.uint8 if bits == 8 else np.uint16)
    return codes


def _guide(image: SourceImage, recipe: Recipe, name: str) -> guides.Picture | None:
    """Return the guide of a whole frame in the development's encoding."""
    if recipe.guide is None:
        return None
    guide = guides.check(image, recipe.guide, name)
    if guide.dtype == np.float32:
        return _codes(np.clip(guide, 0, 1).astype(np.float64) ** rgbir.GAMMA, recipe.depth)
    return at_depth(guide, recipe.depth)


def _rows(job: Job, piece: Piece, frame: Mosaic) -> tuple[npt.NDArray[np.void], list[Levels]]:
    """Return the (patches, draws) rows of a piece, and what each patch's noise is drawn with."""
    recipe, table, patch = job.recipe, job.recipe.dvd, job.recipe.patch
    rows = parameters.empty(piece.patches * recipe.draws).reshape(piece.patches, recipe.draws)
    numbers = range(piece.first, piece.first + piece.patches)
    rows["valid"], rows["image"] = 1, piece.image
    rows["index"] = np.array(numbers)[:, None]
    rows["key"] = piece.image * job.plan.per_image + rows["index"]
    rows["draw"] = np.arange(recipe.draws)
    rows["black"], rows["white"], rows["exposure_ratio"] = 0, rgbir.WHITE, 1
    steps = [(side - patch) // rgbir.CELL + 1 for side in frame.shape]
    rng = random.generator(recipe.seed, random.Stream.CROP, piece.image)
    corners = rgbir.CELL * rng.integers(0, steps, (numbers.stop, 2))[numbers.start :]
    rows["y"], rows["x"] = corners[:, :1], corners[:, 1:]
    whole = rgbir.to_planes(frame) if table.mean_of == "frame" else None
    drawn = []
    for number, of_patch in zip(numbers, rows, strict=True):
        rng = random.generator(recipe.seed, random.Stream.RGBIR, piece.image, number, 0)
        y, x = int(of_patch["y"][0]), int(of_patch["x"][0])
        seen = rgbir.to_planes(frame[y : y + patch, x : x + patch]) if whole is None else whole
        of_patch["exposure"] = _factor(seen, table, rng)
        levels = draw_levels(table, rng)
        levels.record(of_patch)
        drawn.append(levels)
    return rows, drawn


def _factor(planes: npt.NDArray[Any], table: Dvd, rng: np.random.Generator) -> float:
    """Return what the light of a sample is multiplied by; 1 of a black one."""
    if not rgbir.green_mean(planes):
        return 1.0
    if table.green is None:
        return rgbir.train_factor(planes, rng)
    if isinstance(table.green, tuple):
        return rgbir.train_factor(planes, rng, table.green)
    return rgbir.test_factor(planes, table.green)


def draw_levels(table: Dvd, rng: np.random.Generator) -> Levels:
    """Draw what a sample's noise is drawn with."""
    if table.sigma is not None:
        low, high = ends(table.sigma)
        sigma = low + (high - low) * rng.random()
        return Levels(sigma, *([sigma] * len(rgbir.PLANES) for _ in range(2)))
    gain = (1, len(CALIBRATED)) if table.gain is None else table.gain
    first, last = gain if isinstance(gain, tuple) else (gain, gain)
    return Levels(np.nan, *rgbir.constants(CALIBRATED[rng.integers(first, last + 1) - 1]))


def _batch(
    job: Job,
    frame: Mosaic,
    guide: guides.Picture | None,
    rows: npt.NDArray[np.void],
    levels: Sequence[Levels],
) -> Batch:
    """Cut the patches of some rows, draw their noise, develop and measure them."""
    recipe, patch = job.recipe, job.recipe.patch
    clean = np.empty((*rows.shape, patch, patch, 3), np.uint8 if recipe.depth == 8 else np.uint16)
    noisy = np.empty_like(clean)
    for place in np.ndindex(rows.shape):
        row = rows[place]
        y, x, image, number = (int(row[name]) for name in ("y", "x", "image", "index"))
        top, left = max(0, y - rgbir.CELL), max(0, x - rgbir.CELL)
        around = frame[top : y + patch + rgbir.CELL, left : x + patch + rgbir.CELL]
        inside = slice(y - top, y - top + patch), slice(x - left, x - left + patch)
        planes = rgbir.to_planes(around) * float(row["exposure"])
        clean[place] = _codes(rgbir.develop(planes)[inside], recipe.depth)
        key = (image, number, 1 + int(row["draw"]))
        rng = random.generator(recipe.seed, random.Stream.RGBIR, *key)
        _, read, shot = levels[place[0]]
        planes = rgbir.with_noise(planes, read, shot, rng)
        noisy[place] = _codes(rgbir.develop(planes)[inside], recipe.depth)
    for name, values in zip(("mean", "texture", "clipped"), statistics(clean[:, 0]), strict=True):
        rows[name] = values[:, None]
    samples = {
        name: array.reshape(rows.size, *array.shape[2:])
        for name, array in (("clean", clean), ("noisy", noisy))
    }
    if guide is not None:
        samples["guide"] = guides.patches(guide, rows, patch)
    return Batch(rows, np.concatenate((clean[:, 0], noisy[:, 0]), axis=-1), samples)
