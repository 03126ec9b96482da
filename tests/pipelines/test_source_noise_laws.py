"""What top-up and bin2 do to the variance: as stated, on scenes whose noise is known."""

import numpy as np
import pytest
from click.testing import CliRunner

import pipelines
from noisegen import raw
from noisegen.cli import main
from noisegen.random import counter
from noisegen.sensor import Levels, NoiseParameters, add_noise, models, variance
from pipelines import check, execution
from pipelines.develop import noise_parameters
from pipelines.measure import noise_curves
from pipelines.recipe import Recipe

BLACK, WHITE = (512.0, 510.0, 515.0, 508.0), 16383.0
OWN = Levels(BLACK, WHITE)
SIDE = 256
SAMPLES = SIDE**2 // 4
"""Of each plane of a file."""

Z = 4.5
"""12 comparisons a test, each false once in 150 000."""

LEVELS = (0.05, 0.2, 0.6)


def write(folder, shot, read, levels=LEVELS, side=SIDE, **tags):
    """Write one flat scene for each level, with Gaussian noise of its own."""
    folder.mkdir()
    model = models.get("heteroscedastic")
    noise = NoiseParameters((shot,) * 4, (read,) * 4, read_includes=("quantisation",))
    black = np.tile([[BLACK[0], BLACK[1]], [BLACK[3], BLACK[2]]], (side // 2, side // 2))
    for number, level in enumerate(levels):
        clean = np.rint(black + level * (WHITE - black)).astype(np.uint16)
        mosaic = add_noise(clean, OWN, model, noise, OWN, "RGGB", counter(5, number))
        profile = {"noise_profile": ((shot,) * 4, (read,) * 4)}
        raw.write_dng(
            folder / f"{number}.dng", mosaic, cfa="RGGB", black_level=BLACK, white_level=WHITE,
            bits=14, **{**profile, **tags},
        )  # fmt: skip
    return str(folder)


def made(path, root, policy, **changes):
    asked = {"source": "folder", "stage": "raw", "patch": SIDE, "per_image": 1, "iso": 800.0}
    recipe = Recipe(source_noise={"policy": policy}, **{**asked, **changes})
    summary = pipelines.synthesize(recipe, str(path), root=root)
    return pipelines.open(path), summary


def by_plane(mosaic):
    """Return (4, n) samples of the planes of an RGGB mosaic."""
    return np.stack([mosaic[y::2, x::2].ravel() for y, x in ((0, 0), (0, 1), (1, 1), (1, 0))])


def about(values, mean):
    return ((values - mean) ** 2).mean(axis=1)


def bound(samples, electrons=np.inf):
    """Return the relative deviation of a variance; Poisson numbers have kurtosis 1/electrons."""
    return Z * np.sqrt((2.1 + 1 / electrons) / samples)


CASES = {
    # camera, model, own shot and read, exposure ratio
    "Gaussian": ("GP", "heteroscedastic", 4e-4, 4e-6, 1.0),
    "Poisson": ("GP", "poisson-gaussian", 8e-4, 4e-6, 1.0),
    "more read noise than the camera": ("GP", "heteroscedastic", 4e-4, 2e-5, 1.0),
    "Poisson, and more read noise": ("GP", "poisson-gaussian", 4e-4, 2e-5, 1.0),
    "in a quarter of the light": ("GP", "poisson-gaussian", 4e-3, 8e-5, 4.0),
    "Tukey-lambda": ("SonyA7S2", "eld", 2e-5, 4e-8, 1.0),
}


@pytest.mark.parametrize("case", CASES)
def test_topped_up_is_the_cameras_noise_about_the_scene(tmp_path, case):
    """The file's noise and what is added make the camera's variance, in every plane and level.

    In ELD's model at this ISO the rows' offsets are 0.0003 of the variance at most, and Tukey's
    read noise 0.034: its excess kurtosis, below 80, counts with the square of that. Both move the
    bound by less than a fortieth, which is in it.
    """
    camera, model, shot, read, ratio = CASES[case]
    root = write(tmp_path / "raws", shot, read)
    asked = {"camera": camera, "noise": model, "iso": 800.0}
    if ratio > 1:
        asked["exposure_ratio"] = ratio
    corpus, _ = made(tmp_path / "a.zarr", root, "top-up", **asked)
    for number, level in enumerate(LEVELS):
        row = corpus[number].row
        to = Levels(tuple(row["black"].tolist()), float(row["white"]))
        span = np.array(to.span)
        noise = noise_parameters(row, corpus.sensor)
        every = models.get(model)
        expected = variance(level / ratio, every, noise, to)
        scene = np.array(to.black) + level / ratio * span
        bias = np.array(noise.bias) * span if every.bias else 0.0
        noisy = by_plane(corpus[number].arrays["noisy"].astype(float))
        electrons = level / ratio / np.array(noise.shot).max()
        found = about(noisy, (scene + bias)[:, None]) / expected
        assert np.abs(found - 1).max() < bound(SAMPLES, electrons)
        # Without top-up the sum would be seen to be too much.
        present = (shot * level + read) / ratio**2 * span**2 / expected
        assert present.min() > bound(SAMPLES, electrons)
    # And about the clean mosaic it is the difference: what the model of the check says.
    for curve in noise_curves(corpus, range(len(corpus))):
        assert curve.ratio == pytest.approx(1, abs=bound(SAMPLES))


def test_means_of_four_have_a_quarter_of_the_variance(tmp_path):
    shot, read = 4e-4, 4e-6
    root = write(tmp_path / "raws", shot, read)
    corpus, _ = made(tmp_path / "a.zarr", root, "bin2", patch=SIDE // 2)
    for number, level in enumerate(LEVELS):
        row = corpus[number].row
        black, white = row["black"][0], row["white"]
        span = white - black
        clean = by_plane(corpus[number].arrays["clean"].astype(float))
        expected = (shot * level + read) / 4 * span**2 + 1 / 12
        found = about(clean, black + level * span) / expected
        assert np.abs(found - 1).max() < bound(SAMPLES / 4)
        np.testing.assert_allclose(row["source_shot"], shot / 4, rtol=1e-6)
        np.testing.assert_allclose(row["source_read"], read / 4 + 1 / 12 / span**2, rtol=1e-6)
        size = [corpus.reader(f"images/{name}")[number] for name in ("height", "width")]
        assert size == [SIDE // 2, SIDE // 2]


def test_moved_to_other_codes_the_clean_mosaic_has_the_noise_of_rounding_too(tmp_path):
    root = write(tmp_path / "raws", 1e-5, 1e-7)
    corpus, _ = made(tmp_path / "a.zarr", root, "ignore")
    for number, level in enumerate(LEVELS):
        row = corpus[number].row
        span = row["white"] - row["black"]
        clean = by_plane(corpus[number].arrays["clean"].astype(float))
        expected = (row["source_shot"] * level + row["source_read"]) * span**2
        np.testing.assert_allclose(row["source_read"], 1e-7 + 1 / 12 / span**2, rtol=1e-6)
        found = about(clean, (row["black"] + level * span)[:, None]) / expected
        # Rounding of noise of 0.4 codes and more is white: exp(-2 π² 0.4²) = 4 % of 1/12.
        assert np.abs(found - 1).max() < bound(SAMPLES) + 0.04


@pytest.mark.parametrize(("policy", "stage"), [("top-up", "srgb"), ("bin2", "raw")])
def test_lazy_parts_workers_and_shards_make_the_same(tmp_path, policy, stage):
    root = write(tmp_path / "raws", 1e-4, 1e-6)
    options = {"patch": 64, "per_image": 50, "draws": 2, "iso": (400.0, 3200.0), "stage": stage}
    whole, _ = made(tmp_path / "a.zarr", root, policy, **options)
    lazy, _ = made(tmp_path / "l.zarr", root, policy, lazy=True, **options)
    assert whole.digest() == lazy.digest()
    for i in (2, 1):
        path = str(tmp_path / "p.zarr")
        pipelines.synthesize(whole.recipe, path, root=root, part=(i, 2), shard_mb=1)
    parts = pipelines.open(tmp_path / "p.zarr")
    assert parts.digest() == whole.digest()
    assert parts.plan.shards > 3
    with execution.executor(1) as client:
        pipelines.synthesize(whole.recipe, str(tmp_path / "w.zarr"), client, root=root, shard_mb=1)
    assert pipelines.open(tmp_path / "w.zarr").digest() == whole.digest()
    found = check.verify(parts, regenerate=8, root=root)
    assert found.damaged == found.different == ()


def command(*arguments, code):
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    assert result.exit_code == code, result.output
    return result.output


@pytest.mark.parametrize(
    ("noise", "line"),
    [
        ((4e-3, 1e-6), "its shot noise in plane R is above the camera's at ISO 800"),
        ((1e-4, 1e-2), "its variance at x = 0 in plane R is above the camera's at ISO 800"),
    ],
)
def test_a_negative_top_up_is_one_line(tmp_path, noise, line):
    root = write(tmp_path / "raws", *noise, levels=(0.5, 0.05), side=64)
    arguments = ["synthesize", "--source", "folder", "--root", root, "--patch", "32"]
    arguments += ["--iso", "800", "--source-noise", "top-up", "--out", tmp_path / "a.zarr"]
    text = command(*arguments, code=2)
    assert text.count("\n") == 1
    assert "0.dng: top-up cannot take noise away: " in text
    assert line in text
    assert "raise --iso, or use --source-noise reject" in text


def test_top_up_looks_at_the_lowest_level_of_the_whole_picture(tmp_path):
    """More read noise than the camera's is fine in a bright picture, not in one with a shadow."""
    profile = {"noise_profile": ((1e-4,) * 4, (1e-4,) * 4)}
    asked = {"patch": 32, "per_image": 3}
    bright = write(tmp_path / "bright", 1e-4, 1e-9, levels=(0.3,), side=64, **profile)
    corpus, summary = made(tmp_path / "a.zarr", bright, "top-up", **asked)
    assert summary.problems == ()
    assert corpus.table["valid"].all()
    dark = write(tmp_path / "dark", 1e-4, 1e-9, levels=(0.3, 0.01), side=64, **profile)
    recipe = corpus.recipe
    summary = pipelines.synthesize(recipe, str(tmp_path / "b.zarr"), root=dark, max_bad=0.5)
    ((name, line),) = summary.problems
    assert name == "1.dng"
    assert "its variance at x = 0.0" in line
    # A body's terms act on the light: nothing is taken off them, so that black itself must do.
    body = recipe.model_copy(update={"body": recipe.body.model_copy(update={"prnu": 0.01})})
    with pytest.raises(ValueError, match="its variance at x = 0 in plane R"):
        pipelines.synthesize(body, str(tmp_path / "c.zarr"), root=bright)


def test_top_up_needs_to_know_the_files_noise(tmp_path):
    rough = np.random.default_rng(0).integers(600, 9000, (40, 40)).astype(np.uint16)
    raw.write_dng(
        tmp_path / "a.dng", rough, cfa="RGGB", black_level=BLACK, white_level=WHITE, bits=14
    )
    arguments = ["synthesize", "--source", "folder", "--root", tmp_path, "--patch", "32"]
    text = command(*arguments, "--source-noise", "top-up", "--out", tmp_path / "a.zarr", code=2)
    assert "a.dng: top-up needs to know its own noise: no NoiseProfile" in text


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--camera", "as-shot"], "with camera 'as-shot' there is nothing to top up"),
        (["--noise", "awgn"], "noise 'awgn' is the same at every level"),
    ],
)
def test_top_up_is_refused_where_it_means_nothing(tmp_path, options, line):
    arguments = ["synthesize", "--source-noise", "top-up", "--out", tmp_path / "a.zarr"]
    text = command(*arguments, *options, code=2)
    assert line in text
    assert text.count("\n") == 1


def test_averaged_to_less_than_a_patch_says_so(tmp_path):
    root = write(tmp_path / "raws", 1e-5, 1e-7, levels=(0.5,), side=100)
    arguments = ["synthesize", "--source", "folder", "--root", root, "--source-noise", "bin2"]
    text = command(*arguments, "--patch", "64", "--out", tmp_path / "a.zarr", code=2)
    assert "0.dng is 50 x 50 pixels (averaged, of 100 x 100), smaller than the patch of 64" in text
    assert text.endswith("use --patch 50 or less, or not bin2\n")


@pytest.mark.parametrize("policy", ["top-up", "bin2"])
def test_a_run_without_raws_says_that_there_was_nothing_to_do(tmp_path, policy):
    recipe = Recipe(count=2, patch=32, source_options={"size": 64}, source_noise={"policy": policy})
    summary = pipelines.synthesize(recipe, str(tmp_path / "a.zarr"))
    (line,) = summary.warnings
    assert line.startswith(f"source_noise '{policy}' is for raw files, and no image of this run is")
