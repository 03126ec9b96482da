"""Tags in the shapes that cameras write them, and what stands in for a missing one."""

import numpy as np
import pytest
import tifffile

from noisegen import cfa, raw
from noisegen.raw.metadata import choose_matrix, gains_of_neutral, neutral_of_gains

COLD = ((1.0, 0.1, 0.2), (0.3, 1.1, 0.4), (0.5, 0.6, 1.2))
WARM = ((2.0, 0.1, 0.2), (0.3, 2.1, 0.4), (0.5, 0.6, 2.2))
TABLE = ((3.0, 0.1, 0.2), (0.3, 3.1, 0.4), (0.5, 0.6, 3.2))


def rational(*values: float) -> tuple[int, ...]:
    return tuple(n for v in values for n in (round(v * 1000), 1000))


def test_one_black_level_serves_all_planes(raw_dng, mosaic) -> None:
    assert raw.read(raw_dng(mosaic)).metadata.black_level == (64,) * 4


@pytest.mark.parametrize(
    ("shape", "levels", "planes"),
    [
        ((1, 2), (60, 62), (60, 62, 62, 60)),
        ((2, 1), (60, 62), (60, 60, 62, 62)),
        ((2, 2), (60, 61, 62, 63), (60, 61, 63, 62)),
        ((2, 4), (60, 61, 62, 63, 64, 65, 66, 67), (61, 62, 66, 65)),
    ],
)
def test_black_levels_by_position(raw_dng, mosaic, shape, levels, planes) -> None:
    path = raw_dng(mosaic, (50713, "H", 2, shape, True), (50714, "H", len(levels), levels, True))
    got = raw.read(path).metadata
    assert got.black_level == planes
    assert ("averaged" in got.origin["black_level"]) == (shape == (2, 4))


def test_row_and_column_offsets_shift_black_by_their_mean(raw_dng, mosaic) -> None:
    path = raw_dng(
        mosaic,
        (50715, "2i", 50, rational(*[1.0, 3.0] * 25), True),
        (50716, "2i", 40, rational(*[-1.0] * 40), True),
    )
    assert raw.read(path).metadata.black_level == (65,) * 4


@pytest.mark.parametrize("area", [(2, 4), (3, 4), (2, 5), (3, 5), (1, 1)])
@pytest.mark.parametrize("phase", cfa.PHASES)
def test_masked_borders_move_phase_and_black_together(raw_dng, phase, area) -> None:
    # Every code tells its plane, so that the expected phase and levels do not come from tags.
    top, left = area
    shape = (40 - top, 50 - left)
    pixels = np.zeros((40, 50), np.uint16)
    pixels[top:, left:] = 100 + cfa.plane_map(phase, shape)
    black = cfa.by_position((60, 61, 62, 63), phase).astype(int).ravel()
    noise = np.stack([cfa.by_position((1, 2, 3, 4), phase).ravel() / 1e4, np.zeros(4)], axis=1)
    path = raw_dng(
        pixels,
        (33422, "B", 4, cfa.colors(phase).tobytes(), True),
        (50713, "H", 2, (2, 2), True),
        (50714, "H", 4, tuple(black.tolist()), True),
        (50829, "I", 4, (top, left, 40, 50), True),
        (51041, "d", 8, tuple(noise.ravel().tolist()), True),
    )
    image = raw.read(path)
    got = image.metadata
    assert got.black_level == (60, 61, 62, 63)
    assert got.noise_profile == ((1e-4, 2e-4, 3e-4, 4e-4), (0, 0, 0, 0))
    np.testing.assert_array_equal(image.mosaic, 100 + cfa.plane_map(got.cfa, image.mosaic.shape))
    assert got.shape == image.mosaic.shape


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ((1e-4, 1e-6), ((1e-4,) * 4, (1e-6,) * 4)),
        (
            (1e-4, 1e-6, 2e-4, 2e-6, 3e-4, 3e-6),
            ((1e-4, 2e-4, 3e-4, 2e-4), (1e-6, 2e-6, 3e-6, 2e-6)),
        ),
        ((1e-4, -1e-6), ((1e-4,) * 4, (0.0,) * 4)),
        ((-1e-4, 1e-6), None),
        ((np.nan, 1e-6), None),
        ((1e-4, 1e-6) * 2, None),
    ],
)
def test_noise_profiles(raw_dng, mosaic, numbers, expected) -> None:
    path = raw_dng(mosaic, (51041, "d", len(numbers), numbers, True))
    got = raw.read(path).metadata
    assert got.noise_profile == expected
    assert ("ignored" in got.origin["noise_profile"]) == (expected is None)


def test_what_is_missing_is_named_so(raw_dng, mosaic) -> None:
    got = raw.read(raw_dng(mosaic)).metadata
    assert (got.noise_profile, got.as_shot_neutral, got.iso) == (None, None, None)
    assert got.exposure_time is None
    assert (got.make, got.orientation) == ("", 1)
    assert got.origin["as_shot_neutral"] == "unknown"
    assert got.origin["make"] == "unknown"
    assert "daylight" in got.origin["white_balance"] or "unit" in got.origin["white_balance"]
    assert got.white_balance[1] == 1
    assert got.origin["model"].startswith("UniqueCameraModel")


def test_levels_that_no_tag_gives_come_from_libraw(raw_dng, mosaic) -> None:
    got = raw.read(raw_dng(mosaic, without=(50714, 50717))).metadata
    assert got.black_level == (0,) * 4
    assert got.white_level == 65535
    assert got.origin["black_level"] == got.origin["white_level"] == "LibRaw"


@pytest.mark.parametrize("neutral", [(1.0, 0.0, 1.0), (1.0, -1.0, 1.0)])
def test_a_senseless_neutral_is_not_taken(raw_dng, mosaic, neutral) -> None:
    path = raw_dng(mosaic, (50728, "2i", 3, rational(*neutral), True))
    got = raw.read(path).metadata
    assert got.origin["white_balance"] != "AsShotNeutral (IFD0)"
    assert np.all(np.isfinite(got.white_balance))


def test_iso_and_exposure_in_the_main_ifd(raw_dng, mosaic) -> None:
    path = raw_dng(mosaic, (34855, "H", 1, 400, True), (33434, "2I", 1, (1, 125), True))
    got = raw.read(path).metadata
    assert (got.iso, got.exposure_time) == (400, 1 / 125)


def test_the_first_ifd_speaks_for_the_shot_and_the_raw_ifd_for_the_pixels(raw_dng, mosaic) -> None:
    path = raw_dng(mosaic)
    shot = [(274, "H", 1, 6, True), (50706, "B", 4, bytes([1, 4, 0, 0]), True)]
    shot += [(50708, "s", 0, "Shot", True), (50721, "2i", 9, (1, 1, 0, 1, 0, 1) * 3, True)]
    pixels = [(274, "H", 1, 1, True), (50717, "I", 1, 1000, True)]
    pixels += [(33421, "H", 2, (2, 2), True), (33422, "B", 4, bytes([2, 1, 1, 0]), True)]
    with tifffile.TiffWriter(path) as file:
        file.write(
            np.zeros((8, 8, 3), np.uint8),
            photometric="rgb",
            subifds=1,
            subfiletype=1,
            metadata=None,
            extratags=[*shot, (50717, "I", 1, 2000, True)],
        )
        file.write(mosaic, photometric=32803, subfiletype=0, metadata=None, extratags=pixels)
    got = raw.read(path).metadata
    assert (got.orientation, got.white_level, got.cfa) == (6, 1000, "BGGR")
    assert got.origin["orientation"] == "Orientation (IFD0)"
    assert got.origin["white_level"] == "WhiteLevel (IFD0 SubIFD 0)"


def test_both_color_matrices_are_kept_and_d65_is_chosen(raw_dng, mosaic) -> None:
    warm, cold = (rational(*np.ravel(m).tolist()) for m in (WARM, COLD))
    path = raw_dng(
        mosaic,
        (50721, "2i", 9, warm, True),
        (50722, "2i", 9, cold, True),
        (50778, "H", 1, 17, True),
        (50779, "H", 1, 21, True),
    )
    got = raw.read(path).metadata
    assert got.color_matrices == ((17, WARM), (21, COLD))
    assert got.xyz_to_cam == COLD


@pytest.mark.parametrize(
    ("matrices", "table", "chosen"),
    [
        (((17, WARM), (21, COLD)), TABLE, COLD),
        (((21, COLD), (17, WARM)), None, COLD),
        (((17, WARM),), TABLE, TABLE),
        (((17, WARM), (23, COLD)), None, COLD),
        (((20, COLD), (17, WARM)), None, COLD),
        (((0, WARM),), None, WARM),
        (((0, WARM), (0, COLD)), None, COLD),
        (((0, WARM), (17, COLD)), None, COLD),
        ((), TABLE, TABLE),
        ((), None, None),
    ],
)
def test_the_matrix_nearest_to_d65_is_chosen(matrices, table, chosen) -> None:
    matrix, origin = choose_matrix(matrices, table)
    assert matrix == chosen
    assert (origin == "unknown") == (chosen is None)


def test_gains_and_neutrals_undo_each_other() -> None:
    assert gains_of_neutral((0.5, 1.0, 0.8)) == (2.0, 1.0, 1.25)
    assert neutral_of_gains((2.0, 1.0, 1.25)) == (0.5, 1.0, 0.8)
    assert gains_of_neutral((1.0, 2.0, 1.6)) == (2.0, 1.0, 1.25)
