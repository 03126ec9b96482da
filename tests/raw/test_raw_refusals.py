"""Files that are refused, each by name and with what it is."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from noisegen import raw
from noisegen.errors import MissingDataError, UnreadableFileError, UnsupportedFileError

X_TRANS = bytes([1, 2, 1, 1, 0, 1, 0, 1, 0, 2, 1, 2] * 3)
QUAD = bytes([0, 0, 1, 1, 0, 0, 1, 1, 1, 1, 2, 2, 1, 1, 2, 2])


def refused(path: Path, word: str) -> None:
    for reader in (raw.read, raw.read_metadata):
        with pytest.raises(UnsupportedFileError, match=word) as caught:
            reader(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ([(33421, "H", 2, (6, 6), True), (33422, "B", 36, X_TRANS, True)], "X-Trans"),
        ([(33421, "H", 2, (4, 4), True), (33422, "B", 16, QUAD, True)], "4x4"),
        (
            [
                (33422, "B", 4, bytes([1, 3, 4, 5]), True),
                (50710, "B", 4, bytes([1, 3, 4, 5]), True),
                (50721, "2i", 12, (1, 1) * 12, True),
            ],
            "four-colour",
        ),
        ([(50710, "B", 3, bytes([1, 0, 2]), True)], "CFAPlaneColor"),
    ],
)
def test_other_filter_arrays(raw_dng, mosaic, changes, word) -> None:
    refused(raw_dng(mosaic, *changes), word)


def test_already_demosaiced(raw_dng, mosaic) -> None:
    rgb = np.stack([mosaic] * 3, axis=-1)
    path = raw_dng(rgb, photometric=34892, without=(33421, 33422))
    refused(path, "already demosaiced")


def test_a_dng_of_a_picture_only(raw_dng) -> None:
    rgb = np.zeros((40, 50, 3), np.uint8)
    refused(raw_dng(rgb, photometric=2, without=(33421, 33422)), "without a mosaic")


def test_floating_point(raw_dng, mosaic) -> None:
    refused(raw_dng(mosaic.astype(np.float32)), "floating-point")


def test_stacked(raw_dng, mosaic) -> None:
    # tifffile writes no such file: turn a demosaiced one into it.
    path = raw_dng(np.stack([mosaic] * 3, axis=-1), photometric=34892)
    with tifffile.TiffFile(path, mode="r+") as file:
        file.pages[0].tags["PhotometricInterpretation"].overwrite(32803)
    refused(path, "stacked")


def test_multi_frame(raw_dng, mosaic) -> None:
    path = raw_dng(mosaic)
    with tifffile.TiffFile(path) as file:
        first = file.pages[0]
        tags = [
            (code, first.tags[code].dtype, first.tags[code].count, first.tags[code].value, True)
            for code in (33421, 33422)
        ]
    tifffile.imwrite(
        path,
        mosaic,
        append=True,
        photometric=32803,
        subfiletype=0,
        metadata=None,
        extratags=tags,
    )
    refused(path, "multi-frame")


def test_foveon(tmp_path: Path) -> None:
    path = tmp_path / "a.x3f"
    path.write_bytes(b"FOVb" + bytes(1000))
    refused(path, "Foveon")


def test_no_such_file(tmp_path: Path) -> None:
    for reader in (raw.read, raw.read_metadata, raw.read_shape):
        for name in ("gone.dng", "gone.raw", "gone.png"):
            with pytest.raises(MissingDataError, match=name):
                reader(tmp_path / name)


@pytest.mark.parametrize("name", ["a.dng", "a.raw", "a.png"])
def test_a_file_that_must_not_be_read(tmp_path: Path, monkeypatch, name) -> None:
    path = tmp_path / name
    path.write_bytes(b"something")

    def forbidden(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", forbidden)
    with pytest.raises(UnreadableFileError, match=r"cannot be read .Permission denied"):
        raw.read(path)


@pytest.mark.parametrize(
    "content",
    [b"", b"\0", b"II*\0", b"II*\0" + bytes(100), b"garbage " * 100, b"\xff\xd8\xff\xe0" * 50],
    ids=["empty", "one byte", "TIFF magic", "TIFF of zeros", "text", "JPEG magic"],
)
@pytest.mark.parametrize("suffix", [".dng", ".NEF", ".cr3"])
def test_no_raw_at_all(tmp_path: Path, content, suffix) -> None:
    path = tmp_path / f"bad{suffix}"
    path.write_bytes(content)
    for data in (None, content):
        with pytest.raises(UnreadableFileError) as caught:
            raw.read(path, data)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("share", [0.02, 0.2, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("compression", [None, "lossless-jpeg"])
@pytest.mark.parametrize("subifd", [False, True])
def test_cut_short(tmp_path: Path, share, compression, subifd) -> None:
    if compression:
        pytest.importorskip("imagecodecs")
    pixels = np.random.default_rng(3).integers(0, 1024, (300, 300)).astype(np.uint16)
    path = tmp_path / "cut.dng"
    raw.write_dng(
        path,
        pixels,
        cfa="RGGB",
        black_level=64,
        white_level=1023,
        bits=10,
        compression=compression,
        subifd=subifd,
    )
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(UnreadableFileError, match=r"cut\.dng"):
        raw.read(path)


def test_cut_pixels_are_counted_before_they_are_decoded(raw_dng, mosaic) -> None:
    path = raw_dng(mosaic)
    data = path.read_bytes()[:-1]
    with pytest.raises(UnreadableFileError, match=f"{len(data)} bytes of at least {len(data) + 1}"):
        raw.read(path, data)


def test_a_white_level_below_black(raw_dng, mosaic) -> None:
    path = raw_dng(mosaic, (50714, "I", 1, 2000, True))
    with pytest.raises(UnreadableFileError, match="not above black level 2000"):
        raw.read(path)
