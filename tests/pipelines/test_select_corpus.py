"""Patches chosen by level and texture: flatter strata, kept rules, the same however it is made."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

import pipelines
from catalogs import cameras
from noisegen.cli import main
from pipelines import materialize, selecting, shading
from pipelines.frame import Frame
from pipelines.plan import Piece
from pipelines.recipe import Recipe
from pipelines.tables.select import Select

ON = {"method": "stratified"}
N = 4000
Z = 4.5
"""A two-sided false alarm in 150 000."""


@dataclass(frozen=True)
class TwoLevels(Frame):
    """Flat patches: bright where they begin in the first tenth of the columns, else dark."""

    levels_dn: tuple[int, int] = (0, 0)

    def tile(self, window, tone):
        bright = window.x < self.width // 10
        size = window.patch + 2 * window.halo
        return np.full((size, size), self.levels_dn[0 if bright else 1], np.uint16)

    def thumbnail(self):
        raise NotImplementedError


def two_levels(bright, dark, width=1008):
    camera = cameras.load("GP")
    black, white = camera.levels.black[0], camera.levels.white
    codes = tuple(round(black + x * (white - black)) for x in (bright, dark))
    unshaded = shading.Lens()
    return TwoLevels(8, width, "RGGB", camera.levels, (1, 1, 1), np.eye(3), unshaded, codes)


def taken(picture, recipe, first=0, n=N):
    return selecting.stratified(recipe, picture, Piece(3, first, n), 8, np.zeros(n))


def test_a_rare_stratum_is_found_as_often_as_it_should_be():
    """Bright and dark lie in the outer strata, so that half of the drawn strata ask for each.

    A patch is bright if bright is asked for and one of K candidates is, or dark is and all are.
    """
    picture, recipe = two_levels(0.5, 0.01), Recipe(select=ON)
    corners, kept = taken(picture, recipe)
    share = math.ceil((picture.width // 10) / 2) / ((picture.width - 8) // 2 + 1)
    k = recipe.select.candidates
    expected = 0.5 * (1 - (1 - share) ** k) + 0.5 * share**k
    bright = (corners[:, 1] < picture.width // 10).mean()
    assert kept.all()
    assert abs(bright - expected) < Z * math.sqrt(expected * (1 - expected) / N)
    plain = selecting.uniform(recipe, picture, Piece(3, 0, N), 8)[:, 1] < picture.width // 10
    # Flatter than uniform's: both shares are nearer to a half.
    assert abs(bright - 0.5) < abs(plain.mean() - 0.5) - 2 * Z * math.sqrt(0.25 / N)


@pytest.mark.parametrize(("bright", "dark"), [(1.0, 0.1), (0.1, 0.0)])
def test_no_rule_is_broken_while_a_better_place_is_at_hand(bright, dark):
    """A tenth or nine tenths of the places are clipped or black: patches without another are few.

    A patch is left empty with odds of b**K where a share b of the places is bad.
    """
    picture, recipe = two_levels(bright, dark), Recipe(select=ON)
    corners, kept = taken(picture, recipe)
    begins = corners[:, 1] < picture.width // 10
    bad = begins if bright == 1.0 else ~begins
    assert not bad[kept].any()
    share = math.ceil((picture.width // 10) / 2) / ((picture.width - 8) // 2 + 1)
    odds = (share if bright == 1.0 else 1 - share) ** recipe.select.candidates
    assert abs((~kept).mean() - odds) < Z * math.sqrt(odds * (1 - odds) / N) + 1 / N


def test_a_patch_is_the_same_in_any_piece():
    picture, recipe = two_levels(0.5, 0.01), Recipe(select=ON)
    whole, kept = taken(picture, recipe, n=300)
    for first, n in ((0, 7), (7, 100), (299, 1)):
        corners, some = taken(picture, recipe, first, n)
        np.testing.assert_array_equal(corners, whole[first : first + n])
        np.testing.assert_array_equal(some, kept[first : first + n])


def test_the_nearest_stratum_wins_among_those_that_pass():
    rules = Select(**ON)
    mean = np.array([[0.001, 0.5, 0.1, 0.1]])
    texture = np.array([[0.0, 0.0, 0.0, 0.1]])
    clipped = np.array([[0.0, 0.2, 0.0, 0.0]])
    for target, best in (((0, 0), 2), ((3, 0), 2), ((3, 3), 3)):
        found, passes = selecting.choose(
            np.stack([mean, texture, clipped]), np.array([target]), rules
        )
        assert (found[0], passes[0]) == (best, True)
    assert not selecting.choose(np.stack([mean, texture, clipped + 1]), np.zeros((1, 2)), rules)[1]


@pytest.fixture
def photos(tmp_path):
    """Return a folder of three pictures: black but for a corner, white but for one, and waves."""
    folder = tmp_path / "photos"
    folder.mkdir()
    y, x = np.mgrid[:96, :120]
    waves = np.rint(127 + 100 * np.sin(x / 5 + y / 9)).astype(np.uint8)
    corner = (y < 40) & (x < 50)
    for name, rest in (("black", 0), ("white", 255), ("waves", waves)):
        grey = np.where(corner, waves, rest).astype(np.uint8)
        cv2.imwrite(str(folder / f"{name}.png"), np.repeat(grey[..., None], 3, -1))
    return folder


@pytest.fixture
def of_photos(tmp_path, photos):
    """Make a small corpus of the pictures and return it open."""

    def make(name, *, run=None, **changes):
        options = {"patch": 32, "per_image": 12, "select": {**ON, "candidates": 3}, **changes}
        recipe = Recipe(source="folder", **options)
        pipelines.synthesize(recipe, str(tmp_path / name), root=str(photos), **(run or {}))
        return pipelines.open(tmp_path / name)

    return make


def test_every_sample_keeps_to_the_rules_and_the_rest_is_empty(of_photos):
    corpus = of_photos("a.zarr", draws=2, stage="raw")
    table = corpus.table
    valid = table["valid"] == 1
    assert 0 < (~valid).sum() < len(table)
    assert (table["mean"][valid] >= 0.002).all()
    assert (table["clipped"][valid] <= 0.05).all()
    assert np.isnan(table["mean"][~valid]).all()
    empty = int(np.flatnonzero(~valid)[0])
    with pytest.raises(IndexError, match="any place in it"):
        corpus[empty]


def test_the_same_however_it_is_made(of_photos, tmp_path, photos):
    whole = of_photos("a.zarr", draws=2)
    lazy = of_photos("b.zarr", draws=2, lazy=True)
    assert lazy.digest() == whole.digest()
    materialize.materialize(lazy, str(tmp_path / "m.zarr"))
    assert pipelines.open(tmp_path / "m.zarr").digest() == whole.digest()
    large = {"patch": 88, "per_image": 40, "bits": 16, "select": {**ON, "max_clipped": 0.9}}
    one = of_photos("c.zarr", run={"shard_mb": 64}, **large)
    for i in (2, 1):
        parts = of_photos("d.zarr", run={"shard_mb": 1, "part": (i, 2)}, **large)
    assert parts.plan.shards > 2 * one.plan.shards
    assert parts.digest() == one.digest()


@pytest.mark.slow
def test_workers_make_the_same(of_photos, tmp_path, photos):
    whole = of_photos("a.zarr")
    arguments = ["--source", "folder", "--root", str(photos), "--patch", "32", "--per-image", "12"]
    arguments += ["--select", "stratified", "--set", "select.candidates=3", "--workers", "2"]
    out = str(tmp_path / "w.zarr")
    result = CliRunner().invoke(main, ["synthesize", "--out", out, *arguments])
    assert result.exit_code == 0, result.output
    assert pipelines.open(out).digest() == whole.digest()


def test_the_command_says_what_is_left_empty(tmp_path, photos):
    arguments = ["--source", "folder", "--root", str(photos), "--patch", "32", "--per-image", "12"]
    arguments += ["--select", "stratified", "--set", "select.candidates=1"]
    result = CliRunner().invoke(main, ["synthesize", "--out", str(tmp_path / "o.zarr"), *arguments])
    assert result.exit_code == 0, result.output
    assert "of 12 patches are left empty" in result.output


def test_nothing_left_is_one_line_and_no_corpus(tmp_path, photos):
    arguments = ["--source", "folder", "--root", str(photos), "--patch", "32", "--per-image", "4"]
    arguments += ["--select", "stratified", "--set", "select.min_mean=1"]
    out = tmp_path / "o.zarr"
    result = CliRunner().invoke(main, ["synthesize", "--out", str(out), *arguments])
    patches = 4 * len(list(photos.iterdir()))
    assert result.output == (
        f"noisegen: select: no patch is left; no place for {patches} patches keeps to "
        "select.min_mean (1) and select.max_clipped (0.05); change them, or raise "
        "select.candidates\n"
    )
    assert result.exit_code == 2
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--set", "select.candidates=0"], "select.candidates"),
        (["--set", "select.max_clipped=2"], "select.max_clipped: 2 is not from 0 to 1"),
        (["--set", "select.candidate=3"], "did you mean"),
        (["--select", "uniform", "--set", "select.candidates=3"], "select.method='stratified'"),
    ],
)
def test_bad_input_is_one_line(tmp_path, arguments, said):
    if "uniform" not in arguments:
        arguments = ["--select", "stratified", *arguments]
    result = CliRunner().invoke(main, ["synthesize", "--out", str(tmp_path / "o.zarr"), *arguments])
    assert result.exit_code == 2
    assert said in result.output
    assert len(result.output.strip().splitlines()) == 1
