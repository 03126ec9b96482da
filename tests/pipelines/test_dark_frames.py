"""Corpora with dark frames: what is drawn of them, what they stand for, and what is refused."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

import pipelines
from catalogs import cameras
from denoisers.data.open import open_corpus
from noisegen import cfa, raw
from noisegen.cli import main
from noisegen.errors import InputError, MissingDataError
from pipelines import dark_folder, execution, prepare
from pipelines.frame import frame as prepared
from pipelines.job import Batch
from pipelines.measure import noise_curves
from pipelines.shard import batches

GP = cameras.load("GP")
SHAPE = (150, 180)
BLACKS = (62.0, 64.25, 65.0, 64.0)
"""Of the frames, unlike the camera's: what is added is what lies above them."""

MODEL = {"noise": "poisson-gaussian", "camera": "GP"}


def frame(path, seed, *, phase="RGGB", iso=800, black=BLACKS, mean=0.4, shape=SHAPE, **tags):
    """Write a dark frame: noise of pixels and of rows, unlike in its planes."""
    rng = np.random.default_rng(seed)
    planes = cfa.plane_map(phase, shape)
    values = rng.normal(0, 1, shape) * np.array([3.0, 4.0, 5.0, 6.0])[planes]
    values += rng.normal(0, 2, (shape[0], 1)) + np.asarray(black)[planes] + mean
    given = {"make": "Google", "model": "Pixel", "iso": iso, "white_level": 1023, "bits": 10}
    codes = np.clip(np.rint(values), 0, 1023).astype(np.uint16)
    raw.write_dng(path, codes, cfa=phase, black_level=black, **{**given, **tags})


@pytest.fixture(scope="module")
def dark(tmp_path_factory):
    """Two frames at ISO 800, of which one begins with green, and one at ISO 1600."""
    folder = tmp_path_factory.mktemp("dark")
    frame(folder / "a.dng", 1)
    frame(folder / "b 2.dng", 2, phase="GBRG")
    frame(folder / "c.dng", 3, iso=1600)
    (folder / "note.txt").write_text("with the cap on")
    return folder


@pytest.fixture
def darkened(made, dark):
    """Make a small corpus with the noise of the dark frames."""

    def make(name="c.zarr", *, run=None, **changes):
        options = {"patch": 32, **MODEL, **changes}
        return made(name, run={"dark_frames": str(dark), **(run or {})}, **options)

    return make


def offsets(folder, row, size):
    """Return what a sample gets, in DN above black, by what is recorded alone."""
    name = sorted(("a.dng", "b 2.dng", "c.dng"))[int(row["dark_frame"]) - 1]
    image = raw.read(folder / name)
    blacks = np.asarray(image.metadata.black_level)
    above = image.mosaic - blacks[cfa.plane_map(image.metadata.cfa, image.mosaic.shape)]
    y, x = int(row["dark_y"]), int(row["dark_x"])
    phase = cfa.PHASES[int(row["cfa"])]
    assert cfa.shift(image.metadata.cfa, y, x) == phase
    return above[y : y + size, x : x + size]


@pytest.mark.parametrize("noise", ["poisson-gaussian", "heteroscedastic"])
def test_without_shot_noise_a_sample_is_its_mosaic_and_a_part_of_a_frame(darkened, dark, noise):
    corpus = darkened(stage="raw", without=("shot",), draws=3, noise=noise)
    seen = set()
    for number in map(int, corpus.valid):
        sample = corpus[number]
        expected = np.floor(sample.arrays["clean"] + offsets(dark, sample.row, 32) + 0.5)
        np.testing.assert_array_equal(sample.arrays["noisy"], np.clip(expected, 0, 1023))
        seen.add((int(sample.row["dark_frame"]), int(sample.row["dark_y"])))
    assert len(seen) > 30


def test_what_a_frame_stands_for_is_recorded(darkened, dark):
    corpus = darkened(draws=2, iso=(500.0, 2000.0), count=64, per_image=16)
    table, levels = corpus.table, GP.levels
    assert set(table["iso"].round(6)) == {800.0, 1600.0}
    assert (np.isin(table["dark_frame"], (1, 2)) == (table["iso"].round() == 800)).all()
    # Of 64 patches of three frames; a patch's draws are of one ISO, at places of their own.
    assert set(table["dark_frame"]) == {1, 2, 3}
    assert (table["dark_y"][0::2] != table["dark_y"][1::2]).mean() > 0.5
    for number, name in enumerate(("a.dng", "b 2.dng", "c.dng"), start=1):
        image = raw.read(dark / name)
        planes = cfa.plane_map(image.metadata.cfa, SHAPE)
        for row in table[table["dark_frame"] == number]:
            for plane in range(4):
                codes = image.mosaic[planes == plane].astype(np.float64)
                span = levels.span[plane]
                assert row["read"][plane] == pytest.approx(codes.var() / span**2, rel=1e-9)
                bias = (codes.mean() - BLACKS[plane]) / span
                assert row["bias"][plane] == pytest.approx(bias, rel=1e-9)
    assert (table["row"] == 0).all()
    assert np.isnan(table["tukey_lambda"]).all()
    assert corpus.recipe.dark_frames.keys() == {"a.dng", "b 2.dng", "c.dng"}


def test_every_place_of_the_right_phase_is_drawn(darkened):
    corpus = darkened(stage="raw", iso=800.0, count=600, per_image=200, draws=4)
    for number, phase in ((1, "RGGB"), (2, "GBRG")):
        rows = corpus.table[corpus.table["dark_frame"] == number]
        odd = [(y, x) for y in (0, 1) for x in (0, 1) if cfa.shift(phase, y, x) == GP.cfa]
        for name, first, length in zip(("dark_y", "dark_x"), odd[0], SHAPE, strict=True):
            # 1200 draws of up to 75 places miss one with odds of 75 exp(-16), 8e-6.
            places = np.arange(first, length - 32 + 1, 2)
            np.testing.assert_array_equal(np.unique(rows[name]), places)


FINISH = {"luma": 1.0, "sharpen": 0.5}


def test_workers_parts_and_shards_of_any_size_make_the_same(darkened, small, dark, tmp_path):
    options = {"patch": 96, "draws": 3, "bits": 16, "finish": FINISH}
    whole = darkened("a.zarr", run={"shard_mb": 64}, **options)
    recipe, path = small(**MODEL, **options), str(tmp_path / "p.zarr")
    for i in (3, 1, 2):
        pipelines.synthesize(recipe, path, dark_frames=str(dark), part=(i, 3), shard_mb=1)
    parts = pipelines.open(path)
    assert parts.plan.shards > whole.plan.shards == 1
    assert parts.digest() == whole.digest()
    with execution.executor(2) as client:
        path = str(tmp_path / "w.zarr")
        pipelines.synthesize(recipe, path, client, dark_frames=str(dark), shard_mb=1)
    assert pipelines.open(path).digest() == whole.digest()


@pytest.mark.parametrize("table", [{}, {"finish": FINISH}, {"body": {"prnu": 0.02}}], ids=str)
def test_a_sample_is_the_crop_of_a_larger_one(small, dark, table):
    """Noise and rendering of a patch go on beyond it as the dark frame does."""
    recipe = small(**MODEL, patch=32, per_image=40, count=120, demosaic="ahd", **table)
    recipe = prepare.resolve(recipe, str(dark))
    job = prepare.new_job(recipe, None, 64, str(dark))
    wide = replace(job.developer, recipe=recipe.model_copy(update={"patch": 48}))
    facts, batch = list(batches(job, 0))[:2]
    assert isinstance(batch, Batch)
    picture = job.source.read(job.images[0])
    compared = 0
    whole = prepared(picture, job.camera, recipe, 0)
    for i, row in enumerate(batch.rows.reshape(-1)):
        larger = row.copy()
        for name in ("y", "x", "dark_y", "dark_x"):
            larger[name] = max(int(row[name]) - 8, 0)
        fits = all(int(row[name]) >= 8 for name in ("y", "x"))
        fits &= all(int(row[name]) - 8 >= wide.halo for name in ("dark_y", "dark_x"))
        ends = zip(("dark_y", "dark_x"), SHAPE, strict=True)
        fits &= all(larger[name] + 48 + wide.halo <= length for name, length in ends)
        fits &= max(larger["y"], larger["x"]) + 48 <= facts.height
        if not fits:
            continue
        window = wide.window(int(larger["y"]), int(larger["x"]), facts.height, facts.width)
        made = wide.sample(larger, whole.tile(window, float(row["tone"])), window)
        np.testing.assert_array_equal(batch.arrays["noisy"][i], made["noisy"][8:40, 8:40])
        compared += 1
    assert compared >= 5


@pytest.fixture(scope="module")
def grey(tmp_path_factory):
    folder = tmp_path_factory.mktemp("grey")
    cv2.imwrite(str(folder / "grey.png"), np.full((128, 128, 3), 40, np.uint8))
    return folder


def test_noise_is_shot_noise_and_the_frames_and_hangs_together_as_they_do(grey, dark, tmp_path):
    """Variance shot x + 1/12 and the frames'; along rows it is as correlated as they are.

    Given the frames' parts, what is left is shot noise: independent in n = 409600 pixels a plane, a
    twelfth less in pairs. So 5 √(2/n) = 1.1 % of the variance, 5 σ/√n of the mean and 5 σ²/√n of
    the covariance are five standard deviations: twelve of them fail with odds of 7e-6.
    """
    normal = {**MODEL, "noise": "heteroscedastic"}  # few electrons are a lattice when rounded
    recipe = pipelines.Recipe(
        source="folder", stage="raw", iso=800.0, patch=32, per_image=1600, **normal
    )
    path = str(tmp_path / "g.zarr")
    pipelines.synthesize(recipe, path, root=str(grey), dark_frames=str(dark))
    corpus = pipelines.open(path)
    samples = [corpus[int(i)] for i in corpus.valid]
    noise = np.stack([s.arrays["noisy"].astype(float) - s.arrays["clean"] for s in samples])
    added = np.stack([offsets(dark, s.row, 32) for s in samples])
    row, span = corpus.table[0], GP.levels.span
    for (y, x), plane in np.ndenumerate(cfa.planes(GP.cfa)):
        signal = float(samples[0].arrays["clean"][y, x]) - GP.levels.black[plane]
        shot = row["shot"][plane] * signal * span[plane] + 1 / 12
        found, own = noise[:, y::2, x::2], added[:, y::2, x::2]
        n, expected = found.size, shot + own.var()
        assert found.var() == pytest.approx(expected, rel=5 * np.sqrt(2 / n))
        assert found.mean() == pytest.approx(own.mean(), abs=5 * np.sqrt(shot / n))
        along, theirs = (
            np.mean((part[..., 1:] - part.mean()) * (part[..., :-1] - part.mean()))
            for part in (found, own)
        )
        bound = 5 * expected / np.sqrt(n * 15 / 16)
        assert along == pytest.approx(theirs, abs=bound)
        assert theirs > 5 * bound


@pytest.mark.parametrize("changes", [{"stage": "raw"}, {"stage": "linear"}, {"finish": FINISH}])
def test_measured_noise_is_the_predicted(darkened, grey, changes):
    corpus = darkened(
        source="folder", source_options={}, count=200, per_image=200,
        run={"root": str(grey)}, **changes,
    )  # fmt: skip
    for curve in noise_curves(corpus, list(map(int, corpus.valid))):
        # Noise of rows is smoothed less than that of pixels, which stands in for it: 20 %.
        assert curve.ratio == pytest.approx(1, abs=0.2 if changes == {"stage": "raw"} else 0.5)


@pytest.fixture
def run():
    def invoke(*arguments):
        return CliRunner().invoke(main, [str(a) for a in arguments])

    return invoke


ARGUMENTS = ["--camera", "GP", "--count", "8", "--patch", "32", "--noise", "poisson-gaussian"]


def test_commands_go_on_verify_and_print_what_they_need(run, dark, tmp_path):
    out, given = tmp_path / "a.zarr", ["--dark-frames", dark]
    assert run("synthesize", "--out", out, *ARGUMENTS, *given).exit_code == 0
    again = run("synthesize", "--out", out, *ARGUMENTS, *given)
    assert "nothing was missing" in again.output
    digest = run("digest", out).output.splitlines()[-1]
    verified = run("verify", out, "--regenerate", "8", *given)
    assert verified.exit_code == 0, verified.output
    assert "8 samples made again, 0 different" in verified.output
    refused = run("verify", out, "--regenerate", "1")
    assert refused.exit_code == 2
    assert "give their folder with --dark-frames" in refused.output
    recipe = tmp_path / "r.toml"
    recipe.write_text(run("recipe", out).output)
    assert '"b 2.dng" = "' in recipe.read_text()
    other = tmp_path / "b.zarr"
    made = run("synthesize", "--out", other, "--recipe", recipe, *given)
    assert made.exit_code == 0, made.output
    assert run("digest", other).output.splitlines()[-1] == digest
    alone = run("synthesize", "--out", tmp_path / "c.zarr", "--recipe", recipe)
    assert alone.exit_code == 2
    assert "give their folder with --dark-frames" in alone.output


def test_a_folder_that_changed_is_told(run, tmp_path):
    folder = tmp_path / "dark"
    folder.mkdir()
    frame(folder / "a.dng", 1)
    out, given = tmp_path / "a.zarr", ["--dark-frames", folder]
    assert run("synthesize", "--out", out, *ARGUMENTS, *given, "--parts", "1/2").exit_code == 0
    recipe = tmp_path / "r.toml"
    recipe.write_text(run("recipe", out).output)
    frame(folder / "a.dng", 9)
    line = run("synthesize", "--out", out, *ARGUMENTS, *given)
    assert (line.exit_code, line.output.count("\n")) == (2, 1)
    assert "holds a corpus of another recipe (dark_frames.a.dng is '" in line.output
    line = run("synthesize", "--out", tmp_path / "b.zarr", "--recipe", recipe, *given)
    assert (line.exit_code, line.output.count("\n")) == (2, 1)
    assert "the recipe's frame a.dng is another file there" in line.output
    verified = run("verify", out, "--regenerate", "1", *given)
    assert verified.exit_code == 1
    assert "not the dark frame that the corpus was begun with" in verified.output
    (folder / "a.dng").unlink()
    frame(folder / "z.dng", 1)
    line = run("synthesize", "--out", tmp_path / "b.zarr", "--recipe", recipe, *given)
    assert "the recipe's frame a.dng is not there" in line.output


def test_what_describes_a_headerless_frame_is_part_of_it(run, tmp_path):
    folder = tmp_path / "dark"
    folder.mkdir()
    codes = np.clip(np.rint(np.random.default_rng(7).normal(64, 4, SHAPE)), 0, 1023)
    (folder / "a.raw").write_bytes(codes.astype("<u2").tobytes())
    about = {"height": SHAPE[0], "width": SHAPE[1], "cfa_pattern": "RGGB", "bits": 10}
    about |= {"black_level": 64, "white_level": 1023, "make": "Google", "model": "Pixel"}
    about |= {"dtype": "uint16", "byteorder": "little", "iso": 800}
    (folder / "a.json").write_text(json.dumps(about))
    given = ["--dark-frames", folder]
    made = run("synthesize", "--out", tmp_path / "a.zarr", *ARGUMENTS, *given)
    assert made.exit_code == 0, made.output
    recipe = tmp_path / "r.toml"
    recipe.write_text(run("recipe", tmp_path / "a.zarr").output)
    (folder / "a.json").write_text(json.dumps(about | {"black_level": 60}))
    line = run("synthesize", "--out", tmp_path / "b.zarr", "--recipe", recipe, *given)
    assert (line.exit_code, line.output.count("\n")) == (2, 1)
    assert "the recipe's frame a.raw is another file there" in line.output


@pytest.mark.parametrize(
    ("written", "line"),
    [
        ({"model": "Pixel 2"}, "a dark frame of another camera (Google Pixel 2); camera GP is"),
        ({"make": "", "model": ""}, "a dark frame of another camera (noisegen); camera GP is"),
        ({"iso": None}, "does not say its ISO"),
        ({"iso": 400}, "none in {folder} was taken at ISO 800, only at ISO 400"),
        ({"bits": 12, "white_level": 4095}, "codes of 12 bits, camera GP has 10"),
        ({"shape": (36, 60)}, "36 x 60 pixels, a patch with its surroundings needs 37"),
        ({"mean": 40.0}, "not dark, its mean is 39.98 DN from its black level"),
        ({"black": (0.0,) * 4, "mean": 0.0}, "cut at code 0, where"),
    ],
)
def test_a_frame_that_is_not_the_cameras_is_one_line(run, tmp_path, written, line):
    folder = tmp_path / "dark"
    folder.mkdir()
    frame(folder / "a.dng", 1, **written)
    out = tmp_path / "a.zarr"
    result = run("synthesize", "--out", out, *ARGUMENTS, "--iso", "800", "--dark-frames", folder)
    assert result.exit_code == 2, result.output
    assert line.format(folder=folder) in result.output
    assert result.output.count("\n") == 1
    assert not out.exists()


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--lazy"], "lazy: a corpus does not hold the dark frames"),
        (["--camera", "as-shot"], "dark_frames: camera 'as-shot' is of any make"),
        (["--camera", "google"], "camera google states no make and model"),
        (["--camera", "IMX296"], "camera IMX296 must be one that is set by ISO"),
        (["--camera", "S6"], "camera S6 cuts its codes at black"),
        (["--noise", "awgn"], "noise 'awgn' has no shot noise"),
        (["--source-noise", "top-up"], "dark_frames: a frame has all of its noise, whatever"),
        (["--without", "read"], "without: dark frames stand for 'read'"),
        (["--set", "body.dsnu=2"], "dark_frames: dsnu: dark frames bring their own dark noise"),
        (["--set", "dark_frames.a=0"], "dark_frames"),
    ],
)
def test_what_dark_frames_cannot_give_is_one_line(run, dark, tmp_path, options, line):
    base = [] if "--camera" in options or "--noise" in options else ["--camera", "GP"]
    arguments = ["--out", tmp_path / "a.zarr", *base, *options, "--dark-frames", dark]
    result = run("synthesize", *arguments)
    assert result.exit_code == 2, result.output
    assert line in result.output
    assert result.output.count("\n") == 1


def test_a_folder_without_raws_is_one_line(run, tmp_path):
    for folder, line in ((tmp_path, "no raw file under"), (tmp_path / "no", "cannot reach")):
        result = run("synthesize", "--out", tmp_path / "a.zarr", "--dark-frames", folder)
        assert (result.exit_code, result.output.count("\n")) == (2, 1)
        assert line in result.output


def test_files_at_their_own_iso_need_frames_of_it(run, dark, tmp_path):
    folder = tmp_path / "raws"
    folder.mkdir()
    for iso in (800, 200):
        frame(folder / f"{iso}.dng", iso, iso=iso)
    arguments = ["--source", "folder", "--root", folder, "--iso", "as-shot", *ARGUMENTS]
    arguments += ["--source-noise", "ignore"]
    arguments += ["--dark-frames", dark, "--out", tmp_path / "a.zarr"]
    line = run("synthesize", *arguments)
    assert (line.exit_code, line.output.count("\n")) == (2, 1)
    assert "was taken at ISO 200, only at ISO 800, 1600" in line.output
    assert run("synthesize", *arguments, "--max-bad", "0.5").exit_code == 0
    table = pipelines.open(tmp_path / "a.zarr").table
    assert (table["iso"][table["valid"] == 1].round() == 800).all()
    assert set(table["dark_frame"][table["valid"] == 1]) <= {1, 2}


def test_frames_are_read_again_where_not_all_are_kept(darkened, monkeypatch):
    kept = darkened("a.zarr")
    monkeypatch.setattr("pipelines.dark.CACHE_BYTES", 1)
    assert darkened("b.zarr").digest() == kept.digest()


def test_the_folder_is_asked_for(small, dark):
    recipe = prepare.resolve(small(**MODEL), str(dark))
    with pytest.raises(MissingDataError, match="--dark-frames"):
        prepare.new_job(recipe, None, 64)
    job = prepare.new_job(recipe, None, 64, str(dark))
    bare = replace(job.developer, dark=None)
    rows = next(b for b in batches(job, 0) if isinstance(b, Batch))
    with pytest.raises(InputError, match="cannot be drawn without them"):
        bare.batch(rows.rows, rows.tiles, np.full((len(rows.rows), 2), 160))
    with pytest.raises(InputError, match="no shot noise"):
        dark_folder.check(recipe, GP, "awgn", GP.body)


def test_raws_too_noisy_for_the_frames_are_left_out_in_any_shard(run, dark, tmp_path):
    """A file's own noise is held against the frames', where an image is in two shards too."""
    folder = tmp_path / "raws"
    folder.mkdir()
    image = raw.read(dark / "a.dng")
    for name, variance in (("a", 1e-7), ("b", 1e-2)):
        raw.write_dng(
            folder / f"{name}.dng", image.mosaic, cfa="GRBG", black_level=64, white_level=1023,
            bits=10, noise_profile=((variance,) * 4, (variance,) * 4),
        )  # fmt: skip
    base = ["--source", "folder", "--root", folder, *ARGUMENTS, "--noise", "poisson-gaussian"]
    base += ["--stage", "both", "--draws", "48", "--per-image", "4", "--dark-frames", dark]
    digests = []
    for name, more in (("w", []), ("p", ["--shard-mb", "1"])):
        out = tmp_path / f"{name}.zarr"
        made = run("synthesize", "--out", out, *base, *more)
        assert made.exit_code == 0, made.output
        digests.append(run("digest", out).output.splitlines()[-1])
    assert digests[0] == digests[1]
    corpus = pipelines.open(tmp_path / "p.zarr")
    assert corpus.plan.shards > 2
    assert corpus.table["valid"].tolist() == [1] * 192 + [0] * 192


def test_a_patch_is_left_out_if_any_of_its_draws_has_too_quiet_a_frame(run, tmp_path):
    """The file's read noise is 0.02 of the loud frame's variance, and more than the quiet one's."""
    folders = {name: tmp_path / name for name in ("raws", "caps")}
    for folder in folders.values():
        folder.mkdir()
    rng = np.random.default_rng(5)
    tags = {"cfa": "RGGB", "black_level": 64, "white_level": 1023, "bits": 10}
    taken = {"make": "Google", "model": "Pixel", "iso": 800}
    for name, deviation in (("loud", 16), ("quiet", 2)):
        codes = np.clip(np.rint(rng.normal(64, deviation, SHAPE)), 0, 1023).astype(np.uint16)
        raw.write_dng(folders["caps"] / f"{name}.dng", codes, **tags, **taken)
    profile = ((1e-7,) * 4, (0.02 * (16 / 959) ** 2,) * 4)
    scene = np.full(SHAPE, 400, np.uint16)
    raw.write_dng(folders["raws"] / "a.dng", scene, noise_profile=profile, **tags)
    base = ["--source", "folder", "--root", folders["raws"], *ARGUMENTS, "--draws", "2"]
    base += ["--count", "24", "--per-image", "24", "--dark-frames", folders["caps"]]
    found = {}
    for policy in ("ignore", "reject"):
        out = tmp_path / f"{policy}.zarr"
        made = run("synthesize", "--out", out, *base, "--source-noise", policy)
        assert made.exit_code == 0, made.output
        found[policy] = pipelines.open(out)
    loud = found["ignore"].table["dark_frame"].reshape(24, 2) == 1
    assert (loud[:, 0] != loud[:, 1]).any()
    valid = found["reject"].table["valid"].reshape(24, 2)
    assert (valid == loud.all(axis=1)[:, None]).all()


def test_the_loader_does_not_draw_such_noise_anew(darkened):
    corpus = darkened(stage="raw")
    assert len(open_corpus(corpus, ("clean", "noisy"))) == 12
    with pytest.raises(InputError, match="dark frames, which a corpus does not hold"):
        open_corpus(corpus, ("clean",), renoise=True)
