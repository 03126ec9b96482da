"""What the makers of shards share: all they need to know, and what they hand on."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from catalogs.camera import Camera
from catalogs.sources import ImageRef, Source
from pipelines import parameters
from pipelines.develop import Arrays
from pipelines.picture import AnyDeveloper
from pipelines.plan import Piece, Plan
from pipelines.recipe import Recipe

RENDERED_BYTES = 4 << 20
"""Mosaics, clean and noisy, that are rendered at a time: they stay in cache."""

MOSAIC_BYTES = 16 << 20
"""Mosaics that are stored as they are: what is done once a batch counts for more than the cache."""


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
    developer: AnyDeveloper


@dataclass(frozen=True)
class ImageFacts:
    """What is found of one image; ``problem`` is empty when it could be used.

    ``kind`` is that of its pixels (:class:`catalogs.sources.SourceImage`), empty if it was not
    read. ``rejected`` counts the patches of the whole image that are left out because the image
    itself is too noisy for them (:mod:`pipelines.source_noise`). ``shading`` is what its file
    records of its lens, where the recipe takes that (:class:`noisegen.isp.shading.Shading`).
    """

    image: int
    height: int = 0
    width: int = 0
    sha256: bytes = bytes(32)
    perceptual_hash: bytes = bytes(8)
    problem: str = ""
    user_mistake: bool = False
    warnings: tuple[str, ...] = ()
    kind: str = ""
    rejected: int = 0
    shading: bytes = b""


@dataclass(frozen=True)
class Batch:
    """Consecutive clean patches of one image and their samples.

    Attributes
    ----------
    rows
        (patches, draws) rows of the parameter table.
    tiles
        (patches, P + 2 halo, P + 2 halo) clean mosaics, or (…, 3) clean pictures; None where the
        image could not be used.
    arrays
        Arrays of all samples, (patches x draws, ...), draws fastest; none where the image could not
        be used, or for a lazy corpus.
    """

    rows: npt.NDArray[np.void]
    tiles: npt.NDArray[np.uint8] | npt.NDArray[np.uint16] | None
    arrays: Arrays


def split(developer: AnyDeveloper, patches: int) -> Iterator[slice]:
    """Yield the parts in which patches are developed."""
    recipe = developer.recipe
    most = MOSAIC_BYTES if recipe.stage == "raw" or recipe.lazy else RENDERED_BYTES
    size = 2 * (developer.core + 2 * developer.halo) ** 2 * (1 + recipe.draws)
    step = max(1, most // size)
    return (slice(first, min(first + step, patches)) for first in range(0, patches, step))


def missing(job: Job, piece: Piece) -> npt.NDArray[np.void]:
    """Return the rows of patches that could not be made."""
    draws = job.recipe.draws
    rows = parameters.empty(piece.patches * draws).reshape(piece.patches, draws)
    numbers = np.arange(piece.first, piece.first + piece.patches)[:, None]
    rows["image"], rows["index"] = piece.image, numbers
    rows["key"] = piece.image * job.plan.per_image + numbers
    rows["draw"] = np.arange(draws)
    return rows
