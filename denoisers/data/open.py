"""From what a user names to a data set."""

from catalogs.sources.roots import Root
from denoisers.data.corpora import CorpusData, StoredData
from denoisers.data.dataset import Dataset
from denoisers.data.developed import DevelopedData
from denoisers.data.mosaics import MosaicData
from denoisers.data.pictures import of_pairs, open_pictures
from noisegen.errors import InputError, MissingDataError
from pipelines.corpus import Corpus
from pipelines.pairs import has_pairs, open_pairs
from pipelines.tables.neca import NOISES

WITH_GUIDES = (
    "make a corpus of a source that has them (noisegen synthesize --guide nir, docs/guided.md)"
)
"""The remedy where guides are missing."""


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
    if "guide" in names:
        raise MissingDataError(f"{path}: pictures without guides; {WITH_GUIDES}")
    if has_pairs(path):
        return of_pairs(open_pairs(path), names)
    found = open_pictures(root)
    if names != ("clean",):
        raise MissingDataError(
            f"{path}: clean pictures only; say which noise is put on them, such as --awgn 25, or "
            "name halves of pairs X_noisy and X_clean"
        )
    return found


def open_mosaics(path: str, *, noisy: bool) -> MosaicData:
    """Open a corpus for its mosaics.

    Parameters
    ----------
    path
        A folder or an fsspec URL.
    noisy
        Whether the corpus's own noisy mosaics are wanted.

    Raises
    ------
    MissingDataError
        If nothing is there, or no corpus.
    CorpusMismatchError, DamagedCorpusError, InputError
        As :class:`pipelines.Corpus` and :class:`denoisers.data.mosaics.MosaicData`.
    """
    root = Root(path)
    if not root.has("zarr.json"):
        raise MissingDataError(
            f"{root.url}: no corpus of mosaics there; make one of raws or pictures with noisegen "
            "synthesize --stage raw"
        )
    return MosaicData(Corpus(path), noisy=noisy)


def open_corpus(corpus: Corpus, names: tuple[str, ...], *, renoise: bool = False) -> CorpusData:
    """Return a corpus as a data set.

    Parameters
    ----------
    corpus
        Stored or lazy; unfinished shards are left out.
    names
        Arrays that are wanted.
    renoise
        Draw the corpus's own noise anew at every visit of a sample.

    Raises
    ------
    MissingDataError
        If there is no sample, or an array that is not there.
    InputError
        If noise is to be drawn anew on a mosaic, and none is stored.
    """
    recipe, where = corpus.recipe, corpus.storage.url
    if "guide" in names and recipe.guide is None:
        raise MissingDataError(f"{where}: its samples have no guide; {WITH_GUIDES}")
    if "guide" in names and renoise:
        raise InputError(
            f"{where}: noise is drawn anew on pictures without a guide; leave --renoise away"
        )
    if missing := [name for name in names if name not in corpus.names]:
        raise MissingDataError(
            f"{where}: it has no '{missing[0]}', only {', '.join(corpus.names)}; make a corpus "
            "that has it"
        )
    if renoise and recipe.is_real:
        raise InputError(
            f"{where}: its noise is that of real pairs, which nothing draws anew; leave --renoise "
            "away"
        )
    if renoise and not (recipe.lazy or recipe.on_picture or recipe.stage in ("raw", "both")):
        raise InputError(
            f"{where}: stored {recipe.stage} pictures have no mosaic to draw noise on; make the "
            "corpus with --lazy or --stage both, or leave --renoise away"
        )
    if renoise and recipe.noise in NOISES:
        raise InputError(
            f"{where}: its noise is drawn on whole pictures, which a corpus does not hold; leave "
            "--renoise away"
        )
    if renoise and recipe.dark_frames:
        raise InputError(
            f"{where}: its noise is that of dark frames, which a corpus does not hold; leave "
            "--renoise away"
        )
    if recipe.lazy or renoise:
        return DevelopedData(corpus, names, fresh=renoise)
    return StoredData(corpus, names)
