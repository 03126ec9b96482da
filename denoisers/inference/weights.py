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
        Folder of a run, of which the best weights are taken, or a file of weights.

    Raises
    ------
    MissingDataError
        If there is no such file, or no weights in the folder yet.
    UnreadableFileError, WeightsError
        As :func:`denoisers.published.load`.
    """
    from denoisers import published

    folder = Path(path)
    if folder.is_dir():
        found = [folder / name for name in FILES if (folder / name).exists()]
        if not found:
            raise MissingDataError(
                f"{folder}: no weights there yet ({' or '.join(FILES)}); train on, or name a file"
            )
        return published.load(found[0])
    return published.load(folder)
