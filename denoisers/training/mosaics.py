"""Batches of mosaics: normalised, their noise drawn, and what the ISP inside a network needs.

References
----------
R. Li et al., "DualDn: Dual-domain Denoising via Differentiable ISP", ECCV 2024, section 4.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from denoisers.base import Denoiser, ModelEntry
from denoisers.data import Batch, Cut
from denoisers.data.mosaics import MosaicData
from denoisers.training.recipe import Mosaics, Training
from denoisers.training.validation import Case, HeldOut
from noisegen.cfa import Phase
from noisegen.isp.pipeline import normalise
from noisegen.random import Stream, generator, torch_generator
from noisegen.sensor import differentiable, models
from noisegen.sensor.sampling import DUALDN_CAMERAS, dualdn_prior
from pipelines.tables import ends

PHASE: Phase = "RGGB"
"""Of every mosaic: patches are cut and turned so."""


def prepared(batch: Batch, recipe: Training, device: torch.device) -> dict[str, Tensor]:
    """Return the tensors of a batch of mosaics by name.

    ``raw_clean``, ``raw_noisy`` (n, 1, P, P) float32, black 0 and white 1, the noisy ones cut to
    that; ``shot``, ``read``, ``alpha`` (n,), ``white_balance`` (n, 3), ``cam_to_xyz`` (n, 3, 3).
    Noise is drawn on the device: the same numbers on one kind of device and one version of torch.
    """
    own = recipe.mosaics or Mosaics()
    key = (batch.number, int(batch.items[0, 0]), int(batch.items[0, 2]))
    rng = generator(recipe.seed, Stream.MOSAIC, *key)
    size = len(batch.items)
    tensors = _parameters(batch, device)
    tensors["raw_clean"] = _normalised(batch, "raw_clean", device)
    if "raw_noisy" in batch.arrays:
        tensors["raw_noisy"] = _normalised(batch, "raw_noisy", device)
    else:
        if own.levels == "drawn":
            drawn = [dualdn_prior(rng, own.camera, *ends(own.shot)) for _ in range(size)]
            tensors["shot"], tensors["read"] = _columns(drawn, device)
        noise = torch_generator(recipe.seed, Stream.MOSAIC, *key, device=device)
        tensors["raw_noisy"] = exposed(tensors, own, noise)
    alpha = rng.uniform(*ends(own.alpha), size)
    tensors["alpha"] = torch.from_numpy(alpha).float().to(device)
    return tensors


def exposed(tensors: dict[str, Tensor], own: Mosaics, noise: torch.Generator) -> Tensor:
    """Return noisy mosaics of ``raw_clean`` by ``shot`` and ``read``, cut to [0, 1]."""
    figures = differentiable.BatchParameters(
        shot=tensors["shot"][:, None], read=tensors["read"][:, None]
    )
    return differentiable.sample(
        tensors["raw_clean"], models.get(own.noise), figures, PHASE, noise, clip="black"
    )


@dataclass(frozen=True)
class HeldOutMosaics(HeldOut):
    """Mosaics of a validation, the same every time: levels and tone do not depend on the data.

    Drawn levels are gone through evenly on a logarithmic scale, the read noise being the line's;
    alpha is the middle of its range.

    Attributes
    ----------
    page
        The network's.
    """

    page: ModelEntry

    def case(self, model: Denoiser, number: int, device: torch.device) -> Case:
        """See :meth:`HeldOut.case`."""
        own = self.recipe.mosaics or Mosaics()
        tensors, develop = self.stored(number), self.page.develop
        assert develop is not None
        noise = torch_generator(self.recipe.seed, Stream.HELD_OUT_MOSAIC, number)
        if "raw_noisy" not in tensors:
            if own.levels == "drawn":
                low, high = (math.log(end) for end in ends(own.shot))
                shot = math.exp(low + (high - low) * (number + 0.5) / len(self))
                line = DUALDN_CAMERAS[own.camera]
                read = math.exp((line.slope + 2) * math.log(shot) + line.bias)
                tensors["shot"], tensors["read"] = _columns([(shot, read)], torch.device("cpu"))
            tensors["raw_noisy"] = exposed(tensors, own, noise)
        tensors["alpha"] = torch.tensor([sum(ends(own.alpha)) / 2])
        placed = {name: tensor.to(device) for name, tensor in tensors.items()}
        inputs = tuple(placed[name] for name in self.inputs)
        with torch.inference_mode():
            noisy, clean = (
                develop(model, placed[name], *inputs[1:]) for name in ("raw_noisy", "raw_clean")
            )
        return Case(inputs, noisy[0], clean[0])

    def stored(self, number: int) -> dict[str, Tensor]:
        """Return what is stored of a held-out sample, on the CPU."""
        data, sample = self.places[number]
        mosaics = self.mixture.datasets[data]
        assert isinstance(mosaics, MosaicData)
        side = min(self.recipe.validation.crop, mosaics.stored_patch) // 16 * 16
        one, zero = np.array([sample]), np.zeros(1, np.int64)
        cut = Cut(one, zero, side, np.full((1, 2), 0.5), zero)
        arrays, numbers = mosaics.read(cut), mosaics.parameters(cut)
        batch = Batch(0, arrays, np.zeros(1), np.zeros((1, 3), np.int64), numbers)
        cpu = torch.device("cpu")
        return _parameters(batch, cpu) | {name: _normalised(batch, name, cpu) for name in arrays}


def _parameters(batch: Batch, device: torch.device) -> dict[str, Tensor]:
    names = ("shot", "read", "white_balance", "cam_to_xyz")
    return {n: torch.from_numpy(batch.parameters[n]).float().to(device) for n in names}


def _normalised(batch: Batch, name: str, device: torch.device) -> Tensor:
    """Return mosaics, black 0 and white 1; noisy ones are cut to that."""
    codes = torch.from_numpy(batch.arrays[name]).to(device)[:, None].float()
    black, white = (torch.from_numpy(batch.parameters[n]).to(device) for n in ("black", "white"))
    mosaics = normalise(codes, PHASE, black, white)
    return mosaics.clamp(0, 1) if name == "raw_noisy" else mosaics


def _columns(pairs: Sequence[tuple[float, float]], device: torch.device) -> tuple[Tensor, Tensor]:
    first, second = torch.tensor(pairs, dtype=torch.float32, device=device).unbind(1)
    return first, second
