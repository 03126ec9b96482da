"""What a CPU computes and learns, a GPU does too; skipped where there is none."""

import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner

import denoisers
from denoisers import card as cards
from denoisers import presets
from denoisers.layers import deformable
from denoisers.training import recipe
from noisegen import neca
from noisegen.cli import main
from noisegen.random import counter
from tests.denoisers.test_operators import PAIRS, assert_near, derived
from tests.neca.conftest import randomised

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")

SMALL = [name for name in presets.names() if name.endswith("-small")]


@pytest.fixture(autouse=True)
def exact(monkeypatch):
    """Products in float32, not in tf32."""
    monkeypatch.setattr(torch.backends.cuda.matmul, "allow_tf32", False)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


@pytest.mark.parametrize("torchvision", [True, False])
@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 3e-6)])
def test_operators(pair, dtype, tolerance, torchvision, monkeypatch):
    if not torchvision:
        monkeypatch.setattr(deformable, "_torchvision", lambda device: None)
    fast, slow, make = PAIRS[pair]
    inputs = [t.to(dtype) for t in make()]
    found = derived(fast, [t.cuda() for t in inputs])
    assert all(t.is_cuda and t.dtype == dtype for t in found)
    assert_near([t.cpu() for t in found], derived(slow, inputs), tolerance)


@pytest.mark.parametrize("preset", SMALL)
def test_networks(preset):
    own = recipe.parse(presets.read(preset))
    page = denoisers.entry(own.model)
    options = page.check(own.options)
    net = denoisers.create(own.model, **own.options).eval()
    if own.mosaics:
        pytest.skip("its input is a mosaic and its shot; it trains below")
    guides = page.guide_channels(options)
    channels = getattr(options, "channels", 3)
    rng = torch.Generator().manual_seed(1)
    pictures = [
        torch.rand(2, n, 64, 64, generator=rng)
        for n in ([channels, guides] if guides else [channels])
    ]
    with torch.no_grad():
        here = net(*pictures)
        there = net.cuda()(*(p.cuda() for p in pictures))
    torch.testing.assert_close(there.cpu(), here, rtol=0, atol=1e-4)


def noisegen(*arguments):
    done = CliRunner().invoke(main, [str(a) for a in arguments])
    assert done.exit_code == 0, done.output + str(done.exception)
    return done.output


@pytest.mark.parametrize("name", SMALL)
def test_presets_learn(name, corpus, raws, guided, photos, tmp_path):
    own = recipe.parse(presets.read(name))
    page = denoisers.entry(own.model)
    guides = page.guide_channels(page.check(own.options))
    data = raws if own.mosaics else guided[guides] if guides else corpus
    more = []
    if own.model == "dvn":
        teacher = denoisers.create("dvn-recons", **own.options)
        options = denoisers.entry("dvn-recons").check(own.options).model_dump()
        cards.save(
            tmp_path / "t.safetensors", teacher, cards.Card(model="dvn-recons", options=options)
        )
        more = ["--teacher", tmp_path / "t.safetensors"]
    noisegen(
        "train", own.model, "--preset", name,
        "--data", data.storage.url if own.awgn is None else photos,
        "--iterations", 2, "--batch", 2, "--patch", 32,
        "--set", "validation.count=1", "--set", "validation.crop=32",
        "--device", "cuda", "--workers", 0, *more, "--out", tmp_path / "run",
    )  # fmt: skip
    net, card = cards.load(tmp_path / "run" / "last.safetensors")
    assert card.model == own.model
    assert all(torch.isfinite(p).all() for p in net.parameters())


def test_replayed_iterations_are_those_that_are_launched(corpus, tmp_path):
    losses = []
    for more in ([], ["--graph"]):
        out = tmp_path / f"run{len(more)}"
        noisegen(
            "train", "adfnet", "--preset", "adfnet-small", "--data", corpus.storage.url,
            "--iterations", 30, "--batch", 2, "--patch", 32, "--set", "precision=float32",
            "--set", "validation.count=1", "--set", "validation.crop=32",
            "--device", "cuda", "--workers", 0, *more, "--out", out,
        )  # fmt: skip
        lines = (out / "log.jsonl").read_text().splitlines()
        losses.append([found["loss"] for line in lines if "loss" in (found := json.loads(line))])
    # Sums of gradients go in any order on a GPU, and iterations carry that on.
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-3)


def test_neca_draws_the_same_noise():
    nets = neca.Neca(
        correlation=randomised(neca.CorrelationNet(width=4)),
        level=randomised(neca.LevelNet(width=8)),
        gain=randomised(neca.GainNet(width=8)),
    )
    picture = np.random.Generator(np.random.Philox(3)).integers(0, 256, (72, 104, 3), np.uint8)
    drawn = []
    for device in ("cpu", "cuda"):
        sampler = neca.Sampler(nets, device=device)
        gain = sampler.gain(picture)
        noisy = sampler.add_noise(picture, sampler.level_map(picture, gain), counter(0, 0, 1))
        drawn.append((gain, noisy.astype(int)))
    assert drawn[1][0] == pytest.approx(drawn[0][0], abs=1e-5)
    assert np.abs(drawn[1][1] - drawn[0][1]).max() <= 1
