import numpy as np
import pytest

import pipelines
from pipelines.recipe import Recipe

SMALL = {"source_options": {"size": 160}, "patch": 64, "per_image": 4, "count": 12}
"""Three scenes of four patches: two thirds of a second to make."""


@pytest.fixture
def small():
    """Return a small recipe, changed as asked."""

    def make(**changes):
        return Recipe(**{**SMALL, **changes})

    return make


@pytest.fixture
def made(tmp_path, small):
    """Make a small corpus and return it open."""

    def make(name="c.zarr", *, run=None, **changes):
        pipelines.synthesize(small(**changes), str(tmp_path / name), **(run or {}))
        return pipelines.open(tmp_path / name)

    return make


@pytest.fixture
def pixels():
    """Return all stored or computed arrays of a corpus, stacked by name."""

    def read(corpus):
        samples = [corpus[int(i)] for i in corpus.valid]
        return {name: np.stack([s.arrays[name] for s in samples]) for name in corpus.names}

    return read
