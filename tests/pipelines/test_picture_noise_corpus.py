"""Corpora whose noise is drawn on the rendered picture keep the laws of all corpora."""

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

import pipelines
from catalogs import noise_file
from noisegen import random
from noisegen.cli import main
from noisegen.errors import InputError
from noisegen.picture import PictureNoise, add_noise
from noisegen.raw import write_dng
from pipelines import check, materialize, rendered
from pipelines.job import Batch
from pipelines.measure import expected, noise_curves
from pipelines.prepare import new_job, resolve
from pipelines.recipe import Recipe, read
from pipelines.shard import batches
from pipelines.tile import Window

MODEL = "heteroscedastic-covariance"


@pytest.fixture
def fitted(tmp_path):
    """Write a file of noise with grain, related channels and strengths; return its path."""

    def make(model=MODEL, name="fitted.toml"):
        rng = np.random.default_rng(0)
        taps = rng.normal(size=(3, 3, 5, 5))
        taps /= np.sqrt((taps**2).sum((1, 2, 3), keepdims=True))
        kernel = tuple(tuple(tuple(map(tuple, t)) for t in fields) for fields in taps.tolist())
        std = ((0.02, 0.05), (0.03, 0.04), (0.05, 0.02))
        noise = PictureNoise((0.0, 1.0), std, kernel, (0.5, 1.0, 2.0))
        if model == "awgn":
            noise = PictureNoise((0.0,), ((0.02,), (0.03,), (0.04,)))
        noise_file.write(tmp_path / name, model, noise, "made up", "CC0")
        return str(tmp_path / name)

    return make


@pytest.fixture
def pictures(tmp_path):
    """Write a folder of sRGB pictures and return its path."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    rng = np.random.default_rng(2)
    for i, dtype in enumerate((np.uint8, np.uint16, np.uint8)):
        picture = rng.integers(0, np.iinfo(dtype).max + 1, (90, 100, 3), dtype)
        cv2.imwrite(str(folder / f"p{i}.png"), picture[..., ::-1])
    return str(folder)


@pytest.fixture
def mosaics(tmp_path):
    """Write a folder with a raw file and return its path."""
    folder = tmp_path / "raws"
    folder.mkdir()
    mosaic = np.random.default_rng(3).integers(512, 9000, (96, 128), np.uint16)
    write_dng(folder / "a.dng", mosaic, cfa="GRBG", black_level=512, white_level=16383, bits=14)
    return str(folder)


def folder_recipe(noise, **changes):
    return Recipe(source="folder", noise=noise, patch=32, per_image=3, draws=2, **changes)


@pytest.mark.parametrize("bits", [8, 16])
def test_lazy_is_stored_and_materialized(made, pixels, fitted, tmp_path, bits):
    options = {"noise": fitted(), "draws": 2, "bits": bits, "tone": (0.0, 1.0)}
    stored, lazy = made("a.zarr", **options), made("b.zarr", lazy=True, **options)
    assert stored.digest() == lazy.digest()
    for name, array in pixels(stored).items():
        np.testing.assert_array_equal(array, pixels(lazy)[name])
    assert lazy.stored_names == ("clean",)
    assert materialize.materialize(lazy, str(tmp_path / "m.zarr")) == len(stored)
    assert pipelines.open(tmp_path / "m.zarr").digest() == stored.digest()


def test_shards_and_parts_do_not_matter(made, small, fitted, tmp_path):
    options = {"noise": fitted(), "patch": 128, "bits": 16, "per_image": 4, "count": 12}
    whole = made("a.zarr", run={"shard_mb": 64}, **options)
    for i in (3, 1, 2):
        pipelines.synthesize(small(**options), str(tmp_path / "p.zarr"), part=(i, 3), shard_mb=1)
    parts = pipelines.open(tmp_path / "p.zarr")
    assert parts.plan.shards > whole.plan.shards
    assert parts.digest() == whole.digest()


def test_workers_make_what_one_process_makes(made, small, fitted, tmp_path):
    from distributed import Client, LocalCluster

    options = {"noise": fitted(), "bits": 16}
    whole = made("a.zarr", **options)
    cluster = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0")
    with cluster, Client(cluster) as client:
        pipelines.synthesize(small(**options), str(tmp_path / "b.zarr"), client, shard_mb=1)
    assert pipelines.open(tmp_path / "b.zarr").digest() == whole.digest()


def test_what_is_missing_is_made_again_and_samples_too(made, small, fitted, tmp_path):
    options = {"noise": fitted(), "patch": 128, "bits": 16, "per_image": 4, "count": 12}
    corpus = made("c.zarr", run={"shard_mb": 1}, **options)
    before = corpus.digest()
    (tmp_path / "c.zarr" / "manifest" / "c.1.0").unlink()
    again = pipelines.synthesize(small(**options), str(tmp_path / "c.zarr"))
    assert 0 < again.made < 12
    corpus = pipelines.open(tmp_path / "c.zarr")
    assert corpus.digest() == before
    found = check.verify(corpus, regenerate=5)
    assert (found.damaged, found.different, len(found.regenerated)) == ((), (), 5)


def test_the_printed_recipe_makes_the_corpus_again(made, fitted, tmp_path):
    path = fitted()
    corpus = made(noise=path, draws=2)
    text = noise_file.load(path).toml
    assert (corpus.recipe.noise, corpus.recipe.noise_file) == (f"srgb-{MODEL}", text)
    assert corpus.attributes["noise"] == {
        "name": f"srgb-{MODEL}", "fitted_to": "made up", "licence": "CC0",
    }  # fmt: skip
    (tmp_path / "fitted.toml").unlink()
    (tmp_path / "r.toml").write_text(corpus.recipe.to_toml())
    recipe = read(tmp_path / "r.toml")
    pipelines.synthesize(recipe, str(tmp_path / "again.zarr"))
    assert pipelines.open(tmp_path / "again.zarr").digest() == corpus.digest()
    assert pipelines.synthesize(recipe, str(tmp_path / "c.zarr")).made == 0


def test_a_sample_is_the_noise_of_its_place_on_its_clean_picture(made, fitted):
    path = fitted()
    corpus, noise = made(noise=path, draws=2, seed=9), noise_file.load(path).noise
    whole = {}
    for number in map(int, corpus.valid):
        sample = corpus[number]
        row, clean = sample.row, sample.arrays["clean"]
        y, x, patch = int(row["y"]), int(row["x"]), corpus.recipe.patch
        where = random.counter(9, int(row["key"]), int(row["draw"]))
        frame = np.zeros((160, 160, 3), np.uint8)
        frame[y : y + patch, x : x + patch] = clean
        noisy = add_noise(frame, noise, where, strength=float(row["strength"]))
        np.testing.assert_array_equal(sample.arrays["noisy"], noisy[y : y + patch, x : x + patch])
        whole.setdefault(int(row["key"]), []).append(sample)
    for first, second in whole.values():
        assert first.row["strength"] == second.row["strength"]
        np.testing.assert_array_equal(first.arrays["clean"], second.arrays["clean"])
        assert (first.arrays["noisy"] != second.arrays["noisy"]).any()
    strengths = np.unique(corpus.table["strength"])
    assert len(strengths) == 12
    assert 0.5 <= strengths.min() < strengths.max() <= 2


def test_raws_and_linear_pictures_are_what_the_chain_renders_without_noise(
    made, pixels, fitted, mosaics, tmp_path
):
    for demosaic in ("malvar", "ahd"):
        options = {"demosaic": demosaic, "tone": (0.0, 1.0)}
        on_mosaic = made(f"{demosaic}-a.zarr", **options)
        on_picture = made(f"{demosaic}-b.zarr", noise=fitted(), **options)
        np.testing.assert_array_equal(pixels(on_picture)["clean"], pixels(on_mosaic)["clean"])
        for name in ("y", "x", "tone", "wb", "ccm", "black", "white"):
            np.testing.assert_array_equal(on_picture.table[name], on_mosaic.table[name])
    cleans = []
    for noise in (None, fitted()):
        out = str(tmp_path / f"raw-{noise is None}.zarr")
        pipelines.synthesize(folder_recipe(noise, seed=1), out, root=mosaics)
        cleans.append(pixels(pipelines.open(out))["clean"])
    np.testing.assert_array_equal(*cleans)


@pytest.mark.parametrize("bits", [8, 16])
def test_srgb_pictures_are_taken_as_they_are(fitted, pictures, tmp_path, bits):
    out = str(tmp_path / "c.zarr")
    pipelines.synthesize(folder_recipe(fitted(), bits=bits), out, root=pictures)
    corpus = pipelines.open(out)
    assert len(corpus.valid) == 18
    for number in map(int, corpus.valid):
        row, clean = corpus[number].row, corpus[number].arrays["clean"]
        name = corpus.images.names[int(row["image"])]
        source = cv2.imread(f"{pictures}/{name}", cv2.IMREAD_UNCHANGED)[..., ::-1]
        y, x = int(row["y"]), int(row["x"])
        own = source[y : y + 32, x : x + 32] / np.iinfo(source.dtype).max
        white = (1 << bits) - 1
        np.testing.assert_array_equal(clean, np.floor(own * white + 0.5))
        assert row["white"] == white
        np.testing.assert_allclose(row["ccm"], np.eye(3), atol=1e-12)
        assert row["mean"] == pytest.approx(clean.mean() / white, rel=1e-6)
        assert row["clipped"] == pytest.approx((clean == white).mean(), abs=1e-7)
        steps = [np.abs(np.diff(clean / white, axis=axis)).mean() for axis in (0, 1)]
        assert row["texture"] == pytest.approx(np.mean(steps), rel=1e-5)
        assert np.isnan([row["iso"], row["gain"], *row["shot"], *row["read"]]).all()


@pytest.mark.parametrize("source", ["raw", "srgb"])
def test_a_tile_with_surroundings_is_the_crop_of_the_frame(fitted, mosaics, pictures, source):
    recipe = resolve(folder_recipe(fitted()))
    job = new_job(recipe, mosaics if source == "raw" else pictures, 64)
    image = job.source.read(job.images[0])
    picture = rendered.frame(image, job.camera, recipe, 0)
    height, width = picture.height, picture.width
    # frames may be wider than high: the largest square is the whole
    size = min(height, width)
    whole = picture.tile(Window(0, 0, size, 0, height, width), 0.0)
    tile = picture.tile(Window(20, 30, 32, 8, height, width), 0.0)
    np.testing.assert_array_equal(tile, whole[12:60, 22:70])


def test_batches_of_a_lazy_corpus_hold_pictures(small, fitted):
    job = new_job(resolve(small(noise=fitted(), lazy=True)), None, 64)
    found = [item for item in batches(job, 0) if isinstance(item, Batch)]
    assert all(item.tiles.shape[1:] == (64, 64, 3) and not item.arrays for item in found)


def test_measured_noise_is_the_models(made, fitted):
    corpus = made(noise=fitted(), per_image=8, count=24)
    for curve in noise_curves(corpus, [int(i) for i in corpus.valid]):
        # As in test_measure: five times the scatter from seed to seed.
        assert curve.ratio == pytest.approx(1, abs=0.2)
    sample = corpus[3]
    np.testing.assert_array_equal(expected(corpus, 3, sample), sample.arrays["clean"])


def test_a_corpus_opens_in_xarray(made, fitted, tmp_path):
    import xarray

    made("a.zarr", noise=fitted(), lazy=True)
    opened = xarray.open_zarr(str(tmp_path / "a.zarr"), consolidated=False)
    assert opened["clean"].dims == ("patch", "tile_y", "tile_x", "color")


def test_unusable_images_leave_room(fitted, pictures, tmp_path):
    cv2.imwrite(f"{pictures}/small.png", np.zeros((10, 10, 3), np.uint8))
    for lazy in (False, True):
        out = str(tmp_path / f"{lazy}.zarr")
        recipe = folder_recipe(fitted(), lazy=lazy)
        pipelines.synthesize(recipe, out, root=pictures, max_bad=0.5)
        corpus = pipelines.open(out)
        assert (len(corpus), len(corpus.valid)) == (24, 18)
        assert not check.verify(corpus).damaged


REFUSED = {
    "stage=raw": "stage: noise of a fitted file is drawn on the rendered picture",
    "stage=both": "stage: noise of a fitted file",
    "exposure_ratio=4": "exposure_ratio: noise of a fitted file",
    "iso=100": "iso: noise of a fitted file",
    "gain=2": "gain: noise of a fitted file",
    "finish.quality=90": "finish: noise of a fitted file",
    "clip=published": "clip: noise of a fitted file",
}


def synthesize(*arguments):
    return CliRunner().invoke(main, ["synthesize", *map(str, arguments)])


@pytest.mark.parametrize(("setting", "line"), REFUSED.items(), ids=REFUSED)
def test_what_has_no_meaning_is_refused_in_one_line(fitted, tmp_path, setting, line):
    done = synthesize("--noise", fitted(), "--set", setting, "--out", tmp_path / "c.zarr")
    assert done.exit_code == 2
    assert line in done.output
    assert len(done.output.strip().splitlines()) == 1
    assert not (tmp_path / "c.zarr").exists()


@pytest.mark.parametrize("option", ["--tone=0.5", "--demosaic=ahd", "--gamma=2.2"])
def test_pictures_are_not_rendered_again(fitted, pictures, tmp_path, option):
    out = ("--out", tmp_path / "c.zarr", "--patch", 32)
    done = synthesize("--noise", fitted(), "--source", "folder", "--root", pictures, option, *out)
    assert done.exit_code == 2
    assert "is taken as it is when noise is drawn on it" in done.output


def test_names_and_files_must_agree(fitted, small, tmp_path):
    with pytest.raises(InputError, match="has no figures of its own; give the file"):
        resolve(small(noise="srgb-awgn"))
    text = noise_file.load(fitted()).toml
    with pytest.raises(InputError, match=f"says eld, its noise_file holds srgb-{MODEL}"):
        resolve(small(noise="eld", noise_file=text))
    with pytest.raises(InputError, match="noise_file: the key 'model' is missing"):
        resolve(small(noise_file="a = 1"))
    with pytest.raises(InputError, match="no such noise file"):
        resolve(small(noise=str(tmp_path / "none.toml")))
    assert resolve(small(noise_file=text)).noise == f"srgb-{MODEL}"


def test_options_change_a_printed_recipe(fitted, made, tmp_path):
    made("a.zarr", noise=fitted())
    file = tmp_path / "r.toml"
    file.write_text(pipelines.open(tmp_path / "a.zarr").recipe.to_toml())
    small = ("--recipe", file, "--count", 2, "--per-image", 1)
    for name, options, noise, camera in (
        ("b", ("--camera", "S6"), f"srgb-{MODEL}", "S6"),
        ("c", ("--noise", "poisson-gaussian"), "poisson-gaussian", "GP"),
        ("d", ("--noise", fitted("awgn", "other.toml")), "srgb-awgn", "GP"),
    ):
        done = synthesize(*small, *options, "--out", tmp_path / f"{name}.zarr")
        assert done.exit_code == 0, done.output
        recipe = pipelines.open(tmp_path / f"{name}.zarr").recipe
        assert (recipe.noise, recipe.camera) == (noise, camera)


def test_another_file_is_another_corpus(fitted, made, tmp_path):
    made("a.zarr", noise=fitted())
    done = synthesize("--noise", fitted("awgn"), "--out", tmp_path / "a.zarr")
    assert done.exit_code == 2
    assert "holds a corpus of another recipe" in done.output
    assert len(done.output) < 400


def test_a_damaged_noise_file_is_a_damaged_corpus(made, fitted, tmp_path):
    import json

    from noisegen.errors import DamagedCorpusError

    made("a.zarr", noise=fitted())
    path = tmp_path / "a.zarr" / "zarr.json"
    group = json.loads(path.read_text())
    recipe = json.loads(group["attributes"]["noisegen"]["recipe"])
    recipe["noise_file"] = "model = 3"
    group["attributes"]["noisegen"]["recipe"] = json.dumps(recipe)
    path.write_text(json.dumps(group))
    with pytest.raises(DamagedCorpusError, match="its description is damaged"):
        pipelines.open(tmp_path / "a.zarr")
