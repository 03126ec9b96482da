"""One iteration: a batch goes through the network, the weights move."""

import math
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from denoisers.data import Batch
from denoisers.training.objective import losses, mixed, on_device
from denoisers.training.precision import autocast
from denoisers.training.recipe import Training
from denoisers.training.schedules import learning_rate
from denoisers.training.state import State
from noisegen.errors import RunError


class DivergedError(RunError):
    """A loss or gradient that is no number."""


def step(
    state: State,
    network: nn.Module,
    batch: Batch,
    recipe: Training,
    inputs: tuple[str, ...],
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
    inputs
        The pictures that the network takes, in the order of its arguments.

    Raises
    ------
    DivergedError
        If the loss or the gradient is not finite; the weights are as before.
    """
    device = next(network.parameters()).device
    for group in state.optimiser.param_groups:
        group["lr"] = learning_rate(recipe, state.iteration)
    tensors = mixed(on_device(batch, recipe, device), recipe, state.iteration, rank)
    state.model.train()
    state.optimiser.zero_grad(set_to_none=True)
    size = len(tensors["clean"])
    parts = max(1, min(recipe.accumulate, size))
    total = torch.zeros((), device=device)
    for number in range(parts):
        part = {name: t.tensor_split(parts)[number] for name, t in tensors.items()}
        with _communicates(network, number == parts - 1):
            with autocast(recipe, device):
                restored: Tensor = network(*(part[name] for name in inputs))
            loss = losses(restored, part["clean"], recipe).sum() / size
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


def _communicates(network: nn.Module, last: bool) -> AbstractContextManager[None]:
    """Let gradients go between ranks with the last part of a batch alone."""
    if isinstance(network, DistributedDataParallel) and not last:
        return network.no_sync()
    return nullcontext()
