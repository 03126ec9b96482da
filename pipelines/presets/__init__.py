"""Named recipes to start from, one TOML file each; what is given beside one overrides it."""

import tomllib
from functools import cache
from importlib import resources
from typing import Any

from noisegen.errors import UnknownNameError

__all__ = ["names", "read"]


@cache
def names() -> tuple[str, ...]:
    """Return the names of the presets."""
    files = (entry.name for entry in resources.files(__name__).iterdir())
    return tuple(sorted(name.removesuffix(".toml") for name in files if name.endswith(".toml")))


def read(name: str) -> dict[str, Any]:
    """Return the keys and values of a preset.

    Raises
    ------
    UnknownNameError
        If there is no such preset.
    """
    if name not in names():
        remedy = f"there are {', '.join(names())}"
        raise UnknownNameError("preset", name, names(), remedy)
    return tomllib.loads((resources.files(__name__) / f"{name}.toml").read_text(encoding="utf-8"))
