"""From a recipe and a source's images to shards: pure arithmetic, the same for any run.

A corpus has ``images x per_image x draws`` rows (the last image may give fewer patches). Row
``r`` is draw ``r % draws`` of patch ``r // draws``; patch ``p`` is number ``p % per_image`` of
image ``p // per_image``. A shard is a run of rows that holds all samples of a few images, so that a
file is decoded once; only images that overflow a shard are spread over several.

Real pairs of several sizes give as many patches as windows fit in: then ``counts`` says how many
each image has, their patches follow one another, and ``per_image`` is the most of them.
"""

import bisect
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

from noisegen.errors import RecipeError
from pipelines.recipe import Recipe

LARGEST_PATCH_BYTES = 2 << 30
"""A patch with all its draws lies in one shard, which is held in memory while it is made."""


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
        Patches of an image (of all but the last one), or the most where ``counts`` are given.
    patches
        Clean patches in all.
    draws
        Noise draws of a patch.
    patches_per_shard
        Patches of a shard (of all but the last one).
    counts
        Patches of each image where they are not equal; empty where they are.
    """

    images: int
    per_image: int
    patches: int
    draws: int
    patches_per_shard: int
    counts: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Turn what JSON keeps as a list back."""
        object.__setattr__(self, "counts", tuple(self.counts))

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
        """Images in a chunk of ``images/``: those of one shard, or 1 where shards share images."""
        return 1 if self.counts else max(1, self.patches_per_shard // self.per_image)

    def patches_of_image(self, image: int) -> int:
        """Return how many patches an image gives."""
        if self.counts:
            return self.counts[image]
        return min(self.per_image, self.patches - image * self.per_image)

    def patches_of(self, shard: int) -> range:
        """Return the numbers of the patches of a shard."""
        first = shard * self.patches_per_shard
        return range(first, min(first + self.patches_per_shard, self.patches))

    def pieces(self, shard: int) -> list[Piece]:
        """Return the runs of patches of a shard, image by image."""
        patches = self.patches_of(shard)
        out, at = [], patches.start
        while at < patches.stop:
            image, first = self._place(at)
            count = min(self.patches_of_image(image) - first, patches.stop - at)
            out.append(Piece(image, first, count))
            at += count
        return out

    def _place(self, patch: int) -> tuple[int, int]:
        """Return the image of a patch, and its number there."""
        if not self.counts:
            return divmod(patch, self.per_image)
        ends = _ends(self.counts)
        image = bisect.bisect_right(ends, patch)
        return image, patch - (ends[image - 1] if image else 0)


@lru_cache(maxsize=8)
def _ends(counts: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(accumulate(counts))


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
        _check_keys(images, per_image)
        return images, per_image, images * per_image
    count = recipe.count
    if recipe.per_image is not None or available is None:
        per_image = min(recipe.per_image or default_per_image, count)
    else:
        per_image = math.ceil(count / available)
    images = math.ceil(count / per_image)
    _check_keys(images, per_image)
    if available is not None and images > available:
        raise RecipeError(
            f"count: {count} samples at {per_image} an image need {images} images, the source has "
            f"{available}; raise per_image to {math.ceil(count / available)} or leave it away"
        )
    return images, per_image, count


def _check_keys(images: int, per_image: int) -> None:
    # The noise of a patch is keyed by its number, which has 32 bits.
    if images * per_image >= 1 << 32:
        raise RecipeError(
            f"count: {images} images of {per_image} patches are more than the 2**32 that one seed "
            "can tell apart; make several corpora with seeds of their own"
        )


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
    """Cut the rows into shards of about ``shard_bytes``, whole images where they fit.

    Raises
    ------
    RecipeError
        If the draws of one patch do not fit into a shard.
    """
    if bytes_per_patch > LARGEST_PATCH_BYTES:
        raise RecipeError(
            f"draws: {recipe.draws} draws of one patch take {bytes_per_patch / 1e9:.1f} GB, which "
            "must fit into one shard; lower draws or use lazy"
        )
    fit = max(1, shard_bytes // bytes_per_patch)
    if fit >= per_image:
        per_shard = fit // per_image * per_image
    else:
        # Shards of equal length; the last one of an image may hold the first patches of the next.
        per_shard = math.ceil(per_image / math.ceil(per_image / fit))
    return Plan(images, per_image, patches, recipe.draws, min(per_shard, images * per_image))


def of_counts(
    recipe: Recipe, counts: Sequence[int], bytes_per_patch: int, shard_bytes: int
) -> Plan:
    """Plan a corpus whose images give so many patches each; parameters as :func:`make`."""
    images, most, patches = len(counts), max(counts), sum(counts)
    _check_keys(images, most)
    if min(counts) == most:
        return make(recipe, images, most, patches, bytes_per_patch, shard_bytes)
    fit = min(max(1, shard_bytes // bytes_per_patch), patches)
    return Plan(images, most, patches, recipe.draws, fit, tuple(counts))
