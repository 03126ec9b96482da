"""Corpora with camera bodies: recorded, reproducible, fixed patterns that are those of a body."""

from dataclasses import replace
from typing import get_args

import cv2
import numpy as np
import pytest

import pipelines
from catalogs import cameras
from noisegen import cfa
from noisegen.errors import InputError, RecipeError
from noisegen.sensor import BodyFigures, Levels, models, pattern, variance
from noisegen.sensor.body import FIGURES, TERMS
from pipelines import execution, materialize, recipe
from pipelines.develop import body_counter, body_parameters, noise_parameters
from pipelines.frame import frame
from pipelines.job import Batch
from pipelines.measure import noise_curves
from pipelines.prepare import new_job, resolve
from pipelines.recipe import Term
from pipelines.shard import batches
from pipelines.tables.body import Body
from pipelines.tile import Window

EVERYTHING = {
    "prnu": 0.02, "green_imbalance": 0.03, "dsnu": 3.0, "dark_shading": 4.0, "column_fpn": 2.0,
    "column": 1.0, "black_level_error": 1.0, "hot_pixels": 0.005, "hot_rate": 3e4,
    "dead_pixels": 0.002, "dual_gain_level": 0.1, "dual_gain_ratio": 3.0,
    "exposure_time": (0.002, 0.02),
}  # fmt: skip
"""Every term, strong enough to be seen in a small corpus."""

ALL = {"body": EVERYTHING, "bodies": 3, "draws": 2}


@pytest.mark.parametrize("camera", ["GP", "SonyA7S2"])
@pytest.mark.parametrize("stage", ["srgb", "linear", "raw", "both"])
def test_lazy_is_stored(made, tmp_path, stage, camera):
    options = {**ALL, "stage": stage, "camera": camera, "tone": (0.0, 1.0)}
    stored, lazy = made("a.zarr", **options), made("b.zarr", lazy=True, **options)
    assert stored.digest() == lazy.digest()
    materialize.materialize(lazy, str(tmp_path / "m.zarr"))
    assert pipelines.open(tmp_path / "m.zarr").digest() == stored.digest()


def test_workers_parts_and_shards_of_any_size_make_the_same(made, small, tmp_path):
    options = {**ALL, "patch": 128, "bits": 16, "finish": {"luma": 1.0}}
    whole = made("a.zarr", run={"shard_mb": 64}, **options)
    path = str(tmp_path / "p.zarr")
    for i in (3, 1, 2):
        pipelines.synthesize(small(**options), path, part=(i, 3), shard_mb=1)
    parts = pipelines.open(path)
    assert parts.plan.shards > whole.plan.shards == 1
    assert parts.digest() == whole.digest()
    with execution.executor(2) as client:
        pipelines.synthesize(small(**options), str(tmp_path / "w.zarr"), client, shard_mb=1)
    assert pipelines.open(tmp_path / "w.zarr").digest() == whole.digest()


@pytest.mark.parametrize("amplified", [{}, {"exposure_ratio": 8.0, "amplify": True}], ids=str)
def test_a_sample_is_the_crop_of_the_frame(small, amplified):
    made = resolve(small(**ALL, stage="raw", camera="SonyA7S2", **amplified))
    job = new_job(made, None, 64)
    picture = frame(job.source.read(job.images[0]), job.camera, made, 0)
    size = (picture.height, picture.width)
    whole = Window(0, 0, picture.height, 0, *size)
    of_frame = replace(job.developer, recipe=made.model_copy(update={"patch": whole.patch}))
    batch = next(item for item in batches(job, 0) if isinstance(item, Batch))
    for row, sample in zip(batch.rows.reshape(-1), batch.arrays["noisy"], strict=True):
        corner = row.copy()
        corner["y"] = corner["x"] = 0
        tile = picture.tile(whole, float(row["tone"]))
        (noisy,) = of_frame.noisy_tiles(np.array([[corner]]), tile[None], np.array([size]))
        y, x = int(row["y"]), int(row["x"])
        np.testing.assert_array_equal(sample, noisy[y : y + 64, x : x + 64])


def test_the_body_is_drawn_an_image_and_recorded(made):
    corpus = made(**ALL, count=96, per_image=2)
    images, first = np.unique(corpus.table["image"], return_index=True)
    bodies = corpus.table["body"][first]
    assert (corpus.table["body"] == bodies[corpus.table["image"]]).all()
    # of 48 draws of a third each, one is missing with odds of 1e-8
    assert len(images) == 48
    assert set(bodies.tolist()) == {0, 1, 2}
    times = corpus.table["exposure_time"]
    assert 0.002 <= times.min() < 0.004 < 0.01 < times.max() <= 0.02
    assert (times.reshape(-1, 2)[:, 0] == times.reshape(-1, 2)[:, 1]).all()
    alone = made("b.zarr", body={"prnu": 0.01})
    assert (alone.table["body"] == 0).all()
    assert np.isnan(alone.table["exposure_time"]).all()


FRAMES = 24


@pytest.fixture
def flats(tmp_path, made):
    """Return a function that makes a corpus of whole frames of even grey, of two bodies."""
    folder = tmp_path / "flats"
    folder.mkdir()
    for i in range(FRAMES):
        cv2.imwrite(str(folder / f"{i:02}.png"), np.full((64, 64, 3), 90 + 3 * i, np.uint8))

    def make(stage, body):
        return made(
            source="folder", source_options={}, per_image=1, count=FRAMES, stage=stage, iso=400.0,
            noise="poisson-gaussian", bodies=2, body=body, run={"root": str(folder)},
        )  # fmt: skip

    return make


FIXED = {
    **{k: v for k, v in EVERYTHING.items() if k not in ("column", "black_level_error")},
    "exposure_time": 0.01,
}
"""All but the terms that are new in every frame, at one exposure time."""


def _score(corpus, frames, body):
    """Return how far averaged frames are from a body's pattern: a normal number squared, a pixel.

    Pixels of either body that are hot or stuck are left out: the noise of the hot is far from
    normal, and the stuck have none.
    """
    total, expected, spread = (np.zeros((64, 64)) for _ in range(3))
    sound = np.ones((64, 64), bool)
    for number in frames:
        sample = corpus[number]
        row, clean = sample.row, sample.arrays["clean"].astype(np.float64)
        phase = cfa.PHASES[int(row["cfa"])]
        levels = Levels(tuple(row["black"].tolist()), float(row["white"]), corpus.sensor.clips_at)
        parameters = body_parameters(row, corpus.sensor, levels)
        for other in (0, 1):
            counter = body_counter(corpus.recipe, other)
            fixed = pattern((64, 64), parameters, counter, levels, phase)
            sound &= (fixed.stuck == 0) & (fixed.charge == 0)
        fixed = pattern((64, 64), parameters, body_counter(corpus.recipe, body), levels, phase)
        light = clean - levels.black[0]
        lit = light * fixed.light / levels.span[0]
        model = models.get(corpus.sensor.model)
        noise = noise_parameters(row, corpus.sensor)
        every = variance(lit, model, noise, levels, parameters.temporal)
        planes = np.tile(cfa.planes(phase), (32, 32))[..., None].astype(np.intp)
        spread += np.take_along_axis(every, planes, -1)[..., 0]
        expected += light * (fixed.light - 1) + fixed.offset
        total += sample.arrays["noisy"].astype(np.float64) - clean
    return (((total - expected) ** 2) / spread)[sound]


def test_averaged_mosaics_of_a_body_show_its_pattern_and_no_other(flats):
    flats = flats("raw", FIXED)
    frames = {body: np.flatnonzero(flats.table["body"] == body) for body in (0, 1)}
    assert all(len(of_body) >= 5 for of_body in frames.values())
    for body, of_body in frames.items():
        own = _score(flats, of_body.tolist(), body)
        # Squares of n normals have mean 1 with a standard deviation of sqrt(2/n): six of them,
        # and the skewness of what shot noise leaves, are a false alarm in 1e8.
        assert len(own) > 3900
        assert own.mean() == pytest.approx(1, abs=6 * np.sqrt(2 / len(own)))
        assert _score(flats, of_body.tolist(), 1 - body).mean() > 3


@pytest.mark.parametrize("stage", ["srgb", "linear"])
def test_averaged_pictures_of_a_body_are_alike_and_unlike_another_bodys(flats, stage):
    corpus = flats(stage, {"prnu": 0.03, "dsnu": 20.0})
    halves = []
    for body in (0, 1):
        frames = np.flatnonzero(corpus.table["body"] == body).tolist()
        assert len(frames) >= 6
        for half in (frames[::2], frames[1::2]):
            arrays = [corpus[i].arrays for i in half]
            residual = np.mean([a["noisy"].astype(float) - a["clean"] for a in arrays], axis=0)
            halves.append(residual[..., 1].ravel())
    r = np.corrcoef(halves)
    assert min(r[0, 1], r[2, 3]) > 0.5
    # Maps of 4096 pixels that demosaicing bonds in threes, with nothing in common: r has a standard
    # deviation of 0.03. Seven of them.
    assert np.abs(r[:2, 2:]).max() < 0.2


def test_stuck_pixels_are_stuck_in_all_frames_of_a_body(flats):
    flats = flats("raw", FIXED)
    for body in (0, 1):
        frames = [int(i) for i in np.flatnonzero(flats.table["body"] == body)]
        noisy = np.stack([flats[i].arrays["noisy"] for i in frames])
        row = flats[frames[0]].row
        levels = Levels(tuple(row["black"].tolist()), float(row["white"]), flats.sensor.clips_at)
        parameters = body_parameters(row, flats.sensor, levels)
        phase = cfa.PHASES[int(row["cfa"])]
        fixed = pattern((64, 64), parameters, body_counter(flats.recipe, body), levels, phase)
        assert np.count_nonzero(fixed.stuck) > 0
        assert (noisy[:, fixed.stuck == 1] == row["white"]).all()
        assert (noisy[:, fixed.stuck == -1] == row["black"][0]).all()
        sound = (fixed.stuck == 0) & (fixed.charge == 0)
        assert (noisy.std(axis=0)[sound] > 0).all()


@pytest.mark.parametrize(
    "changes",
    [
        {"stage": "raw"},
        {"stage": "raw", "camera": "SonyA7S2", "exposure_ratio": 10.0, "amplify": True},
        {"stage": "both"},
        {"lazy": True, "finish": {"luma": 1.0}},
    ],
    ids=str,
)
def test_measured_noise_is_the_models(made, changes):
    table = {**EVERYTHING, "column": 0.3, "black_level_error": 0.3}
    corpus = made(body=table, bodies=2, count=24, per_image=8, **changes)
    for curve in noise_curves(corpus, [int(i) for i in corpus.valid]):
        assert curve.ratio == pytest.approx(1, abs=0.2), curve


def test_measured_noise_tells_a_body_from_none(made):
    corpus = made(body={"dsnu": 60.0}, stage="raw", iso=100.0)
    corpus.sensor = replace(corpus.sensor, body=BodyFigures())
    for curve in noise_curves(corpus, [int(i) for i in corpus.valid]):
        assert curve.ratio > 2


def test_a_cameras_body_is_on_until_the_recipe_says_otherwise(made, small, pixels, tmp_path):
    file = tmp_path / "mine.toml"
    text = cameras.load("GP").toml
    file.write_text(text.replace("[levels]", "[body]\nprnu = 0.02\ndsnu = 2\n[levels]", 1))
    plain = pixels(made("p.zarr", camera="GP", stage="raw"))
    own = made("o.zarr", camera=str(file), stage="raw")
    assert own.sensor.body.on == ("prnu", "dsnu")
    assert (pixels(own)["noisy"] != plain["noisy"]).any()
    for i, off in enumerate(({"body": {"prnu": 0, "dsnu": 0}}, {"without": ("prnu", "dsnu")})):
        none = made(f"{i}.zarr", camera=str(file), stage="raw", **off)
        assert none.sensor.body.on == ()
        for name, array in plain.items():
            np.testing.assert_array_equal(pixels(none)[name], array)
    stronger = resolve(small(camera=str(file), body={"prnu": 0.05}))
    assert new_job(stronger, None, 64).developer.sensor.body == replace(own.sensor.body, prnu=0.05)


def test_the_tables_know_every_figure_and_every_term():
    assert set(Body.model_fields) == {*FIGURES, "exposure_time"}
    assert set(get_args(Term)) == {"shot", "read", "row", "bias", *TERMS}


@pytest.mark.parametrize(
    ("data", "line"),
    [
        ({"body": {"prnu": 0.2}}, "body.prnu: 0.2 is not from 0 to 0.1"),
        ({"body": {"dsnu": -1}}, "body.dsnu: -1 is not from 0 to 10000"),
        ({"body": {"prnuu": 0.1}}, "unknown key 'body.prnuu' (did you mean 'prnu'?)"),
        ({"body": {"exposure_time": (1, 0.1)}}, "body.exposure_time: the range 1-0.1 runs backwa"),
        ({"bodies": 0}, "bodies: Input should be greater than or equal to 1"),
        ({"noise_file": 'model = "awgn"', "bodies": 2}, "bodies: noise of a fitted file"),
    ],
)
def test_a_wrong_table_is_one_line(data, line):
    with pytest.raises(RecipeError) as caught:
        recipe.parse(data)
    assert f"recipe: {line}" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"bodies": 2}, "bodies: nothing tells 2 bodies apart"),
        ({"bodies": 2, "body": {"column": 1.0}}, "bodies: nothing tells 2 bodies apart"),
        ({"body": {"hot_pixels": 0.01}}, "body: hot_pixels needs hot_rate"),
        ({"body": {"hot_rate": 10.0}}, "body.hot_rate: does nothing alone; state body.hot_pixels"),
        ({"body": {"dual_gain_level": 0.5}}, "body.dual_gain_level: does nothing alone"),
        ({"body": {"dual_gain_ratio": 2.0}}, "body: dual_gain_ratio needs dual_gain_level"),
        ({"body": {"exposure_time": 1.0}}, "body.exposure_time: nothing depends on it"),
        ({"without": ("prnu",)}, "without: the body has no term 'prnu' to switch off"),
    ],
)
def test_what_would_do_nothing_is_refused_in_one_line(small, changes, line):
    with pytest.raises(InputError) as caught:
        resolve(small(**changes))
    assert str(caught.value).startswith(line)
    assert "\n" not in str(caught.value)
