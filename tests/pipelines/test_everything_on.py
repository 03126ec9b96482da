"""Every stage of the chain at once: the laws that each keeps alone, they keep together."""

import os
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest

import pipelines
from noisegen import cfa, raw
from noisegen.isp.bulk import render
from noisegen.isp.finish import finish
from noisegen.sensor.body import TERMS
from pipelines import check, execution, finishing, materialize, shading
from pipelines.develop import isp_parameters
from pipelines.frame import frame
from pipelines.job import Batch
from pipelines.prepare import new_job, resolve
from pipelines.recipe import Recipe
from pipelines.shard import batches
from pipelines.tile import Window

SIDE = 224
PATCH = 96

EVERYTHING = {
    "source": "folder", "camera": "SonyA7R", "iso": None, "patch": PATCH, "per_image": 6,
    "draws": 3, "demosaic": "ahd", "gamma": "rec709", "tone": (0.0, 0.6),
    "exposure_ratio": (1.5, 6.0), "amplify": True, "bodies": 3,
    "source_noise": {"policy": "reject", "max_share": 0.2},
    "select": {"method": "stratified", "candidates": 4, "max_clipped": 0.3},
    "unprocess": {
        "white_balance": "locus", "exposure": (0.4, 1.0),
        "inverse_tone": ("amplification", "smoothstep", "s-curve"),
    },
    "shading": {"k1": (0.2, 1.0), "k2": (0.0, 0.5), "k3": 0.3},
    "body": {
        "prnu": 0.02, "green_imbalance": 0.03, "dsnu": 3.0, "dark_shading": 4.0, "column_fpn": 2.0,
        "column": 1.0, "black_level_error": 1.0, "hot_pixels": 0.005, "hot_rate": 3e4,
        "dead_pixels": 0.002, "dual_gain_level": 0.1, "dual_gain_ratio": 3.0,
        "exposure_time": (0.002, 0.02),
    },
    "finish": {
        "luma": (0.5, 2.0), "luma_radius": 2, "chroma": (0.5, 3.0), "sharpen": (0.2, 0.8),
        "sharpen_radius": (0.5, 1.5), "resize": (1.0, 1.6), "quality": (70, 95),
        "subsampling": ("4:4:4", "4:2:2", "4:2:0"), "target": "finished",
    },
    "seed": 7,
}  # fmt: skip
"""Whatever goes with everything else."""

WITH_MOSAICS = {
    **EVERYTHING,
    "stage": "both",
    "finish": {k: v for k, v in EVERYTHING["finish"].items() if k != "resize"},
}
"""Stage "both" stores the mosaics too, and so refuses to shrink the pictures."""


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Pictures of 8 and of 16 bits, and a raw file that is too noisy for some exposures."""
    folder = tmp_path_factory.mktemp("photos")
    y, x = np.mgrid[:SIDE, :SIDE]
    waves = [0.5 + 0.45 * np.sin((x + 9 * k) / (7 + k) + y / (11 + k)) for k in range(4)]
    for i, (top, dtype) in enumerate(((255, np.uint8), (65535, np.uint16), (255, np.uint8))):
        picture = np.rint(top * np.stack(waves[i % 2 : i % 2 + 3], -1) / (1 + i)).astype(dtype)
        cv2.imwrite(str(folder / f"{i}.png"), picture)
    raw.write_dng(
        folder / "shot.dng", np.rint(600 + 9000 * waves[3]).astype(np.uint16), cfa="GRBG",
        black_level=(512,) * 4, white_level=16383, bits=14, as_shot_neutral=(0.5, 1, 0.6),
        color_matrix=((0.83, -0.25, -0.1), (-0.35, 1.2, 0.15), (-0.05, 0.2, 0.55)),
        noise_profile=((6e-4,) * 4, (1e-9,) * 4),
    )  # fmt: skip
    return folder


def make(out, photos, options=EVERYTHING, *, client=None, part=(1, 1), shard_mb=64, **changes):
    recipe = Recipe(**{**options, **changes})
    pipelines.synthesize(recipe, str(out), client, root=str(photos), part=part, shard_mb=shard_mb)
    return pipelines.open(out)


@pytest.fixture(scope="module")
def whole(photos, tmp_path_factory):
    return make(tmp_path_factory.mktemp("whole") / "whole.zarr", photos)


@pytest.fixture(scope="module")
def digest(whole):
    return whole.digest()


def test_everything_is_on(whole):
    """Nothing of the recipe was passed over: each draw is on record and differs somewhere."""
    rows = whole.table[whole.valid]
    assert 0 < whole.rejected.sum() < EVERYTHING["per_image"]
    assert len(rows) > 50
    pictures = rows[rows["source_tone"] > 0]
    assert {*np.unique(rows["image"])} == {0, 1, 2, 3}
    assert len(pictures) < len(rows)
    drawn = ("exposure_ratio", "exposure_time", "nr_luma", "nr_chroma", "sharpen", "resize", "tone")
    for name in (*drawn, "sharpen_radius", "jpeg_quality", "jpeg_subsampling", "body", "shot"):
        assert len(np.unique(rows[name])) > 1, name
    for name in ("temperature", "exposure", "source_tone", "source_tone_strength"):
        assert len(np.unique(pictures[name])) > 1, name
    assert (rows["shading"] > 0).all(1).any()
    assert not np.array_equal(whole[0].arrays["noisy"], whole[1].arrays["noisy"])
    assert set(whole.sensor.body.on) == set(TERMS)


def test_parts_shards_of_any_size_and_workers_make_the_same(photos, whole, digest, tmp_path):
    for i in (3, 1, 2):
        parts = make(tmp_path / "p.zarr", photos, part=(i, 3), shard_mb=1)
    assert parts.plan.shards >= 4 > whole.plan.shards == 1
    assert parts.digest() == digest
    with execution.executor(2) as client:
        assert make(tmp_path / "w.zarr", photos, client=client, shard_mb=1).digest() == digest


@pytest.mark.parametrize("options", [EVERYTHING, WITH_MOSAICS], ids=["srgb", "both"])
def test_lazy_and_materialized_is_stored(photos, tmp_path, options):
    stored = make(tmp_path / "s.zarr", photos, options)
    lazy = make(tmp_path / "l.zarr", photos, options, lazy=True)
    assert lazy.digest() == stored.digest()
    materialize.materialize(lazy, str(tmp_path / "m.zarr"))
    assert pipelines.open(tmp_path / "m.zarr").digest() == stored.digest()


def test_killed_and_resumed_is_uninterrupted(photos, whole, digest, tmp_path):
    file, out = tmp_path / "everything.toml", tmp_path / "killed.zarr"
    file.write_text(whole.recipe.to_toml())
    command = [sys.executable, "-m", "noisegen", "synthesize", "--recipe", str(file)]
    command += ["--out", str(out), "--root", str(photos), "--shard-mb", "1"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 100
    while process.poll() is None and time.monotonic() < deadline:
        if list((out / "manifest").glob("c.*.0")):
            break
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stderr.close()
    stopped = pipelines.open(out)
    assert 0 < stopped.finished.sum() < stopped.plan.shards
    resumed = make(out, photos, shard_mb=1)
    assert resumed.finished.all()
    assert resumed.digest() == digest


def test_a_sample_is_the_crop_of_its_finished_frame(photos):
    """Clean and noisy, of a picture and of a raw file."""
    made = resolve(Recipe(**EVERYTHING))
    job = new_job(made, str(photos), 64)
    developer, halo = job.developer, job.developer.halo
    size = (SIDE, SIDE)
    window = Window(0, 0, SIDE, halo, *size)
    for found in batches(job, 0):
        if not isinstance(found, Batch) or found.tiles is None:
            continue
        row = found.rows[0, 0]
        number = int(row["image"])
        picture = frame(job.source.read(job.images[number]), job.camera, made, number)
        tile = picture.tile(window, float(row["tone"]))
        corner = row.copy()
        corner["y"] = corner["x"] = 0
        (noisy,) = developer.noisy_tiles(np.array([[corner]]), tile[None], np.array([size]))
        isp = isp_parameters(row, made.demosaic, made.gamma)
        after = finishing.parameters_of(row, made, isp)
        y, x, *_ = finishing.window(int(row["y"]), int(row["x"]), PATCH, after.resize)
        for name, mosaic in (("clean", tile), ("noisy", noisy)):
            rendered = render(
                mosaic,
                cfa.PHASES[int(row["cfa"])],
                row["black"],
                float(row["white"]),
                isp,
                bits=16,
                cut=(halo, halo, *size),
                shading=shading.of_row(corner, made.shading, None, size, halo),
            )
            expected = finish(rendered, after)[y : y + PATCH, x : x + PATCH]
            np.testing.assert_array_equal(found.arrays[name][0], expected)


def test_samples_are_made_again_of_the_recipe_inside(photos, whole):
    found = check.verify(whole, regenerate=12, root=str(photos))
    assert len(found.regenerated) == 12
    assert found.damaged == found.different == ()
