"""``noisegen ingest`` and every command that reads what it made; one line for what is wrong."""

import os
import re
from pathlib import Path

import cv2
import numpy as np
import pytest

import pipelines

from .conftest import picture, write

REAL = Path(os.environ.get("NOISEGEN_DATA", "")) / "pairs"


@pytest.fixture
def corpus(run, polyu: Path, tmp_path: Path) -> Path:
    out = tmp_path / "real.zarr"
    result = run("ingest", "polyu", "--root", polyu, "--out", out, "--patch", 64, "--stride", 40)
    assert result.exit_code == 0, result.output
    assert "36 of 36 samples" in result.output
    return out


def test_the_same_command_again_has_nothing_to_do(run, corpus: Path, polyu: Path) -> None:
    again = ("ingest", "polyu", "--root", polyu, "--out", corpus, "--patch", 64, "--stride", 40)
    assert "nothing was missing" in run(*again).output


def test_status_verify_and_digest(run, corpus: Path, polyu: Path, refused) -> None:
    output = run("status", corpus).output
    assert "36 of 36 samples\nsource polyu, camera as-shot, noise real\n" in output
    output = run("verify", corpus, "--regenerate", 4, "--root", polyu).output
    assert "1 shards compared, 0 damaged, 0 missing; 4 samples made again, 0 different" in output
    assert "36 samples" in run("digest", corpus).output
    assert "give --root DIR" in refused("verify", corpus, "--regenerate", 1)


def test_a_printed_recipe_makes_the_same_corpus(run, corpus: Path, polyu: Path) -> None:
    recipe = corpus.with_suffix(".toml")
    recipe.write_text(run("recipe", corpus).output)
    again = corpus.with_name("again.zarr")
    assert run("synthesize", "--recipe", recipe, "--root", polyu, "--out", again).exit_code == 0
    assert pipelines.open(again).digest() == pipelines.open(corpus).digest()


@pytest.mark.parametrize("name", ["page.html", "sheet.png"])
def test_inspect(run, corpus: Path, tmp_path: Path, name: str) -> None:
    result = run("inspect", corpus, "--out", tmp_path / name)
    assert result.exit_code == 0, result.output
    found = re.findall(
        r"^([RGB]): standard deviation of the noise is ([\d.]+)", result.output, re.M
    )
    assert [channel for channel, _ in found] == ["R", "G", "B"]
    # Clipped values are left out, and few samples are too many to be measured.
    recorded = 255 * np.sqrt((pipelines.open(corpus).table["noise"] ** 2).mean(0))
    np.testing.assert_allclose([float(std) for _, std in found], recorded, rtol=0.05)
    if name.endswith("png"):
        sheet = cv2.imread(str(tmp_path / name))
        assert sheet.shape[0] > 500
    else:
        page = (tmp_path / name).read_text()
        assert "real pairs" in page
        assert not re.search(r"[>\s]nan[<\s,]", page)
        assert "aperture" in page


def test_realism(run, corpus: Path, polyu: Path, tmp_path: Path) -> None:
    # Four scenes are needed.
    for number in (1, 2):
        for half in ("real", "mean"):
            old = polyu / f"Sony_3-5_200_1600_door_{number}_{half}.JPG"
            old.rename(old.with_name(old.name.replace("door_1", "lamp_1")))
    out = tmp_path / "four.zarr"
    assert run("ingest", "polyu", "--root", polyu, "--out", out, "--patch", 64).exit_code == 0
    result = run("realism", out, corpus, "--out", tmp_path / "r.html", "--pairs", 24)
    assert result.exit_code == 0, result.output


def test_train_and_evaluate(run, corpus: Path, tmp_path: Path) -> None:
    short = ("--iterations", 2, "--batch", 2, "--patch", 32, "--out", tmp_path / "run")
    result = run("train", "dncnn", "--preset", "dncnn-small", "--data", corpus, *short)
    assert result.exit_code == 0, result.output
    for on in ("corpus", "pairs"):
        out = tmp_path / on
        how = ("--on", on, "--root", corpus, "--out", out)
        assert run("evaluate", tmp_path / "run", *how).exit_code == 0
        assert list(out.iterdir())


def test_its_noise_is_not_drawn_anew(refused, corpus: Path, tmp_path: Path) -> None:
    how = ("--preset", "dncnn-small", "--data", corpus, "--renoise", "--out", tmp_path / "run")
    line = refused("train", "dncnn", *how)
    assert "its noise is that of real pairs, which nothing draws anew" in line


def test_synthetic_noise_on_the_same_clean_halves(run, polyu: Path, tmp_path: Path) -> None:
    how = ("--patch", 32, "--count", 6, "--out", tmp_path / "s.zarr")
    assert run("synthesize", "--source", "polyu", "--root", polyu, *how).exit_code == 0


def test_sources_lists_and_checks_pairs(run, polyu: Path) -> None:
    assert "polyu" in run("sources").output
    result = run("sources", "polyu", "--root", polyu)
    assert "6 of 100 pairs, 94 missing" in result.output
    assert "6 pairs, 0 not readable" in result.output
    assert "of 512 pixels, every 512, by `noisegen ingest polyu`" in result.output


@pytest.mark.skipif(not REAL.is_dir(), reason="NOISEGEN_DATA does not hold pairs/")
@pytest.mark.parametrize(("name", "samples"), [("polyu", 60), ("cc", 9)])
def test_real_sets(run, tmp_path: Path, name: str, samples: int) -> None:
    out = tmp_path / "x.zarr"
    result = run("ingest", name, "--root", REAL / name, "--out", out)
    assert f"{samples} of {samples} samples" in result.output
    corpus = pipelines.open(out)
    assert np.isfinite(corpus.table["iso"]).all()
    assert (corpus.table["noise"] > 0).all()


# What is wrong.


@pytest.fixture
def ingest(tmp_path: Path, refused):
    """Ingest a folder of four pairs, one of them spoilt, which must be refused in one line."""

    def go(*more: object, code: int = 2) -> str:
        out = tmp_path / "x.zarr"
        how = ("--root", tmp_path / "p", "--out", out, "--patch", 64)
        return refused("ingest", "pairs", *how, *more, code=code)

    return go


@pytest.fixture
def four(tmp_path: Path, pair) -> Path:
    for number in range(4):
        pair(tmp_path / f"p/{number}_noisy.png", tmp_path / f"p/{number}_clean.png", number)
    return tmp_path / "p"


def test_halves_of_other_sizes(four: Path, ingest) -> None:
    write(four / "2_clean.png", picture(2, 96, 80))
    line = ingest()
    assert f"{four / '2_noisy.png'} and {four / '2_clean.png'} are 96x96 and 80x96 pixels" in line
    assert "1 of 4 images could not be used, more than --max-bad 0.01; raise it or mend" in line


def test_another_order_of_scenes(four: Path, ingest) -> None:
    (four / "1_noisy.png").rename(four / "x.png")
    (four / "2_noisy.png").rename(four / "1_noisy.png")
    (four / "x.png").rename(four / "2_noisy.png")
    line = ingest()
    assert "2 of 4 images could not be used" in line
    assert "1_noisy.png and 1_clean.png show different scenes; are the names of one half in" in line
    assert "2_noisy.png and 2_clean.png show different scenes" in line


def test_a_missing_half(four: Path, ingest) -> None:
    (four / "3_clean.png").unlink()
    assert f"{four / '3_noisy.png'} is the noisy half of a pair whose clean half is" in ingest()


def test_the_same_half_twice(four: Path, ingest) -> None:
    (four / "3_noisy.bmp").write_bytes((four / "3_noisy.png").read_bytes())
    assert "3_noisy.bmp and 3_noisy.png are both the noisy half of 3; remove one" in ingest()


def test_the_same_picture_twice(four: Path, ingest) -> None:
    write(four / "3_noisy.bmp", cv2.imread(str(four / "3_clean.png"))[..., ::-1])
    (four / "3_noisy.png").unlink()
    assert "3_noisy.bmp and 3_clean.png are the same picture; replace one of them" in ingest()


def test_an_unreadable_half(four: Path, ingest) -> None:
    data = (four / "0_noisy.png").read_bytes()
    (four / "0_noisy.png").write_bytes(data[:-30])
    assert f"{four / '0_noisy.png'} is a PNG that was cut short" in ingest(code=1)


def test_a_clean_half_without_a_header(four: Path, ingest) -> None:
    (four / "0_clean.png").write_bytes(b"no picture")
    assert f"{four / '0_clean.png'} is no PNG" in ingest(code=1)


def test_names_that_do_not_fit_a_pattern(four: Path, ingest) -> None:
    line = ingest("--pattern", "{name}_low.png:{name}_high.png")
    assert "no pair (pictures there: 8); their names do not fit the pattern" in line


def test_too_small(four: Path, ingest) -> None:
    assert "0 is 96 x 96 pixels, smaller than the patch of 128; use --patch 96" in ingest(
        "--patch", 128
    )


def test_sixteen_bits_need_a_word(tmp_path: Path, pair, ingest) -> None:
    pair(tmp_path / "p/a_noisy.png", tmp_path / "p/a_clean.png", 1, bits=16)
    assert "have 16 bits a channel; use --bits 16 to keep them, or --bits 8 to round" in ingest()


def test_a_share_of_bad_pairs_may_be_left_out(four: Path, tmp_path: Path, run) -> None:
    write(four / "2_clean.png", picture(2, 96, 80))
    out = tmp_path / "x.zarr"
    how = ("--root", four, "--out", out, "--patch", 64, "--max-bad", 0.25)
    result = run("ingest", "pairs", *how)
    assert result.exit_code == 0
    assert "images that could not be used: 1" in result.output
    assert "12 of 16 samples" in result.output
    corpus = pipelines.open(out)
    assert {corpus.images.names[i] for i in corpus.table["image"][corpus.valid]} == {"0", "1", "3"}
    assert "not usable: " in run("status", out).output
    assert "nothing was missing" in run("ingest", "pairs", *how).output


def test_pairs_that_are_gone(four: Path, tmp_path: Path, run, refused) -> None:
    out = tmp_path / "x.zarr"
    assert run("ingest", "pairs", "--root", four, "--out", out, "--patch", 64).exit_code == 0
    for half in ("noisy", "clean"):
        (four / f"1_{half}.png").unlink()
    line = refused("verify", out, "--regenerate", 16, "--root", four, code=1)
    assert f"pair 1 is no longer under {four}; put it back or give its --root" in line


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("kodak",), "source 'kodak' has clean pictures only: noisegen synthesize --source kodak"),
        (("polyo",), "unknown source 'polyo' (did you mean 'polyu'?)"),
        (("polyu", "--root", "/nowhere"), "there is no folder /nowhere; get it from https://"),
        (("polyu", "--pattern", "a:b"), "source 'polyu' has no option 'pattern'"),
        (("polyu", "--patch", 63), "patch: 63 is not an even number from 8 to 8192"),
        (("polyu", "--stride", 0), "stride"),
        (("sidd", "--source-option", "split=x"), "option split='x' of source 'sidd' is not one of"),
    ],
)
def test_mistakes(refused, tmp_path: Path, arguments: tuple[object, ...], text: str) -> None:
    more = () if "--root" in arguments else ("--root", tmp_path)
    line = refused("ingest", *arguments, *more, "--out", tmp_path / "x.zarr")
    assert text in line
