"""NeCA's critics and losses against their definitions, and what a gradient reaches."""

import numpy as np
import pytest
import torch

from denoisers.neca import losses, objective
from denoisers.neca.critics import Critic
from denoisers.neca.nets import Nets
from denoisers.neca.recipe import Weights, parse
from noisegen.errors import InputError, RecipeError
from tests.neca.conftest import randomised

SMALL = {
    "iterations": 1,
    "gain": {"width": 2},
    "level": {"width": 2},
    "correlation": {"width": 2, "stages": 2},
    "critics": {"width": 2},
    "denoiser": {"width": 2, "depth": 3},
}


def noise(*shape, seed=0, std=0.02):
    return std * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_the_published_critics_have_their_numbers_of_weights():
    for size, halvings, weights, tensors in ((96, 5, 14_145_801, 24), (32, 3, 2_165_001, 16)):
        with torch.device("meta"):
            critic = Critic(size, halvings)
        assert sum(p.numel() for p in critic.parameters()) == weights
        assert len(critic.state_dict()) == tensors


def test_critics_of_other_sizes_and_what_they_see():
    for size, halvings in ((64, 3), (32, 5), (8, 1)):
        critic = Critic(size, halvings, width=2)
        assert critic(torch.zeros(3, 3, size, size)).shape == (3, 1)
    with pytest.raises(InputError, match="48 pixels cannot be halved 5 times"):
        Critic(48, 5)
    normed = Critic(32, 3, width=3, instance_norm=True)
    assert normed.features[1][1].weight.shape == (3,)
    assert "features.5.1.bias" in normed.state_dict()
    assert "features.0.1.weight" not in normed.state_dict()


def test_local_levels_are_their_definition_pixel_by_pixel():
    n = noise(2, 3, 12, 9)
    reflected = np.pad(n.double().numpy(), [(0, 0), (0, 0), (3, 3), (3, 3)], "reflect")
    zeros = np.pad(n.double().numpy(), [(0, 0), (0, 0), (3, 3), (3, 3)])
    for border, wide in (("reflect", reflected), ("zeros", zeros)):
        windows = np.lib.stride_tricks.sliding_window_view(wide, (7, 7), (2, 3))
        found = losses.local_level(n, border)
        torch.testing.assert_close(
            found.double(), torch.tensor(windows.std((-2, -1))), atol=1e-6, rtol=1e-4
        )


def test_constant_noise_has_the_local_level_zero_not_nan():
    for value in (1 / 255, 0.1, -3 / 255):
        n = torch.full((1, 3, 16, 16), value)
        assert losses.local_level(n).max() < 1e-4
        assert losses.local_level(n, "zeros").isfinite().all()
    box = torch.nn.functional.avg_pool2d
    n = torch.full((1, 3, 16, 16), 1 / 255)
    published = (box(n * n, 7, 1, 3) - box(n, 7, 1, 3) ** 2).sqrt()
    assert published.isnan().any()  # the defect that is mended


def test_global_level_is_the_standard_deviation_of_a_sample():
    n = noise(4, 3, 10, 10)
    expected = [np.std(one.numpy(), ddof=1) for one in n]
    torch.testing.assert_close(losses.global_level(n).flatten(), torch.tensor(expected))


@pytest.mark.parametrize("offset", [(0, 0), (2, 1)])
def test_subsampling_takes_every_third_pixel(offset):
    t = torch.arange(2 * 3 * 9 * 9).reshape(2, 3, 9, 9)
    found = losses.subsample(t, offset)
    assert found.shape == (2, 3, 3, 3)
    assert found[1, 2, 1, 2] == t[1, 2, 3 + offset[0], 6 + offset[1]]


def test_adversarial_losses_by_hand():
    score = torch.tensor([[0.3], [-1.2]])
    s = score.numpy()
    log1p = np.log1p(np.exp(-s)), np.log1p(np.exp(s))
    expected = {
        "wgan-gp": (-s.mean(), s.mean()),
        "lsgan": (((s - 1) ** 2).mean(), (s**2).mean()),
        "vanilla": (log1p[0].mean(), log1p[1].mean()),
    }
    assert set(expected) == set(losses.GANS)
    for gan, (real, fake) in expected.items():
        assert float(losses.real_loss(score, gan)) == pytest.approx(real, rel=1e-6)
        assert float(losses.fake_loss(score, gan)) == pytest.approx(fake, rel=1e-6)
        halves = 1 if gan == "wgan-gp" else 2
        other = float(losses.critic_loss(score, 2 * score, gan))
        fake = float(losses.fake_loss(2 * score, gan))
        assert other == pytest.approx((real + fake) / halves, rel=1e-5)


def test_the_penalty_of_a_linear_critic_is_known():
    weights = torch.randn(3, 8, 8, generator=torch.Generator().manual_seed(1))
    for factor in (0.0, 0.2, 1.0):
        scaled = factor * weights

        def linear(z, scaled=scaled):
            return (z * scaled).sum((1, 2, 3))

        penalty = losses.gradient_penalty(
            linear, noise(5, 3, 8, 8), noise(5, 3, 8, 8, seed=2), torch.rand(5, 1, 1, 1)
        )
        expected = (float(scaled.norm()) - 1) ** 2
        assert float(penalty) == pytest.approx(expected, rel=1e-5)


@pytest.fixture
def step():
    """Small networks, a real pair, and noise made for it."""
    recipe = parse(SMALL)
    nets = Nets.begin(recipe)
    for net in nets.named.values():
        randomised(net).train()
    clean = torch.rand(2, 3, 96, 96, generator=torch.Generator().manual_seed(3))
    n = noise(2, 3, 96, 96, seed=4)
    made = nets.make(clean, clean + n, noise(2, 3, 96, 96, seed=5, std=1))
    return nets, made, objective.Real(clean, n, n, (1, 2))


def reached(value, nets):
    """Names of the networks that get a gradient of a value."""
    found = set()
    for name, net in nets.named.items():
        gradients = torch.autograd.grad(
            value, list(net.parameters()), retain_graph=True, allow_unused=True
        )
        if any(g is not None and bool((g != 0).any()) for g in gradients):
            found.add(name)
    return found


def test_what_each_loss_reaches(step):
    nets, made, real = step
    terms = objective.maker_terms(made, real, "reflect")
    assert {name: reached(value, nets) for name, value in terms.items()} == {
        "level": {"gain", "level"},  # E learns from the level map too: nothing is held back
        "gain": {"gain"},
        "local": {"gain", "level"},
    }
    for apart, wanted in ((True, {"denoiser"}), (False, {*nets.makers})):
        (value,) = objective.denoiser_term(nets.denoiser, made, real, apart=apart).values()
        assert reached(value, nets) == wanted
    heard = objective.adversarial_terms(nets, made, real, "wgan-gp")
    assert reached(heard["adversarial_whole"], nets) == {"gain", "level", "correlation", "whole"}
    assert reached(heard["adversarial_thinned"], nets) == {"gain", "level", "thinned"}
    shares = torch.rand(2, 2, 1, 1, 1)
    for gan in losses.GANS:
        critics = objective.critic_terms(nets, made, real, gan, shares)
        assert reached(objective.total(critics, Weights()), nets) == {"whole", "thinned"}
        assert len(critics) == (4 if gan == "wgan-gp" else 2)


def test_weights_belong_to_their_losses():
    terms = {
        name: torch.tensor(float(10**k))
        for k, name in enumerate(
            ("level", "gain", "local", "denoiser", "adversarial_whole", "adversarial_thinned")
        )
    }
    factors = Weights(level=1, gain=2, local=3, denoiser=4, adversarial=5)
    assert float(objective.total(terms, factors)) == 554321
    critics = {"critic_whole": torch.tensor(7.0), "penalty_thinned": torch.tensor(0.5)}
    assert float(objective.total(critics, Weights(penalty=10))) == 12


def test_critics_that_see_the_clean_picture():
    recipe = parse(SMALL | {"critics": {"width": 2, "sees_clean": True}})
    nets = Nets.begin(recipe)
    n = noise(1, 3, 96, 96)
    bright, dark = (
        objective.judged(nets, objective.Real(torch.full_like(n, v), n, n, (0, 1)))
        for v in (0.9, 0.1)
    )
    for name in ("whole", "thinned"):
        seen = n if name == "whole" else losses.subsample(n, (0, 1))
        assert bright[name](seen) != dark[name](seen)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"patch": 128}, "128 is no multiple of 96"),
        ({"correlation": {"stages": 6}}, r"correlation\.stages"),
        ({"gan": "wgan"}, "gan"),
        ({"weigths": {}}, "did you mean 'weights'"),
        ({"critics": {"sees_cleam": True}}, "did you mean 'sees_clean'"),
    ],
)
def test_recipes_that_do_not_hold_together(changed, said):
    with pytest.raises(RecipeError, match=said):
        parse(SMALL | changed)


def test_a_recipe_written_out_makes_itself_again():
    import tomllib

    recipe = parse(SMALL | {"joint": False, "clip": 1.0, "gan": "lsgan"})
    assert parse(tomllib.loads(recipe.to_toml())) == recipe
    assert Nets.begin(recipe).denoiser is None
    assert (recipe.heard_every, parse(SMALL).heard_every) == (1, 5)


def test_a_scaled_start_keeps_the_strength_of_what_goes_through():
    """Noise that narrow critics hardly pass on as published, they pass on."""
    n = noise(8, 3, 96, 96, std=1)
    spread = {}
    for scaled in (False, True):
        nets = Nets.begin(parse(SMALL | {"critics": {"width": 8}, "scaled_start": scaled}))
        with torch.no_grad():
            spread[scaled] = float(nets.whole(n).std())
        again = Nets.begin(parse(SMALL | {"critics": {"width": 8}, "scaled_start": scaled}))
        assert torch.equal(nets.whole.classifier[0].weight, again.whole.classifier[0].weight)
    assert spread[False] < 1e-4
    assert spread[True] > 1e-2
