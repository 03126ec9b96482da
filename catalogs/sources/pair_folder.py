"""Any folder of noisy/clean pairs: named in one of the published ways, or by a pattern.

A pattern is two names with a colon between them, the noisy half's and the clean half's:
``{scene}/iso{iso}_{name}.png:{scene}/clean.png``. A word in braces stands for any text without a
slash, ``*`` for any text at all that does not matter. The words of the clean half's name tell which
noisy pictures belong to it; there may be several. ``scene``, ``camera``, ``iso`` and ``split``
(train, val or test) are recorded, ``name`` is any text.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

from catalogs.sources import cc, pair_names, polyu, sidd
from catalogs.sources.base import Option, Source, SourceEntry, Windows
from catalogs.sources.pair_set import PairSet, Place, Shot
from noisegen.errors import RecipeError

_TOLD: tuple[Callable[[str], tuple[str, Shot] | None], ...] = (
    sidd.instance, sidd.block, polyu.shot, cc.shot,
)  # fmt: skip

_ISO = re.compile(r"(?:^|[^a-z])iso[-_]?([1-9]\d*)(?!\d)", re.IGNORECASE)

WORDS = {
    "name": r"[^/]+?",
    "scene": r"[^/]+?",
    "camera": r"[^/]+?",
    "iso": r"\d+",
    "split": "train|val|test",
}
"""Words of a pattern, and what each stands for."""


class PairFolder(PairSet):
    """Pairs named in one of the published ways; see :mod:`catalogs.sources.pair_names`."""

    name = "pairs"
    licence = "that of your files"
    layout = pair_names.LAYOUT

    def place(self, path: str) -> Place | None:
        """Tell which half a picture is."""
        return pair_names.place(path)

    def describe(self, key: str, noisy: str) -> tuple[str, Shot]:
        """Return a pair's scene, and what its name tells if it is that of a published set.

        NeCA's lists are for a training with SIDD alone: here the scene says the split. Of other
        names the ISO is read, where one has it as ``iso800``, ``ISO_800`` or ``iso-800``.
        """
        for told in _TOLD:
            if found := told(key):
                scene, shot = found
                return scene, replace(shot, split="")
        iso = _ISO.search(key)
        return key, Shot(iso=float(iso[1])) if iso else Shot()


@dataclass(frozen=True)
class PatternFolder(PairSet):
    """Pairs named by a pattern.

    Parameters
    ----------
    pattern
        ``NOISY:CLEAN``, see :mod:`catalogs.sources.pair_folder`.
    """

    pattern: str

    name = "pairs"
    licence = "that of your files"
    several = True
    layout = "their names do not fit the pattern"

    @cached_property
    def _expressions(self) -> tuple[re.Pattern[str], re.Pattern[str]]:
        return parse(self.pattern)

    def place(self, path: str) -> Place | None:
        """Tell which half a picture is."""
        noisy, clean = self._expressions
        if match := clean.fullmatch(path):
            return Place("clean", _key(match, clean))
        if match := noisy.fullmatch(path):
            return Place("noisy", _key(match, clean))
        return None

    def describe(self, key: str, noisy: str) -> tuple[str, Shot]:
        """Return a pair's scene and what its names tell."""
        match = self._expressions[0].fullmatch(noisy)
        found = match.groupdict() if match else {}
        iso = found.get("iso")
        taken = Shot(
            found.get("camera", ""), float(iso) if iso else None, split=found.get("split", "")
        )
        return found.get("scene", key), taken


def parse(pattern: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Return the expressions of the noisy and the clean half of a pattern.

    Raises
    ------
    RecipeError
        If it is none.
    """
    halves = pattern.split(":")
    if len(halves) != 2 or not all(halves):
        raise RecipeError(
            f"pattern {pattern!r} is not NOISY:CLEAN, such as {{name}}_noisy.png:{{name}}_clean.png"
        )
    noisy, clean = (_expression(half, pattern) for half in halves)
    if not clean.groupindex:
        raise RecipeError(
            f"pattern {pattern!r}: the clean half's name has no word in braces that tells which "
            "noisy ones belong to it, such as {name}"
        )
    if alone := clean.groupindex.keys() - noisy.groupindex.keys():
        raise RecipeError(
            f"pattern {pattern!r}: {{{min(alone)}}} stands in the clean half's name and not in the "
            "noisy one's"
        )
    return noisy, clean


def _expression(half: str, pattern: str) -> re.Pattern[str]:
    out, seen = "", set()
    for part in re.split(r"(\{[^{}]*\}|\*)", half):
        if part == "*":
            out += ".*"
        elif not part.startswith("{"):
            out += re.escape(part)
        elif (word := part[1:-1]) not in WORDS:
            raise RecipeError(f"pattern {pattern!r}: {part} is not one of {', '.join(WORDS)}")
        else:
            out += f"(?P={word})" if word in seen else f"(?P<{word}>{WORDS[word]})"
            seen.add(word)
    return re.compile(out)


def _key(match: re.Match[str], clean: re.Pattern[str]) -> str:
    """Return what both halves have in common: the words of the clean half's name."""
    return "/".join(match[word] for word in clean.groupindex)


def _make(root: str, *, pattern: str) -> Source:
    if not pattern:
        return PairFolder(root)
    parse(pattern)
    return PatternFolder(root, pattern)


ENTRY = SourceEntry(
    name=PairFolder.name,
    title="Your own noisy/clean pairs, searched to the bottom",
    licence=PairFolder.licence,
    url="your files",
    size="any",
    layout=(
        "X_noisy and X_clean, X_real and X_mean, NOISY_SRGB and GT_SRGB, noisy/X and clean/X, or "
        "any names by pattern={name}_noisy.png:{name}_clean.png (docs/ingest.md)"
    ),
    make=_make,
    options={"pattern": Option("", "names of the noisy and the clean half, NOISY:CLEAN")},
    windows=Windows(256, 256),
)
