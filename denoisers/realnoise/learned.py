"""NeCA's networks for the bench: given, or trained on each camera's training pairs."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from denoisers import presets
from denoisers.neca import recipe
from denoisers.neca.pairs import folder_of, weights_by_camera
from denoisers.neca.recipe import NecaTraining
from denoisers.neca.run import Run
from denoisers.realnoise.halves import save
from noisegen import neca
from noisegen.errors import InputError
from noisegen.neca.model import Part
from pipelines.pairs import Pairs
from pipelines.tables.neca import WHOLE

PRESET = "neca-small"
"""By which they are trained here."""

USED: tuple[Part, ...] = ("level", "correlation")
"""Networks that make the noise of a row."""

NAME = "the training pairs of the bench"
"""Of the camera on their card, where it is not known."""


@dataclass(frozen=True)
class Learned:
    """Where the networks come from; one of both is given.

    Attributes
    ----------
    weights
        Folder or file of networks, or a folder with a folder for each camera.
    iterations
        Of a training on the training pairs of each camera.
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

    def identity(self, pairs: Pairs) -> str | dict[str, str] | None:
        """Return what tells the networks for some pairs from others."""
        if self.weights is None:
            if not self.there:
                return None
            digest = hashlib.sha256(self._recipe(0).to_toml().encode()).hexdigest()
            return f"{PRESET} ({digest[:16]}) by camera, {self.iterations} iterations"
        given = self._given(pairs)
        digests = {place: neca.load(place, USED).sha256 for place in set(given.values())}
        return {camera: digests[place] for camera, place in given.items()}

    def check(self, pairs: Pairs, strengths: Mapping[str, float]) -> None:
        """Refuse given networks that the pairs' noise is too strong for.

        Parameters
        ----------
        pairs
            The training pairs.
        strengths
            Of their noise by name, in 8-bit levels.
        """
        if self.weights is None:
            return
        for camera, place in self._given(pairs).items():
            most = 255 * neca.load(place, USED).card.highest_gain
            own = [entry.name for entry in pairs.entries if entry.camera == camera]
            name = max(own, key=strengths.__getitem__)
            if strengths[name] > most:
                raise InputError(
                    f"--neca {place}: the noise of {name} is {strengths[name]:.1f} (of 255), far "
                    f"above what these networks were trained at ({most:.1f} at most); give "
                    "others, or --fit-neca"
                )

    def places(self, pairs: Pairs, work: Path, seed: int, device: str) -> list[str]:
        """Return where the networks for each pair are; they are trained if they are not there.

        Parameters
        ----------
        pairs
            The training pairs.
        work
            Folder of the trainings, one of each camera, and of its pairs as files.
        seed, device
            Of the trainings.
        """
        cameras = [entry.camera for entry in pairs.entries]
        if self.weights is not None:
            given = self._given(pairs)
            return [given[camera] for camera in cameras]
        own, folders = self._recipe(seed), [folder_of(camera) for camera in cameras]
        for name in sorted(set(folders)):
            mine = [number for number, other in enumerate(folders) if other == name]
            files = work / f"{name}.pairs"
            for pair in pairs.take(mine):
                save(files / "noisy" / f"{pair.name}.png", pair.noisy)
                save(files / "clean" / f"{pair.name}.png", pair.clean)
            Run(own, str(files), cameras[mine[0]] or NAME, work / name, device=device).train()
        return [str(work / name) for name in folders]

    def _recipe(self, seed: int) -> NecaTraining:
        return recipe.parse(
            {**presets.read(PRESET, "denoisers.neca.presets"), "seed": seed}
            # Of a camera there may be one scene only.
            | {"iterations": self.iterations, "hold_out": False},
            WHOLE,
        )

    def _given(self, pairs: Pairs) -> dict[str, str]:
        assert self.weights is not None
        return weights_by_camera(self.weights, [entry.camera for entry in pairs.entries])


NONE = Learned()
"""Without NeCA."""
