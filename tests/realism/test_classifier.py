"""The classifier guesses where there is nothing to tell, and knows where there is."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.realism.classifier import Patches, _deal, auc, held_out_auc
from pipelines.realism.features import KINDS, columns, features
from pipelines.realism.measures import LEVELS, measure

Z = 5.5


def gaussian_patches(seed, patches=400, scenes=8, shift=0.0, spread=1.0, number=30):
    rng = np.random.default_rng(seed)
    values = shift + spread * rng.standard_normal((patches, number))
    return Patches(values, np.array([f"{seed}-{i % scenes}" for i in range(patches)]))


def chance(real, other, folds):
    """Return the standard error of the area under chance: no more than that of one fold."""
    n, m = (len(side.scene) / folds for side in (real, other))
    return np.sqrt((n + m + 1) / (12 * n * m))


@given(
    real=st.lists(st.integers(0, 9), min_size=1, max_size=20),
    other=st.lists(st.integers(0, 9), min_size=1, max_size=20),
)
@settings(deadline=None)
def test_the_area_counts_pairs_that_are_in_order(real, other):
    a, b = np.array(real, float), np.array(other, float)
    pairs = (a[:, None] > b).sum() + 0.5 * (a[:, None] == b).sum()
    assert auc(a, b) == pytest.approx(pairs / (len(a) * len(b)))


@pytest.mark.parametrize("seed", range(4))
def test_equal_laws_cannot_be_told_apart(seed):
    real, other = gaussian_patches(seed), gaussian_patches(100 + seed)
    found = held_out_auc(real, other, np.random.default_rng(seed))
    # Each fold's classifier knows nothing of its test patches: its area is 0.5 on average, and the
    # variance of a mean is not above the mean of the variances.
    assert abs(found - 0.5) < Z * chance(real, other, 5)


def test_shifted_and_wider_laws_can():
    real = gaussian_patches(1)
    shifted = gaussian_patches(2, shift=1.0)
    wider = gaussian_patches(3, spread=2.0)
    for other in (shifted, wider):
        assert held_out_auc(real, other, np.random.default_rng(0)) > 0.98
    # one standard deviation in one of thirty features: the best there is has Φ(1/√2) = 0.76
    values = gaussian_patches(4).features
    values[:, 3] += 1
    found = held_out_auc(real, Patches(values, real.scene), np.random.default_rng(0))
    assert 0.65 < found < 0.78


def test_what_only_tells_scenes_apart_does_not_count():
    rng = np.random.default_rng(5)

    def scenes(name):
        centres = 3 * rng.standard_normal((12, 30))
        values = np.repeat(centres, 40, axis=0) + rng.standard_normal((480, 30))
        return Patches(values, np.repeat([f"{name}{i}" for i in range(12)], 40))

    areas = [held_out_auc(scenes("a"), scenes("b"), np.random.default_rng(i)) for i in range(12)]
    # a scene counts as one patch: 12 scenes against 12, twelve times
    error = np.sqrt((12 + 12 + 1) / (12 * 12 * 12) / 12)
    assert abs(np.mean(areas) - 0.5) < Z * error


@given(
    common=st.integers(0, 6),
    real=st.integers(0, 8),
    other=st.integers(0, 8),
    seed=st.integers(0, 9),
)
@settings(deadline=None)
def test_each_fold_has_scenes_of_both_sets(common, real, other, seed):
    first = np.array([f"c{i}" for i in range(common)] + [f"r{i}" for i in range(real)], np.str_)
    second = np.array([f"c{i}" for i in range(common)] + [f"o{i}" for i in range(other)], np.str_)
    folds = min(5, len(first), len(second))
    fold_of = _deal(first, second, max(folds, 1), np.random.default_rng(seed))
    for scenes in (first, second):
        if folds:
            assert {fold_of[str(s)] for s in scenes} == set(range(folds))


def test_one_scene_is_no_split():
    one = gaussian_patches(6, scenes=1)
    assert np.isnan(held_out_auc(one, gaussian_patches(7), np.random.default_rng(0)))


def described(noises, curve, on_grey):
    rows = [features(on_grey(noise), curve) for noise in noises]
    return Patches(
        np.concatenate(rows), np.repeat([str(i) for i in range(len(rows))], [len(r) for r in rows])
    )


def test_noise_is_told_apart_by_its_correlation_its_strength_and_its_channels(
    white, filtered, on_grey
):
    curve = measure(on_grey(4 * white(i)) for i in range(2)).variance
    real = described([4 * white(i) for i in range(4)], curve, on_grey)
    assert real.features.shape == (64, 51)

    def told(noises):
        other = described(noises, curve, on_grey)
        other = Patches(other.features, np.char.add("o", other.scene))
        return held_out_auc(real, other, np.random.default_rng(0))

    # 16 patches a set in each of 4 folds
    error = np.sqrt((16 + 16 + 1) / (12 * 16 * 16))
    assert abs(told([4 * white(20 + i) for i in range(4)]) - 0.5) < Z * error
    smooth = np.array([[0, 0, 0], [0, 1, 0.2], [0, 0, 0]])
    assert told([4 * filtered(30 + i, smooth) for i in range(4)]) > 0.98
    assert told([5 * white(40 + i) for i in range(4)]) > 0.98
    mixed = [4 * white(50 + i) for i in range(4)]
    for noise in mixed:
        noise[..., 2] = 0.8 * noise[..., 2] + 0.6 * noise[..., 1]
    assert told(mixed) > 0.98


def test_each_kind_of_features_tells_its_own_difference(white, filtered, on_grey):
    """A change of one kind is known by the features of that kind, and not by strength."""
    size = (256, 256)

    def banded(seed):
        rows = np.random.default_rng(seed).standard_normal((size[0], 1, 3))
        return (white(seed, *size) + 0.4 * rows) / np.sqrt(1.16)

    def heavy(seed):
        noise = white(seed, *size)
        noise[::2, ::2] *= 2
        return noise / np.sqrt(1.75)

    def mixed(seed):
        noise = white(seed, *size)
        noise[..., 2] = 0.8 * noise[..., 2] + 0.6 * noise[..., 1]
        return noise

    def blocked(seed):
        # a step of the mean at every eighth column, in all channels
        steps = np.random.default_rng(seed).standard_normal((size[0], size[1] // 8, 1))
        return (white(seed, *size) + 0.5 * np.repeat(steps, 8, axis=1)) / np.sqrt(1.25)

    smooth = np.array([[0, 0, 0], [0, 1, 0.2], [0, 0, 0]])
    changed = {
        "strength": lambda seed: 1.3 * white(seed, *size),
        "grain": lambda seed: filtered(seed, smooth),
        "tails": heavy,
        "banding": banded,
        "colour": mixed,
        "structure": blocked,
    }
    assert tuple(changed) == KINDS == tuple(columns())
    curve = measure(on_grey(4 * white(i)) for i in range(2)).variance
    real = described([4 * white(i) for i in range(4)], curve, on_grey)
    joined = np.concatenate([np.arange(51)[part] for part in columns().values()])
    np.testing.assert_array_equal(joined, np.arange(real.features.shape[1]))
    # 16 patches a set in each of 4 folds
    error = np.sqrt((16 + 16 + 1) / (12 * 16 * 16))
    for number, (kind, make) in enumerate(changed.items()):
        other = described([4 * make(100 + 10 * number + i) for i in range(4)], curve, on_grey)
        other = Patches(other.features, np.char.add("o", other.scene))
        areas = {
            name: held_out_auc(real.only(part), other.only(part), np.random.default_rng(0))
            for name, part in columns().items()
        }
        assert areas[kind] > 0.9, (kind, areas)
        if kind != "strength":
            assert abs(areas["strength"] - 0.5) < Z * error, (kind, areas)


def test_features_do_not_depend_on_the_level_or_on_its_strength(white):
    from pipelines.realism.noise import noise_field

    curve = np.full((3, LEVELS), np.nan)
    curve[:, 50 // 8], curve[:, 150 // 8] = 4.0, 36.0
    noise = white(60, 64, 64)
    rows = []
    for level, std in ((50, 2), (150, 6)):
        clean = np.full(noise.shape, level * 257, np.uint16)
        noisy = np.rint(clean + 257 * std * noise).astype(np.uint16)
        rows.append(features(noise_field(clean, noisy), curve)[0])
    np.testing.assert_allclose(*rows, atol=0.01)
    dark = np.full(noise.shape, 90 * 257, np.uint16)
    unknown = features(noise_field(dark, np.rint(dark + 257 * noise).astype(np.uint16)), curve)
    assert unknown.shape == (0, 51)
