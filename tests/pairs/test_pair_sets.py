"""What each layout of pairs tells by its names, on trees made here and on the real files."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from catalogs import sources
from catalogs.sources import Shot, sidd
from catalogs.sources.pair_folder import parse
from noisegen.errors import InputError, MissingDataError, RecipeError, UnreadableFileError

CAPTURE = "0001_001_S6_00100_00060_3200_L"
TEST_CAPTURE = "0059_003_G4_01600_00100_4400_N"


def known(name: str, root: Path, **options: str) -> dict[str, tuple[str, Shot]]:
    pairs = sources.open_pairs(name, root, **options).pairs()
    return {ref.name: (ref.scene, ref.shot) for ref in pairs}


def test_polyu(polyu: Path) -> None:
    found = known("polyu", polyu)
    assert len(found) == 6
    scene, shot = found["Sony_3-5_200_1600_door_2"]
    assert (scene, shot) == ("Sony door", Shot("Sony", 1600, 3.5, 1 / 200))
    assert {scene for scene, _ in found.values()} == {"Canon5D2 plug", "Canon5D2 toy", "Sony door"}


def test_cc(tmp_path: Path, pair) -> None:
    for name in ("5dmark3_iso3200_1", "d800_iso1600_3"):
        pair(tmp_path / f"{name}_real.png", tmp_path / f"{name}_mean.png", 1)
    assert known("cc", tmp_path) == {
        "5dmark3_iso3200_1": ("5dmark3_iso3200_1", Shot("5dmark3", 3200)),
        "d800_iso1600_3": ("d800_iso1600_3", Shot("d800", 1600)),
    }


def test_sidd_medium_and_its_published_split(tmp_path: Path, pair) -> None:
    for seed, capture in enumerate((CAPTURE, TEST_CAPTURE)):
        for number in ("010", "011"):
            folder = tmp_path / "Data" / capture
            instance = capture[:4]
            noisy = folder / f"{instance}_NOISY_SRGB_{number}.PNG"
            pair(noisy, folder / f"{instance}_GT_SRGB_{number}.PNG", seed)
    found = known("sidd", tmp_path)
    assert len(found) == 4
    assert found[f"Data/{CAPTURE}/0001_010"] == (
        "SIDD 001", Shot("S6", 100, None, 1 / 60, 3200, "train"),
    )  # fmt: skip
    assert found[f"Data/{TEST_CAPTURE}/0059_011"][1].split == "test"
    by_scene = known("sidd", tmp_path, split="scene")
    assert {shot.split for _, shot in by_scene.values()} == {""}


def test_sidd_cut_by_the_published_script(tmp_path: Path, pair) -> None:
    folder = tmp_path / CAPTURE
    noisy = folder / "noisy" / "0001_NOISY_SRGB_010_00001.png"
    pair(noisy, folder / "clean" / "0001_GT_SRGB_010_00001.png", 1)
    (found,) = known("sidd", tmp_path).items()
    assert found[0] == f"{CAPTURE}/0001_010_00001"
    assert found[1][1].camera == "S6"


def test_the_published_test_instances_are_30() -> None:
    assert len(sidd.TEST) == 4 + 5 + 10 + 4 + 7


def test_sidd_crops(tmp_path: Path, pair) -> None:
    for name in ("S6_03200_val0032-0023", "danet_256"):
        pair(tmp_path / f"{name}_noisy.png", tmp_path / f"{name}_clean.png", 1)
    pair(tmp_path / "noisy_only/x_noisy.png", tmp_path / "noisy_only/x_clean.png", 1)
    assert known("sidd-crops", tmp_path) == {
        "S6_03200_val0032-0023": ("SIDD val0032", Shot("S6", 3200)),
        "danet_256": ("danet_256", Shot()),
    }
    (line,) = sources.open_pairs("sidd-crops", tmp_path).skipped
    assert line == "2 pictures are no halves of a pair, first noisy_only/x_clean.png"


def test_renoir_has_two_noisy_pictures_of_a_clean_one(tmp_path: Path, pair) -> None:
    folder = tmp_path / "Mi3_Aligned/Batch_007"
    for number in (2, 3):
        pair(folder / f"IMG_{number}Noisy.bmp", folder / "IMG_1Reference.bmp", 5)
    (folder / "IMG_4full.bmp").write_bytes((folder / "IMG_1Reference.bmp").read_bytes())
    source = sources.open_pairs("renoir", tmp_path)
    refs = source.pairs()
    assert [ref.name for ref in refs] == [
        "Mi3_Aligned/Batch_007/IMG_2Noisy", "Mi3_Aligned/Batch_007/IMG_3Noisy",
    ]  # fmt: skip
    assert {ref.clean for ref in refs} == {"Mi3_Aligned/Batch_007/IMG_1Reference.bmp"}
    assert {(ref.scene, ref.shot) for ref in refs} == {
        ("RENOIR Xiaomi Mi3 7", Shot("Xiaomi Mi3")),
    }  # fmt: skip
    assert source.skipped == (
        "1 picture is no half of a pair, first Mi3_Aligned/Batch_007/IMG_4full.bmp",
    )
    assert [ref.name for ref in source.images()] == ["Mi3_Aligned/Batch_007/IMG_1Reference.bmp"]


def test_any_folder_knows_the_published_names_but_not_the_published_split(
    tmp_path: Path, pair
) -> None:
    folder = tmp_path / TEST_CAPTURE
    pair(folder / "0059_NOISY_SRGB_010.PNG", folder / "0059_GT_SRGB_010.PNG", 1)
    pair(tmp_path / "noisy/mine.png", tmp_path / "clean/mine.tif", 2)
    assert known("pairs", tmp_path) == {
        f"{TEST_CAPTURE}/0059_010": ("SIDD 003", Shot("G4", 1600, None, 1 / 100, 4400)),
        "mine": ("mine", Shot()),
    }


def test_a_pattern(tmp_path: Path, pair) -> None:
    for scene in ("desk", "door"):
        for iso in (400, 1600):
            where = tmp_path / "train" / scene
            pair(where / f"GP iso{iso} (1).png", where / "gt.png", len(scene))
    found = known(
        "pairs",
        tmp_path,
        pattern="{split}/{scene}/{camera} iso{iso} (*).png:{split}/{scene}/gt.png",
    )
    assert len(found) == 4
    told = found["train/door/GP iso1600 (1)"]
    assert told == ("door", Shot("GP", 1600, split="train"))


def test_a_pattern_of_one_noisy_picture_each(tmp_path: Path, pair) -> None:
    pair(tmp_path / "low/a.png", tmp_path / "high/a.png", 1)
    pair(tmp_path / "low/b.png", tmp_path / "high/b.png", 2)
    found = known("pairs", tmp_path, pattern="low/{name}.png:high/{name}.png")
    assert found == {"a": ("a", Shot()), "b": ("b", Shot())}


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("{name}.png", "is not NOISY:CLEAN"),
        ("a:b:c", "is not NOISY:CLEAN"),
        ("{name}.png:gt.png", "has no word in braces"),
        ("x.png:{name}.png", "{name} stands in the clean half's name and not in the noisy"),
        ("{nmae}.png:{nmae}_gt.png", "{nmae} is not one of name, scene, camera, iso, split"),
    ],
)
def test_patterns_that_are_none(pattern: str, text: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as error:
        parse(pattern)
    assert text in str(error.value)
    with pytest.raises(RecipeError):
        sources.open_pairs("pairs", tmp_path, pattern=pattern)


def test_the_clean_halves_are_a_source(polyu: Path) -> None:
    source = sources.open("polyu", polyu)
    refs = source.images()
    assert [ref.name for ref in refs] == sorted(p.name for p in polyu.glob("*_mean.JPG"))
    assert source.read(refs[0]).pixels.shape == (96, 96, 3)


def test_what_is_read(polyu: Path) -> None:
    source = pickle.loads(pickle.dumps(sources.open_pairs("polyu", polyu)))
    for ref in source.pairs():
        pair = source.read_pair(ref)
        assert source.size(ref) == pair.clean.shape[:2] == pair.noisy.shape[:2]
        assert pair.clean.dtype == np.uint8
        difference = pair.noisy.astype(float) - pair.clean
        assert 8 < difference.std() < 16  # of noise of 12, less what JPEG takes


def test_names_that_do_not_fit(tmp_path: Path, pair) -> None:
    pair(tmp_path / "a_real.png", tmp_path / "a_mean.png", 1)
    with pytest.raises(
        MissingDataError, match=r"no pair \(pictures there: 2\); name the halves CAM"
    ):
        sources.open_pairs("polyu", tmp_path).pairs()


def test_a_set_of_clean_pictures_is_none(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"'kodak' has clean pictures only: .*; sets of pairs are pairs"
    ):
        sources.open_pairs("kodak", tmp_path)


@pytest.mark.parametrize(
    ("ending", "bits"),
    [("png", 8), ("jpg", 8), ("bmp", 8), ("tif", 8), ("webp", 8), ("png", 16), ("tif", 16)],
)
def test_sizes_are_those_of_the_decoded_pictures(tmp_path: Path, pair, ending: str, bits: int):
    pair(tmp_path / f"a_noisy.{ending}", tmp_path / f"a_clean.{ending}", 1, (40, 72), bits=bits)
    source = sources.open_pairs("pairs", tmp_path)
    (ref,) = source.pairs()
    assert source.size(ref) == (40, 72)


def test_the_size_of_a_jpeg_that_exif_turns(tmp_path: Path, pair) -> None:
    pair(tmp_path / "a_noisy.jpg", tmp_path / "a_clean.jpg", 1, (40, 72))
    # Orientation 6: a quarter turn.
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
    for name in ("a_noisy.jpg", "a_clean.jpg"):
        data = (tmp_path / name).read_bytes()
        segment = b"\xff\xe1" + (len(exif) + 2).to_bytes(2) + exif
        (tmp_path / name).write_bytes(data[:2] + segment + data[2:])
    source = sources.open_pairs("pairs", tmp_path)
    (ref,) = source.pairs()
    assert source.size(ref) == source.read_pair(ref).clean.shape[:2] == (72, 40)


@pytest.mark.parametrize("data", [b"\xff\xd8\xff\xd9", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xc0\0"])
def test_a_file_without_a_size(tmp_path: Path, data: bytes) -> None:
    for name in ("a_noisy.jpg", "a_clean.jpg"):
        (tmp_path / name).write_bytes(data)
    source = sources.open_pairs("pairs", tmp_path)
    (ref,) = source.pairs()
    with pytest.raises(UnreadableFileError, match=r"a_clean\.jpg"):
        source.size(ref)


REAL = Path(os.environ.get("NOISEGEN_DATA", "")) / "pairs"


@pytest.mark.skipif(not REAL.is_dir(), reason="NOISEGEN_DATA does not hold pairs/")
@pytest.mark.parametrize(
    ("name", "folder", "pairs", "cameras"),
    [("polyu", "polyu", 60, 5), ("cc", "cc", 9, 3), ("sidd-crops", "sidd", 4, 3)],
)
def test_real_files(name: str, folder: str, pairs: int, cameras: int) -> None:
    found = known(name, REAL / folder)
    assert len(found) == pairs
    assert len({shot.camera for _, shot in found.values()}) == cameras
