"""Several processes that train one network, as torchrun starts them."""

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed.nn.functional
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from noisegen.errors import InputError

# torch.distributed.nn.functional is imported for what it does to whoever imports it late:
# `group=group.WORLD` in its signatures then keeps the group of all processes, and DDP imports it. A
# group that is kept keeps its threads, and one that lets go of its last tensor while the
# interpreter ends aborts the process ("terminate called without an active exception").


@dataclass(frozen=True)
class Ranks:
    """Which of how many processes this one is.

    Attributes
    ----------
    rank, ranks
        Its number from 0, and how many there are.
    local
        Its number on this machine, that of its GPU.
    """

    rank: int = 0
    ranks: int = 1
    local: int = 0

    @property
    def first(self) -> bool:
        """Whether it is the one that writes."""
        return self.rank == 0

    def wait(self) -> None:
        """Wait until all processes are here."""
        if self.ranks > 1:
            distributed.barrier()

    def share(self, network: nn.Module, device: torch.device, *, phases: bool) -> nn.Module:
        """Return the network so that its gradients are the mean over all processes.

        Parameters
        ----------
        network, device
            Where it is.
        phases
            Whether some weights get no gradient for a time.
        """
        if self.ranks == 1:
            return network
        return DistributedDataParallel(
            network,
            [device] if device.type == "cuda" else None,
            find_unused_parameters=phases,
        )


@contextmanager
def joined(device: str) -> Iterator[tuple[Ranks, torch.device]]:
    """Join the processes that torchrun started, if it did.

    Parameters
    ----------
    device
        ``auto``, ``cpu`` or ``cuda``.

    Yields
    ------
    ranks, device
        Which process this is, and where it computes: on the GPU of its local number.
    """
    environment = os.environ
    if "RANK" not in environment or "WORLD_SIZE" not in environment:
        yield Ranks(), chosen(device)
        return
    local = int(environment.get("LOCAL_RANK", 0))
    ranks = Ranks(int(environment["RANK"]), int(environment["WORLD_SIZE"]), local)
    place = chosen(device, local)
    if place.type == "cuda":
        torch.cuda.set_device(place)
    distributed.init_process_group("nccl" if place.type == "cuda" else "gloo")
    try:
        yield ranks, place
    finally:
        gc.collect()  # a network in DDP is part of a cycle, and holds the group
        distributed.destroy_process_group()


def chosen(device: str, number: int = 0) -> torch.device:
    """Return the device of a name; ``auto`` is a GPU where there is one.

    Raises
    ------
    InputError
        If a GPU is asked for and there is none.
    """
    if device != "cpu" and torch.cuda.is_available():
        return torch.device("cuda", number)
    if device == "cuda":
        raise InputError(
            "no GPU: torch sees none on this machine (torch.cuda.is_available()); give --device cpu"
        )
    return torch.device("cpu")
