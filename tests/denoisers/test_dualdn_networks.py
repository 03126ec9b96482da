"""DualDn, its backbones and the two networks beside it."""

import dataclasses

import pytest
import torch

import denoisers
from denoisers import published
from denoisers.backbones import FAMILIES
from denoisers.complexity import outline, parameters
from denoisers.export import export
from denoisers.models import dualdn
from denoisers.models.dualdn import Restored, Shot
from noisegen.errors import InputError, RecipeError

SMALL = {
    "restormer": {"width": 8, "blocks": (1, 1, 1, 1), "refinement": 1, "heads": (1, 1, 2, 2)},
    "swinir": {"width": 8, "depths": (2, 2), "heads": (2,)},
    "mirnet": {"width": 16, "mrb": 1},
}

PAGE = denoisers.entry("dualdn")

COUNTS = [
    # Specification, table 3.4.
    ({}, 53_048_212),
    ({"domain": "raw"}, 46_229_204),
    ({"domain": "srgb"}, 46_228_564),
    ({"backbone": "mirnet"}, 3_896_896),
    ({"backbone": "mirnet", "domain": "raw"}, 3_748_224),
    ({"backbone": "mirnet", "domain": "srgb"}, 3_747_584),
    ({"backbone": "swinir"}, 1_371_420),
    ({"backbone": "swinir", "domain": "raw"}, 1_337_580),
    ({"backbone": "swinir", "domain": "srgb"}, 1_336_980),
    ({"backbone": "swinir", "width": 180}, 11_793_060),
    ({"backbone": "swinir", "width": 180, "domain": "raw"}, 11_497_140),
    ({"backbone": "swinir", "width": 180, "domain": "srgb"}, 11_495_340),
]


def small(backbone="restormer", seed=0, **options):
    return denoisers.create("dualdn", seed=seed, backbone=backbone, **SMALL[backbone], **options)


def stirred(net):
    """Off the first weights, some of which are zero so that others have no effect yet."""
    draws = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter += 0.05 * torch.randn(parameter.shape, generator=draws)
    return net


def shot(batch=2, cfa="RGGB"):
    levels = torch.linspace(0.4, 1, batch)
    return Shot(
        0.01 * levels,
        1e-4 * levels,
        torch.tensor([2.1, 1.0, 1.5]).expand(batch, 3),
        torch.tensor([[0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.0, 0.2, 0.8]]).expand(batch, 3, 3),
        0.5 * levels,
        cfa,
    )


def mosaics(batch=2, height=32, width=48):
    return torch.rand((batch, 1, height, width), generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize(("options", "count"), COUNTS)
def test_parameters(options, count):
    assert parameters(outline(PAGE, PAGE.check(options))) == count


@pytest.mark.parametrize("backbone", FAMILIES)
@pytest.mark.parametrize("domain", ["dual", "raw", "srgb"])
def test_it_begins_as_the_isp_of_what_it_is_given(backbone, domain):
    net, y, told = small(backbone, domain=domain), mosaics(), shot()
    with torch.no_grad():
        restored = net(y, *told)
        assert torch.equal(restored.mosaic, y)
        assert torch.equal(restored.picture, net.develop(y, told))


@pytest.mark.parametrize("backbone", FAMILIES)
@pytest.mark.parametrize("domain", ["dual", "raw", "srgb"])
@pytest.mark.parametrize("noise_map", [None, False])
def test_gradients_reach_all_but_idle_parameters(backbone, domain, noise_map):
    net, y, told = small(backbone, domain=domain, noise_map=noise_map), mosaics(), shot()
    restored = stirred(net).eval()(y, *told)
    assert restored.mosaic.shape == y.shape
    assert restored.picture.shape == (2, 3, *y.shape[2:])
    (restored.mosaic.square().sum() + restored.picture.square().sum()).backward()
    with_map = noise_map is None
    idle = {
        "dual": {"conv_in1.weight", "conv_in2.weight"} if with_map else set(),
        "raw": {"conv_in.weight" if with_map else "nm_fuse.conv_out.weight"},
        "srgb": set(),
    }[domain]
    without = {n for n, p in net.named_parameters() if p.grad is None or not p.grad.any()}
    assert without == idle


def test_the_loss_of_the_picture_reaches_the_first_network():
    net, y, told = stirred(small()), mosaics(), shot()
    clean = y * 0.9
    found = dualdn.differences(net(y, *told), Restored(net.develop(clean, told), clean))
    assert found.mosaic.shape == found.picture.shape == (2,)
    found.picture.sum().backward()
    assert all(p.grad.any() for p in net.backbone1.parameters())
    whole = net(y, *told).picture - net.develop(clean, told)
    assert found.picture[1].item() == pytest.approx(whole[1].abs().mean().item(), rel=1e-6)


@pytest.mark.parametrize("backbone", FAMILIES)
def test_the_isp_stays_in_float32(backbone):
    net, y, told = stirred(small(backbone)).eval(), mosaics(), shot()
    with torch.no_grad():
        exact = net(y, *told)
        with torch.autocast("cpu", torch.bfloat16):
            rough = net(y, *told)
            developed = net.develop(rough.mosaic, told)
        assert rough.mosaic.dtype == rough.picture.dtype == torch.float32
        assert torch.equal(developed, net.develop(rough.mosaic, told))
    # bfloat16 keeps 8 bits of what is added to the mosaic.
    added = (exact.mosaic - y).abs().max()
    assert 0 < (rough.mosaic - exact.mosaic).abs().max() < 0.1 * added


@pytest.mark.parametrize("backbone", FAMILIES)
def test_blocks_computed_again_give_the_same_gradients(backbone):
    family = FAMILIES[backbone]
    net = stirred(family.make(**SMALL[backbone])).train()
    x = torch.rand(
        (2, SMALL[backbone]["width"], 16, 24), generator=torch.Generator().manual_seed(3)
    )
    gradients = []
    for recomputes in (False, True):
        net.recomputes = recomputes
        torch.manual_seed(4)  # SwinIR's stochastic depth
        net(x).square().sum().backward()
        gradients.append([p.grad.clone() for p in net.parameters()])
        net.zero_grad()
    for kept, again in zip(*gradients, strict=True):
        torch.testing.assert_close(again, kept, rtol=1e-5, atol=1e-6)


def test_stochastic_depth_keeps_the_mean():
    block = FAMILIES["swinir"].make(width=4, depths=(4,), heads=(1,)).layers[0].residual_group
    last = block.blocks[3]
    assert [b.drop for b in block.blocks] == pytest.approx([0, 0.1 / 3, 0.2 / 3, 0.1])
    torch.manual_seed(0)
    kept = last._kept(torch.ones(40_000, 1, 1, 1))
    assert kept.unique().tolist() == pytest.approx([0, 1 / 0.9])
    # Mean of n values of variance p / (1 - p): five standard errors.
    assert abs(kept.mean().item() - 1) < 5 * (0.1 / 0.9 / 40_000) ** 0.5
    last.eval()
    assert torch.equal(last._kept(torch.ones(9, 1, 1, 1)), torch.ones(9, 1, 1, 1))


@pytest.mark.parametrize("backbone", FAMILIES)
def test_sides_that_do_not_fit_are_refused(backbone):
    multiple = FAMILIES[backbone].make(**SMALL[backbone]).multiple
    net = small(backbone)
    with pytest.raises(InputError, match=f"multiples of {multiple}, found {multiple + 1}x16"):
        net(mosaics(height=2 * multiple + 2, width=32), *shot())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"backbone": "swinir", "width": 64}, "64 channels are no multiple of 6 heads; take 60 or"),
        ({"backbone": "swinir", "blocks": (1, 1, 1, 1)}, "blocks: swinir has no such option"),
        ({"backbone": "swinir", "bias": True}, "bias: swinir has no such option"),
        ({"backbone": "swinir", "heads": (2, 3)}, "heads: 2 numbers for 3 groups"),
        ({"backbone": "mirnet", "width": 20}, "width: .*multiple of 16"),
        ({"blocks": (1, 2)}, "blocks: four numbers are needed"),
        ({"heads": (1, 2, 4, 3)}, "heads: 3 do not divide the 512 channels of level 4"),
        ({"mrb": 2}, "mrb: restormer has no such option"),
        ({"backbone": "unet"}, "backbone: .*'restormer', 'swinir' or 'mirnet'"),
        ({"domain": "srgb", "noise_map": True}, "noise_map: there is none in domain srgb"),
        ({"demosaic": "menon"}, "demosaic: "),
        ({"blocks": "1,x"}, "blocks: "),
    ],
)
def test_options_that_do_not_fit_are_refused(options, said):
    with pytest.raises(RecipeError, match=said) as caught:
        denoisers.create("dualdn", **options)
    assert len(str(caught.value).splitlines()) == 1


def test_several_numbers_may_be_text():
    options = PAGE.check({"blocks": "1,1, 2,2", "width": 8})
    assert options.blocks == (1, 1, 2, 2)
    assert PAGE.check(options.model_dump(mode="json")) == options


def buffers(state):
    """What published files of SwinIR hold beside the weights."""
    out = dict(state)
    for name in state:
        if name.endswith("relative_position_bias_table"):
            block = name.removesuffix(".attn.relative_position_bias_table")
            out[f"{block}.attn.relative_position_index"] = torch.zeros(64, 64, dtype=torch.int64)
            if int(block.rpartition(".")[2]) % 2:
                out[f"{block}.attn_mask"] = torch.zeros(4, 64, 64)
    return out


@pytest.mark.parametrize("backbone", FAMILIES)
@pytest.mark.parametrize("domain", ["dual", "raw", "srgb"])
def test_published_files_are_recognised(backbone, domain, tmp_path):
    net = stirred(small(backbone, domain=domain, ends_bias=True))
    state = buffers(net.state_dict())
    torch.save({"params": {f"module.{n}": t for n, t in state.items()}}, tmp_path / "net.pth")
    loaded, card = published.load(tmp_path / "net.pth")
    assert (card.model, card.options["backbone"], card.options["domain"]) == (
        "dualdn",
        backbone,
        domain,
    )
    assert "NC" in card.licence
    y, told = mosaics(), shot()
    with torch.no_grad():
        for ours, theirs in zip(net.eval()(y, *told), loaded(y, *told), strict=True):
            assert torch.equal(ours, theirs)


@pytest.mark.parametrize(
    "options",
    [
        {"bias": True, "norm": "with-bias", "fusion_bias": True},
        {"expansion": 2.0, "noise_map": False},
        {"backbone": "mirnet", "bias": True},
        {"backbone": "swinir", "heads": (2, 4), "ratio": 3},
    ],
)
def test_options_follow_from_shapes(options):
    backbone = options.get("backbone", "restormer")
    wanted = PAGE.check(SMALL[backbone] | options)
    shapes = {n: tuple(t.shape) for n, t in PAGE.make(wanted).state_dict().items()}
    found = PAGE.check(PAGE.infer(shapes))
    assert PAGE.make(found).state_dict().keys() == shapes.keys()
    if "expansion" in options:  # any factor between makes the same channels
        assert found.expansion == pytest.approx(2.0, abs=1 / (8 * SMALL[backbone]["width"]))
        found = found.model_copy(update={"expansion": 2.0})
    assert found == wanted


def test_a_published_backbone_is_named_by_its_options():
    assert PAGE.variants_of(PAGE.check({})) == ("restormer", "big")
    assert PAGE.variants_of(PAGE.check({"backbone": "swinir"})) == ("swinir",)
    assert PAGE.variants_of(PAGE.check({"width": 48})) == ()


@pytest.mark.parametrize("cfa", ["RGGB", "BGGR", "GRBG", "GBRG"])
def test_any_phase_is_developed(cfa):
    net = stirred(small()).eval()
    restored = net(mosaics(), *shot(cfa=cfa))
    assert restored.picture.isfinite().all()
    assert torch.equal(restored.mosaic, net(mosaics(), *shot()).mosaic)


def test_the_isp_may_be_changed_after_training():
    net, y, told = small(), mosaics(), shot()
    before = net(y, *told).picture
    net.isp = dataclasses.replace(net.isp, gamma="2.2", demosaic="bilinear")
    assert not torch.equal(net(y, *told).picture, before)


def test_it_is_not_exported(tmp_path):
    card = denoisers.card.Card(model="dualdn", options=PAGE.check(SMALL["restormer"]).model_dump())
    with pytest.raises(InputError, match=r"dualdn takes numbers beside pictures \(raw_noisy, shot"):
        export(small(), card, tmp_path / "net.onnx")
    assert isinstance(small()(mosaics(), *shot()), Restored)
