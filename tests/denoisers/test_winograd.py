"""Winograd's way is torch's convolution, and networks that take it are their plain layers."""

import pytest
import torch
from torch import nn

import denoisers
from benchmarks.plain_guided import plain_layers
from denoisers.layers import winograd
from denoisers.layers.winograd import Convolution, pays


def drawn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def always(monkeypatch):
    """Take Winograd's way for few channels and pixels too."""
    monkeypatch.setattr(winograd, "LEAST", 1)
    monkeypatch.setattr(winograd, "PIXELS", 1)


@pytest.fixture(params=[1, 2])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("around", ["zeros", "replicate"])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("size", [(1, 1), (3, 9), (53, 50)])
def test_it_is_torch_s_convolution(around, bias, size, always, threads):
    torch.manual_seed(0)
    layer = Convolution(7, 5, 3, padding=1, bias=bias, padding_mode=around)
    x = drawn(2, 7, *size)
    with torch.no_grad():
        assert pays(x, layer.weight)
        found = layer(x)
        right = nn.Conv2d.forward(layer.double(), x.double())
    torch.testing.assert_close(found.double(), right, rtol=0, atol=3e-6 * float(right.abs().max()))


@pytest.mark.parametrize(
    "settings",
    [
        {"kernel_size": 1},
        {"kernel_size": 3, "padding": 2, "dilation": 2},
        {"kernel_size": 3, "padding": 1, "stride": 2},
        {"kernel_size": 3, "padding": 1, "groups": 2},
        {"kernel_size": 3, "padding": 1, "padding_mode": "reflect"},
        {"kernel_size": 3},
    ],
)
def test_other_convolutions_are_torch_s_own(settings, always):
    layer, x = Convolution(4, 6, **settings), drawn(1, 4, 9, 8)
    with torch.no_grad():
        assert torch.equal(layer(x), nn.Conv2d.forward(layer, x))


def test_it_is_not_taken_where_it_is_not_the_same(always):
    x, weight = drawn(1, 4, 9, 8), drawn(4, 4, 3, 3)
    assert not pays(x, weight), "gradients are wanted"
    with torch.no_grad():
        assert pays(x, weight)
        assert not pays(x.double(), weight.double())
        assert not pays(x.to("meta"), weight)
        with torch.autocast("cpu", torch.bfloat16):
            assert not pays(x, weight)


@pytest.mark.parametrize("name", ["rffnet", "r2rnet"])
def test_networks_are_their_plain_layers(name, always):
    options = {"width": 8, "widening": 4} if name == "rffnet" else {"width": 6}
    net = denoisers.create(name, **options).eval()
    page = denoisers.entry(name)
    shapes = page.shapes(page.check(options), 32, 64)
    inputs = [
        torch.rand((2, *shape[1:]), generator=torch.Generator().manual_seed(1)) for shape in shapes
    ]
    for p in net.parameters():
        p.data.mul_(1.5)  # away from where they begin, so that all layers are seen
    with torch.no_grad():
        found = net(*inputs)
        with plain_layers():
            right = net.double()(*(t.double() for t in inputs))
    torch.testing.assert_close(found.double(), right, rtol=0, atol=1e-5 * float(right.abs().max()))
