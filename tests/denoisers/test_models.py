"""How large the networks are, and the command that says it."""

import pytest
import torch
from click.testing import CliRunner
from torch import nn

import denoisers
from denoisers.complexity import macs, outline, parameters
from denoisers.models.adfnet import DCN, DILATIONS, DConv, KernelConvolution
from noisegen.cli import main
from tests.denoisers.conftest import Point

# ADFNet's specification, tables 4.1 and 4.2.

PARTS = {
    "rgb": {
        "head": 896,
        "tail": 867,
        "fe1.fe.0": 27_744,
        "fe1.fe.1": 122_040,
        "fe2.fe.0": 110_784,
        "fe2.fe.1": 281_976,
        "fe3.fe.0": 442_752,
        "fe3.fe.1": 546_424,
        "cfe.fe.0": 1_770_240,
        "cfe.fe.1": 1_923_320,
        "down1": 18_496,
        "down2": 73_856,
        "down3": 295_168,
        "up3": 1_179_776,
        "up2": 294_976,
        "up1": 73_760,
        "dfe3.fe.0": 445_060,
        "dfe3.fe.1": 474_428,
        "dfe2.fe.0": 111_940,
        "dfe2.fe.1": 283_132,
        "dfe1.fe.0": 28_324,
        "dfe1.fe.1": 122_620,
    },
    "gray": {"head": 320, "tail": 289},
    "rgb-large": {"head": 1_792, "tail": 1_731, "cfe.fe.1": 7_355_896, "dfe3.fe.1": 1_631_868},
}

TOTALS = {"rgb": 8_628_579, "real": 8_628_579, "gray": 8_627_425, "rgb-large": 32_765_667}

GIGAMACS = [
    ("rgb", (128, 128), 12.20, 2),
    ("rgb", (256, 256), 48.81, 2),
    ("rgb", (480, 320), 114.4, 1),
    ("gray", (256, 256), 48.73, 2),
    ("rgb-large", (128, 128), 39.49, 2),
    ("rgb-large", (256, 256), 158.0, 1),
]


def published(name, variant):
    page = denoisers.entry(name)
    options = page.check(page.variants[variant])
    return page, options, outline(page, options)


@pytest.mark.parametrize("variant", TOTALS)
def test_parameters_of_adfnet(variant):
    _, _, net = published("adfnet", variant)
    assert parameters(net) == TOTALS[variant]
    assert len(net.state_dict()) == 200
    for part, count in PARTS.get(variant, {}).items():
        assert parameters(net.get_submodule(part)) == count, part
    if variant == "rgb":
        assert sum(PARTS[variant].values()) == TOTALS[variant]


@pytest.mark.parametrize(("variant", "size", "giga", "digits"), GIGAMACS)
def test_multiply_adds_of_adfnet(variant, size, giga, digits):
    page, options, net = published("adfnet", variant)
    assert round(macs(net, *page.shapes(options, *size)) / 1e9, digits) == giga


def test_parameters_of_dncnn():
    # 20 convolutions of 64 channels, the first 3 -> 64, the last 64 -> 3, 18 batch norms.
    count = (27 * 64 + 64) + 18 * (576 * 64 + 64 + 128) + (576 * 3 + 3)
    assert parameters(published("dncnn", "rgb")[2]) == count


def by_hooks(net, picture):
    """Count by the shapes that modules see: what goes out, times what each value is made of."""
    total = 0

    def counted(module, inputs, output):
        nonlocal total
        if isinstance(module, nn.Conv1d | nn.Conv2d):
            total += output.numel() * module.weight[0].numel()
        elif isinstance(module, nn.ConvTranspose2d):
            total += inputs[0].numel() * module.weight[0].numel()
        elif isinstance(module, DCN):
            total += output.numel() * module.weight[0].numel()
        elif isinstance(module, DConv):
            total += 9 * output.numel() + 9 * output.numel() * output.shape[1]

    hooks = [m.register_forward_hook(counted) for m in net.modules()]
    with torch.no_grad():
        net(picture)
    for hook in hooks:
        hook.remove()
    # The kernels of MDCB are made by a convolution that is not called as a module.
    for i, scale in ((1, 1), (2, 2), (3, 4)):
        make = net.get_submodule(f"dfe{i}.fe.1.generate_kernel.3")
        assert isinstance(make, KernelConvolution)
        pixels = picture.shape[0] * (picture.shape[-2] // scale) * (picture.shape[-1] // scale)
        total += pixels * make.out_channels * (make.in_channels + len(DILATIONS))
    return total


def test_two_ways_of_counting():
    net = denoisers.create("adfnet", width=8).eval()
    assert macs(net, (2, 3, 16, 24)) == by_hooks(net, torch.rand(2, 3, 16, 24))


def run(*arguments):
    return CliRunner().invoke(main, ["models", *map(str, arguments)])


def test_the_list_names_every_published_net():
    done = run()
    assert done.exit_code == 0, done.output
    head, *rows = done.output.splitlines()
    assert head.split() == ["name", "variant", "parameters", "MACs", "at", "128x128"]
    found = {(r.split()[0], r.split()[1]): r.split()[2:5] for r in rows}
    pages, _ = denoisers.entries()
    assert set(found) == {(page.name, variant) for page in pages for variant in page.variants}
    assert found["adfnet", "rgb"] == ["8,628,579", "12.20", "G"]
    assert found["adfnet", "rgb-large"] == ["32,765,667", "39.49", "G"]


def test_a_broken_package_is_a_warning(offer):
    def fail():
        raise ImportError("no module named theirs")

    offer(Point("broken", fail))
    done = run("--size", 32)
    assert done.exit_code == 0
    assert "warning: model 'broken'" in done.stderr


def test_one_net_with_its_options():
    done = run("adfnet", "--size", 256)
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    assert lines[0] == "adfnet: Adaptive Dynamic Filtering Network"
    for name in denoisers.entry("adfnet").options.model_fields:
        assert any(line.split()[:1] == [name] for line in lines)
    (gray,) = [line for line in lines if line.startswith("gray")]
    assert gray.split() == ["gray", "channels", "=", "1", "8,627,425", "48.73", "G"]


def test_a_size_of_ones_own():
    done = run("adfnet", "--set", "width=64", "--set", "channels=1", "--size", 16)
    assert done.exit_code == 0, done.output
    net = denoisers.create("adfnet", width=64, channels=1)
    rest = "deformable_groups = 8, offset_channels = 32: "
    assert done.output.startswith(f"adfnet with channels = 1, width = 64, {rest}")
    assert f"{parameters(net):,} parameters" in done.output


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["adfent"], "unknown model 'adfent' (did you mean 'adfnet'?)"),
        (["adfnet", "--set", "widht=8"], "unknown key 'widht' (did you mean 'width'?)"),
        (["adfnet", "--size", "100"], "--size 100: adfnet takes sides of multiples of 8 pixels"),
        (["--set", "width=8"], "--set needs the NAME of a network"),
        (["adfnet", "--size", "0"], "0 is not in the range x>=1"),
    ],
)
def test_what_cannot_be_is_one_line(arguments, line):
    done = run(*arguments)
    assert done.exit_code == 2
    (only,) = done.output.splitlines()
    assert only.startswith("noisegen: ")
    assert line in only
