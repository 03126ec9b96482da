"""LSRW and LOL: layouts, splits, cameras; corpora and tests made of them."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

import pipelines
from catalogs import sources
from catalogs.sources import Shot

from .conftest import picture, write

HUAWEI, NIKON = "Huawei P40 Pro", "Nikon D7500"


@pytest.fixture
def dark() -> Callable[..., None]:
    """Write a dark, noisy picture and the bright one of the same scene."""

    def put(low: Path, high: Path, seed: int, size: tuple[int, int] = (96, 128)) -> None:
        scene = picture(seed, *size)
        write(high, scene)
        write(low, scene * 0.15 + np.random.default_rng(seed).normal(0, 3, scene.shape))

    return put


@pytest.fixture
def lsrw(tmp_path: Path, dark: Callable[..., None]) -> Path:
    """Two pairs for training and one for testing of each camera; names begin anew in each part."""
    root, seed = tmp_path / "LSRW", 0
    for part, count in (("Training data", 2), ("Eval", 1)):
        for camera, size in (("Huawei", (96, 128)), ("Nikon", (80, 120))):
            for number in range(1, count + 1):
                seed += 1
                folder = root / part / camera
                dark(folder / f"low/{number}.jpg", folder / f"high/{number}.jpg", seed, size)
    return root


@pytest.fixture
def lol(tmp_path: Path, dark: Callable[..., None]) -> Path:
    root = tmp_path / "LOLdataset"
    for part, numbers in (("our485", (2, 5, 6)), ("eval15", (1, 22))):
        for number in numbers:
            dark(root / f"{part}/low/{number}.png", root / f"{part}/high/{number}.png", number)
    return root


def known(name: str, root: Path, **options: str) -> dict[str, tuple[str, Shot]]:
    pairs = sources.open_pairs(name, root, **options).pairs()
    return {ref.name: (ref.scene, ref.shot) for ref in pairs}


def test_lsrw_names_camera_and_split(lsrw: Path) -> None:
    assert known("lsrw", lsrw) == {
        f"{part}/{camera}/{number}": (f"LSRW {part}/{camera}/{number}", Shot(full, split=split))
        for part, split, numbers in (("Eval", "test", (1,)), ("Training data", "train", (1, 2)))
        for camera, full in (("Huawei", HUAWEI), ("Nikon", NIKON))
        for number in numbers
    }


@pytest.mark.parametrize(
    ("below", "name", "shot"),
    [
        ("Eval", "Nikon/1", Shot(NIKON, split="test")),
        ("Eval/Nikon", "1", Shot(NIKON, split="test")),
        ("Training data/Huawei", "2", Shot(HUAWEI, split="train")),
    ],
)
def test_the_root_may_be_a_folder_of_lsrw(lsrw: Path, below: str, name: str, shot: Shot) -> None:
    assert known("lsrw", lsrw / below)[name] == (f"LSRW {name}", shot)


def test_the_official_folder_of_tests_tells_no_camera(tmp_path: Path, dark) -> None:
    dark(tmp_path / "data/eval/low/a.jpg", tmp_path / "data/eval/high/a.jpg", 1)
    assert known("lsrw", tmp_path / "data") == {"eval/a": ("LSRW eval/a", Shot(split="test"))}


def test_one_camera_of_lsrw(lsrw: Path, refused, tmp_path: Path) -> None:
    found = known("lsrw", lsrw, camera="nikon")
    assert {shot.camera for _, shot in found.values()} == {NIKON}
    assert len(found) == 3
    line = refused(
        "ingest", "lsrw", "--root", lsrw, "--source-option", "camera=canon",
        "--out", tmp_path / "x.zarr",
    )  # fmt: skip
    assert "camera='canon' of source 'lsrw' is not one of all, huawei, nikon" in line


def test_lol_of_both_versions(lol: Path, dark, tmp_path: Path) -> None:
    found = known("lol", lol)
    assert {name: shot.split for name, (_, shot) in found.items()} == {
        "eval15/1": "test", "eval15/22": "test",
        "our485/2": "train", "our485/5": "train", "our485/6": "train",
    }  # fmt: skip
    assert known("lol", lol / "eval15")["22"] == ("LOL 22", Shot(split="test"))
    second = tmp_path / "LOL-v2"
    real = second / "Real_captured/Test"
    dark(real / "Low/low00690.png", real / "Normal/normal00690.png", 1)
    made = second / "Synthetic/Train"
    dark(made / "Low/r001d2a51t.png", made / "Normal/r001d2a51t.png", 2)
    assert {name: shot.split for name, (_, shot) in known("lol", second).items()} == {
        "Real_captured/Test/00690": "test", "Synthetic/Train/r001d2a51t": "train",
    }  # fmt: skip


def test_ingest(run, lsrw: Path, tmp_path: Path) -> None:
    out = tmp_path / "lsrw.zarr"
    done = run("ingest", "lsrw", "--root", lsrw, "--out", out, "--patch", 80, "--stride", 40)
    assert done.exit_code == 0, done.output
    corpus = pipelines.open(out)
    # 96x128: two rows, three columns; 80x120: one row, two columns.
    assert len(corpus) == 3 * 6 + 3 * 2
    images = corpus.images
    numbers = {name: number for number, name in enumerate(images.names)}
    splits = {name: int(images.split[number]) for name, number in numbers.items()}
    assert {name for name, split in splits.items() if split == 2} == {
        "Eval/Huawei/1", "Eval/Nikon/1",
    }  # fmt: skip
    assert set(splits.values()) == {0, 2}
    assert set(images.cameras) == {HUAWEI, NIKON}
    sample = corpus[int(np.flatnonzero(corpus.table["image"] == numbers["Eval/Nikon/1"])[0])]
    for half, folder in (("noisy", "low"), ("clean", "high")):
        stored = cv2.imread(str(lsrw / f"Eval/Nikon/{folder}/1.jpg"))[..., ::-1]
        np.testing.assert_array_equal(sample.arrays[half], stored[:80, :80])


def test_pairs_of_different_scenes_are_named(refused, run, lol: Path, tmp_path: Path) -> None:
    one, other = (lol / f"our485/low/{number}.png" for number in (2, 5))
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)
    told = ("ingest", "lol", "--root", lol, "--patch", 96, "--out", tmp_path / "x.zarr")
    line = refused(*told)
    assert "our485/low/2.png and our485/high/2.png show different scenes" in line
    done = run(*told[:-1], tmp_path / "y.zarr", "--max-bad", 0.5)
    assert done.exit_code == 0, done.output


def test_a_half_that_is_missing_is_named(refused, lol: Path, tmp_path: Path) -> None:
    (lol / "our485/low/5.png").unlink()
    line = refused("ingest", "lol", "--root", lol, "--out", tmp_path / "x.zarr")
    assert "our485/high/5.png is the clean half of a pair whose noisy half is not there" in line


def test_a_folder_without_the_layout(refused, tmp_path: Path, dark) -> None:
    dark(tmp_path / "set/dark/1.png", tmp_path / "set/bright/1.png", 1)
    line = refused("ingest", "lsrw", "--root", tmp_path / "set", "--out", tmp_path / "x.zarr")
    assert "no pair (pictures there: 2); halves of one name lie in Huawei/low" in line
