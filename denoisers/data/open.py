"""From what a user names to a data set."""

from catalogs.sources.roots import Root
from denoisers.data.corpora import open_corpus
from denoisers.data.dataset import Dataset
from denoisers.data.pictures import of_pairs, open_pictures
from noisegen.errors import InputError, MissingDataError
from pipelines.corpus import Corpus
from pipelines.pairs import has_pairs, open_pairs


def open_data(
    path: str, names: tuple[str, ...] = ("clean", "noisy"), *, renoise: bool = False
) -> Dataset:
    """Open a corpus, a folder of noisy/clean pairs or a folder of clean pictures.

    Parameters
    ----------
    path
        A folder or an fsspec URL.
    names
        What is wanted of each sample: ``("clean",)`` alone where noise is put on afterwards.
    renoise
        Draw a corpus's own noise anew at every visit of a sample.

    Raises
    ------
    MissingDataError
        If nothing is there, or no noisy picture where one is wanted.
    InputError
        If noise is to be drawn anew where that cannot be.
    CorpusMismatchError, DamagedCorpusError
        As :class:`pipelines.Corpus`.
    """
    root = Root(path)
    if root.has("zarr.json"):
        return open_corpus(Corpus(path), names, renoise=renoise)
    if renoise:
        raise InputError(
            f"{path}: only a corpus knows its noise; for pictures give --awgn, or make a corpus of "
            "them with noisegen synthesize --source folder"
        )
    if has_pairs(path):
        return of_pairs(open_pairs(path), names)
    if names != ("clean",):
        raise MissingDataError(
            f"{path}: clean pictures only; say which noise is put on them, such as --awgn 25, or "
            "name halves of pairs X_noisy and X_clean"
        )
    return open_pictures(root)
