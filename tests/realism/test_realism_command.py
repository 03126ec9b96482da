"""``noisegen realism``: folders and corpora, the table, the page, the numbers, and bad input."""

import json
import re

import numpy as np
import pytest
from click.testing import CliRunner

import pipelines
from noisegen.cli import main
from pipelines.pairs import open_pairs
from pipelines.realism import comparison
from pipelines.realism.comparison import NAMES, compare
from pipelines.realism.features import KINDS
from pipelines.realism.table import ROWS, markdown, short_names, table
from pipelines.recipe import Recipe


def run(*arguments, code=0):
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    assert result.exit_code == code, result.output
    return result


def refused(*arguments, code=2):
    (line,) = run("realism", *arguments, code=code).stderr.strip().splitlines()
    assert line.startswith("noisegen: ")
    return line


@pytest.fixture
def sets(tmp_path, write_pairs, ramp, filtered, white):
    """Write a real set of correlated noise, another draw of it, and white noise."""
    kernel = np.array([[0, 1, 0], [1, 3, 1], [0, 1, 0]]) / 7
    clean = ramp()
    size = len(clean)

    def noises(first, make):
        return {f"s{first + i}": (clean, 6 * make(first + i)) for i in range(5)}

    def smooth(seed):
        return filtered(seed, kernel, size, size)

    write_pairs(tmp_path / "real", noises(0, smooth))
    write_pairs(tmp_path / "again", noises(10, smooth))
    write_pairs(tmp_path / "white", noises(20, lambda seed: white(seed, size, size)))
    return tmp_path


def test_the_same_law_is_at_the_zero_and_another_is_not(sets):
    real, *others = (open_pairs(sets / name) for name in ("real", "again", "white"))
    found = compare(real, others)
    again, plain = found.distances
    assert set(again) == set(found.zero) == set(NAMES)
    assert found.real.values["lag1"] == pytest.approx(6 / 13, abs=0.02)
    assert abs(again["lag1"]) < 0.02
    assert plain["lag1"] == pytest.approx(-6 / 13, abs=0.03)
    # Sets of 45 patches are too few for a bound of chance; test_classifier holds the area to one.
    assert again["auc"] < plain["auc"] - 0.2
    assert plain["auc"] > 0.98
    for name in ("covariance", "radial", "rows", "columns"):
        zero = found.zero[name]
        assert again[name] < zero.mean + 4 * zero.std
        assert plain[name] > 2 * zero.mean
    alike = {row.name: [c.alike for c in cells[2:]] for row, cells in table(found)}
    assert alike["covariance"] == [True, False]
    assert not alike["auc"][1]
    # Areas are marked within one standard deviation: a third of those by kind are not, by chance.
    again_alike = [a for name, (a, _) in alike.items() if not name.startswith("auc_")]
    assert len(again_alike) == len(ROWS) - len(KINDS)
    assert sum(again_alike) >= len(again_alike) - 2


def test_numbers_are_the_same_every_time_and_depend_on_the_seed(sets):
    real, other = (open_pairs(sets / n) for n in ("real", "white"))
    first, second, third = (compare(real, [other], seed=s).to_json() for s in (3, 3, 4))
    assert first == second
    assert first["zero"] != third["zero"]
    assert first["real"] == third["real"]


def test_the_command_writes_a_page_and_the_numbers(sets):
    page, numbers = sets / "r.html", sets / "r.json"
    result = run(
        "realism", sets / "real", sets / "again", sets / "white", "--out", page, "--json", numbers
    )
    for row in ROWS:
        assert row.label in result.output
    assert result.output.splitlines()[-2:] == [f"wrote {page}", f"wrote {numbers}"]
    data = json.loads(numbers.read_text())
    assert data["real"]["pairs"] == 5
    assert [one["where"] for one in data["synthetic"]] == [
        str(sets / n) for n in ("again", "white")
    ]
    assert set(data["synthetic"][0]["distances"]) == set(NAMES)
    html = page.read_text()
    assert html.count("<svg") == html.count("</svg>") == 5
    # 3 sets of 4 pairs, 3 pictures each, all inside the file
    assert html.count('src="data:image/png;base64,') == html.count("<img") == 36
    assert not re.search(r'(src|href)="(?!data:|#)', html)
    assert "<script" not in html
    assert "http://" not in re.sub(
        r'xmlns(:\w+)?="[^"]+"|<metadata>.*?</metadata>', "", html, flags=re.S
    )


def test_gates(sets):
    run("realism", sets / "real", sets / "again", "--gate", "lag1=0.08", "--gate", "covariance=0.2")
    line = refused(sets / "real", sets / "white", "--gate", "lag1=0.08", code=1)
    assert re.search(r"white: lag1 is 0\.4\d\d, the gate allows 0\.08$", line)
    line = refused(sets / "real", sets / "white", "--gate", "lag1=1", "--gate", "akld=0.01", code=1)
    assert re.search(r"white: akld is 0\.\d\d\d, the gate allows 0\.01$", line)
    wide = [f"--gate={name}=1000" for name in NAMES]
    run("realism", sets / "real", sets / "white", *wide)
    assert "did you mean" in refused(sets / "real", sets / "again", "--gate", "lag3=1")
    assert "is no number" in refused(sets / "real", sets / "again", "--gate", "lag1=low")


def test_a_corpus_against_pairs(tmp_path, sets):
    recipe = Recipe(source_options={"size": 160}, patch=64, per_image=4, count=12, iso=800.0)
    pipelines.synthesize(recipe, str(tmp_path / "c.zarr"))
    found = compare(open_pairs(sets / "real"), [open_pairs(tmp_path / "c.zarr")], max_pairs=6)
    assert found.synthetic[0].pairs == 6
    assert found.synthetic[0].scenes == 3
    assert 0.35 < found.synthetic[0].values["lag1"] < 0.6
    text = markdown(found, ["real", "corpus"])
    assert text.splitlines()[0] == "| | real | its halves | corpus |"
    assert len(text.splitlines()) == 2 + len(ROWS)


def test_clean_pictures_that_are_not_finished_are_named(tmp_path, sets):
    for target, named in (("render", True), ("finished", False)):
        out = tmp_path / f"{target}.zarr"
        run(
            "synthesize", "--patch", 64, "--count", 8, "--per-image", 4, "--iso", 800, "--out", out,
            "--set", "finish.quality=90", "--set", f"finish.target={target}",
        )  # fmt: skip
        error = run("realism", sets / "real", out).stderr
        assert ("render.zarr: its clean pictures are not finished" in error) == named


def test_what_cannot_be_compared(tmp_path, sets, write_pairs, ramp, white):
    clean = ramp(64)
    few = {f"s{i}": (clean, 4 * white(i, 64, 64)) for i in range(3)}
    write_pairs(tmp_path / "few", few)
    line = refused(tmp_path / "few", sets / "white")
    assert "too few scenes (3); 4 or more are needed" in line
    write_pairs(tmp_path / "one", {"s0": few["s0"]})
    assert "too few scenes (1); 2 or more" in refused(sets / "real", tmp_path / "one")
    write_pairs(tmp_path / "deep", {"s0": few["s0"], "s1": few["s1"]}, np.uint16)
    line = refused(sets / "real", tmp_path / "deep")
    assert "have 16 bits, those of the real set 8" in line
    small = {f"s{i}": (clean[:48], 4 * white(i, 48, 64)) for i in range(4)}
    write_pairs(tmp_path / "small", small)
    assert "s0 has 64x48 pixels, 64x64 or more" in refused(sets / "real", tmp_path / "small")
    write_pairs(tmp_path / "quiet", {f"s{i}": (clean, 0 * clean) for i in range(4)})
    assert "no noise that could be measured" in refused(sets / "real", tmp_path / "quiet")
    (tmp_path / "empty").mkdir()
    assert "no pair" in refused(sets / "real", tmp_path / "empty")
    assert "there is no such folder" in refused(sets / "real", tmp_path / "none")


@pytest.mark.parametrize(
    ("options", "remedy"),
    [({"stage": "raw"}, "--stage srgb or both"), ({"exposure_ratio": 8.0}, "--amplify")],
)
def test_corpora_that_cannot_be_compared(tmp_path, sets, options, remedy):
    recipe = Recipe(source_options={"size": 160}, patch=64, per_image=4, count=8, **options)
    pipelines.synthesize(recipe, str(tmp_path / "c.zarr"))
    assert remedy in refused(sets / "real", tmp_path / "c.zarr")


def test_where_it_cannot_write(sets):
    line = refused(sets / "real", sets / "again", "--out", sets / "no" / "r.html", code=1)
    assert "r.html: cannot write" in line


def test_pictures_that_are_no_halves_are_named(sets):
    (sets / "again" / "noisy_only").mkdir()
    data = (sets / "again" / "s10_noisy.png").read_bytes()
    (sets / "again" / "noisy_only" / "x.png").write_bytes(data)
    result = run("realism", sets / "real", sets / "again")
    assert "pictures that are no halves of pairs: 1, first noisy_only/x.png" in result.stderr


def test_short_names_tell_sets_apart():
    assert short_names(["/a/cc", "/b/plain.zarr"]) == ["cc", "plain.zarr"]
    assert short_names(["/a/x", "/b/x/"]) == ["a/x", "b/x"]
    assert short_names(["/a/x", "/a/x"]) == ["x", "x"]


def test_few_groups_of_scenes_hold_the_measures_of_many(tmp_path, write_pairs, ramp, white):
    clean = ramp(64)
    write_pairs(tmp_path / "many", {f"s{i}": (clean, 4 * white(i, 64, 64)) for i in range(20)})
    found = compare(open_pairs(tmp_path / "many"), [open_pairs(tmp_path / "many")])
    assert found.real.scenes == 20 > comparison.GROUPS
    # a set against itself
    assert found.distances[0]["kld"] == 0
    assert found.distances[0]["auc"] < 0.6
