"""The networks' options and laws; their published values are among the reference outputs."""

import pytest
import torch

from noisegen.errors import InputError
from noisegen.neca import CorrelationNet, GainNet, LevelNet
from tests.neca.conftest import randomised


def parameters(network):
    tensors = network.state_dict()
    return len(tensors), sum(t.numel() for t in tensors.values())


def test_the_published_sizes():
    assert parameters(GainNet()) == (10, 263_425)
    assert parameters(LevelNet()) == (10, 42_435)
    assert parameters(CorrelationNet()) == (30, 7_790_723)


@pytest.mark.parametrize(
    ("stages", "multiple", "halo"), [(2, 2, 10), (3, 4, 24), (4, 8, 48), (5, 16, 96)]
)
def test_all_numbers_of_stages_work_and_their_halo_holds_what_they_see(stages, multiple, halo):
    net = CorrelationNet(width=2, stages=stages, activation="leaky", final="linear")
    net = randomised(net).double()
    assert (net.multiple, net.halo) == (multiple, halo)
    edge = 2 * halo + 4 * multiple
    x = torch.randn(
        1, 3, edge, edge, dtype=torch.float64, generator=torch.Generator().manual_seed(1)
    )
    near = range(halo, halo + multiple)
    for y in (near[0], near[-1]):
        seen = x.clone().requires_grad_()
        net(seen)[0, 0, y, y].backward()
        rows = seen.grad.abs().sum((0, 1, 3)).nonzero()
        assert y - halo <= rows.min()
        assert rows.max() <= y + halo
    assert halo - 4 - 6 * (multiple - 1) in range(multiple)


@pytest.mark.parametrize(
    "options",
    [
        {"activation": "leaky"},
        {"padding": "reflect"},
        {"final": "sigmoid"},
        {"final": "exp"},
        {"final": "linear"},
    ],
)
def test_every_option_changes_what_comes_out(options):
    x = torch.randn(1, 3, 16, 24, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        plain = randomised(CorrelationNet(width=4))(x)
        changed = randomised(CorrelationNet(width=4, **options))(x)
    assert plain.shape == changed.shape == x.shape
    assert (plain - changed).abs().max() > 1e-3
    if "final" in options:
        inverse = {"sigmoid": torch.logit, "exp": torch.log, "linear": lambda t: t}[
            options["final"]
        ]
        assert torch.allclose(inverse(changed), torch.atanh(plain), atol=1e-4)


def test_reflection_reaches_all_convolutions_but_the_second():
    net = CorrelationNet(width=2, padding="reflect")
    modes = {
        name: module.padding_mode
        for name, module in net.named_modules()
        if isinstance(module, torch.nn.Conv2d) and module.kernel_size != (1, 1)
    }
    assert {name for name, mode in modes.items() if mode == "zeros"} == {"encoders.0.2"}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GainNet(depth=2), "GainNet depth: 2"),
        (lambda: GainNet(width=0), "GainNet width: 0"),
        (lambda: LevelNet(width="96"), "LevelNet width: '96'"),
        (lambda: CorrelationNet(stages=1), "stages: 1"),
        (lambda: CorrelationNet(stages=6), "stages: 6 is more than 5"),
        (lambda: CorrelationNet(activation="elu"), "activation: 'elu' is not one of relu, leaky"),
        (lambda: CorrelationNet(padding="same"), "padding: 'same' is not one of zeros, reflect"),
        (lambda: CorrelationNet(final="Tanh"), "final: 'Tanh' is not one of tanh"),
    ],
)
def test_wrong_options_are_named(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_sizes_off_the_multiple_are_refused():
    with pytest.raises(InputError, match="multiples of 8 pixels, found 16x12"):
        CorrelationNet(width=2)(torch.zeros(1, 3, 16, 12))
