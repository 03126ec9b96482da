"""What other people's packages offer by entry points: names at once, objects when asked for."""

from collections.abc import Collection
from importlib.metadata import entry_points
from typing import TypeVar

from noisegen.errors import InputError

T = TypeVar("T")


def names(group: str, own: Collection[str]) -> list[str]:
    """Return all names of a group, this project's first; nothing is loaded."""
    return [*own, *sorted({point.name for point in entry_points(group=group)} - {*own})]


def load(
    group: str, name: str, kind: type[T], place: str, what: str, broken: type[InputError]
) -> T | None:
    """Return what a package offers under a name, None if no package does.

    Parameters
    ----------
    group, name
        Of the entry point.
    kind, place
        Type that it must have, and where that is found.
    what
        What to call it in an error.
    broken
        The error if it cannot be loaded, or is something else.
    """
    for point in entry_points(group=group, name=name):
        try:
            found = point.load()
        except Exception as error:  # whatever another package's import may raise
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
        else:
            if isinstance(found, kind):
                return found
            reason = f"a {type(found).__name__} where a {place} should be"
        raise broken(
            f"{what} '{name}' ({point.value}) cannot be loaded: {reason}; mend its package"
        )
    return None
