"""What is drawn and what is stored follow the laws that the parameters state.

Seeds are fixed, so nothing here is left to chance; the bounds say how rarely a right program would
fail with a seed drawn at random.
"""

import cv2
import numpy as np
import pytest
from scipy import stats

import pipelines
from noisegen import cfa
from noisegen.raw import write_dng
from noisegen.sensor import models as noise_models
from pipelines.recipe import Recipe

FALSE_ALARM = 1e-6
Z = 5.0
"""Standard deviations that an estimate may be off: one false alarm in 1.7 million comparisons."""

SIZE, PATCH = 96, 16
ISO, RATIO, TONE = (100.0, 3200.0), (2.0, 300.0), (0.2, 0.9)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Parameters of 800 small samples of 8 scenes."""
    path = tmp_path_factory.mktemp("drawn") / "c.zarr"
    recipe = Recipe(
        source_options={"size": SIZE},
        stage="raw",
        patch=PATCH,
        per_image=100,
        count=800,
        iso=ISO,
        exposure_ratio=RATIO,
        tone=TONE,
    )
    pipelines.synthesize(recipe, str(path))
    return pipelines.open(path).table


def log_uniform(low, high):
    return stats.uniform(np.log(low), np.log(high / low))


@pytest.mark.parametrize(
    ("values", "law"),
    [
        (lambda t: np.log(t["iso"]), log_uniform(*ISO)),
        (lambda t: np.log(t["exposure_ratio"]), log_uniform(*RATIO)),
        (lambda t: t["tone"], stats.uniform(TONE[0], TONE[1] - TONE[0])),
    ],
    ids=["iso", "exposure ratio", "tone"],
)
def test_ranges_are_drawn_evenly(table, values, law):
    found = values(table)
    assert found.min() >= law.ppf(0)
    assert found.max() <= law.ppf(1) + 1e-12
    assert stats.kstest(found, law.cdf).pvalue > FALSE_ALARM
    # and one after the other without a bond: r of n independent values has sd 1/sqrt(n)
    assert abs(np.corrcoef(found[1:], found[:-1])[0, 1]) < Z / np.sqrt(len(found))


def test_what_is_drawn_for_a_sample_is_unrelated(table):
    drawn = [np.log(table["iso"]), np.log(table["exposure_ratio"]), table["tone"], table["x"]]
    related = np.corrcoef(np.stack([*drawn, table["y"]]).astype(float))
    assert np.abs(related[np.triu_indices(5, 1)]).max() < Z / np.sqrt(len(table))


@pytest.mark.parametrize("axis", ["y", "x"])
def test_places_are_even_and_cover_the_frame(table, axis):
    places = table[axis].astype(int)
    steps = (SIZE - PATCH) // 2 + 1
    assert not (places % 2).any()
    counts = np.bincount(places // 2, minlength=steps)
    assert len(counts) == steps, "no patch reaches over the edge"
    assert stats.chisquare(counts).pvalue > FALSE_ALARM


def test_noise_follows_the_iso(table):
    """A camera's shot noise is proportional to its ISO; the Pixel's table keeps to 2 %."""
    slope = table["shot"][:, 0] / table["iso"]
    np.testing.assert_allclose(slope, 0.00176 / 800, rtol=0.04)
    order = np.argsort(table["iso"])
    assert (np.diff(table["read"][order, 0]) >= 0).all()


LEVELS = {"GP": ((64,) * 4, 1023, 10), "SonyA7S2": ((800,) * 4, 16383, 14)}
LIGHT = (0.02, 0.1, 0.3, 0.6)
"""Signals of the flat frames: far enough from black and white that nothing is cut."""

DRAWS = 8
FLAT = 128


@pytest.fixture(scope="module")
def flat_folder(tmp_path_factory):
    """Flat frames of a camera: raws at its own levels, and grey 16-bit pictures."""

    def make(camera):
        folder = tmp_path_factory.mktemp(f"flat-{camera}")
        black, white, bits = LEVELS[camera]
        for number, light in enumerate(LIGHT):
            code = round(black[0] + light * (white - black[0]))
            write_dng(
                folder / f"{number}.dng",
                np.full((FLAT, FLAT), code, np.uint16),
                cfa=cfa.PHASES[number],
                black_level=black,
                white_level=white,
                bits=bits,
            )
        for number, grey in enumerate((20000, 40000)):
            cv2.imwrite(str(folder / f"grey{number}.png"), np.full((FLAT, FLAT), grey, np.uint16))
        return folder

    return make


CASES = {
    "GP heteroscedastic ISO 100": {"camera": "GP", "iso": 100.0},
    "GP heteroscedastic ISO 3200": {"camera": "GP", "iso": 3200.0},
    "GP poisson-gaussian ISO 800": {"camera": "GP", "noise": "poisson-gaussian", "iso": 800.0},
    "GP awgn ISO 800": {"camera": "GP", "noise": "awgn", "iso": 800.0},
    "SonyA7S2 eld K 0.3": {"camera": "SonyA7S2", "noise": "eld", "gain": 0.3},
    "SonyA7S2 eld K 3": {"camera": "SonyA7S2", "noise": "eld", "gain": 3.0},
    "SonyA7S2 eld-gaussian K 1": {"camera": "SonyA7S2", "noise": "eld-gaussian", "gain": 1.0},
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_stored_noise_is_the_recorded_one(flat_folder, tmp_path, case):
    """Mean, variance within rows, and variance between rows, of every plane at every level."""
    recipe = Recipe(
        source="folder", stage="raw", patch=FLAT, per_image=1, draws=DRAWS, seed=3, **case
    )
    pipelines.synthesize(recipe, str(tmp_path / "c.zarr"), root=str(flat_folder(case["camera"])))
    corpus = pipelines.open(tmp_path / "c.zarr")
    model = noise_models.get(corpus.recipe.noise)
    includes = corpus.developer.sensor.read_includes
    seen = 0
    for image in range(corpus.plan.images):
        samples = [corpus[image * DRAWS + draw] for draw in range(DRAWS)]
        row = samples[0].row
        assert all(s.row["shot"].tobytes() == row["shot"].tobytes() for s in samples)
        for (y, x), plane in np.ndenumerate(cfa.planes(cfa.PHASES[row["cfa"]])):
            cut = (slice(y, None, 2), slice(x, None, 2))
            clean = samples[0].arrays["clean"][cut]
            assert clean.min() == clean.max()
            noisy = np.stack([s.arrays["noisy"][cut] for s in samples]).astype(np.float64)
            expected = expected_moments(row, int(plane), float(clean[0, 0]), model, includes)
            check_moments(noisy, *expected)
            seen += 1
    assert seen == 4 * (len(LIGHT) + 2)


def expected_moments(row, plane, code, model, includes):
    """Return mean, variance within a row and variance of rows, in DN and DN²."""
    black, white = row["black"], row["white"]
    span = white - black[plane]
    x = (code - black[plane]) / span
    shot = 0.0 if model.shot == "none" else row["shot"][plane]
    rows = (row["row"] * (white - black[1])) ** 2 if model.row else 0.0
    bias = row["bias"][plane] * span if model.bias else 0.0
    rounding = 0.0 if "quantisation" in includes else 1 / 12
    variance = (shot * x + row["read"][plane]) * span**2 + rounding
    return code + bias, variance, rows


def check_moments(noisy, mean, variance, rows):
    draws, height, width = noisy.shape
    lines = noisy.reshape(draws * height, width)
    centred = lines - lines.mean(axis=1, keepdims=True)
    within = (centred**2).sum(axis=1).mean() / (width - 1)
    # the sampling variance of a variance is (fourth moment - variance²) / n
    spread = np.sqrt(max((centred**4).mean() - within**2, 0) / centred.size)
    assert abs(within - variance) < Z * spread
    between = rows + variance / width
    assert abs(noisy.mean() - mean) < Z * np.sqrt(between / len(lines))
    found = lines.mean(axis=1).var(ddof=1)
    # row means are sums of many pixels and a normal draw: their variance scatters by sqrt(2/n)
    assert abs(found - between) < Z * between * np.sqrt(2 / len(lines))


def test_the_test_above_would_notice(flat_folder, tmp_path):
    """Five percent more variance, or a quarter of a code of offset, are outside of the bounds."""
    rng = np.random.default_rng(0)
    noisy = np.round(300 + 4 * rng.standard_normal((DRAWS, FLAT // 2, FLAT // 2)))
    check_moments(noisy, 300, 16 + 1 / 12, 0.0)
    for wrong in ((300, 16.9, 0.0), (300.25, 16 + 1 / 12, 0.0), (300, 16 + 1 / 12, 0.2)):
        with pytest.raises(AssertionError):
            check_moments(noisy, *wrong)


def test_noise_of_patches_and_draws_is_unrelated(flat_folder, tmp_path):
    recipe = Recipe(source="folder", stage="raw", patch=64, per_image=2, draws=3, iso=800.0)
    pipelines.synthesize(recipe, str(tmp_path / "c.zarr"), root=str(flat_folder("GP")))
    corpus = pipelines.open(tmp_path / "c.zarr")
    samples = [corpus[int(i)].arrays for i in corpus.valid]
    noise = np.stack([(s["noisy"].astype(float) - s["clean"]).ravel() for s in samples])
    related = np.corrcoef(noise)[np.triu_indices(len(noise), 1)]
    # 630 pairs: 5.5 sd keep the chance of one false alarm in all of them under 3 in 100000
    assert np.abs(related).max() < 5.5 / np.sqrt(noise.shape[1])
