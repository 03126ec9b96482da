"""The losses of statistics against their definitions, their laws, and what they teach."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from denoisers.data import Batch
from denoisers.neca import objective, statistics
from denoisers.neca.nets import Nets
from denoisers.neca.objective import Real
from denoisers.neca.recipe import parse
from denoisers.neca.state import State
from denoisers.neca.step import step
from pipelines.realism.measures import of_field
from pipelines.realism.noise import noise_field

WHITE = 255
KERNEL = np.outer(*[np.array([0.25, 0.5, 0.25])] * 2)
MIX = np.array([[1, 0.3, 0.1], [0.3, 1, 0.4], [0.1, 0.4, 1]])


def pictures(count, size, seed):
    """Clean and noisy codes: noise that follows the level, its neighbours and channels."""
    rng = np.random.default_rng(seed)
    steps = np.kron(rng.integers(40, 216, (count, 4, 4, 3)), np.ones((1, size // 4, size // 4, 1)))
    noise = ndimage.convolve(
        rng.standard_normal(steps.shape) @ MIX, KERNEL[None, ..., None], mode="wrap"
    )
    noisy = steps + (2 + steps / 40) * noise
    return steps.astype(np.uint8), np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def tensors(clean, noisy):
    return [torch.tensor(t / np.float32(WHITE)).permute(0, 3, 1, 2) for t in (clean, noisy)]


def test_covariance_is_its_definition_lag_by_lag():
    z = torch.randn(2, 3, 17, 20, generator=torch.Generator().manual_seed(1))
    found = statistics.covariance(z)
    reach = statistics.REACH
    wide = torch.nn.functional.pad(z, [reach] * 4)
    for dy, dx in ((0, 0), (1, 0), (0, -1), (-5, 3), (2, 5)):
        moved = wide[..., reach + dy : reach + dy + 17, reach + dx : reach + dx + 20]
        expected = torch.einsum("nchw,ndhw->ncd", z, moved) / (17 * 20)
        torch.testing.assert_close(
            found[..., reach + dy, reach + dx], expected, atol=1e-6, rtol=1e-5
        )


def test_the_spectrum_of_white_noise_is_one():
    z = torch.randn(64, 3, 32, 32, generator=torch.Generator().manual_seed(2))
    found = statistics.spectrum(z)
    assert found.shape == (3, 4, 3)
    # cells of 64 values of 64 pictures, at the outermost of 8: five standard deviations
    assert (found - 1).abs().max() < statistics.STEADY + 5 / np.sqrt(8 * 64)


def test_equal_statistics_have_no_distance_and_others_have():
    clean, noisy = tensors(*pictures(4, 96, 3))
    real = noisy - clean
    gen = torch.Generator().manual_seed(4)

    def found(noise, level=None):
        level = torch.full_like(clean, 0.01) if level is None else level
        return statistics.distances(clean, level, (noise, noise), real, WHITE)

    same = found(real)
    for name in ("covariance", "spectrum", "tails"):
        assert float(same[name]) < 1e-8
    # real noise has a mean of its own, by chance: 600 pixels of a level, 7 of them alike
    assert float(same["strength"]) < 0.05
    # turned about, noise is another draw of the same law where that law has no direction
    other = found(real.flip(-1, -2).roll(1, 0))
    white = found(real.std() * torch.randn(real.shape, generator=gen))
    assert float(white["covariance"]) > 10 * float(other["covariance"])
    assert float(white["spectrum"]) > 10 * float(other["spectrum"])
    stronger = found(1.5 * real)
    expected = np.log(1.5**2) ** 2
    assert float(stronger["strength"]) == pytest.approx(expected, rel=0.15)
    assert float(stronger["covariance"]) < 0.02


def test_the_level_is_that_of_the_real_noise_and_needs_no_draw():
    gen = torch.Generator().manual_seed(5)
    clean = torch.full((2, 3, 64, 64), 0.3)
    clean[..., 32:] = 0.7
    level = torch.where(clean < 0.5, 0.02, 0.01)
    real = statistics.seen(clean, level * torch.randn(clean.shape, generator=gen), WHITE)
    terms = statistics.distances(clean, level, (real, real), real, WHITE)
    # variances of 2048 pixels: log of each within sqrt(2 / 2048), so the mean square near 1e-3
    assert float(terms["level"]) < 3e-3
    doubled = statistics.distances(clean, 2 * level, (real, real), real, WHITE)
    assert float(doubled["level"]) == pytest.approx(np.log(4) ** 2, rel=0.05)


def test_levels_that_are_cut_off_do_not_tell_how_strong_the_noise_was():
    gen = torch.Generator().manual_seed(6)
    clean = torch.full((1, 3, 64, 64), 0.5)
    clean[..., :32, :] = 0.0
    level = torch.full_like(clean, 0.05)
    made = level * torch.randn(clean.shape, generator=gen)
    real = statistics.seen(clean, made, WHITE)
    assert float(real[..., :32, :].std()) < 0.03
    terms = statistics.distances(clean, level, (made, made), real, WHITE)
    assert float(terms["level"]) < 0.02


def test_texture_is_noise_that_is_stronger_at_slopes_than_its_level_says():
    gen = torch.Generator().manual_seed(12)
    # Flat, but for a quarter of the rows, which slope within the same level.
    clean = torch.full((2, 3, 96, 96), 0.55)
    clean[..., :24, :] = torch.linspace(0.51, 0.61, 96)
    level = torch.full_like(clean, 0.01)
    level[..., :24, :] = 0.02
    real = level * torch.randn(clean.shape, generator=gen)
    known = statistics.distances(clean, level, (real, real), real, WHITE)
    even = real.std() * torch.ones_like(level)
    flat = statistics.distances(clean, even, (real, real), real, WHITE)
    # bins of 2304 values: log of each variance within sqrt(2 / 2304), here five times that
    assert float(known["texture"]) < (5 * np.sqrt(2 / 2304)) ** 2
    mean = (3 * 0.01**2 + 0.02**2) / 4
    bins = np.log(np.array([0.01**2, 0.01**2, 0.01**2, 0.02**2]) / mean)
    assert float(flat["texture"]) == pytest.approx(np.mean(bins**2), rel=0.15)


def test_texture_is_right_where_noise_is_weak_or_cut_off():
    gen = torch.Generator().manual_seed(14)
    clean = torch.rand((2, 3, 96, 96), generator=gen) / 10 + 0.51
    for codes in (0.5, 1.0):
        level = torch.full_like(clean, codes / WHITE)
        real = statistics.seen(clean, level * torch.randn(clean.shape, generator=gen), WHITE)
        terms = statistics.distances(clean, level, (real, real), real, WHITE)
        assert float(terms["texture"]) < (5 * np.sqrt(2 / 2304)) ** 2
    # A white sky, of whose noise half is cut off, and noise as strong below it.
    clean[..., :48, :] = 1.0
    level = torch.full_like(clean, 0.02)
    real = statistics.seen(clean, level * torch.randn(clean.shape, generator=gen), WHITE)
    terms = statistics.distances(clean, level, (real, real), real, WHITE)
    assert float(terms["texture"]) < (5 * np.sqrt(2 / 1152)) ** 2


def test_each_network_learns_what_it_can_see():
    recipe = parse(LEARNS)
    nets = Nets.begin(recipe)
    clean, noisy = tensors(*pictures(2, 96, 15))
    gen = torch.Generator().manual_seed(16)
    white = torch.randn(clean.shape, generator=gen)
    made = nets.make(clean, noisy, white, torch.full((2, 1, 1, 1), 0.02), apart=True)
    again = nets.again(made, torch.randn(clean.shape, generator=gen), apart=True)
    real = Real(clean, noisy - clean, noisy - clean, (0, 0))
    terms = objective.statistics_terms(made, again, real)
    assert set(terms) == {"texture", "tails"} | {
        f"statistics_{name}" for name in ("level", "strength", "covariance", "spectrum")
    }
    for name, net, other in (
        ("texture", nets.level, nets.correlation), ("tails", nets.correlation, nets.level)
    ):  # fmt: skip
        nets.level.zero_grad()
        nets.correlation.zero_grad()
        terms[name].backward(retain_graph=True)
        assert any(p.grad is not None and p.grad.abs().max() > 0 for p in net.parameters())
        assert all(p.grad is None for p in other.parameters())


def test_tails_are_those_of_the_values_whatever_their_strength():
    rng = np.random.default_rng(13)
    clean = torch.full((4, 3, 96, 96), 0.55)
    gauss, laplace, gamma = (
        torch.tensor(0.02 * draw.astype(np.float32))
        for draw in (
            rng.standard_normal(clean.shape),
            rng.laplace(size=clean.shape) / np.sqrt(2),
            (rng.gamma(4, size=clean.shape) - 4) / 2,
        )
    )

    def found(noise):
        return float(statistics.distances(clean, clean, (noise, noise), gauss, WHITE)["tails"])

    assert found(1.5 * gauss) < 0.001
    assert found(laplace) == pytest.approx(np.log(6 / 3) ** 2, rel=0.15)
    # of shape 4: kurtosis 3 + 6 / 4, skewness 2 / sqrt(4)
    assert found(gamma) == pytest.approx(np.log(4.5 / 3) ** 2 + np.arcsinh(1) ** 2, rel=0.15)


def test_noise_is_seen_in_whole_codes_and_the_gradient_passes():
    clean = torch.tensor([0.0, 10.0, 250.0]).div(255).view(1, 3, 1, 1)
    noise = torch.tensor([-3.2, 2.6, 9.0]).div(255).view(1, 3, 1, 1).requires_grad_(True)
    out = statistics.seen(clean, noise, WHITE)
    np.testing.assert_allclose(255 * out.detach().flatten(), [0, 3, 5], atol=1e-4)
    out.sum().backward()
    assert noise.grad.flatten().tolist() == [0, 1, 0]


def test_gradients_are_those_of_finite_differences():
    gen = torch.Generator().manual_seed(7)
    clean = 0.2 + 0.6 * torch.rand((1, 3, 16, 16), generator=gen, dtype=torch.float64)
    real = 0.03 * torch.randn(clean.shape, generator=gen, dtype=torch.float64)
    level = 0.02 + 0.01 * torch.rand(clean.shape, generator=gen, dtype=torch.float64)
    draws = [0.03 * torch.randn(clean.shape, generator=gen, dtype=torch.float64) for _ in range(2)]

    def value(level, *draws):
        # steps of one code would hide a finite difference: white is far up
        return sum(statistics.distances(clean, level, draws, real, 1 << 40).values())

    for which in range(3):
        inputs = [level.clone(), *map(torch.clone, draws)]
        inputs[which].requires_grad_(True)
        (gradient,) = torch.autograd.grad(value(*inputs), inputs[which])
        along = torch.randn(clean.shape, generator=gen, dtype=torch.float64)
        ends = [list(map(torch.clone, (level, *draws))) for _ in range(2)]
        for sign, end in zip((1, -1), ends, strict=True):
            end[which] += sign * 1e-6 * along
        expected = float((value(*ends[0]) - value(*ends[1])).detach()) / 2e-6
        assert float((gradient * along).sum()) == pytest.approx(expected, rel=1e-3)


def grain(white, share):
    """Noise of which each pixel has a share of its four neighbours'."""
    near = sum(white.roll(step, axis) for axis in (-1, -2) for step in (1, -1))
    return 0.02 * (white + share * near) / (1 + 4 * share**2) ** 0.5


def spiked(white, power):
    return 0.01 * white.sign() * white.abs() ** power


@pytest.mark.parametrize(
    ("term", "law", "true", "tamer"),
    [("covariance", grain, 0.25, 0.15), ("tails", spiked, 1.6, 1.45)],
)
def test_two_draws_favour_the_true_law_where_squares_of_one_favour_a_tamer(term, law, true, tamer):
    gen = torch.Generator().manual_seed(17)
    clean = torch.full((64, 3, 16, 16), 0.5)
    products, squares = [], []
    for _ in range(12):
        one, two, other = (torch.randn(clean.shape, generator=gen) for _ in range(3))
        real = law(other, true)

        def excess(first, second, real=real):
            """How much further off the tamer law is."""
            far, near = (
                statistics.distances(clean, clean, (law(first, k), law(second, k)), real, WHITE)
                for k in (tamer, true)
            )
            return float(far[term] - near[term])

        products.append(excess(one, two))
        squares.append(excess(one, one))
    # four standard errors of the means over 12 batches
    for sign, found in ((1, products), (-1, squares)):
        assert sign * np.mean(found) > 4 * np.std(found, ddof=1) / np.sqrt(len(found))


def test_again_is_another_draw_of_the_same_levels():
    nets = Nets.begin(parse(LEARNS))
    clean, noisy = tensors(*pictures(1, 96, 18))
    gen = torch.Generator().manual_seed(19)
    white, other = (torch.randn(clean.shape, generator=gen) for _ in range(2))
    strength = torch.full((1, 1, 1, 1), 0.02)
    made, anew = (nets.make(clean, noisy, field, strength) for field in (white, other))
    torch.testing.assert_close(nets.again(made, other), anew.correlated)
    assert not torch.allclose(made.correlated, anew.correlated)


LEARNS = {
    "iterations": 120, "batch": 2, "lr": 5e-3, "lr_end": 1e-4, "betas": (0.5, 0.99), "clip": 1.0,
    "scaled_start": True, "measured_gain": True, "apart": True, "joint": False,
    "weights": {"statistics": 1.0}, "gain": {"width": 4, "depth": 3}, "level": {"width": 8},
    "correlation": {"width": 8, "stages": 2}, "critics": {"width": 1, "start": "never"},
}  # fmt: skip


def test_a_short_training_learns_grain_and_colour_of_the_noise():
    recipe = parse(LEARNS)
    state = State.begin(recipe, torch.device("cpu"))
    clean, noisy = pictures(32, 96, 8)
    for number in range(recipe.iterations):
        at = [(2 * number + k) % len(clean) for k in range(2)]
        arrays = {"clean": clean[at], "noisy": noisy[at]}
        batch = Batch(number, arrays, np.zeros(2), np.zeros((2, 3), int))
        losses = step(state, batch, recipe)
    assert not any(name.startswith(("critic", "adversarial", "penalty")) for name in losses)
    unseen, real = pictures(8, 96, 9)
    x, y = tensors(unseen, real)
    gen = torch.Generator().manual_seed(10)
    with torch.no_grad():
        made = state.nets.make(
            x, y, torch.randn(x.shape, generator=gen), (y - x).std((1, 2, 3), keepdim=True)
        )
    fake = (x + made.correlated).clamp(0, 1).mul(255).round().permute(0, 2, 3, 1).numpy()
    ours, theirs = (sum_of(unseen, other) for other in (fake.astype(np.uint8), real))
    assert float(theirs.lags(1).mean()) > 0.6
    assert float(ours.lags(1).mean()) == pytest.approx(float(theirs.lags(1).mean()), abs=0.08)
    np.testing.assert_allclose(ours.channels, theirs.channels, atol=0.12)
    seen = theirs.pixels > 5000
    ratio = 10 * np.log10(ours.variance[seen] / theirs.variance[seen])
    assert np.sqrt(np.mean(ratio**2)) < 1.5


def sum_of(clean, noisy):
    one, *rest = (of_field(noise_field(x, y)) for x, y in zip(clean, noisy, strict=True))
    return sum(rest, start=one)


def test_a_scaled_start_of_c_takes_half_the_noise_away():
    recipe = parse({**LEARNS, "correlation": {"width": 8, "stages": 3}})
    nets = Nets.begin(recipe)
    v = 0.02 * torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(11))
    with torch.no_grad():
        left = v + nets.correlation(v) - v / 2
    assert float(left.std()) < 0.2 * float(v.std())
