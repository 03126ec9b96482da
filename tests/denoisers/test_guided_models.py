"""RFFNet, DVN and what they are made of: sizes, fast ways that are the slow ones, any picture."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import conv2d, gelu, interpolate

import denoisers
from denoisers import losses
from denoisers.complexity import macs, outline, parameters
from denoisers.inference.chop import chop
from denoisers.inference.ensemble import self_ensemble
from denoisers.inference.grid import Grid
from denoisers.inference.padding import padded
from denoisers.inference.tiles import tiled
from denoisers.layers import frequency
from denoisers.layers.resize import doubled, halved
from denoisers.layers.stochastic import dropped_path
from denoisers.models import dvn, dvn_recons
from denoisers.vgg import VGG16, perceptual
from noisegen.errors import InputError, WeightsError

# The specification's tables 1 and 2: parameters, and 10^9 multiply-adds at 128x128 to a digit.
SIZES = [
    ("rffnet", "nir", 4_666_312, 20.90, 2, 179),
    ("rffnet", "flash", 4_667_464, 20.92, 2, 179),
    ("rffnet", "s-flash", 1_037_104, 4.99, 2, 179),
    ("dvn", "fusion", 6_966_403, 51.8, 1, 163),
    ("dvn-recons", "recons", 4_759_425, 19.1, 1, 86),
]

SMALL = {"width": 8, "widening": 4}

GUIDED = ("rffnet", "dvn")


@pytest.mark.parametrize(("name", "variant", "count", "giga", "digits", "names"), SIZES)
def test_sizes_are_those_published(name, variant, count, giga, digits, names):
    page = denoisers.entry(name)
    options = page.check(page.variants[variant])
    net = outline(page, options)
    assert parameters(net) == count
    assert len(net.state_dict()) == names
    assert round(macs(net, *page.shapes(options, 128, 128)) / 1e9, digits) == giga


def ffn(channels=4, hidden=6, height=24, width=16, dtype=torch.float64, samples=2, seed=1):
    draws = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(shape, generator=draws, dtype=torch.float64).to(dtype)

    return [
        draw(samples, channels, height, width),
        draw(2 * hidden, channels, 1, 1),
        draw(2 * hidden, 1, 1, 8, 5),
        draw(2 * hidden, 1, 3, 3),
        draw(channels, hidden, 1, 1),
    ]


def plain_ffn(x, project_in, table, dwconv, project_out):
    """As the specification says it."""
    t = frequency.by_fft(x, project_in, table)
    first, second = conv2d(t, dwconv, padding=1, groups=len(dwconv)).chunk(2, 1)
    return conv2d(gelu(first) * second, project_out)


def near(found, expected, tolerance):
    atol = tolerance * float(expected.abs().max())
    torch.testing.assert_close(found, expected, rtol=0, atol=atol)


@given(
    rows=st.integers(1, 5),
    columns=st.integers(1, 3),
    samples=st.integers(1, 3),
    cached=st.sampled_from([1, 3000, 1 << 20]),
)
@settings(max_examples=25)
def test_frequency_ffn_by_bands_is_the_plain_one(rows, columns, samples, cached):
    inputs = ffn(height=8 * rows, width=8 * columns, samples=samples)
    with torch.no_grad(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(frequency, "CACHED", cached)
        near(frequency.frequency_ffn(*inputs), plain_ffn(*inputs), 1e-13)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-13), (torch.float32, 2e-6)])
def test_frequency_ffn_has_the_plain_gradients(dtype, tolerance):
    found, expected = [], []
    for operator, out in ((frequency.frequency_ffn, found), (plain_ffn, expected)):
        leaves = [t.requires_grad_() for t in ffn(dtype=dtype)]
        made = operator(*leaves)
        out += [made.detach(), *torch.autograd.grad(made.square().sum(), leaves)]
    for one, other in zip(found, expected, strict=True):
        near(one, other, tolerance)


def test_frequency_ffn_under_autocast_filters_in_float32():
    inputs = ffn(dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        made = frequency.expanded(*inputs[:3])
    assert made.dtype == torch.bfloat16
    near(made.float(), frequency.by_fft(*inputs[:3]), 2**-8)


def test_the_basis_is_orthonormal():
    basis = torch.from_numpy(frequency.fourier_basis())
    torch.testing.assert_close(
        basis @ basis.t(), torch.eye(64, dtype=torch.float64), atol=1e-14, rtol=0
    )


@pytest.mark.parametrize("name", GUIDED)
def test_with_and_without_gradients_alike(name):
    net = denoisers.create(name, **SMALL).eval()
    pair = torch.rand(2, 3, 64, 32), torch.rand(2, 1, 64, 32)
    with torch.no_grad():
        fast = net(*pair)
    near(fast, net(*pair).detach(), 1e-6)


@pytest.mark.parametrize("name", GUIDED)
def test_training_gives_more_than_the_picture(name):
    net = denoisers.create(name, **SMALL)
    pair = torch.rand(1, 3, 32, 32), torch.rand(1, 1, 32, 32)
    made = net.train()(*pair)
    assert made._fields[0] == "final"
    assert made.final.shape == made.denoised.shape == pair[0].shape
    assert isinstance(net.eval()(*pair), torch.Tensor)


@pytest.mark.parametrize("name", GUIDED)
@pytest.mark.parametrize(
    "cut",
    [
        lambda run: run,
        self_ensemble,
        lambda run: tiled(run, 48, 12),
        lambda run: chop(run, 2500),
        lambda run: Grid(40, 32, 8, 8)(run),
    ],
)
def test_any_size_goes_through_with_its_guide(name, cut):
    net = denoisers.create(name, **SMALL).eval()
    noisy, guide = torch.rand(1, 3, 53, 75), torch.rand(1, 1, 53, 75)
    with torch.no_grad():
        restored = cut(padded(net, net.multiple))(noisy, guide)
    assert restored.shape == noisy.shape
    assert restored.isfinite().all()


def test_a_guide_is_cut_and_turned_as_its_picture():
    # A picture plus its negative is nothing, if both lie alike.
    picture = torch.rand(1, 1, 100, 130)
    for cut in (self_ensemble, lambda run: tiled(run, 48, 12), lambda run: chop(run, 5000)):
        out = cut(padded(lambda a, b: a + b, 16))(picture, -picture)
        assert out.abs().max() < 1e-6


def test_tiles_average_what_they_share():
    grid = Grid(32, 48, 8, 12)
    picture = torch.rand(1, 2, 100, 130)
    torch.testing.assert_close(grid(lambda x: x)(picture), picture)
    numbers = iter(range(1000))
    out = grid(lambda x: torch.full_like(x, next(numbers)))(picture)
    boxes = grid.boxes(100, 130)
    total, times = torch.zeros(100, 130), torch.zeros(100, 130)
    for number, box in enumerate(boxes):
        box.of(total).add_(number)
        box.of(times).add_(1)
    torch.testing.assert_close(out[0, 0], total / times)
    assert times.min() == 1
    # The published frame: 20 tiles of RFFNet, 25 of DVN of which 20 differ.
    assert len(Grid(512, 768, 128, 192).boxes(1520, 2688)) == 20
    of_dvn = Grid(480, 800, 120, 200).boxes(1520, 2688)
    assert (len(of_dvn), len(set(of_dvn))) == (25, 20)


@pytest.mark.parametrize(
    ("name", "size", "line"),
    [
        ("rffnet", (32, 48), "RFFNet takes sides that are multiples of 32, found 32x48"),
        ("dvn", (6, 8), "DVN takes sides that are multiples of 4, found 6x8"),
        ("dvn-recons", (4, 16), "pictures of at least 8x8 pixels, found 4x16"),
    ],
)
def test_sides_that_are_not_taken(name, size, line):
    net = denoisers.create(name, **SMALL)
    with pytest.raises(InputError, match=line):
        net(torch.rand(1, 3, *size), torch.rand(1, 1, *size))


def test_resizing_is_bilinear():
    x = torch.rand(2, 3, 8, 12)
    half = interpolate(x, scale_factor=0.5, mode="bilinear", align_corners=False)
    torch.testing.assert_close(halved(x), half)
    torch.testing.assert_close(halved(doubled(torch.ones(1, 1, 4, 4))), torch.ones(1, 1, 4, 4))


def test_dropped_paths_keep_their_mean():
    torch.manual_seed(5)
    n, share = 40_000, 0.1
    kept = dropped_path(torch.ones(n, 1, 2, 2), share)
    assert kept.unique().tolist() == [0, pytest.approx(1 / 0.9)]
    assert (kept == kept[:, :1, :1, :1]).all()  # whole samples
    # Standard deviation of the mean sqrt(0.1 / 0.9 / n) = 0.0017; five of them: 1 in 1.7 million.
    assert abs(float(kept.mean()) - 1) < 5 * (share / (1 - share) / n) ** 0.5


def test_structures_agree_or_not():
    zero, one = torch.zeros(1), torch.ones(1)
    found = [float(dvn.agreement(r, n)) for r in (zero, one) for n in (zero, one)]
    assert found == [0.5, 0, 0, 1]


def test_edges_are_sobels():
    d = torch.rand(2, 3, 9, 7, dtype=torch.float64)
    kernel = torch.tensor([[-1.0, -2, -1], [0, 0, 0], [1, 2, 1]], dtype=torch.float64)
    mirrored = torch.nn.functional.pad(d, (1, 1, 1, 1), "reflect")
    both = [conv2d(mirrored, k.expand(3, 1, 3, 3), groups=3).abs() for k in (kernel, kernel.t())]
    torch.testing.assert_close(dvn_recons.edge_strength(d), sum(both))
    flat = dvn_recons.structure(torch.full((1, 2, 4, 4), 0.25))
    assert (flat == 0.5).all()


def test_losses_are_least_for_equal_pictures():
    x, y = torch.rand(2, 2, 3, 16, 24)
    for loss in (losses.charbonnier, losses.fourier_charbonnier, losses.edge):
        assert loss(x, x).tolist() == pytest.approx([1e-3] * 2)
        assert (loss(x, y) > loss(x, x)).all()
    assert losses.decibels(x, x).tolist() == pytest.approx([-80] * 2)
    assert float(losses.dice(x, x)) == pytest.approx(1)
    assert losses.dice(x, y) > 1
    with torch.autocast("cpu", torch.bfloat16):
        assert losses.charbonnier(x.bfloat16(), y).dtype == torch.float32


def test_vgg_takes_torchvisions_names_and_no_others():
    state = {
        f"features.{n}.{part}": torch.rand(shape) - 0.5
        for n, (outputs, inputs) in {0: (64, 3), 2: (64, 64), 5: (128, 64)}.items()
        for part, shape in (("weight", (outputs, inputs, 3, 3)), ("bias", (outputs,)))
    }
    state["classifier.0.weight"] = torch.rand(4)
    before = torch.get_rng_state()
    network = VGG16((3, 5), state)
    assert torch.equal(torch.get_rng_state(), before)
    x = torch.rand(1, 3, 16, 16)
    assert [tuple(t.shape) for t in network(x)] == [(1, 64, 16, 16), (1, 128, 8, 8)]
    assert float(perceptual(network, x, x)) == 0
    assert not any(p.requires_grad for p in network.parameters())
    with pytest.raises(WeightsError, match=r"features\.7\.weight of shape .*found none"):
        VGG16((8,), state)
    with pytest.raises(WeightsError, match=r"features\.0\.bias of shape \(64,\), found \(3,\)"):
        VGG16((3,), state | {"features.0.bias": torch.rand(3)})
