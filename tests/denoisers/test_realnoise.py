"""The bench of noise on real pairs: its parts by their laws, and the whole of it on tiny pairs."""

import dataclasses
import hashlib
import json
import operator
import shutil
from functools import partial

import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner

import denoisers
import pipelines
from denoisers import card as cards
from denoisers import presets
from denoisers.inference.restorer import Restorer
from denoisers.realnoise import filters, levels
from denoisers.realnoise.jobs import Jobs
from denoisers.realnoise.learned import USED, Learned
from denoisers.realnoise.register import registered
from denoisers.realnoise.scores import scores
from denoisers.realnoise.split import split, thinned
from denoisers.realnoise.white import climb
from denoisers.training.journal import Journal
from denoisers.training.run import Run
from noisegen import neca
from noisegen.cli import main
from noisegen.errors import InputError
from noisegen.metrics import psnr, to_8bit
from noisegen.neca import Card, Neca
from noisegen.neca.networks import CorrelationNet, LevelNet
from noisegen.random import counter
from noisegen.registration import MARGIN
from pipelines.neca import SHIPPED
from pipelines.pairs import Entry, Pairs, open_pairs
from pipelines.recipe import Recipe
from pipelines.tables.finish import Finish
from tests.neca.conftest import randomised

ROWS = [
    "noisy", "blur or non-local means", "start", "awgn", "heteroscedastic-covariance", "physics",
    "physics-finish", "neca-w", "physics-finish+neca-w", "real",
]  # fmt: skip


def picture(rng, size=64):
    coarse = rng.integers(50, 206, (5, 5, 3), np.uint8)
    return cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)


def pair(folder, name, rng, noise=10.0, size=64):
    clean = picture(rng, size)
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


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Networks of NeCA that were never trained."""
    folder = tmp_path_factory.mktemp("weights")
    networks = randomised(CorrelationNet(width=4)), randomised(LevelNet(width=6))
    neca.save(folder, Neca(*networks, card=Card(camera="tiny", gains={100: (0.02, 0.06)})))
    return str(folder)


# Parts


def test_necas_gain_is_found_at_which_its_noise_is_as_strong():
    sampler = neca.Sampler(neca.load(str(SHIPPED / "GP.safetensors")))
    clean = picture(np.random.default_rng(6), 96)
    for wanted in (4.0, 12.0):
        found = levels.gain(sampler, clean, wanted)
        noisy = sampler.add_noise(clean, sampler.level_map(clean, found), counter(0, 0, 1))
        # another draw: 96 x 96 x 3 values of grain two pixels wide, four sigma are 4 %
        assert levels.strength(clean, noisy) == pytest.approx(wanted, rel=0.05)
    most = sampler.card.highest_gain
    assert levels.gain(sampler, clean, 2 * 255 * most) == most


def test_each_cameras_pictures_get_the_noise_of_its_own_networks(tmp_path, weights):
    entries = tuple(Entry(f"{c}{n}", f"{c}{n}", c, 0, None) for c in "AB" for n in range(2))
    pairs = Pairs("here", entries, lambda place: (), tuple(range(4)))
    one = Learned(weights)
    work = (tmp_path / "work", 0, "cpu")
    assert one.places(pairs, *work) == [weights] * 4
    own = neca.load(weights, USED)
    assert one.identity(pairs) == dict.fromkeys("AB", own.sha256)
    shutil.copytree(weights, tmp_path / "each/A")
    each = Learned(str(tmp_path / "each"))
    with pytest.raises(InputError, match=r"it has networks of a, and none of b; give each camera"):
        each.identity(pairs)
    (tmp_path / "each/B").mkdir()
    neca.save(tmp_path / "each/B", dataclasses.replace(own, card=Card(gains={100: (0.002,)})))
    assert each.places(pairs, *work) == [str(tmp_path / "each" / c) for c in "AABB"]
    strengths = {"A0": 8.0, "A1": 0.1, "B0": 0.2, "B1": 0.1}
    each.check(pairs, strengths)
    with pytest.raises(InputError, match=r"each/B: the noise of B1 is 8.0 \(of 255\), far above"):
        each.check(pairs, {**strengths, "B1": 8.0})


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
    key, found = levels.settings(recipe, wanted, tmp_path / "clean", 96, tmp_path / "trial")
    assert key == "gain"
    # Figures of the camera scatter by a quarter about their regressions, at both ends by turns.
    np.testing.assert_allclose(np.log([found["a"], found["b"]]), np.log((3, 12)), atol=0.5)


@pytest.mark.parametrize(
    ("best", "tried"), [(2, {1, 2, 3}), (5, {2, 3, 4, 5, 6}), (0, {0, 1, 2, 3})]
)
def test_the_best_step_is_climbed_to(best, tried):
    seen, way = [], climb(lambda step: 0 <= step <= 8)
    step = next(way)
    with pytest.raises(StopIteration) as end:
        while True:
            seen.append(step)
            step = way.send(-abs(step - best))
    assert end.value.value == best
    assert sorted(seen) == sorted(tried), "each once"


@pytest.mark.parametrize("number", [1, 2])
def test_urgent_tasks_go_first_and_may_add_more(number):
    jobs, heard = Jobs(number), []

    def hear(value):
        heard.append(value)
        if value == 10:
            jobs.add(0, partial(operator.add, 0, 3), hear)

    for urgency, value in ((5, 50), (1, 10), (2, 20)):
        jobs.add(urgency, partial(operator.add, 0, value), hear)
    jobs.run()
    assert sorted(heard) == [3, 10, 20, 50]
    if number == 1:
        assert heard == [10, 3, 20, 50]


def test_what_a_task_raises_is_heard():
    jobs = Jobs(1)
    jobs.add(0, partial(operator.truediv, 1, 0), print)
    with pytest.raises(ZeroDivisionError):
        jobs.run()


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
def start(tmp_path_factory):
    """Weights of the bench's network that were never trained."""
    path = tmp_path_factory.mktemp("start") / "start.safetensors"
    model, options = "adfnet", presets.read("adfnet-small")["options"]
    network = denoisers.create(model, seed=5, **options)
    cards.save(path, network, cards.Card(model=model, options=options))
    return path


@pytest.fixture(scope="module")
def results(pairs, weights, start, tmp_path_factory):
    """The results' file of a bench that ran to its end, and what it printed."""
    out = tmp_path_factory.mktemp("bench") / "results.json"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Journal, "draw", lambda *_: None)  # curves take half of the time
        done = run(pairs, out, "--neca", weights, "--init", str(start))
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
            seeds = 1 if name in ROWS[:3] else 2
            psnrs = np.array(row["psnr_by_seed_and_picture"])
            assert psnrs.shape == (seeds, len(tested["pictures"]))
            assert row["psnr"] == pytest.approx(psnrs.mean())
        assert tested["rows"]["awgn"]["over_awgn"]["value"] == 0
    chosen = found["chosen_on_training_pairs"]
    low, high = chosen["awgn"]["awgn"]
    assert 0 < low < high
    tried = {tuple(each["awgn"]): each["train_psnr"] for each in chosen["awgn"]["tried"]}
    assert tried[low, high] == max(tried.values())
    for name, key in (("physics", "gain"), ("physics-finish", "gain"), ("neca-w", "gain")):
        assert list(chosen[name]) == [key]
        assert list(chosen[name][key]) == found["train"]
    assert "camera left out: B (4 pictures of 2 scenes)" in printed
    for name in ROWS:
        assert f"\n{name} " in printed


def test_all_networks_begin_from_the_given_weights(pairs, results, start):
    out, _ = results
    work, found = out.with_suffix(".work"), json.loads(out.read_text())
    digest = hashlib.sha256(start.read_bytes()).hexdigest()
    assert found["init"] == {"path": str(start), "sha256": digest}
    begun = {
        path.parent.name: json.loads(path.read_text()) for path in work.glob("runs/*/data.json")
    }
    assert {f"{row}-{number}" for row in ROWS[3:] for number in (0, 1)} < set(begun)
    assert all(run["start"]["sha256"] == digest for run in begun.values())
    # Two steps of Adam move no weight further than 1e-5 and 2e-5.
    own = cards.load(start)[0]
    for name in begun:
        trained = cards.load(work / "runs" / name / "last.safetensors")[0].state_dict()
        furthest = max(float((trained[k] - v).abs().max()) for k, v in own.state_dict().items())
        assert 0 < furthest < 1e-4, name
    restorer, (every, _) = Restorer(own), registered(open_pairs(pairs), work / "registered")
    for name, tested in split(every).tested.items():
        wanted = [psnr(to_8bit(restorer(p.noisy)), p.clean) for p in tested]
        rows = found["tested"][name]["rows"]
        np.testing.assert_allclose(rows["start"]["psnr_by_seed_and_picture"], [wanted])


def test_each_picture_has_noise_of_its_own_strength(results, weights):
    out, _ = results
    work, found = out.with_suffix(".work"), json.loads(out.read_text())
    wanted = levels.strengths(open_pairs(work / "train"))
    assert list(wanted) == found["train"]
    ratios = {name: [] for name in ("heteroscedastic-covariance", "physics", "neca-w")}
    for name, own in ratios.items():
        for number, want in enumerate(wanted.values()):
            corpus = pipelines.open(work / f"{name}.corpora" / f"{number:05d}.zarr")
            pictures = [corpus[i].arrays for i in corpus.valid.tolist()]
            own += [levels.strength(p["clean"], p["noisy"]) / want for p in pictures]
    # What was fitted draws for 48 x 48 x 3 pixels of grain two pixels wide: 4 sigma are 12 %; the
    # rest is rounding and what black and white cut off.
    assert np.abs(np.log(ratios["heteroscedastic-covariance"])).max() < 0.2
    # Figures of a camera scatter by a quarter.
    assert np.abs(np.log(ratios["physics"])).max() < 0.7
    gains = found["chosen_on_training_pairs"]["neca-w"]["gain"]
    sampler = neca.Sampler(neca.load(weights, USED))
    for one in open_pairs(work / "train"):
        assert gains[one.name] == levels.gain(sampler, one.clean, wanted[one.name])
    seeds = {pipelines.open(path).recipe.seed for path in work.glob("physics.corpora/*")}
    assert len(seeds) == len(wanted), "no two pictures have the same white fields"


def test_both_kinds_of_noise_are_mixed_half_and_half(results):
    out, _ = results
    data = json.loads(
        (out.with_suffix(".work") / "runs/physics-finish+neca-w-1/data.json").read_text()
    )
    counts = {"physics-finish": 0, "neca-w": 0}
    for each in data["data"]:
        counts[each["path"].split("/")[-2].removesuffix(".corpora")] += each["samples"]
    assert counts["physics-finish"] == counts["neca-w"] > 0


@pytest.mark.slow
def test_several_networks_at_a_time_are_the_same(pairs, weights, start, results, tmp_path):
    out, _ = results
    given = ["--neca", weights, "--init", str(start)]
    done = run(pairs, tmp_path / "r.json", *given, "--jobs", "2")
    assert done.exit_code == 0, done.output
    alone, beside = (json.loads(path.read_text()) for path in (out, tmp_path / "r.json"))
    for one in (alone, beside):
        del one["seconds_of_this_call"]
    assert alone == beside


@pytest.mark.slow
def test_neca_is_trained_on_the_training_pairs_of_each_camera(tmp_path):
    rng = np.random.default_rng(12)
    for camera in "AB":
        for scene in range(2):
            pair(tmp_path, f"{camera}_5_100_3200_thing{scene}_1", rng, size=128)
    done = run(tmp_path, tmp_path / "r.json", "--fit-neca", "1", "--camera", "none")
    assert done.exit_code == 0, done.output
    found = json.loads((tmp_path / "r.json").read_text())
    assert list(found["tested"]["scenes"]["rows"]) == [row for row in ROWS if row != "start"]
    assert found["init"] is None
    fitted = [neca.load(tmp_path / "r.work" / "neca" / camera, USED) for camera in "ab"]
    assert [one.card.metrics["iterations"] for one in fitted] == [1, 1]
    assert fitted[0].sha256 != fitted[1].sha256
    digests = [
        pipelines.open(place).recipe.neca.weights
        for place in sorted(map(str, (tmp_path / "r.work/neca-w.corpora").iterdir()))
    ]
    assert digests == [one.sha256 for one in fitted]


def test_the_same_command_finds_everything_there(pairs, weights, start, results, monkeypatch):
    out, _ = results
    given = ["--neca", weights, "--init", str(start)]
    found = json.loads(out.read_text())
    monkeypatch.setattr(Run, "train", lambda self: pytest.fail("trained again"))
    again = run(pairs, out, *given)
    assert again.exit_code == 0, again.output
    same = json.loads(out.read_text())
    for one in (found, same):
        del one["seconds_of_this_call"]
    assert found == same
    network, card = cards.load(start)
    torch.nn.init.zeros_(next(network.parameters()))
    cards.save(other := start.with_name("other.safetensors"), network, card)
    others = [
        [*given, "--seed", "1"],
        [*given, "--no-register"],
        given[:2],
        given[2:],
        [*given[:2], "--init", str(other)],
    ]
    for options in others:
        other = run(pairs, out, *options)
        assert other.exit_code == 2
        assert "is the work of another bench" in other.output


def test_only_the_noise_differs(results):
    out, _ = results
    recipes = {
        path.parent.name: set(path.read_text().splitlines())
        for path in out.with_suffix(".work").glob("runs/*-0/recipe.toml")
    }
    trials = {name: recipes.pop(name) for name in list(recipes) if name.endswith("-trial-0")}
    assert sorted(recipes) == sorted(f"{row}-0" for row in ROWS[3:])
    for name, lines in recipes.items():
        differing = {line.partition(" ")[0] for line in recipes["real-0"] ^ lines}
        assert differing <= {"awgn"} | ({"renoise"} if name == f"{ROWS[4]}-0" else set()), name
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
    (["--graph"], "--graph: CUDA graphs need a GPU"),
    (["--neca", "nowhere"], "no NeCA weights at nowhere"),
    (["--neca", "nowhere", "--fit-neca", "5"], "networks are given or trained"),
    (["--init", "nowhere"], "there is no file nowhere"),
    (["--init", "START", "--set", "options.width=16"], "not the network that is to be trained"),
]


@pytest.mark.parametrize(("arguments", "line"), REFUSED)
def test_what_cannot_be_is_one_line(arguments, line, pairs, start, tmp_path):
    arguments = [str(start) if each == "START" else each for each in arguments]
    done = run(pairs, tmp_path / "r.json", *arguments)
    assert done.exit_code == 2, done.output
    (last,) = [s for s in done.output.splitlines() if s.startswith("noisegen: ")]
    assert line in last


def test_networks_of_weaker_noise_are_refused(pairs, tmp_path):
    networks = randomised(CorrelationNet(width=4)), randomised(LevelNet(width=6))
    (tmp_path / "weak").mkdir()
    neca.save(tmp_path / "weak", Neca(*networks, card=Card(gains={100: (0.002,)})))
    done = run(pairs, tmp_path / "r.json", "--neca", str(tmp_path / "weak"))
    assert done.exit_code == 2
    assert "far above what these networks were trained at (1.0 at most)" in done.output


def test_pairs_of_one_scene_or_without_noise_are_refused(tmp_path):
    rng = np.random.default_rng(7)
    pair(tmp_path, "one", rng)
    done = run(tmp_path, tmp_path / "r.json")
    assert done.exit_code == 2
    assert "the bench trains on some scenes and tests on others" in done.output
    with pytest.raises(InputError, match="the halves of two are equal; take the pair out"):
        pair(tmp_path, "two", rng, noise=0)
        levels.strengths(open_pairs(tmp_path))
