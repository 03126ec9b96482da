"""Clean pictures in grey, as published sets for grey networks were made."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from denoisers.data.dataset import Arrays, Cut, Dataset


class GreyData(Dataset):
    """The luma of another data set's clean pictures: 0.299 R + 0.587 G + 0.114 B, rounded.

    Parameters
    ----------
    colour
        A data set of clean sRGB pictures.
    """

    def __init__(self, colour: Dataset) -> None:
        self._colour = colour
        self.where, self.names, self.turns = colour.where, colour.names, colour.turns
        self.scenes, self.identity = colour.scenes, colour.identity

    @property
    def splits(self) -> npt.NDArray[np.uint8]:
        """See :attr:`Dataset.splits`."""
        return self._colour.splits

    @property
    def published_test(self) -> npt.NDArray[np.bool_]:
        """See :attr:`Dataset.published_test`."""
        return self._colour.published_test

    @property
    def channels(self) -> int:
        """One."""
        return 1

    def check_patch(self, patch: int) -> None:
        """See :meth:`Dataset.check_patch`."""
        self._colour.check_patch(patch)

    def read(self, cut: Cut) -> Arrays:
        """See :meth:`Dataset.read`."""
        arrays = self._colour.read(cut)
        return {name: np.stack([grey(p) for p in array]) for name, array in arrays.items()}

    def whole(self, sample: int) -> Arrays:
        """See :meth:`Dataset.whole`."""
        return {name: grey(picture) for name, picture in self._colour.whole(sample).items()}

    def take(self, samples: Sequence[int]) -> "GreyData":
        """See :meth:`Dataset.take`."""
        return GreyData(self._colour.take(samples))

    def address(self, sample: int) -> str:
        """See :meth:`Dataset.address`."""
        return self._colour.address(sample)


def grey(picture: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the luma of an (H, W, 3) R, G, B picture, (H, W, 1) of its type."""
    luma: npt.NDArray[Any] = cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2GRAY)
    return luma[..., None]
