"""What an evaluation found: a score a picture, their means, and the files they are written to."""

import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from denoisers.evaluation.overlap import Overlap
from denoisers.protocols.base import Protocol
from noisegen.card import versions

Numbers = dict[str, float]


@dataclass(frozen=True)
class Score:
    """How well one picture was restored.

    Attributes
    ----------
    name, group
        The picture, and what it belongs to.
    height, width
        In pixels.
    values
        Measures of the restored picture by their keys, and ``noisy_psnr`` and ``noisy_ssim`` of
        the network's input, neither cut nor rounded.
    """

    name: str
    group: str
    height: int
    width: int
    values: Numbers


@dataclass(frozen=True)
class Mean:
    """Means over some pictures."""

    name: str
    pictures: int
    values: Numbers


@dataclass(frozen=True)
class Result:
    """All that was found.

    Attributes
    ----------
    protocol
        By which rules.
    settings
        What was chosen: root, sigma, tiles, device, …
    model
        The weights' file, its hash, the card and its hash.
    scores
        One a picture; empty where the set keeps its clean pictures to itself.
    pictures
        How many were restored.
    overlap
        Test pictures that were trained on.
    notes
        What a reader of the figures has to know.
    seconds, megapixels
        How long the network took for how much.
    files
        Of a submission.
    """

    protocol: Protocol
    settings: dict[str, Any]
    model: dict[str, Any]
    scores: tuple[Score, ...]
    pictures: int
    overlap: Overlap
    notes: tuple[str, ...]
    seconds: float
    megapixels: float
    files: tuple[str, ...] = ()

    @property
    def keys(self) -> tuple[str, ...]:
        """Keys of the values, noisy ones first."""
        return ("noisy_psnr", "noisy_ssim", *(m.key for m in self.protocol.measures))

    @property
    def mean(self) -> Mean:
        """Over all pictures."""
        return _mean("mean", self.scores)

    @property
    def groups(self) -> tuple[Mean, ...]:
        """Means over the groups, in the order in which they come; none where there is but one."""
        names = dict.fromkeys(score.group for score in self.scores)
        if len(names) < 2:
            return ()
        return tuple(_mean(name, [s for s in self.scores if s.group == name]) for name in names)

    def to_json(self) -> str:
        """Return all of it as JSON text; a number that is not finite is null."""
        protocol = self.protocol
        found: dict[str, Any] = {
            "protocol": {
                "name": protocol.name,
                "title": protocol.title,
                "source": protocol.source,
                **protocol.settings,
            },
            "settings": self.settings,
            "model": self.model,
            "versions": versions(),
            "notes": list(self.notes),
            "overlap": self.overlap.to_json(),
            "pictures": self.pictures,
            "seconds": round(self.seconds, 3),
            "megapixels": round(self.megapixels, 6),
        }
        if self.scores:
            found |= {
                "mean": _finite(self.mean.values),
                "groups": {
                    one.name: {"pictures": one.pictures, **_finite(one.values)}
                    for one in self.groups
                },
                "scores": [
                    {
                        "name": s.name,
                        "group": s.group,
                        "height": s.height,
                        "width": s.width,
                        **_finite(s.values),
                    }
                    for s in self.scores
                ],
            }
        if self.files:
            found["files"] = list(self.files)
        return json.dumps(found, indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    def to_csv(self) -> str:
        """Return a line a picture."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(("name", "group", "height", "width", *self.keys))
        for score in self.scores:
            numbers = (f"{score.values[key]:.6f}" for key in self.keys)
            writer.writerow((score.name, score.group, score.height, score.width, *numbers))
        return text.getvalue()


def _mean(name: str, scores: Sequence[Score]) -> Mean:
    keys = scores[0].values
    values = {key: float(np.mean([s.values[key] for s in scores])) for key in keys}
    return Mean(name, len(scores), values)


def _finite(values: Numbers) -> dict[str, float | None]:
    return {key: value if math.isfinite(value) else None for key, value in values.items()}
