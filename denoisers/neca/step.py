"""One iteration: noise is made for a batch, the makers learn from it, then the critics."""

import math

import numpy as np
import torch
from torch import Tensor, nn

from denoisers.data import Batch
from denoisers.neca import objective
from denoisers.neca.losses import STEP, global_level
from denoisers.neca.objective import Real, Terms
from denoisers.neca.recipe import NecaTraining
from denoisers.neca.state import Losses, State
from denoisers.neca.statistics import seen
from denoisers.training.objective import to_float
from denoisers.training.step import DivergedError
from noisegen.jpeg import Setting
from noisegen.neca.card import Jpeg
from noisegen.random import Stream, torch_generator


def step(state: State, batch: Batch, recipe: NecaTraining, jpeg: Jpeg | None = None) -> Losses:
    """Move all networks by one batch and return the losses, without their weights.

    Every draw is a function of the seed and the iteration.

    Parameters
    ----------
    state
        Its iteration is counted up.
    batch
        ``clean`` and ``noisy`` pictures.
    recipe
        What is learned how.
    jpeg
        What the noisy pictures were in, and made noise goes through.

    Raises
    ------
    DivergedError
        If a loss or gradient is not finite; the weights of the networks that it would have moved
        are as before.
    """
    nets, device = state.nets, state.device
    for net in nets.named.values():
        net.train()
    own = recipe.denoiser
    rates = dict.fromkeys(nets.named, recipe.rate(state.iteration))
    rates["denoiser"] = own.lr * own.decay ** (state.iteration // own.decay_every)
    for name, optimiser in state.optimisers.items():
        for group in optimiser.param_groups:
            group["lr"] = rates[name]

    clean, noisy = (to_float(batch.arrays[name], device) for name in ("clean", "noisy"))
    noise = noisy - clean
    rng = torch_generator(recipe.seed, Stream.NECA, state.iteration, device=device)
    white = torch.randn(clean.shape, generator=rng, device=device)
    down, across = torch.randint(STEP, (2,), generator=rng, device=device).tolist()
    shares = torch.rand((2, len(clean), 1, 1, 1), generator=rng, device=device)
    white_code = int(np.iinfo(batch.arrays["noisy"].dtype).max)

    def filled(codes: Tensor) -> Tensor:
        """Fill rounding up."""
        if not recipe.dither:
            return codes
        unit = torch.rand(codes.shape, generator=rng, device=device) - 0.5
        return codes + unit / white_code

    shown = filled(noise)
    setting = None
    if jpeg is not None:
        low, high = jpeg.quality
        quality = torch.randint(low, high + 1, (), generator=rng, device=device)
        setting = Setting(int(quality), jpeg.subsampling)
    real = Real(clean, noise, shown, (down, across), white_code, setting)

    _clear(state, list(nets.makers), to_none=not recipe.zero_gradients)
    given = global_level(noise) if recipe.measured_gain else None
    made = nets.make(clean, noisy, white, given, apart=recipe.apart)
    terms = objective.maker_terms(made, real, recipe.border)
    if recipe.weights.measures:
        other = torch.randn(clean.shape, generator=rng, device=device)
        again = nets.again(made, other, apart=recipe.apart)
        terms |= objective.statistics_terms(made, again, real)
    judged = recipe.judges(state.iteration)
    if setting is not None and (judged or nets.denoiser is not None):
        made = made._replace(correlated=filled(seen(clean, made.correlated, white_code, setting)))
    learning = list(nets.makers)
    if nets.denoiser is not None:
        if state.iteration >= own.start:
            terms |= objective.denoiser_term(nets.denoiser, made, real, apart=own.apart)
        else:
            learning.remove("denoiser")
    if judged and (state.iteration + 1) % recipe.heard_every == 0:
        terms |= objective.adversarial_terms(nets, made, real, recipe.gan)
    _move(state, terms, learning, recipe)

    if judged:
        # What the critics got while the makers learned from them is not theirs.
        _clear(state, list(nets.critics), to_none=True)
        critics = objective.critic_terms(nets, made, real, recipe.gan, shares)
        _move(state, critics, list(nets.critics), recipe)
        terms |= critics
    state.iteration += 1
    return {name: float(value.detach()) for name, value in terms.items()}


def _clear(state: State, names: list[str], *, to_none: bool) -> None:
    for name in names:
        state.optimisers[name].zero_grad(set_to_none=to_none)


def _move(state: State, terms: Terms, names: list[str], recipe: NecaTraining) -> None:
    """Let some networks take a step along the gradient of their losses."""
    value = objective.total(terms, recipe.weights)
    where = f"in iteration {state.iteration + 1}"
    found = {name: float(term.detach()) for name, term in terms.items()}
    for name, one in (found | {"total": float(value.detach())}).items():
        if not math.isfinite(one):
            raise DivergedError(f"the loss '{name}' is {one} {where}")
    value.backward()  # type: ignore[no-untyped-call]
    for name in names:
        weights = list(state.nets.named[name].parameters())
        gradients: list[Tensor] = [p.grad for p in weights if p.grad is not None]
        norm = nn.utils.get_total_norm(gradients)
        if not bool(norm.isfinite()):
            raise DivergedError(f"the gradient of '{name}' has the norm {float(norm)} {where}")
        if recipe.clip is not None and gradients:
            nn.utils.clip_grads_with_norm_(weights, recipe.clip, norm)
    for name in names:
        state.optimisers[name].step()
