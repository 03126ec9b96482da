"""Named training recipes, one TOML file each.

``MODEL-small`` is what a network is trained by on a CPU if nothing is said, and where a backbone is
named ``MODEL-BACKBONE-small``. On a GPU it is the published recipe: ``MODEL-real`` for data that
has noise already, ``MODEL-rgb`` for clean pictures, ``MODEL`` where there is but one, and the small
one where none is published.
"""

import tomllib
from functools import cache
from importlib import resources
from typing import Any

from noisegen.errors import UnknownNameError

__all__ = ["default", "names", "read"]


@cache
def names(package: str = __name__) -> tuple[str, ...]:
    """Return the names of the presets that lie in a package."""
    files = (entry.name for entry in resources.files(package).iterdir())
    return tuple(sorted(name.removesuffix(".toml") for name in files if name.endswith(".toml")))


def read(name: str, package: str = __name__) -> dict[str, Any]:
    """Return the keys and values of a preset.

    Parameters
    ----------
    name
        Of a recipe for a denoiser, unless it is said otherwise.
    package
        Where it lies.

    Raises
    ------
    UnknownNameError
        If there is no such preset.
    """
    known = names(package)
    if name not in known:
        raise UnknownNameError("preset", name, known, f"there are {', '.join(known)}")
    text = (resources.files(package) / f"{name}.toml").read_text(encoding="utf-8")
    return {"preset": name, **tomllib.loads(text)}


def default(model: str, *, gpu: bool, awgn: bool, backbone: str | None = None) -> str | None:
    """Return the preset that a network is trained by if none is named.

    Parameters
    ----------
    model
        Name of the network.
    gpu
        Whether it is trained on a GPU.
    awgn
        Whether the noise is white and put on clean pictures, not that of the data.
    backbone
        That was named, if any was.
    """
    published = (f"{model}-rgb",) if awgn else (f"{model}-real",)
    small = (f"{model}-{backbone}-small",) if backbone else ()
    small = (*small, f"{model}-small")
    wanted = (*published, model, *small) if gpu else (*small, model, *published)
    return next((name for name in wanted if name in names()), None)
