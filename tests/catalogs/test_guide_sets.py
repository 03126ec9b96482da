"""Sets of pictures and guides: their layouts, and what does not lie on each other."""

import os
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from catalogs import sources
from catalogs.sources.faid_lists import TEST, VALIDATION
from catalogs.sources.guide_set import moved
from noisegen.errors import InputError, MissingDataError, RecipeError, UnreadableFileError

DATA = os.environ.get("NOISEGEN_DATA")
real = pytest.mark.skipif(not DATA, reason="needs NOISEGEN_DATA")


def scene(seed: int, height: int = 300, width: int = 280) -> np.ndarray:
    """Return a grey picture of smooth blobs, (H, W) uint8."""
    noise = np.random.default_rng(seed).normal(size=(height, width)).astype(np.float32)
    blobs = cv2.GaussianBlur(noise, (0, 0), 3)
    return np.clip(128 + 40 * blobs / blobs.std(), 0, 255).astype(np.uint8)


def write(path: Path, picture: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), picture)


def colour(grey: np.ndarray) -> np.ndarray:
    return np.stack([grey // 2, grey, 255 - grey // 3], -1)


def read(name: str, root: Path, guide: str = "nir", **options: str) -> sources.SourceImage:
    source = sources.open(name, root, guide=guide, **options)
    return source.read(source.images()[0])


@pytest.mark.parametrize(
    ("picture", "guide", "key"),
    [
        ("country/0004_rgb.tiff", "country/0004_nir.tiff", "country/0004"),
        ("a-RGB.png", "a-NIR.jpg", "a"),
        ("x/rgb/7.png", "x/nir/7.png", "x/7"),
    ],
)
def test_rgb_and_nir_are_paired_by_name(tmp_path: Path, picture: str, guide: str, key: str) -> None:
    grey = scene(1)
    write(tmp_path / picture, colour(grey))
    write(tmp_path / guide, 255 - grey)
    write(tmp_path / "cover.png", grey)
    source = sources.open("rgbnir", tmp_path, guide="nir")
    (ref,) = source.images()
    assert (ref.name, ref.scene) == (picture, key)
    assert source.skipped == ("1 file is no half of a pair, first cover.png",)
    image = source.read(ref)
    np.testing.assert_array_equal(image.pixels, colour(grey)[..., ::-1])
    assert image.guide.shape == (300, 280, 1)
    assert np.abs(image.guide[..., 0].astype(int) - (255 - grey)).max() <= 12  # JPEG
    assert sources.open("rgbnir", tmp_path).read(ref).guide is None


def test_what_is_not_a_pair_is_one_line(tmp_path: Path) -> None:
    write(tmp_path / "a_rgb.png", colour(scene(1)))
    with pytest.raises(
        MissingDataError, match=r"a_rgb\.png is the picture \(rgb\) .* near infrared \(nir\) is not"
    ):
        sources.open("rgbnir", tmp_path).images()
    write(tmp_path / "a_nir.png", scene(1)[:, :-1])
    with pytest.raises(InputError, match=r"a_nir\.png are 280x300 and 279x300 pixels"):
        read("rgbnir", tmp_path)
    write(tmp_path / "a_nir.png", scene(2))
    with pytest.raises(InputError, match=r"a_nir\.png shows nothing of what .*a_rgb\.png shows"):
        read("rgbnir", tmp_path)
    write(tmp_path / "a_nir.png", np.roll(scene(1), (6, -9), (0, 1)))
    with pytest.raises(InputError, match=r"a_nir\.png lies 6 rows and -9 columns off"):
        read("rgbnir", tmp_path)
    write(tmp_path / "a_nir.png", np.roll(scene(1), 1, 0))
    assert read("rgbnir", tmp_path).guide is not None
    write(tmp_path / "a-nir.png", scene(1))
    with pytest.raises(InputError, match=r"a-nir\.png and a_nir\.png are both the near infrared"):
        sources.open("rgbnir", tmp_path).images()
    with pytest.raises(RecipeError, match="source 'rgbnir' has no guide 'flash'; it has: nir"):
        sources.open("rgbnir", tmp_path, guide="flash")
    (tmp_path / "empty").mkdir()
    for name in ("faid", "dvd"):
        with pytest.raises(MissingDataError, match=r"no pair of .* of split 'train' under"):
            sources.open(name, tmp_path / "empty").images()
    with pytest.raises(MissingDataError, match="no pair of picture"):
        sources.open("rgbnir", tmp_path / "empty").images()


def test_small_and_flat_pictures_are_not_judged_by_what_they_show(tmp_path: Path) -> None:
    write(tmp_path / "a_rgb.png", colour(scene(1, 100, 100)))
    write(tmp_path / "a_nir.png", scene(2, 100, 100))
    assert read("rgbnir", tmp_path).guide is not None
    flat = np.full((300, 300, 1), 7, np.uint8)
    assert moved(flat, flat) == ((0, 0), 0.0)


@real
def test_real_scenes_are_in_register_and_told_apart() -> None:
    source = sources.open("rgbnir", Path(DATA) / "guided" / "rgbnir", guide="nir")
    refs = source.images()
    assert len(refs) == 12
    first, second = (source.read(ref) for ref in refs[:2])
    rows = min(first.pixels.shape[0], second.pixels.shape[0])
    assert moved(first.pixels[:rows], first.guide[:rows])[1] > 60
    assert moved(first.pixels[:rows], second.guide[:rows])[1] < 12


def flash_pair(root: Path, key: str, seed: int) -> None:
    write(root / f"{key}_ambient.png", colour(scene(seed)))
    write(root / f"{key}_flash.png", colour(np.roll(scene(seed), 1, 1)))


def test_faid_s_lists_are_whole_and_apart() -> None:
    assert (len(TEST), len(VALIDATION)) == (256, 256)
    assert not TEST & VALIDATION
    for names, counts in (
        (TEST, {"Rooms": 83, "Objects": 55, "Shelves": 35, "Toys": 32, "People": 31, "Plants": 20}),
        (
            VALIDATION,
            {"Rooms": 65, "Objects": 62, "Shelves": 45, "Toys": 25, "People": 29, "Plants": 30},
        ),
    ):
        assert Counter(name.rsplit("_", 1)[0] for name in names) == counts


def test_faid_by_its_lists_in_any_folders(tmp_path: Path) -> None:
    flash_pair(tmp_path / "a_b" / "test", "Objects_012", 1)  # an underscore in a folder's name
    flash_pair(tmp_path / "train", sorted(VALIDATION)[0], 2)
    flash_pair(tmp_path / "train", "Toys_999", 3)
    write(tmp_path / "train" / "Toys_998.png", scene(4))

    def keys(split: str) -> list[str]:
        images = sources.open("faid", tmp_path, guide="flash", split=split).images()
        return [ref.scene for ref in images]

    assert keys("test") == ["Objects_012"]
    assert keys("val") == [sorted(VALIDATION)[0]]
    assert keys("train") == ["Toys_999"]
    assert len(keys("all")) == 3
    image = read("faid", tmp_path, "flash", split="train")
    np.testing.assert_array_equal(image.pixels, colour(scene(3))[..., ::-1])
    np.testing.assert_array_equal(image.guide, colour(np.roll(scene(3), 1, 1))[..., ::-1])
    found = sources.check("faid", tmp_path)
    assert [(s.name, s.found, s.expected) for s in found.splits] == [
        ("val", 1, 256),
        ("test", 1, 256),
    ]
    (tmp_path / "train" / "Toys_999_flash.png").unlink()
    with pytest.raises(MissingDataError, match="ambient picture of a pair whose flash photo is"):
        keys("train")


@real
def test_a_real_flash_pair_is_in_register() -> None:
    image = read("faid", Path(DATA) / "guided" / "flash", "flash", split="all")
    assert image.guide.shape == image.pixels.shape == (1440, 1080, 3)
    source = sources.open("faid", Path(DATA) / "guided" / "flash", split="test")
    assert [ref.scene for ref in source.images()] == ["Toys_371"]


def planes(seed: int, h: int = 20, w: int = 24, dtype: type = np.float64) -> np.ndarray:
    return (1023 * np.random.default_rng(seed).random((h, w, 16))).astype(dtype)


def save(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, array)


def dark_pair(root: Path, name: str, mosaic: np.ndarray, infrared: np.ndarray) -> None:
    save(root / "RGB" / name, mosaic)
    save(root / "NIR" / name, infrared)


@pytest.mark.parametrize("folder", ["train_raw", "DVD_train_raw"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint16])
def test_dvd_s_frames_and_their_infrared(tmp_path: Path, folder: str, dtype: type) -> None:
    mosaic, infrared = planes(1, dtype=dtype), planes(2, dtype=dtype)
    dark_pair(tmp_path / folder, "0007.npy", mosaic, infrared)
    dark_pair(tmp_path / "DVD_real", "1.npy", planes(3), planes(4))
    source = sources.open("dvd", tmp_path, guide="nir")
    (ref,) = source.images()
    assert (ref.name, ref.scene) == (f"{folder}/RGB/0007.npy", "0007")
    assert source.skipped == (
        "2 files are no halves of a pair of split 'train', first DVD_real/NIR/1.npy",
    )
    image = source.read(ref)
    assert (image.kind, image.pixels.dtype, image.pixels.shape) == ("rgbir", np.float32, (80, 96))
    for p in range(16):
        plane = image.pixels[p // 4 :: 4, p % 4 :: 4]
        np.testing.assert_array_equal(plane, mosaic[..., p].astype(np.float32))
        light = image.guide[p // 4 :: 4, p % 4 :: 4, 0]
        np.testing.assert_allclose(light, infrared[..., p] / 1023, rtol=1e-6)
    assert sources.open("dvd", tmp_path / folder).images()[0].name == "RGB/0007.npy"


def test_dvd_s_splits_and_the_middle_of_frames(tmp_path: Path) -> None:
    frame = np.repeat(4 * scene(1, 320, 564)[..., None].astype(np.float32), 16, -1)
    dark_pair(tmp_path / "train_raw", "a.npy", frame, frame)
    dark_pair(tmp_path / "test", "b.npy", frame, frame)
    dark_pair(tmp_path / "train", "3_17.png.npy", planes(2), planes(2))

    def pixels(**options: str) -> np.ndarray:
        source = sources.open("dvd", tmp_path, guide="nir", **options)
        found = read("dvd", tmp_path, **options).pixels
        assert source.size(source.images()[0]) == found.shape
        return found

    whole = pixels(region="whole")
    assert whole.shape == (1280, 2256)
    np.testing.assert_array_equal(pixels(), whole[256:1264, 448:2240])
    np.testing.assert_array_equal(pixels(split="test"), whole)
    (ref,) = sources.open("dvd", tmp_path, split="patches").images()
    assert (ref.name, ref.scene) == ("train/RGB/3_17.png.npy", "3")
    assert pixels(split="patches").shape == (80, 96)


@pytest.mark.parametrize(
    ("mosaic", "line"),
    [
        (np.zeros((20, 24, 4)), r"a\.npy is 20x24x4; mosaics are height x width x 16"),
        (np.full((20, 24, 16), -1.0), r"a\.npy has values from -1 to -1; planes are from 0 to"),
        (np.full((20, 24, 16), np.nan), r"a\.npy has values from nan to nan"),
        (np.full((20, 24, 16), "x"), r"a\.npy holds <U1"),
        (planes(1, 20, 20), r"RGB/a\.npy and its guide .*NIR/a\.npy are 20x20 and 24x20 pixels"),
    ],
)
def test_a_mosaic_of_dvd_that_is_none_is_one_line(
    tmp_path: Path, mosaic: np.ndarray, line: str
) -> None:
    dark_pair(tmp_path / "train_raw", "a.npy", mosaic, planes(1))
    with pytest.raises(InputError, match=line):
        read("dvd", tmp_path)


def test_a_damaged_or_missing_half_of_dvd_is_one_line(tmp_path: Path) -> None:
    dark_pair(tmp_path / "train_raw", "a.npy", planes(1), planes(1))
    path = tmp_path / "train_raw" / "RGB" / "a.npy"
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(UnreadableFileError, match=r"RGB/a\.npy is no NumPy file"):
        read("dvd", tmp_path)
    path.write_bytes(b"no")
    source = sources.open("dvd", tmp_path)
    with pytest.raises(UnreadableFileError, match=r"RGB/a\.npy is no NumPy file"):
        source.size(source.images()[0])
    (tmp_path / "train_raw" / "NIR" / "a.npy").unlink()
    with pytest.raises(MissingDataError, match=r"mosaic \(RGB\) of a pair whose near infrared"):
        sources.open("dvd", tmp_path).images()
