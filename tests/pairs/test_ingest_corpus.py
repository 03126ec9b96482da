"""Real pairs as a corpus: every window once, as it is, whatever workers, parts and shards."""

import multiprocessing
import os
import signal
import time

import cv2
import numpy as np
import pytest
from distributed import Client, LocalCluster
from hypothesis import given
from hypothesis import strategies as st

import pipelines
from catalogs import sources
from catalogs.sources import pictures
from noisegen.errors import RecipeError
from pipelines import check, ingest
from pipelines.plan import Plan, of_counts
from pipelines.recipe import Recipe, parse
from pipelines.schema import SPLITS

from .conftest import STD, picture


def recipe(name: str = "polyu", **changes) -> Recipe:
    own = {"patch": 64, "stride": 40, "camera": "as-shot", "noise": "real"}
    return Recipe(**{"source": name, **own, **changes})


@pytest.fixture
def made(polyu, tmp_path):
    def make(name="x.zarr", *, run=None, **changes):
        how = {"root": str(polyu), "shard_mb": 1, **(run or {})}
        pipelines.synthesize(recipe(**changes), str(tmp_path / name), **how)
        return pipelines.open(tmp_path / name)

    return make


@given(length=st.integers(8, 3000), patch=st.integers(8, 600), stride=st.integers(1, 700))
def test_windows_begin_as_published(length: int, patch: int, stride: int) -> None:
    if length < patch:
        return
    found = ingest.starts(length, patch, stride)
    # 0, stride, … strictly below length - patch, and length - patch.
    assert found[-1] == length - patch
    assert all(at < length - patch for at in found[:-1])
    assert found[:-1] == [i * stride for i in range(len(found) - 1)]
    assert (len(found) - 1) * stride >= length - patch


def test_windows_of_a_sidd_picture() -> None:
    assert ingest.starts(3000, 512, 384) == [0, 384, 768, 1152, 1536, 1920, 2304, 2488]
    assert ingest.starts(512, 512, 384) == [0]


@given(st.lists(st.integers(1, 9), min_size=1, max_size=12), st.integers(1, 20))
def test_a_plan_of_unequal_images_puts_every_patch_somewhere_once(counts, fit) -> None:
    plan = of_counts(recipe(), counts, 1, fit)
    assert plan.patches == sum(counts)
    assert Plan(**vars(plan)) == plan
    seen = []
    for shard in range(plan.shards):
        pieces = plan.pieces(shard)
        assert sum(piece.patches for piece in pieces) == len(plan.patches_of(shard))
        seen += [(p.image, p.first + i) for p in pieces for i in range(p.patches)]
    assert seen == [(image, i) for image, count in enumerate(counts) for i in range(count)]


def test_every_window_is_stored_as_it_is(made, polyu) -> None:
    corpus = made()
    # Two columns of windows where a picture is 96 wide, four where it is 150; two rows.
    assert len(corpus) == len(corpus.valid) == 3 * (4 + 8)
    images = corpus.images
    seen = set()
    for number in corpus.valid.tolist():
        sample = corpus[number]
        row, name = sample.row, images.names[int(sample.row["image"])]
        y, x = int(row["y"]), int(row["x"])
        for half, ending in (("noisy", "real"), ("clean", "mean")):
            path = polyu / f"{name}_{ending}.JPG"
            whole = pictures.decode(path.read_bytes(), str(path))
            np.testing.assert_array_equal(sample.arrays[half], whole[y : y + 64, x : x + 64])
        seen.add((name, y, x))
    places = {n: (0, 32) if n.endswith("1") else (0, 40, 80, 86) for n in images.names}
    assert seen == {(n, y, x) for n in images.names for y in (0, 32) for x in places[n]}


def test_what_is_recorded(made) -> None:
    corpus = made()
    images = corpus.images
    sony = images.names.index("Sony_3-5_200_1600_door_2")
    assert images.cameras[sony] == "Sony"
    assert images.scenes[sony] == "Sony door"
    row = next(r for r in corpus.table if r["image"] == sony)
    told = [float(row[name]) for name in ("iso", "aperture", "exposure_time")]
    assert told == [1600, 3.5, 1 / 200]
    assert np.isnan(row["temperature"])
    for number in corpus.valid.tolist():
        sample = corpus[number]
        clean, noisy = (sample.arrays[n].astype(float) / 255 for n in ("clean", "noisy"))
        np.testing.assert_allclose(sample.row["noise"], (noisy - clean).std((0, 1)), rtol=1e-5)
        assert sample.row["mean"] == pytest.approx(clean.mean(), rel=1e-5)
        assert 0 < sample.row["texture"] < 0.1
        assert np.isnan(sample.row["shot"]).all()
    assert corpus.reader("images/width").rows(0, 6).tolist() == [96, 150] * 3
    assert corpus.reader("images/sha256").rows(0, 6).any(axis=1).all()
    attributes = corpus.attributes["source"]
    assert attributes["licence"] == sources.entry("polyu").licence


def test_noise_is_measured(tmp_path, pair) -> None:
    pair(tmp_path / "p/a_noisy.png", tmp_path / "p/a_clean.png", 3, (256, 256))
    how = {"root": str(tmp_path / "p")}
    pipelines.synthesize(recipe("pairs", patch=256, stride=256), str(tmp_path / "x.zarr"), **how)
    corpus = pipelines.open(tmp_path / "x.zarr")
    noise = corpus.table["noise"][0] * 255
    # The spread of an estimate of a standard deviation of n values is sigma / sqrt(2 n); rounding
    # adds 1/12 to the variance and is within the 5 sigma bound.
    np.testing.assert_allclose(noise, np.hypot(STD, 12**-0.5), atol=5 * STD / (2 * 256**2) ** 0.5)


def test_scenes_are_never_split(made) -> None:
    images = made().images
    for scene in set(images.scenes):
        assert (
            len({s for s, of in zip(images.split, images.scenes, strict=True) if of == scene}) == 1
        )


def test_a_published_split_is_kept(tmp_path, pair) -> None:
    for split in SPLITS:
        where = tmp_path / "p" / split
        pair(where / "a_noisy.png", where / "a_clean.png", len(split))
    pattern = "{split}/{name}_noisy.png:{split}/{name}_clean.png"
    asked = recipe("pairs", source_options={"pattern": pattern})
    pipelines.synthesize(asked, str(tmp_path / "x.zarr"), root=str(tmp_path / "p"))
    images = pipelines.open(tmp_path / "x.zarr").images
    assert {n: SPLITS[s] for n, s in zip(images.names, images.split, strict=True)} == {
        f"{split}/a": split for split in SPLITS
    }


def test_parts_shards_and_order_do_not_matter(made) -> None:
    whole = made(stride=8)
    assert whole.plan.shards == 7
    assert whole.plan.counts
    for part in ((2, 3), (1, 3), (3, 3)):
        corpus = made("parts.zarr", stride=8, run={"part": part})
    assert corpus.digest() == whole.digest()
    assert made("large.zarr", stride=8, run={"shard_mb": 128}).digest() == whole.digest()


def test_workers_do_not_matter(made) -> None:
    whole = made(stride=8).digest()
    arguments = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0"}
    with LocalCluster(**arguments) as cluster, Client(cluster) as client:
        assert made("dask.zarr", stride=8, run={"client": client}).digest() == whole


def _slowly(out: str, root: str) -> None:
    """Make a corpus, a shard a fifth of a second."""
    how = {"root": root, "shard_mb": 1, "on_shard": lambda _: time.sleep(0.2)}
    pipelines.synthesize(recipe(patch=32, stride=4), out, **how)


def test_a_killed_run_goes_on_to_the_same_bytes(made, polyu, tmp_path) -> None:
    path = tmp_path / "killed.zarr"
    process = multiprocessing.get_context("spawn").Process(
        target=_slowly, args=(str(path), str(polyu))
    )
    process.start()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not list(path.glob("manifest/c.*")):
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    done = pipelines.open(path).finished
    assert 0 < done.sum() < len(done)
    again = made("killed.zarr", patch=32, stride=4)
    assert again.finished.all()
    assert again.digest() == made("whole.zarr", patch=32, stride=4).digest()


def test_made_again_from_the_files(made, polyu) -> None:
    corpus = made()
    found = check.verify(corpus, regenerate=10, root=str(polyu))
    assert (len(found.regenerated), found.different, found.damaged) == (10, (), ())
    path = next(polyu.glob("*plug_1_real.JPG"))
    path.write_bytes(next(polyu.glob("*toy_1_real.JPG")).read_bytes())
    for clean in polyu.glob("*plug_1_mean.JPG"):
        clean.write_bytes(next(polyu.glob("*toy_1_mean.JPG")).read_bytes())
    changed = check.verify(corpus, regenerate=len(corpus), root=str(polyu))
    assert len(changed.different) == 4


@pytest.mark.parametrize(("bits", "asked"), [(16, 16), (8, 16), (16, 8)])
def test_depths(tmp_path, pair, bits: int, asked: int) -> None:
    pair(tmp_path / "p/a_noisy.png", tmp_path / "p/a_clean.png", 3, bits=bits)
    how = {"root": str(tmp_path / "p")}
    pipelines.synthesize(recipe("pairs", bits=asked), str(tmp_path / "x.zarr"), **how)
    arrays = pipelines.open(tmp_path / "x.zarr")[0].arrays
    for half in ("clean", "noisy"):
        whole = cv2.imread(str(tmp_path / f"p/a_{half}.png"), cv2.IMREAD_UNCHANGED)[:64, :64, ::-1]
        assert arrays[half].dtype == (np.uint8 if asked == 8 else np.uint16)
        whole = whole.astype(np.float64) * 257.0 ** ((asked - bits) / 8)
        same = np.round(whole)
        np.testing.assert_array_equal(arrays[half], same)


def test_a_recipe_of_real_pairs_has_no_other_keys() -> None:
    for key, value in (("lazy", True), ("draws", 2), ("stage", "raw"), ("per_image", 3)):
        with pytest.raises(RecipeError, match=f"{key}: real pairs are stored as they are"):
            parse({"source": "cc", "camera": "as-shot", "noise": "real", key: value})
    with pytest.raises(RecipeError, match="camera: real pairs are of the cameras that took them"):
        parse({"source": "cc", "noise": "real"})
    with pytest.raises(RecipeError, match="stride: only real pairs are cut into windows"):
        parse({"stride": 64})


@pytest.mark.parametrize("size", [128, 256])
def test_one_scene_is_told_from_another(size: int) -> None:
    rng = np.random.default_rng(0)
    scenes = [picture(seed, size, size) for seed in range(6)]
    flat = np.full_like(scenes[0], 90.0)
    for i, clean in enumerate(scenes):
        for std in (1, 10, 40):
            noisy = np.clip(clean + rng.normal(0, std, clean.shape), 0, 255).astype(np.uint8)
            assert ingest.of_one_scene(clean.astype(np.uint8), noisy)
            assert ingest.of_one_scene(clean.astype(np.uint8), (0.3 * noisy).astype(np.uint8))
            for other in (*scenes[:i], *scenes[i + 1 :], flat):
                assert not ingest.of_one_scene(other.astype(np.uint8), noisy)
    noisy = np.clip(flat + rng.normal(0, 40, flat.shape), 0, 255).astype(np.uint8)
    assert ingest.of_one_scene(flat.astype(np.uint8), noisy)
    assert ingest.of_one_scene(flat.astype(np.uint8), flat.astype(np.uint8))
