"""Raw files with gain maps of their own: followed to the bit, kept in the corpus, or refused."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

import pipelines
from catalogs import cameras
from catalogs.sources.folder import read_file
from catalogs.sources.roots import Root
from noisegen import cfa, raw
from noisegen.cli import main
from noisegen.isp.bulk import render
from noisegen.isp.parameters import IspParameters
from noisegen.isp.shading import GainMaps, Shading
from noisegen.raw.opcodes import FixVignetteRadial
from noisegen.raw.shading import gain_map_opcodes
from pipelines import execution, materialize
from pipelines.frame import frame as prepared
from pipelines.measure import noise_curves
from pipelines.recipe import Recipe

GP = cameras.load("GP")
SHAPE = (128, 160)
LIGHT = 0.3
"""Of the flat scene that the files show, white being 1."""


def maps(points, seed):
    """Planes unlike each other: 1 in the middle, 2 to 3 in the corners."""
    y, x = (np.linspace(-1, 1, n) for n in points)
    gains = 1 + (y[:, None] ** 2 + x**2) * np.random.default_rng(seed).uniform(0.5, 1, (4, 1, 1))
    return GainMaps(gains, spacing=tuple(1 / (n - 1) for n in points))


def write(path, shading, *, shape=SHAPE, **tags):
    """Write the flat scene as a lens of this shading shows it to the sensor."""
    black = np.asarray(GP.levels.black)[cfa.plane_map(GP.cfa, shape)]
    light = LIGHT / shading.at(shape).gains(shape, GP.cfa)
    codes = np.rint(black + light * (GP.levels.white - black)).astype(np.uint16)
    given = {"gain_maps": shading.maps or (), "as_shot_neutral": (1, 1, 1)}
    raw.write_dng(
        path, codes, cfa=GP.cfa, black_level=GP.levels.black, white_level=int(GP.levels.white),
        bits=10, **{**given, **tags},
    )  # fmt: skip


@pytest.fixture(scope="module")
def raws(tmp_path_factory):
    """Two files with maps on different grids, one of them with a radial model on top."""
    folder = tmp_path_factory.mktemp("raws")
    write(folder / "a.dng", Shading(maps=maps((5, 7), 1)))
    vignette = FixVignetteRadial((0.2, 0.1, 0.0, 0.0, 0.0), (0.45, 0.55))
    probe = folder / "b.dng"
    write(probe, Shading(maps=maps((4, 3), 2)), vignette=vignette)
    write(probe, raw.recorded_shading(raw.read_metadata(probe)), vignette=vignette)
    return folder


@pytest.fixture
def of_raws(tmp_path, raws):
    """Make a small corpus of the files and return it open."""

    def make(name="c.zarr", *, run=None, **changes):
        recipe = recipe_of(**changes)
        pipelines.synthesize(recipe, str(tmp_path / name), root=str(raws), **(run or {}))
        return pipelines.open(tmp_path / name)

    return make


def recipe_of(**changes):
    base = {"source": "folder", "patch": 32, "per_image": 8, "iso": 800.0}
    base |= {"shading": {"mode": "file"}, "source_noise": {"policy": "ignore"}}
    return Recipe(**{**base, **changes})


def test_pictures_are_crops_of_the_frame_under_its_own_maps_and_mosaics_stay(of_raws, raws):
    """Stored is the crop of the whole file's rendering; its mosaic is not darkened again."""
    corpus = of_raws(stage="both", bits=16)
    files = [raw.read(raws / name) for name in corpus.images.names]
    frames = {}
    for number in map(int, corpus.valid):
        sample = corpus[number]
        row, image = sample.row, files[int(sample.row["image"])]
        y, x = int(row["y"]), int(row["x"])
        here = (slice(y, y + 32), slice(x, x + 32))
        np.testing.assert_array_equal(sample.arrays["raw_clean"], image.mosaic[here])
        if int(row["image"]) not in frames:
            frames[int(row["image"])] = render(
                image.mosaic, GP.cfa, GP.levels.black, GP.levels.white,
                IspParameters(tuple(row["wb"]), tuple(map(tuple, row["cam_to_xyz"]))), bits=16,
                shading=raw.recorded_shading(image.metadata).at(image.mosaic.shape),
            )  # fmt: skip
        frame = frames[int(row["image"])]
        np.testing.assert_array_equal(sample.arrays["clean"], frame[here])
        assert np.isnan(row["shading"]).all()
    assert len(frames) == 2
    for frame in frames.values():  # level again, to a code of 300 in the darkest corner
        assert np.ptp(frame[..., 1] / frame[..., 1].mean()) < 0.03


def test_means_of_four_have_the_gain_of_their_place_where_a_remainder_is_left_out(tmp_path):
    """Planes lie within half a pixel of the file of their place in the smaller mosaic."""
    shape = (131, 163)
    vignette = FixVignetteRadial((0.4, 0.3, 0.0, 0.0, 0.0), (0.45, 0.55))
    write(tmp_path / "a.dng", Shading(maps=maps((9, 11), 3)), shape=shape, vignette=vignette)
    image = read_file(Root(str(tmp_path)), "a.dng")
    made = prepared(image, GP, recipe_of(source_noise={"policy": "bin2"}), 0)
    assert (made.height, made.width) == (64, 80)
    found = made.lens.own.at((64, 80)).gains((64, 80), GP.cfa)
    full = raw.recorded_shading(image.raw).at(shape).gains(shape, GP.cfa)
    for y, x in np.ndindex(2, 2):
        plane = full[y::2, x::2][:64, :80]
        mean = (plane[::2, ::2] + plane[1::2, ::2] + plane[::2, 1::2] + plane[1::2, 1::2]) / 4
        slopes = [np.abs(np.diff(plane, axis=axis)).max() / 2 for axis in (0, 1)]
        assert np.abs(found[y::2, x::2] - mean).max() < 0.55 * sum(slopes)


def test_corners_are_noisier(of_raws):
    """In linear light, of signal x under gain g: g shot x + g² read; see test_shading_corpus."""
    corpus = of_raws(
        stage="linear", demosaic="bilinear", per_image=200, noise="heteroscedastic", patch=16
    )
    table, gains = corpus.table, []
    for row in table:
        shading = corpus.own_shading(int(row["image"])).at(SHAPE, int(row["y"]), int(row["x"]))
        gains.append(shading.gains((16, 16), cfa.PHASES[int(row["cfa"])]).mean())
    order = np.argsort(gains)
    noise = []
    for some in (order[:60], order[-60:]):
        pairs = [corpus[int(i)].arrays for i in some]
        noise.append(np.var([p["noisy"][..., 1].astype(float) - p["clean"][..., 1] for p in pairs]))
    shot, read = table["shot"][0, 1], table["read"][0, 1]
    means = [np.mean(np.asarray(gains)[some]) for some in (order[:60], order[-60:])]
    first, last = (g * shot * LIGHT + g * g * read for g in means)
    assert means[1] / means[0] > 1.5
    # 60 patches of 16 independent places at least: 3.3 √2 √(2 / 960) = 21 %.
    assert noise[1] / noise[0] == pytest.approx(last / first, rel=0.21)


@pytest.mark.parametrize("stage", ["srgb", "linear", "raw", "both"])
def test_lazy_is_stored(of_raws, tmp_path, stage):
    options = {"stage": stage, "draws": 2, "finish": {"luma": 1.0} if stage == "srgb" else {}}
    stored, lazy = of_raws("a.zarr", **options), of_raws("b.zarr", lazy=True, **options)
    assert stored.digest() == lazy.digest()
    materialize.materialize(lazy, str(tmp_path / "m.zarr"))
    again = pipelines.open(tmp_path / "m.zarr")
    assert again.digest() == stored.digest()
    for image in (0, 1):
        kept = [corpus.own_shading(image).to_bytes() for corpus in (stored, lazy, again)]
        assert kept[0] == kept[1] == kept[2]
    if stage != "raw":
        assert stored.digest() != of_raws("c.zarr", **options, shading={}).digest()


def test_workers_parts_and_shards_of_any_size_make_the_same(of_raws, raws, tmp_path):
    options = {"patch": 96, "per_image": 12, "draws": 2, "bits": 16}
    whole = of_raws("a.zarr", run={"shard_mb": 64}, **options)
    for i in (2, 1):
        parts = of_raws("p.zarr", run={"part": (i, 2), "shard_mb": 1}, **options)
    assert parts.plan.shards > whole.plan.shards == 1
    assert parts.digest() == whole.digest()
    with execution.executor(2) as client:
        path = str(tmp_path / "w.zarr")
        recipe = recipe_of(**options)
        pipelines.synthesize(recipe, path, client, root=str(raws), shard_mb=1)
    assert pipelines.open(path).digest() == whole.digest()
    verified = CliRunner().invoke(main, ["verify", path, "--regenerate", "20", "--root", str(raws)])
    assert "20 samples made again, 0 different" in verified.output


def test_measured_noise_is_the_models(of_raws):
    corpus = of_raws(per_image=40, noise="heteroscedastic")
    # 80 patches of 1024 pixels; see test_shading_corpus.
    for curve in noise_curves(corpus, range(len(corpus))):
        assert curve.ratio == pytest.approx(1, abs=0.08)


@pytest.fixture
def refused(tmp_path):
    """Synthesize of a folder that must fail; return its one line."""

    def invoke(folder, *more):
        arguments = ["synthesize", "--source", "folder", "--root", str(folder), "--patch", "32"]
        arguments += ["--set", "shading.mode=file", "--out", str(tmp_path / "x.zarr"), *more]
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code in (1, 2), result.output
        assert result.output.count("\n") == 1
        return result.output

    return invoke


def test_files_that_do_not_say_it_are_named(refused, tmp_path, raws):
    folder = tmp_path / "files"
    folder.mkdir()
    flat, own = Shading(), maps((5, 7), 1)
    write(folder / "a.dng", flat)
    assert "a.dng: no lens shading to use: no GainMap and no FixVign" in refused(folder)
    half = gain_map_opcodes(own, (SHAPE[0] // 2, SHAPE[1] // 2), GP.cfa)
    write(folder / "a.dng", flat, gain_maps=half)
    line = refused(folder)
    assert "a.dng: no lens shading to use: a GainMap of rows 0 to 64 and columns 0 to 80" in line
    assert "does not cover the frame of 128 x 160 pixels" in line
    other = (replace(gain_map_opcodes(own, SHAPE, GP.cfa)[0], gains=np.ones((3, 3, 1))),)
    write(folder / "a.dng", flat, gain_maps=gain_map_opcodes(own, SHAPE, GP.cfa)[1:] + other)
    assert "a.dng: no lens shading to use: GainMaps on different grids" in refused(folder)
    write(folder / "a.dng", Shading(maps=maps((50, 50), 1)))
    assert "a.dng: its lens shading takes 40100 bytes, more than 32768" in refused(folder)
    (folder / "a.dng").unlink()
    cv2.imwrite(str(folder / "p.png"), np.full((64, 64, 3), 90, np.uint8))
    assert "p.png is a picture, which records no lens shading; give shading.k1" in refused(folder)
    line = refused(raws, "--set", "shading.k1=0.5")
    assert "shading.k1: mode 'file' takes all from the raw file" in line


def test_a_bad_file_is_counted_and_the_others_go_on(tmp_path):
    folder, out = tmp_path / "files", str(tmp_path / "x.zarr")
    folder.mkdir()
    write(folder / "a.dng", Shading(maps=maps((5, 7), 1)))
    write(folder / "b.dng", Shading())
    summary = pipelines.synthesize(recipe_of(), out, root=str(folder), max_bad=0.5)
    assert [name for name, _ in summary.problems] == ["b.dng"]
    assert pipelines.open(out).table["valid"].tolist() == [1] * 8 + [0] * 8
