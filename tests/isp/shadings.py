"""Shadings for tests: each kind, with gains below 1 among them."""

import numpy as np
from hypothesis import strategies as st

from noisegen.isp.shading import GainMaps, Radial, Shading


def radial():
    return Shading(Radial((0.5, 0.3, -0.2, 0.1, 0.05), centre=(0.45, 0.58)))


def maps(points=(5, 7), seed=0):
    """Planes unlike each other, growing outwards from about 0.9, inside and beyond the frame."""
    rng = np.random.default_rng(seed)
    y, x = (np.linspace(-1, 1, n) if n > 1 else np.zeros(1) for n in points)
    gains = 0.9 + (y[:, None] ** 2 + x**2) * rng.uniform(0.3, 1.2, (4, 1, 1))
    gains += rng.uniform(0, 0.05, gains.shape)
    spacing = tuple(1.1 / max(n - 1, 1) for n in points)
    return Shading(maps=GainMaps(gains, origin=(0.05, -0.1), spacing=spacing))


def both():
    return Shading(radial().radial, maps().maps)


KINDS = {"radial": radial(), "maps": maps(), "both": both()}


@st.composite
def shadings(draw):
    """Any shading of moderate gains."""
    parts = draw(st.sampled_from(("radial", "maps", "both")))
    k = draw(st.lists(st.floats(-0.15, 1), min_size=1, max_size=5))
    centre = draw(st.tuples(st.floats(0, 1), st.floats(0, 1)))
    points = draw(st.tuples(st.integers(1, 6), st.integers(1, 6)))
    seed = draw(st.integers(0, 99))
    return Shading(
        Radial(tuple(k), centre) if parts != "maps" else None,
        maps(points, seed).maps if parts != "radial" else None,
    )
