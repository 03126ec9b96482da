"""``noisegen fit neca``: a camera's folder of small networks, resumed, and what it refuses."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner

import pipelines
from denoisers import presets
from denoisers.neca import pairs as camera_pairs
from denoisers.neca.recipe import parse
from denoisers.neca.run import WRITTEN
from denoisers.neca.state import State
from denoisers.neca.step import step
from noisegen import neca
from noisegen.cli import main
from noisegen.errors import InputError
from pipelines.pairs import open_pairs
from tests.denoisers.neca.conftest import TINY, recipe_file, refused, run, weights_of

PRESETS = "denoisers.neca.presets"


def test_the_command_makes_a_cameras_folder(pairs, tmp_path):
    out = tmp_path / "canon"
    result = run(
        "--data", pairs, "--camera", "Canon", "--recipe", recipe_file(tmp_path), "--out", out,
        "--licence", "made in a test", "--device", "cpu",
    )  # fmt: skip
    assert f"{out}: 4 iterations on 4 pairs; held out: KLD " in result.stdout
    assert "ISO 800: " in result.stdout
    found = neca.load(out)
    card = found.card
    assert card.camera == "Canon"
    assert card.licence == "made in a test"
    assert card.options["correlation"] == {"width": 2, "stages": 2}
    assert card.data == {str(pairs): ""}
    assert card.metrics["iterations"] in (2, 4)
    assert "held-out PSNR dB of the joint denoiser" in card.metrics
    assert neca.load(out / "last").card.metrics["iterations"] == 4
    for iso in (800, 1600):
        measured = sorted(
            float(np.std((p.noisy.astype(float) - p.clean) / 255))
            for p in open_pairs(pairs)
            if p.camera == "canon" and f"iso{iso}" in p.name
        )
        assert card.gains[iso] == pytest.approx(measured, rel=1e-4)
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    scored = [line for line in lines if "kld" in line]
    assert [line["iteration"] for line in scored] == [2, 4]
    best = min(scored, key=lambda line: line["kld_smoothed"] + line["covariance"])
    assert card.metrics["held-out AKLD nats"] == best["akld"]
    assert sorted(p.name for p in (out / "samples").iterdir()) == ["0000002.png", "0000004.png"]
    again = run(
        "--data", pairs, "--camera", "Canon", "--recipe", tmp_path / "tiny.toml", "--out", out,
        "--licence", "made in a test", "--device", "cpu",
    )  # fmt: skip
    assert again.stdout == result.stdout


def test_the_folder_is_a_camera_that_noise_is_made_of(pairs, tmp_path):
    out, clean = tmp_path / "canon", tmp_path / "clean"
    run(
        "--data", pairs, "--camera", "canon", "--recipe", recipe_file(tmp_path), "--out", out,
        "--iterations", "1", "--device", "cpu",
    )  # fmt: skip
    clean.mkdir()
    for path in pairs.glob("*_mean.png"):
        shutil.copy(path, clean)
    done = CliRunner().invoke(
        main,
        [
            "synthesize", "--source", "folder", "--root", str(clean), "--noise", "neca-w",
            "--camera", str(out), "--patch", "64", "--count", "6", "--out",
            str(tmp_path / "c.zarr"),
        ],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    table = pipelines.open(tmp_path / "c.zarr").table
    assert set(table["iso"].tolist()) <= {800.0, 1600.0}
    gains = neca.load(out).card.gains
    for iso, strength in zip(table["iso"].tolist(), table["strength"].tolist(), strict=True):
        measured = gains[round(iso)]
        assert measured[0] * (1 - 1e-6) <= strength <= measured[-1] * (1 + 1e-6)


def test_without_scenes_held_out_all_are_learned_from(pairs, tmp_path):
    out = tmp_path / "out"
    result = run(
        "--data", pairs, "--camera", "canon", "--recipe", recipe_file(tmp_path, joint=False),
        "--set", "hold_out=false", "--out", out, "--device", "cpu",
    )  # fmt: skip
    assert "held out" not in result.stdout
    assert json.loads((out / "data.json").read_text())["trained on"] == 4
    best, last = neca.load(out), neca.load(out / "last")
    assert best.card == last.card
    assert best.card.metrics == {"iterations": 4}
    assert best.sha256 == last.sha256


COMMAND = """
import sys, time
from denoisers.neca import run
from noisegen.cli import main
real = run.step
def slow(*arguments, **named):
    time.sleep(0.1)
    return real(*arguments, **named)
run.step = slow
main(sys.argv[1:])
"""
"""The command, slow enough to be killed in its midst."""


def test_a_killed_run_goes_on_to_the_weights_of_one_that_was_not(pairs, tmp_path):
    recipe = recipe_file(
        tmp_path, iterations=24, validation={"every": 7, "count": 1, "crop": 96},
        denoiser={"width": 2, "depth": 3, "start": 9, "decay_every": 11},
    )  # fmt: skip
    arguments = [
        "--data", str(pairs), "--camera", "canon", "--recipe", str(recipe), "--device", "cpu",
        "--workers", "1", "--out",
    ]  # fmt: skip
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    command = [sys.executable, "-c", COMMAND, "fit", "neca", *arguments, str(killed)]
    process = subprocess.Popen(command, env=os.environ)
    deadline = time.monotonic() + 120
    while not (killed / "resume.pt").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.15)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it was killed, not done"
    assert torch.load(killed / "resume.pt", weights_only=True)["iteration"] < 24
    for folder in (killed, whole):
        run(*arguments, folder)
    for part in (".", "last"):
        ours, theirs = neca.load(killed / part), neca.load(whole / part)
        assert ours.card == theirs.card
        assert all(torch.equal(t, theirs.state[n]) for n, t in ours.state.items())
    ours, theirs = (torch.load(f / "resume.pt", weights_only=True) for f in (killed, whole))
    assert str(ours) == str(theirs)
    assert (killed / "log.jsonl").read_text() == (whole / "log.jsonl").read_text()


def stepped(batch, iterations, **changes):
    recipe = parse(TINY | changes)
    state = State.begin(recipe, torch.device("cpu"))
    losses = [step(state, batch, recipe) for _ in range(iterations)]
    return state, losses


def test_critics_are_heard_every_fifth_time_with_wgan_gp_and_always_with_others(batch):
    for gan, heard in (("wgan-gp", [0, 0, 0, 0, 1]), ("lsgan", [1] * 5), ("vanilla", [1] * 5)):
        _, losses = stepped(batch, 5, gan=gan)
        assert [int("adversarial_whole" in one) for one in losses] == heard
        assert all(("penalty_whole" in one) == (gan == "wgan-gp") for one in losses)
        assert all("critic_thinned" in one for one in losses)
    _, losses = stepped(batch, 4, critic_steps=2)
    assert ["adversarial_whole" in one for one in losses] == [False, True] * 2


def test_where_the_correlation_gets_no_gradient_zeros_let_it_move_on(batch):
    for zeros in (True, False):
        recipe = parse(TINY | {"critic_steps": 2, "zero_gradients": zeros, "joint": False})
        state = State.begin(recipe, torch.device("cpu"))
        moved = []
        for _ in range(4):
            before = weights_of(state, "correlation")
            step(state, batch, recipe)
            moved.append(not torch.equal(before, weights_of(state, "correlation")))
        # nothing before the critics are first heard, which is in the second iteration
        assert moved == [False, True, zeros, True]


def test_critics_join_when_they_are_told(batch):
    for start, expected in ((2, [0, 0, 1, 1]), ("never", [0] * 4), (0, [1] * 4)):
        critics = {"width": 1, "start": start}
        _, losses = stepped(batch, 4, joint=False, critic_steps=1, critics=critics)
        assert [int("critic_whole" in one) for one in losses] == expected
        assert [int("adversarial_whole" in one) for one in losses] == expected


def test_rates_fall_by_a_half_cosine(batch):
    changes = {"lr": 1e-2, "lr_end": 2e-3, "iterations": 4, "joint": False}
    recipe = parse(TINY | changes)
    expected = [2e-3 + 8e-3 * (1 + np.cos(np.pi * k / 4)) / 2 for k in range(5)]
    assert [recipe.rate(k) for k in range(5)] == pytest.approx(expected)
    state = State.begin(recipe, torch.device("cpu"))
    for _ in range(3):
        step(state, batch, recipe)
    rates = [group["lr"] for one in state.optimisers.values() for group in one.param_groups]
    assert rates == pytest.approx([expected[2]] * 5)
    assert parse(TINY).rate(3) == parse(TINY).lr


def test_apart_the_correlated_noise_teaches_c_alone(batch):
    def moved(**changes):
        # of losses, those of the statistics alone: their level would teach P
        weights = {"level": 0, "gain": 0, "local": 0, "statistics": 1}
        recipe = parse(TINY | {"joint": False, "weights": weights} | changes)
        state = State.begin(recipe, torch.device("cpu"))
        before = {name: weights_of(state, name) for name in ("gain", "level", "correlation")}
        step(state, batch, recipe)
        return {n for n, old in before.items() if not torch.equal(old, weights_of(state, n))}

    quiet = {"critics": {"width": 1, "start": "never"}}
    assert moved(**quiet) == {"gain", "level", "correlation"}
    assert moved(**quiet, measured_gain=True) == {"level", "correlation"}
    assert moved(**quiet, measured_gain=True, apart=True) == {"level", "correlation"}


def test_no_gradient_goes_through_c_when_it_is_apart(batch):
    nets = State.begin(parse(TINY), torch.device("cpu")).nets
    x = torch.rand(1, 3, 96, 96)
    for apart in (False, True):
        made = nets.make(x, x, torch.randn(x.shape), apart=apart)
        made.correlated.sum().backward()
        reached = nets.level.conv5.weight.grad is not None
        assert reached != apart
        for net in nets.named.values():
            net.zero_grad(set_to_none=True)


def test_isos_that_were_drawn_are_put_together_stop_by_stop(pairs, monkeypatch):
    of_both = open_pairs(str(pairs))
    isos = dict(enumerate([100, 110, 139, 190, 230, 415]))
    monkeypatch.setattr(camera_pairs, "iso_of", lambda pairs, number: isos[number])
    assert list(camera_pairs.measured_gains(of_both, 96)) == sorted(isos.values())
    monkeypatch.setattr(camera_pairs, "MANY", 5)
    gains = camera_pairs.measured_gains(of_both, 96)
    assert {iso: len(found) for iso, found in gains.items()} == {100: 3, 200: 2, 400: 1}


def test_the_denoiser_joins_when_it_is_told(batch):
    recipe = parse(TINY | {"denoiser": {"width": 2, "depth": 3, "start": 2, "decay_every": 3}})
    state = State.begin(recipe, torch.device("cpu"))
    first, rates = weights_of(state, "denoiser"), []
    for iteration in range(4):
        losses = step(state, batch, recipe)
        assert ("denoiser" in losses) == (iteration >= 2)
        assert torch.equal(first, weights_of(state, "denoiser")) == (iteration < 2)
        rates.append(state.optimisers["denoiser"].param_groups[0]["lr"])
    assert rates == pytest.approx([1e-3, 1e-3, 1e-3, 1e-4])
    state, losses = stepped(batch, 1, joint=False)
    assert "denoiser" not in state.nets.named
    assert "denoiser" not in losses[0]


def test_repairs_change_what_they_repair(batch):
    _, (plain,) = stepped(batch, 1)
    _, (published,) = stepped(batch, 1, dither=False, border="zeros")
    different = {name for name in plain if plain[name] != published[name]}
    critics = {"critic_whole", "critic_thinned", "penalty_whole", "penalty_thinned"}
    assert {"local"} < different <= {"local"} | critics
    assert different & {"critic_whole", "critic_thinned"}


def test_gain_and_level_become_the_strength_of_the_real_noise(batch):
    """In the mean of the batch: networks two channels wide cannot tell its samples apart."""
    changes = {"lr": 1e-2, "joint": False, "clip": 1.0}
    state, losses = stepped(batch, 60, **changes)
    assert losses[-1]["gain"] < losses[0]["gain"] / 10
    clean, noisy = (
        torch.tensor(batch.arrays[name] / np.float32(255)).permute(0, 3, 1, 2)
        for name in ("clean", "noisy")
    )
    with torch.no_grad():
        made = state.nets.make(clean, noisy, torch.zeros_like(clean))
    real = float((noisy - clean).std((1, 2, 3)).mean())
    assert float(made.gain.mean()) == pytest.approx(real, rel=0.15)
    assert float(made.level.mean()) == pytest.approx(real, rel=0.25)


def test_a_loss_that_is_no_number_names_its_batch(pairs, tmp_path):
    line = refused(
        "--data", pairs, "--camera", "canon", "--recipe", recipe_file(tmp_path), "--out",
        tmp_path / "out", "--set", "lr=1e30", "--device", "cpu", code=1,
    )  # fmt: skip
    assert "in iteration 2, on batch 1 of seed 0 (epoch 0): " in line
    assert "canon_iso" in line
    assert "lower lr or set clip" in line


def test_a_camera_is_found_however_it_is_written(pairs):
    of_both = open_pairs(str(pairs))
    for name in ("canon", "Can-on", "CANON "):
        assert {e.camera for e in camera_pairs.of_camera(of_both, name).entries} == {"canon"}
    assert len(camera_pairs.of_camera(of_both, "canon-5d2")) == len(of_both)


def test_networks_are_found_by_the_name_of_the_camera(tmp_path):
    def found(*cameras):
        return camera_pairs.weights_by_camera(str(tmp_path), cameras)

    assert found("Canon 5D2", "", "../etc") == dict.fromkeys(
        ("Canon 5D2", "", "../etc"), str(tmp_path)
    )
    for name in ("canon-5d2", "unknown"):
        (tmp_path / name).mkdir()
    assert found("Canon5D2", "") == {
        "Canon5D2": str(tmp_path / "canon-5d2"), "": str(tmp_path / "unknown")
    }  # fmt: skip
    with pytest.raises(InputError, match="has networks of canon5d2, and none of etc; give each"):
        found("Canon5D2", "../etc")


def test_bad_pairs_are_named(pairs, tmp_path):
    def spoiled(name, change):
        folder = tmp_path / name
        shutil.copytree(pairs, folder)
        change(folder)
        return refused(
            "--data", folder, "--camera", "canon", "--preset", "neca-small", "--out",
            tmp_path / "out", "--device", "cpu",
        )  # fmt: skip

    def crop(folder, height, *halves):
        for half in halves:
            path = str(folder / f"canon_iso1600_1_{half}.png")
            cv2.imwrite(path, cv2.imread(path)[:height])

    line = spoiled("sizes", lambda f: crop(f, 96, "mean"))
    assert "canon_iso1600_1_mean.png are 112x104 and 112x96 pixels" in line
    line = spoiled("small", lambda f: crop(f, 90, "mean", "real"))
    assert "pair canon_iso1600_1 has 112x90 pixels, 96x96 or more are needed" in line
    line = spoiled("half", lambda f: (f / "canon_iso800_2_real.png").unlink())
    assert "canon_iso800_2_mean.png" in line
    assert "noisy half is not there" in line
    line = spoiled(
        "order",
        lambda f: shutil.copy(f / "canon_iso800_2_mean.png", f / "canon_iso800_0_mean.png"),
    )
    assert "the halves of pair canon_iso800_0 do not show the same scene" in line
    line = spoiled(
        "equal",
        lambda f: shutil.copy(f / "canon_iso800_2_mean.png", f / "canon_iso800_2_real.png"),
    )
    assert "the halves of pair canon_iso800_2 are equal" in line
    assert not (tmp_path / "out").exists()


def test_beginning_anew_removes_what_runs_write_and_nothing_else(pairs, tmp_path):
    out = tmp_path / "out"
    start = ["--data", pairs, "--camera", "canon", "--out", out, "--device", "cpu", "--recipe"]
    run(*start, recipe_file(tmp_path, joint=False))
    kept = {path.name for path in out.iterdir()} | {"tensorboard"}
    assert kept == set(WRITTEN)
    (out / "notes.txt").write_text("mine")
    other = recipe_file(tmp_path, joint=False, iterations=2, seed=1)
    line = refused(*start, other)
    assert "another run, its recipe.toml differs at" in line
    run(*start, other, "--overwrite")
    assert (out / "notes.txt").read_text() == "mine"
    assert neca.load(out).card.metrics["iterations"] == 2
    assert [path.name for path in (out / "samples").iterdir()] == ["0000002.png"]


def test_what_the_recipe_refuses(pairs, tmp_path):
    start = ["--data", pairs, "--camera", "canon", "--out", tmp_path / "out", "--device", "cpu"]
    assert "did you mean 'neca-small'" in refused(*start, "--preset", "neca-smal")
    line = refused(*start, "--preset", "neca-small", "--set", "critics.widht=3")
    assert "did you mean 'width'" in line
    line = refused(*start, "--preset", "neca-small", "--set", "patch=100")
    assert "100 is no multiple of 96" in line
    file = recipe_file(tmp_path)
    assert "give one of them" in refused(*start, "--preset", "neca", "--recipe", file)


@pytest.mark.parametrize("name", presets.names(PRESETS))
def test_presets_hold_together(name):
    recipe = parse(presets.read(name, PRESETS))
    assert recipe.preset == name
    if name == "neca":
        published = parse({"iterations": 1})
        for table in ("gain", "level", "correlation", "critics", "weights"):
            assert getattr(recipe, table) == getattr(published, table)


def test_a_corpus_is_pairs_too(tmp_path):
    recipe = pipelines.Recipe(
        source="deadleaves", source_options={"size": 128}, patch=96, per_image=1, count=6, iso=3200
    )
    pipelines.synthesize(recipe, str(tmp_path / "c.zarr"))
    identity = pipelines.open(tmp_path / "c.zarr").recipe.sha256
    result = run(
        "--data", tmp_path / "c.zarr", "--camera", "GP", "--recipe", recipe_file(tmp_path),
        "--out", tmp_path / "out", "--iterations", "1", "--device", "cpu",
    )  # fmt: skip
    assert "1 iterations on 6 pairs" in result.stdout
    card = neca.load(tmp_path / "out").card
    assert list(card.gains) == [3200]
    assert card.data == {str(tmp_path / "c.zarr"): identity}


def test_it_says_which_pairs_it_takes(pairs, tmp_path):
    recipe = recipe_file(tmp_path, iterations=1)
    command = ["--data", pairs, "--recipe", recipe, "--device", "cpu"]
    own = run(*command, "--camera", "Can-on", "--out", tmp_path / "own")
    assert f"{pairs}: 4 pairs of canon; 2 of other cameras are left out\n" in own.stderr
    every = run(*command, "--camera", "cc", "--out", tmp_path / "every")
    line = "6 pairs, 4 of canon, 2 of nikon: none is called cc, and all are taken"
    assert f"{pairs}: {line}\n" in every.stderr
    folder = tmp_path / "unnamed"
    folder.mkdir()
    for number, half in enumerate(sorted(pairs.glob("canon*_mean.png"))):
        shutil.copy(half, folder / f"{number}_clean.png")
        shutil.copy(str(half).replace("_mean", "_real"), folder / f"{number}_noisy.png")
    found = open_pairs(folder)
    said = camera_pairs.taken(found, camera_pairs.of_camera(found, "cc"), "cc")
    assert said == f"{folder}: 4 pairs, whose camera is not known"
