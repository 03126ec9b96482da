"""Samples whose noise is as strong as that of a real pair at the same place."""

import numpy as np

import pipelines
from pipelines.pairs import Pairs, Picture
from pipelines.realism.noise import noise_field


def strength(clean: Picture, noisy: Picture) -> float:
    """Return the logarithm of the noise's variance where few values are clipped, mean over RGB."""
    noise = noise_field(clean, noisy)
    squares = [
        (noise.centred[..., c][noise.known[..., c]].astype(np.float64) ** 2).mean()
        for c in range(clean.shape[2])
        if noise.known[..., c].any()
    ]
    return float(np.mean(np.log(squares)))


def nearest(real: Pairs, corpus: pipelines.Corpus, places: dict[str, int], taken: int) -> list[int]:
    """Return the samples of each picture whose noise is nearest to the real one in strength.

    Parameters
    ----------
    real
        The real pairs.
    corpus
        Made of their clean halves, neither shrunk nor cut.
    places
        Number of the pair of each picture of the corpus.
    taken
        How many samples of each picture are returned.
    """
    table, patch = corpus.table, corpus.recipe.patch
    found: list[int] = []
    for image, name in enumerate(corpus.images.names):
        pair, off = real[places[name]], {}
        for sample in np.flatnonzero(table["image"] == image).tolist():
            arrays, (y, x) = corpus[sample].arrays, table[sample][["y", "x"]].tolist()
            here = (slice(y, y + patch), slice(x, x + patch))
            theirs = strength(pair.clean[here], pair.noisy[here])
            off[sample] = abs(strength(arrays["clean"], arrays["noisy"]) - theirs)
        found += sorted(sorted(off, key=off.__getitem__)[:taken])
    return found
