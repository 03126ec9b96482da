"""From a clean tile and its recorded parameters to a sample: noise, then the ISP.

The shard maker and the lazy reader both call :meth:`Developer.sample`. It sees nothing but what the
corpus stores, so that what is computed when read equals what would have been stored.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from noisegen import cfa, random
from noisegen.isp.bulk import render
from noisegen.isp.parameters import HALO, Demosaic, Gamma, IspParameters, Matrix3
from noisegen.sensor import Levels, NoiseParameters, add_noise, amplify
from noisegen.sensor import models as noise_models
from pipelines.recipe import Recipe
from pipelines.tile import Window

Arrays = dict[str, npt.NDArray[Any]]
Mosaic = npt.NDArray[np.uint16]


@dataclass(frozen=True)
class Sensor:
    """What all samples of a corpus share about their sensor.

    Attributes
    ----------
    model
        Name of the noise model.
    clips_at
        Where codes are cut: at the converter's zero, or at black.
    read_includes
        What the camera's figures of read noise already contain.
    """

    model: str
    clips_at: Literal["adc", "black"]
    read_includes: tuple[Literal["quantisation", "row"], ...]

    def to_json(self) -> dict[str, Any]:
        """Return the value as JSON data."""
        return {
            "model": self.model,
            "clips_at": self.clips_at,
            "read_includes": list(self.read_includes),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Sensor":
        """Turn :meth:`to_json` back."""
        return cls(data["model"], data["clips_at"], tuple(data["read_includes"]))


@dataclass(frozen=True)
class Developer:
    """Makes the arrays of a sample.

    Attributes
    ----------
    recipe
        Its stage, bits, demosaic, gamma, border, amplify and seed say what is made.
    sensor
        The camera's part that is the same for all samples.
    """

    recipe: Recipe
    sensor: Sensor

    @cached_property
    def halo(self) -> int:
        """Surroundings of a patch that its tile carries, in pixels."""
        if self.recipe.stage == "raw" or self.recipe.border == "published":
            return 0
        return HALO[self.recipe.demosaic]

    def sample(self, row: np.void, tile: Mosaic, window: Window) -> Arrays:
        """Return all arrays of a sample.

        Parameters
        ----------
        row
            The sample's recorded parameters.
        tile
            (P + 2 halo, P + 2 halo) clean mosaic, in digital numbers.
        window
            Where the tile lies in its frame.

        Returns
        -------
        dict
            ``clean`` and ``noisy``, and ``raw_clean`` and ``raw_noisy`` at stage "both". Renderings
            are (P, P, 3), mosaics (P, P).
        """
        noisy = self.noisy_tile(row, tile, window)
        core = window.core
        mosaics = (np.ascontiguousarray(tile[core]), np.ascontiguousarray(noisy[core]))
        if self.recipe.stage == "raw":
            return {"clean": mosaics[0], "noisy": mosaics[1]}
        parameters = isp_parameters(
            row, self.recipe.demosaic, self.recipe.gamma, clip_black=self.recipe.stage != "linear"
        )
        out: Arrays = {
            "clean": self._render(row, tile, parameters),
            "noisy": self._render(row, noisy, parameters),
        }
        if self.recipe.stage == "both":
            out |= {"raw_clean": mosaics[0], "raw_noisy": mosaics[1]}
        return out

    def noisy_tile(self, row: np.void, tile: Mosaic, window: Window) -> Mosaic:
        """Return the tile with its noise; what lies outside of the frame is reflected after."""
        inside, (y, x) = window.inside, window.corner
        counter = random.counter(self.recipe.seed, int(row["key"]), int(row["draw"]))
        levels = self._levels(row)
        ratio = float(row["exposure_ratio"])
        noisy = np.empty_like(tile)
        add_noise(
            tile[inside],
            levels,
            noise_models.get(self.sensor.model),
            noise_parameters(row, self.sensor),
            levels,
            cfa.PHASES[int(row["cfa"])],
            counter,
            y=y,
            x=x,
            gain=1 / ratio,
            out=noisy[inside],
        )
        if self.recipe.amplify:
            noisy[inside] = amplify(noisy[inside], ratio, levels, cfa.PHASES[int(row["cfa"])])
        window.reflect(noisy)
        return noisy

    def _render(
        self, row: np.void, tile: Mosaic, parameters: IspParameters
    ) -> npt.NDArray[np.uint8 | np.uint16]:
        recipe, patch = self.recipe, self.recipe.patch
        return render(
            tile,
            cfa.PHASES[int(row["cfa"])],
            row["black"].tolist(),
            float(row["white"]),
            parameters,
            bits=recipe.depth,
            stage="linear" if recipe.stage == "linear" else "srgb",
            border=recipe.border,
            cut=(self.halo, self.halo, patch, patch),
        )

    def _levels(self, row: np.void) -> Levels:
        return _levels(tuple(row["black"].tolist()), float(row["white"]), self.sensor.clips_at)


_levels = lru_cache(maxsize=64)(Levels)
"""The levels of a corpus are few: they are checked once, not for every sample."""


def isp_parameters(
    row: np.void, demosaic: Demosaic, gamma: Gamma, *, clip_black: bool = True
) -> IspParameters:
    """Return the ISP's parameters that a row of the table records."""
    return IspParameters(
        white_balance=tuple(row["wb"].tolist()),
        cam_to_xyz=matrix3(row["cam_to_xyz"]),
        demosaic=demosaic,
        gamma=gamma,
        alpha=float(row["tone"]),
        clip_black=clip_black,
    )


def matrix3(matrix: npt.NDArray[np.float64]) -> Matrix3:
    """Return a (3, 3) array as nested tuples."""
    first, second, third = (tuple(line) for line in matrix.tolist())
    return first, second, third


def noise_parameters(row: np.void, sensor: Sensor) -> NoiseParameters:
    """Return the noise parameters that a row of the table records."""
    shape = float(row["tukey_lambda"])
    tukey = not np.isnan(shape)
    return NoiseParameters(
        shot=tuple(row["shot"].tolist()),
        read=tuple(row["read"].tolist()),
        row=float(row["row"]),
        tukey_lambda=shape if tukey else None,
        tukey_scale=float(row["tukey_scale"]) if tukey else None,
        bias=tuple(row["bias"].tolist()),
        read_includes=sensor.read_includes,
    )
