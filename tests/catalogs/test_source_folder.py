"""The folder source: any mixture, in order, every refusal with the file's name."""

import hashlib
import json
import os
import pickle
from pathlib import Path

import cv2
import fsspec
import numpy as np
import pytest

from catalogs import sources
from noisegen import raw
from noisegen.errors import MissingDataError, UnreadableFileError, UnsupportedFileError

RNG = np.random.default_rng(8)
RGB = RNG.integers(0, 256, (24, 40, 3), np.uint8)
MOSAIC = RNG.integers(64, 1024, (32, 48), np.uint16)
SHEET = {"cfa": "GRBG", "black_level": 64, "white_level": 1023, "width": 48, "height": 32}


def png(pixels: np.ndarray) -> bytes:
    return cv2.imencode(".png", pixels[..., ::-1] if pixels.ndim == 3 else pixels)[1].tobytes()


def write(root: Path, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    root = tmp_path / "mixed"
    write(
        root,
        {
            "b/picture.PNG": png(RGB),
            "a/grey.png": png(MOSAIC),
            "a/mosaic.png": png(MOSAIC),
            "a/mosaic.json": json.dumps(SHEET).encode(),
            "frame.raw": MOSAIC.tobytes(),
            "frame.json": json.dumps(SHEET).encode(),
            ".hidden/picture.png": png(RGB),
            "a/.thumbs.png": png(RGB),
            "__MACOSX/a/grey.png": png(RGB),
            "notes.txt": b"hello",
            "b/more.txt": b"hello",
            "LICENCE": b"none",
        },
    )
    raw.write_dng(root / "b" / "shot.dng", MOSAIC, cfa="BGGR", black_level=64, white_level=1023)
    return root


def read(source: sources.Source, name: str) -> sources.SourceImage:
    return source.read(next(ref for ref in source.images() if ref.name == name))


def test_lists_everything_sorted_without_hidden_files(mixed: Path) -> None:
    source = sources.open("folder", mixed)
    refs = source.images()
    assert [ref.name for ref in refs] == [
        "a/grey.png",
        "a/mosaic.png",
        "b/picture.PNG",
        "b/shot.dng",
        "frame.raw",
    ]
    assert [ref.scene for ref in refs] == ["a/grey", "a/mosaic", "b/picture", "b/shot", "frame"]


def test_unknown_endings_are_named_once(mixed: Path) -> None:
    assert sources.open("folder", mixed).skipped == (
        "1 file without an ending, first LICENCE",
        "2 files ending in .txt, first b/more.txt",
    )


@pytest.mark.parametrize(
    ("name", "cfa"), [("a/mosaic.png", "GRBG"), ("frame.raw", "GRBG"), ("b/shot.dng", "BGGR")]
)
def test_mosaics(mixed: Path, name: str, cfa: str) -> None:
    image = read(sources.open("folder", mixed), name)
    assert image.kind == "mosaic"
    assert image.raw is not None
    assert image.raw.cfa == cfa
    assert image.raw.white_level == 1023
    np.testing.assert_array_equal(image.pixels, MOSAIC)
    assert image.sha256 == hashlib.sha256((mixed / name).read_bytes()).digest()


def test_pictures_and_grey_pngs_without_a_sidecar(mixed: Path) -> None:
    source = sources.open("folder", mixed)
    colour, grey = read(source, "b/picture.PNG"), read(source, "a/grey.png")
    assert colour.kind == grey.kind == "srgb"
    assert colour.raw is None
    np.testing.assert_array_equal(colour.pixels, RGB)
    np.testing.assert_array_equal(grey.pixels, np.repeat(MOSAIC[..., None], 3, axis=-1))


def test_a_colour_png_with_somebody_s_json_is_a_picture(tmp_path: Path) -> None:
    write(tmp_path, {"x.png": png(RGB), "x.json": json.dumps({"cfa": "RGGB"}).encode()})
    assert read(sources.open("folder", tmp_path), "x.png").kind == "srgb"
    write(tmp_path, {"y.png": png(RGB[..., 0]), "y.json": json.dumps({"labels": []}).encode()})
    assert read(sources.open("folder", tmp_path), "y.png").kind == "srgb"


def refused_files() -> dict[str, dict[str, bytes]]:
    bands = {"bands": {"x.png": {"BandName": "Red"}}}
    return {
        "headerless": {"x.raw": MOSAIC.tobytes()},
        "band with a sheet": {
            "x.png": png(MOSAIC),
            "x.json": json.dumps({"black_level": 1, "white_level": 2}).encode(),
        },
        "band of a capture": {"x.png": png(MOSAIC), "metadata.json": json.dumps(bands).encode()},
        "band as TIFF": {
            "x.tif": cv2.imencode(".tiff", MOSAIC)[1].tobytes() + b"<Camera:BandName>Red</Camera>"
        },
    }


@pytest.mark.parametrize("kind", sorted(refused_files()))
@pytest.mark.parametrize("remote", [False, True])
def test_refused_by_name(kind: str, remote: bool, tmp_path: Path) -> None:
    files = refused_files()[kind]
    if remote:
        root = f"memory://refused/{kind.replace(' ', '-')}"
        fsspec.filesystem("memory").pipe({f"{root}/{n}": data for n, data in files.items()})
    else:
        root = str(tmp_path)
        write(tmp_path, files)
    source = sources.open("folder", root)
    (ref,) = source.images()
    with pytest.raises(UnsupportedFileError, match=r"x\.(png|raw|tif)\b"):
        source.read(ref)


@pytest.mark.parametrize("name", ["b/picture.PNG", "b/shot.dng", "frame.raw"])
def test_cut_files_are_unreadable_by_name(mixed: Path, name: str) -> None:
    path = mixed / name
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(UnreadableFileError, match=path.name.replace(".", r"\.")) as caught:
        read(sources.open("folder", mixed), name)
    assert not isinstance(caught.value, UnsupportedFileError)
    assert "\n" not in str(caught.value)


def test_empty_and_vanished_files(mixed: Path) -> None:
    source = sources.open("folder", mixed)
    ref = next(ref for ref in source.images() if ref.name == "a/grey.png")
    (mixed / ref.name).write_bytes(b"")
    with pytest.raises(UnreadableFileError, match=r"a/grey\.png is empty"):
        source.read(ref)
    (mixed / ref.name).unlink()
    with pytest.raises(UnreadableFileError, match=r"a/grey\.png: No such file"):
        source.read(ref)


def test_a_url_is_the_same_folder(mixed: Path) -> None:
    local = sources.open("folder", mixed)
    names = {p.relative_to(mixed).as_posix(): p for p in mixed.rglob("*") if p.is_file()}
    memory = fsspec.filesystem("memory")
    memory.pipe({f"memory://twin/{name}": path.read_bytes() for name, path in names.items()})
    for url in ("memory://twin", f"file://{mixed}"):
        twin = pickle.loads(pickle.dumps(sources.open("folder", url)))
        assert twin.images() == local.images()
        assert twin.skipped == local.skipped
        for ref in local.images():
            here, there = local.read(ref), twin.read(ref)
            assert (there.kind, there.sha256) == (here.kind, here.sha256)
            np.testing.assert_array_equal(there.pixels, here.pixels)


def test_linked_folders_are_followed_once(tmp_path: Path) -> None:
    write(tmp_path, {"real/x.png": png(RGB), "root/y.png": png(RGB)})
    (tmp_path / "root" / "link").symlink_to(tmp_path / "real")
    (tmp_path / "real" / "loop").symlink_to(tmp_path / "root")
    names = [ref.name for ref in sources.open("folder", tmp_path / "root").images()]
    assert names == ["link/x.png", "y.png"]


def test_nothing_to_read_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match=r"no raw file and no picture.*noisegen sources"):
        sources.open("folder", tmp_path).images()


DATA = os.environ.get("NOISEGEN_DATA")


@pytest.mark.skipif(DATA is None, reason="real files: set NOISEGEN_DATA to their folder")
def test_real_raws_are_read_or_refused_by_name() -> None:
    source = sources.open("folder", Path(str(DATA)) / "raw")
    read_, refused = {}, {}
    for ref in source.images():
        try:
            read_[Path(ref.name).name] = source.read(ref)
        except UnsupportedFileError as error:
            refused[Path(ref.name).name] = str(error)
    assert {name: (image.kind, image.pixels.shape) for name, image in read_.items()} == {
        "canon_550d_magiclantern_colorchart.dng": ("mosaic", (1156, 1734)),
        "infinite_isp_colorchecker_cfa_noiseprofile.dng": ("mosaic", (720, 960)),
        "nikon_d750_rose_cfa.dng": ("mosaic", (512, 768)),
        "infinite_isp_colorchecker_bggr_1920x1080.png": ("mosaic", (1080, 1920)),
        "nikon_d750_rose_rggb_768x512.raw": ("mosaic", (512, 768)),
    }
    np.testing.assert_array_equal(
        read_["nikon_d750_rose_cfa.dng"].pixels, read_["nikon_d750_rose_rggb_768x512.raw"].pixels
    )
    assert len(refused) == 6
    assert all(name in message for name, message in refused.items())


@pytest.mark.skipif(DATA is None, reason="real files: set NOISEGEN_DATA to their folder")
def test_real_pictures_are_read() -> None:
    source = sources.open("folder", Path(str(DATA)) / "clean" / "bsds500_train")
    refs = source.images()
    assert len(refs) == 200
    shapes = {source.read(ref).pixels.shape for ref in refs[:20]}
    assert shapes == {(321, 481, 3), (481, 321, 3)}
