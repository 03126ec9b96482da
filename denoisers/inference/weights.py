"""From what a user names to a network: a run, a file of its own, a published one."""

from pathlib import Path

from denoisers.base import Denoiser
from denoisers.card import Card
from noisegen.errors import MissingDataError

FILES = ("best.safetensors", "last.safetensors")
"""Of a run, the first that is there."""


def open_weights(path: str | Path) -> tuple[Denoiser, Card]:
    """Return a network in evaluation mode, and its card.

    Parameters
    ----------
    path
        As in :func:`weights_file`.

    Raises
    ------
    MissingDataError
        As :func:`weights_file`, or if there is no such file.
    UnreadableFileError, WeightsError
        As :func:`denoisers.published.load`.
    """
    from denoisers import published

    return published.load(weights_file(path))


def weights_file(path: str | Path) -> Path:
    """Return the file that is meant.

    Parameters
    ----------
    path
        Folder of a run, of which the best weights are taken, or a file of weights.

    Raises
    ------
    MissingDataError
        If there are no weights in the folder yet.
    """
    folder = Path(path)
    if not folder.is_dir():
        return folder
    found = [folder / name for name in FILES if (folder / name).exists()]
    if not found:
        raise MissingDataError(
            f"{folder}: no weights there yet ({' or '.join(FILES)}); train on, or name a file"
        )
    return found[0]
