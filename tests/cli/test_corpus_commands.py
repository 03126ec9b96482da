"""Commands on a corpus that is there: digest, status, verify, inspect, materialize."""

import shutil

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

import pipelines
from noisegen.cli import main
from noisegen.raw import write_dng
from pipelines import sheet

PATCH = 64
STAGES = ("srgb", "linear", "raw", "both", "lazy", "dark")


def run(*arguments, code=0):
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    assert result.exit_code == code, result.output
    return result


def refused(*arguments, code):
    (line,) = run(*arguments, code=code).stderr.strip().splitlines()
    return line


@pytest.fixture(scope="module")
def corpora(tmp_path_factory):
    """Make a small corpus of every stage."""
    folder = tmp_path_factory.mktemp("corpora")
    for stage in STAGES:
        more = {"lazy": ["--lazy"], "dark": ["--exposure-ratio", "10"]}.get(
            stage, ["--stage", stage]
        )
        arguments = ["--patch", PATCH, "--count", "10", "--per-image", "5", "--iso", "800", *more]
        run("synthesize", "--out", folder / f"{stage}.zarr", *arguments)
    return folder


def test_digest_is_the_last_line_and_does_not_tell_lazy_from_stored(corpora):
    digests = {
        stage: run("digest", corpora / f"{stage}.zarr").output.splitlines()[-1] for stage in STAGES
    }
    assert all(len(bytes.fromhex(d)) == 32 for d in digests.values())
    assert digests["lazy"] == digests["srgb"]
    assert len(set(digests.values())) == len(STAGES) - 1


def test_status_of_a_finished_corpus(corpora):
    text = run("status", corpora / "lazy.zarr").output
    assert "10 of 10 samples" in text
    assert "source deadleaves, camera GP, noise heteroscedastic" in text
    assert "stage srgb, lazy, patch 64" in text
    assert "1 finished, 0 missing, 0 damaged" in text


def test_status_names_what_was_not_usable(tmp_path):
    folder = tmp_path / "raws"
    folder.mkdir()
    mosaic = np.full((40, 40), 500, np.uint16)
    for name in ("a", "b"):
        write_dng(folder / f"{name}.dng", mosaic, cfa="RGGB", black_level=64, white_level=1023)
    (folder / "broken.dng").write_bytes((folder / "a.dng").read_bytes()[:700])
    out = tmp_path / "c.zarr"
    run(
        "synthesize", "--source", "folder", "--root", folder, "--patch", 32, "--max-bad", "0.4",
        "--out", out,
    )  # fmt: skip
    text = run("status", out).output
    assert "32 of 48 samples" in text
    assert "not usable: " in text
    assert "broken.dng" in text
    assert run("inspect", out, "--out", tmp_path / "s.png").exit_code == 0
    run("verify", out, "--regenerate", 4, "--root", folder)


@pytest.mark.parametrize("stage", STAGES)
def test_verify_makes_samples_again(corpora, stage):
    text = run("verify", corpora / f"{stage}.zarr", "--regenerate", 3).output
    assert "1 shards compared, 0 damaged, 0 missing; 3 samples made again, 0 different" in text


@pytest.mark.parametrize("stage", STAGES)
def test_inspect_draws_a_sheet(corpora, tmp_path, stage):
    out = tmp_path / "sheet.png"
    text = run("inspect", corpora / f"{stage}.zarr", "--out", out).output
    channels = ["R", "G1", "B", "G2"] if stage == "raw" else ["R", "G", "B"]
    lines = text.splitlines()
    assert [line.partition(":")[0] for line in lines[:-1]] == channels
    for line in lines[:-1]:
        ratio = float(line.split("variance is ")[1].split(" of")[0])
        assert 0.7 < ratio < 1.4
    assert lines[-1] == f"wrote {out}"
    picture = cv2.imread(str(out))
    assert picture.dtype == np.uint8
    step = PATCH + sheet._GAP
    cell = (2 * sheet._LINE + step, max(3 * step, 300))
    across = sheet.WIDTH // cell[1]
    grid = sheet._GAP + across * cell[1]
    down = -(-sheet.SHOWN // across)
    height = sheet._GAP + down * cell[0] + sheet._PLOT_HEIGHT
    assert picture.shape == (height, grid, 3)


def test_the_sheet_shows_the_pixels_as_they_are(corpora, tmp_path):
    run("inspect", corpora / "srgb.zarr", "--out", tmp_path / "s.png")
    picture = cv2.imread(str(tmp_path / "s.png"))[..., ::-1]
    first = pipelines.open(corpora / "srgb.zarr")[0].arrays
    top, left = sheet._GAP + 2 * sheet._LINE, sheet._GAP
    for column, name in enumerate(("clean", "noisy")):
        at = left + column * (PATCH + sheet._GAP)
        np.testing.assert_array_equal(
            picture[top : top + PATCH, at : at + PATCH], first[name], err_msg=name
        )
    difference = first["noisy"].astype(int) - first["clean"]
    at = left + 2 * (PATCH + sheet._GAP)
    np.testing.assert_array_equal(
        picture[top : top + PATCH, at : at + PATCH], np.clip(4 * difference + 128, 0, 255)
    )


def test_inspect_where_it_cannot_write(corpora, tmp_path):
    line = refused("inspect", corpora / "srgb.zarr", "--out", tmp_path / "no" / "sheet.png", code=1)
    assert "sheet.png" in line
    assert "choose another --out" in line


def test_inspect_of_an_empty_corpus(corpora, tmp_path):
    path = shutil.copytree(corpora / "srgb.zarr", tmp_path / "c.zarr")
    (path / "manifest" / "c.0.0").unlink()
    assert "no sample is there yet" in refused(
        "inspect", path, "--out", tmp_path / "sheet.png", code=1
    )
    assert not (tmp_path / "sheet.png").exists()


def test_materialize_stores_the_same(corpora, tmp_path):
    out = tmp_path / "stored.zarr"
    text = run("materialize", corpora / "lazy.zarr", "--out", out).output
    assert f"{out}: 10 samples stored" in text
    assert (
        run("digest", out).output.splitlines()[-1]
        == (run("digest", corpora / "srgb.zarr").output.splitlines()[-1])
    )
    assert "0 samples stored" in run("materialize", corpora / "lazy.zarr", "--out", out).output
    assert "3 samples made again, 0 different" in run("verify", out, "--regenerate", 3).output
    # what it holds is what the command for a stored one makes: that one finds nothing to do
    recipe = tmp_path / "r.toml"
    recipe.write_text(run("recipe", out).output)
    assert "nothing was missing" in run("synthesize", "--recipe", recipe, "--out", out).output


def test_materialize_goes_on_after_damage(corpora, tmp_path):
    out = tmp_path / "stored.zarr"
    run("materialize", corpora / "lazy.zarr", "--out", out)
    (out / "noisy" / "c.0.0.0.0").unlink()
    text = run("materialize", corpora / "lazy.zarr", "--out", out).output
    assert "10 samples stored" in text
    run("digest", out)


def test_materialize_refuses_a_stored_corpus_and_a_wrong_place(corpora, tmp_path):
    line = refused("materialize", corpora / "srgb.zarr", "--out", tmp_path / "x.zarr", code=2)
    assert "stored already" in line
    line = refused("materialize", corpora / "lazy.zarr", "--out", corpora / "raw.zarr", code=2)
    assert "another recipe" in line
    run("status", corpora / "raw.zarr")
    (tmp_path / "file").write_text("")
    line = refused("materialize", corpora / "lazy.zarr", "--out", tmp_path / "file/x", code=1)
    assert "choose another" in line


@pytest.mark.parametrize(
    "arguments", [["status"], ["verify"], ["digest"], ["recipe"], ["inspect", "--out", "s.png"]]
)
def test_a_corpus_that_is_not_there(tmp_path, arguments):
    command, *more = arguments
    line = refused(command, tmp_path / "none.zarr", *more, code=2)
    assert "none.zarr" in line
    assert "noisegen synthesize" in line


def test_every_command_has_help():
    for name in ("status", "verify", "digest", "recipe", "inspect", "materialize", "synthesize"):
        text = run(name, "--help").output
        assert text.startswith("Usage: ")
