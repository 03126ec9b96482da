"""Weights of others: recognised by their names, loaded strictly, refused with a reason."""

import dataclasses
import json
import pickle
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import denoisers
from denoisers import published
from noisegen.errors import MissingDataError, UnreadableFileError, WeightsError

GOLDEN = Path(__file__).parents[1] / "golden"

OFFSETS = {"deformable_groups": 8, "offset_channels": 32}

RFF = {"width": 64, "widening": 32}

DVN = {"channels": 3, "guide_channels": 1, "width": 80, "widening": 48, "reduction": 4}

SHARED = {
    "rffnet": {r".*\.body\.1\.weight": "stage2_decoder.decoder_level3.body.1.weight"},
    "dvn": {
        r"structure_nir\.(ff_.*\.1|.*feats_cal\.1)\.weight": (
            "structure_nir.csff_1.conv_2.feats_cal.1.weight"
        ),
        r"structure_rgb\.(ff_.*\.1|.*feats_cal\.1)\.weight": (
            "structure_rgb.csff_1.conv_2.feats_cal.1.weight"
        ),
        r"[^s].*feats_cal\.1\.weight": "rgb_decoder.decoder_level3.feats_cal.1.weight",
        r"shallow.*feats_cal\.1\.weight": "rgb_decoder.decoder_level3.feats_cal.1.weight",
    },
    "dvn-recons": {r".*feats_cal\.1\.weight": "rgb_decoder.decoder_level3.feats_cal.1.weight"},
}
"""Names that a published net keeps one tensor under, and the copy in a file that counts."""

PUBLISHED = [
    ("adfnet_rgb", "adfnet", {"channels": 3, "width": 32} | OFFSETS, ("rgb", "real")),
    ("adfnet_real", "adfnet", {"channels": 3, "width": 32} | OFFSETS, ("rgb", "real")),
    ("adfnet_gray", "adfnet", {"channels": 1, "width": 32} | OFFSETS, ("gray",)),
    ("adfnet_rgb_large", "adfnet", {"channels": 3, "width": 64} | OFFSETS, ("rgb-large",)),
    (
        "neca_dncnn",
        "dncnn",
        {"channels": 3, "width": 64, "depth": 20, "batch_norm": True},
        ("rgb",),
    ),
    ("rffnet_nir", "rffnet", {"channels": 3, "guide_channels": 1} | RFF, ("nir",)),
    ("rffnet_flash", "rffnet", {"channels": 3, "guide_channels": 3} | RFF, ("flash",)),
    (
        "rffnet_s_flash",
        "rffnet",
        {"channels": 3, "guide_channels": 3, "width": 32, "widening": 12},
        ("s-flash",),
    ),
    ("dvn_fusion", "dvn", DVN, ("fusion",)),
    ("dvn_ae", "dvn-recons", DVN, ("recons",)),
]


def published_state(name):
    """A state dict of the published names and shapes."""
    keys = json.loads((GOLDEN / f"{name}.keys.json").read_text())
    draws = torch.Generator().manual_seed(3)
    return {n: 0.1 * torch.randn(shape, generator=draws) for n, shape in keys.items()}


@pytest.fixture(scope="module")
def state():
    return denoisers.create("adfnet", width=8).state_dict()


def small(**options):
    return denoisers.create("dncnn", **({"depth": 3, "width": 4} | options)).state_dict()


@pytest.mark.parametrize(("keys", "model", "options", "variants"), PUBLISHED)
def test_published_names_are_recognised(keys, model, options, variants):
    weights = published_state(keys)
    net, card = published.load(weights)
    assert (card.model, card.options, card.variants) == (model, options, variants)
    assert card.licence == denoisers.entry(model).licence
    assert not net.training
    loaded = net.state_dict()
    assert set(loaded) == set(weights)
    for name in weights:
        last = [to for shared, to in SHARED.get(model, {}).items() if re.fullmatch(shared, name)]
        tensor = weights[last[0] if last else name]
        assert torch.equal(loaded[name], tensor.to(loaded[name].dtype)), name


def test_what_follows_from_the_architecture_is_passed_over():
    weights = published_state("dvn_ae")
    kernels = {
        f"{side}_edge_{level}.0.kernel_{axis}": torch.ones(channels, 1, 3, 3)
        for side in ("rgb", "nir")
        for level, channels in enumerate((80, 128, 176), 1)
        for axis in "xy"
    }
    net, card = published.load(weights | kernels)
    assert card.model == "dvn-recons"
    assert sum(t.numel() for t in (weights | kernels).values()) - 13 - 13_824 == sum(
        p.numel() for p in net.parameters()
    )
    with pytest.raises(WeightsError, match="1 unexpected"):
        published.load(weights | {"rgb_edge_4.0.kernel_x": torch.ones(1)})


@pytest.mark.parametrize("name", denoisers.names())
def test_every_variant_is_recognised_as_itself(name):
    page = denoisers.entry(name)
    for variant, options in page.variants.items():
        with torch.device("meta"):
            shapes = {
                n: tuple(t.shape) for n, t in page.make(page.check(options)).state_dict().items()
            }
        found, inferred = published.recognise(shapes, "x")
        assert found.name == name
        assert variant in found.variants_of(inferred)


@pytest.mark.parametrize(
    "options",
    [{"batch_norm": False}, {"channels": 1, "depth": 7, "width": 5}, {"depth": 2}],
)
def test_options_of_a_dncnn_follow_from_its_shapes(options):
    weights = small(**options)
    if options.get("depth") == 2:
        options = options | {"batch_norm": False}
    _, card = published.load(weights)
    assert card.options == {"channels": 3, "width": 4, "depth": 3, "batch_norm": True} | options


@pytest.mark.parametrize(
    "wrap",
    [
        lambda s: s,
        lambda s: {"params": s},
        lambda s: {"model": s, "iteration": 7},
        lambda s: {"epoch": 3, "model_state_dict": s, "lr": 0.1},
        lambda s: {
            "state_dict": {f"module.{n}": t for n, t in s.items()},
            "optimizer": {
                "state": {0: {"step": torch.tensor(1.0)}},
                "param_groups": [{"lr": 1e-4}],
            },
        },
        lambda s: {f"_orig_mod.module.{n}": t for n, t in s.items()},
        lambda s: s | {"total_ops": torch.zeros(1), "head.total_params": torch.zeros(1)},
        lambda s: {n: t.double() for n, t in s.items()},
    ],
)
@pytest.mark.parametrize("file", [False, True])
def test_wrappings(wrap, file, state, tmp_path):
    source = wrap(dict(state))
    if file:
        torch.save(source, tmp_path / "weights.pth")
        source = tmp_path / "weights.pth"
    net, card = published.load(source)
    assert card.model == "adfnet"
    assert card.origin == ("weights.pth" if file else "")
    for name, tensor in net.state_dict().items():
        assert torch.equal(tensor, state[name])


def test_safetensors_which_sort_their_names(tmp_path):
    dncnn = {"channels": 1, "width": 4, "depth": 9, "batch_norm": True}
    narrow = {"channels": 3, "width": 16, "deformable_groups": 2, "offset_channels": 5}
    adfnet = denoisers.create("adfnet", **narrow).state_dict()
    for weights, options in ((adfnet, narrow), (small(**dncnn), dncnn)):
        save_file(weights, tmp_path / "weights.safetensors")
        _, card = published.load(tmp_path / "weights.safetensors")
        assert card.options == options


def test_a_variant_can_be_named():
    weights = published_state("adfnet_real")
    assert published.load(weights, variant="real")[1].variants == ("real",)
    with pytest.raises(WeightsError, match=r"not variant 'raal' \(did you mean 'real'\?\)"):
        published.load(weights, variant="raal")
    with pytest.raises(WeightsError, match=r"are those of rgb, real$"):
        published.load(weights, variant="gray")
    with pytest.raises(WeightsError, match=r"are those of no published net$"):
        published.load(small(), variant="rgb")


def test_several_sets_need_a_key(state):
    other = {name: tensor + 1 for name, tensor in state.items()}
    content = {"params": state, "params_ema": other, "iter": 1}
    with pytest.raises(WeightsError, match=r"\(params, params_ema\); say which with key="):
        published.load(content)
    net, _ = published.load(content, key="params_ema")
    assert torch.equal(net.state_dict()["head.bias"], other["head.bias"])
    with pytest.raises(WeightsError, match="no weights under 'ema'; there are: params, params_ema"):
        published.load(content, key="ema")
    with pytest.raises(WeightsError, match="no weights under 'params'; there are: none"):
        published.load(state, key="params")


def test_names_of_two_models_are_ambiguous(monkeypatch):
    own, weights = denoisers.entry("dncnn"), small()
    other = dataclasses.replace(own, name="lookalike")
    monkeypatch.setattr(denoisers, "entries", lambda: ([own, other], []))
    with pytest.raises(WeightsError, match="those of dncnn or lookalike; say which with model="):
        published.load(weights)
    assert published.load(weights, model="dncnn")[1].model == "dncnn"


def renamed(state, old, new):
    return {n.replace(old, new): t for n, t in state.items()}


def without(state, *names):
    return {n: t for n, t in state.items() if n not in names}


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda s: without(s, "tail.bias"), r"1 missing \(tail\.bias\)$"),
        (
            lambda s: {n: t for n, t in s.items() if not n.startswith("cfe")},
            r"24 missing \(cfe\.fe\.0\.conv1\.weight, cfe\.fe\.0\.conv1\.bias, \S+, …\)$",
        ),
        (lambda s: s | {"more": torch.zeros(2)}, r"1 unexpected \(more\)$"),
        (
            lambda s: renamed(s, "tail.", "end."),
            r"2 missing \(tail\.weight, tail\.bias\); 2 unexpected \(end\.weight, end\.bias\)$",
        ),
        (
            lambda s: s | {"tail.weight": torch.zeros(3, 9, 3, 3)},
            r"1 of another shape \(tail\.weight is 3x9x3x3, not 3x8x3x3\)$",
        ),
        (
            lambda s: s | {"tail.bias": torch.tensor([1, float("nan"), 0])},
            r"1 not finite \(tail\.bias\)$",
        ),
        (lambda s: without(s, "head.weight"), r"those of adfnet, but without head\.weight"),
        (
            lambda s: s | {"head.weight": torch.zeros(8, 4, 3, 3)},
            r"those of adfnet, but .*channels.* \(found 4\)",
        ),
        (
            lambda s: s | {"head.weight": torch.zeros(8)},
            r"those of adfnet, but head\.weight has 1 dimensions",
        ),
        (lambda s: renamed(s, "fe", "x"), r"names such as .* are of no network known here"),
        (lambda s: {"state_dict": {}}, r"no weights in it \(it holds state_dict\)"),
        (lambda s: {}, r"no weights in it \(it holds nothing\)"),
        (lambda s: s | {"epoch": 3}, r"no weights in it \(it holds head"),
        (lambda s: {"x.total_ops": torch.zeros(1)}, r"no weights in it"),
        (lambda s: s | {"module.tail.bias": s["tail.bias"]}, r"tail\.bias is there twice"),
    ],
)
def test_what_does_not_fit_is_named(spoil, said, state):
    with pytest.raises(WeightsError, match=said) as caught:
        published.load(spoil(dict(state)))
    assert len(str(caught.value).splitlines()) == 1
    assert len(str(caught.value)) < 400


def test_a_net_that_gives_other_channels_than_it_takes_is_no_dncnn():
    weights = small() | {"model.0.weight": torch.zeros(4, 5, 3, 3)}
    with pytest.raises(WeightsError, match="takes 5 channels and gives 3"):
        published.load(weights)


class Program:
    def __reduce__(self):
        return (print, ("run",))


def test_files_that_are_no_weights(tmp_path, capsys):
    path = tmp_path / "weights.pth"
    with pytest.raises(MissingDataError, match=f"there is no file {re.escape(str(path))}"):
        published.load(path)
    torch.save([torch.zeros(2)], path)
    with pytest.raises(WeightsError, match="a list, not a state dict"):
        published.load(path)
    for content in (b"", b"weights", pickle.dumps(Program()), path.read_bytes()[:200]):
        path.write_bytes(content)
        with pytest.raises(UnreadableFileError) as caught:
            published.load(path)
        assert str(path) in str(caught.value)
        assert len(str(caught.value).splitlines()) == 1
    torch.save({"params": Program()}, path)
    with pytest.raises(UnreadableFileError, match="may be a program: it is not run") as caught:
        published.load(path)
    assert "`weights_only`" not in str(caught.value)  # torch says how to run it
    assert capsys.readouterr().out == ""
    (tmp_path / "weights.safetensors").write_bytes(b"no safetensors")
    with pytest.raises(UnreadableFileError, match="cannot read"):
        published.load(tmp_path / "weights.safetensors")
