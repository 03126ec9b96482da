"""What is fitted to pairs of known noise is that noise.

An estimate may be off by five of its standard errors, which are those of least squares on mean
squares of Gaussian values: one false alarm in about 2e6 estimates.
"""

from dataclasses import replace

import numpy as np
import pytest

from noisegen.errors import InputError
from noisegen.picture import MODELS, PictureNoise, add_noise, fit
from noisegen.picture.fit import QUANTILES
from noisegen.picture.grain import FEWEST, LAGS, RADIUS, TOLERANCE, correlations_of, kernel_of
from noisegen.picture.levels import LEVELS, NODES, REACH
from noisegen.random import counter

SIGMAS = 5
NODE_LEVELS = tuple(np.linspace(0, 1, NODES).tolist())
CUT_OFF = 0.003
"""Share of the variance that may hide beyond REACH standard deviations on one side."""


def clean_picture(low=0.0, high=1.0, shape=(400, 500), dtype=np.uint8, seed=3):
    white = np.iinfo(dtype).max
    rng = np.random.default_rng(seed)
    return rng.integers(round(low * white), round(high * white) + 1, (*shape, 3), dtype)


def pairs_of(noise, cleans, strengths=None, seed=5):
    strengths = strengths or [1.0] * len(cleans)
    return [
        (clean, add_noise(clean, noise, counter(seed, i), strength=s))
        for i, (clean, s) in enumerate(zip(cleans, strengths, strict=True))
    ]


def curves(seed=0, std=0.03):
    rng = np.random.default_rng(seed)
    return tuple(map(tuple, (std * rng.uniform(0.5, 1.5, (3, NODES))).tolist()))


def smooth_kernel(radius=2, shared=0.4):
    """Return taps of blurred noise whose channels are related, blurred and shifted unlike."""
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    taps = np.zeros((3, 3, 2 * radius + 1, 2 * radius + 1))
    for k in range(3):
        blur = np.exp(-(y**2 + (1.3 * x) ** 2) / (1.6 + 0.5 * k))
        for j in range(3):
            taps[k, j] = blur * (1.0 if j == k else shared)
    taps[2] = np.roll(taps[2], radius // 2, -1)
    taps /= np.sqrt((taps**2).sum((1, 2, 3), keepdims=True))
    return tuple(tuple(tuple(map(tuple, t)) for t in fields) for fields in taps.tolist())


def spread_of(noise):
    """Return the sum over all lags of the largest squared correlation."""
    reach = range(-2 * noise.radius, 2 * noise.radius + 1)
    return sum((noise.correlation(dy, dx) ** 2).max() for dy in reach for dx in reach)


def errors_of_nodes(noise, cleans, spread=1.0):
    """Return standard errors of the fitted variances at the nodes: least squares' covariance."""
    white = np.iinfo(cleans[0].dtype).max
    level = np.linspace(0, 1, LEVELS)
    basis = np.maximum(1 - np.abs(level[:, None] * (NODES - 1) - np.arange(NODES)), 0)
    out = []
    for k in range(3):
        codes = np.concatenate([c[..., k].ravel() for c in cleans]).astype(np.int64)
        pixels = np.bincount((codes * (LEVELS - 1) + white // 2) // white, minlength=LEVELS)
        std = np.sqrt(np.interp(level, noise.level, np.square(noise.std[k])))
        cut = (level < REACH * std) | (level > 1 - REACH * std)
        scatter = np.where(cut, 5.0, 2.0) * spread * (std**2 + 1 / (12 * white**2)) ** 2
        out.append(np.linalg.pinv(basis.T @ (basis * (pixels / scatter)[:, None])))
    return np.sqrt([np.diag(covariance) for covariance in out])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_strength_by_level_is_recovered(dtype):
    noise = PictureNoise(NODE_LEVELS, curves(std=0.02))
    cleans = [clean_picture(dtype=dtype)]
    found = fit(pairs_of(noise, cleans), "heteroscedastic")
    assert found.noise.level == NODE_LEVELS
    assert (found.pairs, found.pixels, found.noise.strength) == (1, 200_000, (1.0,))
    wrong = np.square(found.noise.std) - np.square(noise.std)
    bound = SIGMAS * errors_of_nodes(noise, cleans) + CUT_OFF * np.square(noise.std)
    assert (np.abs(wrong) < bound).all(), np.abs(wrong / bound).max()


def test_noise_that_black_cuts_off_is_as_strong_as_it_was():
    flat = PictureNoise(NODE_LEVELS, ((0.12,) * NODES,) * 3)
    cleans = [clean_picture(high=0.4)]
    (pair,) = pairs_of(flat, cleans)
    assert (pair[1] == 0).mean() > 0.1
    std = np.array(fit([pair], "heteroscedastic").noise.std)
    dark = slice(0, 7)  # nodes that the picture reaches
    bound = SIGMAS * errors_of_nodes(flat, [clean_picture()])[:, dark] / np.sqrt(2)
    assert (np.abs(std[:, dark] ** 2 - 0.12**2) < bound + CUT_OFF * 0.12**2).all()
    assert np.abs(np.diff(std[:, 7:])).max() < 1e-6, "beyond, the table goes on at its last value"


def test_a_level_that_only_noisy_pictures_have_is_not_taken_for_noisy():
    noise = PictureNoise(NODE_LEVELS, curves(2))
    cleans = [clean_picture(0.1, 0.6), clean_picture(0.4, 0.9, seed=4)]
    found = fit(pairs_of(noise, cleans, [0.5, 2.0]), "heteroscedastic").noise
    ratio = found.strength[1] / found.strength[0]
    # ln s² of a picture of n pixels in three channels scatters by √(2 / 3n), of the overlap's
    # two fifths alone.
    assert abs(np.log(ratio / 4)) < SIGMAS * np.sqrt(2 / (3 * 80_000))
    scale = np.array(found.std)[:, 7:10] / np.array(noise.std)[:, 7:10]
    for nodes in (slice(2, 6), slice(11, 14)):
        shape = np.array(found.std)[:, nodes] / np.array(noise.std)[:, nodes] / scale.mean()
        # A node has some 16 levels of 1500 pixels: ln σ scatters by about √(2 / 24000), doubled
        # because neighbours share their pixels.
        assert np.abs(np.log(shape)).max() < SIGMAS * np.sqrt(2 / 24_000)


def test_strengths_are_those_of_the_pictures():
    noise = PictureNoise((0.0,), ((0.02,), (0.03,), (0.04,)))
    strengths = [0.2, 0.5, 1.0, 1.5, 3.0]
    cleans = [clean_picture(0.3, 0.7, (100, 200), np.uint16, i) for i in range(5)]
    every = fit(pairs_of(noise, cleans, strengths), "heteroscedastic")
    found = every.noise
    # A picture's own deviations are the model's times its strength.
    own = np.array(every.strengths)[:, None] * found.std_at(np.full((3, 1), 0.5))[:, 0]
    true = np.outer(strengths, (0.02, 0.03, 0.04))
    np.testing.assert_allclose(own, true, rtol=2 * SIGMAS * np.sqrt(2 / 20_000))
    ratios = np.array(found.strength) / np.array(strengths)
    np.testing.assert_allclose(ratios, ratios.mean(), rtol=SIGMAS * np.sqrt(2 / 60_000))
    rng = np.random.default_rng(0)
    drawn = np.array([found.draw_strength(rng) ** 2 for _ in range(20_000)])
    assert abs(drawn.mean() - 1) < SIGMAS * drawn.std() / np.sqrt(drawn.size)
    many = fit(pairs_of(noise, cleans * 4, strengths * 4), "heteroscedastic").noise
    assert len(many.strength) == QUANTILES


def test_white_noise_has_the_mean_variance_of_its_channels():
    noise = PictureNoise(NODE_LEVELS, curves(4))
    cleans = [clean_picture(0.2, 0.8)]
    found = fit(pairs_of(noise, cleans), "awgn").noise
    assert (found.level, found.radius) == ((0.0,), 0)
    for k in range(3):
        x = cleans[0][..., k] / 255
        mean = np.interp(x, noise.level, np.square(noise.std[k])).mean()
        # The variances differ by up to nine: the mean of squares scatters more than a Gaussian's.
        assert abs(found.std[k][0] ** 2 / mean - 1) < SIGMAS * np.sqrt(2 * 3 / x.size)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_grain_and_channels_are_recovered_and_fitted_again(dtype):
    noise = PictureNoise(NODE_LEVELS, curves(1, 0.02), smooth_kernel())
    cleans = [clean_picture(0.2, 0.8, (512, 512), dtype, i) for i in range(3)]
    first = fit(pairs_of(noise, cleans), "heteroscedastic-covariance").noise
    # Bartlett: a correlation of n pixels scatters by √(2 Σρ² / n).
    bound = TOLERANCE + SIGMAS * np.sqrt(2 * spread_of(noise) / (3 * 512**2))
    lags = [
        (0, 0),
        (0, 1),
        (0, -1),
        (1, 0),
        (1, 1),
        (1, -1),
        (0, 2),
        (2, 0),
        (3, 1),
        (0, 4),
        (6, 6),
    ]
    for lag in lags:
        wrong = first.correlation(*lag) - noise.correlation(*lag)
        assert np.abs(wrong).max() < bound, lag
    assert first.radius <= RADIUS
    again = fit(pairs_of(first, cleans, seed=6), "heteroscedastic-covariance").noise
    for lag in lags:
        assert np.abs(again.correlation(*lag) - first.correlation(*lag)).max() < bound, lag
    inside = slice(4, 13)
    error = errors_of_nodes(first, cleans, spread_of(first))[:, inside]
    wrong = np.square(again.std)[:, inside] - np.square(first.std)[:, inside]
    assert (np.abs(wrong) < SIGMAS * error).all()


def test_rounding_does_not_whiten_weak_noise():
    """A fifth of what is measured is rounding; left in, it would show in the correlations."""
    noise = PictureNoise((0.0,), ((0.6 / 255,),) * 3, smooth_kernel())
    cleans = [clean_picture(0.3, 0.7, (512, 512), seed=i) for i in range(4)]
    found = fit(pairs_of(noise, cleans), "heteroscedastic-covariance").noise
    bound = TOLERANCE + SIGMAS * np.sqrt(2 * spread_of(noise) / (4 * 512**2))
    share = (1 / 12) / (0.6**2 + 1 / 12)
    assert noise.correlation(1, 0)[2, 2] * share > 2 * bound
    assert np.abs(found.correlation(1, 0) - noise.correlation(1, 0)).max() < bound
    error = errors_of_nodes(noise, cleans, spread_of(noise))[:, 5:12]
    wrong = np.square(found.std)[:, 5:12] - (0.6 / 255) ** 2
    assert (np.abs(wrong) < SIGMAS * error).all()


def test_grey_noise_stays_grey():
    shared = ((((1.0,),), ((0.0,),), ((0.0,),)),) * 3
    noise = PictureNoise((0.0,), ((0.03,),) * 3, shared)
    cleans = [clean_picture(0.3, 0.7, (300, 400))]
    found = fit(pairs_of(noise, cleans), "heteroscedastic-covariance").noise
    assert found.correlation(0, 0).min() > 1 - 2 * TOLERANCE


def test_the_kernel_is_the_smallest_that_does():
    for radius in (0, 1, 3):
        taps = np.array(smooth_kernel(radius, 0.2))
        found = np.array(kernel_of(correlations_of(taps)))
        assert found.shape[-1] <= taps.shape[-1]
        assert np.abs(correlations_of(found) - correlations_of(taps)).max() <= TOLERANCE
    assert correlations_of(taps).shape == (3, 3, 2 * LAGS + 1, 2 * LAGS + 1)


def test_correlations_that_reach_further_are_fitted_as_well_as_the_size_allows():
    wide = np.array(smooth_kernel(2))
    wide = np.pad(wide, ((0, 0), (0, 0), (3, 3), (3, 3))) + 0.03
    wide /= np.sqrt((wide**2).sum((1, 2, 3), keepdims=True))
    wanted = correlations_of(wide)
    wanted[..., LAGS - 9 : LAGS + 10, LAGS + 9] = 0.2  # what no kernel of this size has
    found = correlations_of(np.array(kernel_of(wanted)))
    near = np.s_[..., LAGS - 2 : LAGS + 3, LAGS - 2 : LAGS + 3]
    assert np.abs(found - wanted)[near].max() < 0.1


@pytest.mark.parametrize("model", MODELS)
def test_pairs_without_noise_have_none(model):
    clean = clean_picture()
    if model == "heteroscedastic-covariance":
        with pytest.raises(InputError, match=f"only 0 pixels lie clear .* {FEWEST} are needed"):
            fit([(clean, clean)], model)
        return
    found = fit([(clean, clean)], model)
    assert not np.any(found.noise.std)
    assert found.noise.strength == (1.0,)


def test_offsets_are_reported_and_not_fitted():
    clean = clean_picture(0.3, 0.7)
    noise = PictureNoise((0.0,), ((0.03,),) * 3)
    ((_, noisy),) = pairs_of(noise, [clean])
    found = fit([(clean, noisy + np.array([2, 0, 5], np.uint8))], "heteroscedastic")
    bound = SIGMAS * 0.03 / np.sqrt(clean[..., 0].size)
    np.testing.assert_allclose(found.offset, np.array([2, 0, 5]) / 255, atol=bound)


def test_it_walks_through_the_pairs_and_holds_none():
    noise = PictureNoise((0.0,), ((0.03,),) * 3)
    pairs = pairs_of(noise, [clean_picture(0.3, 0.7)] * 2)
    walks = []

    class Walked:
        def __iter__(self):
            walks.append(1)
            return iter(pairs)

    fit(Walked(), "heteroscedastic")
    assert len(walks) == 1
    fit(Walked(), "heteroscedastic-covariance")
    assert len(walks) == 3


def test_what_cannot_be_fitted_is_refused_in_one_line():
    with pytest.raises(InputError, match="no pairs"):
        fit([], "awgn")
    small, large = clean_picture(), clean_picture(dtype=np.uint16)
    with pytest.raises(InputError, match="some pairs have 8 bits and some 16"):
        fit([(small, small), (large, large)], "awgn")
    noise = PictureNoise((0.0,), ((0.6,),) * 3)
    with pytest.raises(InputError, match="on both sides at every level"):
        fit(pairs_of(noise, [clean_picture(0.45, 0.55)]), "heteroscedastic")
    weak = replace(noise, std=((0.3,),) * 3)
    with pytest.raises(InputError, match="pixels lie clear"):
        fit(pairs_of(weak, [clean_picture(0.0, 0.2)]), "heteroscedastic-covariance")
