"""Real raw files of $NOISEGEN_DATA/raw, held to what rawpy and exiftool report for them there."""

import json

import numpy as np
import pytest
import rawpy

from noisegen import cfa, raw
from noisegen.errors import UnsupportedFileError

MOSAICS = [
    "canon_550d_magiclantern_colorchart.dng",
    "derived/infinite_isp_colorchecker_cfa_noiseprofile.dng",
    "derived/nikon_d750_rose_cfa.dng",
]


@pytest.mark.parametrize("name", MOSAICS)
def test_dngs_agree_with_their_record(raw_folder, name) -> None:
    record = json.loads((raw_folder / "metadata.json").read_text())[name]
    image = raw.read(raw_folder / name)
    got, seen = image.metadata, record["rawpy"]
    assert list(image.mosaic.shape) == seen["visible_shape"]
    assert (image.mosaic.min(), image.mosaic.max()) == (seen["min"], seen["max"])
    assert image.mosaic.mean() == pytest.approx(seen["mean"], abs=0.01)
    assert list(got.black_level) == seen["black_level_per_channel"]
    assert got.white_level == seen["white_level"]
    assert cfa.planes(got.cfa).tolist() == seen["raw_pattern"]
    gains = np.array(seen["camera_whitebalance"][:3])
    np.testing.assert_allclose(got.white_balance, gains / gains[1], rtol=1e-4)
    neutral = [float(v) for v in record["as_shot_neutral"].split()]
    np.testing.assert_allclose(got.as_shot_neutral, neutral, rtol=1e-6)
    matrix = np.reshape([float(v) for v in record["color_matrix1"].split()], (3, 3))
    np.testing.assert_allclose(got.xyz_to_cam, matrix, atol=1e-6)
    assert [light for light, _ in got.color_matrices] == [record["illuminants"][0] or 0]
    assert got.make == (record["make"] or "")
    assert (got.iso or 0) == (record["iso"] or 0)
    profile = record["noise_profile_tag_51041"]
    if profile is None:
        assert got.noise_profile is None
    else:
        pairs = np.reshape([float(v) for v in profile.split()], (3, 2))[[0, 1, 2, 1]]
        np.testing.assert_allclose(np.transpose(got.noise_profile), pairs, rtol=1e-12)


@pytest.mark.parametrize("name", MOSAICS)
def test_rewritten_real_mosaics_stay_the_same(raw_folder, tmp_path, name) -> None:
    image = raw.read(raw_folder / name)
    said = image.metadata
    path = tmp_path / "again.dng"
    raw.write_dng(
        path,
        image.mosaic,
        cfa=said.cfa,
        black_level=said.black_level,
        white_level=int(said.white_level),
        color_matrix=said.xyz_to_cam,
        as_shot_neutral=said.as_shot_neutral,
        noise_profile=said.noise_profile,
    )
    with rawpy.imread(str(path)) as file:
        np.testing.assert_array_equal(file.raw_image_visible, image.mosaic)
    again = raw.read(path).metadata
    for field in ("cfa", "black_level", "white_level", "noise_profile", "as_shot_neutral"):
        assert getattr(again, field) == getattr(said, field), field


def test_the_demosaiced_dng_is_refused(raw_folder) -> None:
    with pytest.raises(UnsupportedFileError, match=r"canon_6d.*already demosaiced"):
        raw.read(raw_folder / "canon_6d_linear_lossy_noiseprofile.dng")


def test_the_headerless_crop_is_its_dng(raw_folder) -> None:
    headerless = raw.read(raw_folder / "nikon_d750_rose_rggb_768x512.raw")
    dng = raw.read(raw_folder / "derived" / "nikon_d750_rose_cfa.dng")
    np.testing.assert_array_equal(headerless.mosaic, dng.mosaic)
    for field in ("cfa", "black_level", "white_level", "bits", "xyz_to_cam"):
        assert getattr(headerless.metadata, field) == getattr(dng.metadata, field), field
    np.testing.assert_allclose(
        headerless.metadata.white_balance, dng.metadata.white_balance, rtol=1e-5
    )


def test_the_described_png_holds_the_crop_of_its_dng(raw_folder) -> None:
    png = raw.read(raw_folder / "infinite_isp_colorchecker_bggr_1920x1080.png")
    dng = raw.read(raw_folder / "derived" / "infinite_isp_colorchecker_cfa_noiseprofile.dng")
    np.testing.assert_array_equal(png.mosaic[300:1020, 480:1440], dng.mosaic)
    assert (png.metadata.cfa, png.metadata.bits) == ("BGGR", 12)
    assert png.metadata.color_matrix is not None


def test_multispectral_bands_are_refused(raw_folder) -> None:
    bands = sorted((raw_folder / "micasense_rededge").glob("*.png"))
    assert len(bands) == 5
    for band in bands:
        with pytest.raises(UnsupportedFileError, match=band.name):
            raw.read(band)
