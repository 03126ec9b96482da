"""Bad input: one line that says what, where and what to do; the right exit code; nothing lost."""

import errno
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner

import pipelines
from noisegen.cli import main
from noisegen.raw import write_dng

FAST = ["--count", "4", "--patch", "32"]


@pytest.fixture
def run():
    def invoke(*arguments):
        result = CliRunner().invoke(main, [str(a) for a in arguments])
        assert not isinstance(result.exception, Exception) or isinstance(
            result.exception, SystemExit
        ), result.exc_info
        return result

    return invoke


@pytest.fixture
def refused(run):
    """Run a command that must fail, and return its one line."""

    def invoke(*arguments, code):
        result = run(*arguments)
        assert result.exit_code == code, result.output
        lines = result.stderr.strip().splitlines()
        assert len(lines) == 1, result.stderr
        assert lines[0].startswith("noisegen: ")
        assert "Traceback" not in result.output
        assert "--debug" not in lines[0], "an error that nobody foresaw"
        return lines[0]

    return invoke


@pytest.fixture
def corpus(run, tmp_path):
    path = tmp_path / "good.zarr"
    assert run("synthesize", "--out", path, *FAST).exit_code == 0
    return path


@pytest.fixture
def raws(tmp_path):
    folder = tmp_path / "raws"
    folder.mkdir()
    mosaic = np.random.default_rng(0).integers(64, 1024, (64, 80)).astype(np.uint16)
    for number in range(2):
        write_dng(
            folder / f"{number}.dng", mosaic, cfa="RGGB", black_level=(64,) * 4, white_level=1023
        )
    return folder


def test_missing_root(refused, tmp_path, monkeypatch):
    monkeypatch.delenv("NOISEGEN_SOURCES", raising=False)
    line = refused("synthesize", "--source", "fivek", "--out", tmp_path / "x.zarr", code=2)
    assert "--root" in line
    assert "fivek" in line
    missing = tmp_path / "nothing"
    line = refused(
        "synthesize", "--source", "folder", "--root", missing, "--out", tmp_path / "x", code=2
    )
    assert str(missing) in line


def test_truncated_raw(refused, raws, tmp_path):
    whole = (raws / "1.dng").read_bytes()
    (raws / "1.dng").write_bytes(whole[: len(whole) // 2])
    line = refused(
        "synthesize", "--source", "folder", "--root", raws, "--out", tmp_path / "x.zarr", *FAST,
        code=1,
    )  # fmt: skip
    assert "1.dng" in line
    assert "--max-bad" in line


def test_truncated_raw_is_skipped_and_recorded_when_allowed(run, raws, tmp_path):
    whole = (raws / "1.dng").read_bytes()
    (raws / "1.dng").write_bytes(whole[: len(whole) // 2])
    out = tmp_path / "x.zarr"
    arguments = ["--source", "folder", "--root", raws, "--out", out, *FAST, "--max-bad", "0.5"]
    result = run("synthesize", *arguments)
    assert result.exit_code == 0, result.output
    assert "1.dng" in result.output
    corpus = pipelines.open(out)
    assert corpus.table["valid"].tolist() == [1, 1, 0, 0]
    assert "1.dng" in run("status", out).output
    assert run("digest", out).exit_code == 0
    assert run("verify", out).exit_code == 0


def test_x_trans(refused, tmp_path):
    tifffile = pytest.importorskip("tifffile")
    folder = tmp_path / "fuji"
    folder.mkdir()
    pattern = bytes([1, 1, 0, 1, 1, 2, 1, 1, 2, 1, 1, 0, 2, 0, 1, 0, 2, 1] * 2)
    tifffile.imwrite(
        folder / "x.dng", np.full((60, 60), 500, np.uint16), photometric=32803, metadata=None,
        extratags=[
            (50706, "B", 4, bytes([1, 4, 0, 0]), True), (50708, "s", 0, "Fuji X", True),
            (271, "s", 0, "Fuji", True), (272, "s", 0, "X", True),
            (33421, "H", 2, (6, 6), True), (33422, "B", 36, pattern, True),
            (50717, "I", 1, 1023, True),
        ],
    )  # fmt: skip
    line = refused(
        "synthesize", "--source", "folder", "--root", folder, "--out", tmp_path / "o.zarr", *FAST,
        code=1,
    )  # fmt: skip
    assert "x.dng" in line
    assert "X-Trans" in line


def test_unknown_camera(refused, tmp_path):
    line = refused("synthesize", "--camera", "SonyA7S", "--out", tmp_path / "x.zarr", code=2)
    assert "did you mean 'SonyA7S2'" in line
    assert not (tmp_path / "x.zarr").exists()


def test_negative_iso(refused, tmp_path):
    line = refused("synthesize", "--iso", "-100", "--out", tmp_path / "x.zarr", code=2)
    assert "iso" in line
    assert "-100" in line


def test_patch_larger_than_the_image(refused, raws, tmp_path):
    line = refused(
        "synthesize", "--source", "folder", "--root", raws, "--out", tmp_path / "x.zarr", code=2
    )
    assert "64 x 80" in line
    assert "--patch 64" in line


def test_unwritable_path(refused, tmp_path):
    (tmp_path / "file").write_text("")
    line = refused("synthesize", "--out", tmp_path / "file" / "x.zarr", *FAST, code=1)
    assert "file" in line
    assert "choose another" in line


def test_wrong_recipe_key(refused, tmp_path):
    recipe = tmp_path / "r.toml"
    recipe.write_text('camrea = "GP"\n')
    line = refused("synthesize", "--recipe", recipe, "--out", tmp_path / "x.zarr", code=2)
    assert "r.toml" in line
    assert "did you mean 'camera'" in line


@pytest.mark.parametrize(
    "command",
    [
        ["status"],
        ["verify"],
        ["digest"],
        ["recipe"],
        ["inspect", "--out", "s.png"],
        ["materialize", "--out", "m.zarr"],
    ],
    ids=lambda command: command[0],
)
def test_foreign_zarr(refused, tmp_path, command):
    import zarr

    zarr.create_group(tmp_path / "foreign.zarr").create_array("a", shape=(3,), dtype="i4")
    line = refused(*command, tmp_path / "foreign.zarr", code=2)
    assert "foreign.zarr" in line


def test_foreign_zarr_is_never_overwritten(refused, tmp_path):
    import zarr

    path = tmp_path / "foreign.zarr"
    zarr.create_group(path).create_array("a", shape=(3,), dtype="i4")[:] = 7
    for more in ([], ["--overwrite"]):
        refused("synthesize", "--out", path, *FAST, *more, code=2)
    assert (zarr.open_group(path, mode="r")["a"][:] == 7).all()


@pytest.mark.parametrize(
    "command",
    [
        ["status"],
        ["verify"],
        ["digest"],
        ["recipe"],
        ["inspect", "--out", "s.png"],
        ["materialize", "--out", "m.zarr"],
        ["synthesize", *FAST, "--out"],
    ],
    ids=lambda command: command[0],
)
def test_newer_schema(refused, corpus, command):
    root = json.loads((corpus / "zarr.json").read_text())
    root["attributes"]["noisegen"]["schema"] = 99
    (corpus / "zarr.json").write_text(json.dumps(root))
    line = refused(*command, corpus, code=2)
    assert "schema 99" in line
    assert "upgrade" in line


@pytest.mark.parametrize("damage", [b"\0" * 10, b"\7" * 36], ids=["short", "wrong"])
def test_corrupt_manifest(refused, run, corpus, damage):
    entry = corpus / "manifest" / "c.0.0"
    assert len(entry.read_bytes()) == 36
    entry.write_bytes(damage)
    assert "damaged" in run("status", corpus).output
    result = run("verify", corpus)
    assert result.exit_code == 1
    assert "manifest" in result.output
    refused("digest", corpus, code=1)
    assert run("synthesize", "--out", corpus, *FAST).exit_code == 0
    assert run("verify", corpus).exit_code == 0


def test_another_recipe_on_the_same_path(refused, run, corpus):
    before = run("digest", corpus).output.splitlines()[-1]
    line = refused("synthesize", "--out", corpus, *FAST, "--seed", "1", code=2)
    assert "seed is 0 there, 1 here" in line
    assert "--overwrite" in line
    assert run("digest", corpus).output.splitlines()[-1] == before
    assert run("synthesize", "--out", corpus, *FAST, "--seed", "1", "--overwrite").exit_code == 0
    assert run("digest", corpus).output.splitlines()[-1] != before


def test_a_disk_that_fills_up(refused, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "writev", full)
    line = refused("synthesize", "--out", tmp_path / "x.zarr", *FAST, code=1)
    assert "disk is full" in line
    assert not list(tmp_path.rglob("*.partial"))


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_full_disk(tmp_path):
    mount = tmp_path / "small"
    mount.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(mount)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"no tmpfs here: {mounted.stderr.decode().strip()}")
    try:
        done = subprocess.run(
            [sys.executable, "-m", "noisegen", "synthesize", "--out", str(mount / "x.zarr")],
            capture_output=True, text=True, timeout=200,
        )  # fmt: skip
        assert done.returncode == 1
        assert "disk is full" in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
        assert not list(mount.rglob("*.partial"))
    finally:
        subprocess.run(["umount", str(mount)], check=True)


def test_as_shot_of_pictures_and_of_raws_without_a_profile(refused, raws, tmp_path):
    line = refused("synthesize", "--camera", "as-shot", "--out", tmp_path / "x.zarr", *FAST, code=2)
    assert "raw files" in line
    line = refused(
        "synthesize", "--source", "folder", "--root", raws, "--camera", "as-shot",
        "--out", tmp_path / "y.zarr", *FAST, code=1,
    )  # fmt: skip
    assert "NoiseProfile" in line
    assert "0.dng" in line


def test_debug_shows_the_traceback(run, tmp_path):
    result = run("--debug", "synthesize", "--camera", "nobody", "--out", tmp_path / "x.zarr")
    assert "Traceback" in result.output


def test_a_count_that_the_source_cannot_give(refused, raws, tmp_path):
    line = refused(
        "synthesize", "--source", "folder", "--root", raws, "--count", "40", "--per-image", "4",
        "--out", tmp_path / "x.zarr", code=2,
    )  # fmt: skip
    assert "the source has 2" in line
