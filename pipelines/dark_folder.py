"""A folder of dark frames: named in the recipe by content, and checked against the camera."""

import hashlib
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from catalogs import cameras
from catalogs.camera import Camera
from catalogs.sources import SourceImage
from catalogs.sources.folder import RAW_EXTENSIONS, read_file, sidecars
from catalogs.sources.roots import Root
from noisegen import cfa
from noisegen.errors import InputError, MissingDataError
from noisegen.raw import RawMetadata
from noisegen.sensor import BodyFigures, models
from noisegen.sensor.body import check_dark
from pipelines import recipe as recipes
from pipelines.dark import DarkFrame, DarkFrames
from pipelines.recipe import Recipe
from pipelines.tables import ends

REPLACED = ("read", "row", "bias")
"""Terms of a noise model that dark frames stand for."""

BRIGHTEST = 0.02
"""Farthest that the mean of a frame may be from black, white - black being 1."""

MOST_CUT = 0.01
"""Largest share of pixels with the code 0, below which a converter has no code."""


def with_frames(recipe: Recipe, root: str | None) -> Recipe:
    """Return the recipe with the frames of a folder in it, by name and content.

    A recipe that names its frames already keeps them; the folder must hold them.

    Raises
    ------
    InputError
        If there is no raw file, a named one is missing or another, or the recipe has no use for
        dark frames.
    """
    if root is None:
        return recipe
    folder = Root(root)
    raws = [n for n in folder.names() if PurePosixPath(n).suffix.lower() in RAW_EXTENSIONS]
    if not recipe.dark_frames:
        if not raws:
            raise MissingDataError(
                f"no raw file under {root}; --dark-frames takes a folder of raw files that the "
                "camera took with its lens covered"
            )
        found = {name: _sha256(folder, name) for name in raws}
        data = recipe.model_dump(by_alias=True) | {"dark_frames": found}
        return recipes.parse(data)
    for name, sha256 in recipe.dark_frames.items():
        if name not in raws or _sha256(folder, name) != sha256:
            what = "is another file there" if name in raws else "is not there"
            raise MissingDataError(
                f"dark_frames: the recipe's frame {name} {what} ({root}); give its folder, or "
                "delete [dark_frames] from the recipe to draw from this one"
            )
    return recipe


def check(recipe: Recipe, camera: Camera | None, model: str, body: BodyFigures) -> None:
    """Refuse what dark frames cannot give, before any of them is read.

    Raises
    ------
    InputError
        If no file could be shown to be the camera's or to be at its setting, or something would be
        counted twice or not at all.
    """
    if not recipe.dark_frames:
        return
    if camera is None:
        raise InputError("dark_frames: camera 'as-shot' is of any make; name the frames' camera")
    if not camera.models:
        raise InputError(
            f"dark_frames: camera {camera.name} states no make and model to compare frames with; "
            "write them into a camera file of your own"
        )
    if camera.iso_range is None or recipe.gain is not None:
        raise InputError(
            f"dark_frames: frames are chosen by ISO; leave --gain away, and camera {camera.name} "
            "must be one that is set by ISO"
        )
    if camera.levels.clips_at == "black":
        raise InputError(
            f"dark_frames: camera {camera.name} cuts its codes at black, so its dark frames have "
            "lost half of their noise"
        )
    if recipe.source_noise.policy == "top-up":
        raise InputError(
            "dark_frames: a frame has all of its noise, whatever the source has already; use "
            "--source-noise reject, bin2 or ignore"
        )
    if models.get(model).shot == "none":
        raise InputError(
            f"dark_frames: noise '{model}' has no shot noise to go with them; use poisson-gaussian"
        )
    for term in recipe.without:
        if term in REPLACED:
            raise InputError(f"without: dark frames stand for '{term}'; leave one of them away")
    try:
        check_dark(body)
    except InputError as error:
        raise InputError(f"dark_frames: {error}") from None


def survey(recipe: Recipe, root: str | None, camera: Camera, edge: int) -> DarkFrames:
    """Read all frames of a recipe and check them.

    Parameters
    ----------
    recipe
        A resolved recipe with frames.
    root
        Their folder.
    camera
        That must have taken them.
    edge
        Pixels that a sample needs with all that its rendering reaches.

    Raises
    ------
    InputError
        If the folder is not given, a frame is not what it should be, or none is at an ISO that is
        asked for.
    UnreadableFileError
        If a frame cannot be read.
    """
    folder = Root(_given(root))
    frames = [_frame(folder, name, camera, edge) for name in sorted(recipe.dark_frames)]
    found = _frames(recipe, folder.url, frames)
    if not found.usable:
        low_high = dict.fromkeys(f"{iso:g}" for iso in found.isos or ())
        raise found.missing(f"ISO {'-'.join(low_high)}")
    for number in found.usable:
        camera.check(iso=found.frames[number].iso)
    return found


def of_corpus(recipe: Recipe, root: str | None, attributes: dict[str, Any]) -> DarkFrames:
    """Return the frames of a corpus, as it recorded them when it was begun."""
    frames = [DarkFrame.from_json(data) for data in attributes["dark_frames"]]
    return _frames(recipe, _given(root), frames)


def _frames(recipe: Recipe, root: str, frames: list[DarkFrame]) -> DarkFrames:
    isos = None if recipe.iso in (None, "as-shot") else ends(recipe.iso)  # type: ignore[arg-type]
    return DarkFrames(root, frames, isos)


def _given(root: str | None) -> str:
    if root is None:
        raise MissingDataError(
            "dark_frames: the recipe draws from dark frames; give their folder with --dark-frames"
        )
    return root


def _sha256(folder: Root, name: str) -> str:
    """Return the hash of a frame, and of what describes one that has no header."""
    digest = hashlib.sha256(folder.read(name))
    for beside in filter(folder.has, sidecars(name)):
        digest.update(folder.read(beside))
    return digest.hexdigest()


def _frame(folder: Root, name: str, camera: Camera, edge: int) -> DarkFrame:
    """Read one frame, check it, and measure its noise."""
    image = read_file(folder, name)
    raw = image.raw
    where = folder.locate(name)
    if raw is None:
        raise InputError(f"{where}: a picture, no raw file; take it out of the folder")
    _check(where, raw, camera, edge)
    counts = [_moments(image, raw.cfa, plane) for plane in range(4)]
    spans = [raw.white_level - black for black in raw.black_level]
    bias = [m.mean - black for m, black in zip(counts, raw.black_level, strict=True)]
    if max(abs(b / span) for b, span in zip(bias, spans, strict=True)) > BRIGHTEST:
        raise InputError(
            f"{where}: not dark, its mean is {max(bias, key=abs):.4g} DN from its black level; "
            "take it with the lens covered"
        )
    if max(m.zeros for m in counts) > MOST_CUT:
        raise InputError(
            f"{where}: cut at code 0, where {100 * max(m.zeros for m in counts):.3g} % of its "
            "pixels are; its noise is not whole"
        )
    read = [m.variance for m in counts]
    return DarkFrame(
        name,
        image.sha256.hex(),
        float(raw.iso or 0),
        *raw.shape,
        raw.cfa,
        raw.black_level,
        (read[0], read[1], read[2], read[3]),
        (bias[0], bias[1], bias[2], bias[3]),
    )


def _check(where: str, raw: RawMetadata, camera: Camera, edge: int) -> None:
    taken = " ".join(filter(None, (raw.make, raw.model))) or "no camera that it names"
    if not cameras.wrote(camera, raw.make, raw.model):
        raise InputError(
            f"{where}: a dark frame of another camera ({taken}); camera {camera.name} is "
            f"{camera.make} {' or '.join(camera.models)}"
        )
    if not raw.iso:
        raise InputError(f"{where}: does not say its ISO, which dark frames are chosen by")
    if raw.bits != camera.bits:
        raise InputError(
            f"{where}: codes of {raw.bits} bits, camera {camera.name} has {camera.bits}; take dark "
            "frames with the setting that the camera's figures are for"
        )
    if min(raw.shape) < edge + 1:  # one pixel more, for the CFA's phase
        raise InputError(
            f"{where}: {raw.shape[0]} x {raw.shape[1]} pixels, a patch with its surroundings needs "
            f"{edge + 1}; use a smaller --patch"
        )


@dataclass(frozen=True)
class _Moments:
    mean: float
    variance: float
    zeros: float


def _moments(image: SourceImage, phase: cfa.Phase, plane: int) -> _Moments:
    """Return mean and variance of a plane's codes, exact before the last rounding."""
    y, x = np.argwhere(cfa.planes(phase) == plane)[0]
    codes = image.pixels[y::2, x::2].astype(np.int64).ravel()
    n, total, squares = codes.size, int(codes.sum()), int((codes * codes).sum())
    zeros = n - int(np.count_nonzero(codes))
    return _Moments(total / n, (n * squares - total * total) / (n * n), zeros / n)
