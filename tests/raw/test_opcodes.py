"""Opcode lists of DNGs: what they say of lens shading, by hand and through files."""

import pickle
import struct

import numpy as np
import pytest

from noisegen import cfa, raw
from noisegen.errors import UnreadableFileError
from noisegen.isp.shading import GainMaps
from noisegen.raw import opcodes
from noisegen.raw.opcodes import FixVignetteRadial, GainMap

LEVELS = {"black_level": 64.0, "white_level": 1023}
VIGNETTE = FixVignetteRadial((0.4, 0.2, -0.1, 0.05, 0.02), (0.4, 0.55))
SHAPE = (40, 50)


def grids(points=(5, 7)):
    rng = np.random.default_rng(3)
    spacing = tuple(1.05 / (n - 1) for n in points)
    return GainMaps(rng.uniform(1, 3, (4, *points)), (0.02, -0.04), spacing)


def one_map(**changes):
    """Four planes in one opcode's place: a map of all pixels."""
    gains = np.linspace(1, 2, 12, dtype=np.float32).reshape(3, 4, 1)
    fields = {"gains": gains, "area": (0, 0, *SHAPE), "spacing": (0.5, 1 / 3)}
    return GainMap(**(fields | changes))


@pytest.fixture
def written(tmp_path, mosaic):
    """Write a DNG with opcodes and return its metadata."""

    def write(gain_maps=(), phase="RGGB", **options):
        path = tmp_path / "shaded.dng"
        raw.write_dng(path, mosaic, cfa=phase, gain_maps=gain_maps, **LEVELS, **options)
        return raw.read(path).metadata

    return write


def test_bytes_are_those_of_the_specification():
    data = opcodes.encode([one_map(gains=np.full((1, 1, 1), 1.5, np.float32))])
    count, code, version, flags, size = struct.unpack_from(">5I", data)
    assert (count, code, version, flags, size) == (1, 9, 0x01030000, 1, 80)
    assert len(data) == 4 + 16 + 80
    assert struct.unpack_from(">4i2I2I2I", data, 20) == (0, 0, *SHAPE, 0, 1, 1, 1, 1, 1)
    assert struct.unpack_from(">If", data, 20 + 72) == (1, 1.5)
    data = opcodes.encode([VIGNETTE])
    assert struct.unpack_from(">5I", data) == (1, 3, 0x01030000, 1, 56)
    assert struct.unpack_from(">7d", data, 20) == (*VIGNETTE.k, 0.55, 0.4)


@pytest.mark.parametrize("subifd", [False, True])
@pytest.mark.parametrize("phase", cfa.PHASES)
def test_maps_and_vignette_come_back(written, phase, subifd):
    metadata = written(grids(), phase, vignette=VIGNETTE, subifd=subifd)
    shading = raw.recorded_shading(metadata)
    np.testing.assert_array_equal(shading.maps.gains, grids().gains)
    assert (shading.maps.origin, shading.maps.spacing) == (grids().origin, grids().spacing)
    assert (shading.radial.k, shading.radial.centre) == (VIGNETTE.k, VIGNETTE.centre)
    assert metadata.origin["opcodes"].startswith("OpcodeList2 (IFD0")
    assert " and OpcodeList3 (IFD0" in metadata.origin["opcodes"]
    assert len(pickle.loads(pickle.dumps(metadata)).opcodes.gain_maps) == 4


def test_one_map_may_hold_for_all_planes(written):
    maps = raw.recorded_shading(written([one_map()])).maps
    for plane in range(4):
        np.testing.assert_array_equal(maps.gains[plane], one_map().gains[..., 0])


def test_maps_of_list_3_are_by_colour(mosaic, raw_dng):
    gains = np.stack([np.full((2, 2), g) for g in (1.5, 1.25, 2.0)], -1).astype(np.float32)
    data = opcodes.encode([one_map(gains=gains, planes=(0, 3))])
    metadata = raw.read(raw_dng(mosaic, (51022, 7, len(data), data, True))).metadata
    maps = raw.recorded_shading(metadata).maps
    assert [float(m[0, 0]) for m in maps.gains] == [1.5, 1.25, 2.0, 1.25]


@pytest.mark.parametrize("top", [0, 1, 4, 5])
def test_opcodes_count_from_the_active_area(mosaic, raw_dng, top):
    """LibRaw's visible mosaic may begin later than the active area and be smaller."""
    left, bottom, right = 6, 38, 49
    height, width = bottom - top, right - left
    tile = cfa.planes("RGGB")
    per_plane = grids()
    listed = [
        GainMap(
            per_plane.gains[tile[y, x], :, :, None], (y, x, height, width), (2, 2),
            origin=per_plane.origin, spacing=per_plane.spacing,
        )
        for y in (0, 1)
        for x in (0, 1)
    ]  # fmt: skip
    lists = {51009: opcodes.encode(listed), 51022: opcodes.encode([VIGNETTE])}
    path = raw_dng(
        mosaic,
        (50829, "I", 4, (top, left, bottom, right), True),
        *((code, 7, len(data), data, True) for code, data in lists.items()),
    )
    metadata = raw.read(path).metadata
    # The plane of a position in the active area; its colours are the visible ones shifted back.
    dy, dx = (-n for n in metadata.opcodes.active_area[:2])
    assert (dy, dx) in ((0, 0), (1, 0), (0, 1), (1, 1))
    gains = raw.recorded_shading(metadata).at(metadata.shape).gains(metadata.shape, metadata.cfa)
    m = max(
        np.hypot(VIGNETTE.centre[0] * height - v, VIGNETTE.centre[1] * width - h)
        for v in (0, height)
        for h in (0, width)
    )
    for y, x in ((0, 0), (1, 2), (17, 20), (metadata.shape[0] - 1, metadata.shape[1] - 2)):
        row, column = y + dy, x + dx
        place = np.array([(row + 0.5) / height]), np.array([(column + 0.5) / width])
        plane = tile[row % 2, column % 2]
        expected = per_plane.interpolated(*place)[plane, 0, 0]
        centre = VIGNETTE.centre[0] * height, VIGNETTE.centre[1] * width
        r2 = ((row + 0.5 - centre[0]) ** 2 + (column + 0.5 - centre[1]) ** 2) / m**2
        expected *= 1 + sum(k * r2 ** (i + 1) for i, k in enumerate(VIGNETTE.k))
        assert gains[y, x] == pytest.approx(expected, rel=1e-12)


def test_other_opcodes_are_listed(mosaic, raw_dng):
    body = struct.pack(">4I", 6, 0x01030000, 0, 4) + b"\0" * 4
    body += struct.pack(">4I", 77, 0x01070000, 1, 0)
    data = struct.pack(">I", 3) + body + opcodes.encode([VIGNETTE])[4:]
    metadata = raw.read(raw_dng(mosaic, (51022, 7, len(data), data, True))).metadata
    assert metadata.opcodes.ignored == ("TrimBounds (OpcodeList3)", "opcode 77 (OpcodeList3)")
    assert metadata.origin["opcodes"].endswith(
        "ignored: TrimBounds (OpcodeList3), opcode 77 (OpcodeList3)"
    )
    assert raw.recorded_shading(metadata).radial.k == VIGNETTE.k


SOUND = opcodes.encode([one_map(), VIGNETTE])


def _patched(at, form, *values):
    data = bytearray(SOUND)
    struct.pack_into(form, data, at, *values)
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"\0\0\0", "3 bytes, at least 4"),
        (SOUND[:10], "ends before opcode 1 of 2"),
        (SOUND[:-3], "ends within opcode 2 of 2"),
        (_patched(0, ">I", 9), "ends before opcode 3 of 9"),
        (_patched(16, ">I", 12), "a GainMap of 12 bytes"),
        (_patched(20 + 32, ">I", 9), "9 x 4 points in 1 planes has 124 bytes, 220"),
        (_patched(20 + 32, ">I", 0), "0 x 4 points"),
        (_patched(20 + 24, ">I", 0), "multiplies no pixels"),
        (_patched(20 + 8, ">i", 0), "multiplies no pixels"),
        (_patched(20 + 40, ">d", 0.0), r"in steps of \(0\.0"),
        (_patched(20 + 56, ">d", float("nan")), "points from"),
        (_patched(20 + 76, ">f", -1.0), "not finite and above 0"),
        (_patched(len(SOUND) - 56, ">d", float("inf")), "values that are not finite"),
        (opcodes.encode([VIGNETTE])[:16] + struct.pack(">I", 8) + b"\0" * 8, "of 8 bytes, 56"),
    ],
)
def test_damaged_lists_are_one_line_when_they_are_needed(mosaic, raw_dng, data, problem):
    path = raw_dng(mosaic, (51009, 7, len(data), data, True))
    metadata = raw.read(path).metadata  # the mosaic itself is sound
    assert ", damaged: OpcodeList2" in metadata.origin["opcodes"]
    with pytest.raises(UnreadableFileError, match=problem) as caught:
        raw.recorded_shading(metadata)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def planes(**changes):
    """The four maps that phones write, changed alike."""
    return [
        one_map(**({"area": (y, x, *SHAPE), "pitch": (2, 2)} | changes))
        for y in (0, 1)
        for x in (0, 1)
    ]


@pytest.mark.parametrize(
    ("maps", "problem"),
    [
        ([], "no GainMap and no FixVignetteRadial"),
        ([one_map(area=(0, 0, 39, 50))], r"rows 0 to 39 .* does not cover the frame of 40 x 50"),
        ([one_map(area=(2, 0, 40, 50))], "does not cover"),
        (planes(area=(0, 1, 40, 50)), "more than one GainMap on plane G1"),
        (planes()[:3], "no GainMap on plane B"),
        ([*planes(), one_map()], "more than one GainMap on plane R"),
        ([*planes()[:3], one_map(area=(1, 1, 37, 50), pitch=(2, 2))], "does not cover"),
        ([*planes()[:3], one_map(area=(1, 1, *SHAPE), pitch=(2, 2), spacing=(1, 1))], "grids"),
        (planes(pitch=(4, 2)), "every 4th"),
        (planes(gains=np.ones((3, 4, 2), np.float32)), "2 planes from plane 0 on for one mosaic"),
        (planes(planes=(1, 1)), "1 planes from plane 1 on"),
    ],
)
def test_maps_of_another_size_are_one_line(written, maps, problem):
    metadata = written(maps)
    with pytest.raises(UnreadableFileError, match=problem) as caught:
        raw.recorded_shading(metadata)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"planes": (0, 2), "gains": np.ones((2, 2, 2), np.float32)}, "no GainMap on plane B"),
        ({"planes": (0, 1), "gains": np.ones((2, 2, 2), np.float32)}, "2 planes for 1 colours"),
        ({"planes": (0, 3), "pitch": (2, 2)}, "1 planes for 3 colours"),
    ],
)
def test_maps_of_list_3_that_fit_no_colours(mosaic, raw_dng, changes, problem):
    data = opcodes.encode([one_map(**changes)])
    metadata = raw.read(raw_dng(mosaic, (51022, 7, len(data), data, True))).metadata
    with pytest.raises(UnreadableFileError, match=problem):
        raw.recorded_shading(metadata)


def test_two_radial_models_are_refused(mosaic, raw_dng):
    data = opcodes.encode([VIGNETTE, VIGNETTE])
    metadata = raw.read(raw_dng(mosaic, (51022, 7, len(data), data, True))).metadata
    with pytest.raises(UnreadableFileError, match="2 FixVignetteRadial"):
        raw.recorded_shading(metadata)


def test_a_gain_below_zero_is_refused(written):
    dark = FixVignetteRadial((-2.0, 0.0, 0.0, 0.0, 0.0))
    with pytest.raises(UnreadableFileError, match="falls to -1"):
        raw.recorded_shading(written(vignette=dark))
