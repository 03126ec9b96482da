"""One iteration: a batch goes through the network, the weights move."""

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from denoisers.base import ModelEntry, picture_of
from denoisers.data import Batch
from denoisers.training.mosaics import prepared
from denoisers.training.objective import losses, misled, mixed, on_device
from denoisers.training.precision import autocast
from denoisers.training.recipe import Training
from denoisers.training.schedules import learning_rate
from denoisers.training.state import State
from noisegen.errors import RunError
from noisegen.random import Stream, torch_generator


class DivergedError(RunError):
    """A loss or gradient that is no number."""


def step(
    state: State,
    network: nn.Module,
    batch: Batch,
    recipe: Training,
    page: ModelEntry,
    rank: int = 0,
) -> float:
    """Move the weights of ``state.model`` by one batch and return its loss.

    Parameters
    ----------
    state
        Its iteration is counted up.
    network
        ``state.model``, or what wraps it (compiled, distributed).
    batch
        This rank's part of the batch.
    recipe, rank
        As in :class:`denoisers.training.run.Run`.
    page
        The network's: what it takes, in the order of its arguments, and its own loss if it has one.

    Raises
    ------
    DivergedError
        If the loss or the gradient is not finite; the weights are as before.
    """
    device = next(network.parameters()).device
    for group in state.optimiser.param_groups:
        group["lr"] = learning_rate(recipe, state.iteration)
    if page.develop is not None:
        tensors = prepared(batch, recipe, device)
    else:
        tensors = mixed(on_device(batch, recipe, device), recipe, state.iteration, rank)
        tensors = misled(tensors, recipe, state.iteration, rank)
    state.model.train()
    if recipe.phases:
        state.model.begin(recipe.phase(state.iteration))
    state.optimiser.zero_grad(set_to_none=True)
    size = len(batch.items)
    parts = max(1, min(recipe.accumulate, size))
    total = torch.zeros((), device=device)
    for number in range(parts):
        part = {name: t.tensor_split(parts)[number] for name, t in tensors.items()}
        with (
            _communicates(network, number == parts - 1),
            _seeded(recipe, device, state.iteration, rank, number),
        ):
            with autocast(recipe, device):
                outputs = network(*(part[name] for name in page.inputs))
            if page.loss is None:
                each = losses(picture_of(outputs), part["clean"], recipe)
            else:
                each = page.loss(state.model, outputs, part)
            loss = each.sum() / size
            state.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        total += loss.detach()
    value = float(total)
    state.scaler.unscale_(state.optimiser)
    gradients = [p.grad for p in state.model.parameters() if p.grad is not None]
    norm = nn.utils.get_total_norm(gradients)
    # In float16 a gradient may overflow: the scale is halved and the batch moves nothing.
    overflows = state.scaler.is_enabled() and state.scaler.get_scale() > 1
    if not math.isfinite(value) or not (overflows or bool(norm.isfinite())):
        what = (
            f"loss is {value}" if not math.isfinite(value) else f"gradient's norm is {float(norm)}"
        )
        raise DivergedError(f"the {what} in iteration {state.iteration + 1}")
    if recipe.optimiser.clip is not None:
        nn.utils.clip_grads_with_norm_(state.model.parameters(), recipe.optimiser.clip, norm)
    state.scaler.step(state.optimiser)
    state.scaler.update()
    state.iteration += 1
    state.average(recipe.ema)
    return value


@contextmanager
def _seeded(recipe: Training, device: torch.device, *key: int) -> Iterator[None]:
    """Seed torch's own generators, which layers that leave parts out at random draw from."""
    word = torch_generator(recipe.seed, Stream.DROPOUT, *key).initial_seed()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.default_generator.manual_seed(word)
        if device.type == "cuda":
            torch.cuda.manual_seed(word)
        yield


def _communicates(network: nn.Module, last: bool) -> AbstractContextManager[None]:
    """Let gradients go between ranks with the last part of a batch alone."""
    if isinstance(network, DistributedDataParallel) and not last:
        return network.no_sync()
    return nullcontext()
