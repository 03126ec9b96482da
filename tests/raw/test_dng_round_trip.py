"""What write_dng writes, rawpy shows to the pixel and read() returns to the tag."""

import itertools
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
import rawpy
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from noisegen import cfa, raw
from noisegen.errors import InputError, StorageError

MATRIX = ((0.902, -0.289, -0.0715), (-0.4535, 1.2436, 0.2348), (-0.0934, 0.1919, 0.7086))
NOISE = ((1e-4, 2e-4, 3e-4, 4e-4), (1e-6, 2e-6, 3e-6, 4e-6))
FULL = {
    "black_level": (600.0, 601.0, 602.5, 603.0),
    "white_level": 15520,
    "as_shot_neutral": (0.5, 1.0, 0.7),
    "color_matrix": MATRIX,
    "noise_profile": NOISE,
    "orientation": 6,
    "make": "Maker",
    "model": "Model 1",
    "iso": 800,
    "exposure_time": 1 / 60,
}

levels = st.tuples(*[st.integers(0, 4000).map(lambda n: n / 4)] * 4)
variances = st.tuples(*[st.floats(0, 1, allow_subnormal=False)] * 4)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    pixels=hnp.arrays(np.uint16, st.tuples(st.integers(22, 34), st.integers(22, 34))),
    phase=st.sampled_from(cfa.PHASES),
    black=levels,
    white=st.integers(1001, 65535),
    noise=st.tuples(variances, variances),
    orientation=st.integers(1, 8),
    subifd=st.booleans(),
)
def test_pixels_and_levels_come_back(
    tmp_path: Path, pixels, phase, black, white, noise, orientation, subifd
) -> None:
    path = tmp_path / "made.dng"
    raw.write_dng(
        path,
        pixels,
        cfa=phase,
        black_level=black,
        white_level=white,
        noise_profile=noise,
        orientation=orientation,
        subifd=subifd,
    )
    image = raw.read(path)
    np.testing.assert_array_equal(image.mosaic, pixels)
    got = image.metadata
    assert (got.cfa, got.black_level, got.white_level) == (phase, black, white)
    assert (got.noise_profile, got.orientation, got.shape) == (noise, orientation, pixels.shape)


@pytest.mark.parametrize("subifd", [False, True])
@pytest.mark.parametrize("compression", [None, "lossless-jpeg"])
@pytest.mark.parametrize("phase", cfa.PHASES)
def test_every_tag_comes_back(tmp_path: Path, phase, compression, subifd) -> None:
    if compression:
        pytest.importorskip("imagecodecs")
    pixels = np.random.default_rng(1).integers(0, 1 << 14, (301, 263)).astype(np.uint16)
    path = tmp_path / "full.dng"
    raw.write_dng(path, pixels, cfa=phase, bits=14, compression=compression, subifd=subifd, **FULL)
    image = raw.read(path)
    got = image.metadata
    np.testing.assert_array_equal(image.mosaic, pixels)
    assert image.mosaic.dtype == np.uint16
    assert got.cfa == phase
    for name in ("black_level", "noise_profile", "orientation", "make", "model", "iso"):
        assert getattr(got, name) == FULL[name], name
    assert got.white_level == 15520
    assert got.bits == 14
    assert got.origin["bits"] == ("BitsPerSample" if compression else "white level")
    assert got.as_shot_neutral == pytest.approx((0.5, 1.0, 0.7), rel=1e-6)
    assert got.white_balance == pytest.approx((2.0, 1.0, 1 / 0.7), rel=1e-6)
    assert got.exposure_time == pytest.approx(1 / 60)
    assert got.color_matrices[0][0] == 21
    np.testing.assert_allclose(got.xyz_to_cam, MATRIX, atol=1e-6)
    assert got.origin["xyz_to_cam"] == "ColorMatrix for D65"
    assert "BlackLevel" in got.origin["black_level"]
    assert ("SubIFD" in got.origin["black_level"]) == subifd
    assert "SubIFD" not in got.origin["as_shot_neutral"]
    assert set(got.origin) == set(got.__dataclass_fields__) - {"path", "shape", "origin"}


def test_rawpy_sees_the_same_file(tmp_path: Path, mosaic) -> None:
    path = tmp_path / "a.dng"
    raw.write_dng(path, mosaic, cfa="GBRG", **{**FULL, "black_level": (60, 61, 62, 63)})
    with rawpy.imread(str(path)) as file:
        np.testing.assert_array_equal(file.raw_image_visible, mosaic)
        assert file.black_level_per_channel == [60, 61, 62, 63]
        assert file.white_level == 15520
        assert file.sizes.flip == 6
        assert file.raw_pattern.tolist() == cfa.planes("GBRG").tolist()
        assert file.camera_whitebalance[:3] == pytest.approx([2, 1, 1 / 0.7], rel=1e-5)


@pytest.mark.parametrize(("phase", "y", "x"), [*itertools.product(cfa.PHASES, (0, 1), (0, 1))])
def test_odd_crops_keep_the_planes(tmp_path: Path, mosaic, phase, y, x) -> None:
    black = (60.0, 61.0, 62.0, 63.0)
    path = tmp_path / "crop.dng"
    raw.write_dng(
        path, mosaic[y:, x:], cfa=cfa.shift(phase, y, x), black_level=black, white_level=1023
    )
    got = raw.read(path)
    assert got.metadata.black_level == black
    whole = cfa.plane_map(phase, mosaic.shape)[y:, x:]
    np.testing.assert_array_equal(cfa.plane_map(got.metadata.cfa, got.mosaic.shape), whole)


def test_equal_greens_are_written_as_three_pairs(tmp_path: Path, mosaic) -> None:
    noise = ((1e-4, 2e-4, 3e-4, 2e-4), (1e-6, 2e-6, 3e-6, 2e-6))
    raw.write_dng(
        tmp_path / "a.dng",
        mosaic,
        cfa="BGGR",
        black_level=64,
        white_level=1023,
        noise_profile=noise,
    )
    with tifffile.TiffFile(tmp_path / "a.dng") as file:
        assert file.pages[0].tags[51041].value == (1e-4, 1e-6, 2e-4, 2e-6, 3e-4, 3e-6)
    assert raw.read(tmp_path / "a.dng").metadata.noise_profile == noise


def test_bytes_metadata_and_shape_agree_with_the_file(tmp_path: Path, mosaic) -> None:
    path = tmp_path / "a.dng"
    raw.write_dng(path, mosaic, cfa="RGGB", subifd=True, **FULL)
    image = raw.read(path)
    data = path.read_bytes()
    from_bytes = raw.read("s3://bucket/a.dng", data)
    np.testing.assert_array_equal(from_bytes.mosaic, image.mosaic)
    assert from_bytes.metadata.black_level == image.metadata.black_level
    assert from_bytes.metadata.path == "s3://bucket/a.dng"
    assert raw.read_metadata(path) == image.metadata
    assert raw.read_shape(path) == raw.read_shape("a.dng", data) == mosaic.shape


def test_metadata_is_frozen_and_picklable(tmp_path: Path, mosaic) -> None:
    raw.write_dng(tmp_path / "a.dng", mosaic, cfa="RGGB", **FULL)
    got = raw.read(tmp_path / "a.dng").metadata
    again = pickle.loads(pickle.dumps(got))
    assert again == got
    assert dict(again.origin) == dict(got.origin)
    with pytest.raises(TypeError):
        got.origin["iso"] = "elsewhere"  # type: ignore[index]


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"cfa": "RGBG"}, "cfa"),
        ({"bits": 9}, "9 bits"),
        ({"bits": 17}, "bits"),
        ({"white_level": 60}, "white_level"),
        ({"white_level": 65536}, "white_level"),
        ({"black_level": (1, 2)}, "black_level"),
        ({"black_level": -1}, "black_level"),
        ({"orientation": 0}, "orientation"),
        ({"iso": 0}, "iso"),
        ({"exposure_time": -1.0}, "exposure_time"),
        ({"exposure_time": 1e-9}, "exposure_time"),
        ({"as_shot_neutral": (0, 1, 1)}, "as_shot_neutral"),
        ({"color_matrix": np.ones((3, 4))}, "color_matrix"),
        ({"color_matrix": np.full((3, 3), np.nan)}, "color_matrix"),
        ({"noise_profile": ((1e-4,) * 3, (1e-6,) * 3)}, "noise_profile"),
        ({"make": "Mäker"}, "make"),
        ({"compression": "zip"}, "compression"),
    ],
)
def test_values_that_no_dng_holds_are_refused(tmp_path: Path, mosaic, change, word) -> None:
    mosaic[0, 0] = 1023
    arguments = {"cfa": "RGGB", "black_level": 64, "white_level": 1023} | change
    with pytest.raises(InputError, match=word):
        raw.write_dng(tmp_path / "a.dng", mosaic, **arguments)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("pixels", [np.zeros((21, 40), np.uint16), np.zeros((40, 40), np.int32)])
def test_mosaics_that_no_dng_holds_are_refused(tmp_path: Path, pixels) -> None:
    with pytest.raises(InputError, match="22x22"):
        raw.write_dng(tmp_path / "a.dng", pixels, cfa="RGGB", black_level=0, white_level=255)


def test_lossless_jpeg_without_imagecodecs_says_what_to_install(
    tmp_path: Path, mosaic, monkeypatch
) -> None:
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    with pytest.raises(InputError, match="pip install imagecodecs"):
        raw.write_dng(
            tmp_path / "a.dng",
            mosaic,
            cfa="RGGB",
            black_level=64,
            white_level=1023,
            compression="lossless-jpeg",
        )


def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, mosaic, monkeypatch
) -> None:
    path = tmp_path / "a.dng"
    raw.write_dng(path, mosaic, cfa="RGGB", black_level=64, white_level=1023)
    before = path.read_bytes()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tifffile.TiffWriter, "write", full)
    with pytest.raises(StorageError, match="No space left"):
        raw.write_dng(path, mosaic, cfa="BGGR", black_level=64, white_level=1023)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_path_below_a_file_is_one_clear_error(tmp_path: Path, mosaic) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="cannot be written"):
        raw.write_dng(
            tmp_path / "file" / "a.dng", mosaic, cfa="RGGB", black_level=64, white_level=1023
        )
