"""A sample with a finish is the crop of its finished frame; what is drawn is recorded."""

import cv2
import numpy as np
import pytest

import pipelines
from noisegen import cfa
from noisegen.errors import InputError, RecipeError
from noisegen.isp.bulk import render
from noisegen.isp.finish import finish
from noisegen.isp.parameters import FinishParameters
from noisegen.jpeg import SUBSAMPLINGS
from noisegen.random import DRAWS
from pipelines import finishing, materialize, recipe
from pipelines.develop import SHOTS, isp_parameters
from pipelines.frame import frame
from pipelines.job import Batch
from pipelines.measure import noise_curves
from pipelines.prepare import new_job, resolve
from pipelines.shard import batches
from pipelines.tile import Window

TABLES = {
    "noise reduction": {"luma": (0.5, 2.0), "chroma": (0.0, 3.0), "luma_radius": 2},
    "sharpened": {"sharpen": (0.3, 1.0), "sharpen_radius": (0.5, 1.5), "target": "finished"},
    "shrunk": {"resize": (1.0, 2.3)},
    "jpeg": {"quality": (60, 98), "subsampling": ["4:4:4", "4:2:2", "4:2:0"]},
    "mean": {"luma": (1.0, 3.0), "chroma": 1.0, "quality": 97, "target": "mean"},
    "all": {
        "luma": 1.0, "chroma": 2.0, "sharpen": 0.5, "resize": (1.2, 1.8), "quality": 90,
        "target": "finished",
    },
}  # fmt: skip

every_table = pytest.mark.parametrize("table", TABLES.values(), ids=TABLES.keys())


@every_table
def test_a_sample_is_the_crop_of_the_finished_frame(small, table):
    made = resolve(small(finish=table, patch=48, tone=(0.0, 1.0), demosaic="ahd"))
    job = new_job(made, None, 64)
    picture = frame(job.source.read(job.images[0]), job.camera, made, 0)
    size = (picture.height, picture.width)
    assert size == (160, 160)
    developer = job.developer
    whole = Window(0, 0, 160, developer.halo, *size)
    batch = next(item for item in batches(job, 0) if isinstance(item, Batch))
    for number, row in enumerate(batch.rows[:, 0]):
        tile = picture.tile(whole, float(row["tone"]))
        corner = row.copy()
        corner["y"] = corner["x"] = 0
        (noisy,) = developer.noisy_tiles(np.array([[corner]]), tile[None], np.array([size]))
        found = finishing.parameters_of(row, made, isp_parameters(row, made.demosaic, made.gamma))
        before = FinishParameters(resize=found.resize)
        clean = found if made.finish.target == "finished" else before
        mosaics = {"noisy": (noisy, found)}
        if made.finish.target != "mean":
            mosaics["clean"] = (tile, clean)
        top, left, *_ = finishing.window(int(row["y"]), int(row["x"]), 48, found.resize)
        for name, (mosaic, parameters) in mosaics.items():
            rendered = render(
                mosaic,
                cfa.PHASES[int(row["cfa"])],
                row["black"],
                float(row["white"]),
                isp_parameters(row, made.demosaic, made.gamma),
                bits=16,
                cut=(developer.halo, developer.halo, *size),
            )
            expected = finish(rendered, parameters)[top : top + 48, left : left + 48]
            got = batch.arrays[name][number]
            if parameters.changes_pixels:
                np.testing.assert_array_equal(got, expected)
            else:  # the plain rendering is rounded to 8 bits once, not by way of 16
                assert np.abs(got.astype(int) - expected).max() <= 1


@every_table
@pytest.mark.parametrize("stage", ["srgb", "both"])
def test_lazy_is_stored(made, tmp_path, stage, table):
    if stage == "both":
        table = {k: v for k, v in table.items() if k != "resize"} or {"quality": 80}
    options = {"stage": stage, "draws": 2, "count": 6, "finish": table}
    stored, lazy = made("a.zarr", **options), made("b.zarr", lazy=True, **options)
    assert stored.digest() == lazy.digest()
    materialize.materialize(lazy, str(tmp_path / "m.zarr"))
    assert pipelines.open(tmp_path / "m.zarr").digest() == stored.digest()


def test_frames_smaller_than_the_halo_are_filled(made):
    options = {"source_options": {"size": 32}, "patch": 32, "per_image": 1, "count": 3}
    table = {"quality": 70, "chroma": 2.0, "chroma_radius": 8}
    lazy = made("a.zarr", lazy=True, finish=table, **options)
    assert lazy.developer.halo > 32
    assert lazy.digest() == made("b.zarr", finish=table, **options).digest()
    assert lazy.digest() == made("c.zarr", lazy=True, finish=table, **options).digest()


def test_what_is_drawn_is_recorded_and_within_its_range(made):
    table = {
        "luma": (1.0, 2.0), "chroma": (2.0, 3.0), "sharpen": (0.2, 0.4), "resize": (1.0, 1.5),
        "sharpen_radius": (0.5, 0.7), "quality": (90, 92), "subsampling": ["4:4:4", "4:2:0"],
    }  # fmt: skip
    corpus = made(finish=table, count=60, per_image=20, source_options={"size": 200})
    rows = corpus.table
    for name in ("sharpen", "sharpen_radius", "resize"):
        low, high = table[name]
        assert low <= rows[name].min() < rows[name].max() <= high
    # of 60 draws of a third each, one is missing with odds of 1e-10
    assert set(rows["jpeg_quality"].tolist()) == {90, 91, 92}
    assert {SUBSAMPLINGS[i] for i in rows["jpeg_subsampling"].tolist()} == {"4:4:4", "4:2:0"}
    assert (rows["nr_luma"] > 0).all()
    assert (rows["nr_chroma"] > 0).all()
    assert corpus.attributes["versions"]["opencv"]


def test_strengths_are_relative_to_the_noise(made):
    options = {"finish": {"luma": 1.0, "chroma": 1.0}, "count": 2}
    low, high = made("a.zarr", iso=100.0, **options), made("b.zarr", iso=1600.0, **options)
    for name in ("nr_luma", "nr_chroma"):
        # sixteen times the shot noise, and read noise beside it
        assert 3 < high.table[name][0] / low.table[name][0] < 8
    dark = {"exposure_ratio": 10.0, "iso": 100.0}
    lifted = made("c.zarr", amplify=True, **dark, **options)
    assert lifted.table["nr_luma"][0] > 2 * low.table["nr_luma"][0]
    left_dark = made("d.zarr", **dark, **options)
    assert left_dark.table["nr_luma"][0] == low.table["nr_luma"][0]


def test_the_finish_leaves_all_that_comes_before_it(made, pixels):
    plain = made("a.zarr", stage="both")
    finished = made("b.zarr", stage="both", finish={"luma": 2.0, "quality": 80})
    new = ("nr_luma", "jpeg_quality", "jpeg_subsampling")
    for name in plain.table.dtype.names:
        if name not in new:
            np.testing.assert_array_equal(plain.table[name], finished.table[name])
    before, after = pixels(plain), pixels(finished)
    for name in ("raw_clean", "raw_noisy", "clean"):
        np.testing.assert_array_equal(before[name], after[name])
    assert (before["noisy"] != after["noisy"]).mean() > 0.5
    assert after["noisy"].std() < before["noisy"].std()


@pytest.mark.parametrize("changes", [{}, {"lazy": True}, {"stage": "both"}], ids=str)
@pytest.mark.parametrize("name", ["noise reduction", "sharpened", "jpeg"])
def test_measured_noise_is_the_models(made, changes, name):
    corpus = made(finish=TABLES[name], count=24, per_image=8, iso=(400.0, 3200.0), **changes)
    for curve in noise_curves(corpus, [int(i) for i in corpus.valid]):
        assert curve.ratio == pytest.approx(1, abs=0.2), curve


@pytest.mark.parametrize("lazy", [True, False])
def test_measured_noise_of_shrunk_patches_is_the_models(made, lazy):
    options = {"source_options": {"size": 256}, "count": 24, "per_image": 8, "iso": 1600.0}
    corpus = made(finish=TABLES["all"], lazy=lazy, **options)
    for curve in noise_curves(corpus, [int(i) for i in corpus.valid]):
        assert curve.ratio == pytest.approx(1, abs=0.2), curve


@pytest.mark.parametrize("table", [{"target": "mean"}, TABLES["mean"]], ids=["render", "finish"])
def test_clean_is_the_mean_of_noisy_pictures_that_no_sample_is(made, table):
    corpus = made(finish=table, draws=2, lazy=True)
    for number in corpus.valid[:4].tolist():
        sample, patch = corpus[number], number // 2
        tile, row = corpus.reader("raw_clean")[patch], sample.row.copy()
        shots = []
        for shot in range(SHOTS):
            row["draw"] = DRAWS - 1 - shot
            shots.append(corpus.developer.sample(row, tile, corpus.window(row))["noisy"])
        mean = np.mean(shots, axis=0)
        assert np.abs(sample.arrays["clean"] - mean).max() <= 0.5
        np.testing.assert_array_equal(sample.arrays["clean"], corpus[number ^ 1].arrays["clean"])
        assert not any(np.array_equal(sample.arrays["noisy"], shot) for shot in shots)


def test_noise_about_the_mean_does_not_go_with_detail(tmp_path):
    """Noise reduction treats a noisy picture's detail otherwise than a clean one's."""
    rng = np.random.default_rng(0)
    texture = cv2.GaussianBlur(rng.normal(0, 60, (128, 128)), (0, 0), 1.0)
    picture = np.uint8(np.clip(100 + texture[..., None] * np.ones(3), 0, 255))
    (tmp_path / "p").mkdir()
    cv2.imwrite(str(tmp_path / "p" / "p.png"), picture)
    detail = picture - cv2.GaussianBlur(picture.astype(float), (0, 0), 1.5)
    slopes = {}
    for target in ("finished", "mean"):
        made = recipe.parse(
            {"source": "folder", "patch": 128, "per_image": 1, "draws": 16, "iso": 1600.0,
             "finish": {"luma": 5.0, "target": target}}
        )  # fmt: skip
        pipelines.synthesize(made, str(tmp_path / target), root=str(tmp_path / "p"))
        corpus, own = pipelines.open(tmp_path / target), []
        for number in range(16):
            arrays = corpus[number].arrays
            noise = arrays["noisy"].astype(float) - arrays["clean"]
            own.append((noise * detail).sum() / (detail**2).sum())
        slopes[target] = np.mean(own), np.std(own, ddof=1) / np.sqrt(16)
    # The mean has an error of its own, that of 32 draws: half the variance of the mean of 16.
    z = {target: abs(slope) / (error * 1.5**0.5) for target, (slope, error) in slopes.items()}
    assert z["finished"] > 10
    assert z["mean"] < 5, "false alarm: 2e-4 with 15 degrees of freedom"


@pytest.mark.parametrize(
    ("data", "line"),
    [
        ({"finish": {"quality": 0}}, "finish.quality: 0 is not from 1 to 100"),
        ({"finish": {"quality": (90, 101)}}, "finish.quality: 101 is not from 1 to 100"),
        ({"finish": {"quality": (95, 90)}}, "finish.quality: the range 95-90 runs backwards"),
        ({"finish": {"luma": -1}}, "finish.luma: -1 is not from 0 to 20"),
        ({"finish": {"chroma_radius": 17}}, "finish.chroma_radius: 17 is not from 1 to 16"),
        ({"finish": {"resize": 0.5}}, "finish.resize: 0.5 is not from 1 to 8"),
        ({"finish": {"subsampling": "4:1:1"}}, "finish.subsampling: "),
        ({"finish": {"subsampling": []}}, "finish.subsampling: "),
        ({"finish": {"jpeg": 90}}, "unknown key 'finish.jpeg'"),
        ({"finish": {"target": "finished"}}, "finish.target: nothing is finished here"),
        ({"stage": "raw", "finish": {"target": "mean"}}, "finish: stage 'raw' ends before"),
        ({"stage": "raw", "finish": {"luma": 1}}, "finish: stage 'raw' ends before"),
        ({"stage": "linear", "finish": {"luma": 1}}, "finish: stage 'linear' ends before"),
        ({"stage": "both", "finish": {"resize": 2}}, "finish.resize: stage 'both' stores"),
        ({"bits": 16, "finish": {"quality": 90}}, "finish.quality: a JPEG has 8 bits"),
        ({"border": "published", "finish": {"luma": 1}}, "finish: border 'published' renders"),
        (
            {"dark_frames": {"a.dng": "0" * 64}, "finish": {"target": "mean"}},
            "finish.target: a patch has one dark frame",
        ),
    ],
)  # fmt: skip
def test_what_does_not_hold_together_is_refused_in_one_line(data, line):
    with pytest.raises(RecipeError) as caught:
        recipe.parse(data)
    assert f"recipe: {line}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_frames_too_small_to_be_shrunk_are_named(small, tmp_path):
    made = small(finish={"resize": 4.0})
    with pytest.raises(InputError, match="a patch of 64 that is shrunk covers 262"):
        pipelines.synthesize(made, str(tmp_path / "c.zarr"))


def test_shards_of_any_size_hold_the_same(made):
    options = {"patch": 128, "per_image": 6, "count": 15, "finish": {**TABLES["all"], "resize": 1}}
    small_shards = made("a.zarr", run={"shard_mb": 1}, **options)
    one_shard = made("b.zarr", run={"shard_mb": 64}, **options)
    assert small_shards.plan.shards > one_shard.plan.shards == 1
    assert small_shards.digest() == one_shard.digest()
