"""LSRW and LOL: layouts, splits, cameras; corpora and tests made of them."""

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

import denoisers
import pipelines
from catalogs import sources
from catalogs.sources import Shot
from denoisers import card as cards
from denoisers import protocols, published
from noisegen import metrics

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


def test_the_root_may_be_where_one_is(lsrw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(lsrw / "Eval" / "Nikon")
    assert known("lsrw", Path()) == {"1": ("LSRW 1", Shot(NIKON, split="test"))}


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


# Tests on the sets


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    """A network that leaves pictures dark, but not as they are."""
    path = tmp_path_factory.mktemp("net") / "a.safetensors"
    net = denoisers.create("r2rnet", seed=2, width=2)
    cards.save(path, net, cards.Card(model="r2rnet", options={"width": 2}, origin="a test"))
    return path


def evaluated(run, weights: Path, on: str, root: Path) -> tuple[dict, str]:
    out = root.parent / f"of-{on}"
    done = run("evaluate", weights, "--on", on, "--root", root, "--device", "cpu", "--out", out)
    assert done.exit_code == 0, done.output
    return json.loads((out / "results.json").read_text()), done.stderr


def bright(weights: Path, low: Path) -> np.ndarray:
    """What the network makes of a file, (H, W, 3) float32 in [0, 1]; sides are multiples of 8."""
    net, _ = published.load(weights)
    x = cv2.imread(str(low))[..., ::-1].astype(np.float32) / 255
    with torch.no_grad():
        y = net.eval()(torch.from_numpy(x.copy()).permute(2, 0, 1)[None])
    return y[0].permute(1, 2, 0).clamp(0, 1).numpy()


def test_lsrw_is_tested_by_camera_on_its_own_part(run, weights, lsrw: Path) -> None:
    plain, told = evaluated(run, weights, "lsrw", lsrw)
    assert "note: 4 pairs for training are left out" in told
    assert "note: 2 of the set's 50 pairs are there" in told
    assert {one["name"]: one["group"] for one in plain["scores"]} == {
        "Eval/Huawei/1": HUAWEI, "Eval/Nikon/1": NIKON,
    }  # fmt: skip
    assert set(plain["groups"]) == {HUAWEI, NIKON}
    script, _ = evaluated(run, weights, "lsrw-r2rnet", lsrw / "Eval")
    for one, other, camera in zip(
        plain["scores"], script["scores"], ("Huawei", "Nikon"), strict=True
    ):
        assert other["name"] == f"{camera}/1"
        folder = lsrw / "Eval" / camera
        high = cv2.imread(str(folder / "high/1.jpg"))[..., ::-1]
        made = bright(weights, folder / "low/1.jpg")
        rounded, cut = np.rint(made * 255).astype(np.uint8), (made * 255).astype(np.uint8)
        for found, codes in ((one, rounded), (other, cut)):
            assert found["psnr"] == pytest.approx(metrics.psnr(codes, high), abs=1e-4)
            assert found["ssim"] == pytest.approx(metrics.ssim(codes, high), abs=1e-5)
        assert one["psnr"] != other["psnr"]
        ratio = cv2.cvtColor(high, cv2.COLOR_RGB2GRAY).mean() / (
            255 * cv2.cvtColor(made, cv2.COLOR_RGB2GRAY).mean()
        )
        matched = np.rint(np.clip(made * ratio, 0, 1) * 255).astype(np.uint8)
        # OpenCV rounds the grey picture to 8 bits first.
        assert one["psnr_matched"] == pytest.approx(metrics.psnr(matched, high), abs=0.05)
        assert one["ssim_matched"] == pytest.approx(metrics.ssim(matched, high), abs=0.002)


def test_equal_pictures_have_100_db_in_the_script() -> None:
    x = np.full((16, 16, 3), 100 / 255, np.float32)
    plain, script = (protocols.entry(name).measures[0] for name in ("lol", "lol-r2rnet"))
    assert plain.of(x, x) == np.inf
    assert script.of(x, x) == 100
    # 0.7 of a code is one when rounded, and none when cut off.
    almost = x + np.float32(0.7 / 255)
    assert plain.of(almost, x) == pytest.approx(20 * np.log10(255))
    assert script.of(almost, x) == 100


def test_lol_is_tested_on_its_own_part(run, weights, refused, lol: Path) -> None:
    found, _ = evaluated(run, weights, "lol", lol)
    assert [one["name"] for one in found["scores"]] == ["eval15/1", "eval15/22"]
    assert not found["groups"]
    line = refused("evaluate", weights, "--on", "lol", "--root", lol / "our485")
    assert "its 3 pairs are those that lol has for training; give --root" in line


def test_a_test_names_pairs_of_different_scenes(run, weights, lol: Path) -> None:
    one, other = (lol / f"eval15/low/{number}.png" for number in (1, 22))
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)
    done = run("evaluate", weights, "--on", "lol", "--root", lol / "eval15", "--device", "cpu")
    assert done.exit_code == 2
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("noisegen: low/1.png and high/1.png show different scenes")
