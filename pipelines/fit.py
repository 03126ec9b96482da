"""Fitting the noise of pictures to a set of pairs, or to some of its scenes."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from noisegen.errors import InputError
from noisegen.picture import Fit, Model, fit
from noisegen.picture.parameters import Picture
from pipelines.pairs import Pairs

Scenes = Literal["all", "train", "val", "test"] | tuple[int, int]
"""All scenes, those of a split, or part i of n: every n-th scene in sorted order from the i-th."""


def choose(pairs: Pairs, scenes: Scenes) -> Pairs:
    """Return the pairs of some scenes.

    Raises
    ------
    InputError
        If there are none.
    """
    if scenes == "all":
        return pairs
    if isinstance(scenes, tuple):
        part, parts = scenes
        kept = pairs.of_scenes(pairs.scenes[part - 1 :: parts])
    else:
        kept = pairs.of_split(scenes)
    if not len(kept):
        raise InputError(
            f"{pairs.where}: none of its {len(pairs.scenes)} scenes is in {describe(scenes)}; "
            "choose others with --scenes"
        )
    return kept


def fit_pairs(pairs: Pairs, model: Model) -> Fit:
    """Fit a model to pairs; see :func:`noisegen.picture.fit`.

    Raises
    ------
    InputError
        If they do not tell the model's figures.
    UnreadableFileError
        If a file is damaged.
    """
    try:
        return fit(_Pictures(pairs), model)
    except InputError as error:
        if str(error).startswith(pairs.where):
            raise
        raise InputError(f"{pairs.where}: {error}") from None


def provenance(pairs: Pairs, found: Fit, scenes: Scenes) -> str:
    """Say in one line what was fitted to."""
    name = PurePosixPath(pairs.where).name
    count = len(pairs.scenes)
    return (
        f"{name}: {found.pairs} pair{'s' * (found.pairs > 1)} of {count} "
        f"scene{'s' * (count > 1)} ({describe(scenes)}), {found.pixels / 1e6:.2f} megapixels"
    )


def licence(pairs: Pairs) -> str:
    """Return the licence of the pairs, where they state one."""
    if pairs.corpus is None:
        return "that of the pairs"
    return str(pairs.corpus.attributes["source"]["licence"])


def describe(scenes: Scenes) -> str:
    """Say which scenes were chosen."""
    if isinstance(scenes, tuple):
        return f"part {scenes[0]} of {scenes[1]}"
    return "all" if scenes == "all" else f"split {scenes}"


@dataclass(frozen=True)
class _Pictures:
    """(clean, noisy) of each pair, read anew at every walk."""

    pairs: Pairs

    def __iter__(self) -> Iterator[tuple[Picture, Picture]]:
        return ((pair.clean, pair.noisy) for pair in self.pairs)
