"""NeCA's noise in a corpus: drawn on whole rendered pictures, of which patches are the crops.

A picture has one gain (or σ), and its field e is counted by (seed, image, draw, y, x): two patches
that overlap share their noise. The level network looks at the whole picture; the correlation
network is run for the patches alone, which gives the crops of what it would give for the picture.
"""

import contextlib
import platform
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

import catalogs
from catalogs import cameras
from catalogs.camera_noise import log_uniform
from catalogs.sources import pictures
from noisegen import random
from noisegen.errors import CorpusMismatchError, InputError, MissingDataError
from noisegen.jpeg import SUBSAMPLINGS
from noisegen.picture.parameters import Picture
from pipelines.develop import Arrays
from pipelines.on_picture import RenderedDeveloper
from pipelines.recipe import Recipe
from pipelines.tables import ends
from pipelines.tables.neca import NOISES, WHOLE
from pipelines.tile import Window

if TYPE_CHECKING:
    from noisegen.neca import Neca, Sampler
    from noisegen.neca.sampling import Precision
    from pipelines.rendered import RenderedFrame

SHIPPED = Path(catalogs.__file__).parent / "neca"
"""Weights of cameras that need no download, ``NAME.safetensors``."""

DIGITS = 4
"""Of a gain that is read off a picture: more of them differ between processors."""

SIGMA = 25.0
"""Of NeCA-S in 8-bit codes, as published."""


@dataclass(frozen=True)
class Whole:
    """A whole clean picture and its level: m of each pixel, or one number for all."""

    picture: Picture
    level: npt.NDArray[np.float32] | float


@dataclass(frozen=True)
class NecaDeveloper(RenderedDeveloper):
    """Makes the arrays of a sample of its whole clean picture.

    Attributes
    ----------
    place
        Folder or file of the recipe's networks; None where a corpus is read only.
    whole
        The picture that is at work.
    """

    place: str | None = None
    whole: Whole | None = None

    def of_picture(self, frame: "RenderedFrame", rows: npt.NDArray[np.void]) -> "NecaDeveloper":
        """Return the developer of the patches of one picture, whose rows are drawn."""
        first = rows[0, 0]
        return self.of_whole(frame.whole(float(first["tone"])), float(first["strength"]))

    def of_whole(self, picture: Picture, strength: float) -> "NecaDeveloper":
        """Return the developer of the patches of one clean picture, with its gain or σ."""
        with _one_thread():
            if self.recipe.noise == WHOLE:
                level: Any = self._networks.level_map(picture, strength)
            else:
                level = strength / 255
        return replace(self, whole=Whole(picture, level))

    def sample(self, row: np.void, tile: Picture, window: Window) -> Arrays:
        """Return ``clean`` and ``noisy`` of a sample of the picture that is at work."""
        rows = np.array([[row]])
        batch = self.batch(rows, tile[None], np.array([[window.height, window.width]]))
        return {name: array[0] for name, array in batch.items()}

    def batch(
        self, rows: npt.NDArray[np.void], tiles: Picture, sizes: npt.NDArray[np.integer]
    ) -> Arrays:
        """Return ``clean`` and ``noisy`` of the samples of several patches of that picture.

        Parameters
        ----------
        rows
            (patches, draws) recorded parameters.
        tiles
            (patches, P, P, 3) clean pictures.
        sizes
            Sizes of the frames, which are that of the picture.

        Raises
        ------
        InputError
            If no picture is at work: a corpus holds none.
        """
        from noisegen.neca import Window as Part

        if self.whole is None:
            raise InputError(
                f"noise {self.recipe.noise} is drawn on whole pictures, which a corpus does not "
                "hold: only noisegen synthesize draws it"
            )
        clean = np.repeat(tiles, rows.shape[1], axis=0)
        noisy = np.empty_like(clean)
        patch = self.core
        with _one_thread():
            for row, out in zip(rows.reshape(-1), noisy, strict=True):
                y, x = int(row["y"]), int(row["x"])
                counter = random.counter(self.recipe.seed, int(row["image"]), int(row["draw"]))
                window = Part(y, y + patch, x, x + patch)
                out[:] = self._networks.add_noise(
                    self.whole.picture,
                    self.whole.level,
                    counter,
                    window,
                    quality=int(row["jpeg_quality"]),
                )
        return {"clean": clean, "noisy": noisy}

    def draw(self, rows: npt.NDArray[np.void]) -> None:
        """Draw what the picture's patches share into their rows."""
        table, image = self.recipe.neca, int(rows[0, 0]["image"])
        rng = random.generator(self.recipe.seed, random.Stream.NECA_GAIN, image)
        if self.recipe.noise != WHOLE:
            low, high = ends(SIGMA if table.sigma is None else table.sigma)
            rows["strength"] = low + (high - low) * rng.random()
        elif table.gain is not None:
            rows["strength"] = log_uniform(rng.random(), ends(table.gain))
        elif table.iso is not None:
            iso = log_uniform(rng.random(), ends(table.iso))
            rows["iso"], rows["strength"] = iso, self._networks.card.gain_at(iso, rng.random())
        else:
            rows["iso"], rows["strength"] = self._networks.card.draw_gain(rng)
        rows["exposure_ratio"] = 1
        jpeg = self._networks.card.jpeg
        if jpeg is not None and table.jpeg:
            rows["jpeg_quality"] = jpeg.draw(rng)
            rows["jpeg_subsampling"] = SUBSAMPLINGS.index(jpeg.subsampling)

    @property
    def _networks(self) -> "Sampler":
        if self.place is None:
            raise InputError(_MISSING.format(self.recipe.camera))
        table = self.recipe.neca
        whole = self.recipe.noise == WHOLE
        return _sampler(self.place, whole, table.device, table.precision)


_MISSING = (
    "there are no NeCA weights of camera {}: fit them to pairs (noisegen fit neca), or give a "
    "folder of published ones with --neca-weights DIR"
)


def of_folder(recipe: Recipe, weights: str | None) -> tuple[Recipe, str | None]:
    """Return recipe and weights where the camera is a folder with both, as a fit leaves it.

    The folder has NeCA's networks, and may have a camera's figures as ``camera.toml``. Without them
    raws and scene-linear pictures are rendered for the camera on the networks' card where the
    catalog has it, and for the recipe's default where not, as with other noise of pictures.

    Raises
    ------
    NoisegenError
        If there are no networks in the folder.
    """
    folder = Path(recipe.camera)
    if recipe.noise not in NOISES or recipe.camera_file is not None or not folder.is_dir():
        return recipe, weights
    place = weights if weights is not None else str(folder.absolute())
    figures = folder / "camera.toml"
    camera = str(figures) if figures.is_file() else _loaded(place, False).card.camera
    if not figures.is_file() and camera not in cameras.names():
        camera = Recipe.model_fields["camera"].default
    return recipe.model_copy(update={"camera": camera}), place


def resources(recipe: Recipe) -> dict[str, int]:
    """Return what a Dask worker must offer to draw a recipe's noise."""
    return {"GPU": 1} if recipe.neca.device == "cuda" else {}


def with_weights(recipe: Recipe, place: str | None) -> Recipe:
    """Return the recipe with the hash of its networks in it, and the gain of its noisy picture.

    Parameters
    ----------
    recipe
        Of any noise; without NeCA's it stays as it is.
    place
        Folder or file of the weights; None: the camera's shipped ones.

    Raises
    ------
    NoisegenError
        If there are none, they do not fit, they are others than the recipe's, or their card does
        not have the gains that are asked for.
    """
    if recipe.noise not in NOISES:
        if place is not None:
            raise InputError(
                f"--neca-weights: noise {recipe.noise or 'of the camera'} has no use for them; "
                f"use --noise {WHOLE}"
            )
        return recipe
    neca = _networks(recipe, place)
    table = recipe.neca.model_copy(update={"weights": neca.sha256})
    if table.gain_from is not None:
        gain = _gain_of(table.gain_from, _place(recipe, place))
        table = table.model_copy(update={"gain": gain, "gain_from": None})
    recipe = recipe.model_copy(update={"neca": table})
    _check_gains(recipe, neca)
    if neca.card.jpeg is not None and recipe.neca.jpeg and recipe.depth != 8:
        raise InputError(
            f"bits: the noise of {neca.card.camera or recipe.camera} is that of JPEGs "
            f"({neca.card.jpeg}), which have 8 bits; leave bits away, or set neca.jpeg = false"
        )
    return recipe


def with_networks(developer: NecaDeveloper, place: str | None) -> NecaDeveloper:
    """Return the developer that draws with its recipe's networks; arguments as above."""
    _networks(developer.recipe, place)
    return replace(developer, place=str(_place(developer.recipe, place)))


def at_hand(developer: NecaDeveloper, place: str | None) -> NecaDeveloper | None:
    """Return the developer that draws with a corpus's networks, on the CPU, on pictures given it.

    Parameters
    ----------
    developer
        Of a corpus that is read.
    place
        Folder or file of the weights. None: the camera's shipped ones; where the corpus was not
        made with these, nothing is returned.

    Raises
    ------
    NoisegenError
        If what is given is not what the corpus was made with.
    """
    table = developer.recipe.neca.model_copy(update={"device": "cpu"})
    made = replace(developer, recipe=developer.recipe.model_copy(update={"neca": table}))
    try:
        return with_networks(made, place)
    except (MissingDataError, CorpusMismatchError):
        if place is not None:
            raise
        return None


def attributes(developer: NecaDeveloper) -> dict[str, Any]:
    """Return what a corpus says of its networks and of the machine that began it."""
    import torch

    recipe = developer.recipe
    card = _networks(recipe, developer.place).card
    return {
        "noise": {
            "name": recipe.noise,
            "fitted_to": card.data,
            "licence": card.licence,
            "weights": recipe.neca.weights,
            "camera": card.camera,
            "origin": card.origin,
        },
        "computed_on": {
            "device": _device(recipe),
            "instructions": torch.backends.cpu.get_cpu_capability(),
            "torch": torch.__version__,
            "threads": 1,
        },
    }


def _networks(recipe: Recipe, place: str | None) -> "Neca":
    found = _place(recipe, place)
    if place is None and not found.is_file():
        raise MissingDataError(_MISSING.format(recipe.camera))
    neca = _loaded(str(found), recipe.noise == WHOLE)
    if recipe.neca.weights not in (None, neca.sha256):
        raise CorpusMismatchError(
            f"neca.weights: {found} holds other networks than the recipe's; give their folder with "
            "--neca-weights, or delete neca.weights from the recipe to draw from these"
        )
    return neca


def _place(recipe: Recipe, place: str | None) -> Path:
    return Path(place) if place is not None else SHIPPED / f"{recipe.camera}.safetensors"


@lru_cache(maxsize=2)
def _sampler(place: str, whole: bool, device: str, precision: "Precision") -> "Sampler":
    import torch

    from noisegen.neca import Sampler

    if device == "cuda" and not torch.cuda.is_available():
        raise InputError(
            "neca.device: there is no CUDA device on this machine; use cpu, or Dask workers that "
            "have one"
        )
    # Patches are small windows, for which a wide halo does not pay.
    networks = _loaded(place, whole)
    return Sampler(networks, device=device, precision=precision, winograd=False)


@lru_cache(maxsize=4)
def _loaded(place: str, whole: bool) -> "Neca":
    from noisegen import neca

    return neca.load(place, ("level", "correlation") if whole else ("correlation",))


def _check_gains(recipe: Recipe, neca: "Neca") -> None:
    """Refuse gains that cannot be drawn, before anything is written."""
    table, card = recipe.neca, neca.card
    if recipe.noise != WHOLE:
        return
    if table.gain is None:
        for iso in (min(card.gains, default=0),) if table.iso is None else ends(table.iso):
            card.gain_at(iso)
    elif ends(table.gain)[1] > card.highest_gain:
        raise InputError(
            f"neca.gain: {ends(table.gain)[1]:g} is far above the gains that these networks were "
            f"trained at; {card.highest_gain:.3g} is the most"
        )


def _gain_of(path: str, place: Path) -> float:
    """Return the gain of a noisy picture by the network E, to the digits that any machine gives."""
    from noisegen import neca

    file = Path(path).expanduser()
    if not file.is_file():
        raise MissingDataError(f"neca.gain_from: there is no picture at {path}; check the path")
    picture = pictures.decode(file.read_bytes(), path)
    sampler = neca.Sampler(neca.load(place, ("gain", "correlation")))
    with _one_thread(), warnings.catch_warnings(record=True) as cut:
        warnings.simplefilter("always")
        gain = sampler.gain(picture)
    if cut:
        raise InputError(
            f"neca.gain_from: {path}: {cut[0].message}; give a noisy picture of that camera, or "
            "neca.gain"
        )
    return float(f"{gain:.{DIGITS}g}")


def _device(recipe: Recipe) -> str:
    import torch

    if recipe.neca.device == "cuda":
        return torch.cuda.get_device_name() if torch.cuda.is_available() else "cuda"
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Let torch compute in one thread: with more, last bits depend on how many."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
