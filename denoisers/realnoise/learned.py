"""NeCA's networks for the bench: given, or trained on the training pairs."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from denoisers import presets
from denoisers.neca import recipe
from denoisers.neca.run import Run
from noisegen import neca
from noisegen.errors import InputError
from pipelines.tables.neca import WHOLE

PRESET = "neca-small"
"""By which they are trained here."""

NAME = "the training pairs of the bench"
"""Of the camera on their card."""


@dataclass(frozen=True)
class Learned:
    """Where the networks come from; one of both is given.

    Attributes
    ----------
    weights
        Folder or file of networks.
    iterations
        Of a training on the training pairs.
    """

    weights: str | None = None
    iterations: int | None = None

    def __post_init__(self) -> None:
        """Refuse both at once."""
        if self.weights is not None and self.iterations is not None:
            raise InputError(
                "--neca, --fit-neca: networks are given or trained; leave one of both away"
            )

    @property
    def there(self) -> bool:
        """Whether there are any."""
        return self.weights is not None or self.iterations is not None

    @property
    def identity(self) -> str | None:
        """What tells them from others."""
        if self.weights is not None:
            return neca.load(self.weights, ("level", "correlation")).sha256
        return f"{PRESET}, {self.iterations} iterations" if self.there else None

    def check(self, strengths: Mapping[str, float]) -> None:
        """Refuse given networks that the pairs' noise is too strong for.

        Parameters
        ----------
        strengths
            Of the training pairs by name, in 8-bit levels.
        """
        if self.weights is None:
            return
        most = 255 * neca.load(self.weights, ("level", "correlation")).card.highest_gain
        name = max(strengths, key=strengths.__getitem__)
        if strengths[name] > most:
            raise InputError(
                f"--neca {self.weights}: the noise of {name} is {strengths[name]:.1f} (of 255), "
                f"far above what these networks were trained at ({most:.1f} at most); give others, "
                "or --fit-neca"
            )

    def place(self, pairs: Path, work: Path, seed: int, device: str) -> str:
        """Return the folder or file of the networks, which are trained if they are not there.

        Parameters
        ----------
        pairs
            Folder of the training pairs.
        work
            Folder of the training.
        seed, device
            Of the training.
        """
        if self.weights is not None:
            return self.weights
        own = recipe.parse(
            {**presets.read(PRESET, "denoisers.neca.presets"), "seed": seed}
            | {"iterations": self.iterations},
            WHOLE,
        )
        Run(own, str(pairs), NAME, work, device=device).train()
        return str(work)


NONE = Learned()
"""Without NeCA."""
