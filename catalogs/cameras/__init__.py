"""The cameras noisegen knows by name: one TOML file each, in this folder.

>>> from catalogs import cameras
>>> cameras.load("GP").iso_range
(100.0, 3200.0)
"""

import math
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from catalogs.camera import (
    LIGHT_SOURCES,
    Camera,
    ColorMatrix,
    Illuminant,
    SensorState,
    Source,
)
from catalogs.camera_file import parse
from catalogs.camera_noise import Point, Table
from noisegen.errors import InputError, MissingDataError, UnknownNameError, UnreadableFileError
from noisegen.sensor.parameters import Levels

if TYPE_CHECKING:  # rawpy and tifffile are not needed to look a camera up
    from noisegen.raw import RawMetadata

__all__ = [
    "AS_SHOT",
    "Camera",
    "SensorState",
    "as_shot",
    "load",
    "match",
    "names",
    "parse",
    "wrote",
]

AS_SHOT = "as-shot"
"""Name of the camera that is a raw file's own; :func:`as_shot` makes it."""

_ILLUMINANTS: dict[int, Illuminant] = {code: name for name, code in LIGHT_SOURCES.items()}


@cache
def names() -> tuple[str, ...]:
    """Return the names of all cameras, in alphabetical order."""
    files = resources.files(__name__).iterdir()
    stems = (f.name.removesuffix(".toml") for f in files if f.name.endswith(".toml"))
    return tuple(sorted(stems, key=str.lower))


def load(name_or_path: str | Path) -> Camera:
    """Return a camera by name, or of a TOML file by its path (anything that ends in ``.toml``).

    Raises
    ------
    UnknownNameError
        If no camera has that name.
    MissingDataError
        If there is no such file.
    InputError
        If the file does not hold a camera; the line names file and key.
    """
    text = str(name_or_path)
    return _load_file(Path(text)) if text.endswith(".toml") else _load_name(text)


def match(make: str | None, model: str | None) -> Camera | None:
    """Return the camera that wrote a file with this EXIF make and model, None if none is known.

    Makes are compared by their first word ("NIKON CORPORATION", "Nikon"), both without regard to
    case. Where several files are of one model, the first by name is taken.
    """
    every = (_load_name(name) for name in names())
    return next((camera for camera in every if wrote(camera, make, model)), None)


def wrote(camera: Camera, make: str | None, model: str | None) -> bool:
    """Tell whether files with this EXIF make and model are a camera's; compared as in `match`."""
    if not make or not model:
        return False
    wanted = _words(make)[:1], " ".join(_words(model))
    return any(wanted == (_words(camera.make)[:1], " ".join(_words(m))) for m in camera.models)


def as_shot(metadata: "RawMetadata") -> Camera:
    """Return the camera that a raw file describes itself, from its NoiseProfile and levels.

    Parameters
    ----------
    metadata
        What :func:`noisegen.raw.read_metadata` found in the file.

    Raises
    ------
    UnreadableFileError
        If the file has no NoiseProfile, or one that no sensor has.
    """
    if metadata.noise_profile is None:
        raise UnreadableFileError(
            f"{metadata.path}: no NoiseProfile tag, which --camera as-shot needs; "
            "name a camera instead ('noisegen cameras' lists them)"
        )
    shot, read = metadata.noise_profile
    iso = float(metadata.iso) if metadata.iso else None
    try:
        table = Table(kind="table", points=(Point(iso=iso, shot=shot, read=read),))
    except ValidationError:
        raise UnreadableFileError(
            f"{metadata.path}: its NoiseProfile (shot {shot}, read {read}) is not a noise level; "
            "name a camera instead ('noisegen cameras' lists them)"
        ) from None
    neutral = metadata.as_shot_neutral
    return Camera(
        name=AS_SHOT,
        title=" ".join(w for w in (metadata.make, metadata.model, "as shot") if w),
        figures="declared",
        licence="the file's own",
        sources=(Source(figures="NoiseProfile, levels, colour", path=metadata.path),),
        levels=Levels(metadata.black_level, metadata.white_level),
        bits=metadata.bits or math.ceil(math.log2(metadata.white_level + 1)),
        cfa=metadata.cfa,
        noise=table,
        default_model="heteroscedastic",
        note="The noise that the camera's firmware declares for this one file.",
        make=metadata.make or "",
        models=(metadata.model,) if metadata.model else (),
        read_includes=("quantisation",),
        color_matrices=tuple(
            ColorMatrix(_ILLUMINANTS.get(illuminant, "unknown"), matrix)
            for illuminant, matrix in metadata.color_matrices
        ),
        neutrals=(neutral,) if neutral else (),
    )


def _load_name(name: str) -> Camera:
    if name not in names():
        by_lower = {known.lower(): known for known in names()}
        if name.lower() not in by_lower:
            raise UnknownNameError("camera", name, names(), "'noisegen cameras' lists them")
        name = by_lower[name.lower()]
    return _load_known(name)


@cache
def _load_known(name: str) -> Camera:
    file = resources.files(__name__) / f"{name}.toml"
    return parse(file.read_text(encoding="utf-8"), name, f"{name}.toml")


def _load_file(path: Path) -> Camera:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise MissingDataError(
            f"{path}: no such camera file; 'noisegen cameras' lists cameras known by name"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as a camera file: {error}") from None
    return parse(text, path.stem, str(path))


def _words(text: str) -> list[str]:
    return text.casefold().split()
