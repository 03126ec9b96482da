"""Guides of dead leaves: the same leaves, with what makes real guides hard to use."""

import hashlib
import platform
from dataclasses import replace

import numpy as np
import pytest

from catalogs import sources
from catalogs.sources.deadleaves import guided_scene, scene
from catalogs.sources.leaf_guide import INVISIBLE, REVERSED, Canvas, GuideLayer, GuideStyle
from catalogs.sources.leaf_tables import power, stops
from noisegen.random import Stream, generator

SIZE = (128, 128)
CHANNELS = {"nir": 1, "flash": 3}

KNOWN = {
    "nir": "422d1d161a67775cb79aedd4087eee27bfdb400bd798e3ad426ba8b2e00fac74",
    "flash": "6d290759e357296943315de42128556cb21db72b7d76b68e702410abc597660b",
}


def guided(index, kind, size=SIZE):
    return guided_scene(3, index, size, kind)


@pytest.mark.parametrize("kind", CHANNELS)
def test_guides_are_linear_in_range_and_fully_covered(kind):
    source = sources.open("deadleaves", size=64, count=2, guide=kind)
    for ref in source.images():
        image = source.read(ref)
        assert image.guide.shape == (64, 64, CHANNELS[kind])
        assert image.guide.dtype == np.float32
        assert 0 < image.guide.min() <= image.guide.max() <= 1


@pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64"), reason="the same bytes are promised on x86-64"
)
@pytest.mark.parametrize("kind", CHANNELS)
def test_guides_are_the_same_everywhere(kind):
    picture, guide = guided(0, kind)
    assert hashlib.sha256(picture.tobytes() + guide.tobytes()).hexdigest() == KNOWN[kind]


def test_without_a_guide_the_scene_is_what_it_was():
    picture, guide = guided_scene(3, 0, SIZE, None)
    assert guide is None
    np.testing.assert_array_equal(picture, scene(3, 0, SIZE))


def test_a_guide_changes_its_picture_by_shadows_alone():
    shaded = 0
    for index in range(12):
        plain = scene(3, index, SIZE)
        nir, flash = (guided(index, kind)[0] for kind in CHANNELS)
        np.testing.assert_array_equal(nir, flash)
        # Rounding to the canvas's integers may lift a value by half of one.
        assert (nir <= plain + 2**-18).all()
        assert (nir < plain - 1e-3).mean() < 0.9
        shaded += (nir < plain - 1e-3).any()
    assert 4 <= shaded <= 12  # three of four have shadows in the picture


def test_edges_of_one_are_mostly_edges_of_the_other():
    # Leaves of one place: where the guide has an edge the picture mostly has one.
    found = []
    for index in range(8):
        picture, guide = guided(index, "nir")
        steps = [np.abs(np.diff(np.log2(p.mean(-1) + 1e-3), axis=1)) for p in (picture, guide)]
        found.append(np.corrcoef(*(s.ravel() for s in steps))[0, 1])
    assert np.mean(found) > 0.3
    assert min(found) > 0


def test_shares_of_leaves_are_those_of_the_style():
    draws = [GuideStyle.draw(generator(0, Stream.GUIDE, i)) for i in range(2000)]
    for name, high in (("invisible", INVISIBLE), ("reversed", REVERSED)):
        values = np.array([getattr(style, name) for style in draws])
        assert 0 <= values.min() <= values.max() <= high
        # Uniform: the mean's deviation is high / sqrt(12 n); five of them, 1 in 1.7 million.
        assert abs(values.mean() - high / 2) < 5 * high / np.sqrt(12 * len(draws))


def one_leaf(brightness):
    """A disc that covers all of a canvas, flat."""
    from noisegen.kernels import leaves as kernel

    leaf = np.zeros((1, kernel.COLUMNS))
    leaf[0, [kernel.X, kernel.Y, kernel.RADIUS]] = 8, 8, 100
    leaf[0, [kernel.COS, kernel.STRETCH]] = 1
    leaf[0, kernel.NEAR : kernel.NEAR + 3] = leaf[0, kernel.FAR : kernel.FAR + 3] = brightness
    return leaf, np.zeros((1, kernel.MAX_SIDES, 3))


def layer(**changes):
    style = GuideStyle(-2.0, 1.0, 0.0, 0.0, 0.0, 0.0, (0.0, 0.0, 0.0))
    rng = generator(0, Stream.GUIDE)
    return GuideLayer("nir", Canvas(16, 16, 1), replace(style, **changes), rng)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, -3.0),  # a stop darker than the middle in the picture, and so in the guide
        ({"reversed": 1.0}, -1.0),
        ({"likeness": 0.5}, -2.5),
        ({"exposure": -4.0}, -5.0),
    ],
)
def test_a_leafs_brightness_in_the_guide(changes, expected):
    second = layer(**changes)
    second.lay(*one_leaf(power(np.array([-4.0]))), exposure=-3.0)
    assert second.canvas.remaining == 0
    assert np.log2(second.canvas.halved()).mean() == pytest.approx(expected, abs=0.01)


def test_a_leaf_that_does_not_show_leaves_its_place_to_what_is_below():
    second = layer(invisible=1.0)
    second.lay(*one_leaf(0.5), exposure=-3.0)
    assert second.canvas.remaining == 256


def test_stops_undo_powers():
    values = np.linspace(-11.5, 7.5, 400)
    np.testing.assert_allclose(stops(power(values)), values, atol=1 / 256)
