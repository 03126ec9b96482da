"""Training: schedules, losses, one step, and runs that go on as if nothing had happened."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

import denoisers
from denoisers import card as cards
from denoisers import presets
from denoisers.data import Loader, Mixture, open_data
from denoisers.training import graphs, journal, objective, recipe, schedules
from denoisers.training.folder import WRITTEN, held
from denoisers.training.ranks import Ranks
from denoisers.training.run import Run
from denoisers.training.state import State
from denoisers.training.step import DivergedError, step
from noisegen.cli import main
from noisegen.errors import InputError, RecipeError, StorageError, UnreadableFileError
from noisegen.weights import read_safetensors
from tests.denoisers.conftest import make

SMALL = {
    "model": "dncnn",
    "options": {"depth": 3, "width": 8, "batch_norm": False},
    "iterations": 20,
    "batch": 4,
    "patch": 16,
    "validation": {"every": 5, "count": 3, "crop": 32},
}


def small(**changes):
    return recipe.parse({**SMALL, **changes})


def train(out, corpus, workers=0, **changes):
    path = corpus if isinstance(corpus, str) else corpus.storage.url
    return Run(small(**changes), [(path, 1.0)], out, workers=workers, device="cpu").train()


def weights(folder, name="last"):
    return read_safetensors(folder / f"{name}.safetensors")[0]


def assert_same(first, second):
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name


# Schedules and losses


def rates(name):
    own = recipe.parse(presets.read(name))
    return lambda iteration: schedules.learning_rate(own, iteration)


def test_the_published_schedule_of_real_noise():
    # Spec: epochs of 6000 iterations; 1e-4/3, 2e-4/3, 1e-4, then f(e - 4) over 157 epochs.
    rate = rates("adfnet-real")
    by_epoch = [rate(6000 * (e - 1)) for e in range(1, 161)]
    np.testing.assert_allclose(by_epoch[:3], [1e-4 / 3, 2e-4 / 3, 1e-4])
    t = np.arange(157)
    expected = 1e-6 + 0.5 * (1e-4 - 1e-6) * (1 + np.cos(np.pi * t / 157))
    np.testing.assert_allclose(by_epoch[3:], expected)
    assert by_epoch[79] == pytest.approx(5.3e-5, rel=0.02)
    assert by_epoch[159] == pytest.approx(1.01e-6, rel=0.01)
    assert rate(5999) == rate(0)


def test_the_published_schedule_of_white_noise():
    rate = rates("adfnet-rgb")
    assert [rate(i) for i in (0, 199_999, 200_000, 999_999)] == [1e-4, 1e-4, 5e-5, 6.25e-6]
    assert rates("adfnet-gray")(220_000) == 5e-5


def test_a_warm_up_longer_than_the_run_just_rises():
    own = small(schedule={"name": "cosine", "warmup": 100}, iterations=10)
    found = [schedules.learning_rate(own, i) / own.optimiser.lr for i in (0, 9)]
    np.testing.assert_allclose(found, [0.01, 0.1])


def test_losses_by_their_formulas():
    rng = torch.Generator().manual_seed(0)
    restored = torch.rand((2, 3, 4, 5), generator=rng) * 1.4 - 0.2
    clean = torch.rand((2, 3, 4, 5), generator=rng)
    d = (restored - clean).double().numpy()
    for name, expected in {
        "squares": (d**2).sum((1, 2, 3)) / 2,
        "l1": np.abs(d).mean((1, 2, 3)),
        "charbonnier": np.sqrt(d**2 + 1e-6).mean((1, 2, 3)),
    }.items():
        found = objective.losses(restored, clean, small(loss=name))
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5)
    clamped = objective.losses(restored, clean, small(loss="l1", clamp=True))
    expected = np.abs(np.clip(restored.numpy(), 0, 1) - clean.numpy()).mean((1, 2, 3))
    np.testing.assert_allclose(clamped.numpy(), expected, rtol=1e-5)


def test_white_noise_has_the_strength_that_is_asked_for(corpus):
    own = small(awgn=25.0, patch=32, batch=16)
    data = Mixture([open_data(corpus.storage.url, ("clean",))], (1,))
    batch = Loader(data, patch=32, batch=16, seed=0).batch(0)
    tensors = objective.on_device(batch, own, torch.device("cpu"))
    noise = (tensors["noisy"] - tensors["clean"]).numpy() * 255
    # n = 16 * 3 * 32 * 32: five standard errors of a standard deviation, false alarms 6e-7
    assert noise.std() == pytest.approx(25, rel=5 / np.sqrt(2 * noise.size))
    assert tensors["noisy"].min() < 0 or tensors["noisy"].max() > 1, "it is not cut"
    blind = objective.on_device(batch, small(awgn=(0.0, 75.0)), torch.device("cpu"))
    found = ((blind["noisy"] - blind["clean"]) * 255).flatten(1).std(1).numpy()
    np.testing.assert_allclose(found, 75 * batch.noise, rtol=5 / np.sqrt(2 * 3 * 32 * 32))


def test_mixup_mixes_noisy_and_clean_alike():
    own = small(mixup={"alpha": 1.2, "start": 3})
    rng = torch.Generator().manual_seed(0)
    clean = torch.rand((8, 3, 4, 4), generator=rng)
    tensors = {"clean": clean, "noisy": 2 * clean + 1}
    assert objective.mixed(tensors, own, 2, 0) is tensors
    mixed = objective.mixed(tensors, own, 3, 0)
    torch.testing.assert_close(mixed["noisy"], 2 * mixed["clean"] + 1)
    for sample in mixed["clean"]:
        # a mixture of two samples: the best fit by any pair is exact
        errors = []
        for i in range(8):
            for j in range(8):
                a, b, s = (t.flatten() for t in (clean[i], clean[j], sample))
                share = 0 if i == j else float((s - b) @ (a - b) / ((a - b) @ (a - b)))
                errors.append(float((share * a + (1 - share) * b - s).abs().max()))
        assert min(errors) < 1e-5
    again = objective.mixed(tensors, own, 3, 0)["clean"]
    assert torch.equal(again, mixed["clean"])
    assert not torch.equal(objective.mixed(tensors, own, 4, 0)["clean"], mixed["clean"])


# One step


def first_batch(corpus, **options):
    data = Mixture([open_data(corpus.storage.url)], (1,))
    return Loader(data, patch=16, batch=4, seed=0, **options).batch(0)


def test_a_batch_in_parts_moves_the_weights_as_a_whole_one(corpus):
    batch = first_batch(corpus)
    states = []
    for parts in (1, 2, 4):
        own = small(accumulate=parts)
        state = State.begin(own, torch.device("cpu"))
        loss = step(state, state.model, batch, own, denoisers.entry("dncnn"))
        states.append((loss, *(p.detach() for p in state.model.parameters())))
    for other in states[1:]:
        for a, b in zip(states[0], other, strict=True):
            # Adam's first step is of one size whatever the gradient's: rounding shows near 0 alone
            torch.testing.assert_close(torch.as_tensor(a), torch.as_tensor(b), rtol=0, atol=2e-5)


def test_a_gradient_is_clipped_to_its_norm(corpus):
    batch = first_batch(corpus)
    own = small(optimiser={"clip": 1e-3})
    state = State.begin(own, torch.device("cpu"))
    step(state, state.model, batch, own, denoisers.entry("dncnn"))
    norm = torch.nn.utils.get_total_norm([p.grad for p in state.model.parameters()])
    assert float(norm) == pytest.approx(1e-3, rel=1e-4)


def test_the_running_mean_follows_the_weights(corpus):
    batch = first_batch(corpus)
    own = small(ema=0.75)
    state = State.begin(own, torch.device("cpu"))
    before = [p.detach().clone() for p in state.model.parameters()]
    step(state, state.model, batch, own, denoisers.entry("dncnn"))
    for old, new, mean in zip(
        before, state.model.parameters(), state.mean.parameters(), strict=True
    ):
        torch.testing.assert_close(mean, 0.75 * old + 0.25 * new.detach())


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_a_step_lowers_the_loss_of_its_batch(corpus, precision):
    batch = first_batch(corpus)
    own = small(precision=precision, optimiser={"lr": 1e-3})
    state = State.begin(own, torch.device("cpu"))
    found = [step(state, state.model, batch, own, denoisers.entry("dncnn")) for _ in range(20)]
    assert found[-1] < 0.9 * found[0]
    assert all(p.dtype == torch.float32 for p in state.model.parameters())


def test_a_gradient_that_overflows_moves_nothing_but_the_scale(corpus):
    batch = first_batch(corpus)
    own = small(precision="float16", loss="squares")
    state = State.begin(own, torch.device("cpu"))
    state.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**40)
    before = [p.detach().clone() for p in state.model.parameters()]
    assert np.isfinite(step(state, state.model, batch, own, denoisers.entry("dncnn")))
    for old, new in zip(before, state.model.parameters(), strict=True):
        assert torch.equal(old, new)
    assert (state.iteration, state.scaler.get_scale()) == (1, 2.0**39)
    for _ in range(40):
        step(state, state.model, batch, own, denoisers.entry("dncnn"))
    assert any(
        not torch.equal(old, new) for old, new in zip(before, state.model.parameters(), strict=True)
    )


def test_a_run_in_float16_goes_on_with_its_scale(corpus, tmp_path):
    own = small(precision="float16")
    state = State.begin(own, torch.device("cpu"))
    step(state, state.model, first_batch(corpus), own, denoisers.entry("dncnn"))
    state.scaler.update(512.0)
    state.save(tmp_path / "resume.pt")
    other = State.begin(own, torch.device("cpu"))
    other.load(tmp_path / "resume.pt")
    assert other.scaler.get_scale() == 512.0


def test_a_compiled_network_is_trained_and_saved_as_itself(corpus, tmp_path, monkeypatch):
    compiled = []

    def traced(network):
        compiled.append(network)
        return real(network, backend="eager")  # TorchDynamo, without a compiler of kernels

    real = torch.compile
    monkeypatch.setattr(torch, "compile", traced)
    data = [(corpus.storage.url, 1.0)]
    for name, on in (("plain", False), ("compiled", True)):
        Run(small(), data, tmp_path / name, workers=0, device="cpu", compiled=on).train()
    assert len(compiled) == 1
    first, second = weights(tmp_path / "plain"), weights(tmp_path / "compiled")
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        torch.testing.assert_close(second[name], tensor)


@pytest.mark.parametrize(
    ("name", "ranks", "precision", "changes", "line"),
    [
        ("adfnet", 2, "float32", False, "one process trains with CUDA graphs"),
        ("adfnet", 1, "float32", True, "the same kernels are replayed"),
        ("adfnet", 1, "bfloat16", False, "in float32 alone, not in bfloat16"),
        ("rffnet", 1, "float32", False, "nor draw numbers"),  # leaves paths out
        ("dncnn", 1, "float32", False, "neither keep statistics"),  # normalises batches
    ],
)
def test_what_cannot_be_replayed_is_refused(name, ranks, precision, changes, line):
    model, gpu = denoisers.create(name), torch.device("cuda", 0)
    with pytest.raises(InputError, match=line):
        graphs.check(model, gpu, Ranks(0, ranks), precision, changes=changes)
    graphs.check(denoisers.create("adfnet"), gpu, Ranks(), "float32", changes=False)


def test_tensorboard_gets_the_log_where_it_is_installed(corpus, tmp_path, monkeypatch):
    written, opened = [], []

    class SummaryWriter:
        def __init__(self, folder, purge_step):
            opened.append((folder, purge_step))

        def add_scalar(self, name, value, iteration):
            written.append((iteration, name, value))

        def close(self):
            opened.append("closed")

    board = type(sys)("torch.utils.tensorboard")
    board.SummaryWriter = SummaryWriter
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", board)
    monkeypatch.setattr(journal, "find_spec", lambda name: name == "tensorboard")
    train(tmp_path / "run", corpus)
    assert opened == [(tmp_path / "run" / "tensorboard", 1), "closed"]
    lines = [json.loads(s) for s in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    expected = [
        (line["iteration"], n, v) for line in lines for n, v in line.items() if n != "iteration"
    ]
    assert written == expected


# Runs


def test_curves_show_the_noisy_pictures_psnr_all_along():
    lines = [
        {"iteration": 10, "loss": 0.5, "lr": 1e-3},
        {"iteration": 10, "psnr": 24.0, "ssim": 0.5, "noisy_psnr": 20.5},
    ]
    above, below, _ = journal.figure(lines, "a title").axes
    restored, noisy = below.lines
    assert restored.get_ydata().tolist() == [24.0]
    assert list(noisy.get_ydata()) == [20.5, 20.5]
    assert list(noisy.get_xdata()) == [0, 1]  # of the axes: from border to border
    assert noisy.get_label() == "noisy, 20.50 dB"
    assert above.get_title() == "a title"
    assert journal.figure([], "nothing yet").axes[1].lines[0].get_ydata().size == 0


@pytest.mark.parametrize(("has", "meant"), [(True, "bfloat16"), (False, "float32")])
def test_a_run_records_the_precision_that_it_chose(has, meant, corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: has)
    train(tmp_path / "run", corpus, precision="auto", iterations=2)
    assert recipe.read_table(tmp_path / "run" / "recipe.toml")["precision"] == meant


def test_a_run_leaves_weights_log_curves_and_pictures(corpus, tmp_path):
    result = train(tmp_path / "run", corpus, ema=0.5)
    assert (tmp_path / "run" / "curves.png").stat().st_size > 1000
    pictures = sorted(p.name for p in (tmp_path / "run" / "samples").iterdir())
    assert pictures == [f"{i:07}.png" for i in (5, 10, 15, 20)]
    lines = [json.loads(s) for s in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [line["iteration"] for line in lines if "loss" in line] == [10, 20]
    scored = {line["iteration"]: line["psnr"] for line in lines if "psnr" in line}
    assert list(scored) == [5, 10, 15, 20]
    assert result.best == max(scored.values())
    for name, psnr in (("last", scored[20]), ("best", result.best)):
        model, card = cards.load(tmp_path / "run" / f"{name}.safetensors")
        assert card.model == "dncnn"
        assert card.metrics["held-out PSNR dB"] == psnr
        assert list(card.data.values()) == [corpus.recipe.sha256]
        assert model(torch.zeros(1, 3, 8, 8)).shape == (1, 3, 8, 8)


def test_runs_are_a_function_of_the_seed_alone(corpus, tmp_path):
    for name, workers in (("a", 0), ("b", 2)):
        train(tmp_path / name, corpus, workers)
    train(tmp_path / "c", corpus, seed=1)
    assert_same(weights(tmp_path / "a"), weights(tmp_path / "b"))
    first, other = weights(tmp_path / "a"), weights(tmp_path / "c")
    assert any(not torch.equal(t, other[n]) for n, t in first.items())


COMMAND = """
import sys, time
from denoisers.training import loop
step = loop.step
def slow(*arguments):
    time.sleep(0.02)
    return step(*arguments)
loop.step = slow
from noisegen.cli import main
main(sys.argv[1:])
"""
"""The command, slow enough to be killed in its midst."""


def test_a_killed_run_goes_on_to_the_weights_of_one_that_was_not(corpus, tmp_path):
    arguments = [
        "train", "dncnn", "--data", corpus.storage.url, "--recipe", str(tmp_path / "r.toml"),
        "--device", "cpu", "--workers", "1", "--out",
    ]  # fmt: skip
    own = small(iterations=60, ema=0.9, mixup={"alpha": 1.0}, validation={"every": 7, "count": 2})
    (tmp_path / "r.toml").write_text(own.to_toml())
    killed = tmp_path / "killed"
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, *arguments, str(killed)], env=os.environ
    )
    deadline = time.monotonic() + 120
    while not (killed / "resume.pt").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it was killed, not done"
    assert torch.load(killed / "resume.pt", weights_only=True)["iteration"] < 60
    for folder in (killed, tmp_path / "whole"):
        done = CliRunner().invoke(main, [*arguments, str(folder)])
        assert done.exit_code == 0, done.output
    for name in ("last", "best"):
        assert_same(weights(killed, name), weights(tmp_path / "whole", name))
    assert (killed / "log.jsonl").read_text() == (tmp_path / "whole" / "log.jsonl").read_text()


def test_a_finished_run_is_left_as_it_is(corpus, tmp_path):
    first = train(tmp_path / "run", corpus)
    before = weights(tmp_path / "run")
    assert train(tmp_path / "run", corpus) == first
    assert_same(before, weights(tmp_path / "run"))


def test_another_run_is_not_written_over(corpus, lazy, tmp_path):
    train(tmp_path / "run", corpus)
    with pytest.raises(InputError, match=r"another run, its recipe.toml differs at: batch = 2"):
        train(tmp_path / "run", corpus, batch=2)
    with pytest.raises(InputError, match=r"another run, its data.json differs at"):
        train(tmp_path / "run", lazy)
    Run(small(batch=2), [(corpus.storage.url, 1.0)], tmp_path / "run", overwrite=True).train()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("")
    with pytest.raises(InputError, match="is there and no training run"):
        train(tmp_path / "full", corpus)


def test_beginning_anew_removes_what_runs_write_and_nothing_else(corpus, tmp_path):
    run, url = tmp_path / "run", [(corpus.storage.url, 1.0)]
    train(run, corpus)
    written = {path.name for path in run.iterdir()}
    assert written - {"tensorboard"} == set(WRITTEN) - {"tensorboard"}
    (run / "notes.txt").write_text("mine")
    Run(small(batch=2), url, run, device="cpu", overwrite=True).train()
    assert (run / "notes.txt").read_text() == "mine"
    # a folder with somebody's recipe is no run
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "recipe.toml").write_text("mine")
    with pytest.raises(InputError, match="is there and no training run"):
        Run(small(), url, tmp_path / "project", device="cpu", overwrite=True).train()
    assert (tmp_path / "project" / "recipe.toml").read_text() == "mine"


def test_a_run_that_was_stopped_before_it_was_all_there_begins(corpus, tmp_path):
    (tmp_path / "run" / "samples").mkdir(parents=True)
    (tmp_path / "run" / "data.json").write_text("{}")
    assert train(tmp_path / "run", corpus).iterations == 20


def test_one_process_trains_in_a_folder(corpus, tmp_path):
    train(tmp_path / "run", corpus)
    before = weights(tmp_path / "run")
    command = ["train", "dncnn", "--data", corpus.storage.url, "--out", str(tmp_path / "run")]
    with held(tmp_path / "run"):
        done = CliRunner().invoke(main, [*command, "--patch", "16", "--overwrite"])
    assert done.exit_code == 2
    assert "run is being trained by another process; wait for it" in done.output
    assert_same(before, weights(tmp_path / "run"))


def test_a_file_is_no_folder_for_a_run(corpus, tmp_path):
    (tmp_path / "run").write_text("mine")
    with pytest.raises(StorageError, match=r"cannot make .*run: File exists"):
        train(tmp_path / "run", corpus)


def test_nan_stops_with_the_batch(corpus, tmp_path, monkeypatch):
    from denoisers.data.loader import Loader as Real

    read = Real.batch

    def poisoned(self, number):
        batch = read(self, number)
        if number == 3:
            arrays = {"clean": batch.arrays["clean"], "noisy": batch.arrays["noisy"]}
            object.__setattr__(batch, "arrays", Poison(arrays))
        return batch

    class Poison(dict):
        def items(self):
            return {**self, "noisy": self["noisy"] * np.nan}.items()

    monkeypatch.setattr(Real, "batch", poisoned)
    monkeypatch.setattr(
        objective, "to_float", lambda a, device: torch.tensor(a / 255).permute(0, 3, 1, 2).float()
    )
    with pytest.raises(
        DivergedError, match=r"loss is nan in iteration 4, on batch 3 of seed 0"
    ) as e:
        train(tmp_path / "run", corpus)
    assert f"{corpus.storage.url} sample" in str(e.value)


def test_two_ranks_train_as_one(corpus, tmp_path):
    arguments = [
        "train", "dncnn", "--data", corpus.storage.url, "--recipe", str(tmp_path / "r.toml"),
        "--device", "cpu", "--workers", "0", "--out",
    ]  # fmt: skip
    own = small(iterations=8, optimiser={"name": "adam", "lr": 1e-3, "eps": 1e-3}, accumulate=2)
    (tmp_path / "r.toml").write_text(own.to_toml())
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
        "-m", "noisegen", *arguments, str(tmp_path / "two"),
    ]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=240)
    assert done.returncode == 0, done.stderr
    assert CliRunner().invoke(main, [*arguments, str(tmp_path / "one")]).exit_code == 0
    one, two = (weights(tmp_path / name) for name in ("one", "two"))
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor, rtol=1e-4, atol=1e-6)


# The command


def test_the_corpus_of_the_readmes_first_command_trains_adfnet(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    readme = Path(__file__).parents[2] / "README.md"
    first = next(s for s in readme.read_text(encoding="utf-8").splitlines() if "&& noisegen" in s)
    command = first.partition("&& noisegen ")[2].split()
    assert command[-1] == "demo.zarr"
    assert CliRunner().invoke(main, command).exit_code == 0
    # All defaults but for the length: a step, and one picture to validate on.
    command = ["train", "adfnet", "--data", "demo.zarr", "--device", "cpu", "--iterations", "1"]
    command += ["--set", "validation.count=1"]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 0, done.output
    assert "training recipe: adfnet-small" in done.output
    assert (tmp_path / "runs" / "adfnet" / "best.safetensors").exists()


def test_the_default_preset_is_said(corpus, tmp_path):
    command = ["train", "dncnn", "--data", corpus.storage.url, "--iterations", "1", "--patch", "16"]
    done = CliRunner().invoke(main, [*command, "--device", "cpu", "--out", str(tmp_path / "run")])
    assert "training recipe: dncnn-small, as this is the CPU" in done.output
    assert "runs" not in done.output
    assert 'preset = "dncnn-small"' in (tmp_path / "run" / "recipe.toml").read_text()
    assert presets.default("adfnet", gpu=True, awgn=True) == "adfnet-rgb"
    assert presets.default("adfnet", gpu=True, awgn=False) == "adfnet-real"
    assert presets.default("dncnn", gpu=True, awgn=False) == "dncnn"
    assert presets.default("dualdn", gpu=True, awgn=False, backbone="swinir") == "dualdn"
    assert presets.default("dualdn", gpu=False, awgn=False, backbone="swinir") == (
        "dualdn-swinir-small"
    )
    assert presets.default("swinir", gpu=True, awgn=False) == "swinir-small"
    assert presets.default("nobody", gpu=True, awgn=False) is None


REFUSED = [
    (["dnccn"], "unknown model 'dnccn' (did you mean 'dncnn'?)"),
    (["dncnn", "--preset", "dncn"], "unknown preset 'dncn' (did you mean 'dncnn'?)"),
    (["dncnn", "--preset", "adfnet-rgb"], "adfnet-rgb is for adfnet, not for dncnn"),
    (["dncnn", "--set", "optimizer.lr=1"], "unknown key 'optimizer' (did you mean 'optimiser'?)"),
    (["dncnn", "--set", "optimiser.lr=0"], "optimiser.lr: Input should be greater than 0"),
    (["dncnn", "--set", "options.deep=3"], "options of model 'dncnn': unknown key 'deep'"),
    (["dncnn", "--awgn", "30-20"], "awgn: the range 30-20 runs backwards"),
    (["dncnn", "--patch", "64"], "samples of 32, too small for patches of 64; give --patch"),
    (["adfnet", "--patch", "12"], "adfnet takes patches of multiples of 8 pixels, not 12"),
    (["dncnn", "--set", "options.channels=1"], "a grey network is trained on clean pictures"),
    (["dncnn", "--set", "options.channels=4"], "pictures of 3 channels, dncnn with channels = 4"),
    (["dncnn", "--device", "cuda"], "no GPU: torch sees none on this machine"),
    (["dncnn", "--graph", "--patch", "32"], "--graph: CUDA graphs need a GPU"),
    (["dncnn", "--renoise"], "have no mosaic to draw noise on"),
    (["dncnn", "--recipe", "none.toml"], "no training recipe at none.toml"),
    (["dncnn", "--val", "nowhere"], "cannot reach nowhere: there is no such folder"),
]


@pytest.mark.parametrize(("arguments", "line"), REFUSED)
def test_what_cannot_be_is_one_line(arguments, line, corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    command = ["train", *arguments, "--data", corpus.storage.url, "--out", str(tmp_path / "run")]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 2, done.output
    (last,) = [s for s in done.output.splitlines() if s.startswith("noisegen: ")]
    assert line in last


def test_a_raw_corpus_is_refused(tmp_path):
    raw = make(tmp_path / "raw.zarr", stage="raw", count=2, per_image=1)
    done = CliRunner().invoke(
        main, ["train", "dncnn", "--data", raw.storage.url, "--out", str(tmp_path / "run")]
    )
    assert done.exit_code == 2
    assert "is a corpus of stage 'raw', dncnn is trained on sRGB pictures" in done.output


def test_a_damaged_checkpoint_is_one_line(corpus, tmp_path):
    train(tmp_path / "run", corpus)
    (tmp_path / "run" / "resume.pt").write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(
        UnreadableFileError, match=r"cannot go on from .*; start anew with --overwrite"
    ):
        train(tmp_path / "run", corpus)


def test_a_recipe_written_is_a_recipe_read(tmp_path):
    for name in presets.names():
        own = recipe.parse(presets.read(name))
        (tmp_path / "r.toml").write_text(own.to_toml())
        assert recipe.parse(recipe.read_table(tmp_path / "r.toml")) == own
    with pytest.raises(RecipeError, match="cannot read the training recipe"):
        (tmp_path / "r.toml").write_text("= 3")
        recipe.read_table(tmp_path / "r.toml")


def test_data_without_a_scene_to_train_on_takes_its_weight_along(corpus, tmp_path):
    held = {s for i, s in enumerate(corpus.images.scenes) if corpus.images.split[i] == 1}
    other = open_data(corpus.storage.url)
    other = other.take([i for i, s in enumerate(other.scenes) if s in held])
    train, _ = Mixture([other, open_data(corpus.storage.url)], (3, 5)).held_out()
    assert train.weights == (5,)
    written = Run(small(), [("x", 3.0), ("y", 5.0)], tmp_path)._written(train)
    (entry,) = json.loads(written["data.json"])["data"]
    assert (entry["weight"], entry["identity"]) == (5, corpus.recipe.sha256)


def test_data_is_weighted_by_what_follows_the_colon(corpus, lazy, tmp_path):
    command = ["train", "dncnn", "--data", corpus.storage.url, "--data", f"{lazy.storage.url}:2.5"]
    command += ["--iterations", "1", "--patch", "16", "--out", str(tmp_path / "run")]
    assert CliRunner().invoke(main, command).exit_code == 0
    found = json.loads((tmp_path / "run" / "data.json").read_text())["data"]
    assert [entry["weight"] for entry in found] == [1.0, 2.5]
    assert Path(found[1]["path"]).name == "a.zarr"
