"""The command that makes a corpus: options, recipes, plans, and what it says meanwhile."""

import json
import re
import subprocess
import sys

import pytest
from click.testing import CliRunner

import pipelines
from noisegen.cli import main, progress
from noisegen.cli.ingest import command as ingest
from noisegen.cli.synthesize import RUN_OPTIONS
from noisegen.cli.synthesize import command as synthesize
from noisegen.raw import write_dng
from pipelines import presets
from pipelines.recipe import Recipe
from pipelines.run import Progress
from pipelines.tables import Table


def is_table(kind):
    return isinstance(kind, type) and issubclass(kind, Table)


SMALL = ["--patch", "32", "--count", "6", "--per-image", "3"]


@pytest.fixture
def run():
    def invoke(*arguments):
        result = CliRunner().invoke(main, [str(a) for a in arguments])
        assert result.exit_code == 0, result.output
        return result

    return invoke


def test_every_key_of_a_recipe_can_be_given_but_for_those_that_a_file_gives():
    """Keys of tables are given with --set."""
    options = {parameter.name for parameter in synthesize.params}
    of_pairs = {parameter.name for parameter in ingest.params} & Recipe.model_fields.keys()
    assert of_pairs - options == {"stride"}
    keys = {name for name, field in Recipe.model_fields.items() if not is_table(field.annotation)}
    assert keys - options - of_pairs == {"schema_version", "camera_file", "noise_file"}
    # A folder of dark frames is no key, but what it holds is one of the same name.
    given = {*RUN_OPTIONS, "split", "select", "source_noise"} - {"dark_frames"}
    assert options - keys == given
    assert set(RUN_OPTIONS) <= options


def test_every_option_reaches_the_recipe(run, tmp_path):
    out = tmp_path / "c.zarr"
    run(
        "synthesize", "--out", out, "--camera", "S6", "--noise", "poisson-gaussian",
        "--iso", "200-800", "--stage", "both", "--bits", "16", "--lazy", "--patch", "32",
        "--per-image", "2", "--count", "4", "--draws", "2", "--demosaic", "bilinear",
        "--gamma", "rec709", "--tone", "0.1-0.5", "--border", "published", "--clip", "published",
        "--exposure-ratio", "2-4", "--amplify", "--seed", "7", "--source-option", "size=96",
        "--without", "shot", "--without", "read", "--preset", "published", "--set", "tone=0.2-0.5",
        "--bodies", "5", "--set", "body.prnu=0.01",
        "--source-noise", "ignore",
    )  # fmt: skip
    recipe = pipelines.open(out).recipe
    tables = {
        "finish",
        "unprocess",
        "body",
        "shading",
        "select",
        "source_noise",
        "dark_frames",
        "neca",
        "dvd",
    }
    found = recipe.model_dump(exclude={"camera_file", "noise_file", "schema_version", *tables})
    assert found == {
        "source": "deadleaves", "camera": "S6", "noise": "poisson-gaussian",
        "iso": (200.0, 800.0), "gain": None, "stage": "both", "bits": 16, "lazy": True,
        "patch": 32, "stride": None, "per_image": 2, "count": 4, "draws": 2, "guide": None,
        "demosaic": "bilinear",
        "gamma": "rec709", "tone": (0.2, 0.5), "preset": "published",
        "border": "published", "clip": "published",
        "exposure_ratio": (2.0, 4.0), "amplify": True, "seed": 7,
        "source_options": {"size": 96}, "without": ("read", "shot"), "bodies": 5,
    }  # fmt: skip
    assert recipe.body.prnu == 0.01
    assert recipe.source_noise.policy == "ignore"


def test_every_preset_is_named_in_the_help_and_overridden_key_by_key(run, tmp_path):
    described = "".join(run("synthesize", "--help").output.split())
    assert all(name in described for name in presets.names())
    out = tmp_path / "c.zarr"
    options = ["--preset", "camera-jpeg", "--set", "finish.quality=none"]
    run("synthesize", "--out", out, *SMALL, *options)
    recipe = pipelines.open(out).recipe
    preset = presets.read("camera-jpeg")
    assert (recipe.preset, recipe.camera) == ("camera-jpeg", preset["camera"])
    assert (recipe.finish.quality, recipe.finish.luma) == ("none", tuple(preset["finish"]["luma"]))


def test_the_finish_is_set_key_by_key(run, tmp_path):
    out = tmp_path / "c.zarr"
    keys = ["quality=90-95", "subsampling=4:2:2", "luma=0.5-1.5", "target=finished"]
    settings = [part for key in keys for part in ("--set", f"finish.{key}")]
    run("synthesize", "--out", out, *SMALL, *settings)
    finish = pipelines.open(out).recipe.finish
    assert (finish.quality, finish.subsampling) == ((90, 95), "4:2:2")
    assert (finish.luma, finish.target) == ((0.5, 1.5), "finished")
    wrong = ["synthesize", "--out", str(tmp_path / "d.zarr"), "--set", "finish.quality=0"]
    result = CliRunner().invoke(main, wrong)
    assert result.exit_code == 2
    assert result.output == "noisegen: recipe: finish.quality: 0 is not from 1 to 100\n"


def test_options_change_a_recipe_file(run, tmp_path):
    file = tmp_path / "r.toml"
    file.write_text(
        'schema = 1\ncamera = "G4"\niso = 400\npatch = 32\ncount = 4\nlazy = true\nseed = 3\n'
        "[source_options]\nsize = 64\n"
    )
    arguments = ["synthesize", "--recipe", file]
    run(*arguments, "--out", tmp_path / "a.zarr")
    recipe = pipelines.open(tmp_path / "a.zarr").recipe
    assert (recipe.camera, recipe.iso, recipe.seed, recipe.lazy) == ("G4", 400.0, 3, True)
    assert recipe.source_options == {"size": 64}
    run(*arguments, "--iso", "100-200", "--stored", "--seed", "4", "--out", tmp_path / "b.zarr")
    recipe = pipelines.open(tmp_path / "b.zarr").recipe
    assert (recipe.camera, recipe.iso, recipe.seed, recipe.lazy) == ("G4", (100, 200), 4, False)


@pytest.mark.parametrize(
    "options", [[], ["--iso", "200-800", "--stage", "linear", "--draws", "2"], ["--lazy"]]
)
def test_the_printed_recipe_makes_the_same_corpus(run, tmp_path, options):
    run("synthesize", "--out", tmp_path / "a.zarr", *SMALL, *options)
    file = tmp_path / "r.toml"
    file.write_text(run("recipe", tmp_path / "a.zarr").output)
    run("synthesize", "--recipe", file, "--out", tmp_path / "b.zarr")
    first, second = (run("digest", tmp_path / f"{n}.zarr").output for n in "ab")
    assert first.splitlines()[-1] == second.splitlines()[-1]
    # and it is the recipe of what is there already
    assert (
        "nothing was missing"
        in run("synthesize", "--recipe", file, "--out", tmp_path / "a.zarr").output
    )


def test_a_users_camera_travels_with_the_corpus(run, tmp_path):
    own = tmp_path / "mine.toml"
    own.write_text(
        'title = "Mine"\nfigures = "calibrated"\nlicence = "my own"\nnote = "A test."\n'
        'cfa = "RGGB"\nread_includes = []\ndefault_model = "heteroscedastic"\n'
        '[[sources]]\nfigures = "noise"\npath = "bench.csv"\n'
        "[levels]\nblack = 100\nwhite = 4095\nbits = 12\n"
        '[color]\nsubstitute = "google-mixture"\n'
        '[noise]\nkind = "table"\nunit = "normalised"\n'
        "points = [{ iso = 100, shot = 1e-4, read = 1e-6 },\n"
        "          { iso = 400, shot = 4e-4, read = 4e-6 }]\n"
    )  # fmt: skip
    run("synthesize", "--out", tmp_path / "a.zarr", "--camera", own, "--stage", "raw", *SMALL)
    corpus = pipelines.open(tmp_path / "a.zarr")
    assert corpus.recipe.camera == "mine"
    assert (corpus.table["white"] == 4095).all()
    own.unlink()
    file = tmp_path / "r.toml"
    file.write_text(run("recipe", tmp_path / "a.zarr").output)
    run("synthesize", "--recipe", file, "--out", tmp_path / "b.zarr")
    assert pipelines.open(tmp_path / "b.zarr").digest() == corpus.digest()


def test_a_dry_run_says_what_would_be_made_and_writes_nothing(run, tmp_path):
    out = tmp_path / "c.zarr"
    text = run(
        "synthesize", "--out", out, "--dry-run", "--patch", "64", "--count", "100", "--stage",
        "both", "--draws", "3", "--per-image", "10", "--shard-mb", "1",
    ).output  # fmt: skip
    assert "source deadleaves: 10 images" in text
    assert "camera GP, noise heteroscedastic" in text
    assert "samples: 300 of 64 x 64" in text
    # two pictures of three bytes and two mosaics of two bytes a pixel, three draws
    patch_bytes = 64 * 64 * (2 * 3 + 2 * 2) * 3
    per_shard = (1 << 20) // patch_bytes
    per_shard = next(n for n in range(per_shard, 0, -1) if 10 % n == 0)
    assert f"shards: {100 // per_shard} of up to {per_shard * patch_bytes / 1e6:.1f} MB" in text
    assert f"pixels before compression: {100 * patch_bytes / 1e6:.1f} MB" in text
    assert re.search(r"memory of a worker: about \d+ MB", text)
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_refuses_what_a_run_would(tmp_path):
    result = CliRunner().invoke(
        main, ["synthesize", "--out", str(tmp_path / "c.zarr"), "--dry-run", "--camera", "nobody"]
    )
    assert result.exit_code == 2
    assert "nobody" in result.stderr


def test_the_plan_does_not_depend_on_who_works(run, tmp_path):
    arguments = ["synthesize", "--out", tmp_path / "c.zarr", "--dry-run", *SMALL]
    texts = {run(*arguments, *more).output for more in ([], ["--workers", 2], ["--parts", "1/2"])}
    assert len(texts) == 1


def test_the_summary_counts_and_warns(run, tmp_path):
    out = tmp_path / "c.zarr"
    text = run("synthesize", "--out", out, *SMALL, "--iso", "100-20000").output
    assert f"{out}: 6 of 6 samples" in text
    assert re.search(r"made 6 in \d+\.\d s \(\d+/s\), \d+\.\d MB", text)
    assert "warning: ISO 20000 is outside the calibrated 100..3200" in text
    assert "extrapolated" in pipelines.open(out).attributes["warnings"][0]


def test_overwrite_replaces_another_recipe_only(run, tmp_path):
    out = tmp_path / "c.zarr"
    run("synthesize", "--out", out, *SMALL)
    kept = (out / "clean" / "c.0.0.0.0").stat().st_mtime_ns
    again = run("synthesize", "--out", out, *SMALL, "--overwrite").output
    assert "nothing was missing" in again
    assert (out / "clean" / "c.0.0.0.0").stat().st_mtime_ns == kept
    run("synthesize", "--out", out, *SMALL, "--overwrite", "--stage", "raw")
    assert pipelines.open(out).recipe.stage == "raw"
    assert not (out / "clean" / "c.0.0.0.0").exists(), "nothing of the old one is left"
    assert [p.name for p in tmp_path.iterdir()] == ["c.zarr"]


def test_root_is_taken_from_the_environment(run, tmp_path, monkeypatch):
    import numpy as np

    folder = tmp_path / "sources" / "folder"
    folder.mkdir(parents=True)
    mosaic = np.full((40, 40), 500, np.uint16)
    write_dng(folder / "a.dng", mosaic, cfa="RGGB", black_level=64, white_level=1023)
    monkeypatch.setenv("NOISEGEN_SOURCES", str(tmp_path / "sources"))
    text = run(
        "synthesize", "--source", "folder", "--patch", "32", "--out", tmp_path / "c.zarr"
    ).output
    assert "16 of 16 samples" in text


def test_lines_off_a_terminal_come_now_and_then(monkeypatch, capsys):
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with progress.progress(None) as update:
        for done in range(1, 31):
            now[0] += 1
            update(Progress(done * 10, 600, done * 10, done * 1_000_000, float(done)))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert lines[0] == "100 of 600 samples, 10 samples/s, 1.0 MP/s, 50 s to go"
    assert lines[2] == "300 of 600 samples, 10 samples/s, 1.0 MP/s, 30 s to go"


def test_a_bar_on_a_terminal():
    """In a pseudo-terminal of its own, as a user sees it."""
    pty = pytest.importorskip("pty", reason="needs a Unix terminal")
    import os

    script = (
        "from noisegen.cli.progress import progress\n"
        "from pipelines.run import Progress\n"
        "with progress(None) as update:\n"
        "    update(Progress(5, 20, 5, 5_000_000, 1.0))\n"
        "    update(Progress(20, 20, 20, 20_000_000, 4.0))\n"
    )
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", script], stderr=theirs, stdout=subprocess.DEVNULL,
        env={**os.environ, "COLUMNS": "120", "TERM": "xterm"},
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    while True:
        try:
            part = os.read(ours, 4096)
        except OSError:  # Linux: the other end is closed
            break
        if not part:
            break
        shown += part
    os.close(ours)
    assert process.wait(timeout=60) == 0
    assert b"20/20" in shown
    assert b"5 samples/s, 5.0 MP/s" in shown


def test_the_recipe_of_nothing_is_refused():
    result = CliRunner().invoke(main, ["recipe"])
    assert result.exit_code == 2
    assert "--json-schema" in result.stderr


def test_json_schema_accepts_the_recipe_of_a_corpus(run, tmp_path):
    schema = json.loads(run("recipe", "--json-schema").output)
    assert schema["additionalProperties"] is False
    run("synthesize", "--out", tmp_path / "c.zarr", *SMALL)
    stored = json.loads(pipelines.open(tmp_path / "c.zarr").attributes["recipe"])
    assert set(stored) == set(schema["properties"])
    for name, text in schema["properties"].items():
        assert text["description"], name
