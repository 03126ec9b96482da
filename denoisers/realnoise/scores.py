"""PSNRs of rows, and what of the way from white to real noise a row goes."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from noisegen.random import Stream, generator

RESAMPLES = 4000
"""Draws of the bootstrap: a quantile of 2.5 % is then known to 0.25 %."""

QUANTILES = (0.025, 0.975)

Floats = npt.NDArray[np.float64]


class Interval(NamedTuple):
    """A number and the ends of its 95 % interval."""

    value: float
    low: float
    high: float


class Score(NamedTuple):
    """What a row comes to on one set of test pictures.

    Attributes
    ----------
    psnr
        Mean over pictures and seeds, in dB.
    spread
        Standard deviation of the seeds' means; 0 of a single one.
    over_awgn
        PSNR above that of white noise, in dB.
    recovered
        (row - AWGN) / (real - AWGN). None where real pairs are not better than white noise in
        all but 2.5 % of the resamples, so that there is nothing to recover.
    """

    psnr: float
    spread: float
    over_awgn: Interval
    recovered: Interval | None


def scores(
    rows: Mapping[str, Floats], scenes: Sequence[str], white: str, real: str, seed: int
) -> dict[str, Score]:
    """Score rows on one set of test pictures, by a bootstrap over its scenes.

    Parameters
    ----------
    rows
        By name, (seeds, pictures) PSNRs in dB.
    scenes
        Scene of each picture.
    white, real
        Which rows are those of white noise and of the real pairs.
    seed
        Of the bootstrap.

    Notes
    -----
    Scenes are drawn with replacement, as many as there are; all pictures of a scene go together.
    Training seeds are averaged: the intervals are of scenes, ``spread`` is of seeds.
    """
    names = list(rows)
    pictures = np.stack([rows[name].mean(0) for name in names])
    every, of_picture = np.unique(np.asarray(scenes), return_inverse=True)
    members = (of_picture == np.arange(len(every))[:, None]).astype(float)  # (scenes, pictures)
    rng = generator(seed, Stream.BOOTSTRAP)
    drawn = rng.integers(len(every), size=(RESAMPLES, len(every)))
    counts = np.stack([np.bincount(d, minlength=len(every)) for d in drawn])
    means = (counts @ (members @ pictures.T)) / (counts @ members.sum(1))[:, None]
    whole = pictures.mean(1)
    at = {name: number for number, name in enumerate(names)}
    base, gap = means[:, at[white]], means[:, at[real]] - means[:, at[white]]
    possible = np.quantile(gap, QUANTILES[0]) > 0
    out = {}
    for name in names:
        over, whole_over = means[:, at[name]] - base, whole[at[name]] - whole[at[white]]
        recovered = None
        if possible:
            share = over[gap > 0] / gap[gap > 0]
            recovered = _interval(whole_over / (whole[at[real]] - whole[at[white]]), share)
        by_seed = rows[name].mean(1)
        spread = float(by_seed.std(ddof=1)) if len(by_seed) > 1 else 0.0
        out[name] = Score(float(whole[at[name]]), spread, _interval(whole_over, over), recovered)
    return out


def _interval(value: float, drawn: Floats) -> Interval:
    low, high = np.quantile(drawn, QUANTILES).tolist()
    return Interval(float(value), low, high)
