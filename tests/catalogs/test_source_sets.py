"""Published sets: their layouts, their splits, and what is missing."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from catalogs import sources
from catalogs.sources.bsds import CBSD68
from catalogs.sources.fivek_ids import DUALDN_INVALID, DUALDN_TRAIN, DUALDN_VAL
from noisegen import raw
from noisegen.errors import MissingDataError, UnsupportedFileError

PICTURE = np.random.default_rng(3).integers(0, 256, (20, 30, 3), np.uint8)
DATA = os.environ.get("NOISEGEN_DATA")


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")


def listed(name: str, root: Path, **options: str) -> list[str]:
    return [ref.name for ref in sources.open(name, root, **options).images()]


def scenes(name: str, root: Path, **options: str) -> set[str]:
    return {ref.scene for ref in sources.open(name, root, **options).images()}


def test_dualdn_s_lists_are_whole_and_apart() -> None:
    assert [len(ids) for ids in (DUALDN_TRAIN, DUALDN_VAL, DUALDN_INVALID)] == [200, 20, 6]
    assert not DUALDN_TRAIN & DUALDN_VAL
    assert not (DUALDN_TRAIN | DUALDN_VAL) & DUALDN_INVALID
    every = DUALDN_TRAIN | DUALDN_VAL | DUALDN_INVALID
    assert all(len(n) == 4 and 1 <= int(n) <= 5000 for n in every)


def test_fivek_in_adobe_s_tree(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "raw_photos/HQa1to700/photos/a0001-jmac_DSC1459.dng",
        "raw_photos/HQa1to700/photos/a0371-WP_CRW_6330.dng",
        "raw_photos/HQa1to700/photos/a0002-dgw_005.DNG",
        "raw_photos/HQa1to700/photos/filesAdobe.txt",
        "raw_photos/HQa1401to2100/photos/a1437-kme_333.dng",
        "experts/a0001-jmac_DSC1459.tif",
        "a00011.dng",
    )
    assert scenes("fivek", tmp_path) == {"a0001", "a0002", "a0371", "a1437"}
    assert scenes("fivek", tmp_path, split="dualdn-train") == {"a0001"}
    assert scenes("fivek", tmp_path, split="dualdn-val") == {"a0371"}
    assert sources.open("fivek", tmp_path, split="dualdn-train").skipped == (
        "199 of 200 images of split 'dualdn-train' are not there, first a0024",
    )
    assert sources.open("fivek", tmp_path).skipped == ("stacked raws, refused when read: a1437",)


@pytest.mark.parametrize("text", ["a0007-x.dng\r\na0008-y.dng\r\n", "a0007-x.dng\na0008-y.dng"])
def test_fivek_flat_with_lists_of_its_own(tmp_path: Path, text: str) -> None:
    touch(tmp_path, *(f"Raw/a000{i}-x.dng" for i in range(1, 10)))
    (tmp_path / "list_file").mkdir()
    (tmp_path / "list_file" / "train_list.txt").write_bytes(text.encode())
    assert listed("fivek", tmp_path, split="dualdn-train") == ["Raw/a0007-x.dng", "Raw/a0008-x.dng"]
    (tmp_path / "list_file" / "val_list.txt").write_bytes(b"a0008-y.dng")
    assert scenes("fivek", tmp_path, split="dualdn-val") == {"a0008"}
    assert scenes("fivek", tmp_path, split="dualdn-train") == {"a0007"}


def test_fivek_reads_mosaics_and_refuses_stacked_raws(tmp_path: Path) -> None:
    import tifffile

    mosaic = np.random.default_rng(1).integers(0, 1000, (32, 40), np.uint16)
    raw.write_dng(tmp_path / "a0001-x.dng", mosaic, cfa="RGGB", black_level=0, white_level=1000)
    stacked = np.zeros((32, 40, 3), np.uint16)
    tifffile.imwrite(
        tmp_path / "a1437-x.dng",
        stacked,
        photometric=34892,
        metadata=None,
        extratags=[(50706, "B", 4, bytes([1, 4, 0, 0]), True)],
    )
    source = sources.open("fivek", tmp_path)
    good, bad = source.images()
    np.testing.assert_array_equal(source.read(good).pixels, mosaic)
    with pytest.raises(UnsupportedFileError, match="a1437-x"):
        source.read(bad)


def test_div2k_by_number(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "DIV2K_train_HR/0001.png",
        "DIV2K_train_HR/0800.png",
        "DIV2K_valid_HR/0801.png",
        "DIV2K_train_LR_bicubic/X2/0001x2.png",
        "DIV2K_train_LR_unknown/0002.png",
        "0901.png",
    )
    assert scenes("div2k", tmp_path) == {"0001", "0800"}
    assert scenes("div2k", tmp_path, split="valid") == {"0801"}
    assert scenes("div2k", tmp_path, split="all") == {"0001", "0800", "0801"}


def test_bsds_by_folder_and_by_number(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "BSDS500/data/images/train/100075.jpg",
        "BSDS500/data/images/val/101085.jpg",
        "BSDS500/data/images/val/3096.jpg",
        "BSDS500/data/images/test/100007.jpg",
        "BSDS500/data/images/test/Thumbs.db",
        "CBSD68/3096.png",
    )
    assert scenes("bsds", tmp_path) == {"100075", "101085", "3096", "100007"}
    assert scenes("bsds", tmp_path, split="train") == {"100075"}
    assert scenes("bsds", tmp_path, split="val") == {"101085", "3096"}
    assert scenes("bsds", tmp_path, split="cbsd68") == {"101085", "3096"}
    assert scenes("bsds", tmp_path, split="cbsd432") == {"100075", "100007"}
    assert sources.open("bsds", tmp_path).skipped == ("1 further copies of scenes that are listed",)
    below = tmp_path / "BSDS500" / "data" / "images" / "test"
    assert listed("bsds", below, split="test") == ["100007.jpg"]
    with pytest.raises(MissingDataError, match=r"no picture of split 'train'.*noisegen sources"):
        listed("bsds", below, split="train")


def test_kodak_and_its_check(tmp_path: Path) -> None:
    good = cv2.imencode(".png", PICTURE)[1].tobytes()
    for number in (1, 12, 24):
        (tmp_path / f"kodim{number:02d}.png").write_bytes(good)
    (tmp_path / "kodim03.png").write_bytes(good[:-10])
    (tmp_path / "kodim25.png").write_bytes(good)
    checked = sources.check("kodak", tmp_path)
    assert checked.splits == (sources.SplitCheck("all", 4, 24),)
    assert checked.opened == 4
    (line,) = checked.unreadable
    assert "kodim03.png" in line
    assert sources.check("kodak", tmp_path, limit=2).opened == 2


def test_check_counts_each_split(tmp_path: Path) -> None:
    touch(tmp_path, "Raw/a0001-x.dng", "Raw/a0024.dng", "Raw/a0371-x.dng", "Raw/a0003.dng")
    checked = sources.check("fivek", tmp_path)
    assert [(s.name, s.found, s.expected) for s in checked.splits] == [
        ("all", 4, 5000),
        ("dualdn-train", 2, 200),
        ("dualdn-val", 1, 20),
    ]
    assert len(checked.unreadable) == 4


@pytest.mark.skipif(DATA is None, reason="real files: set NOISEGEN_DATA to their folder")
def test_real_sets() -> None:
    clean = Path(str(DATA)) / "clean"
    assert scenes("bsds", clean, split="cbsd68") == CBSD68
    assert len(CBSD68) == 68
    assert len(scenes("bsds", clean, split="train")) == 200
    kodak = sources.open("kodak", clean / "kodak24")
    assert len(kodak.images()) == 12
    assert kodak.read(kodak.images()[0]).pixels.shape == (500, 500, 3)
