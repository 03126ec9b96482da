"""What a corpus holds does not depend on how it was made or how it is stored."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

import pipelines
from noisegen import cfa
from noisegen.isp import parameters as isp
from noisegen.isp.bulk import render
from pipelines import materialize
from pipelines.frame import frame
from pipelines.job import Batch
from pipelines.prepare import new_job, resolve
from pipelines.shard import batches
from pipelines.tile import Window


@pytest.mark.parametrize("stage", ["srgb", "linear", "raw", "both"])
@pytest.mark.parametrize("camera", ["GP", "SonyA7S2"])
def test_lazy_is_stored(made, pixels, stage, camera):
    options = {"stage": stage, "camera": camera, "draws": 2, "tone": (0.0, 1.0)}
    stored, lazy = made("a.zarr", **options), made("b.zarr", lazy=True, **options)
    assert stored.digest() == lazy.digest()
    for name, array in pixels(stored).items():
        np.testing.assert_array_equal(array, pixels(lazy)[name])


def test_shards_of_any_size_hold_the_same(made, small):
    # 16-bit patches of 128: four to a megabyte, so that one image fills more than one shard
    options = {"patch": 128, "bits": 16, "per_image": 6, "count": 15, "draws": 1}
    small_shards = made("a.zarr", run={"shard_mb": 1}, **options)
    one_shard = made("b.zarr", run={"shard_mb": 64}, **options)
    assert small_shards.plan.shards == 5
    assert one_shard.plan.shards == 1
    assert small_shards.digest() == one_shard.digest()


def test_a_materialized_corpus_is_the_stored_one(made, tmp_path):
    stored, lazy = made("a.zarr", draws=2), made("b.zarr", draws=2, lazy=True)
    made_samples = materialize.materialize(lazy, str(tmp_path / "m.zarr"))
    assert made_samples == len(stored)
    assert pipelines.open(tmp_path / "m.zarr").digest() == stored.digest()
    assert materialize.materialize(lazy, str(tmp_path / "m.zarr")) == 0


def test_parts_in_any_order_make_the_whole(made, small, tmp_path):
    options = {"patch": 128, "bits": 16, "per_image": 4, "count": 12}
    whole = made("a.zarr", run={"shard_mb": 1}, **options)
    for i in (3, 1):
        part = pipelines.synthesize(
            small(**options), str(tmp_path / "p.zarr"), part=(i, 3), shard_mb=1
        )
        assert not part.finished
    last = pipelines.synthesize(small(**options), str(tmp_path / "p.zarr"), part=(2, 3), shard_mb=1)
    assert last.finished
    assert pipelines.open(tmp_path / "p.zarr").digest() == whole.digest()


def test_another_seed_gives_other_noise_places_and_scenes(made, pixels):
    first, second = pixels(made("a.zarr")), pixels(made("b.zarr", seed=1))
    assert all(not np.array_equal(first[name], second[name]) for name in first)


def test_draws_share_the_clean_patch_and_differ_in_noise(made, pixels):
    corpus = made(draws=3, count=4)
    arrays = pixels(corpus)
    clean, noisy = arrays["clean"].reshape(4, 3, -1), arrays["noisy"].reshape(4, 3, -1)
    assert (clean == clean[:, :1]).all()
    assert all((noisy[:, a] != noisy[:, b]).any() for a, b in ((0, 1), (0, 2), (1, 2)))
    assert corpus.table["draw"].tolist() == [0, 1, 2] * 4
    assert (corpus.table["iso"].reshape(4, 3) == corpus.table["iso"].reshape(4, 3)[:, :1]).all()


@pytest.mark.parametrize("demosaic", isp.DEMOSAICS)
def test_a_sample_is_the_crop_of_the_frame(small, demosaic):
    """The noisy sRGB of a sample equals the crop of its frame's, noise, borders and all."""
    recipe = resolve(small(demosaic=demosaic, iso=800.0))
    job = new_job(recipe, None, 64)
    image = job.source.read(job.images[0])
    picture = frame(image, job.camera, recipe, 0)
    halo, patch = job.developer.halo, recipe.patch
    whole = Window(0, 0, picture.height, halo, picture.height, picture.width)
    assert picture.height == picture.width
    of_frame = replace(job.developer, recipe=recipe.model_copy(update={"patch": whole.patch}))
    size = np.array([[picture.height, picture.width]])
    batch = next(item for item in batches(job, 0) if isinstance(item, Batch))
    for row, sample in zip(batch.rows[:, 0], batch.arrays["noisy"], strict=True):
        tile = picture.tile(whole, float(row["tone"]))
        corner = row.copy()
        corner["y"] = corner["x"] = 0
        (noisy,) = of_frame.noisy_tiles(np.array([[corner]]), tile[None], size)
        parameters = isp.IspParameters(
            tuple(row["wb"].tolist()),
            tuple(map(tuple, row["cam_to_xyz"].tolist())),
            demosaic=demosaic,
            gamma=recipe.gamma,
            alpha=float(row["tone"]),
        )
        rendered = render(
            noisy,
            cfa.PHASES[int(row["cfa"])],
            row["black"],
            float(row["white"]),
            parameters,
            cut=(halo, halo, picture.height, picture.width),
        )
        y, x = int(row["y"]), int(row["x"])
        np.testing.assert_array_equal(sample, rendered[y : y + patch, x : x + patch])


def test_low_light_stays_dark_unless_amplified(made, pixels):
    dark = pixels(made("a.zarr", stage="raw", exposure_ratio=10.0, iso=100.0))
    lifted = pixels(made("b.zarr", stage="raw", exposure_ratio=10.0, iso=100.0, amplify=True))
    black = 64
    clean = dark["clean"].astype(float) - black
    signal = clean > 300
    ratio = clean[signal].mean() / (dark["noisy"][signal].astype(float) - black).mean()
    # read noise averages out over > 1e4 pixels: the mean of 10 DN is good to 0.1
    assert ratio == pytest.approx(10, rel=0.02)
    ratio = clean[signal].mean() / (lifted["noisy"][signal].astype(float) - black).mean()
    assert ratio == pytest.approx(1, rel=0.03)


def _start(out, *more):
    command = [sys.executable, "-m", "noisegen", "synthesize", "--out", str(out), *more]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def _finished(out):
    return len(list((out / "manifest").glob("c.*.0"))) if (out / "manifest").exists() else 0


@pytest.mark.parametrize("workers", [0, 2])
def test_killed_in_mid_run_and_resumed_is_uninterrupted(tmp_path, workers):
    sizes = ["--count", "96", "--per-image", "4", "--shard-mb", "1"]
    out = tmp_path / "killed.zarr"
    process = _start(out, *sizes, "--workers", str(workers))
    deadline = time.monotonic() + 100
    while _finished(out) < 2 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stderr.close()
    total = pipelines.open(out).plan.shards
    assert 0 < _finished(out) < total
    orphan = out / "clean" / f"c.9.0.0.0.host.1.{'0' * 32}.partial"
    orphan.write_bytes(b"half a shard")
    os.utime(orphan, (0, 0))
    again = _start(out, *sizes)
    assert again.wait(timeout=200) == 0, again.stderr.read().decode()
    again.stderr.close()
    whole = _start(tmp_path / "whole.zarr", *sizes)
    assert whole.wait(timeout=200) == 0
    whole.stderr.close()
    assert pipelines.open(out).digest() == pipelines.open(tmp_path / "whole.zarr").digest()
    assert not list(out.rglob("*.partial"))


@pytest.mark.slow
def test_three_dask_workers_one_of_them_killed_make_what_one_process_makes(tmp_path, small, made):
    from distributed import Client, LocalCluster

    options = {"patch": 128, "per_image": 4, "count": 96}
    recipe = small(**options)
    whole = made("a.zarr", **options)
    cluster = LocalCluster(n_workers=3, threads_per_worker=1, dashboard_address=":0")
    with cluster, Client(cluster) as client:
        pids = client.run(os.getpid)
        killed = []

        def kill_one(progress):
            if not killed:
                killed.append(next(iter(pids.values())))
                os.kill(killed[0], signal.SIGKILL)

        summary = pipelines.synthesize(
            recipe, str(tmp_path / "b.zarr"), client, shard_mb=1, on_shard=kill_one
        )
    assert killed
    assert summary.finished
    assert pipelines.open(tmp_path / "b.zarr").digest() == whole.digest()


def test_running_again_makes_nothing(made, small, tmp_path):
    made()
    again = pipelines.synthesize(small(), str(tmp_path / "c.zarr"))
    assert again.made == 0
    assert again.finished
    assert again.samples == 12


def test_the_recipe_inside_makes_the_corpus_again(made, tmp_path):
    from pipelines.recipe import read

    corpus = made(iso=(200.0, 800.0))
    (tmp_path / "r.toml").write_text(corpus.recipe.to_toml())
    recipe = read(tmp_path / "r.toml")
    pipelines.synthesize(recipe, str(tmp_path / "again.zarr"))
    again = pipelines.open(tmp_path / "again.zarr")
    assert again.digest() == corpus.digest()
    assert again.recipe.sha256 == corpus.recipe.sha256
    assert json.loads(corpus.attributes["recipe"])["camera"] == "GP"


def test_published_clipping_cuts_at_black_and_nothing_else_does(made, pixels):
    options = {"stage": "raw", "exposure_ratio": 50.0, "iso": 3200.0}
    camera = pixels(made("a.zarr", **options))["noisy"].astype(int)
    published = pixels(made("b.zarr", clip="published", **options))["noisy"].astype(int)
    assert (camera < 64).mean() > 0.1
    np.testing.assert_array_equal(published, np.maximum(camera, 64))
