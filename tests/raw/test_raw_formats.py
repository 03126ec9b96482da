"""Raws that are no DNG, through a stand-in for rawpy: no sample of them is free to ship."""

import io
import struct
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import rawpy
import tifffile

from noisegen import cfa, raw
from noisegen.errors import UnreadableFileError, UnsupportedFileError

D65_MATRIX = np.array([[0.7, -0.2, -0.1], [-0.4, 1.2, 0.2], [-0.1, 0.2, 0.6]])


class FakeRawPy:
    """What rawpy 0.23 and later offer, with a camera's values in place of a file's."""

    def __init__(self, **values: Any) -> None:
        phase = values.pop("phase", "RGGB")
        top, left = values.pop("margins", (0, 0))
        height, width = 36, 44
        # The full frame's pattern, so that the visible area starts with ``phase``.
        full = cfa.plane_map(cfa.shift(phase, top, left), (height + top, width + left))
        self._colors = full
        self.raw_pattern: Any = full[:2, :2]
        self.sizes = SimpleNamespace(
            height=height, width=width, top_margin=top, left_margin=left, flip=0
        )
        self.raw_image_visible: Any = 100 + full[top:, left:].astype(np.uint16)
        self.num_colors = 3
        self.color_desc = b"RGBG"
        self.black_level_per_channel = [50, 51, 52, 53]
        self.white_level = 4000
        self.camera_whitebalance = [2048.0, 1024.0, 1536.0, 0.0]
        self.daylight_whitebalance = [1.9, 1.0, 1.4, 1.0]
        self.rgb_xyz_matrix = np.vstack([D65_MATRIX, np.zeros((1, 3))])
        self.color_matrix = np.hstack([np.eye(3), np.zeros((3, 1))])
        self.other = SimpleNamespace(iso_speed=320.0, shutter_speed=0.25)
        self.closed = False
        for name, value in values.items():
            setattr(self, name, value)

    def open_file(self, path: str) -> None:
        assert Path(path).is_file()

    def open_buffer(self, stream: io.BytesIO) -> None:
        assert stream.read(1)

    def raw_color(self, row: int, column: int) -> int:
        return int(self._colors[row, column])

    def close(self) -> None:
        # As in rawpy, the pixels die with the file.
        if isinstance(getattr(self, "raw_image_visible", None), np.ndarray):
            self.raw_image_visible[:] = 0
        self.closed = True


@pytest.fixture
def camera(monkeypatch):
    """Install a FakeRawPy with the given values; return it."""

    def install(**values: Any) -> FakeRawPy:
        fake = FakeRawPy(**values)
        monkeypatch.setattr(rawpy, "RawPy", lambda: fake)
        return fake

    return install


def tiff_with(**tags: Any) -> bytes:
    """A TIFF of a few grey pixels with make, model, ISO or exposure in its first IFD."""
    known = {
        "make": (271, "s", 0),
        "model": (272, "s", 0),
        "iso": (34855, "H", 1),
        "exposure": (33434, "2I", 1),
    }
    stream = io.BytesIO()
    extra = [(*known[name], value, True) for name, value in tags.items()]
    tifffile.imwrite(stream, np.zeros((8, 8), np.uint8), metadata=None, extratags=extra)
    return stream.getvalue()


def nef(tmp_path: Path) -> Path:
    path = tmp_path / "a.NEF"
    path.write_bytes(tiff_with(make="NIKON", model="D1", iso=200, exposure=(1, 50)))
    return path


@pytest.mark.parametrize("margins", [(0, 0), (1, 0), (0, 1), (3, 5)])
@pytest.mark.parametrize("phase", cfa.PHASES)
def test_levels_phase_and_pixels_after_any_margin(tmp_path: Path, camera, phase, margins) -> None:
    fake = camera(phase=phase, margins=margins)
    image = raw.read(nef(tmp_path))
    got = image.metadata
    assert fake.closed
    assert got.cfa == phase
    assert got.black_level == (50, 51, 52, 53)
    assert (got.white_level, got.bits) == (4000, 12)
    np.testing.assert_array_equal(image.mosaic, 100 + cfa.plane_map(phase, (36, 44)))


def test_white_balance_and_matrices_come_from_libraw(tmp_path: Path, camera) -> None:
    camera()
    got = raw.read(nef(tmp_path)).metadata
    assert got.white_balance == (2.0, 1.0, 1.5)
    assert got.as_shot_neutral == pytest.approx((1 / 2, 1, 1 / 1.5))
    np.testing.assert_array_equal(got.xyz_to_cam, D65_MATRIX)
    np.testing.assert_array_equal(got.color_matrix, np.eye(3))
    assert got.color_matrices == ()
    assert got.origin["black_level"] == got.origin["white_level"] == "LibRaw"
    assert got.origin["xyz_to_cam"] == "LibRaw's table of cameras"


@pytest.mark.parametrize("gains", [[0, 0, 0, 0], [np.nan, 1, 1, 0], [-1, 1, 1, 1]])
def test_daylight_gains_stand_in_for_missing_ones(tmp_path: Path, camera, gains) -> None:
    camera(camera_whitebalance=gains)
    got = raw.read(nef(tmp_path)).metadata
    assert got.as_shot_neutral is None
    assert got.white_balance == pytest.approx((1.9, 1.0, 1.4))
    assert "daylight" in got.origin["white_balance"]


def test_unit_gains_when_nothing_is_known(tmp_path: Path, camera) -> None:
    camera(camera_whitebalance=[0] * 4, daylight_whitebalance=[0] * 4)
    got = raw.read(nef(tmp_path)).metadata
    assert got.white_balance == (1, 1, 1)
    assert got.origin["white_balance"] == "unknown: unit gains"


def test_an_unknown_camera_has_no_matrix(tmp_path: Path, camera) -> None:
    camera(rgb_xyz_matrix=np.zeros((4, 3)))
    got = raw.read(nef(tmp_path)).metadata
    assert got.xyz_to_cam is None
    assert got.color_matrix is not None


@pytest.mark.parametrize(("flip", "orientation"), [(0, 1), (3, 3), (5, 8), (6, 6)])
def test_orientation_from_the_flip(tmp_path: Path, camera, flip, orientation) -> None:
    fake = camera()
    fake.sizes.flip = flip
    assert raw.read(nef(tmp_path)).metadata.orientation == orientation


def test_exif_of_a_tiff_based_raw(tmp_path: Path, camera) -> None:
    camera()
    path = nef(tmp_path)
    for data in (None, path.read_bytes()):
        got = raw.read(path, data).metadata
        assert (got.make, got.model, got.iso) == ("NIKON", "D1", 200)
        assert got.exposure_time == pytest.approx(1 / 50)
        assert got.origin["iso"] == got.origin["make"] == "exifread"


def test_exif_of_a_raf(tmp_path: Path, camera) -> None:
    camera()
    tiff = tiff_with(make="FUJIFILM", model="X-A1", iso=800)
    app1 = b"Exif\0\0" + tiff
    jpeg = b"\xff\xd8\xff\xe1" + struct.pack(">H", len(app1) + 2) + app1 + b"\xff\xd9"
    head = b"FUJIFILMCCD-RAW 0201FF389501X-A1".ljust(84, b"\0")
    path = tmp_path / "a.RAF"
    path.write_bytes(head + struct.pack(">II", 160, len(jpeg)) + bytes(68) + jpeg)
    got = raw.read(path).metadata
    assert (got.make, got.model, got.iso) == ("FUJIFILM", "X-A1", 800)


def test_exif_of_a_cr3(tmp_path: Path, camera) -> None:
    camera()

    def box(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content) + 8) + name + content

    moov = box(b"CMT1", tiff_with(make="Canon", model="EOS R")) + box(
        b"CMT2", tiff_with(iso=1600, exposure=(1, 200))
    )
    path = tmp_path / "a.CR3"
    path.write_bytes(box(b"ftyp", b"crx " + bytes(8)) + box(b"moov", moov) + bytes(100))
    got = raw.read(path).metadata
    assert (got.make, got.model, got.iso) == ("Canon", "EOS R", 1600)
    assert got.exposure_time == pytest.approx(1 / 200)


def test_without_exif_libraw_knows_the_iso(tmp_path: Path, camera) -> None:
    camera()
    path = tmp_path / "a.ARW"
    path.write_bytes(b"no exif" * 50)
    got = raw.read(path).metadata
    assert (got.make, got.model) == ("", "")
    assert (got.iso, got.exposure_time) == (320, 0.25)
    assert got.origin["iso"] == "LibRaw"


def test_an_older_rawpy_without_shot_data(tmp_path: Path, camera) -> None:
    fake = camera()
    del fake.other
    path = tmp_path / "a.ARW"
    path.write_bytes(b"no exif" * 50)
    assert raw.read(path).metadata.iso is None


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({"raw_pattern": np.ones((6, 6), np.uint8)}, "X-Trans"),
        ({"color_desc": b"GMCY", "num_colors": 4}, "four-colour mosaic .GMCY"),
        ({"color_desc": b"RGBE", "num_colors": 4}, "four-colour mosaic .RGBE"),
        ({"num_colors": 1, "raw_pattern": None}, "monochrome"),
        ({"raw_pattern": None}, "no mosaic"),
        ({"raw_image_visible": np.zeros((36, 44, 4), np.uint16)}, "no integer Bayer mosaic"),
        ({"raw_image_visible": None}, "no integer Bayer mosaic"),
        ({"raw_color": lambda *_: 1}, "no Bayer mosaic"),
    ],
)
def test_refused_kinds(tmp_path: Path, camera, values, word) -> None:
    camera(**values)
    path = nef(tmp_path)
    with pytest.raises(UnsupportedFileError, match=word) as caught:
        raw.read(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("kind", [rawpy.LibRawDataError, rawpy.LibRawIOError, OSError])
def test_errors_of_libraw_name_the_file(tmp_path: Path, camera, kind) -> None:
    def broken(_: str) -> None:
        raise kind(b"Input/output error")

    fake = camera(open_file=broken)
    with pytest.raises(UnreadableFileError, match=r"a\.NEF: damaged .*input/output error"):
        raw.read(nef(tmp_path))
    assert fake.closed


def test_shape_is_read_without_the_pixels(tmp_path: Path, camera) -> None:
    fake = camera()
    del fake.raw_image_visible
    assert raw.read_shape(nef(tmp_path)) == (36, 44)
