import numpy as np
import pytest

from noisegen.picture import PictureNoise


@pytest.fixture(scope="session")
def noise():
    """Return noise with grain and mixed channels, as wild as a seed and a radius make it."""

    def make(seed=0, radius=2, std=0.05):
        rng = np.random.default_rng(seed)
        size = 2 * radius + 1
        kernel = rng.normal(size=(3, 3, size, size))
        kernel /= np.sqrt((kernel**2).sum((1, 2, 3), keepdims=True))
        std = std * rng.uniform(0.5, 1.5, (3, 4))
        return PictureNoise((0.0, 0.2, 0.5, 1.0), nested(std), nested(kernel), (0.5, 1.5))

    return make


def nested(array):
    """Return an array as nested tuples."""
    return tuple(map(nested, array)) if array.ndim > 1 else tuple(array.tolist())
