import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from noisegen.kernels.statistics import mosaic_statistics, of_sums
from noisegen.kernels.tiles import cut
from pipelines.tile import Window, places


@st.composite
def windows(draw):
    height, width = (draw(st.integers(12, 40)) for _ in range(2))
    patch = 2 * draw(st.integers(4, min(height, width) // 2))
    y = 2 * draw(st.integers(0, (height - patch) // 2))
    x = 2 * draw(st.integers(0, (width - patch) // 2))
    return Window(y, x, patch, draw(st.sampled_from([0, 2, 4, 50])), height, width)


@given(windows(), st.sampled_from([(), (3,)]))
def test_a_tile_is_the_crop_of_the_reflected_frame(window, tail):
    rng = np.random.default_rng(0)
    frame = rng.integers(0, 1000, (window.height, window.width, *tail)).astype(np.uint16)
    halo = window.halo
    padded = np.pad(frame, [(halo, halo)] * 2 + [(0, 0)] * len(tail), mode="reflect")
    size = window.patch + 2 * halo
    wanted = padded[window.y : window.y + size, window.x : window.x + size]
    np.testing.assert_array_equal(window.cut(frame), wanted)
    np.testing.assert_array_equal(
        window.cut(frame)[window.core],
        frame[window.y : window.y + window.patch, window.x : window.x + window.patch],
    )


@given(windows())
def test_what_lies_inside_is_where_the_corner_says(window):
    frame = np.arange(window.height * window.width).reshape(window.height, window.width)
    tile = window.cut(frame)
    inside = tile[window.inside]
    assert divmod(int(inside[0, 0]), window.width) == window.corner
    before = tile.copy()
    window.reflect(tile)
    np.testing.assert_array_equal(tile, before)


@given(windows(), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_tiles_cut_together_are_those_cut_alone(window, count, seed):
    rng = np.random.default_rng(seed)
    size, patch, halo = (window.height, window.width), window.patch, window.halo
    frame = rng.integers(0, 65536, size).astype(np.uint16)
    y, x = (2 * rng.integers(0, (length - patch) // 2 + 1, count) for length in size)
    white = float(rng.choice([60000, 65535]))
    where = places(y, x, patch, halo, *size)
    tiles, sums = cut(frame, where, patch + 2 * halo, white, halo)
    corners = zip(y.tolist(), x.tolist(), strict=True)
    alone = np.stack([Window(*corner, patch, halo, *size).cut(frame) for corner in corners])
    np.testing.assert_array_equal(tiles, np.minimum(alone, white))
    black = rng.uniform(0, 100, (2, 2))
    np.testing.assert_array_equal(
        of_sums(sums, (patch, patch), black, white), mosaic_statistics(tiles, black, white, halo)
    )
