"""Pictures in a corpus: what is drawn to unprocess them, and that the record says it all."""

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

import pipelines
import pipelines.recipe
from catalogs import cameras, sources
from noisegen import cfa, raw
from noisegen.cli import main
from noisegen.isp.bulk import unprocess
from noisegen.isp.parameters import IspParameters
from noisegen.isp.tone import FAMILIES, ToneCurve
from noisegen.kernels.dither import dither
from noisegen.random import counter
from pipelines import unprocessing
from pipelines.recipe import Recipe

EVERYTHING = {
    "unprocess": {
        "white_balance": "locus",
        "exposure": (0.25, 1.0),
        "inverse_tone": list(FAMILIES),
    },
    "tone": (0.0, 0.5),
}
N = 2000


@pytest.fixture
def photos(tmp_path):
    """Return a folder of five pictures, one of them of 16 bits."""
    folder = tmp_path / "photos"
    folder.mkdir()
    y, x = np.mgrid[:96, :120]
    for i in range(5):
        waves = [0.5 + 0.5 * np.sin((x + 3 * k) / (5 + i) + y / (9 + k)) for k in range(3)]
        top, dtype = (65535, np.uint16) if i == 4 else (255, np.uint8)
        cv2.imwrite(str(folder / f"{i}.png"), np.rint(top * np.stack(waves, -1)).astype(dtype))
    return folder


@pytest.fixture
def of_photos(tmp_path, photos):
    """Make a small corpus of the pictures and return it open."""

    def make(name="c.zarr", *, run=None, **changes):
        recipe = Recipe(source="folder", patch=32, per_image=4, **changes)
        pipelines.synthesize(recipe, str(tmp_path / name), root=str(photos), **(run or {}))
        return pipelines.open(tmp_path / name)

    return make


def test_the_record_and_the_picture_give_the_mosaic(of_photos, photos):
    """Every stored mosaic is the unprocessed picture, by the recorded parameters and the seed."""
    corpus = of_photos(stage="raw", camera="SonyA7R", gamma="rec709", **EVERYTHING)
    source = sources.open("folder", str(photos))
    pictures = [source.read(ref).pixels for ref in source.images()]
    for number, picture in enumerate(pictures):
        if picture.dtype == np.uint8:
            pictures[number] = dither(picture, counter(corpus.recipe.seed, number), 0, 0)
    for i in corpus.valid:
        sample = corpus[int(i)]
        row = sample.row
        y, x = int(row["y"]), int(row["x"])
        family = FAMILIES[int(row["source_tone"]) - 1]
        pivot = float(row["source_tone_pivot"])
        expected = unprocess(
            pictures[int(row["image"])][y : y + 32, x : x + 32],
            cfa.PHASES[int(row["cfa"])],
            row["black"],
            float(row["white"]),
            IspParameters(tuple(row["wb"]), tuple(map(tuple, row["cam_to_xyz"])), gamma="rec709"),
            exposure=float(row["exposure"]),
            tone=ToneCurve(
                family, float(row["source_tone_strength"]), pivot if pivot == pivot else 0.5
            ),
        )
        np.testing.assert_array_equal(sample.arrays["clean"], expected)
        assert (family == "s-curve") == (pivot == pivot)


def test_the_record_of_a_scene_linear_picture_gives_its_mosaic(tmp_path):
    """Light and exposure are drawn, up to where the sensor clips; there is no curve to undo."""
    table = {**EVERYTHING["unprocess"], "exposure": (0.25, 8.0)}
    recipe = Recipe(
        source_options={"size": 96, "seed": 3}, patch=32, per_image=4, count=12, stage="raw",
        camera="SonyA7R", unprocess=table,
    )  # fmt: skip
    pipelines.synthesize(recipe, str(tmp_path / "c.zarr"))
    corpus = pipelines.open(tmp_path / "c.zarr")
    source = sources.open("deadleaves", None, size=96, seed=3, count=3)
    pictures = [source.read(ref).pixels for ref in source.images()]
    for i in map(int, corpus.valid):
        row = corpus[i].row
        y, x = int(row["y"]), int(row["x"])
        expected = unprocess(
            pictures[int(row["image"])][y : y + 32, x : x + 32],
            cfa.PHASES[int(row["cfa"])],
            row["black"],
            float(row["white"]),
            IspParameters(tuple(row["wb"]), tuple(map(tuple, row["cam_to_xyz"]))),
            encoded=False,
            exposure=float(row["exposure"]),
        )
        np.testing.assert_array_equal(corpus[i].arrays["clean"], expected)
    assert (corpus.table["source_tone"] == 0).all()
    assert np.isnan(corpus.table["source_tone_strength"]).all()


def test_the_patches_of_an_image_share_its_light(of_photos):
    table = of_photos(**EVERYTHING).table
    for name in ("temperature", "exposure", "source_tone_strength", "tone", "wb", "ccm"):
        values = table[name].reshape(5, 4, -1)
        assert (values == values[:, :1]).all()
        assert len(np.unique(values[:, 0], axis=0)) == 5
    assert set(table["source_tone"]) <= {1, 2, 3}
    assert ((table["temperature"] >= 2850) & (table["temperature"] <= 6500)).all()
    assert (table["tone"] != table["source_tone_strength"]).all()


def test_by_default_the_chains_own_curve_is_undone(of_photos, pixels):
    corpus = of_photos(tone=(0.2, 0.8))
    table = corpus.table
    assert (table["source_tone"] == 1).all()
    np.testing.assert_array_equal(table["source_tone_strength"], table["tone"])
    assert (table["exposure"] == 1).all()
    assert np.isnan(table["temperature"]).all()


@pytest.mark.parametrize("stage", ["srgb", "both"])
def test_lazy_parts_and_shards_hold_the_same(of_photos, tmp_path, photos, stage):
    options = {"stage": stage, "camera": "SonyA7R", "draws": 2, **EVERYTHING}
    stored, lazy = of_photos("a.zarr", **options), of_photos("b.zarr", lazy=True, **options)
    assert stored.digest() == lazy.digest()
    # 16 bits and 128 pixels fill a megabyte with few patches: an image over several shards.
    wide = {"bits": 16, "camera": "SonyA7R", "draws": 8, **EVERYTHING}
    whole = of_photos("whole.zarr", **wide)
    for i in (2, 1):
        parts = of_photos("parts.zarr", run={"part": (i, 2), "shard_mb": 1}, **wide)
    assert parts.plan.shards > whole.plan.shards
    assert parts.digest() == whole.digest()


def test_a_folder_of_both_kinds_works_and_raws_stay_as_they_are(tmp_path, photos):
    mosaic = np.random.default_rng(0).integers(600, 15000, (96, 120)).astype(np.uint16)
    raw.write_dng(
        photos / "shot.dng", mosaic, cfa="RGGB", black_level=(512,) * 4, white_level=16383,
        bits=14, as_shot_neutral=(0.5, 1, 0.6),
        color_matrix=((0.83, -0.25, -0.1), (-0.35, 1.2, 0.15), (-0.05, 0.2, 0.55)),
    )  # fmt: skip
    tables = []
    for name, options in (("a", {}), ("b", EVERYTHING)):
        recipe = Recipe(source="folder", camera="SonyA7R", patch=32, per_image=4, **options)
        summary = pipelines.synthesize(recipe, str(tmp_path / name), root=str(photos))
        assert summary.samples == 24
        assert not any("changed nothing" in line for line in summary.warnings)
        tables.append(pipelines.open(tmp_path / name).table)
    plain, drawn = (table[table["source_tone"] == 0] for table in tables)
    assert len(plain) == len(drawn) == 4
    for name in ("wb", "cam_to_xyz", "mean", "texture", "exposure", "temperature"):
        np.testing.assert_array_equal(plain[name], drawn[name])
    assert np.isnan(drawn["exposure"]).all()


def drawn(count=N, **table):
    recipe = Recipe(unprocess=table)
    return [unprocessing.draw(recipe, cameras.load("GP"), i) for i in range(count)]


def ks(values, low, high):
    """Return the Kolmogorov-Smirnov distance of values from the uniform law on [low, high]."""
    u = (np.sort(values) - low) / (high - low)
    steps = np.arange(len(u))
    return max(np.max(u - steps / len(u)), np.max((steps + 1) / len(u) - u))


# n = 2000: the distance exceeds 0.071 once in 2e8 cases, 2 exp(-2 n d²).
def test_exposures_are_log_uniform():
    found = np.array([d.exposure for d in drawn(exposure=(0.25, 1.0))])
    assert 0.25 <= found.min() <= found.max() <= 1
    assert ks(np.log(found), np.log(0.25), 0) < 0.071


def test_families_strengths_and_pivots_are_uniform():
    curves = [
        d.curve
        for d in drawn(inverse_tone="amplification, smoothstep,s-curve", tone_strength=(0.1, 0.6))
    ]
    assert ks([c.strength for c in curves], 0.1, 0.6) < 0.071
    assert ks([c.pivot for c in curves], 0.3, 0.7) < 0.071
    for family in FAMILIES:
        share = np.mean([c.family == family for c in curves])
        assert abs(share - 1 / 3) < 6 * np.sqrt(2 / 9 / N)  # 6 standard deviations: 2e-9


def test_one_range_does_not_move_the_draws_of_another():
    plain = drawn(50, exposure=(0.25, 1.0))
    more = drawn(50, exposure=(0.25, 1.0), inverse_tone="s-curve", white_balance="locus")
    assert [d.exposure for d in plain] == [d.exposure for d in more]
    assert plain[0].curve is None


@pytest.mark.parametrize(
    ("kinds", "table", "line"),
    [
        ({"mosaic"}, {"exposure": 0.5}, "all images of this run are raw files: it changed nothing"),
        ({"mosaic"}, {}, ""),
        ({"mosaic", "srgb"}, {"exposure": 0.5}, ""),
        ({"linear"}, {"exposure": 0.5}, ""),
        ({"linear", "mosaic"}, {"inverse_tone": "s-curve"}, "inverse_tone is for sRGB pictures"),
        ({"srgb", "mosaic"}, {"inverse_tone": "s-curve"}, ""),
        (set(), {"exposure": 0.5}, ""),
    ],
)
def test_options_that_changed_nothing_are_told(kinds, table, line):
    told = unprocessing.unused(Recipe(unprocess=table).unprocess, kinds)
    assert line in told
    assert bool(line) == bool(told)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (
            ["--camera", "IMX296", "--set", "unprocess.white_balance=locus"],
            "unprocess.white_balance: camera IMX296 has a colour matrix for D65 only",
        ),
        (
            ["--set", "unprocess.white_balance=locus", "--set", "unprocess.temperature=6500-2850"],
            "unprocess.temperature: the range 6500-2850 runs backwards",
        ),
        (["--set", "unprocess.temperature=5000"], "is drawn for white_balance = 'locus' only"),
        (
            ["--set", "unprocess.white_balance=locus", "--set", "unprocess.temperature=500"],
            "unprocess.temperature: 500 is not from 1000 to 25000",
        ),
        (["--set", "unprocess.inverse_tone=smothstep"], "(did you mean 'smoothstep'?)"),
        (["--set", "unprocess.inverse_tone=chain,s-curve"], "it stands alone"),
        (["--set", "unprocess.tone_strength=0.5"], "unprocess.tone_strength: the chain's own"),
        (["--set", "unprocess.tone_pivot=0.5"], "only inverse_tone 's-curve' has one"),
        (["--set", "unprocess.exposure=0"], "unprocess.exposure: 0 is not above 0 and up to 8"),
        (["--set", "unprocess.white_balanc=locus"], "(did you mean 'white_balance'?)"),
        (["--camera", "as-shot", "--set", "unprocess.exposure=0.5"], "leave unprocess away"),
    ],
)
def test_bad_input_is_one_line(options, line, tmp_path):
    result = CliRunner().invoke(main, ["synthesize", "--out", str(tmp_path / "x.zarr"), *options])
    assert result.exit_code == 2
    assert line in result.output
    assert result.output.strip().count("\n") == 0
    assert not (tmp_path / "x.zarr").exists()


def test_the_command_records_what_it_was_asked_for(tmp_path, photos):
    out = tmp_path / "c.zarr"
    options = ["--source", "folder", "--root", str(photos), "--patch", "32", "--per-image", "2"]
    sets = ["unprocess.white_balance=locus", "unprocess.temperature=4000-5000"]
    sets += ["unprocess.inverse_tone=smoothstep,s-curve", "unprocess.exposure=0.5"]
    settings = [part for text in sets for part in ("--set", text)]
    result = CliRunner().invoke(main, ["synthesize", "--out", str(out), *options, *settings])
    assert result.exit_code == 0, result.output
    corpus = pipelines.open(out)
    table = corpus.table
    assert ((table["temperature"] >= 4000) & (table["temperature"] <= 5000)).all()
    assert (table["exposure"] == 0.5).all()
    assert set(table["source_tone"]) <= {2, 3}
    printed = CliRunner().invoke(main, ["recipe", str(out)]).output
    (tmp_path / "again.toml").write_text(printed)
    assert pipelines.recipe.read(tmp_path / "again.toml") == corpus.recipe
