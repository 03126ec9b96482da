"""The bench of noise on real pairs: its parts by their laws, and the whole of it on tiny pairs."""

import json

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

import pipelines
from denoisers.realnoise import filters, levels
from denoisers.realnoise.register import registered
from denoisers.realnoise.scores import scores
from denoisers.realnoise.split import split, thinned
from denoisers.training.run import Run
from noisegen.cli import main
from noisegen.errors import InputError
from noisegen.metrics import psnr
from noisegen.registration import MARGIN
from pipelines.pairs import open_pairs
from pipelines.recipe import Recipe
from pipelines.tables.finish import Finish

ROWS = [
    "noisy", "blur or non-local means", "awgn", "heteroscedastic-covariance", "physics",
    "physics-finish", "real",
]  # fmt: skip


def picture(rng, size=64):
    coarse = rng.integers(50, 206, (5, 5, 3), np.uint8)
    return cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)


def pair(folder, name, rng, noise=10.0):
    clean = picture(rng)
    grain = cv2.GaussianBlur(rng.normal(0, 2 * noise, clean.shape), (0, 0), 0.7)
    noisy = np.clip(clean + grain, 0, 255).round().astype(np.uint8)
    cv2.imwrite(str(folder / f"{name}_mean.png"), clean)
    cv2.imwrite(str(folder / f"{name}_real.png"), noisy)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Names as PolyU's: camera A has four scenes, B two, C one."""
    folder, rng = tmp_path_factory.mktemp("pairs"), np.random.default_rng(4)
    for camera, scenes in (("A", 4), ("B", 2), ("C", 1)):
        for scene in range(scenes):
            for crop in (1, 2):
                pair(folder, f"{camera}_5_100_3200_thing{scene}_{crop}", rng)
    return folder


# Parts


def test_no_scene_is_on_two_sides(pairs):
    every = open_pairs(pairs)
    parts = split(every)
    assert parts.camera == "B", "of the cameras of two scenes or more the one of the fewest"
    sides = [parts.train, parts.tested["scenes"], parts.tested["camera"]]
    assert [len(side.scenes) for side in sides] == [3, 2, 2]
    assert sorted(s for side in sides for s in side.scenes) == sorted(every.scenes)
    assert sum(len(side) for side in sides) == len(every)
    assert {entry.camera for entry in parts.tested["camera"].entries} == {"B"}
    assert split(every, "C").camera == "C"
    assert list(split(every, "none").tested) == ["scenes"]
    few = thinned(every, 1)
    assert few.scenes == every.scenes
    assert len(few) == len(every.scenes)


@pytest.fixture(scope="module")
def shifted(tmp_path_factory):
    """Three pairs whose noisy halves lie 0.3 pixels below and 0.2 left of the clean ones."""
    folder, rng = tmp_path_factory.mktemp("shifted"), np.random.default_rng(11)
    for name in "abc":
        fine = cv2.resize(rng.integers(20, 236, (40, 40, 3), np.uint8), (1280, 1280),
                          interpolation=cv2.INTER_CUBIC)  # fmt: skip
        clean, there = (cv2.resize(fine[y : y + 960, x : x + 960], (96, 96),
                                   interpolation=cv2.INTER_AREA)
                        for y, x in ((160, 160), (157, 162)))  # fmt: skip
        noisy = (there + rng.normal(0, 5, there.shape)).clip(0, 255).round().astype(np.uint8)
        cv2.imwrite(str(folder / f"{name}_clean.png"), clean)
        cv2.imwrite(str(folder / f"{name}_noisy.png"), noisy)
    return folder


def test_halves_are_laid_on_each_other_and_noise_is_left(shifted, tmp_path):
    before = open_pairs(shifted)
    after, shifts = registered(before, tmp_path / "registered")
    assert [entry.name for entry in after.entries] == list(shifts) == ["a", "b", "c"]
    for shift in shifts.values():
        np.testing.assert_allclose(shift[:2], (0.3, -0.2), atol=0.01 + 4 * shift.error)
        assert shift.error < 0.02
    inner = (slice(MARGIN, -MARGIN),) * 2
    for own, pair in zip(before, after, strict=True):
        np.testing.assert_array_equal(pair.noisy, own.noisy[inner])
    # Noise of 5, rounded twice; unregistered, the shift stands in it.
    strengths = np.array(list(levels.strengths(after).values()))
    np.testing.assert_allclose(strengths, 5, rtol=0.06)
    assert (np.array(list(levels.strengths(before).values())) > 8).all()
    again, same = registered(before, tmp_path / "registered")
    assert same == shifts
    np.testing.assert_array_equal(again[1].clean, after[1].clean)


def test_halves_far_apart_are_refused_by_name(shifted, tmp_path):
    for half in ("clean", "noisy"):
        path = str(tmp_path / f"far_{half}.png")
        own = cv2.imread(str(shifted / f"a_{half}.png"))
        cv2.imwrite(path, np.roll(own, 6, 0) if half == "noisy" else own)
    with pytest.raises(InputError, match=r"pair far: the halves lie .* or give --no-register"):
        registered(open_pairs(tmp_path), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_scores_by_their_formulas():
    rng = np.random.default_rng(0)
    white = rng.normal(30, 2, (3, 8))
    rows = {"awgn": white, "real": white + 2, "half": white + 1, "worse": white - 0.5}
    scenes = ["a", "a", "b", "c", "c", "c", "d", "e"]
    found = scores(rows, scenes, "awgn", "real", 0)
    assert found["half"].psnr == pytest.approx(white.mean() + 1)
    assert found["half"].spread == pytest.approx(white.mean(1).std(ddof=1))
    # The same on all pictures, so that no choice of scenes changes it.
    for name, share in (("awgn", 0), ("real", 1), ("half", 0.5), ("worse", -0.25)):
        np.testing.assert_allclose(found[name].recovered, share, atol=1e-9)
        np.testing.assert_allclose(found[name].over_awgn, 2 * share, atol=1e-9)
    assert found == scores(rows, scenes, "awgn", "real", 0)


def test_the_interval_is_that_of_the_scenes_means():
    rng = np.random.default_rng(1)
    gains = rng.normal(1, 0.5, 200)
    rows = {"awgn": np.zeros((1, 200)), "real": np.full((1, 200), 2.0), "row": gains[None]}
    found = scores(rows, [str(i) for i in range(200)], "awgn", "real", 0)["row"].over_awgn
    # A bootstrap of 200 means: within a tenth of the normal interval of their standard error.
    half = 1.96 * gains.std() / np.sqrt(200)
    np.testing.assert_allclose(found, (gains.mean(), gains.mean() - half, gains.mean() + half),
                               atol=0.1 * half)  # fmt: skip


def test_nothing_is_recovered_where_real_pairs_are_no_better():
    rng = np.random.default_rng(2)
    white = rng.normal(30, 1, (2, 6))
    rows = {"awgn": white, "real": white + rng.normal(0, 1, (1, 6))}
    assert scores(rows, list("abcdef"), "awgn", "real", 0)["real"].recovered is None


def test_the_camera_is_set_to_be_as_noisy(tmp_path):
    (tmp_path / "clean").mkdir()
    rng = np.random.default_rng(3)
    for name in "ab":
        cv2.imwrite(str(tmp_path / "clean" / f"{name}.png"), picture(rng, 96))
    recipe = Recipe(source="folder", camera="NikonD850", patch=96, per_image=1)
    wanted = {}
    for name, gain in (("a", 3.0), ("b", 12.0)):
        one = recipe.model_copy(update={"gain": gain, "seed": 9})
        pipelines.synthesize(one, str(tmp_path / name), root=str(tmp_path / "clean"))
        corpus = pipelines.open(tmp_path / name)
        arrays = corpus[corpus.images.names.index(f"{name}.png")].arrays
        wanted[name] = levels.strength(arrays["clean"], arrays["noisy"])
    found = levels.matched(recipe, wanted, tmp_path / "clean", 96, tmp_path / "trial")
    assert (found.patch, found.draws, found.finish) == (96, 1, recipe.finish)
    # Figures of the camera scatter by a quarter about their regressions, at both ends by turns.
    assert levels.setting(found).keys() == {"gain"}
    np.testing.assert_allclose(np.log(found.gain), np.log((3, 12)), atol=0.5)


def test_strengths_are_matched_with_a_finish_in_the_middle():
    finish = Finish(luma=(2, 6), chroma=(1, 2), sharpen=0.4, quality=(90, 96), target="mean")
    own = levels.middle(finish)
    assert (own.luma, own.chroma, own.sharpen, own.resize) == (4, 1.5, 0.4, 1)
    assert (own.quality, own.target) == (93, "render")
    assert levels.middle(Finish(target="mean")) == Finish()


def test_an_oracle_is_above_the_noisy_picture():
    rng = np.random.default_rng(6)
    clean = picture(rng)
    noisy = np.clip(clean + rng.normal(0, 15, clean.shape), 0, 255).astype(np.uint8)
    assert filters.best(noisy, clean) > psnr(noisy, clean) + 3


# The command


def run(pairs, out, *more):
    command = ["bench", "realnoise", "--pairs", str(pairs), "--out", str(out)]
    budget = ["--iterations", "2", "--batch", "2", "--patch", "16", "--seeds", "2"]
    return CliRunner().invoke(main, [*command, *budget, "--device", "cpu", *more])


@pytest.fixture(scope="module")
def results(pairs, tmp_path_factory):
    """The results' file of a bench that ran to its end, and what it printed."""
    out = tmp_path_factory.mktemp("bench") / "results.json"
    done = run(pairs, out)
    assert done.exit_code == 0, done.output
    return out, done.output


def test_the_whole_bench(results):
    out, printed = results
    found = json.loads(out.read_text())
    assert found["camera_left_out"] == "B"
    assert len(found["train"]) == 6
    assert found["registered"]
    assert len(found["shifts"]) == 14
    assert all(abs(shift["down"]) < 1 for shift in found["shifts"].values())
    assert set(found["tested"]) == {"scenes", "camera"}
    for tested in found["tested"].values():
        assert list(tested["rows"]) == ROWS
        for name, row in tested["rows"].items():
            seeds = 1 if name in ROWS[:2] else 2
            psnrs = np.array(row["psnr_by_seed_and_picture"])
            assert psnrs.shape == (seeds, len(tested["pictures"]))
            assert row["psnr"] == pytest.approx(psnrs.mean())
        assert tested["rows"]["awgn"]["over_awgn"]["value"] == 0
    chosen = found["chosen_on_training_pairs"]
    low, high = chosen["awgn"]["awgn"]
    assert 0 < low < high
    tried = {tuple(each["awgn"]): each["train_psnr"] for each in chosen["awgn"]["tried"]}
    assert tried[low, high] == max(tried.values())
    assert chosen["physics"]["gain"][0] < chosen["physics"]["gain"][1]
    assert "camera left out: B (4 pictures of 2 scenes)" in printed
    for name in ROWS:
        assert f"\n{name} " in printed


def test_the_same_command_finds_everything_there(pairs, results, monkeypatch):
    out, _ = results
    found = json.loads(out.read_text())
    monkeypatch.setattr(Run, "train", lambda self: pytest.fail("trained again"))
    again = run(pairs, out)
    assert again.exit_code == 0, again.output
    same = json.loads(out.read_text())
    for one in (found, same):
        del one["cpu_seconds_of_this_call"]
    assert found == same
    for option in (["--seed", "1"], ["--no-register"]):
        other = run(pairs, out, *option)
        assert other.exit_code == 2
        assert "is the work of another bench" in other.output


def test_only_the_noise_differs(results):
    out, _ = results
    recipes = {
        path.parent.name: set(path.read_text().splitlines())
        for path in out.with_suffix(".work").glob("runs/*-0/recipe.toml")
    }
    trials = {name: recipes.pop(name) for name in list(recipes) if name.endswith("-trial-0")}
    assert sorted(recipes) == sorted(f"{row}-0" for row in ROWS[2:])
    for name, lines in recipes.items():
        differing = {line.partition(" ")[0] for line in recipes["real-0"] ^ lines}
        assert differing <= {"awgn"} | ({"renoise"} if name == f"{ROWS[3]}-0" else set()), name
    tried = json.loads(out.read_text())["chosen_on_training_pairs"]["awgn"]["tried"]
    assert len(trials) == len(tried) >= 3
    assert all("iterations = 1" in lines for lines in trials.values()), "half of two"


def test_the_range_of_white_noise_is_climbed_to(results):
    out, _ = results
    chosen = json.loads(out.read_text())["chosen_on_training_pairs"]["awgn"]
    own = levels.strengths(open_pairs(out.with_suffix(".work") / "train"))

    def step(limits):
        return 2 * np.log2(limits[1] / max(own.values()))

    steps = [step(each["awgn"]) for each in chosen["tried"]]
    np.testing.assert_allclose(steps, np.arange(round(steps[0]), round(steps[-1]) + 1), atol=0.02)
    assert {2, 3} <= {round(step) for step in steps}
    best = round(step(chosen["awgn"]))
    # Both its neighbours were tried, but where there is none.
    assert best == 0 or best - 1 >= round(steps[0])
    assert best + 1 <= round(steps[-1]) or 2 ** ((best + 1) / 2) * max(own.values()) > 255


REFUSED = [
    (["--camera", "D"], "unknown camera 'D'; "),
    (["--patch", "64"], "holds 48 pixels, too few for patches of 64"),
    (["--preset", "raw-only"], "preset 'raw-only' has no finish"),
    (["--preset", "camera-jpg"], "unknown preset 'camera-jpg' (did you mean 'camera-jpeg'?)"),
    (["--set", "awgn=25"], "the noise is what the rows differ in"),
    (["--set", "optimizer.lr=1"], "unknown key 'optimizer'"),
    (["--out", "nowhere/r.json"], "not a file in a folder that is there"),
    (["--pairs", "nowhere"], "there is no such folder"),
]


@pytest.mark.parametrize(("arguments", "line"), REFUSED)
def test_what_cannot_be_is_one_line(arguments, line, pairs, tmp_path):
    done = run(pairs, tmp_path / "r.json", *arguments)
    assert done.exit_code == 2, done.output
    (last,) = [s for s in done.output.splitlines() if s.startswith("noisegen: ")]
    assert line in last


def test_pairs_of_one_scene_or_without_noise_are_refused(tmp_path):
    rng = np.random.default_rng(7)
    pair(tmp_path, "one", rng)
    done = run(tmp_path, tmp_path / "r.json")
    assert done.exit_code == 2
    assert "the bench trains on some scenes and tests on others" in done.output
    with pytest.raises(InputError, match="the halves of two are equal; take the pair out"):
        pair(tmp_path, "two", rng, noise=0)
        levels.strengths(open_pairs(tmp_path))
