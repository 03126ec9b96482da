"""Networks that are trained in parts: what moves when, and runs that go on in any of them."""

import json

import pytest
import torch
from click.testing import CliRunner

import denoisers
from denoisers.models.r2rnet import PHASES
from denoisers.training import recipe, schedules
from denoisers.training.run import Run
from denoisers.vgg import LAYERS
from noisegen.cli import main
from noisegen.errors import MissingDataError, RecipeError, WeightsError
from noisegen.weights import read_safetensors

SMALL = {
    "model": "r2rnet",
    "options": {"width": 2},
    "iterations": 2,
    "batch": 2,
    "patch": 16,
    "validation": {"every": 1, "count": 2, "crop": 16},
}

PARTS = {"decom": "DecomNet", "denoise": "DenoiseNet", "relight": "RelightNet"}


class StoppedError(Exception):
    """What interrupts a run in these tests."""


def small(**changes):
    return recipe.parse({**SMALL, **changes})


def train(out, corpus, start=None, told=lambda progress: None, **changes):
    data = [(corpus.storage.url, 1.0)]
    run = Run(small(**changes), data, out, start=start, workers=0, device="cpu", told=told)
    return run.train()


def weights(folder):
    return read_safetensors(folder / "last.safetensors")[0]


def moved(before, after):
    """The networks of which a weight is another."""
    return {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}


def test_a_phase_moves_its_network_alone(corpus, tmp_path):
    before = denoisers.create("r2rnet", width=2).state_dict()
    folder = None
    for phase in PHASES:
        start, folder = folder and str(folder), tmp_path / phase
        assert train(folder, corpus, start, phases=(phase,)).iterations == 2
        after = weights(folder)
        assert moved(before, after) == {PARTS[phase]}
        before = after
    told = json.loads((folder / "data.json").read_text())
    assert told["start"]["path"] == str(tmp_path / "denoise")


def test_all_phases_are_trained_in_turn(corpus, tmp_path):
    assert train(tmp_path, corpus).iterations == 6
    first = denoisers.create("r2rnet", width=2).state_dict()
    assert moved(first, weights(tmp_path)) == set(PARTS.values())
    assert 'phases = ["decom", "denoise", "relight"]' in (tmp_path / "recipe.toml").read_text()


@pytest.mark.parametrize(("option", "told"), [("residual", "false"), ("slope", "0.01")])
def test_weights_of_other_options_are_refused(option, told, corpus, tmp_path):
    train(tmp_path / "a", corpus, phases=("decom",))
    changed = {"width": 2, option: 1.0 if option == "slope" else True}
    line = rf"a was trained with options\.{option}={told}, .*--set options\.{option}={told}"
    with pytest.raises(WeightsError, match=line):
        train(tmp_path / "b", corpus, str(tmp_path / "a"), options=changed)
    train(tmp_path / "c", corpus, str(tmp_path / "a"), options={"width": 2, "smoothness": 0.1})


@pytest.mark.parametrize(
    "iteration",
    [3, pytest.param(1, marks=pytest.mark.slow), pytest.param(5, marks=pytest.mark.slow)],
)
def test_a_run_goes_on_in_any_phase(iteration, corpus, tmp_path, whole):
    def told(progress):
        if progress.iteration == iteration:
            raise StoppedError

    with pytest.raises(StoppedError):
        train(tmp_path, corpus, told=told)
    assert train(tmp_path, corpus).iterations == 6
    for name, tensor in weights(tmp_path).items():
        assert torch.equal(tensor, weights(whole)[name]), name


@pytest.fixture(scope="module")
def whole(corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    train(folder, corpus)
    return folder


def test_the_rate_begins_anew_in_every_phase():
    own = small(iterations=10, schedule={"name": "cosine", "warmup": 2})
    rates = [schedules.learning_rate(own, i) for i in range(own.total)]
    assert rates[:10] == rates[10:20] == rates[20:]
    assert rates[1] > rates[9]


def test_the_loss_looks_through_vgg_where_there_is_one(corpus, tmp_path, whole):
    state, draws, inputs = {}, torch.Generator().manual_seed(4), 3
    blocks, block, place = LAYERS[:-4], 1, 0
    for outputs in blocks:
        if outputs == "pool":
            block, place = block + 1, 0
            continue
        place += 1
        kernel = 0.05 * torch.randn(outputs, inputs, 3, 3, generator=draws)
        state[f"conv{block}_{place}.weight"] = kernel
        state[f"conv{block}_{place}.bias"] = torch.zeros(outputs)
        inputs = outputs
    file = tmp_path / "vgg16.pth"
    torch.save(state, file)
    train(tmp_path / "run", corpus, vgg=str(file))
    assert moved(weights(whole), weights(tmp_path / "run")) == set(PARTS.values())
    assert not [name for name in weights(tmp_path / "run") if "vgg" in name]


def test_bad_wishes_get_one_line(corpus, tmp_path):
    with pytest.raises(RecipeError, match=r"no 'decon' \(did you mean 'decom'\?\); it has: decom"):
        small(phases=("decon",))
    with pytest.raises(RecipeError, match="dncnn has no 'decom'; it is trained as one"):
        small(model="dncnn", options={}, phases=("decom",))
    with pytest.raises(RecipeError, match="vgg: the loss of dncnn does not look through one"):
        train(tmp_path / "a", corpus, model="dncnn", options={}, vgg="vgg16.pth")
    with pytest.raises(RecipeError, match="vgg: the loss of dualdn does not look through one"):
        train(tmp_path / "a", corpus, model="dualdn", options={}, vgg="vgg16.pth")
    with pytest.raises(MissingDataError, match=r"there is no file .*gone\.safetensors"):
        train(tmp_path / "a", corpus, str(tmp_path / "gone.safetensors"))
    assert not (tmp_path / "a").exists(), "nothing is begun that cannot be trained"
    train(tmp_path / "b", corpus, phases=("decom",), iterations=1)
    with pytest.raises(WeightsError, match=r"holds a r2rnet .*'width': 2.*, not the network that"):
        train(tmp_path / "c", corpus, str(tmp_path / "b"), options={"width": 4})


def test_phases_by_the_command(corpus, tmp_path):
    def run(*arguments):
        settings = ("--set", "options.width=2", "--set", "validation.every=1")
        sizes = ("--iterations", "1", "--batch", "2", "--patch", "16")
        return CliRunner().invoke(
            main,
            ["train", "r2rnet", "--data", corpus.storage.url, *settings, *sizes, *arguments],
        )

    first = run("--phase", "decom", "--out", str(tmp_path / "decom"))
    assert first.exit_code == 0, first.output
    assert "r2rnet-small" in first.output
    rest = run(
        "--phase", "denoise", "--phase", "relight", "--from", str(tmp_path / "decom"),
        "--out", str(tmp_path / "rest"),
    )  # fmt: skip
    assert rest.exit_code == 0, rest.output
    assert "2 iterations" in rest.output
    wrong = run("--phase", "light", "--out", str(tmp_path / "wrong"))
    assert wrong.exit_code == 2
    assert "it has: decom, denoise, relight" in wrong.output
