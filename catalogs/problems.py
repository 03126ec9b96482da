"""One line for what is wrong with a TOML file: the key as its author knows it, what it needs."""

from collections.abc import Iterable, Mapping

from pydantic import ValidationError

from noisegen.errors import did_you_mean

Keys = Mapping[tuple[str, ...], Iterable[str]]
"""Keys of each table of a file, by the path of the table; ``()`` is the file itself."""


def explain(error: ValidationError, keys: Keys, kinds: tuple[str, ...] = ()) -> str:
    """Say the first mistake in one line, and how many more there are.

    Parameters
    ----------
    error
        What pydantic found.
    keys
        The keys there are, to name the nearest one.
    kinds
        Values of the key ``kind`` of the table ``noise``, which pydantic puts into its paths.
    """
    mistakes = error.errors(include_url=False)
    # An unknown key is said first: a missing one is often the same key misspelt.
    first = min(mistakes, key=lambda m: m["type"] != "extra_forbidden")
    path, where = first["loc"], _where(first["loc"], kinds)
    if first["type"] == "extra_forbidden":
        parent = tuple(str(p) for p in path[:-1] if isinstance(p, str))
        what = f"unknown key '{where}'{did_you_mean(str(path[-1]), keys.get(parent, ()))}"
    elif first["type"] == "missing":
        what = f"the key '{where}' is missing"
    elif first["type"].startswith("union_tag"):
        what = f"{where}.kind must be one of {', '.join(kinds)}"
    else:
        message = first["msg"].removeprefix("Value error, ")
        message = message[0].lower() + message[1:]
        what = f"{where}: {message}" if where else message
    more = len(mistakes) - 1
    return what + (f" (and {more} more mistake{'s' if more > 1 else ''})" if more else "")


def _where(path: tuple[int | str, ...], kinds: tuple[str, ...]) -> str:
    """Write a pydantic location as the file's author knows it: ``noise.points[2].shot``."""
    out = ""
    for i, part in enumerate(path):
        if isinstance(part, int):
            out += f"[{part + 1}]"
        elif not (i == 1 and path[0] == "noise" and part in kinds):
            out += f".{part}" if out else part
    return out
