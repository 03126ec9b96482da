"""Whether test pictures were trained on, told by perceptual hashes of whole pictures.

A corpus records the 64-bit difference hash of each of its images; of other pictures it is computed.
Copies of a picture in another size, brightness or compression differ in few bits. Copies that are
cropped or turned are not found.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from denoisers.data import Dataset, Mixture, open_data
from denoisers.data.corpora import CorpusData
from denoisers.protocols.base import Case, Cases
from noisegen.errors import CorpusMismatchError, NoisegenError
from pipelines.frame import perceptual_hash, thumbnail

SAME_BITS = 4
"""Two hashes that differ in no more bits are of one picture.

Of 119 000 pairs of different pictures (BSDS500, Kodak, McMaster, Set12, CC, PolyU) the nearest two
differ in 8; of pictures saved as JPEG of quality 50, halved, or brightened, 99.5 % differ in 4 or
fewer from their originals.
"""

LEAST_CHANGES = 8
"""Of the 112 neighbouring bits of a hash, so many differ at least if it is to tell anything.

A crop of sky or of a wall has the hash of any other that brightens the same way: all 49 pairs of
different crops (CBSD68 and BSDS500 of 128 pixels, PolyU of 256) whose hashes were as near as those
of copies have a hash of 4 changes or fewer. Whole pictures of BSDS500 have 12 or more.
"""

Hashes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Found:
    """A test picture that stands in the training data.

    Attributes
    ----------
    name, trained
        The test picture, and the picture that was trained on.
    bits
        In how many of 64 bits their hashes differ.
    """

    name: str
    trained: str
    bits: int


@dataclass(frozen=True)
class Overlap:
    """What was found.

    Attributes
    ----------
    data
        Training data that were looked through.
    pictures
        How many pictures they have whose hash tells something.
    plain
        How many test pictures are too plain to be told from others.
    found
        Test pictures among them.
    unchecked
        Why not all training data were looked through; empty where they were.
    """

    data: tuple[str, ...]
    pictures: int
    plain: int
    found: tuple[Found, ...]
    unchecked: str = ""

    def lines(self, tested: int) -> list[str]:
        """Return what a user is told."""
        lines = []
        if self.found:
            first = self.found[0]
            lines.append(
                f"{len(self.found)} of {tested} test pictures stand in the training data, first "
                f"{first.name}, as {first.trained} (hashes differ in {first.bits} of 64 bits)"
            )
        if self.unchecked:
            lines.append(f"not known whether test pictures were trained on: {self.unchecked}")
        return lines

    def to_json(self) -> dict[str, Any]:
        """Return all of it as plain values."""
        return {
            "training_data": list(self.data),
            "training_pictures": self.pictures,
            "plain_test_pictures": self.plain,
            "found": [vars(one) for one in self.found],
            "unchecked": self.unchecked,
        }


@dataclass(frozen=True)
class TrainingData:
    """What a network was trained on, as far as it is known.

    Attributes
    ----------
    recipes
        Path of each set, and the hash of a corpus's recipe; empty where it is not known.
    held_out
        Whether the scenes of other splits than ``train`` were left out.
    """

    recipes: Mapping[str, str] = field(default_factory=dict)
    held_out: bool = False


def recorded(weights: Path, of_card: Mapping[str, str]) -> TrainingData:
    """Return what a file of weights was trained on.

    Parameters
    ----------
    weights
        The file; the run's ``data.json`` beside it says whether scenes were held out.
    of_card
        The card's ``data``.
    """
    try:
        run = json.loads((weights.parent / "data.json").read_text(encoding="utf-8"))
        held_out = run["val"] == "held out by scene"
    except (OSError, ValueError, KeyError, TypeError):
        held_out = False
    return TrainingData(of_card, held_out)


def look(cases: Cases, trained: TrainingData, step: Callable[[], None]) -> Overlap:
    """Look for the pictures of a test among what a network was trained on.

    Parameters
    ----------
    cases
        The test.
    trained
        What was trained on.
    step
        Called after each picture.

    Raises
    ------
    NoisegenError
        If a test picture cannot be read.
    """
    if not trained.recipes:
        reason = "the weights do not say what they were trained on; name it with --data"
        return Overlap((), 0, 0, (), reason)
    opened: list[Dataset] = []
    names: list[str] = []
    parts: list[Hashes] = []
    reasons = []
    for path, recipe in trained.recipes.items():
        try:
            opened.append(_open(path, recipe))
        except NoisegenError as error:
            reasons.append(str(error))
    if trained.held_out and opened:
        opened = list(Mixture(opened, [1.0] * len(opened)).held_out()[0].datasets)
    for data in opened:
        try:
            of_data = _hashes(data, step)
        except NoisegenError as error:
            reasons.append(str(error))
        else:
            names += of_data
            parts += of_data.values()
    hashes = np.array(parts, np.uint8).reshape(-1, 8)
    found, plain = [], 0
    for number, name in enumerate(cases.names):
        own = hash_of(cases.load(number))
        step()
        if not tells(own):
            plain += 1
        if not (tells(own) and len(hashes)):
            continue
        bits = np.bitwise_count(hashes ^ own).sum(1)
        nearest = int(bits.argmin())
        if bits[nearest] <= SAME_BITS:
            found.append(Found(name, names[nearest], int(bits[nearest])))
    where = tuple(data.where for data in opened)
    return Overlap(where, len(names), plain, tuple(found), "; ".join(reasons))


def hash_of(case: Case) -> Hashes:
    """Return the (8,) perceptual hash of a test picture, of the noisy one if there is no other."""
    if case.perceptual_hash is not None:
        return case.perceptual_hash
    return perceptual_hash(thumbnail(case.noisy if case.clean is None else case.clean))


def tells(one: Hashes) -> bool:
    """Tell whether a hash is of a picture with enough in it."""
    bits = np.unpackbits(one).reshape(8, 8)
    changes = np.count_nonzero(np.diff(bits, axis=0)) + np.count_nonzero(np.diff(bits, axis=1))
    return int(changes) >= LEAST_CHANGES


def _open(path: str, recipe: str) -> Dataset:
    data = open_data(path, ("clean",))
    now = data.corpus.recipe.sha256 if isinstance(data, CorpusData) else ""
    if recipe and now != recipe:
        raise CorpusMismatchError(f"{path} is not the corpus that was trained on any more")
    return data


def _hashes(data: Dataset, step: Callable[[], None]) -> dict[str, Hashes]:
    """Return those hashes of a data set's pictures that tell something, by the pictures' names."""
    if isinstance(data, CorpusData):
        corpus = data.corpus
        images = np.unique(corpus.table["image"][data.numbers]).tolist()
        stored = corpus.reader("images/perceptual_hash").rows_or_fill(0, corpus.plan.images)
        found = {f"{data.where} {corpus.images.names[i]}": stored[i] for i in images}
    else:
        found = {}
        for sample in range(len(data)):
            found[data.address(sample)] = perceptual_hash(thumbnail(data.whole(sample)["clean"]))
            step()
    return {name: one for name, one in found.items() if tells(one)}
