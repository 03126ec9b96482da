"""Sets of pictures and guides: their layouts, and what does not lie on each other."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from catalogs import sources
from catalogs.sources.guide_set import moved
from noisegen.errors import InputError, MissingDataError, RecipeError

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
    assert source.skipped == ("1 file is no half of a pair of this split, first cover.png",)
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
