"""The samples of a shard, as a pure function of the recipe, the source's images and the shard.

Same arguments give the same bytes, in any order, in any process. Nothing here knows of stores,
workers or progress.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from catalogs import cameras
from catalogs.camera import Camera
from catalogs.sources import ImageRef, Source, SourceImage
from noisegen import cfa, random
from noisegen.errors import InputError, RecipeError, UnreadableFileError
from noisegen.isp import color
from noisegen.kernels.statistics import mosaic_statistics
from pipelines import parameters
from pipelines.develop import Arrays, Developer
from pipelines.frame import Frame, frame, perceptual_hash
from pipelines.plan import Piece, Plan
from pipelines.recipe import Recipe
from pipelines.tables import ends
from pipelines.tile import Window


@dataclass(frozen=True)
class Job:
    """All that makes the shards of one corpus.

    Attributes
    ----------
    recipe, plan
        What is made, and who goes where.
    source
        Where the pictures come from.
    images
        The images that are used, in their order in the corpus.
    camera
        The target camera; None for "as-shot", which asks every file for its own.
    developer
        Makes a sample of its tile and its row.
    """

    recipe: Recipe
    plan: Plan
    source: Source
    images: tuple[ImageRef, ...]
    camera: Camera | None
    developer: Developer


@dataclass(frozen=True)
class ImageFacts:
    """What is recorded of one image; ``problem`` is empty when it could be used."""

    image: int
    height: int = 0
    width: int = 0
    sha256: bytes = bytes(32)
    perceptual_hash: bytes = bytes(8)
    problem: str = ""
    user_mistake: bool = False
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Patch:
    """One clean patch and its samples.

    Attributes
    ----------
    rows
        (draws,) rows of the parameter table.
    tile
        Clean mosaic with its halo; None where the image could not be used.
    samples
        Arrays of each draw; empty where the image could not be used, or for a lazy corpus.
    """

    rows: npt.NDArray[np.void]
    tile: npt.NDArray[np.uint16] | None
    samples: tuple[Arrays, ...]


def patches(job: Job, shard: int) -> Iterator[ImageFacts | Patch]:
    """Yield the facts of each image of a shard, each followed by its patches in order."""
    for piece in job.plan.pieces(shard):
        yield from _piece(job, piece)


def _piece(job: Job, piece: Piece) -> Iterator[ImageFacts | Patch]:
    try:
        image = job.source.read(job.images[piece.image])
        camera = job.camera or _as_shot(image, job.images[piece.image].name)
        picture = frame(image, camera, job.recipe, piece.image)
        _check_size(picture, job, piece.image)
        iso = _own_iso(image, camera, job, piece.image)
    except (UnreadableFileError, InputError) as error:
        yield ImageFacts(
            piece.image, problem=str(error), user_mistake=isinstance(error, InputError)
        )
        for number in range(piece.first, piece.first + piece.patches):
            yield Patch(_missing(job, piece.image, number), None, ())
        return
    yield ImageFacts(
        piece.image,
        picture.height,
        picture.width,
        image.sha256,
        perceptual_hash(picture.thumbnail()).tobytes(),
        warnings=_stretched(camera, job, piece.image, iso),
    )
    work = _Work(
        job, piece.image, image.kind, camera, iso, picture, _known(job, piece.image, picture)
    )
    numbers = range(piece.first, piece.first + piece.patches)
    for number, (y, x) in zip(numbers, _places(job, picture, piece), strict=True):
        yield work.patch(number, y, x)


@dataclass(frozen=True)
class _Work:
    """One image being cut: ``known`` is the bytes of a row of what all of its patches share."""

    job: Job
    image: int
    kind: str
    camera: Camera
    iso: float | None
    picture: Frame
    known: bytes

    def patch(self, number: int, y: int, x: int) -> Patch:
        """Make patch ``number``, whose corner is at (y, x)."""
        developer, recipe, picture = self.job.developer, self.job.recipe, self.picture
        window = Window(y, x, recipe.patch, developer.halo, picture.height, picture.width)
        tone = _tone(recipe, self.kind, self.image, number)
        tile = picture.tile(window, tone)
        rows = parameters.table(self.known * recipe.draws)
        row = rows[0]
        row["index"], row["key"] = number, self.image * self.job.plan.per_image + number
        row["y"], row["x"], row["tone"] = y, x, tone
        row["mean"], row["texture"], row["clipped"] = mosaic_statistics(
            tile[window.core],
            cfa.by_position(picture.levels.black, picture.phase),
            picture.levels.white,
        )
        self._expose(row, number)
        if recipe.draws > 1:
            rows[1:] = row
            rows["draw"] = np.arange(recipe.draws)
        if recipe.lazy:
            return Patch(rows, tile, ())
        return Patch(rows, tile, tuple(developer.sample(row, tile, window) for row in rows))

    def _expose(self, row: np.void, number: int) -> None:
        """Draw the camera's setting and noise, and the light."""
        recipe = self.job.recipe
        rng = random.generator(recipe.seed, random.Stream.CAMERA, self.image, number)
        model = self.job.developer.sensor.model
        iso = self.iso if recipe.iso == "as-shot" else recipe.iso
        state = self.camera.draw(rng, model=model, iso=iso, gain=recipe.gain)
        noise = state.parameters
        row["iso"], row["gain"] = state.iso, state.gain
        row["shot"], row["read"], row["bias"] = noise.shot, noise.read, noise.bias
        row["row"] = noise.row
        if noise.tukey_lambda is not None and noise.tukey_scale is not None:
            row["tukey_lambda"], row["tukey_scale"] = noise.tukey_lambda, noise.tukey_scale
        for term in recipe.without:
            if term == "row" and "row" in noise.read_includes:
                row["read"] = np.maximum(row["read"] - row["row"] ** 2, 0)
            row[term] = 0
            if term == "read" and noise.tukey_lambda is not None:
                row["tukey_scale"] = 0
        row["exposure_ratio"] = _exposure_ratio(recipe, self.image, number)


def _known(job: Job, image: int, picture: Frame) -> bytes:
    """Return the bytes of the row of what all patches of an image share."""
    row: np.void = parameters.empty(1)[0]
    row["valid"], row["image"] = 1, image
    row["cfa"] = cfa.PHASES.index(picture.phase)
    row["black"], row["white"] = picture.levels.black, picture.levels.white
    row["source_shot"], row["source_read"] = picture.own_noise()
    row["wb"], row["cam_to_xyz"] = picture.white_balance, picture.cam_to_xyz
    row["ccm"] = color.multiply(color.xyz_to_srgb("D65"), picture.cam_to_xyz)
    return row.tobytes()


def _missing(job: Job, image: int, number: int) -> npt.NDArray[np.void]:
    """Return the rows of a patch that could not be made."""
    rows = parameters.empty(job.recipe.draws)
    rows["image"], rows["index"] = image, number
    rows["key"] = image * job.plan.per_image + number
    rows["draw"] = np.arange(job.recipe.draws)
    return rows


def _places(job: Job, picture: Frame, piece: Piece) -> list[tuple[int, int]]:
    """Draw the corners of all patches of an image up to the piece's end, and return the piece's.

    Corners lie on the CFA's period of two pixels, so that every patch has the phase of its frame.
    """
    rng = random.generator(job.recipe.seed, random.Stream.CROP, piece.image)
    steps = [(length - job.recipe.patch) // 2 + 1 for length in (picture.height, picture.width)]
    drawn = 2 * rng.integers(0, steps, (piece.first + piece.patches, 2))
    return [(int(y), int(x)) for y, x in drawn[piece.first :]]


def _exposure_ratio(recipe: Recipe, image: int, number: int) -> float:
    if recipe.exposure_ratio is None:
        return 1.0
    low, high = ends(recipe.exposure_ratio)
    rng = random.generator(recipe.seed, random.Stream.EXPOSURE, image, number)
    return math.exp(rng.uniform(math.log(low), math.log(high))) if low < high else low


def _tone(recipe: Recipe, kind: str, image: int, number: int) -> float:
    """Draw α: one a patch, or one an image where a picture's own encoding is undone with it."""
    low, high = ends(recipe.tone)
    if low == high:
        return low
    key = (image,) if kind == "srgb" else (image, number)
    return float(random.generator(recipe.seed, random.Stream.TONE, *key).uniform(low, high))


def _as_shot(image: SourceImage, name: str) -> Camera:
    if image.raw is None:
        raise RecipeError(
            f"camera 'as-shot' takes the noise profile of raw files, and {name} is a picture; "
            "name a camera (noisegen cameras)"
        )
    return cameras.as_shot(image.raw)


def _own_iso(image: SourceImage, camera: Camera, job: Job, number: int) -> float | None:
    """Return the file's ISO; refuse one that is needed and missing, or beyond the camera."""
    iso = image.raw.iso if image.raw else None
    if job.recipe.iso != "as-shot":
        return iso
    if not iso:
        raise InputError(
            f"{job.images[number].name} does not say its ISO, which --iso as-shot needs; name one"
        )
    try:
        camera.check(iso=iso)
    except InputError as error:
        raise InputError(f"{job.images[number].name}: {error}") from None
    return float(iso)


def _stretched(camera: Camera, job: Job, number: int, iso: float | None) -> tuple[str, ...]:
    """Return what the camera has to say about following this file's ISO."""
    if job.recipe.iso != "as-shot":
        return ()
    rng = random.generator(job.recipe.seed, random.Stream.CAMERA, number, 0)
    state = camera.draw(rng, model=job.developer.sensor.model, iso=iso)
    return tuple(f"{job.images[number].name}: {line}" for line in state.warnings)


def _check_size(picture: Frame, job: Job, number: int) -> None:
    patch = job.recipe.patch
    if min(picture.height, picture.width) < patch:
        fits = min(picture.height, picture.width) // 2 * 2
        remedy = f"use --patch {fits} or less" if fits >= 8 else "take it out of the folder"
        raise InputError(
            f"{job.images[number].name} is {picture.height} x {picture.width} pixels, smaller "
            f"than the patch of {patch}; {remedy}"
        )
