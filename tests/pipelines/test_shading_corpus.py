"""Corpora with lens shading: what is drawn, where it acts, and that corners are noisier for it."""

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from distributed import Client, LocalCluster

import pipelines
from noisegen.cli import main
from noisegen.isp.shading import Radial
from pipelines.measure import noise_curves

SIDE = 512
STRONG = {"k1": 1.0, "k2": 1.0}
"""A gain of 3 in the corners."""


@pytest.fixture(scope="module")
def grey(tmp_path_factory):
    """Flat grey pictures: all that differs between places of their corpora is the lens."""
    folder = tmp_path_factory.mktemp("grey")
    for i in range(2):
        cv2.imwrite(str(folder / f"{i}.png"), np.full((SIDE, SIDE, 3), 110, np.uint8))
    return folder


def make(out, root, **recipe):
    base = {"source": "folder", "camera": "GP", "noise": "heteroscedastic", "iso": 800.0}
    recipe = pipelines.Recipe(**{**base, "patch": 32, "per_image": 40, **recipe})
    pipelines.synthesize(recipe, str(out), root=str(root))
    return pipelines.open(out)


def test_coefficients_are_drawn_once_an_image_from_their_ranges(grey, tmp_path):
    table = {"k1": (0.5, 1.0), "k3": 0.25}
    corpus = make(tmp_path / "a.zarr", grey, shading=table)
    drawn = corpus.table["shading"].reshape(2, 40, 3)
    assert (drawn == drawn[:, :1]).all()
    assert ((drawn[..., 0] >= 0.5) & (drawn[..., 0] <= 1)).all()
    assert drawn[0, 0, 0] != drawn[1, 0, 0]
    assert (drawn[..., 1:] == [0, 0.25]).all()
    moved = make(tmp_path / "b.zarr", grey, shading=table | {"centre_x": (0.4, 0.6)}).table
    np.testing.assert_array_equal(moved["shading"], corpus.table["shading"])
    centres = moved["shading_centre"].reshape(2, 40, 2)
    assert (centres == centres[:, :1]).all()
    assert (centres[..., 0] == 0.5).all()
    assert ((centres[..., 1] >= 0.4) & (centres[..., 1] <= 0.6)).all()
    assert centres[0, 0, 1] != centres[1, 0, 1]


@pytest.mark.parametrize("centre", [(0.5, 0.5), (0.4, 0.58)])
def test_the_mosaic_is_darker_where_the_lens_loses_light(grey, tmp_path, centre):
    table = {**STRONG, "centre_y": centre[0], "centre_x": centre[1]}
    corpus = make(tmp_path / "a.zarr", grey, stage="raw", shading=table)
    flat = make(tmp_path / "b.zarr", grey, stage="raw")
    assert (corpus.table["shading_centre"] == centre).all()
    cy, cx, scale = Radial((0.0,), centre).scale((SIDE, SIDE))
    offsets = np.arange(32) + 0.5
    for number in range(0, 80, 7):
        row = corpus.table[number]
        y, x = row["y"] + offsets[:, None] - cy, row["x"] + offsets - cx
        squared = (y * y + x * x) * scale
        bare = flat[number].arrays["clean"] - float(row["black"][1])
        expected = bare / (1 + squared + squared**2)
        got = corpus[number].arrays["clean"] - float(row["black"][1])
        # Both mosaics are rounded to whole codes.
        assert np.abs(got - expected).max() <= 1.0


def test_pictures_are_level_again_and_their_corners_noisier(grey, tmp_path):
    """Where the mosaic has 1/g of the light, the picture has the noise of signal/g, times g.

    In linear light its variance is g² (shot x/g + read) = g shot x + g² read, and demosaicing does
    the same to it everywhere: the ratio of corners to centre is known. Values within 2 pixels of
    each other are related: 20 patches of 32 x 32 hold at least 20 · 64 = 1280 independent ones, so
    a variance is good to √(2 / 1280) and the ratio of two to √2 of that: 18 % at z = 3.3, which
    fails by chance once in a thousand.
    """
    corpus = make(
        tmp_path / "a.zarr",
        grey,
        stage="linear",
        shading=STRONG,
        per_image=200,
        demosaic="bilinear",
    )
    table = corpus.table
    cy, cx, scale = Radial((0.0,)).scale((SIDE, SIDE))
    r2 = ((table["y"] + 16 - cy) ** 2 + (table["x"] + 16 - cx) ** 2) * scale
    order = np.argsort(r2)
    near, far = order[:20], order[-20:]

    def green(numbers):
        pairs = [corpus[int(i)].arrays for i in numbers]
        noise = [p["noisy"][..., 1].astype(float) - p["clean"][..., 1] for p in pairs]
        return np.mean([p["clean"][..., 1].mean() for p in pairs]), np.var(noise)

    (level, quiet), (corner_level, loud) = green(near), green(far)
    assert corner_level == pytest.approx(level, rel=0.01)
    row = table[near[0]]
    gain = [float((1 + r2[part] + r2[part] ** 2).mean()) for part in (near, far)]
    grey_level = 0.153 / row["wb"][1]  # linear light of code 110, before white balance
    shot, read = row["shot"][1], row["read"][1]
    variance = [g * shot * grey_level + g * g * read for g in gain]
    assert gain[1] / gain[0] > 1.8
    assert loud / quiet == pytest.approx(variance[1] / variance[0], rel=0.18)


@pytest.mark.parametrize("stage", ["srgb", "linear", "raw", "both"])
def test_lazy_is_stored_and_the_check_holds(grey, tmp_path, stage):
    options = {"stage": stage, "shading": STRONG, "tone": 0.3, "draws": 2, "per_image": 20}
    stored = make(tmp_path / "a.zarr", grey, **options)
    lazy = make(tmp_path / "b.zarr", grey, lazy=True, **options)
    assert stored.digest() == lazy.digest()
    assert stored.digest() != make(tmp_path / "c.zarr", grey, **options | {"shading": {}}).digest()
    # 80 patches of 1024 pixels, 64 of them independent: 3.3 √(2 / 5120) = 7 %; the model is drawn
    # too, four times as often: 7 % · √(1 + 1/4) = 8 %.
    for curve in noise_curves(stored, range(len(stored))):
        assert curve.ratio == pytest.approx(1, abs=0.08)


def test_patches_are_crops_of_one_frame_whatever_their_shard(grey, tmp_path):
    """Patches of all sizes that show a place show the same: without noise, clean pictures agree."""
    whole = make(tmp_path / "w.zarr", grey, patch=SIDE, per_image=1, shading=STRONG)
    parts = make(tmp_path / "p.zarr", grey, patch=32, per_image=30, shading=STRONG)
    for number in range(60):
        row, sample = parts.table[number], parts[number]
        y, x = int(row["y"]), int(row["x"])
        frame = whole[int(row["image"])].arrays["clean"]
        np.testing.assert_array_equal(sample.arrays["clean"], frame[y : y + 32, x : x + 32])


def test_workers_parts_and_shards_of_any_size_make_the_same(made, small, tmp_path):
    drawn = {"k1": (0.2, 1.0), "k3": (0.0, 0.5)}
    options = {"patch": 128, "draws": 2, "shading": drawn, "finish": {"luma": 1.0}}
    whole = made("a.zarr", run={"shard_mb": 64}, **options)
    path = str(tmp_path / "p.zarr")
    for i in (3, 1, 2):
        pipelines.synthesize(small(**options), path, part=(i, 3), shard_mb=1)
    parts = pipelines.open(path)
    assert parts.plan.shards > whole.plan.shards == 1
    assert parts.digest() == whole.digest()
    cluster = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0")
    with cluster, Client(cluster) as client:
        pipelines.synthesize(small(**options), str(tmp_path / "w.zarr"), client, shard_mb=1)
    assert pipelines.open(tmp_path / "w.zarr").digest() == whole.digest()


@pytest.mark.parametrize(
    ("setting", "line"),
    [
        ("shading.k1=-1", "shading.k1: -1 is not from 0 to 8"),
        ("shading.k2=3-1", "shading.k2: the range 3-1 runs backwards"),
        ("shading.k4=1", "unknown key 'shading.k4'; [shading] has mode, k1, k2, k3, centre_y"),
        ("shading.centre_y=0.4", "shading.centre_y: the radial model has no coefficient"),
        ("shading.centre_x=1.5", "shading.centre_x: 1.5 is not from 0 to 1"),
        ("shading.mode=maps", "shading.mode: Input should be 'radial' or 'file'"),
    ],
)
def test_bad_input_is_one_line(tmp_path, setting, line):
    arguments = ["synthesize", "--out", str(tmp_path / "a.zarr"), "--set", setting]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert line in result.output
    assert result.output.count("\n") == 1
