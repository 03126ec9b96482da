"""ONNX files: the same pictures, at any size, or one line."""

import json

import pytest
import torch
from click.testing import CliRunner

import denoisers
from denoisers import card as cards
from denoisers import export as exports
from denoisers.base import Denoiser
from noisegen.cli import main
from noisegen.errors import InputError, RunError

SMALL = {
    "adfnet": {"width": 8},
    "dncnn": {"depth": 3, "width": 4},
    "rffnet": {"width": 8, "widening": 4},
    "dvn": {"width": 8, "widening": 4},
    "dvn-recons": {"width": 8, "widening": 4},
}


def made(name, **options):
    """Return a network off its first weights, some of which are zero, and its card."""
    page = denoisers.entry(name)
    net = denoisers.create(name, **options).eval()
    draws = torch.Generator().manual_seed(1)
    for parameter in net.parameters():
        parameter.data += 0.03 * torch.randn(parameter.shape, generator=draws)
    chosen = page.check(options).model_dump()
    return net, cards.Card(model=name, options=chosen, licence="", origin="a test")


@pytest.fixture
def installed():
    for name in exports.NEEDED:
        pytest.importorskip(name, reason=f"{name} is not installed: pip install 'noisegen[onnx]'")


def restored(path, names, pictures):
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert tuple(given.name for given in session.get_inputs()) == names
    given = {n: p.numpy() for n, p in zip(names, pictures, strict=True)}
    return torch.from_numpy(session.run(None, given)[0])


def exported(name, tmp_path, **options):
    net, card = made(name, **options)
    weights, out = tmp_path / "a.safetensors", tmp_path / "a.onnx"
    cards.save(weights, net, card)
    done = CliRunner().invoke(main, ["export", str(weights), "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.onnx", "a.safetensors"]
    return net, card, out, done.output


def check(name, tmp_path, **options):
    """Compare pictures of sizes that the export itself did not try."""
    net, card, out, said = exported(name, tmp_path, **options)
    m, page = net.multiple, denoisers.entry(name)
    for size in ((8 * m, 5 * m), (3 * m, 14 * m)):
        shapes = page.shapes(page.check(card.options), *size)
        pictures = [torch.rand(shape) for shape in shapes]
        with torch.no_grad():
            expected = net(*pictures)
        assert (expected - pictures[0]).abs().max() > 0.01  # the network does something
        found = restored(out, page.inputs, pictures)
        torch.testing.assert_close(found, expected, rtol=0, atol=2e-5)
    return card, out, said


def test_dncnn(installed, tmp_path):
    import onnx

    card, out, said = check("dncnn", tmp_path, channels=1, **SMALL["dncnn"])
    assert "onnxruntime and torch differ by " in said
    model = onnx.load(out)
    assert {node.domain for node in model.graph.node} == {""}  # standard operations alone
    (kept,) = [p.value for p in model.metadata_props if p.key == "noisegen"]
    assert json.loads(kept) == json.loads(card.to_json())


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_adfnet(installed, tmp_path):
    import onnx

    _, out, said = check("adfnet", tmp_path, **SMALL["adfnet"])
    assert "adfnet, sides multiples of 8; " in said
    kinds = {node.op_type for node in onnx.load(out).graph.node}
    assert "GridSample" in kinds


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", ["rffnet", "dvn", "dvn-recons"])
def test_guided_networks(installed, tmp_path, name):
    import onnx

    _, out, _ = check(name, tmp_path, **SMALL[name])
    assert {node.domain for node in onnx.load(out).graph.node} == {""}


class Other(Denoiser):
    """Exports to something else than it does."""

    def forward(self, noisy):
        return noisy + (1 if torch.compiler.is_compiling() else 0)


class Refused(Denoiser):
    """Does one thing or another, which no graph tells."""

    def forward(self, noisy):
        return noisy * 2 if noisy.mean() > 0.5 else noisy


@pytest.mark.parametrize(
    ("network", "error", "line"),
    [
        (Other(), RunError, "dncnn: onnxruntime and torch differ by 1, more than 0.0001"),
        (Refused(), InputError, "dncnn cannot be exported to ONNX: "),
    ],
)
def test_what_is_not_the_same_is_not_kept(installed, tmp_path, network, error, line):
    _, card = made("dncnn", **SMALL["dncnn"])
    with pytest.raises(error, match=line) as caught:
        exports.export(network.eval(), card, tmp_path / "a.onnx")
    assert len(str(caught.value).splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_missing_packages_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(exports, "find_spec", lambda name: None if name != "onnx" else 1)
    net, card = made("dncnn", **SMALL["dncnn"])
    with pytest.raises(InputError, match=r"needs onnxruntime, onnxscript: .*noisegen\[onnx\]"):
        exports.export(net, card, tmp_path / "a.onnx")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["a.safetensors", "--out", "a.pt"], "name a file that ends in .onnx"),
        (["a.safetensors", "--out", "b.onnx"], "b.onnx is there already"),
        (["a.safetensors", "--out", "no/a.onnx"], "there is no folder no"),
        (["c.safetensors", "--out", "a.onnx"], "there is no file c.safetensors"),
    ],
)
def test_what_cannot_be_is_one_line(tmp_path, monkeypatch, arguments, line):
    monkeypatch.chdir(tmp_path)
    cards.save(tmp_path / "a.safetensors", *made("dncnn", **SMALL["dncnn"]))
    (tmp_path / "b.onnx").touch()
    done = CliRunner().invoke(main, ["export", *arguments])
    assert done.exit_code == 2
    (only,) = done.output.splitlines()
    assert line in only


def test_what_onnxruntime_does_not_run_is_not_kept(tmp_path, installed, monkeypatch):
    import onnxruntime

    class Broken:
        def __init__(self, *_, **__):
            raise RuntimeError("no kernel for DFT\nmore of it")

    monkeypatch.setattr(onnxruntime, "InferenceSession", Broken)
    net, card = made("dncnn", **SMALL["dncnn"])
    with pytest.raises(InputError, match=r"does not run it \(no kernel for DFT\); the file"):
        exports.export(net, card, tmp_path / "a.onnx")
    assert list(tmp_path.iterdir()) == []
