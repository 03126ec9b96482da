"""Headerless mosaics and grey PNGs that a JSON describes, and those that nothing describes."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from noisegen import cfa, raw
from noisegen.errors import MissingDataError, UnreadableFileError, UnsupportedFileError
from noisegen.raw import sidecar

MINIMAL = {"width": 50, "height": 40, "cfa": "GRBG", "black_level": 64, "white_level": 1023}


def headerless(folder: Path, pixels: np.ndarray, **changes: object) -> Path:
    path = folder / "frame.raw"
    path.write_bytes(pixels.tobytes())
    described = MINIMAL | changes
    (folder / "frame.json").write_text(json.dumps(described))
    return path


def png(folder: Path, pixels: np.ndarray, description: object = None) -> Path:
    path = folder / "frame.png"
    path.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
    if description is not None:
        (folder / "frame.json").write_text(json.dumps(description))
    return path


def test_the_minimal_description(tmp_path: Path, mosaic) -> None:
    path = headerless(tmp_path, mosaic)
    image = raw.read(path)
    got = image.metadata
    np.testing.assert_array_equal(image.mosaic, mosaic)
    assert image.mosaic.flags.writeable
    assert (got.cfa, got.black_level, got.white_level, got.bits) == ("GRBG", (64,) * 4, 1023, 10)
    assert (got.shape, got.white_balance, got.orientation) == ((40, 50), (1, 1, 1), 1)
    assert got.xyz_to_cam is got.noise_profile is got.as_shot_neutral is got.iso is None
    assert got.origin["cfa"] == "frame.json"
    assert got.origin["bits"] == "white level"
    assert got.origin["white_balance"] == "unknown: unit gains"
    assert raw.read_metadata(path) == got
    assert raw.read_shape(path) == (40, 50)


def test_every_key(tmp_path: Path, mosaic) -> None:
    path = headerless(
        tmp_path,
        mosaic,
        bits=12,
        black_level=[61, 60, 62, 63],
        white_balance=[2, 1, 1.25],
        xyz_to_cam=[[1, 2, 3], [4, 5, 6], [7, 8, 10]],
        cam_to_srgb=[1, 0, 0, 0, 1, 0, 0, 0, 1],
        noise_profile=[2e-4, 2e-6, 1e-4, 1e-6, 3e-4, 3e-6, 4e-4, 4e-6],
        orientation=8,
        make="M",
        model="N",
        iso=100,
        exposure_time=0.5,
        note="ignored",
    )
    got = raw.read(path).metadata
    # GRBG: position 0 is G1, 1 is R, 2 is B, 3 is G2.
    assert got.black_level == (60, 61, 62, 63)
    assert got.noise_profile == ((1e-4, 2e-4, 3e-4, 4e-4), (1e-6, 2e-6, 3e-6, 4e-6))
    assert got.white_balance == (2, 1, 1.25)
    assert got.as_shot_neutral == (0.5, 1, 0.8)
    assert got.xyz_to_cam == ((1, 2, 3), (4, 5, 6), (7, 8, 10))
    assert got.color_matrices == ((21, got.xyz_to_cam),)
    assert got.color_matrix == ((1, 0, 0), (0, 1, 0), (0, 0, 1))
    assert (got.bits, got.orientation, got.make, got.model) == (12, 8, "M", "N")
    assert (got.iso, got.exposure_time) == (100, 0.5)


def test_synonyms_and_nulls(tmp_path: Path, mosaic) -> None:
    path = headerless(
        tmp_path,
        mosaic,
        cfa=None,
        cfa_pattern="bggr",
        white_balance=None,
        white_balance_rggb=[2.2, 1.1, 1.1, 1.65],
        color_matrix2_xyz_to_cam=list(range(1, 10)),
        iso=None,
        make=None,
    )
    got = raw.read(path).metadata
    assert got.cfa == "BGGR"
    assert got.white_balance == pytest.approx((2, 1, 1.5))
    assert got.xyz_to_cam == ((1, 2, 3), (4, 5, 6), (7, 8, 9))
    assert got.make == ""


@pytest.mark.parametrize(
    ("dtype", "described"),
    [
        ("<u2", {}),
        (">u2", {"byteorder": "big"}),
        ("<u2", {"byteorder": "little", "dtype": "uint16"}),
        ("u1", {"dtype": "uint8", "black_level": 0, "white_level": 255}),
    ],
)
def test_byte_orders_and_widths(tmp_path: Path, dtype, described) -> None:
    pixels = (np.arange(2000) % 256).reshape(40, 50).astype(dtype)
    image = raw.read(headerless(tmp_path, pixels, **described))
    assert image.mosaic.dtype == np.uint16
    np.testing.assert_array_equal(image.mosaic, pixels)


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    height=st.integers(1, 30),
    width=st.integers(1, 30),
    phase=st.sampled_from(cfa.PHASES),
    extra=st.integers(-3, 3),
)
def test_only_the_right_number_of_bytes_is_read(
    tmp_path: Path, height, width, phase, extra
) -> None:
    data = bytes(max(0, 2 * height * width + extra))
    described = MINIMAL | {"height": height, "width": width, "cfa": phase}
    arguments = ("mem://frame.raw", data, json.dumps(described).encode())
    if extra:
        with pytest.raises(UnreadableFileError, match=f"{len(data)} bytes"):
            raw.read(*arguments)
    else:
        image = raw.read(*arguments)
        assert image.metadata.cfa == phase
        assert image.mosaic.shape == (height, width)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_described_png(tmp_path: Path, dtype) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 50)).astype(dtype)
    path = png(tmp_path, pixels, MINIMAL | {"width": None, "height": None})
    assert sidecar.is_mosaic(str(path))
    image = raw.read(path)
    np.testing.assert_array_equal(image.mosaic, pixels)
    assert image.mosaic.dtype == np.uint16
    description = (tmp_path / "frame.json").read_bytes()
    np.testing.assert_array_equal(raw.read("a.png", path.read_bytes(), description).mosaic, pixels)
    assert sidecar.is_mosaic("a.png", path.read_bytes(), description)


def test_ordinary_pictures_are_no_mosaics(tmp_path: Path, mosaic) -> None:
    assert not sidecar.is_mosaic(str(png(tmp_path, mosaic)))
    assert not sidecar.is_mosaic(str(png(tmp_path, mosaic, {"caption": "a cat"})))
    assert not sidecar.is_mosaic(str(png(tmp_path, np.zeros((40, 50, 3), np.uint8), MINIMAL)))
    with pytest.raises(UnsupportedFileError, match="colours"):
        raw.read(tmp_path / "frame.png")


def test_bands_are_refused_by_name(tmp_path: Path, mosaic) -> None:
    levels = {"black_level": 64, "white_level": 1023}
    path = png(tmp_path, mosaic, levels)
    for act in (sidecar.is_mosaic, raw.read):
        with pytest.raises(UnsupportedFileError, match=r"frame\.png: one band"):
            act(str(path))
    (tmp_path / "frame.json").unlink()
    capture = {"bands": {"frame.png": {"BandName": "Red"}}}
    (tmp_path / "metadata.json").write_text(json.dumps(capture))
    for act in (sidecar.is_mosaic, raw.read):
        with pytest.raises(UnsupportedFileError, match=r"frame\.png: one band"):
            act(str(path))


@pytest.mark.parametrize("listing", ["[]", "not json", '{"bands": []}', '{"bands": {"b.png": {}}}'])
def test_somebody_elses_metadata_json_is_left_alone(tmp_path: Path, mosaic, listing) -> None:
    path = png(tmp_path, mosaic)
    (tmp_path / "metadata.json").write_text(listing)
    assert not sidecar.is_mosaic(str(path))


def test_a_raw_without_description_is_refused_and_never_shown_to_libraw(
    tmp_path: Path, mosaic, monkeypatch
) -> None:
    import rawpy

    monkeypatch.setattr(rawpy, "RawPy", lambda: pytest.fail("LibRaw was asked"))
    path = tmp_path / "frame.RAW"
    path.write_bytes(mosaic.tobytes())
    for reader in (raw.read, raw.read_metadata, raw.read_shape):
        with pytest.raises(UnsupportedFileError, match=r"frame\.RAW: .*without a sidecar"):
            reader(path)
    (tmp_path / "frame.json").write_text('{"width": 50, "height": 40}')
    with pytest.raises(UnsupportedFileError, match="CFA"):
        raw.read(path)
    with pytest.raises(MissingDataError, match="gone"):
        raw.read(tmp_path / "gone.raw")


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"width": None}, "width"),
        ({"height": 40.5}, "height"),
        ({"width": 49}, "4000 bytes"),
        ({"cfa": "RGBG"}, "cfa"),
        ({"black_level": None}, "black_level"),
        ({"black_level": [1, 2]}, "black_level"),
        ({"black_level": "64"}, "black_level"),
        ({"black_level": -5}, "black_level"),
        ({"white_level": 64}, "white_level"),
        ({"white_level": True}, "white_level"),
        ({"bits": 9}, "byteorder"),
        ({"dtype": "float32"}, "dtype"),
        ({"byteorder": "middle"}, "byteorder"),
        ({"white_balance": [1, 0, 1]}, "white_balance"),
        ({"xyz_to_cam": [1, 2, 3]}, "xyz_to_cam"),
        ({"xyz_to_cam": [[1, 2], [3]]}, "xyz_to_cam"),
        ({"noise_profile": [1e-4, -1e-6]}, "noise_profile"),
        ({"orientation": 9}, "orientation"),
    ],
)
def test_wrong_values_name_the_key(tmp_path: Path, mosaic, change, word) -> None:
    mosaic[0, 0] = 1023
    with pytest.raises(UnreadableFileError, match=word) as caught:
        raw.read(headerless(tmp_path, mosaic, **change))
    assert "frame.json" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[1]", "\xff"])
def test_descriptions_that_are_no_json_object(tmp_path: Path, mosaic, text) -> None:
    path = headerless(tmp_path, mosaic)
    (tmp_path / "frame.json").write_text(text, encoding="latin-1")
    with pytest.raises(UnreadableFileError, match=r"frame\.json: no JSON"):
        raw.read(path)


def test_a_png_of_another_size(tmp_path: Path, mosaic) -> None:
    path = png(tmp_path, mosaic, MINIMAL | {"width": 51})
    with pytest.raises(UnreadableFileError, match="'width' is 51, but the picture has 50"):
        raw.read(path)


def test_damaged_pngs(tmp_path: Path, mosaic) -> None:
    path = png(tmp_path, mosaic, MINIMAL)
    data = path.read_bytes()
    flipped = bytearray(data)
    flipped[len(data) // 2] ^= 1
    for bad in (b"", data[:8], data[: len(data) // 2], data[:-4], bytes(flipped), b"no" + data):
        with pytest.raises(UnreadableFileError, match="PNG"):
            raw.read(path, bad)


@pytest.mark.parametrize(
    ("path", "expected"),
    [("a/b.raw", "a/b.json"), ("b.c.png", "b.c.json"), ("a.b/c", "a.b/c.json")],
)
def test_where_the_description_lies(path, expected) -> None:
    assert sidecar.sidecar_path(path) == expected
