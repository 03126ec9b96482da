"""From a recipe and a source's images to shards: pure arithmetic, the same for any run.

A corpus has ``images x per_image x draws`` rows (the last image may give fewer patches). Row
``r`` is draw ``r % draws`` of patch ``r // draws``; patch ``p`` is number ``p % per_image`` of
image ``p // per_image``. A shard is a run of rows that holds all samples of a few images, so that a
file is decoded once; only an image that alone overflows a shard is spread over several.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from noisegen.errors import RecipeError
from pipelines.recipe import Recipe

SHARD_BYTES = 64 << 20
"""Pixels in a shard, before compression, over all its arrays: 64 MB unless asked otherwise."""


@dataclass(frozen=True)
class Piece:
    """Consecutive patches of one image, within one shard."""

    image: int
    first: int
    patches: int


@dataclass(frozen=True)
class Plan:
    """Who goes where.

    Attributes
    ----------
    images
        Number of images that are used.
    per_image
        Patches of an image (of all but the last one).
    patches
        Clean patches in all.
    draws
        Noise draws of a patch.
    patches_per_shard
        Patches of a shard (of all but the last one).
    """

    images: int
    per_image: int
    patches: int
    draws: int
    patches_per_shard: int

    @property
    def samples(self) -> int:
        """Rows of the corpus."""
        return self.patches * self.draws

    @property
    def rows_per_shard(self) -> int:
        """Rows of a shard."""
        return self.patches_per_shard * self.draws

    @property
    def shards(self) -> int:
        """Number of shards."""
        return math.ceil(self.patches / self.patches_per_shard)

    @property
    def images_per_shard(self) -> int:
        """Images whose rows under ``images/`` one shard writes."""
        return max(1, self.patches_per_shard // self.per_image)

    def patches_of(self, shard: int) -> range:
        """Return the numbers of the patches of a shard."""
        first = shard * self.patches_per_shard
        return range(first, min(first + self.patches_per_shard, self.patches))

    def pieces(self, shard: int) -> list[Piece]:
        """Return the runs of patches of a shard, image by image."""
        patches = self.patches_of(shard)
        out, at = [], patches.start
        while at < patches.stop:
            image, first = divmod(at, self.per_image)
            count = min(self.per_image - first, patches.stop - at)
            out.append(Piece(image, first, count))
            at += count
        return out


def selection(
    recipe: Recipe, available: int | None, default_per_image: int
) -> tuple[int, int, int]:
    """Return how many images to use, patches an image, and patches in all.

    Parameters
    ----------
    recipe
        Its ``count`` and ``per_image`` say what is wanted.
    available
        Images the source has; None for an endless source.
    default_per_image
        Patches an image where the recipe does not say.

    Raises
    ------
    RecipeError
        If the source has too few images.
    """
    if recipe.count is None:
        images = ENDLESS_IMAGES if available is None else available
        per_image = recipe.per_image or default_per_image
        return images, per_image, images * per_image
    count = recipe.count
    if recipe.per_image is not None or available is None:
        per_image = min(recipe.per_image or default_per_image, count)
    else:
        per_image = math.ceil(count / available)
    images = math.ceil(count / per_image)
    if available is not None and images > available:
        raise RecipeError(
            f"count: {count} samples at {per_image} an image need {images} images, the source has "
            f"{available}; raise per_image to {math.ceil(count / available)} or leave it away"
        )
    return images, per_image, count


ENDLESS_IMAGES = 16
"""Images of an endless source where the recipe gives no count: 256 samples at 16 an image."""


def spread(available: int, used: int) -> Sequence[int]:
    """Return ``used`` of ``available`` image numbers, evenly spread, in order."""
    return range(used) if used == available else [i * available // used for i in range(used)]


def make(
    recipe: Recipe,
    images: int,
    per_image: int,
    patches: int,
    bytes_per_patch: int,
    shard_bytes: int,
) -> Plan:
    """Cut the rows into shards of about ``shard_bytes``, whole images where they fit."""
    fit = max(1, shard_bytes // bytes_per_patch)
    per_shard = fit // per_image * per_image if fit >= per_image else _part(per_image, fit)
    return Plan(images, per_image, patches, recipe.draws, min(per_shard, images * per_image))


def _part(per_image: int, fit: int) -> int:
    # Shards of one image must not reach into the next, so their length divides the image's.
    return next(n for n in range(fit, 0, -1) if per_image % n == 0)
