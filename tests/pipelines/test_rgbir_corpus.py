"""Noise dvd: corpora of RGB-IR mosaics that are darkened, made noisy and developed."""

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

import pipelines
from catalogs.sources import SourceImage
from noisegen import rgbir
from noisegen.cli import main
from noisegen.errors import InputError, RecipeError
from noisegen.random import Stream, generator
from noisegen.rgbir_gains import CALIBRATED
from pipelines import check
from pipelines import rgbir as corpora
from pipelines.measure import noise_curves
from pipelines.recipe import parse
from pipelines.sheet import views
from pipelines.tables.dvd import Dvd

LEAVES = {"noise": "dvd", "guide": "nir", "patch": 32, "per_image": 3, "count": 6, "bits": 16}


def codes(picture, bits=16):
    return np.rint(picture * ((1 << bits) - 1)).astype(np.uint8 if bits == 8 else np.uint16)


@pytest.fixture
def flat(tmp_path):
    """Write a folder with a flat RGB-NIR pair; return its path."""
    folder = tmp_path / "flat"
    folder.mkdir()
    grey = np.full((200, 200, 3), 60000, np.uint16)
    cv2.imwrite(str(folder / "a_rgb.png"), grey)
    cv2.imwrite(str(folder / "a_nir.png"), grey[..., 0] // 2)
    return str(folder)


def test_undoing_the_development_is_undone_by_it():
    rng = np.random.default_rng(0)
    smooth = cv2.GaussianBlur(rng.random((48, 52, 3)), (0, 0), 8)
    picture = codes(0.2 + 0.6 * (smooth - smooth.min()) / np.ptp(smooth))
    mosaic = corpora.mosaic(SourceImage("srgb", picture, bytes(32)))
    assert mosaic.shape == (48, 52)
    planes = rgbir.to_planes(mosaic)
    assert all((planes[..., p] == 0).all() for p, n in enumerate(rgbir.PLANES) if n[:2] == "IR")
    back = codes(rgbir.develop(planes)).astype(int)
    # What is measured comes back but for its truncation to 16 bits, at most 3.2 codes at a code of
    # 0.2 where the power is steepest, and half a code; the rest by interpolation.
    frame = rgbir.in_place(np.arange(16)[None, None].repeat(12, 0).repeat(13, 1))
    for p, name in enumerate(rgbir.BAYER):
        if name not in ("B3", "B4", "R3", "R4"):
            at, channel = frame[1:-1, 1:-1] == p, "RGB".index(name[0])
            assert np.abs(back - picture)[1:-1, 1:-1][at][:, channel].max() <= 3
    inner = np.abs(back - picture)[4:-4, 4:-4] / 65535
    assert inner.max() < 0.01


def test_a_cell_is_left_out_where_sides_are_no_multiples():
    picture = np.zeros((35, 38, 3), np.float32)
    assert corpora.mosaic(SourceImage("linear", picture, bytes(32))).shape == (32, 36)
    bayer = SourceImage("mosaic", np.zeros((8, 8), np.uint16), bytes(32))
    with pytest.raises(InputError, match="noise dvd is drawn on RGB-IR mosaics"):
        corpora.mosaic(bayer)


@pytest.mark.parametrize("bits", [8, 16])
def test_clean_is_the_crop_of_the_darkened_frame(made, bits):
    table = {"sigma": (2.0, 8.0), "green": 5.0, "mean_of": "frame"}
    corpus = made(**{**LEAVES, "bits": bits}, dvd=table)
    from catalogs.sources.deadleaves import guided_scene

    for number in map(int, corpus.valid):
        sample = corpus[number]
        row = sample.row
        index = int(corpus.images.names[row["image"]][-6:])
        light, nir = guided_scene(corpus.recipe.seed, index, (160, 160), "nir")
        planes = rgbir.to_planes(corpora.mosaic(SourceImage("linear", light, bytes(32))))
        factor = rgbir.test_factor(planes)
        assert row["exposure"] == factor
        y, x = int(row["y"]), int(row["x"])
        assert y % 4 == x % 4 == 0
        frame = codes(rgbir.develop(planes * factor), bits)
        np.testing.assert_array_equal(sample.arrays["clean"], frame[y : y + 32, x : x + 32])
        guide = codes(nir[y : y + 32, x : x + 32].astype(np.float64) ** 0.45, bits)
        np.testing.assert_array_equal(sample.arrays["guide"], guide)
        assert 2 <= row["strength"] <= 8
        assert row["gain"] == row["strength"]


def test_what_is_drawn_does_not_depend_on_shards_parts_or_workers(tmp_path, small):
    recipe = small(**{**LEAVES, "patch": 96, "count": 9, "draws": 2})
    found = []
    for name, changes in (("a", {"shard_mb": 64}), ("b", {"shard_mb": 1}), ("c", {})):
        for part in ((2, 2), (1, 2)) if name == "c" else ((1, 1),):
            run = {"shard_mb": 1, "part": part} | changes
            pipelines.synthesize(recipe, str(tmp_path / name), **run)
        found.append(pipelines.open(tmp_path / name))
    assert found[1].plan.shards > found[0].plan.shards
    assert len({corpus.digest() for corpus in found}) == 1
    assert check.verify(found[0], regenerate=4).different == ()
    first, second = (found[0][i].arrays for i in (0, 1))
    np.testing.assert_array_equal(first["clean"], second["clean"])
    assert (first["noisy"] != second["noisy"]).mean() > 0.5


@pytest.mark.parametrize("sigma", [2.0, 8.0])
def test_noise_has_the_published_variance(flat, tmp_path, sigma):
    from pipelines.recipe import Recipe

    table = {"sigma": sigma, "green": 400.0}
    recipe = Recipe(
        source="rgbnir", noise="dvd", patch=192, per_image=2, bits=16, dvd=table, seed=5
    )
    pipelines.synthesize(recipe, str(tmp_path / "c.zarr"), root=flat)
    corpus = pipelines.open(tmp_path / "c.zarr")
    clean, noisy = (
        np.stack([corpus[i].arrays[name][..., 1] for i in (0, 1)]) / 65535
        for name in ("clean", "noisy")
    )
    level = clean ** (1 / 0.45) * 1023
    assert abs(level.mean() - 400) < 0.2
    # Green pixels are those that no neighbour's noise enters: rows and columns of unlike parity.
    greens = (np.add.outer(np.arange(192), np.arange(192)) % 2).astype(bool)
    noise = (noisy ** (1 / 0.45) * 1023 - level)[:, greens]
    expected = sigma**2 + sigma * 400
    # Of n pixels that are near to normal, the variance's standard error is sqrt(2 / n) of itself.
    assert abs(noise.var() / expected - 1) < 5 * np.sqrt(2 / noise.size)
    assert abs(noise.mean()) < 5 * np.sqrt(expected / noise.size)
    assert corpus[0].row["shot"] == pytest.approx([sigma / 1023] * 4)
    assert corpus[0].row["read"] == pytest.approx([(sigma / 1023) ** 2] * 4)


def test_calibrated_gains_are_drawn_evenly_and_as_published():
    rng = generator(1, Stream.RGBIR, 0)
    drawn = [corpora.draw_levels(Dvd(), rng) for _ in range(3000)]
    means = {round(float(np.mean(k)), 6): 0 for k in CALIBRATED}
    for levels in drawn:
        assert np.isnan(levels.sigma)
        k = np.array(levels.shot) / 4
        np.testing.assert_allclose(levels.read, 4 * np.sqrt(k))
        means[round(float(k.mean()), 6)] += 1
    # Of 3000 draws of 15 gains 200 are expected of each, with a standard deviation of 13.7.
    assert min(means.values()) > 200 - 5 * 13.7
    assert max(means.values()) < 200 + 5 * 13.7
    assert corpora.draw_levels(Dvd(gain=15), rng).shot[0] == 4 * CALIBRATED[14][0]
    few = {np.mean(corpora.draw_levels(Dvd(gain=(2, 3)), rng).shot) for _ in range(40)}
    assert len(few) == 2


def test_the_published_table_is_whole():
    means = [0.143, 0.279, 0.411, 0.565, 0.712, 0.911, 1.049, 1.144, 1.334, 1.557, 1.678]
    means += [1.815, 1.927, 2.085, 2.270]
    table = np.array(CALIBRATED)
    assert table.shape == (15, 16)
    np.testing.assert_allclose(table.mean(1), means, atol=6e-4)
    assert (round(table.min(), 4), round(table.max(), 4)) == (0.1409, 2.3788)


def test_training_pictures_are_darkened_to_the_published_range(made):
    corpus = made(**{**LEAVES, "count": 12, "per_image": 12})
    rows = [corpus[int(i)].row for i in corpus.valid]
    assert len({float(row["exposure"]) for row in rows}) == len(rows)
    for number, row in zip(corpus.valid, rows, strict=True):
        if row["exposure"] == 1:  # it was as dark before
            continue
        clean = corpus[int(number)].arrays["clean"][..., 1] / 65535
        greens = (np.add.outer(np.arange(32), np.arange(32)) % 2).astype(bool)
        assert 1.95 < (clean[greens] ** (1 / 0.45) * 1023).mean() < 20.05


def test_a_sheet_and_curves_show_it(made):
    corpus = made(**LEAVES)
    assert views(corpus, 0).label.endswith("DN/e-")
    assert not any(curve.has_model for curve in noise_curves(corpus, [0, 1]))


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"patch": 30}, "patch: 30 is no multiple of 4"),
        ({"lazy": True}, "lazy: noise dvd is drawn on RGB-IR mosaics"),
        ({"camera": "S6"}, "camera: noise dvd is that of a camera of its own"),
        ({"iso": 100}, "iso: noise dvd is drawn"),
        ({"dvd": {"sigma": 0}}, "dvd.sigma: 0 is not above 0"),
        ({"dvd": {"sigma": 2, "gain": 3}}, "dvd.sigma, gain: give one"),
        ({"dvd": {"gain": 16}}, "dvd.gain"),
        ({"dvd": {"gain": (9, 2)}}, "dvd.gain: 9 to 2 runs backwards"),
        ({"dvd": {"green": 2000}}, "dvd.green: 2000 is not above 0 and up to 1023"),
        ({"noise": "heteroscedastic", "dvd": {"sigma": 2}}, "dvd: is of noise dvd"),
    ],
)
def test_what_does_not_go_together_is_one_line(changes, line):
    with pytest.raises(RecipeError, match=line):
        parse({"noise": "dvd", **changes})


def test_the_command_makes_it_and_names_what_is_too_small(flat, tmp_path):
    run = CliRunner().invoke
    made = ["synthesize", "--source", "rgbnir", "--root", flat, "--noise", "dvd", "--out"]
    found = run(main, [*made, str(tmp_path / "a.zarr"), "--per-image", "2", "--patch", "64"])
    assert found.exit_code == 0, found.output
    corpus = pipelines.open(tmp_path / "a.zarr")
    assert corpus.names == ("clean", "noisy", "guide")
    assert corpus.attributes["camera"]["licence"] == "MIT (RFFNet)"
    few = [*made, str(tmp_path / "c.zarr"), "--per-image", "2", "--set", "dvd.gain=2-3"]
    assert run(main, [*few, "--patch", "64"]).exit_code == 0
    assert pipelines.open(tmp_path / "c.zarr").recipe.dvd.gain == (2, 3)
    again = run(main, [*made, str(tmp_path / "b.zarr"), "--patch", "256"])
    assert again.exit_code == 2
    assert "a_rgb.png is 200 x 200 pixels" in again.output
    assert "use --patch 200 or less" in again.output


@pytest.fixture
def dark_vision(tmp_path):
    """Write two frames of the Dark Vision Dataset; return its root."""
    root, rng = tmp_path / "DVD", np.random.default_rng(7)
    for half in ("RGB", "NIR"):
        (root / "train_raw" / half).mkdir(parents=True)
        for name in "ab":
            np.save(root / "train_raw" / half / f"{name}.npy", 1023 * rng.random((20, 24, 16)))
    return root


def test_ingest_dvd_draws_patches_of_its_mosaics(dark_vision, tmp_path):
    out = tmp_path / "dvd.zarr"
    made = ["ingest", "dvd", "--root", str(dark_vision), "--out", str(out), "--patch", "32"]
    done = CliRunner().invoke(main, made)
    assert done.exit_code == 0, done.output
    corpus = pipelines.open(out)
    assert (len(corpus), corpus.recipe.per_image, corpus.recipe.depth) == (120, 60, 16)
    assert (corpus.recipe.guide, corpus.recipe.noise) == ("nir", "dvd")
    assert corpus.names == ("clean", "noisy", "guide")
    for number in (3, 77):
        sample = corpus[number]
        row, name = sample.row, "ab"[number // 60]
        y, x = int(row["y"]), int(row["x"])
        raw, infrared = (
            np.load(dark_vision / "train_raw" / half / f"{name}.npy").astype(np.float32)
            for half in ("RGB", "NIR")
        )
        frame = codes(rgbir.develop(raw * float(row["exposure"])))
        np.testing.assert_array_equal(sample.arrays["clean"], frame[y : y + 32, x : x + 32])
        near = codes(rgbir.develop_nir(infrared))[y : y + 32, x : x + 32]
        assert np.abs(sample.arrays["guide"].astype(int) - near).max() <= 1  # float32 light
        planes = raw[y // 4 : y // 4 + 8, x // 4 : x // 4 + 8].astype(np.float64)
        rng = generator(corpus.recipe.seed, Stream.RGBIR, int(row["image"]), number % 60, 0)
        assert row["exposure"] == rgbir.train_factor(planes, rng)
    strided = CliRunner().invoke(main, [*made, "--stride", "16"])
    assert strided.exit_code == 2
    assert "--stride: patches of dvd are drawn" in strided.output


def test_other_noise_on_an_rgbir_mosaic_is_one_line(dark_vision, tmp_path):
    made = ["synthesize", "--source", "dvd", "--root", str(dark_vision), "--patch", "32"]
    done = CliRunner().invoke(main, [*made, "--out", str(tmp_path / "x.zarr")])
    assert done.exit_code == 2
    assert "a.npy is an RGB-IR mosaic, of a camera of its own; use --noise dvd" in done.output
