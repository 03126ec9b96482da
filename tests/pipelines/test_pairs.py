"""Pairs by their names: every published way of naming, and one line for what is wrong."""

import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest

from noisegen.errors import (
    CorpusMismatchError,
    InputError,
    MissingDataError,
    UnreadableFileError,
)
from pipelines.pairs import open_pairs

RNG = np.random.default_rng(3)


def write(path: Path, rgb=None) -> np.ndarray:
    rgb = RNG.integers(0, 256, (12, 16, 3), np.uint8) if rgb is None else rgb
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), rgb[..., ::-1])
    return rgb


NAMES = {
    # noisy half, clean half: name, scene, camera
    ("5dmark3_iso3200_1_real.png", "5dmark3_iso3200_1_mean.png"): (
        "5dmark3_iso3200_1", "5dmark3_iso3200_1", "5dmark3",
    ),
    ("Canon5D2_5_160_3200_plug_11_real.png", "Canon5D2_5_160_3200_plug_11_mean.png"): (
        "Canon5D2_5_160_3200_plug_11", "Canon5D2 plug", "Canon5D2",
    ),
    ("Canon600D_4-5_125_1600_toy_1_Real.PNG", "Canon600D_4-5_125_1600_toy_1_mean.png"): (
        "Canon600D_4-5_125_1600_toy_1", "Canon600D toy", "Canon600D",
    ),
    (
        "Data/0001_001_S6_00100_00060_3200_L/0001_NOISY_SRGB_010.PNG",
        "Data/0001_001_S6_00100_00060_3200_L/0001_GT_SRGB_010.PNG",
    ): ("Data/0001_001_S6_00100_00060_3200_L/0001_010", "SIDD 001", "S6"),
    (
        "0199_010_GP_01600_03200_5500_N/NOISY_SRGB_011.PNG",
        "0199_010_GP_01600_03200_5500_N/GT_SRGB_011.PNG",
    ): ("0199_010_GP_01600_03200_5500_N/011", "SIDD 010", "GP"),
    ("GP_06400_val0018-0017_noisy.png", "GP_06400_val0018-0017_clean.png"): (
        "GP_06400_val0018-0017", "SIDD val0018", "GP",
    ),
    ("val0003_30_noisy.png", "val0003_30_clean.png"): ("val0003_30", "SIDD val0003", ""),
    ("a/noisy/x.png", "a/clean/x.tif"): ("a/x", "a/x", ""),
    ("noisy/x_noisy.png", "clean/x_clean.png"): ("x", "x", ""),
    ("street/noisy.png", "street/clean.png"): ("street", "street", ""),
    ("noisy.png", "clean.png"): ("pair", "pair", ""),
}  # fmt: skip


@pytest.mark.parametrize(("files", "known"), NAMES.items(), ids=[k[0] for k in NAMES])
def test_halves_are_found_by_their_names(tmp_path, files, known):
    noisy, clean = (write(tmp_path / name) for name in files)
    (pair,) = open_pairs(tmp_path)
    assert (pair.name, pair.scene, pair.camera) == known
    np.testing.assert_array_equal(pair.noisy, noisy)
    np.testing.assert_array_equal(pair.clean, clean)


@pytest.mark.parametrize(
    ("name", "iso"),
    [
        ("d800_iso6400_2", 6400),
        ("0001_001_S6_00100_00060_3200_L/0001_GT", 100),
        ("S6_03200_val0032-0023", 3200),
        ("Canon5D2_5_160_3200_plug_11", 3200),
        ("Nikon_1_5_100_book_1", 100),
        ("mine/ISO-800 kitchen", 800),
        ("holiday_3", None),
        ("miso12_3", None),
        ("isolde_3", None),
    ],
)
def test_isos_are_read_from_names(tmp_path, name, iso):
    for half in ("noisy", "clean"):
        path = f"{name.replace('_GT', '')}_{half}.png"
        if name.endswith("_GT"):
            path = f"{name.replace('GT', {'noisy': 'NOISY_SRGB', 'clean': 'GT_SRGB'}[half])}.png"
        write(tmp_path / path)
    (entry,) = open_pairs(tmp_path).entries
    assert entry.iso == iso


def test_crops_of_one_scene_have_one_scene_and_can_be_taken(tmp_path):
    for name in ("plug_11", "plug_12", "toy_11"):
        for half in ("real", "mean"):
            write(tmp_path / f"Canon5D2_5_160_3200_{name}_{half}.png")
    pairs = open_pairs(tmp_path)
    assert pairs.scenes == ("Canon5D2 plug", "Canon5D2 toy")
    plugs = pairs.of_scenes({"Canon5D2 plug"})
    assert [p.name[-7:] for p in plugs] == ["plug_11", "plug_12"]
    (last,) = plugs.take([1])
    np.testing.assert_array_equal(last.noisy, pairs[1].noisy)
    (again,) = pickle.loads(pickle.dumps(plugs.take([1])))
    np.testing.assert_array_equal(again.noisy, last.noisy)


def test_sixteen_bits_stay(tmp_path):
    rgb = RNG.integers(0, 65536, (8, 8, 3), np.uint16)
    write(tmp_path / "a_noisy.png", rgb)
    write(tmp_path / "a_clean.png", rgb)
    (pair,) = open_pairs(tmp_path)
    assert pair.noisy.dtype == np.uint16
    np.testing.assert_array_equal(pair.noisy, rgb)


def test_pictures_that_are_no_half_are_named(tmp_path):
    for name in ("a_noisy.png", "a_clean.png", "sheet.png", "noisy_only/b_noisy.png"):
        write(tmp_path / name)
    pairs = open_pairs(tmp_path)
    assert len(pairs) == 1
    assert pairs.skipped == ("noisy_only/b_noisy.png", "sheet.png")


@pytest.mark.parametrize("there", ["a_noisy.png", "a_mean.png", "clean/a.png"])
def test_a_missing_half(tmp_path, there):
    for name in ("b_noisy.png", "b_clean.png", there):
        write(tmp_path / name)
    with pytest.raises(MissingDataError, match=r"half is not there; add it") as error:
        open_pairs(tmp_path)
    assert str(tmp_path / there) in str(error.value)


def test_two_files_for_one_half(tmp_path):
    for name in ("a_noisy.png", "a_noisy.bmp", "a_clean.png"):
        write(tmp_path / name)
    with pytest.raises(InputError, match=r"a_noisy\.bmp and a_noisy\.png are both the noisy half"):
        open_pairs(tmp_path)


def test_halves_of_other_size_or_depth(tmp_path):
    write(tmp_path / "a_noisy.png")
    write(tmp_path / "a_clean.png", RNG.integers(0, 256, (12, 14, 3), np.uint8))
    with pytest.raises(InputError, match=r"a_noisy\.png and \S+a_clean\.png are 16x12 and 14x12"):
        open_pairs(tmp_path)[0]
    write(tmp_path / "a_clean.png", RNG.integers(0, 256, (12, 16, 3), np.uint16))
    with pytest.raises(InputError, match=r"a_noisy\.png is uint8, \S+a_clean\.png uint16"):
        open_pairs(tmp_path)[0]


def test_no_pair_and_no_folder(tmp_path):
    write(tmp_path / "a.png")
    with pytest.raises(MissingDataError, match=r"no pair \(pictures there: 1\); name the halves"):
        open_pairs(tmp_path)
    with pytest.raises(MissingDataError, match="there is no such folder"):
        open_pairs(tmp_path / "none")


def test_a_damaged_half_is_named(tmp_path):
    for name in ("a_noisy.png", "a_clean.png"):
        write(tmp_path / name)
    data = (tmp_path / "a_noisy.png").read_bytes()
    (tmp_path / "a_noisy.png").write_bytes(data[:-20])
    with pytest.raises(UnreadableFileError, match=r"a_noisy\.png"):
        open_pairs(tmp_path)[0]


@pytest.mark.parametrize("changes", [{}, {"stage": "both"}, {"lazy": True}, {"bits": 16}])
def test_the_samples_of_a_corpus_are_pairs(made, tmp_path, changes):
    corpus = made(**changes)
    pairs = open_pairs(tmp_path / "c.zarr")
    assert len(pairs) == 12
    assert len(pairs.scenes) == 3
    for number, pair in enumerate(pairs):
        sample = corpus[number]
        assert pair.scene == corpus.images.scenes[int(sample.row["image"])]
        assert pair.camera == "GP"
        np.testing.assert_array_equal(pair.noisy, sample.arrays["noisy"])
        np.testing.assert_array_equal(pair.clean, sample.arrays["clean"])


@pytest.mark.parametrize("stage", ["raw", "linear"])
def test_a_corpus_without_srgb(made, tmp_path, stage):
    made(stage=stage)
    with pytest.raises(CorpusMismatchError, match="make one with --stage srgb or both"):
        open_pairs(tmp_path / "c.zarr")
