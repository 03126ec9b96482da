"""Colours put on a picture by a grid of matrices."""

import numpy as np
import pytest

from noisegen.errors import InputError
from noisegen.isp import bilateral

MATRIX = np.array([[0.9, 0.1, 0.05, 0.01], [0.0, 0.8, 0.1, 0.02], [0.1, 0.0, 0.7, -0.01]])


def picture(height=96, width=128):
    rng = np.random.default_rng(0)
    return rng.random((height, width, 3)) * np.linspace(0.1, 1, width)[:, None]


def coloured(rgb):
    return rgb @ MATRIX[:, :3].T + MATRIX[:, 3]


def test_one_matrix_is_found_everywhere():
    rgb = picture()
    grid = bilateral.fit(rgb, coloured(rgb), ratio=1)
    assert grid.cells.shape == (6, 8, 8, 3, 4)
    # The matrix costs neither data nor smoothness, so it is the minimum.
    np.testing.assert_allclose(grid.apply(rgb), coloured(rgb), atol=1e-5)
    np.testing.assert_allclose(grid.cells, np.broadcast_to(MATRIX, grid.cells.shape), atol=1e-3)


def test_a_curve_that_differs_from_place_to_place():
    rgb = picture(192, 256)
    strength = np.linspace(0.5, 1.5, 256)[None, :, None]
    wanted = rgb**strength
    made = bilateral.fit(rgb, wanted, ratio=1).apply(rgb)
    one = bilateral.fit(rgb, rgb, ratio=1).apply(rgb)
    assert np.abs(made - wanted).mean() < 0.25 * np.abs(one - wanted).mean()


def test_cells_without_data_go_on_smoothly_unlike_the_published():
    rgb = picture() * 0.5  # nothing bright is fitted
    bright = np.full((96, 128, 3), 0.9)
    ours, theirs = (
        bilateral.fit(rgb, coloured(rgb), 1, published=p).apply(bright).mean()
        for p in (False, True)
    )
    wanted = coloured(bright).mean()
    assert ours == pytest.approx(wanted, rel=0.01)
    assert theirs < 0.5 * wanted  # the dark holes


def test_fitted_small_and_applied_large():
    small = np.repeat(np.repeat(picture(32, 48), 8, 0), 8, 1)
    grid = bilateral.fit(small, coloured(small), ratio=8)
    assert grid.cells.shape[:3] == (2, 3, 8)
    np.testing.assert_allclose(grid.apply(small), coloured(small), atol=1e-4)


def test_bands_are_the_whole(monkeypatch):
    rgb = picture()
    grid = bilateral.fit(rgb, rgb**1.2, ratio=1)
    whole = grid.apply(rgb)
    monkeypatch.setattr(bilateral, "BAND", 500)
    np.testing.assert_array_equal(grid.apply(rgb), whole)


def test_a_guide_chooses_the_cells():
    rgb = picture()
    grid = bilateral.fit(rgb, rgb**1.5, ratio=1)
    np.testing.assert_array_equal(grid.apply(rgb, rgb), grid.apply(rgb))
    assert not np.allclose(grid.apply(rgb, rgb * 0.3), grid.apply(rgb))


@pytest.mark.parametrize(
    ("one", "other", "ratio", "said"),
    [
        ((32, 32, 3), (32, 40, 3), 1, "same size, found"),
        ((32, 32), (32, 32), 1, "same size, found"),
        ((40, 40, 3), (40, 40, 3), 8, "on 5x5 pixels: 16x16 are needed"),
        ((4, 4, 3), (4, 4, 3), 8, "on 0x0 pixels"),
    ],
)
def test_what_cannot_be_fitted(one, other, ratio, said):
    with pytest.raises(InputError, match=said):
        bilateral.fit(np.zeros(one), np.zeros(other), ratio)
