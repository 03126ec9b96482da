"""Training on mosaics: patches, noise, tone, runs."""

import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner

import denoisers
from denoisers import card as cards
from denoisers.data import Cut, Loader, Mixture, open_mosaics
from denoisers.data.turns import ALL, MIRRORS
from denoisers.models.dualdn import INPUTS
from denoisers.training import recipe
from denoisers.training.mosaics import HeldOutMosaics, prepared
from denoisers.training.run import Run
from denoisers.training.state import State
from denoisers.training.step import step
from noisegen.cfa import PHASES, plane_map
from noisegen.cli import main
from noisegen.errors import CorpusMismatchError, InputError, MissingDataError, RecipeError
from noisegen.weights import read_safetensors
from tests.denoisers.conftest import make

SMALL = {
    "model": "dualdn",
    "options": {"width": 8, "blocks": (1, 1, 1, 1), "refinement": 1, "heads": (1, 1, 2, 2)},
    "iterations": 4,
    "batch": 4,
    "patch": 16,
    "renoise": True,
    "optimiser": {"lr": 1e-3},
    "validation": {"every": 4, "count": 3, "crop": 16},
}

CPU = torch.device("cpu")

PAGE = denoisers.entry("dualdn")


def small(**changes):
    return recipe.parse({**SMALL, **changes})


def cut(samples, patch, turns, place=(0.3, 0.6)):
    samples = np.asarray(samples)
    return Cut(
        samples,
        np.zeros(len(samples), np.int64),
        patch,
        np.tile(place, (len(samples), 1)).astype(np.float64),
        np.broadcast_to(turns, samples.shape).astype(np.int64),
    )


class Marked:
    """A corpus whose mosaics say where their pixels lay: plane, row and column."""

    def __init__(self, data, phase):
        side = data.stored_patch
        rows, columns = np.mgrid[:side, :side]
        self.marks = plane_map(phase, (side, side)).astype(int) * 10_000 + rows * 100 + columns
        data.corpus.table["cfa"][:] = PHASES.index(phase)
        data._readers = dict.fromkeys(data.names, self)

    def windows(self, rows, corners, size):
        for y, x in corners:
            assert y >= 0
            assert x >= 0
            window = self.marks[y : y + size, x : x + size].astype(np.uint16)
            assert window.shape == (size, size)
            yield window


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("patch", [16, 32])
def test_patches_begin_with_red_after_every_turn(phase, patch, tmp_path):
    corpus = make(tmp_path / "a.zarr", stage="raw", count=2, per_image=1)
    data = open_mosaics(corpus.storage.url, noisy=False)
    Marked(data, phase)
    found = set()
    for turn in ALL:
        wanted = cut([0], patch, turn)
        (mosaic,) = data.read(wanted)["raw_clean"]
        assert set(np.unique(mosaic[::2, ::2] // 10_000)) == {0}
        assert set(np.unique(mosaic[1::2, 1::2] // 10_000)) == {2}
        # Greens change places where rows and columns do.
        first = mosaic[0, 1] // 10_000
        black = data.parameters(wanted)["black"][0]
        stored = data.corpus.table["black"][data.numbers[0]]
        np.testing.assert_array_equal(black[1], stored[first])
        steps = (
            np.diff((mosaic % 10_000).astype(int), axis=0)[:, 0],
            np.diff((mosaic % 10_000).astype(int), axis=1)[0],
        )
        found.add((int(steps[0][0]), int(steps[1][0])))
    assert len(found) == (8 if patch == 16 else 2)


def test_stored_lazy_and_both_give_the_same_mosaics(raws, tmp_path):
    lazy = make(tmp_path / "lazy.zarr", stage="raw", lazy=True)
    both = make(tmp_path / "both.zarr", stage="both")
    lazy_both = make(tmp_path / "lazy_both.zarr", lazy=True)
    wanted = cut([0, 5, 9], 16, [0, 3, 6])
    opened = [open_mosaics(c.storage.url, noisy=True) for c in (raws, lazy, both, lazy_both)]
    first = opened[0].read(wanted)
    assert first["raw_clean"].shape == (3, 16, 16)
    assert not np.array_equal(first["raw_clean"], first["raw_noisy"])
    for data in opened[1:]:
        for name, mosaic in data.read(wanted).items():
            np.testing.assert_array_equal(mosaic, first[name])


def test_row_noise_stays_in_rows(tmp_path):
    rows = make(tmp_path / "a.zarr", stage="raw", camera="SonyA7S2", iso=1600.0)
    assert open_mosaics(rows.storage.url, noisy=True).turns == MIRRORS
    assert open_mosaics(rows.storage.url, noisy=False).turns == ALL


def test_noise_has_the_law_that_it_is_told_of(raws):
    own = small(batch=16, mosaics={"shot": 0.01, "alpha": [0.2, 0.4]})
    data = Mixture([open_mosaics(raws.storage.url, noisy=False)], (1,))
    tensors = prepared(Loader(data, patch=32, batch=16, seed=0).batch(0), own, CPU)
    clean, noisy = tensors["raw_clean"], tensors["raw_noisy"]
    assert noisy.min() >= 0
    assert noisy.max() <= 1
    assert torch.all(tensors["shot"] == 0.01)
    inside = (clean > 0.1) & (clean < 0.7)
    variance = tensors["shot"].view(-1, 1, 1, 1) * clean + tensors["read"].view(-1, 1, 1, 1)
    z = ((noisy - clean) / variance.sqrt())[inside]
    # Mean square of n numbers of kurtosis below 4: six standard errors.
    assert abs(z.square().mean().item() - 1) < 6 * (3 / len(z)) ** 0.5
    assert abs(z.mean().item()) < 6 / len(z) ** 0.5
    assert (tensors["alpha"] >= 0.2).all()
    assert (tensors["alpha"] <= 0.4).all()
    assert len(tensors["alpha"].unique()) == 16


def test_levels_are_dualdns_prior(raws):
    data = Mixture([open_mosaics(raws.storage.url, noisy=False)], (1,))
    loader = Loader(data, patch=16, batch=32, seed=0)
    found = [prepared(loader.batch(i), small(batch=32), CPU) for i in range(16)]
    logs = torch.cat([t["shot"] for t in found]).log().numpy()
    low, high = np.log(2e-4), np.log(2e-2)
    assert logs.min() > low
    assert logs.max() < high
    n = len(logs)
    # A uniform law's mean: five standard errors.
    assert abs(logs.mean() - (low + high) / 2) < 5 * (high - low) / np.sqrt(12 * n)
    left = torch.cat([t["read"] for t in found]).log().numpy() - (2.5407496082896145 * logs)
    assert left.mean() == pytest.approx(1.218237123334061, abs=5 * 0.2675 / np.sqrt(n))
    assert left.std() == pytest.approx(0.2675, rel=5 / np.sqrt(2 * n))


def test_recorded_levels_and_stored_noise(raws):
    for noisy, renoise in ((False, True), (True, False)):
        own = small(renoise=renoise, mosaics={"levels": "recorded"})
        data = open_mosaics(raws.storage.url, noisy=noisy)
        batch = Loader(Mixture([data], (1,)), patch=32, batch=4, seed=1).batch(3)
        tensors = prepared(batch, own, CPU)
        rows = raws.table[data.numbers[batch.items[:, 2]]]
        np.testing.assert_allclose(tensors["shot"].numpy(), rows["shot"].mean(1), rtol=1e-6)
        np.testing.assert_allclose(tensors["read"].numpy(), rows["read"].mean(1), rtol=1e-6)
        black, white = batch.parameters["black"][:, 0], batch.parameters["white"]
        red = batch.arrays["raw_clean"][:, ::2, ::2].astype(float)
        expected = np.maximum(red - black[:, None, None], 1e-8) / (white - black)[:, None, None]
        np.testing.assert_allclose(
            tensors["raw_clean"][:, 0, ::2, ::2].numpy(), expected, atol=1e-6
        )
        if noisy:
            codes = batch.arrays["raw_noisy"][:, ::2, ::2].astype(float)
            signed = (codes - black[:, None, None]) / (white - black)[:, None, None]
            found = tensors["raw_noisy"][:, 0, ::2, ::2].numpy()
            np.testing.assert_allclose(found, np.clip(signed, 0, 1), atol=1e-6)


def test_a_step_lowers_the_loss_of_its_batch(raws):
    own = small(mosaics={"shot": 0.02}, optimiser={"lr": 1e-2})
    data = Mixture([open_mosaics(raws.storage.url, noisy=False)], (1,))
    batch = Loader(data, patch=32, batch=2, seed=0).batch(0)
    for precision in ("float32", "bfloat16"):
        state = State.begin(own.model_copy(update={"precision": precision}), CPU)
        losses = [step(state, state.model, batch, own, PAGE) for _ in range(7)]
        assert min(losses) < 0.9 * losses[0]


@pytest.mark.parametrize("domain", ["dual", "raw", "srgb"])
def test_the_loss_is_the_domains(domain, raws):
    own = small(options=SMALL["options"] | {"domain": domain})
    data = Mixture([open_mosaics(raws.storage.url, noisy=False)], (1,))
    batch = Loader(data, patch=32, batch=2, seed=0).batch(0)
    tensors = prepared(batch, own, CPU)
    net = State.begin(own, CPU).model  # returns the noisy mosaic and its picture
    with torch.no_grad():
        inputs = [tensors[name] for name in INPUTS]
        found = PAGE.loss(net, net(*inputs), tensors)
        noisy, clean = (
            PAGE.develop(net, tensors[name], *inputs[1:]) for name in ("raw_noisy", "raw_clean")
        )
        off = {
            "srgb": (noisy - clean).abs().mean((1, 2, 3)),
            "raw": (tensors["raw_noisy"] - tensors["raw_clean"]).abs().mean((1, 2, 3)),
        }
    expected = sum(off.values()) if domain == "dual" else off[domain]
    torch.testing.assert_close(found, expected)


def test_blocks_computed_again_train_the_same(raws):
    data = Mixture([open_mosaics(raws.storage.url, noisy=False)], (1,))
    batch = Loader(data, patch=16, batch=2, seed=0).batch(0)
    options = {"backbone": "swinir", "width": 8, "depths": (2,), "heads": (2,)}
    found = []
    for recompute in (False, True):
        own = small(options=options, recompute=recompute)
        state = State.begin(own, CPU)
        found.append([step(state, state.model, batch, own, PAGE) for _ in range(3)])
    assert found[0] == pytest.approx(found[1], rel=1e-6)
    with pytest.raises(RecipeError, match="dncnn has no blocks to compute again"):
        State.begin(recipe.parse({"model": "dncnn", "iterations": 1, "recompute": True}), CPU)


def test_stochastic_depth_is_a_function_of_the_seed_and_the_iteration(raws):
    data = Mixture([open_mosaics(raws.storage.url, noisy=False)], (1,))
    batch = Loader(data, patch=16, batch=4, seed=0).batch(0)
    own = small(options={"backbone": "swinir", "width": 8, "depths": (2, 2), "heads": (2,)})
    found = []
    for disturbance in (0, 1):
        state = State.begin(own, CPU)
        torch.manual_seed(disturbance)
        before = torch.get_rng_state()
        found.append([step(state, state.model, batch, own, PAGE) for _ in range(3)])
        assert torch.equal(torch.get_rng_state(), before)
    assert found[0] == found[1]


def test_held_out_mosaics_are_the_same_every_time(raws):
    own = small(mosaics={"shot": [1e-3, 1e-2], "alpha": [0.0, 1.0]})
    data = Mixture([open_mosaics(raws.storage.url, noisy=False)], (1,))
    held = HeldOutMosaics(data, own, INPUTS, PAGE)
    net = State.begin(own, CPU).model.eval()
    cases = [held.case(net, number, CPU) for number in (0, 1, 2, 0)]
    shots = [float(case.inputs[1]) for case in cases]
    np.testing.assert_allclose(shots[:3], np.exp(np.linspace(np.log(1e-3), np.log(1e-2), 7)[1::2]))
    assert torch.equal(cases[0].noisy, cases[3].noisy)
    assert float(cases[0].inputs[5]) == 0.5
    scores = held.scores(net, CPU)
    assert scores.psnr == scores.noisy_psnr  # it begins as the ISP of what it is given
    assert 10 < scores.psnr < 60


def run(out, data, workers=0, **changes):
    return Run(small(**changes), [(data.storage.url, 1.0)], out, workers=workers, device="cpu")


def weights(folder):
    return read_safetensors(folder / "last.safetensors")[0]


def test_a_run_goes_on_to_the_same_weights(raws, tmp_path):
    whole = run(tmp_path / "whole", raws, ema=0.9).train()
    assert whole.iterations == 4
    stopping = run(tmp_path / "stopped", raws, workers=1, ema=0.9)

    class StopError(Exception):
        pass

    def stop(progress):
        if progress.iteration == 3:
            raise StopError

    with pytest.raises(StopError):
        Run(**{**vars(stopping), "told": stop}).train()
    stopping.train()
    for name, tensor in weights(tmp_path / "whole").items():
        assert torch.equal(weights(tmp_path / "stopped")[name], tensor), name
    model, card = cards.load(tmp_path / "whole" / "best.safetensors")
    assert card.options["blocks"] == [1, 1, 1, 1]
    assert list(card.data.values()) == [raws.recipe.sha256]
    assert model.domain == "dual"


@pytest.mark.parametrize("backbone", ["restormer", "swinir", "mirnet"])
def test_the_command_trains_and_goes_on(backbone, raws, tmp_path):
    command = [
        "train", "dualdn", "--data", raws.storage.url, "--backbone", backbone, "--patch", "16",
        "--batch", "2", "--set", "validation.crop=16", "--set", "validation.count=1",
        "--set", "validation.every=1", "--device", "cpu", "--workers", "0",
        "--out", str(tmp_path / "run"),
    ]  # fmt: skip
    done = CliRunner().invoke(main, [*command, "--iterations", "1"])
    assert done.exit_code == 0, done.output
    own = "dualdn-small" if backbone == "restormer" else f"dualdn-{backbone}-small"
    assert f"training recipe: {own}" in done.output
    assert "held-out pictures" in done.output
    again = CliRunner().invoke(main, [*command, "--iterations", "1"])
    assert again.exit_code == 0, again.output
    lines = (tmp_path / "run" / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["iteration"] for line in lines] == [1, 1]


REFUSED = [
    (["--awgn", "25"], "awgn"),
    (["--set", "mosaics.camera=Nikon"], "mosaics.camera: no line of Nikon"),
    (["--set", "mosaics.shot=0"], "mosaics.shot: 0 is not above 0"),
    (["--patch", "24"], "dualdn takes patches of multiples of 16 pixels, not 24"),
    (["--patch", "48"], "samples of 32, too small for patches of 48"),
    (
        ["--patch", "16", "--backbone", "swinir", "--set", "options.width=25"],
        "25 channels are no multiple of 4",
    ),
]


@pytest.mark.parametrize(("arguments", "line"), REFUSED)
def test_what_cannot_be_is_one_line(arguments, line, raws, tmp_path):
    command = ["train", "dualdn", "--data", raws.storage.url, "--out", str(tmp_path / "run")]
    done = CliRunner().invoke(main, [*command, "--device", "cpu", *arguments])
    assert done.exit_code == 2, done.output
    (last,) = [s for s in done.output.splitlines() if s.startswith("noisegen: ")]
    assert line in last


def test_data_without_mosaics_is_refused(corpus, photos, raws, tmp_path):
    with pytest.raises(CorpusMismatchError, match="srgb pictures has no mosaics; make one with"):
        open_mosaics(corpus.storage.url, noisy=False)
    with pytest.raises(MissingDataError, match="no corpus of mosaics there"):
        open_mosaics(str(photos), noisy=False)
    darker = make(tmp_path / "d.zarr", stage="raw", count=2, per_image=1, exposure_ratio=4.0,
                  amplify=False)  # fmt: skip
    with pytest.raises(InputError, match="got less light than the clean ones; draw noise anew"):
        open_mosaics(darker.storage.url, noisy=True)
    with pytest.raises(InputError, match="15 pixels cut the CFA; give an even --patch"):
        open_mosaics(raws.storage.url, noisy=False).check_patch(15)
    own = recipe.parse({"model": "dncnn", "iterations": 1, "mosaics": {}})
    with pytest.raises(RecipeError, match="mosaics: dncnn is trained on pictures"):
        Run(own, [(corpus.storage.url, 1.0)], tmp_path / "run", device="cpu").train()
