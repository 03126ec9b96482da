"""A split that a set publishes is kept by everything that trains and tests."""

from pathlib import Path

import numpy as np
import pytest

import pipelines
from denoisers.data.mixture import Mixture
from denoisers.data.open import open_data
from noisegen.errors import MissingDataError
from pipelines import fit, prepare
from pipelines.pairs import open_pairs
from pipelines.recipe import Recipe

PATTERN = "{split}/{scene}_{name}_noisy.png:{split}/{scene}_{name}_clean.png"

# As in SIDD, scenes are in both.
LAID_OUT = {"train": ("a", "b", "d"), "test": ("a", "d", "e")}


@pytest.fixture
def corpus(tmp_path: Path, pair):
    def make(laid_out=LAID_OUT, name="x.zarr") -> str:
        root = tmp_path / f"of {name}"
        for split, scenes in laid_out.items():
            for seed, scene in enumerate(scenes):
                files = (root / split / f"{scene}_1_{half}.png" for half in ("noisy", "clean"))
                pair(*files, seed)
        recipe = Recipe(
            source="pairs", source_options={"pattern": PATTERN}, camera="as-shot", noise="real",
            patch=64, stride=64,
        )  # fmt: skip
        pipelines.synthesize(recipe, str(tmp_path / name), root=str(root))
        return str(tmp_path / name)

    return make


def test_the_hashes_say_otherwise() -> None:
    scenes = sorted({scene for of in LAID_OUT.values() for scene in of})
    hashed = dict(zip(scenes, prepare.splits(scenes).tolist(), strict=True))
    assert any(hashed[scene] != 2 for scene in LAID_OUT["test"])


def test_pairs_of_a_split(corpus) -> None:
    pairs = open_pairs(corpus())
    for split, scenes in LAID_OUT.items():
        assert {entry.scene for entry in pairs.of_split(split).entries} == set(scenes)
        assert all(entry.name.startswith(split) for entry in pairs.of_split(split).entries)
        assert fit.choose(pairs, split).entries == pairs.of_split(split).entries
    assert not len(pairs.of_split("val"))


def test_what_is_published_for_testing_is_not_trained_on(corpus) -> None:
    path = corpus()
    data = open_data(path)
    train, val = Mixture([data], (1,)).held_out()
    images = pipelines.open(path).images
    table = pipelines.open(path).table
    held = [
        {images.names[i].split("/")[0] for i in table["image"][part.datasets[0].numbers]}
        for part in (train, val)
    ]
    assert held == [{"train"}, {"train"}]
    assert (set(train.datasets[0].scenes), set(val.datasets[0].scenes)) == ({"a", "b"}, {"d"})
    # Beside a set of one's own: its scenes are split by their hash.
    assert data.published_test.sum() == (data.splits == 2).sum() > 0


def test_a_published_validation_set_is_validated_on(corpus) -> None:
    laid_out = {"train": ("a", "b"), "val": ("a",), "test": ("b",)}
    train, val = Mixture([open_data(corpus(laid_out))], (1,)).held_out()
    assert set(train.datasets[0].splits) == {0}
    assert set(val.datasets[0].splits) == {1}
    assert set(train.datasets[0].scenes) == {"a", "b"}


def test_nothing_but_tests(corpus) -> None:
    data = open_data(corpus({"test": ("a", "b", "c", "d", "e")}))
    with pytest.raises(MissingDataError, match="all of its samples are published for testing"):
        Mixture([data], (1,)).held_out()


def test_evaluate_by_the_published_split(corpus, run, tmp_path: Path) -> None:
    path = corpus()
    short = ("--iterations", 2, "--batch", 2, "--patch", 32, "--out", tmp_path / "run")
    assert run("train", "dncnn", "--preset", "dncnn-small", "--data", path, *short).exit_code == 0
    how = ("--on", "corpus", "--root", path, "--out", tmp_path / "e", "--split", "test")
    result = run("evaluate", tmp_path / "run", *how)
    assert result.exit_code == 0, result.output
    names = (tmp_path / "e").rglob("*.json")
    text = "".join(file.read_text() for file in names)
    assert "test/a/1:" in text
    assert "train/a/1:" not in text


def test_splits_by_hash_are_the_corpus_s(corpus, tmp_path: Path) -> None:
    path = corpus()
    folder = open_data(str(tmp_path / "of x.zarr"))
    scenes = list(folder.scenes)
    np.testing.assert_array_equal(folder.splits, prepare.splits(scenes))
    assert not folder.published_test.any()
    assert open_data(path).published_test.any()
