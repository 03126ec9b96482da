"""A network as a function from noisy to restored pictures."""

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from denoisers.base import Denoiser
from denoisers.inference.chop import Chop
from denoisers.inference.ensemble import self_ensemble
from denoisers.inference.grid import Grid
from denoisers.inference.padding import Restore, padded
from denoisers.inference.tiles import OVERLAP, tiled
from noisegen.errors import InputError

Precision = Literal["float32", "bfloat16"]

WHOLE = 768 * 768
"""Pixels up to which a picture is run whole if nothing else is said."""

TILE = 512
"""Side of the tiles of larger ones."""


@dataclass(frozen=True)
class Restorer:
    """Runs a network on pictures of any size.

    Attributes
    ----------
    model
        In evaluation mode, on its device.
    channels
        Of the pictures it takes.
    guide_channels
        Of the guides it takes; 0: none.
    ensemble
        Whether the eight turns and mirrors of a picture are averaged.
    tile
        Side of the tiles; 0 runs pictures whole, None the small ones. A :class:`Chop` or a
        :class:`Grid` cuts them as published tests do.
    precision
        What is computed in.
    """

    model: Denoiser
    channels: int = 3
    guide_channels: int = 0
    ensemble: bool = False
    tile: int | Chop | Grid | None = None
    precision: Precision = "float32"
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    def __call__(
        self, picture: npt.NDArray[Any], guide: npt.NDArray[Any] | None = None
    ) -> npt.NDArray[np.float32]:
        """Return a picture restored.

        Parameters
        ----------
        picture
            (H, W, C) uint8, uint16 or float32 in [0, 1].
        guide
            (H, W, G) of the same scene in register, where the network takes one.

        Returns
        -------
        (H, W, C) float32
            In [0, 1].

        Raises
        ------
        InputError
            If the number of channels is not the network's, a value is not finite, or the guide is
            missing, of another size, or not wanted.
        """
        return _picture(self.restore(*self._given(picture, guide)).clamp(0, 1))

    def unclipped(
        self, picture: npt.NDArray[Any], guide: npt.NDArray[Any] | None = None
    ) -> npt.NDArray[np.float32]:
        """Return a picture restored as a call does, but not cut to [0, 1]."""
        return _picture(self.restore(*self._given(picture, guide)))

    def with_maps(
        self, picture: npt.NDArray[Any], guide: npt.NDArray[Any] | None = None
    ) -> tuple[npt.NDArray[np.float32], ...]:
        """Return a picture restored, and the maps that the network's page names.

        Parameters and errors are those of a call. Maps are (H, W, 1 or 3) float32, cut to [0, 1];
        they are made by tiles, and averaged over turns, as the picture is.
        """
        sizes: list[int] = []

        def side_by_side(*inputs: Tensor) -> Tensor:
            maps = self.model.with_maps(*inputs)
            sizes[:] = [one.shape[1] for one in maps]
            return torch.cat(maps, 1)

        whole = self._through(side_by_side, *self._given(picture, guide))
        return tuple(map(_picture, torch.split(whole.clamp(0, 1), sizes, 1)))

    def _given(self, picture: npt.NDArray[Any], guide: npt.NDArray[Any] | None) -> list[Tensor]:
        """Return what the network takes as tensors, or refuse it."""
        if picture.ndim != 3 or picture.shape[2] != self.channels:
            raise InputError(
                f"the network takes pictures of {self.channels} channels, found {picture.shape}"
            )
        self._check_guide(picture, guide)
        return [_tensor(p) for p in (picture, guide) if p is not None]

    def _check_guide(self, picture: npt.NDArray[Any], guide: npt.NDArray[Any] | None) -> None:
        if guide is None:
            if self.guide_channels:
                raise InputError(
                    f"the network takes a guide of {self.guide_channels} channels beside the "
                    "picture, and there is none"
                )
            return
        if not self.guide_channels:
            raise InputError("the network takes pictures alone, no guide")
        if guide.ndim != 3 or guide.shape[2] != self.guide_channels:
            raise InputError(
                f"the network takes guides of {self.guide_channels} channels, found {guide.shape}"
            )
        if guide.shape[:2] != picture.shape[:2]:
            sizes = " and ".join(f"{p.shape[1]}x{p.shape[0]}" for p in (picture, guide))
            raise InputError(f"picture and guide are {sizes} pixels; they have one size")

    def restore(self, noisy: Tensor, *guides: Tensor) -> Tensor:
        """Return (1, C, H, W) float32 restored, on the CPU, not cut to [0, 1]."""
        return self._through(self.model, noisy, *guides)

    def _through(self, network: Restore, *given: Tensor) -> Tensor:
        """Return what a network on the device gives for pictures of any size, on the CPU."""
        height, width = given[0].shape[-2:]

        def plain(*pictures: Tensor) -> Tensor:
            with (
                torch.inference_mode(),
                torch.autocast(
                    self.device.type, torch.bfloat16, enabled=self.precision == "bfloat16"
                ),
            ):
                out = network(*(picture.to(self.device) for picture in pictures))
            return out.float().cpu()

        run = padded(plain, self.model.multiple)
        if self.ensemble:
            run = self_ensemble(run)
        if isinstance(self.tile, Chop | Grid):
            return self.tile(run)(*given)
        side = self.tile
        if side is None:
            side = TILE if height * width > WHOLE else 0
        if side:
            run = tiled(run, side, min(OVERLAP, side // 4))
        return run(*given)


def _picture(tensor: Tensor) -> npt.NDArray[np.float32]:
    """Return (H, W, C) of (1, C, H, W)."""
    picture: npt.NDArray[np.float32] = tensor[0].permute(1, 2, 0).numpy()
    return picture


def _tensor(picture: npt.NDArray[Any]) -> Tensor:
    """Return (1, C, H, W) float32 in [0, 1]."""
    integer = picture.dtype.kind == "u"
    white = np.float32(np.iinfo(picture.dtype).max if integer else 1)
    values = np.ascontiguousarray(picture.astype(np.float32) / white)
    if not np.isfinite(values).all():
        raise InputError("the picture has values that are not finite")
    return torch.from_numpy(values).permute(2, 0, 1)[None]


def best_precision(device: torch.device) -> Precision:
    """Return bfloat16 on a GPU, which computes it fast, and float32 elsewhere."""
    return "bfloat16" if device.type == "cuda" else "float32"
