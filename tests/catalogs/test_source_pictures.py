"""Pictures come in upright, in R, G, B, with all their bits, whole or not at all."""

import io
import struct

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from catalogs.sources import pictures
from noisegen.errors import UnreadableFileError, UnsupportedFileError

RNG = np.random.default_rng(5)
RGB = RNG.integers(0, 256, (24, 40, 3), np.uint8)
RGB16 = RNG.integers(0, 65536, (24, 40, 3), np.uint16)


def encode(extension: str, rgb: np.ndarray) -> bytes:
    ok, data = cv2.imencode(extension, rgb[..., ::-1] if rgb.ndim == 3 else rgb)
    assert ok
    return data.tobytes()


def smooth() -> np.ndarray:
    y, x = np.mgrid[0:24, 0:40]
    return np.stack([4 * x, 8 * y, 255 - 4 * x - 2 * y], axis=-1).clip(0, 255).astype(np.uint8)


def exif_jpeg(orientation: int) -> bytes:
    tiff = b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    body = b"Exif\0\0" + tiff
    data = encode(".jpg", smooth())
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + data[2:]


FILES = {
    "png": encode(".png", RGB),
    "png16": encode(".png", RGB16),
    "jpg": encode(".jpg", RGB),
    "tif": encode(".tiff", RGB),
    "bmp": encode(".bmp", RGB),
    "webp": encode(".webp", RGB),
}


@pytest.mark.parametrize("extension", [".png", ".tiff", ".bmp"])
def test_lossless_formats_keep_every_value_in_rgb_order(extension: str) -> None:
    np.testing.assert_array_equal(pictures.decode(encode(extension, RGB), "x"), RGB)


@pytest.mark.parametrize("extension", [".png", ".tiff"])
def test_sixteen_bits_stay(extension: str) -> None:
    picture = pictures.decode(encode(extension, RGB16), "x")
    assert picture.dtype == np.uint16
    np.testing.assert_array_equal(picture, RGB16)


@pytest.mark.parametrize("extension", [".jpg", ".webp"])
def test_lossy_formats_come_near(extension: str) -> None:
    picture = pictures.decode(encode(extension, smooth()), "x").astype(int)
    assert np.abs(picture - smooth()).mean() < 3


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_grey_is_repeated(dtype: type) -> None:
    grey = RNG.integers(0, np.iinfo(dtype).max, (8, 9)).astype(dtype)
    picture = pictures.decode(encode(".png", grey), "x")
    np.testing.assert_array_equal(picture, np.repeat(grey[..., None], 3, axis=-1))


def test_alpha_is_dropped_not_blended() -> None:
    alpha = np.zeros((24, 40, 1), np.uint8)
    data = cv2.imencode(".png", np.concatenate([RGB[..., ::-1], alpha], axis=-1))[1].tobytes()
    np.testing.assert_array_equal(pictures.decode(data, "x"), RGB)


@pytest.mark.parametrize(
    ("orientation", "turn"),
    [
        (1, lambda a: a),
        (3, lambda a: np.rot90(a, 2)),
        (6, lambda a: np.rot90(a, -1)),
        (8, lambda a: np.rot90(a, 1)),
    ],
)
def test_exif_orientation_is_applied(orientation: int, turn) -> None:
    upright = pictures.decode(exif_jpeg(orientation), "x")
    np.testing.assert_array_equal(upright, turn(pictures.decode(exif_jpeg(1), "x")))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(("orientation", "turns"), [(1, 0), (3, 2), (6, -1), (8, 1)])
def test_tiff_orientation_is_applied(dtype: type, orientation: int, turns: int) -> None:
    values = RGB16.astype(dtype)
    stream = io.BytesIO()
    tifffile.imwrite(
        stream, values, photometric="rgb", extratags=[(274, "H", 1, orientation, True)]
    )
    np.testing.assert_array_equal(pictures.decode(stream.getvalue(), "x"), np.rot90(values, turns))


@given(name=st.sampled_from(sorted(FILES)), share=st.floats(0, 1, exclude_max=True))
@settings(max_examples=150)
def test_a_file_cut_anywhere_is_refused_by_name(name: str, share: float) -> None:
    data = FILES[name]
    with pytest.raises(UnreadableFileError, match=r"cut\.me"):
        pictures.decode(data[: int(len(data) * share)], "cut.me")


@pytest.mark.parametrize("name", sorted(FILES))
def test_whole_files_with_bytes_behind_their_end_are_read(name: str) -> None:
    assert pictures.decode(FILES[name] + b"\0\xff\xd8 phones append films", "x").shape[2] == 3


def test_a_thumbnail_s_end_is_not_the_picture_s() -> None:
    thumbnail = encode(".jpg", smooth()[:8, :8])
    body = b"Exif\0\0" + thumbnail
    data = encode(".jpg", RGB)
    data = data[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + data[2:]
    pictures.decode(data, "x")
    with pytest.raises(UnreadableFileError, match="cut short"):
        pictures.decode(data[: len(data) * 2 // 3], "x")


def test_progressive_jpeg_is_read() -> None:
    data = cv2.imencode(".jpg", RGB, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    assert pictures.decode(data, "x").shape == RGB.shape


def test_a_flipped_bit_in_a_png_is_found() -> None:
    data = bytearray(FILES["png"])
    data[len(data) // 2] ^= 1
    with pytest.raises(UnreadableFileError, match="wrong checksum"):
        pictures.decode(bytes(data), "x")


@pytest.mark.parametrize(
    ("shape", "options", "kind"),
    [
        ((3, 24, 40), {"photometric": "rgb", "planarconfig": "separate"}, "one after the other"),
        ((24, 40), {"photometric": "miniswhite"}, "where 0 is white"),
        ((24, 40, 2), {"photometric": "minisblack", "extrasamples": ["unassalpha"]}, "with alpha"),
    ],
)
def test_what_opencv_gets_wrong_in_16_bits_is_refused(shape, options, kind) -> None:
    for dtype in (np.uint8, np.uint16):
        data = io.BytesIO()
        values = RNG.integers(0, 256, shape).astype(dtype)
        if "extrasamples" in options:
            options = options | {"planarconfig": "contig"}
        tifffile.imwrite(data, values, metadata=None, **options)
        if dtype == np.uint16:
            with pytest.raises(
                UnsupportedFileError, match=rf"a\.tif is a TIFF of 16 bits .*{kind}"
            ):
                pictures.decode(data.getvalue(), "a.tif")
            continue
        found = pictures.decode(data.getvalue(), "a.tif")
        grey = {"minisblack": lambda v: v[..., 0], "miniswhite": lambda v: 255 - v}
        seen = grey.get(options["photometric"], lambda v: v.transpose(1, 2, 0))(values)
        np.testing.assert_array_equal(found, seen if seen.ndim == 3 else np.dstack([seen] * 3))


def test_a_tiff_whose_alpha_would_change_its_colours_is_refused() -> None:
    for alpha in (255, 254):
        data = io.BytesIO()
        values = np.dstack([RGB, np.full(RGB.shape[:2], 255, np.uint8)])
        values[5, 6, 3] = alpha
        tifffile.imwrite(
            data, values, photometric="rgb", extrasamples=["unassalpha"], metadata=None
        )
        if alpha == 255:
            np.testing.assert_array_equal(pictures.decode(data.getvalue(), "a.tif"), RGB)
            continue
        with pytest.raises(UnsupportedFileError, match=r"a\.tif is a TIFF .* transparent pixels"):
            pictures.decode(data.getvalue(), "a.tif")


def test_float_pictures_and_other_files_are_refused() -> None:
    stream = io.BytesIO()
    tifffile.imwrite(stream, RGB.astype(np.float32), photometric="rgb")
    with pytest.raises(UnsupportedFileError, match="float32 pixels"):
        pictures.decode(stream.getvalue(), "x")
    with pytest.raises(UnsupportedFileError, match="x is no PNG"):
        pictures.decode(b"hello", "x")
