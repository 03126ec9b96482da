"""How large a network is, and how much it computes."""

import copy

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from denoisers.base import Denoiser, ModelEntry, Options
from denoisers.layers.tally import tallied


def parameters(network: nn.Module) -> int:
    """Return the number of values that are trained."""
    return sum(p.numel() for p in network.parameters())


def macs(network: nn.Module, *shapes: tuple[int, ...]) -> int:
    """Return the multiply-adds of one forward pass.

    Convolutions, matrix products, attention and dynamic filtering are counted; biases, activations,
    norms, means and the sampling between pixels are not.

    Parameters
    ----------
    network
        On any device; a copy of it is counted on the meta device, where nothing is computed and
        operators are the plain ones.
    shapes
        Of the inputs, (N, C, H, W).
    """
    plain = copy.deepcopy(network).to("meta")
    with torch.no_grad(), tallied() as told, FlopCounterMode(display=False) as counter:
        plain(*(torch.empty(shape, device="meta") for shape in shapes))
    # torch counts the multiplication and the addition of each as two operations.
    operations: int = counter.get_total_flops()
    return operations // 2 + sum(told)


def outline(page: ModelEntry, options: Options) -> Denoiser:
    """Return a network in evaluation mode, without the memory of its weights."""
    with torch.device("meta"):
        return page.make(options).eval()
