"""Raw files that are noisy themselves: known, left out or used, the same however it is made."""

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

import pipelines
from noisegen import raw
from noisegen.cli import main
from noisegen.errors import InputError
from noisegen.random import counter
from noisegen.sensor import Levels, NoiseParameters, add_noise, models, variance
from pipelines import check, execution, materialize, parameters, source_noise
from pipelines.develop import Sensor
from pipelines.prepare import resolve
from pipelines.recipe import Recipe
from pipelines.source_noise import ORIGINS, OwnNoise
from pipelines.tables.source_noise import SourceNoise

BLACK, WHITE = (250.0, 256.0, 260.0, 258.0), 4095.0
LEVELS = Levels(BLACK, WHITE)
SIDE = 128
FILES = {"loud": (1e-2, 1e-4), "middle": (1e-4, 5e-7), "quiet": (1e-6, 1e-9)}
"""Shot and read noise; camera GP has 2.28e-4 and 2e-6 at ISO 100, 7.03e-3 and 1.8e-4 at 3200."""


def ramp(seed, phase="RGGB"):
    """Return a clean mosaic whose levels run from 2 % to 90 % of the range."""
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    light = 0.02 + 0.88 * np.abs(np.sin(2 * x + 3 * y + seed))
    return np.rint(250 + light * (WHITE - 250)).astype(np.uint16)


def write(folder, files=FILES, **tags):
    folder.mkdir()
    for number, (name, (shot, read)) in enumerate(files.items()):
        raw.write_dng(
            folder / f"{name}.dng", ramp(number), cfa="RGGB", black_level=BLACK, white_level=WHITE,
            bits=12, noise_profile=((shot,) * 4, (read,) * 4), **tags,
        )  # fmt: skip
    return str(folder)


@pytest.fixture
def folder(tmp_path):
    return write(tmp_path / "raws")


def recipe(policy=None, **changes):
    table = {} if policy is None else {"policy": policy}
    asked = {"source": "folder", "patch": 32, "per_image": 16, "stage": "raw"}
    return Recipe(source_noise=table, **{**asked, "iso": (100.0, 3200.0), **changes})


def made(path, root, policy=None, *, run=None, **changes):
    summary = pipelines.synthesize(recipe(policy, **changes), str(path), root=root, **(run or {}))
    return pipelines.open(path), summary


def command(*arguments, code=0):
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    assert result.exit_code == code, result.output
    return result.output


def by_the_levels(own, row, ratio, share, model="heteroscedastic"):
    """Return whether the rule holds at each of many levels, by the formula of the variance."""
    noise = NoiseParameters(tuple(row["shot"].tolist()), tuple(row["read"].tolist()))
    x = np.linspace(0, 1, 201)
    put_on = variance(x / ratio, models.get(model), noise, LEVELS) * ratio**2
    line = np.array(own.shot) * x[:, None] + own.read
    return bool((line * np.array(LEVELS.span) ** 2 > share * put_on * (1 + 1e-12)).any())


figures = st.tuples(*[st.floats(1e-8, 1e-2)] * 4)


@settings(deadline=None)
@given(figures, figures, figures, figures, st.floats(1, 100), st.floats(0.01, 1))
def test_the_rule_at_both_ends_is_the_rule_at_every_level(shot, read, own_shot, own_read, n, share):
    rows = parameters.empty(1)
    for name in ("row", "tukey_lambda", "tukey_scale", "bias"):
        rows[name] = 0
    rows["shot"], rows["read"], rows["exposure_ratio"] = shot, read, n
    own = OwnNoise(own_shot, own_read, "profile")
    asked = Recipe(source_noise=SourceNoise(policy="reject", max_share=share))
    sensor = Sensor("heteroscedastic", "adc", ())
    (found,) = source_noise.too_strong(own, rows, LEVELS, sensor, asked)
    assert found == by_the_levels(own, rows[0], n, share)


@pytest.mark.parametrize("options", [{}, {"exposure_ratio": (1.0, 4.0)}, {"without": ("shot",)}])
def test_what_is_kept_has_at_most_a_tenth_and_what_is_left_out_more(folder, tmp_path, options):
    """Places and draws are those of a run that leaves nothing out: which are kept is predicted."""
    every, _ = made(tmp_path / "a.zarr", folder, "ignore", **options)
    some, summary = made(tmp_path / "b.zarr", folder, **options)
    assert some.recipe.source_noise.policy == "reject"
    levels = Levels(tuple(every.table["black"][0]), float(every.table["white"][0]))
    span = np.array(levels.span)
    keeps = []
    for row in every.table:
        ratio = row["exposure_ratio"]
        noise = NoiseParameters(
            tuple(row["shot"].tolist()), tuple(row["read"].tolist()),
            read_includes=every.sensor.read_includes,
        )  # fmt: skip
        at = [0.0, 1 / ratio]
        put_on = variance(at, models.get("heteroscedastic"), noise, levels) * ratio**2
        shot, read = FILES[every.images.names[row["image"]].removesuffix(".dng")]
        own = read * span**2, (shot + read) * span**2
        keeps.append((own <= 0.1 * put_on * (1 + 1e-12)).all())
    np.testing.assert_array_equal(some.table["valid"], keeps)
    assert 0 < some.table["valid"].sum() < len(some)
    for number in some.valid:
        assert some.table[number].tobytes() == every.table[number].tobytes()
        np.testing.assert_array_equal(some[number].arrays["noisy"], every[number].arrays["noisy"])
    empty = 16 - some.table["valid"].reshape(3, 16).sum(1)
    np.testing.assert_array_equal(some.rejected, empty)
    assert summary.problems == ()
    assert summary.rejected == tuple(
        (name, n) for name, n in zip(some.images.names, empty, strict=True) if n
    )


def test_of_a_range_of_isos_the_middle_file_gives_the_high_ones(folder, tmp_path):
    corpus, summary = made(tmp_path / "a.zarr", folder)
    loud, middle, quiet = corpus.table["valid"].reshape(3, 16)
    assert not loud.any()
    assert quiet.all()
    assert 0 < middle.sum() < 16
    every, _ = made(tmp_path / "b.zarr", folder, "ignore")
    iso = every.table["iso"].reshape(3, 16)[1]
    assert iso[middle == 1].min() > iso[middle == 0].max()
    assert f"left out: {32 - middle.sum()} patches of 2 images" in summary.text()
    assert "loud.dng: 16 patches" in summary.text()
    assert check.status(corpus).rejected == 32 - middle.sum()
    left_out = f"left out for their own noise: {32 - middle.sum()} patches"
    assert left_out in command("status", tmp_path / "a.zarr")
    found = check.verify(corpus, regenerate=20, root=folder)
    assert found.damaged == found.different == ()


def test_another_share_lets_others_pass(folder, tmp_path):
    table = {"policy": "reject", "max_share": 1.0}
    pipelines.synthesize(
        recipe().model_copy(update={"source_noise": SourceNoise(**table)}),
        str(tmp_path / "a.zarr"),
        root=folder,
    )
    loud, middle, quiet = pipelines.open(tmp_path / "a.zarr").table["valid"].reshape(3, 16)
    assert (loud.any(), middle.all(), quiet.all()) == (False, True, True)


def test_lazy_parts_workers_and_shards_of_any_size_make_the_same(folder, tmp_path):
    options = {"draws": 2, "per_image": 60, "patch": 64, "stage": "srgb"}
    whole, _ = made(tmp_path / "a.zarr", folder, **options)
    lazy, _ = made(tmp_path / "l.zarr", folder, lazy=True, **options)
    assert whole.digest() == lazy.digest()
    materialize.materialize(lazy, str(tmp_path / "m.zarr"))
    for i in (3, 1, 2):
        made(tmp_path / "p.zarr", folder, run={"part": (i, 3), "shard_mb": 1}, **options)
    with execution.executor(2) as client:
        made(tmp_path / "w.zarr", folder, run={"client": client, "shard_mb": 2}, **options)
    for name in "mpw":
        corpus = pipelines.open(tmp_path / f"{name}.zarr")
        assert corpus.digest() == whole.digest()
        np.testing.assert_array_equal(corpus.rejected, whole.rejected)
    assert pipelines.open(tmp_path / "p.zarr").plan.shards > 3 * whole.plan.shards


def test_figures_are_the_files_the_catalogs_or_estimated(tmp_path):
    """NoiseProfile first; the catalog has a Pixel's noise at ISO 400, none is known at ISO 3."""
    clean = np.full((512, 512), 2000, np.uint16)
    noise = NoiseParameters((2e-3,) * 4, (2e-5,) * 4)
    shot = models.get("heteroscedastic")
    mosaic = add_noise(clean, LEVELS, shot, noise, LEVELS, "RGGB", counter(0, 0))
    profile = ((1e-5,) * 4, (1e-7,) * 4)
    pixel = {"make": "Google", "model": "Pixel"}
    files = {
        "profile": {"noise_profile": profile, **pixel, "iso": 400},
        "catalog": {**pixel, "iso": 400},
        "extrapolated": {**pixel, "iso": 3},
        "no shot": {"noise_profile": ((0.0,) * 4, (1e-7,) * 4)},
        "nothing": {},
    }
    found = {}
    for name, tags in files.items():
        raw.write_dng(
            tmp_path / f"{name}.dng", mosaic, cfa="RGGB", black_level=BLACK, white_level=WHITE,
            bits=12, **tags,
        )  # fmt: skip
        about = raw.read_metadata(str(tmp_path / f"{name}.dng"))
        found[name] = source_noise.find(mosaic, about, SourceNoise(policy="reject"))
        if name in ("extrapolated", "nothing"):
            ignored = source_noise.find(mosaic, about, SourceNoise(policy="ignore"))
            assert ignored == source_noise.UNKNOWN
    assert found["profile"].origin == "profile"
    np.testing.assert_allclose((found["profile"].shot, found["profile"].read), profile, rtol=1e-6)
    assert [found[name].origin for name in files] == [
        "profile", "catalog", "estimate", "estimate", "estimate",
    ]  # fmt: skip
    assert (found["catalog"].shot, found["catalog"].read) == ((0.000886,) * 4, (5e-06,) * 4)
    # Of one level only the sum can be known; 4.5 standard deviations of 65536 samples a plane,
    # seen through residuals of two in five of them.
    for figures_ in (found["extrapolated"], found["nothing"]):
        x = (2000 - np.array(BLACK)) / LEVELS.span
        sum_ = np.array(figures_.shot) * x + figures_.read
        np.testing.assert_allclose(sum_, 2e-3 * x + 2e-5, rtol=4.5 * np.sqrt(2 / (0.4 * 65536)))


def test_what_is_known_is_recorded_and_what_is_not_is_said(tmp_path):
    root = tmp_path / "raws"
    root.mkdir()
    rough = np.random.default_rng(0).integers(300, 3000, (40, 40)).astype(np.uint16)
    levels = {"cfa": "RGGB", "black_level": BLACK, "white_level": WHITE, "bits": 12}
    raw.write_dng(root / "a.dng", rough, **levels)
    raw.write_dng(root / "b.dng", ramp(1), noise_profile=((1e-6,) * 4, (1e-9,) * 4), **levels)
    corpus, summary = made(tmp_path / "a.zarr", str(root))
    origins = [ORIGINS[i] for i in corpus.table["source_origin"][::16]]
    assert origins == ["unknown", "profile"]
    assert np.isnan(corpus.table["source_shot"][0]).all()
    (line,) = summary.warnings
    assert line.startswith("a.dng: used as it is; its own noise is not known")
    _, silent = made(tmp_path / "b.zarr", str(root), "ignore")
    assert silent.warnings == ()


def test_nothing_left_is_one_line_and_no_corpus(tmp_path):
    root = write(tmp_path / "raws", {"loud": FILES["loud"], "louder": (5e-2, 1e-3)})
    arguments = ["synthesize", "--source", "folder", "--root", root, "--patch", "32"]
    out = tmp_path / "a.zarr"
    line = command(*arguments, "--iso", "100-3200", "--out", out, code=2)
    assert line == (
        "noisegen: source_noise: no patch is left; the own noise of 2 raw files is more than 0.1 "
        "of that of camera GP; raise --iso, or use --source-noise top-up, bin2 or ignore\n"
    )
    assert not out.exists()
    command(*arguments, "--source-noise", "ignore", "--out", out)
    assert pipelines.open(out).recipe.source_noise.policy == "ignore"


def test_nothing_left_for_its_noise_or_its_level_names_both(tmp_path):
    root = write(tmp_path / "raws", {"loud": (5e-2, 1e-3), "quiet": FILES["quiet"]})
    arguments = ["synthesize", "--source", "folder", "--root", root, "--patch", "32"]
    arguments += ["--per-image", "4", "--select", "stratified", "--set", "select.min_mean=1"]
    line = command(*arguments, "--out", tmp_path / "a.zarr", code=2)
    assert "no patch is left; the own noise of 1 raw file is more than 0.1" in line
    assert "; no place for 4 patches keeps to select.min_mean (1)" in line
    assert line.count("\n") == 1


def test_as_shot_ignores_and_refuses_to_reject(folder, tmp_path):
    arguments = ["synthesize", "--source", "folder", "--root", folder, "--patch", "32"]
    arguments += ["--camera", "as-shot", "--out", tmp_path / "a.zarr"]
    for more in (["--source-noise", "reject"], ["--set", "source_noise.max_share=0.5"]):
        line = command(*arguments, *more, code=2)
        assert "camera 'as-shot' puts each file's own noise on once more" in line
        assert line.count("\n") == 1
    command(*arguments)
    corpus = pipelines.open(tmp_path / "a.zarr")
    assert corpus.recipe.source_noise.policy == "ignore"
    assert corpus.table["valid"].all()


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"policy": "refuse"}, "source_noise.policy"),
        ({"max_share": 0}, "source_noise.max_share: 0 is not above 0 and up to 1"),
        ({"policy": "ignore", "max_share": 0.2}, "max_share: policy 'ignore' leaves nothing out"),
        ({"share": 0.2}, r"unknown key 'source_noise.share' \(did you mean 'max_share'"),
    ],
)
def test_a_wrong_table_is_one_line(table, words):
    from pipelines.recipe import parse

    with pytest.raises(InputError, match=words):
        parse({"source_noise": table})


def test_pictures_have_nothing_to_reject():
    resolved = resolve(Recipe(count=4, patch=32, source_options={"size": 64}))
    assert resolved.source_noise.policy == "reject"
