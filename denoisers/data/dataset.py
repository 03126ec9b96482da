"""What a data set of any kind gives to the loader."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from denoisers.data.draws import Numbers, Uniforms
from denoisers.data.turns import Turns
from noisegen.errors import InputError
from pipelines import prepare

Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Cut:
    """What is wanted of n samples.

    Attributes
    ----------
    samples
        (n,) numbers of the samples in their data set.
    visits
        (n,) how many times the whole data set was gone through before.
    patch
        Height and width of what is cut out of each, in pixels.
    place
        (n, 2) numbers in [0, 1): where, from the first row and column that is possible to the last.
    turns
        (n,) numbers of :mod:`denoisers.data.turns`, applied after the cut.
    """

    samples: Numbers
    visits: Numbers
    patch: int
    place: Uniforms
    turns: Numbers

    def corners(self, sizes: npt.NDArray[np.integer] | tuple[int, int], step: int = 1) -> Numbers:
        """Return (n, 2) rows and columns of the crops' corners, multiples of ``step``.

        Parameters
        ----------
        sizes
            (n, 2) heights and widths, or one for all; at least those of the patch.
        """
        room = (np.asarray(sizes) - self.patch) // step + 1
        corners: Numbers = (self.place * room).astype(np.int64) * step
        return corners


class Dataset(ABC):
    """Samples, each with one picture a name.

    Attributes
    ----------
    where
        Its path or URL, for messages.
    names
        Names of the pictures of a sample, such as ``("clean", "noisy")``.
    scenes
        The scene of each sample: no scene stands on both sides of a split.
    turns
        What may be done to a sample and keeps its law.
    identity
        Hash of a corpus's recipe; empty for files.
    """

    where: str
    names: tuple[str, ...]
    scenes: tuple[str, ...]
    turns: Turns
    identity: str = ""

    @property
    def guide_channels(self) -> int:
        """Channels of the guide that its samples have; 0: they have none."""
        return 0

    def __len__(self) -> int:
        return len(self.scenes)

    @property
    def splits(self) -> npt.NDArray[np.uint8]:
        """Split of each sample, a place in ``pipelines.schema.SPLITS``: the hash of its scene."""
        names = sorted(set(self.scenes))
        of_scene = dict(zip(names, prepare.splits(names).tolist(), strict=True))
        return np.array([of_scene[scene] for scene in self.scenes], np.uint8)

    @property
    def published_test(self) -> npt.NDArray[np.bool_]:
        """Whether each sample is one that its data set publishes for testing."""
        return np.zeros(len(self), np.bool_)

    @property
    @abstractmethod
    def channels(self) -> int:
        """Channels of its pictures; 1 is a mosaic or a grey picture."""

    @abstractmethod
    def check_patch(self, patch: int) -> None:
        """Refuse a patch that cannot be cut out of its samples, as far as that is known.

        Raises
        ------
        InputError
            One line that says which can.
        """

    @abstractmethod
    def read(self, cut: Cut) -> Arrays:
        """Return (n, patch, patch, C) uint8 or uint16 pictures by their names; mosaics without C.

        Raises
        ------
        UnreadableFileError, DamagedCorpusError
            If a sample cannot be read.
        InputError
            If a picture is smaller than the patch.
        """

    def parameters(self, cut: Cut) -> Arrays:
        """Return (n, …) numbers that go with what :meth:`read` returns; pictures have none."""
        return {}

    @abstractmethod
    def whole(self, sample: int) -> Arrays:
        """Return the whole pictures of a sample, (H, W, C)."""

    @abstractmethod
    def take(self, samples: Sequence[int]) -> Self:
        """Return the data set of some of the samples."""

    @abstractmethod
    def address(self, sample: int) -> str:
        """Return what a sample is called in a message."""


def no_room(where: str, what: str, found: int | str, patch: int) -> InputError:
    """Return the error of a patch that is larger than what it is to be cut from."""
    return InputError(f"{where}: {what} {found}, too small for patches of {patch}; give --patch")
