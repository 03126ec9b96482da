"""Pictures that are held out, and how well they are restored."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from denoisers.base import Denoiser, picture_of
from denoisers.data import Mixture
from denoisers.inference.padding import pad_to_multiple
from denoisers.training.precision import autocast
from denoisers.training.recipe import Training, Validation
from noisegen.metrics import WINDOW, psnr, ssim, to_8bit
from noisegen.random import Stream, generator
from pipelines.tables import ends

Picture = npt.NDArray[np.float32]


class Scores(NamedTuple):
    """Means over the pictures: PSNR in dB, SSIM, and the PSNR of the noisy input."""

    psnr: float
    ssim: float
    noisy_psnr: float


class Restored(NamedTuple):
    """8-bit pictures (H, W, C) of one validated sample."""

    noisy: npt.NDArray[np.uint8]
    restored: npt.NDArray[np.uint8]
    clean: npt.NDArray[np.uint8]


class Case(NamedTuple):
    """What a network is validated on: its inputs, and (C, H, W) pictures, noisy and clean."""

    inputs: tuple[torch.Tensor, ...]
    noisy: torch.Tensor
    clean: torch.Tensor


@dataclass(frozen=True)
class Middles:
    """The middles of some samples, the same every time.

    Attributes
    ----------
    mixture
        What they are taken from, spread evenly over all samples.
    validation
        How many, and how large.
    """

    mixture: Mixture
    validation: Validation

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, number: int) -> dict[str, npt.NDArray[Any]]:
        """Return the pictures of a sample, (H, W, C) integers."""
        data, sample = self.places[number]
        whole = self.mixture.datasets[data].whole(sample)
        return {name: _middle(picture, self.validation.crop) for name, picture in whole.items()}

    @cached_property
    def places(self) -> list[tuple[int, int]]:
        """Data set and sample of each picture, spread evenly over all."""
        every = [(i, s) for i, data in enumerate(self.mixture.datasets) for s in range(len(data))]
        wanted = min(self.validation.count, len(every))
        return [every[i * len(every) // wanted] for i in range(wanted)]


@dataclass(frozen=True)
class HeldOut:
    """The pictures of a validation, the same every time.

    Attributes
    ----------
    mixture
        What they are taken from.
    recipe
        Its ``validation`` and ``awgn`` say how many, how large, and with what noise; a range of
        strengths is gone through evenly.
    inputs
        The pictures that the network takes.
    """

    mixture: Mixture
    recipe: Training
    inputs: tuple[str, ...]

    def __len__(self) -> int:
        return len(self._middles)

    def scores(
        self,
        model: Denoiser,
        device: torch.device,
        shown: Callable[[int, Restored], None] = lambda number, pictures: None,
    ) -> Scores:
        """Return how well a network restores the pictures.

        Parameters
        ----------
        model
            Put into evaluation mode, and left so.
        device
            Where it runs.
        shown
            Gets each picture's number, and the picture noisy, restored and clean.
        """
        model.eval()
        found = []
        for number in range(len(self)):
            case = self.case(model, number, device)
            height, width = case.clean.shape[1:]
            with torch.inference_mode(), autocast(self.recipe, device):
                out = picture_of(model(*case.inputs))[0, :, :height, :width]
            noisy, clean, result = (
                to_8bit(picture.float().permute(1, 2, 0).cpu().numpy())
                for picture in (case.noisy, case.clean, out)
            )
            shown(number, Restored(noisy, result, clean))
            similarity = ssim(result, clean) if min(clean.shape[:2]) >= WINDOW else float("nan")
            found.append((psnr(result, clean), similarity, psnr(noisy, clean)))
        return Scores(*np.mean(found, axis=0).tolist())

    def case(self, model: Denoiser, number: int, device: torch.device) -> Case:
        """Return a validated sample; inputs have sides that the network takes."""
        found = {name: _tensor(p, device) for name, p in self.pictures(number).items()}
        if self.recipe.guides.given == "none" and "guide" in found:
            found["guide"] = torch.zeros_like(found["guide"])
        inputs = tuple(pad_to_multiple(found[name], model.multiple) for name in self.inputs)
        return Case(inputs, found["noisy"][0], found["clean"][0])

    def pictures(self, number: int) -> dict[str, Picture]:
        """Return the pictures of a validated sample, (H, W, C) from 0 to 1."""
        out = {name: _to_float(picture) for name, picture in self._middles[number].items()}
        if self.recipe.awgn is not None:
            low, high = ends(self.recipe.awgn)
            sigma = (low + (high - low) * (number + 0.5) / len(self)) / 255
            rng = generator(self.recipe.seed, Stream.HELD_OUT_AWGN, number)
            white = rng.standard_normal(out["clean"].shape, np.float32)
            out["noisy"] = out["clean"] + np.float32(sigma) * white
            if self.recipe.awgn_cut:
                out["noisy"] = out["noisy"].clip(0, 1)
        return out

    @property
    def places(self) -> list[tuple[int, int]]:
        """Data set and sample of each picture."""
        return self._middles.places

    @cached_property
    def _middles(self) -> Middles:
        return Middles(self.mixture, self.recipe.validation)


def _middle(picture: npt.NDArray[Any], side: int) -> npt.NDArray[Any]:
    y, x = (max(0, (length - side) // 2) for length in picture.shape[:2])
    return picture[y : y + side, x : x + side]


def _to_float(picture: npt.NDArray[Any]) -> Picture:
    return picture.astype(np.float32) / np.float32(np.iinfo(picture.dtype).max)


def _tensor(picture: Picture, device: torch.device) -> torch.Tensor:
    return torch.from_numpy(picture).to(device).permute(2, 0, 1)[None]
