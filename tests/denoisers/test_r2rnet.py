"""R2RNet: sizes, strips, transforms, weights in parts, refusals."""

import pytest
import torch

import denoisers
from denoisers import presets, published
from denoisers.complexity import macs, outline, parameters
from denoisers.layers import strips
from denoisers.layers.strips import in_strips
from denoisers.models.r2rnet import PHASES, R2RNet, loss
from denoisers.r2rnet import losses
from denoisers.r2rnet.decom import LEAST, REACH, guess
from denoisers.r2rnet.layers import ComplexConv, Replicate, Transform, draw, leaky
from noisegen.errors import InputError, MissingDataError, WeightsError

PAGE = denoisers.entry("r2rnet")


def small(seed=0, **options):
    return denoisers.create("r2rnet", seed=seed, width=4, **options).eval()


def pictures(batch=2, height=24, width=40, seed=1):
    draws = torch.Generator().manual_seed(seed)
    return torch.rand((batch, 3, height, width), generator=draws)


def test_parameters():
    net = outline(PAGE, PAGE.check({}))
    # Specification, section 1.
    counts = [parameters(part) for part in (net.DecomNet, net.DenoiseNet, net.RelightNet)]
    assert counts == [3_020_356, 7_507_843, 10_500_481]
    detail, contrast = net.RelightNet.EnhanceModule0, net.RelightNet.EnhanceModule1
    assert [parameters(detail), parameters(contrast)] == [2_841_024, 7_585_600]
    assert parameters(net) == 21_028_680


@pytest.mark.parametrize(
    ("side", "giga"),
    # The specification's 612.4 at 256 is four times the first: spectra grow by less (129 columns
    # for 65).
    [(128, 153.1), (256, 611.5)],
)
def test_multiply_adds(side, giga):
    counted = macs(outline(PAGE, PAGE.check({})), (1, 3, side, side))
    assert counted / 1e9 == pytest.approx(giga, abs=0.06)


def test_a_picture_is_what_it_is_alone():
    net, batch = small(), pictures()
    with torch.no_grad():
        together = net(batch)
        alone = torch.cat([net(one[None]) for one in batch])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-5)


def test_the_published_transform_looks_at_the_batch_and_agrees_on_one_picture():
    published_net, ours, batch = small(batch_transform=True), small(), pictures()
    with torch.no_grad():
        torch.testing.assert_close(published_net(batch[:1]), ours(batch[:1]), rtol=0, atol=1e-6)
        assert (published_net(batch) - ours(batch)).abs().max() > 1e-4


def test_the_slope_below_one_half_is_the_published_one_unless_said_otherwise():
    published_net, straight, batch = small(), small(slope=1.0), pictures()
    with torch.no_grad():
        x, y = (torch.cat(net.steps(batch).parts, 1).logit() for net in (straight, published_net))
    assert 0.2 < (x < 0).float().mean() < 0.8, "both sides are there"
    torch.testing.assert_close(y, torch.where(x < 0, 0.01 * x, x), rtol=1e-3, atol=2e-6)
    assert PAGE.check({}) == PAGE.check({"slope": 0.01})


def test_the_first_guess_is_smooth_and_its_product_the_picture():
    picture = pictures(2, 80, 96) ** 3
    picture[0, :, :40] = 0  # black
    parts = guess(picture)
    assert (parts.product - picture).abs().max() <= 2 * LEAST
    assert (parts.illumination >= picture.amax(1, keepdim=True).clamp(LEAST, 1 - LEAST)).all()
    # The mean over a window of values in [0, 1] loses one row and wins another; none at the rim.
    inner = parts.illumination[..., REACH:-REACH, REACH:-REACH]
    for axis in (2, 3):
        assert inner.diff(dim=axis).abs().max() <= 1 / (2 * REACH + 1) + 1e-6


@pytest.mark.parametrize("slope", [0.01, 1.0])
def test_residual_networks_begin_with_the_picture_itself(slope):
    net, batch = small(residual=True, slope=slope), pictures()
    with torch.no_grad():
        bright, reflectance, illumination, denoised, relit = net.with_maps(batch)
    torch.testing.assert_close((reflectance, illumination), tuple(guess(batch)))
    assert torch.equal(denoised, reflectance)
    assert torch.equal(relit, illumination)
    torch.testing.assert_close(bright, batch, rtol=0, atol=2 * LEAST)


@pytest.mark.parametrize("phase", PHASES)
def test_residual_networks_learn_from_the_first_step_on(phase):
    net = small(residual=True, slope=1.0, smoothness=0.1).train()
    batch = {"noisy": pictures(2, 32, 32) * 0.2, "clean": pictures(2, 32, 32, seed=2)}
    net.begin(phase)
    optimiser = torch.optim.SGD(net.parameters(), lr=0.01)
    came = []
    for _ in range(3):
        value = loss(net, net(batch["noisy"]), batch).mean()
        optimiser.zero_grad()
        value.backward()
        optimiser.step()
        came.append(value.item())
    if phase != "decom":  # the first guess gives the picture itself, and its loss is a kink there
        assert came[2] < came[0]
    part = (net.DecomNet.conv0, net.DenoiseNet.Denoise_conv0_1, net.RelightNet.conv0)
    assert part[PHASES.index(phase)].weight.grad.abs().max() > 0, "the gradient comes through"


def test_a_signal_neither_dies_out_nor_grows_through_drawn_layers():
    def power(drawn):
        torch.manual_seed(3)
        layers = [Replicate(128, 128) for _ in range(10)]
        if drawn:
            draw(*layers)
        x = torch.randn(1, 128, 12, 12)
        with torch.no_grad():
            for layer in layers:
                x = leaky(layer(x))
        return float(x.square().mean())

    # The mean square of 128 channels varies by sqrt(5 / 128) in a layer, by e^0.62 in ten: four of
    # those. Torch's draw leaves a sixth in each layer, and what its biases add.
    assert 1 / 12 < power(True) < 12
    assert power(False) < 1e-2
    layer = torch.nn.ConvTranspose2d(256, 256, 2, 2)
    draw(layer)
    with torch.no_grad():
        out = layer(torch.randn(1, 256, 16, 16))
    # A rectifier keeps half of the power; (1 + 0.01^2) / 2 of it is less than the bound. 256
    # channels: 4 x sqrt(2 / 256) = 0.35.
    assert float(out.square().mean()) == pytest.approx(2, rel=0.35)


def test_smoothness_is_a_part_of_decoms_loss_by_its_weight():
    batch = {"noisy": pictures() * 0.2, "clean": pictures(seed=2)}
    plain, smooth = small().train(), small(smoothness=0.5).train()
    low, high = plain.DecomNet(batch["noisy"]), plain.DecomNet(batch["clean"])
    rough = sum(losses.smoothness(p.illumination, p.reflectance) for p in (low, high))
    assert rough.min() > 0
    for phase in PHASES:
        plain.begin(phase), smooth.begin(phase)
        values = [loss(net, net(batch["noisy"]), batch) for net in (plain, smooth)]
        more = 0.5 * rough if phase == "decom" else torch.zeros(2)
        torch.testing.assert_close(values[1] - values[0], more, rtol=1e-4, atol=1e-6)


def test_the_published_recipe_has_none_of_it():
    assert "options" not in presets.read("r2rnet")
    assert PAGE.check({}) == PAGE.check({"residual": False, "smoothness": 0.0})
    assert presets.read("r2rnet-small")["options"]["residual"] is True


def test_dilated_convolutions_are_exact_under_autocast_on_a_cpu():
    layer, x = Replicate(24, 24, dilation=2), torch.randn(2, 24, 24, 24)
    layer.weight.data = layer.weight.data.contiguous(memory_format=torch.channels_last)
    found = []
    for low in (False, True):
        layer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=low):
            out = layer(x)
        assert out.dtype == torch.float32
        out.square().mean().backward()
        found.append(layer.weight.grad.clone())
    torch.testing.assert_close(found[1], found[0])


def test_strips_are_the_whole(monkeypatch):
    net, batch = small(), pictures(height=64)
    with torch.no_grad():
        (parts, *whole) = net.steps(batch)
        monkeypatch.setattr(strips, "CACHED", 1)
        seen = []
        monkeypatch.setattr(
            "denoisers.r2rnet.decom.in_strips",
            lambda run, x, *rest: in_strips(
                lambda s: (seen.append(s.shape[2]), run(s))[1], x, *rest
            ),
        )
        (in_parts, *others) = net.steps(batch)
    assert max(seen) == 24 < 64, "four times the reach, and the reach on both sides"
    for one, other in zip((*parts, *whole), (*in_parts, *others), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


def test_a_complex_convolution_is_the_published_sum_of_four():
    layer, draws = ComplexConv(3, 5), torch.Generator().manual_seed(2)
    p, q = torch.randn((2, 2, 3, 8, 9), generator=draws)
    real = layer.conv_r(p) - layer.conv_i(q)
    imaginary = layer.conv_r(q) + layer.conv_i(p)
    expected = torch.cat((real, imaginary), 1)
    torch.testing.assert_close(layer(torch.cat((p, q), 1)), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("batch", [False, True])
def test_the_transform_is_undone(batch):
    x, transform = pictures().double(), Transform(batch)
    back = transform.inverse(transform.forward(x))
    torch.testing.assert_close(back, x, rtol=0, atol=1e-12)


def test_sides_that_are_no_multiples_are_refused():
    with pytest.raises(InputError, match="multiples of 8, found 24x20"):
        small()(pictures(width=20))


@pytest.fixture
def folder(tmp_path):
    """The parts of a network as the authors keep them, beside older ones and other files."""
    net = small(seed=3)
    for part, module in zip(
        ("Decom", "Denoise", "Relight"), (net.DecomNet, net.DenoiseNet, net.RelightNet), strict=True
    ):
        (tmp_path / part).mkdir()
        torch.save(module.state_dict(), tmp_path / part / "12000.tar")
        torch.save(R2RNet(4).DecomNet.state_dict(), tmp_path / part / "9000.tar")
        (tmp_path / part / "log.txt").write_text("loss")
    return tmp_path


def test_parts_in_a_folder_are_one_network(folder):
    net, card = published.load(folder)
    assert (card.model, card.options["width"]) == ("r2rnet", 4)
    with torch.no_grad():
        assert torch.equal(net(pictures()), small(seed=3)(pictures()))


def test_a_folder_without_parts_is_refused(folder):
    with pytest.raises(WeightsError, match=r"r2rnet: Decom, Denoise, Relight\); give a file"):
        published.load(folder / "Decom")
    (folder / "Relight" / "12000.tar").unlink()
    (folder / "Relight" / "9000.tar").unlink()
    with pytest.raises(MissingDataError, match=r"Relight has no file NUMBER\.tar"):
        published.load(folder)


def test_weights_of_the_whole_with_the_loss_network_beside_it():
    state = {f"module.{name}": t for name, t in small().state_dict().items()}
    state["module.vgg.conv1_1.bias"] = torch.zeros(64)
    net, card = published.load(state)
    assert card.options == PAGE.check({"width": 4}).model_dump()
    assert isinstance(net, R2RNet)
