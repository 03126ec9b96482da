"""From a clean tile and its recorded parameters to a sample: noise, the ISP, the finish.

The shard maker and the lazy reader both call :meth:`Developer.batch`. It sees nothing but what the
corpus stores, so that what is computed when read equals what would have been stored.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from noisegen import cfa, random
from noisegen.errors import MissingDataError
from noisegen.isp.bulk import render
from noisegen.isp.finish import finish as finished
from noisegen.isp.finish import needed
from noisegen.isp.parameters import (
    HALO,
    Demosaic,
    FinishParameters,
    Gamma,
    IspParameters,
    Matrix3,
)
from noisegen.sensor import (
    Address,
    BatchLevels,
    BodyBatch,
    BodyFigures,
    BodyParameters,
    Figures,
    Levels,
    NoiseParameters,
    Present,
    add_noise_batch,
    amplify,
)
from noisegen.sensor import models as noise_models
from pipelines import finishing, parameters, shading
from pipelines.dark import DarkFrames
from pipelines.recipe import Recipe
from pipelines.tile import Window, places

SHOTS = 32
"""Noisy pictures of which ``target = "mean"`` takes the mean; their draws are the last of all."""

Arrays = dict[str, npt.NDArray[Any]]
Mosaic = npt.NDArray[np.uint16]
Mosaics = npt.NDArray[np.uint16]


class Tile(NamedTuple):
    """What samples are made of, and what a lazy corpus stores of a patch.

    ``name`` is its array's, ``dtype`` its type, ``tail`` the lengths after y and x.
    """

    name: str
    dtype: str
    tail: tuple[int, ...]
    units: str
    description: str


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
    body
        What the camera's body adds.
    """

    model: str
    clips_at: Literal["adc", "black"]
    read_includes: tuple[Literal["quantisation", "row"], ...]
    body: BodyFigures = field(default_factory=BodyFigures)

    def to_json(self) -> dict[str, Any]:
        """Return the value as JSON data."""
        return {
            "model": self.model,
            "clips_at": self.clips_at,
            "read_includes": list(self.read_includes),
            "body": vars(self.body),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Sensor":
        """Turn :meth:`to_json` back."""
        return cls(
            data["model"],
            data["clips_at"],
            tuple(data["read_includes"]),
            BodyFigures(**data["body"]),
        )


def recorded(sensor: Sensor, recipe: Recipe) -> Sensor:
    """Return the sensor whose noise the rows of a recipe's corpus record.

    With dark frames that is shot noise, their mean, and normal read noise of their variance.
    """
    return replace(sensor, model="eld-gaussian") if recipe.dark_frames else sensor


@dataclass(frozen=True)
class Developer:
    """Makes the arrays of a sample.

    Attributes
    ----------
    recipe
        Its stage, bits, demosaic, gamma, border, amplify, finish and seed say what is made.
    sensor
        The camera's part that is the same for all samples.
    dark
        The recipe's dark frames; a corpus alone does not have them.
    own_shading
        Gives the shading that an image's file records, where the recipe takes that.
    """

    recipe: Recipe
    sensor: Sensor
    dark: DarkFrames | None = None
    own_shading: shading.OwnShading | None = None

    @cached_property
    def halo(self) -> int:
        """Surroundings of a patch that its tile carries, in pixels."""
        if self.recipe.stage == "raw" or self.recipe.border == "published":
            return 0
        return HALO[self.recipe.demosaic] + finishing.halo(self.recipe.finish)

    @cached_property
    def core(self) -> int:
        """Edge of the square of a frame that a tile surrounds: the patch, unless it is shrunk."""
        return finishing.core(self.recipe.finish, self.recipe.patch)

    def window(self, y: int, x: int, height: int, width: int) -> Window:
        """Return the window of a tile whose core lies at (y, x) of a frame of that size."""
        return Window(y, x, self.core, self.halo, height, width)

    @property
    def tile(self) -> Tile:
        """What a tile is."""
        text = "clean mosaic, with the surroundings that rendering needs"
        return Tile("raw_clean", "uint16", (), "DN", text)

    def sample(self, row: np.void, tile: Mosaic, window: Window) -> Arrays:
        """Return all arrays of a sample.

        Parameters
        ----------
        row
            The sample's recorded parameters; its place is that of the window.
        tile
            (core + 2 halo, core + 2 halo) clean mosaic, in digital numbers.
        window
            Where the tile lies in its frame, from :meth:`window`.

        Returns
        -------
        dict
            ``clean`` and ``noisy``, and ``raw_clean`` and ``raw_noisy`` at stage "both". Renderings
            are (P, P, 3), mosaics (P, P).
        """
        size = np.array([[window.height, window.width]])
        rows = np.array([[row]])
        rows["y"], rows["x"] = window.y, window.x
        batch = self.batch(rows, tile[None], size)
        return {name: array[0] for name, array in batch.items()}

    def batch(
        self, rows: npt.NDArray[np.void], tiles: Mosaics, sizes: npt.NDArray[np.integer]
    ) -> Arrays:
        """Return all arrays of the samples of several patches.

        Parameters
        ----------
        rows
            (patches, draws) recorded parameters.
        tiles
            (patches, core + 2 halo, core + 2 halo) clean mosaics, in digital numbers.
        sizes
            (patches, 2) height and width of the frame that each patch was cut from.

        Returns
        -------
        dict
            As :meth:`sample`, with a leading axis of patches x draws samples, draws fastest.
        """
        stage, draws = self.recipe.stage, rows.shape[1]
        noisy = self.noisy_tiles(rows, tiles, sizes)
        if stage == "raw":
            return {"clean": _each(tiles, draws), "noisy": noisy}
        out: Arrays = {
            "clean": _each(self._clean(rows[:, 0], tiles, sizes), draws),
            "noisy": self._pictures(
                rows.reshape(-1), noisy, np.repeat(sizes, draws, axis=0), self._finish
            ),
        }
        if stage == "both":
            core = slice(self.halo, self.halo + self.recipe.patch)
            for name, mosaics in (("raw_clean", _each(tiles, draws)), ("raw_noisy", noisy)):
                out[name] = np.ascontiguousarray(mosaics[:, core, core])
        return out

    def noisy_tiles(
        self, rows: npt.NDArray[np.void], tiles: Mosaics, sizes: npt.NDArray[np.integer]
    ) -> Mosaics:
        """Return the tiles with their noise; what lies outside of the frame is reflected after.

        Parameters and the order of the result are those of :meth:`batch`.
        """
        draws = rows.shape[1]
        flat = rows.reshape(-1)
        height, width = np.repeat(sizes, draws, axis=0).T
        counter = random.counter(self.recipe.seed, 0)
        ratio = flat["exposure_ratio"]
        levels = BatchLevels(flat["black"], flat["white"])
        clips_at = self.sensor.clips_at
        noisy = np.empty((len(flat), *tiles.shape[1:]), np.uint16)
        inner = tiles.shape[1] - 2 * self.halo
        place = places(flat["y"], flat["x"], inner, self.halo, height, width)
        add_noise_batch(
            tiles,
            noisy,
            noise_models.get(self.sensor.model),
            Figures(*(flat[name] for name in Figures._fields)),
            levels,
            Address(
                (counter.key0, counter.key1),
                flat["key"],
                flat["draw"],
                np.repeat(np.arange(len(rows)), draws),
                place,
            ),
            phase=flat["cfa"],
            gain=1 / ratio,
            clips_at=clips_at,
            read_includes=self.sensor.read_includes,
            bodies=self._bodies(flat, tiles.shape[1]),
            present=self._present(flat),
        )
        if self.recipe.amplify:
            for row, mosaic in zip(flat, noisy, strict=True):
                levels_of = _levels(tuple(row["black"].tolist()), float(row["white"]), clips_at)
                phase = cfa.PHASES[int(row["cfa"])]
                mosaic[:] = amplify(mosaic, float(row["exposure_ratio"]), levels_of, phase)
        return noisy

    def _present(self, rows: npt.NDArray[np.void]) -> Present | None:
        """Return the noise of the tiles themselves where it is topped up to the camera's."""
        if self.recipe.source_noise.policy != "top-up":
            return None
        return Present(np.nan_to_num(rows["source_shot"]), np.nan_to_num(rows["source_read"]))

    def _bodies(self, rows: npt.NDArray[np.void], size: int) -> BodyBatch | None:
        """Return the bodies of samples whose tiles are of a size; None where no term is on."""
        figures, dark = self.sensor.body, None
        if self.recipe.dark_frames:
            if self.dark is None:
                raise MissingDataError(
                    "noise of dark frames cannot be drawn without them; use what is stored"
                )
            dark = self.dark.tiles(rows, self.halo, size)
        elif not figures.on:
            return None
        counter = body_counter(self.recipe, 0)
        return BodyBatch.at(
            figures,
            rows["gain"],
            rows["white"] - rows["black"][:, 1],
            np.nan_to_num(rows["exposure_time"]),
            (counter.key0, counter.key1),
            np.full(len(rows), counter.camera, np.uint32),
            rows["body"],
            dark,
        )

    def _finish(self, row: np.void) -> FinishParameters:
        """Return what is done to the noisy picture."""
        recipe = self.recipe
        if not recipe.finish.is_on:
            return _UNFINISHED
        isp = isp_parameters(row, recipe.demosaic, recipe.gamma)
        return finishing.parameters_of(row, recipe, isp)

    def _before(self, row: np.void) -> FinishParameters:
        """Return what is done to the clean one."""
        if self.recipe.finish.target == "finished":
            return self._finish(row)
        if self.recipe.finish.shrinks:
            return FinishParameters(resize=float(row["resize"]))
        return _UNFINISHED

    def _clean(
        self, rows: npt.NDArray[np.void], tiles: Mosaics, sizes: npt.NDArray[np.integer]
    ) -> npt.NDArray[Any]:
        """Return the clean pictures of patches, the same for all their draws."""
        if self.recipe.finish.target != "mean":
            return self._pictures(rows, tiles, sizes, self._before)
        shape = (len(rows), self.recipe.patch, self.recipe.patch, 3)
        total = np.full(shape, SHOTS // 2, np.uint32)
        for shot in range(SHOTS):
            own = rows.copy()
            own["draw"] = random.DRAWS - SHOTS + shot
            noisy = self.noisy_tiles(own[:, None], tiles, sizes)
            total += self._pictures(own, noisy, sizes, self._finish)
        return (total // SHOTS).astype(np.uint8 if self.recipe.depth == 8 else np.uint16)

    def _pictures(
        self,
        rows: npt.NDArray[np.void],
        mosaics: Mosaics,
        sizes: npt.NDArray[np.integer],
        finish: Callable[[np.void], FinishParameters],
    ) -> npt.NDArray[Any]:
        recipe, patch, halo = self.recipe, self.recipe.patch, self.halo
        dtype = np.uint8 if recipe.depth == 8 and recipe.stage != "linear" else np.uint16
        out = np.empty((len(rows), patch, patch, 3), dtype)
        core = (halo, halo, patch, patch)
        # Of a shading that is a file's own NaN is recorded, which is not 0 either.
        if not recipe.finish.is_on and not rows["shading"].any():
            for run in parameters.alike(rows, *_RENDERING):
                frame = _size(sizes[run.start])
                self._render(rows[run.start], mosaics[run], frame, recipe.depth, core, out[run])
            return out
        for row, mosaic, size, picture in zip(rows, mosaics, sizes, out, strict=True):
            after = finish(row)
            if after.changes_pixels:
                picture[:] = self._finished(row, mosaic, _size(size), after)
            else:
                self._render(row, mosaic, _size(size), recipe.depth, core, picture)
        return out

    def _finished(
        self, row: np.void, mosaic: Mosaic, frame: tuple[int, int], finish: FinishParameters
    ) -> npt.NDArray[Any]:
        """Render what the finished patch is made of, and finish it."""
        y, x = int(row["y"]), int(row["x"])
        wanted = finishing.window(y, x, self.recipe.patch, finish.resize)
        top, left, height, width = needed(finish, frame, wanted)
        cut = (top - y + self.halo, left - x + self.halo, height, width)
        picture = self._render(row, mosaic, frame, 16, cut)
        return finished(
            picture,
            finish,
            bits=self.recipe.depth,
            frame=frame,
            corner=(top, left),
            window=wanted,
        )

    def _render(
        self,
        row: np.void,
        mosaic: Mosaic,
        frame: tuple[int, int],
        bits: Literal[8, 16],
        cut: tuple[int, int, int, int],
        out: npt.NDArray[Any] | None = None,
    ) -> npt.NDArray[Any]:
        recipe, linear = self.recipe, self.recipe.stage == "linear"
        return render(
            mosaic,
            cfa.PHASES[int(row["cfa"])],
            row["black"].tolist(),
            float(row["white"]),
            isp_parameters(row, recipe.demosaic, recipe.gamma, clip_black=not linear),
            bits=bits,
            stage="linear" if linear else "srgb",
            border=recipe.border,
            cut=cut,
            shading=shading.of_row(row, recipe.shading, self.own_shading, frame, self.halo),
            out=out,
        )


_UNFINISHED = FinishParameters()

_RENDERING = ("cfa", "black", "white", "wb", "cam_to_xyz", "tone")
"""Parameters on which the rendering of a patch depends, if there is no shading."""


def _size(pair: npt.NDArray[np.integer]) -> tuple[int, int]:
    height, width = pair.tolist()
    return height, width


def _each(arrays: npt.NDArray[Any], draws: int) -> npt.NDArray[Any]:
    """Return one array a draw."""
    return arrays if draws == 1 else np.repeat(arrays, draws, axis=0)


_levels = lru_cache(maxsize=64)(Levels)
"""The levels of a corpus are few: they are checked once, not for every sample."""


def isp_parameters(
    row: np.void, demosaic: Demosaic, gamma: Gamma, *, clip_black: bool = True
) -> IspParameters:
    """Return the ISP's parameters that a row of the table records."""
    return _isp_parameters(
        white_balance=tuple(row["wb"].tolist()),
        cam_to_xyz=matrix3(row["cam_to_xyz"]),
        demosaic=demosaic,
        gamma=gamma,
        alpha=float(row["tone"]),
        clip_black=clip_black,
    )


_isp_parameters = lru_cache(maxsize=256)(IspParameters)
"""A patch is rendered clean and noisy, and an image's patches often alike: checked once."""


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


def body_parameters(row: np.void, sensor: Sensor, levels: Levels) -> BodyParameters:
    """Return what the body adds to the sample of a row of the table."""
    exposure_time = float(np.nan_to_num(row["exposure_time"]))
    return sensor.body.at(float(row["gain"]), levels, exposure_time)


def body_counter(recipe: Recipe, body: int) -> random.BodyCounter:
    """Return the counter of the fixed pattern of a body of a resolved recipe's camera."""
    return random.body_counter(recipe.seed, random.camera_word(recipe.camera), body)
