"""What went wrong once, or easily could."""

import os
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

import pipelines
from noisegen.cli import main
from noisegen.errors import InputError, MissingDataError, UnreadableFileError
from noisegen.raw import write_dng
from pipelines import run as runs
from pipelines.recipe import Recipe, parse

LEVELS = {"cfa": "RGGB", "black_level": (64,) * 4, "white_level": 1023}


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "pictures"
    path.mkdir()
    rng = np.random.default_rng(0)
    for number in range(3):
        picture = rng.integers(0, 256, (48, 64, 3)).astype(np.uint8)
        cv2.imwrite(str(path / f"{number}.png"), picture)
    return path


def _recipe(**changes):
    return Recipe(**{"source": "folder", "patch": 32, "per_image": 2, **changes})


def _mosaic(shape=(48, 64)):
    return np.random.default_rng(1).integers(64, 1024, shape).astype(np.uint16)


def test_another_camera_over_a_printed_recipe_brings_its_own_figures(tmp_path):
    def run(*arguments):
        result = CliRunner().invoke(main, [str(a) for a in arguments])
        assert result.exit_code == 0, result.output
        return result.output

    small = ["--count", "4", "--patch", "32"]
    run("synthesize", "--out", tmp_path / "gp.zarr", *small)
    (tmp_path / "r.toml").write_text(run("recipe", tmp_path / "gp.zarr"))
    run(
        "synthesize",
        "--recipe",
        tmp_path / "r.toml",
        "--camera",
        "S6",
        "--out",
        tmp_path / "a.zarr",
    )
    run("synthesize", "--camera", "S6", "--out", tmp_path / "b.zarr", *small)
    digests = {run("digest", tmp_path / f"{n}.zarr").splitlines()[-1] for n in ("a", "b")}
    assert len(digests) == 1


def test_a_camera_name_over_another_cameras_figures_is_refused(made):
    recipe = made().recipe.model_copy(update={"camera": "S6"})
    with pytest.raises(InputError, match="delete camera_file"):
        pipelines.synthesize(recipe, "nowhere.zarr")


def test_a_finished_corpus_does_not_need_its_source(folder, tmp_path):
    pipelines.synthesize(_recipe(), str(tmp_path / "c.zarr"), root=str(folder))
    shutil.rmtree(folder)
    again = pipelines.synthesize(_recipe(), str(tmp_path / "c.zarr"), root=str(folder))
    assert (again.made, again.samples, again.finished) == (0, 6, True)
    with pytest.raises(MissingDataError):
        pipelines.synthesize(_recipe(seed=1), str(tmp_path / "d.zarr"), root=str(folder))


def test_files_added_later_do_not_change_a_corpus_that_was_begun(folder, tmp_path):
    out = str(tmp_path / "c.zarr")
    pipelines.synthesize(_recipe(), out, root=str(folder))
    names = pipelines.open(out).images.names
    shutil.copy(folder / "0.png", folder / "00.png")
    (tmp_path / "c.zarr" / "manifest" / "c.0.0").unlink()
    pipelines.synthesize(_recipe(), out, root=str(folder))
    assert pipelines.open(out).images.names == names


def test_a_prime_number_of_patches_makes_few_shards(made):
    corpus = made(run={"shard_mb": 1}, patch=128, bits=16, per_image=7, count=21)
    assert corpus.plan.shards == 6
    whole = made("w.zarr", patch=128, bits=16, per_image=7, count=21)
    assert whole.plan.shards == 1
    assert corpus.digest() == whole.digest()


def test_names_that_are_not_text(folder, tmp_path):
    shutil.copy(folder / "0.png", os.fsencode(folder) + b"/\xff.png")
    summary = pipelines.synthesize(_recipe(), str(tmp_path / "c.zarr"), root=str(folder))
    names = pipelines.open(tmp_path / "c.zarr").images.names
    assert os.fsencode(names[-1]) == b"\xff.png"
    assert summary.samples == 8


def test_unknown_endings_are_listed_once(folder, tmp_path):
    for number in range(3):
        (folder / f"{number}.txt").write_text("notes")
    summary = pipelines.synthesize(_recipe(), str(tmp_path / "c.zarr"), root=str(folder))
    assert len([line for line in summary.warnings if ".txt" in line]) == 1


def test_clean_codes_above_white_are_saturated(tmp_path):
    raws = tmp_path / "raws"
    raws.mkdir()
    mosaic = _mosaic()
    mosaic[:, 8:24] = 4095
    profile = ((1e-4,) * 4, (1e-6,) * 4)
    write_dng(raws / "a.dng", mosaic, **{**LEVELS, "white_level": 4000}, noise_profile=profile)
    recipe = _recipe(camera="as-shot", stage="raw", per_image=8)
    pipelines.synthesize(recipe, str(tmp_path / "c.zarr"), root=str(raws))
    corpus = pipelines.open(tmp_path / "c.zarr")
    clean = np.stack([corpus[int(i)].arrays["clean"] for i in corpus.valid])
    assert clean.max() == 4000
    assert (corpus.table["clipped"] > 0).any()


def test_a_raw_without_white_balance_gets_a_plausible_one(tmp_path):
    raws = tmp_path / "raws"
    raws.mkdir()
    write_dng(raws / "a.dng", _mosaic(), **LEVELS)
    write_dng(raws / "b.dng", _mosaic(), **LEVELS, as_shot_neutral=(0.5, 1.0, 0.8))
    pipelines.synthesize(_recipe(), str(tmp_path / "c.zarr"), root=str(raws))
    unknown, stated = pipelines.open(tmp_path / "c.zarr").table["wb"][[0, 2]]
    # Google's ranges: red 1.9 to 2.4, blue 1.5 to 1.9 times green
    assert 1.9 <= unknown[0] <= 2.4
    assert 1.5 <= unknown[2] <= 1.9
    np.testing.assert_allclose(stated, [2, 1, 1.25], rtol=1e-6)


def test_iso_as_shot_follows_each_file(tmp_path):
    raws = tmp_path / "raws"
    raws.mkdir()
    for iso in (200, 800):
        write_dng(raws / f"{iso}.dng", _mosaic(), **LEVELS, iso=iso)
    pipelines.synthesize(_recipe(iso="as-shot"), str(tmp_path / "c.zarr"), root=str(raws))
    assert pipelines.open(tmp_path / "c.zarr").table["iso"].tolist() == [200, 200, 800, 800]
    with pytest.raises(InputError, match="not set by ISO"):
        pipelines.synthesize(_recipe(iso="as-shot", camera="NikonD850"), "x.zarr", root=str(raws))


def test_iso_as_shot_of_pictures_is_refused_and_leaves_nothing(folder, tmp_path):
    with pytest.raises(InputError, match="does not say its ISO"):
        pipelines.synthesize(_recipe(iso="as-shot"), str(tmp_path / "c.zarr"), root=str(folder))
    assert not (tmp_path / "c.zarr").exists()


@pytest.mark.parametrize("model", ["heteroscedastic", "poisson-gaussian", "eld", "eld-gaussian"])
def test_terms_can_be_switched_off(made, pixels, model):
    options = {"camera": "SonyA7S2", "noise": model, "gain": 2.0, "stage": "raw"}
    terms = ("shot", "read", "row", "bias") if "eld" in model else ("shot", "read")
    quiet = pixels(made("q.zarr", without=terms, **options))
    np.testing.assert_array_equal(quiet["noisy"], quiet["clean"])
    loud = pixels(made("l.zarr", without=("shot",), **options))
    residual = (loud["noisy"].astype(float) - loud["clean"])[loud["clean"] < 10_000]
    table = pipelines.Corpus(made("r.zarr", **options).storage).table
    assert residual.std() < np.sqrt(table["shot"].max()) * 15583
    assert residual.std() > 0


def test_a_huge_count_is_planned_at_once():
    plan = runs.dry_run(parse({"count": 10**9}))
    assert plan.samples == 10**9
    with pytest.raises(InputError):
        parse({"count": 10**21})


@pytest.mark.parametrize(
    ("out", "root", "words"),
    [("", None, "out is empty"), ("x.zarr", "somewhere", "leave --root away")],
)
def test_small_mistakes_of_the_call(tmp_path, monkeypatch, out, root, words):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=words):
        pipelines.synthesize(Recipe(count=4), out, root=root)
    assert not list(tmp_path.iterdir())


def test_home_is_understood(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    pipelines.synthesize(Recipe(count=4, patch=32), "~/c.zarr")
    assert (tmp_path / "c.zarr" / "zarr.json").exists()


def test_an_error_in_a_worker_is_one_line_with_its_exit_code(folder, tmp_path):
    (folder / "0.png").write_bytes(b"no picture")
    command = [sys.executable, "-m", "noisegen", "synthesize", "--source", "folder", "--root"]
    command += [str(folder), "--out", str(tmp_path / "c.zarr"), "--workers", "1", "--patch", "64"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    lines = [line for line in done.stderr.splitlines() if not line.startswith("Dask dashboard")]
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("noisegen: ")
    assert done.returncode == 1


def test_one_client_makes_two_corpora_at_one_path(folder, tmp_path):
    """A worker that lives on must not keep the plan of a corpus that was replaced."""
    from distributed import Client

    with Client(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=":0"
    ) as client:
        out = tmp_path / "c.zarr"
        pipelines.synthesize(_recipe(), str(out), client, root=str(folder))
        shutil.rmtree(out)
        shutil.copy(folder / "0.png", folder / "00.png")
        summary = pipelines.synthesize(_recipe(), str(out), client, root=str(folder))
    alone = tmp_path / "alone.zarr"
    pipelines.synthesize(_recipe(), str(alone), root=str(folder))
    assert summary.samples == 8
    assert pipelines.open(out).digest() == pipelines.open(alone).digest()


@pytest.mark.parametrize(("model", "term"), [("awgn", "shot"), ("poisson-gaussian", "row")])
def test_terms_that_a_model_lacks_cannot_be_switched_off(model, term):
    with pytest.raises(InputError, match=f"no term '{term}'"):
        pipelines.synthesize(Recipe(noise=model, without=(term,)), "x.zarr")


def test_the_order_of_terms_does_not_make_another_recipe():
    one, other = Recipe(without=("row", "read")), Recipe(without=("read", "row", "read"))
    assert one.sha256 == other.sha256


def test_a_file_beyond_the_camera_is_bad_by_name_and_one_near_it_is_warned_of(tmp_path):
    raws = tmp_path / "raws"
    raws.mkdir()
    for iso in (200, 6400):
        profile = ((1e-6,) * 4, (1e-9,) * 4)
        write_dng(raws / f"{iso}.dng", _mosaic(), **LEVELS, iso=iso, noise_profile=profile)
    constant = _recipe(iso="as-shot", camera="IP")
    summary = pipelines.synthesize(constant, str(tmp_path / "a.zarr"), root=str(raws), max_bad=0.5)
    assert [name for name, _ in summary.problems] == ["6400.dng"]
    assert "6400.dng" in summary.problems[0][1]
    summary = pipelines.synthesize(_recipe(iso="as-shot"), str(tmp_path / "b.zarr"), root=str(raws))
    assert len([line for line in summary.warnings if "6400.dng" in line]) == 1


def test_row_noise_is_recorded_where_it_is_drawn(made):
    drawn = made("a.zarr", camera="SonyA7S2", noise="eld").table["row"]
    absent = made("b.zarr", camera="SonyA7S2", noise="heteroscedastic").table["row"]
    assert (drawn > 0).all()
    assert (absent == 0).all()


@pytest.mark.parametrize("stage", ["raw", "srgb"])
def test_noise_that_is_not_the_models_shows_in_the_curves(made, monkeypatch, stage):
    """The check must not be fooled by a kernel that is wrong in the same way twice."""
    from pipelines import develop
    from pipelines.measure import noise_curves

    def louder(tiles, noisy, model, figures, *rest, **named):
        doubled = figures._replace(shot=2 * figures.shot, read=2 * figures.read)
        kernel(tiles, noisy, model, doubled, *rest, **named)

    kernel = develop.add_noise_batch
    with monkeypatch.context() as patched:
        patched.setattr(develop, "add_noise_batch", louder)
        corpus = made("a.zarr", stage=stage, iso=800.0)
        if stage == "srgb":
            patched.undo()
        ratios = [curve.ratio for curve in noise_curves(corpus, range(len(corpus)))]
    assert all(1.6 < ratio < 2.4 for ratio in ratios), ratios


def test_a_source_file_that_is_gone_is_not_called_different(folder, tmp_path):
    from pipelines.check import verify

    pipelines.synthesize(_recipe(), str(tmp_path / "c.zarr"), root=str(folder))
    corpus = pipelines.open(tmp_path / "c.zarr")
    assert verify(corpus, regenerate=6, root=str(folder)).different == ()
    (folder / "1.png").write_bytes(b"")
    with pytest.raises(UnreadableFileError, match=r"sample 2 cannot be made again: .*1\.png"):
        verify(corpus, regenerate=6, root=str(folder))


def test_a_mistyped_root_does_not_cost_the_corpus_that_is_overwritten(folder, tmp_path):
    out = tmp_path / "c.zarr"
    pipelines.synthesize(_recipe(), str(out), root=str(folder))
    before = pipelines.open(out).digest()
    with pytest.raises(MissingDataError):
        pipelines.synthesize(_recipe(seed=1), str(out), root=str(folder) + "x", overwrite=True)
    assert pipelines.open(out).digest() == before
    pipelines.synthesize(_recipe(seed=1), str(out), root=str(folder), overwrite=True)
    assert pipelines.open(out).digest() != before


def test_another_camera_keeps_the_noise_model_that_a_person_wrote(tmp_path):
    file, out = tmp_path / "r.toml", tmp_path / "c.zarr"
    file.write_text('noise = "poisson-gaussian"\npatch = 32\ncount = 4\n')
    arguments = ["synthesize", "--recipe", str(file), "--camera", "S6", "--out", str(out)]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    recipe = pipelines.open(out).recipe
    assert (recipe.camera, recipe.noise) == ("S6", "poisson-gaussian")
