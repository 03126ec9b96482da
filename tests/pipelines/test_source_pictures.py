"""What 8 bits and JPEG did to pictures: dithered, averaged, and the same however it is made."""

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

import pipelines
from catalogs import cameras
from catalogs.sources import SourceImage, pictures
from noisegen import cfa
from noisegen.cli import main
from noisegen.isp.bulk import linear
from noisegen.isp.parameters import IspParameters
from noisegen.isp.transfer import decode
from pipelines import check, execution
from pipelines.frame import frame
from pipelines.prepare import resolve
from pipelines.recipe import Recipe
from pipelines.tile import Window

HEIGHT, WIDTH = 97, 130
OFF = {"dither": False, "shrink": 1}


def waves(height=HEIGHT, width=WIDTH):
    y, x = np.mgrid[:height, :width]
    planes = [127 + 90 * np.sin(x / (5 + c) + y / 9) for c in range(3)]
    return np.rint(np.stack(planes, -1)).astype(np.uint8)


@pytest.fixture
def folder(tmp_path):
    """Return a folder of one picture as PNG and as JPEG."""
    root = tmp_path / "pictures"
    root.mkdir()
    for name in ("a.png", "b.jpg"):
        assert cv2.imwrite(str(root / name), waves())
    return str(root)


def made(path, root, table=None, *, run=None, **changes):
    asked = {"source": "folder", "patch": 32, "per_image": 6, "stage": "raw", **changes}
    recipe = Recipe(camera="SonyA7S2", source_noise=table or {}, **asked)
    pipelines.synthesize(recipe, str(path), root=root, **(run or {}))
    return pipelines.open(path)


def framed(codes, table, *, lossy=False, number=0, **changes):
    recipe = resolve(Recipe(camera="SonyA7S2", source_noise=table, **changes))
    image = SourceImage("srgb", codes, bytes(32), lossy=lossy)
    return frame(image, cameras.load("SonyA7S2"), recipe, number)


def whole(picture, halo=0):
    side = min(picture.height, picture.width)
    return picture.tile(Window(0, 0, side, halo, picture.height, picture.width), 0.0)


def test_a_dithered_grey_has_the_variance_of_its_level_and_no_bias():
    """Uniform over a level h of the code, light has the variance (h dl/dc)² / 12.

    Each channel is spread for itself, and the inverse matrix adds them up; the camera's rounding
    adds 1/12 DN². A variance of n sums is good to √(2 / n) at most, z = 4.5 (12 comparisons); the
    curve, straight to 1 % over a level at this code, may bend it by as much.
    """
    side, code = 256, 60
    flat = np.full((side, side, 3), code, np.uint8)
    dithered, plain = (framed(flat, {"dither": on}) for on in (True, False))
    found, before = (whole(p).astype(float) for p in (dithered, plain))
    low, high = decode(np.array([code - 0.5, code + 0.5]) / 255, "srgb")
    matrix = tuple(map(tuple, plain.cam_to_xyz.tolist()))
    parameters = IspParameters(plain.white_balance, matrix)
    mixing = np.linalg.inv(parameters.ccm) / np.array(plain.white_balance)[:, None]
    share = (high - low) ** 2 / 12 * (mixing**2).sum(axis=1)
    colors = cfa.colors(plain.phase)
    for y, x in np.ndindex(2, 2):
        plane, was = found[y::2, x::2], before[y::2, x::2]
        span = plain.levels.white - plain.levels.black[0]
        expected = share[colors[y, x]] * span**2 + 1 / 12
        assert plane.var() / expected == pytest.approx(1, abs=4.5 * np.sqrt(2 / plane.size) + 0.01)
        assert np.ptp(was) == 0
        assert expected > 4
        # What was rounded to one code before is off by up to half of it.
        assert abs(plane.mean() - was.mean()) < 0.5 + 4.5 * np.sqrt(expected / plane.size)


def test_a_gradient_has_no_steps_left():
    """Over 2 codes of 8 bits a 14-bit camera sees a dozen levels: as many as its own codes."""
    ramp = np.repeat(np.linspace(60, 62, 512)[None, :, None], 512, 0).repeat(3, 2)
    codes = np.rint(ramp).astype(np.uint8)
    assert len(np.unique(whole(framed(codes, {"dither": False}))[::2, ::2])) == 3
    assert len(np.unique(whole(framed(codes, {}))[::2, ::2])) > 30


@pytest.mark.parametrize("lossy", [False, True])
def test_tiles_are_crops_of_the_frame_and_reflected_after_the_draws(lossy):
    picture = framed(waves(), {}, lossy=lossy)
    assert (picture.height, picture.width) == ((48, 65) if lossy else (97, 130))
    side, halo = 48, 7
    frame_ = Window(0, 0, side, halo, picture.height, picture.width)
    full = picture.tile(frame_, 0.3)
    for y, x in ((0, 0), (8, 4), (16, 16)):
        part = picture.tile(Window(y, x, 16, 5, picture.height, picture.width), 0.3)
        top, left = y + halo - 5, x + halo - 5
        np.testing.assert_array_equal(part, full[top : top + 26, left : left + 26])
    # Beyond the border the tile is its own reflection.
    np.testing.assert_array_equal(full[:halo], full[halo + 1 : 2 * halo + 1][::-1])


@pytest.mark.parametrize("shrink", [2, 3])
def test_blocks_of_one_colour_shrink_to_it(shrink):
    codes = waves(31, 40)
    blocks = codes.repeat(shrink, 0).repeat(shrink, 1)
    blocks = np.pad(blocks, ((0, 1), (0, 1), (0, 0)))  # a remainder is left out
    table = {"dither": False, "shrink": shrink}
    small, large = framed(codes, table), framed(blocks, table, lossy=True)
    assert (large.height, large.width) == (31, 40)
    window = Window(0, 0, 30, 4, 31, 40)
    difference = small.tile(window, 0.5).astype(int) - large.tile(window, 0.5)
    # A third is no binary fraction: its rounding may tip a code over.
    assert np.abs(difference).max() <= (shrink == 3)


def test_light_is_averaged_and_not_codes():
    codes = np.array([[[0] * 3, [255] * 3]] * 2, np.uint8)
    parameters = IspParameters((1.0,) * 3, ((1, 0, 0), (0, 1, 0), (0, 0, 1)))
    found = linear(codes, parameters, shrink=2, exposure=0.5)
    np.testing.assert_allclose(found, 0.25)
    wide = linear(waves(), parameters, shrink=3)
    light = decode(waves()[:96, :129] / 255, "srgb")
    expected = light.reshape(32, 3, 43, 3, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(wide, expected, rtol=2e-6)


def test_jpegs_are_halved_and_pngs_are_not_unless_it_is_switched_off(folder, tmp_path):
    def sizes(corpus):
        rows = [corpus.reader(f"images/{n}").rows(0, 2).tolist() for n in ("height", "width")]
        return list(zip(*rows, strict=True))

    shrunk = made(tmp_path / "a.zarr", folder)
    assert sizes(shrunk) == [(97, 130), (48, 65)]
    whole_ = made(tmp_path / "b.zarr", folder, OFF)
    assert sizes(whole_) == [(97, 130), (97, 130)]
    published = Recipe(preset="published")
    assert (published.source_noise.dither, published.source_noise.shrink) == (False, 1)
    # Switched off, the mosaics are those of the codes as they are.
    own = framed(waves()[..., ::-1], OFF)
    row, clean = whole_.table[0], whole_[0].arrays["clean"]
    y, x = int(row["y"]), int(row["x"])
    np.testing.assert_array_equal(clean, own.tile(Window(y, x, 32, 0, 97, 130), 0.0))


@pytest.mark.parametrize("stage", ["srgb", "raw"])
def test_lazy_parts_workers_and_shards_make_the_same(folder, tmp_path, stage):
    options = {"draws": 2, "stage": stage, "per_image": 70, "tone": (0.0, 1.0)}
    all_ = made(tmp_path / "a.zarr", folder, **options)
    assert made(tmp_path / "l.zarr", folder, lazy=True, **options).digest() == all_.digest()
    for i in (2, 1):
        parts = made(tmp_path / "p.zarr", folder, run={"part": (i, 2), "shard_mb": 1}, **options)
    assert parts.plan.shards > 1
    assert pipelines.open(tmp_path / "p.zarr").digest() == all_.digest()
    with execution.executor(1) as client:
        made(tmp_path / "w.zarr", folder, run={"client": client, "shard_mb": 1}, **options)
    assert pipelines.open(tmp_path / "w.zarr").digest() == all_.digest()
    found = check.verify(all_, regenerate=10, root=folder)
    assert found.damaged == found.different == ()


def test_a_jpeg_that_is_too_small_when_it_is_halved_says_why(folder, tmp_path):
    arguments = ["synthesize", "--source", "folder", "--root", folder, "--patch", "64"]
    result = CliRunner().invoke(main, [*arguments, "--out", str(tmp_path / "a.zarr")])
    assert result.exit_code == 2
    assert (
        "b.jpg is 48 x 65 pixels (averaged, of 97 x 130), smaller than the patch of 64; use "
        "--patch 48 or less, or a smaller source_noise.shrink"
    ) in result.output
    off = ["--set", "source_noise.shrink=1", "--out", str(tmp_path / "b.zarr")]
    assert CliRunner().invoke(main, [*arguments, *off]).exit_code == 0


@pytest.mark.parametrize(
    ("setting", "line"),
    [
        ("source_noise.shrink=0", "source_noise.shrink"),
        ("source_noise.shrink=9", "source_noise.shrink"),
        ("source_noise.dither=half", "source_noise.dither"),
    ],
)
def test_bad_input_is_one_line(tmp_path, setting, line):
    arguments = ["synthesize", "--out", str(tmp_path / "a.zarr"), "--set", setting]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert line in result.output
    assert result.output.count("\n") == 1


def encoded(ending, *flags):
    return cv2.imencode(ending, waves(), list(flags))[1].tobytes()


def test_which_files_are_lossy():
    assert pictures.is_lossy(encoded(".jpg"))
    assert not pictures.is_lossy(encoded(".png"))
    assert not pictures.is_lossy(encoded(".tiff"))
    assert pictures.is_lossy(encoded(".webp", cv2.IMWRITE_WEBP_QUALITY, 80))
    assert not pictures.is_lossy(encoded(".webp", cv2.IMWRITE_WEBP_QUALITY, 101))
    bare = encoded(".webp", cv2.IMWRITE_WEBP_QUALITY, 80)[12:]
    extended = b"VP8X" + (10).to_bytes(4, "little") + bytes(10) + bare
    assert pictures.is_lossy(b"RIFF" + bytes(4) + b"WEBP" + extended)
