"""Recipes, corpora and the runs that make them.

>>> import pipelines
>>> recipe = pipelines.Recipe(camera="GP", iso=(100, 3200), count=1000)
>>> summary = pipelines.synthesize(recipe, "data.zarr")  # doctest: +SKIP
>>> corpus = pipelines.open("data.zarr")  # doctest: +SKIP
"""

from pathlib import Path

from pipelines.corpus import Corpus, Sample
from pipelines.recipe import Recipe
from pipelines.run import Summary, synthesize

__all__ = ["Corpus", "Recipe", "Sample", "Summary", "open", "synthesize"]


def open(path: str | Path) -> Corpus:  # noqa: A001 - read as pipelines.open
    """Open a corpus: a path or an fsspec URL. See :class:`Corpus`."""
    return Corpus(path)
