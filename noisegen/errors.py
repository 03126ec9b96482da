"""The exceptions of noisegen: one tree, drawn here.

::

    NoisegenError
    ├── InputError (ValueError)              a mistake the user can mend; the command exits with 2
    │   ├── RecipeError                      a recipe that does not hold together
    │   ├── UnknownNameError (LookupError)   a camera, source, model … that nobody has heard of
    │   ├── MissingDataError (FileNotFoundError)  a root or file that is not there
    │   ├── CorpusMismatchError              the path holds something else than what was asked for
    │   └── WeightsError                     weights that fit no network, or another than asked for
    └── RunError (RuntimeError)              something went wrong while working; exits with 1
        ├── UnreadableFileError (OSError)    a file that is damaged or cut short
        │   └── UnsupportedFileError         a sound file of a kind noisegen refuses, by name
        ├── DamagedCorpusError               stored data that is not what was written
        └── StorageError (OSError)           the disk is full, the path cannot be written

Every message is one line that says what was found, where, and what to do next. The command line
prints that line; a traceback is shown only with ``--debug``.
"""

import difflib
from collections.abc import Iterable


class NoisegenError(Exception):
    """Base of every error that noisegen raises on purpose."""

    exit_code = 1


class InputError(NoisegenError, ValueError):
    """A mistake in what the user asked for."""

    exit_code = 2


class RecipeError(InputError):
    """A recipe whose keys or values do not hold together."""


class UnknownNameError(InputError, LookupError):
    """A name that is in no registry.

    Parameters
    ----------
    kind
        What the name should have named, such as ``"camera"``.
    name
        The name that was given.
    known
        The names there are.
    remedy
        What to type to see them.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str], remedy: str) -> None:
        known = sorted(known)
        self.kind, self.name, self.known, self.remedy = kind, name, known, remedy
        super().__init__(f"unknown {kind} '{name}'{did_you_mean(name, known)}; {remedy}")

    def __reduce__(self) -> tuple[type, tuple[str, str, list[str], str]]:
        return type(self), (self.kind, self.name, list(self.known), self.remedy)


class MissingDataError(InputError, FileNotFoundError):
    """A folder or file that should be there and is not."""


class CorpusMismatchError(InputError):
    """A path that holds something else than what was asked for."""


class WeightsError(InputError):
    """Weights that fit no known network, or another one than what was asked for."""


class RunError(NoisegenError, RuntimeError):
    """A failure while working on sound input."""


class UnreadableFileError(RunError, OSError):
    """A file that is damaged, cut short or empty."""


class UnsupportedFileError(UnreadableFileError):
    """A sound file of a kind that noisegen does not read."""


class DamagedCorpusError(RunError):
    """Stored data that is not what was written."""


class StorageError(RunError, OSError):
    """A store that cannot be written."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``" (did you mean 'x'?)"`` for the nearest known name, or an empty string."""
    by_lower = {k.lower(): k for k in known}
    near = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.6)
    return f" (did you mean '{by_lower[near[0]]}'?)" if near else ""
