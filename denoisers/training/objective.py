"""From a batch to a loss."""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from denoisers.data import Batch
from denoisers.losses import charbonnier
from denoisers.training.recipe import Training
from noisegen.random import Stream, generator, torch_generator
from pipelines.tables import ends


def on_device(batch: Batch, recipe: Training, device: torch.device) -> dict[str, Tensor]:
    """Return a batch as float32 (n, C, P, P) in [0, 1], its white noise drawn if it is to have any.

    White noise is not rounded, and not cut unless the recipe says so. It is drawn on the device:
    the same numbers on one kind of device and one version of torch.
    """
    tensors = {name: to_float(array, device) for name, array in batch.arrays.items()}
    if recipe.awgn is not None:
        low, high = ends(recipe.awgn)
        sigma = torch.from_numpy((low + (high - low) * batch.noise) / 255).float().to(device)
        key = (batch.number, int(batch.items[0, 0]), int(batch.items[0, 2]))
        rng = torch_generator(recipe.seed, Stream.AWGN, *key, device=device)
        clean = tensors["clean"]
        white = torch.randn(clean.shape, generator=rng, device=device)
        tensors["noisy"] = clean + sigma.view(-1, 1, 1, 1) * white
        if recipe.awgn_cut:
            tensors["noisy"] = tensors["noisy"].clamp(0, 1)
    return tensors


def mixed(
    tensors: dict[str, Tensor], recipe: Training, iteration: int, rank: int
) -> dict[str, Tensor]:
    """Return the batch with each sample mixed with another: λ of itself, λ of a Beta law.

    References
    ----------
    H. Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018; per sample as in
    S. W. Zamir et al., "Learning Enriched Features for Real Image Restoration", ECCV 2020.
    """
    if not recipe.mixup.alpha or iteration < recipe.mixup.start:
        return tensors
    n = len(tensors["clean"])
    rng = generator(recipe.seed, Stream.MIXUP, iteration, rank)
    order = torch.from_numpy(rng.permutation(n))
    share = rng.beta(recipe.mixup.alpha, recipe.mixup.alpha, (n, 1, 1, 1)).astype(np.float32)
    out = {}
    for name, tensor in tensors.items():
        own = torch.from_numpy(share).to(tensor.device)
        out[name] = own * tensor + (1 - own) * tensor[order.to(tensor.device)]
    return out


def misled(
    tensors: dict[str, Tensor], recipe: Training, iteration: int, rank: int
) -> dict[str, Tensor]:
    """Return the batch with the guides that the recipe gives: some are wrong, or all are black."""
    table, guide = recipe.guides, tensors.get("guide")
    if guide is None:
        return tensors
    if table.given == "none":
        return {**tensors, "guide": torch.zeros_like(guide)}
    if not table.wrong:
        return tensors
    n = len(guide)
    rng = generator(recipe.seed, Stream.WRONG_GUIDE, iteration, rank)
    drawn = rng.random(n)
    others = (np.arange(n) + rng.integers(1, max(2, n), n)) % n  # alone, it is moved instead
    shifts = rng.integers(-table.shift, table.shift + 1, (n, 2))
    wrong = guide.clone()
    for number in np.flatnonzero(drawn < table.wrong).tolist():
        if n > 1 and drawn[number] < table.wrong / 2:
            wrong[number] = guide[others[number]]
        else:
            wrong[number] = guide[number].roll(tuple(shifts[number].tolist()), (-2, -1))
    return {**tensors, "guide": wrong}


def losses(restored: Tensor, clean: Tensor, recipe: Training) -> Tensor:
    """Return the (n,) loss of each sample."""
    if recipe.clamp:
        restored = restored.clamp(0, 1)
    if recipe.loss == "charbonnier":
        return charbonnier(restored, clean)
    difference = (restored.float() - clean).flatten(1)
    if recipe.loss == "squares":
        return difference.square().sum(1) / 2
    return difference.abs().mean(1)


def to_float(array: npt.NDArray[Any], device: torch.device) -> Tensor:
    """Return (n, H, W, C) integer pictures as float32 (n, C, H, W) in [0, 1] on a device."""
    white = float(np.iinfo(array.dtype).max)
    return torch.from_numpy(array).to(device).permute(0, 3, 1, 2).float() / white
