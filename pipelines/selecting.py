"""The places of patches: drawn uniformly, or chosen by level and texture.

A stratified place is a function of (seed, image, number of the patch) and the picture alone. So a
patch is the same whatever shard, worker or piece it falls in, and however many its image has.
"""

import numpy as np
import numpy.typing as npt

from noisegen import random
from pipelines.frame import Frame
from pipelines.plan import Piece
from pipelines.recipe import Recipe
from pipelines.tables.select import Select
from pipelines.tile import places

LEVEL_EDGES = (1 / 64, 1 / 16, 1 / 4)
"""Means of x between the strata of level: two stops each."""

TEXTURE_EDGES = (1 / 512, 1 / 128, 1 / 32)
"""Mean absolute differences of x between the strata of texture."""

CHUNK_PIXELS = 1 << 21
"""Pixels of candidates that are looked at together: their 16-bit mosaics stay in cache."""


def uniform(recipe: Recipe, picture: Frame, piece: Piece, edge: int) -> npt.NDArray[np.int64]:
    """Draw the corners of all patches of an image up to the piece's end; return the piece's (n, 2).

    Corners lie on the CFA's period of two pixels, so that every patch has the phase of its frame.
    """
    rng = random.generator(recipe.seed, random.Stream.CROP, piece.image)
    drawn = rng.integers(0, _steps(picture, edge), (piece.first + piece.patches, 2))
    return 2 * drawn[piece.first :]


def stratified(
    recipe: Recipe,
    picture: Frame,
    piece: Piece,
    edge: int,
    tones: npt.NDArray[np.float64],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Choose the corners of a piece's patches out of several candidates each.

    Parameters
    ----------
    recipe
        Its table ``select`` states the rules.
    picture, piece
        What is cut, and which of its patches.
    edge
        Height and width of what a patch covers, in pixels.
    tones
        (n,) amplifications α of the patches.

    Returns
    -------
    corners : (n, 2) int64
        Rows and columns, on the CFA's period.
    kept : (n,) bool
        False where no candidate keeps to the rules; the corner is then the first candidate's.
    """
    rules = recipe.select
    corners = np.empty((piece.patches, 2), np.int64)
    kept = np.empty(piece.patches, np.bool_)
    step = max(1, CHUNK_PIXELS // (rules.candidates * edge**2))
    for first in range(0, piece.patches, step):
        part = slice(first, min(first + step, piece.patches))
        numbers = range(piece.first + part.start, piece.first + part.stop)
        drawn = [_draw(recipe, picture, piece.image, n, edge) for n in numbers]
        chunk = np.stack([candidates for candidates, _ in drawn])
        targets = np.stack([target for _, target in drawn])
        y, x = chunk.reshape(-1, 2).T
        where = places(y, x, edge, 0, picture.height, picture.width)
        alphas = np.repeat(tones[part], rules.candidates)
        _, found = picture.measured(where, alphas, edge, 0)
        best, good = choose(found.reshape(3, *chunk.shape[:2]), targets, rules)
        corners[part] = chunk[np.arange(len(chunk)), best]
        kept[part] = good
    return corners, kept


def choose(
    statistics: npt.NDArray[np.float64], targets: npt.NDArray[np.int64], rules: Select
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
    """Return the candidate nearest to each patch's stratum, and whether any keeps to the rules.

    Parameters
    ----------
    statistics
        (3, n, K) mean, texture and clipped share of K candidates of n patches.
    targets
        (n, 2) strata of level and texture that are wanted.
    rules
        Its ``min_mean`` and ``max_clipped``.
    """
    mean, texture, clipped = statistics
    passes = (mean >= rules.min_mean) & (clipped <= rules.max_clipped)
    level, detail = np.digitize(mean, LEVEL_EDGES), np.digitize(texture, TEXTURE_EDGES)
    distance = np.abs(level - targets[:, :1]) + np.abs(detail - targets[:, 1:])
    farthest = len(LEVEL_EDGES) + len(TEXTURE_EDGES)
    # Of equally near ones the first is taken: candidates are drawn in no order of merit.
    return np.where(passes, distance, farthest + 1).argmin(axis=1), passes.any(axis=1)


def _draw(
    recipe: Recipe, picture: Frame, image: int, number: int, edge: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Draw the candidates of a patch and its stratum."""
    rng = random.generator(recipe.seed, random.Stream.CROP, image, number)
    target = rng.integers(0, (len(LEVEL_EDGES) + 1, len(TEXTURE_EDGES) + 1))
    shape = (recipe.select.candidates, 2)
    return 2 * rng.integers(0, _steps(picture, edge), shape), target


def _steps(picture: Frame, edge: int) -> list[int]:
    return [(length - edge) // 2 + 1 for length in (picture.height, picture.width)]
