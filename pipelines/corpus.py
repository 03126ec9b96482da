"""Reading a corpus: stored or lazy, finished or still being made."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from noisegen import __version__
from noisegen.errors import CorpusMismatchError, DamagedCorpusError, MissingDataError
from noisegen.isp.shading import Shading
from pipelines import digest, parameters, picture
from pipelines import recipe as recipes
from pipelines.develop import Arrays, Developer, Sensor
from pipelines.parameters import PARAMETERS
from pipelines.picture import AnyDeveloper
from pipelines.plan import Plan
from pipelines.schema import array_names, metadata_specs, pixel_specs
from pipelines.store import (
    MARK,
    SampleReader,
    Storage,
    decode_text,
    open_store,
    read_attributes,
)
from pipelines.tile import Window


@dataclass(frozen=True)
class Images:
    """What is recorded of a corpus's images, one entry each.

    Attributes
    ----------
    names, scenes
        Name in the source, and the scene that it shows.
    split
        (n,) uint8, place in ``pipelines.schema.SPLITS``.
    cameras
        Camera of each: the recipe's, or the one that took a real pair, empty where not known.
    """

    names: tuple[str, ...]
    scenes: tuple[str, ...]
    split: npt.NDArray[np.uint8]
    cameras: tuple[str, ...]


@dataclass(frozen=True)
class Sample:
    """One sample.

    Attributes
    ----------
    row
        Its recorded parameters, a row of the type ``pipelines.parameters.RECORD``.
    arrays
        ``clean`` and ``noisy`` (and ``raw_clean``, ``raw_noisy`` at stage "both").
    """

    row: np.void
    arrays: Arrays


class Corpus:
    """A corpus, open for reading.

    Parameters
    ----------
    path
        Where it is: a folder or an fsspec URL.

    Raises
    ------
    MissingDataError
        If nothing is there.
    CorpusMismatchError
        If something else is there, or a newer noisegen made it.
    DamagedCorpusError
        If its description is not what noisegen writes.
    """

    def __init__(self, path: str | Path | Storage) -> None:
        self.storage = open_store(path)
        self.attributes: dict[str, Any] = read_attributes(self.storage)[MARK]
        schema = self.attributes.get("schema")
        if isinstance(schema, int) and schema > recipes.SCHEMA:
            raise CorpusMismatchError(
                f"{self.storage.url}: made with schema {schema}, noisegen {__version__} reads up "
                f"to {recipes.SCHEMA}; upgrade noisegen"
            )
        try:
            self.recipe = recipes.parse(
                recipes.json_data(self.attributes["recipe"]), where=self.storage.url
            )
            self.plan = Plan(**self.attributes["plan"])
            self.sensor = Sensor.from_json(self.attributes["sensor"])
            developer = picture.developer(self.recipe, self.sensor)
        except (KeyError, TypeError, ValueError) as error:
            raise DamagedCorpusError(
                f"{self.storage.url}: its description is damaged ({error}); make the corpus again"
            ) from error
        self.developer = self.equip(developer)
        self._own_shadings: dict[int, Shading] = {}
        self._readers: dict[str, SampleReader] = {}
        self._damaged_entries: list[int] = []

    def __len__(self) -> int:
        return self.plan.samples

    def __getitem__(self, sample: int) -> Sample:
        """Return a sample; computed where the corpus is lazy.

        Raises
        ------
        IndexError
            If there is no such sample, or its image could not be used.
        DamagedCorpusError
            If it is not finished, or not what was written.
        """
        sample = range(len(self))[sample]
        row = self.table[sample]
        self._require(sample)
        if not row["valid"]:
            raise IndexError(
                f"sample {sample} is empty: its image, or any place in it, could not be used"
            )
        return Sample(row, self.arrays(sample, row))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of a sample's arrays, stored or computed."""
        return array_names(self.developer)

    @property
    def stored_names(self) -> tuple[str, ...]:
        """Names of the arrays of pixels that are stored."""
        return tuple(spec.name for spec in pixel_specs(self.developer, self.plan))

    @cached_property
    def manifest(self) -> npt.NDArray[np.uint8]:
        """(shards, 32) digests of the shards, zero where not finished, as it was when first read.

        A damaged entry counts as not finished; :attr:`damaged_entries` has its number.
        """
        reader = self.reader("manifest")
        rows = np.zeros((self.plan.shards, 32), np.uint8)
        for shard in range(self.plan.shards):
            try:
                rows[shard] = reader.rows_or_fill(shard, shard + 1)[0]
            except DamagedCorpusError:
                self._damaged_entries.append(shard)
        return rows

    @property
    def damaged_entries(self) -> tuple[int, ...]:
        """Shards whose entry in the manifest is not what was written."""
        self.manifest  # noqa: B018 - read on first use
        return tuple(self._damaged_entries)

    @cached_property
    def finished(self) -> npt.NDArray[np.bool_]:
        """(shards,) whether a shard is finished."""
        return np.asarray(self.manifest.any(axis=1), np.bool_)

    @cached_property
    def table(self) -> npt.NDArray[np.void]:
        """Recorded parameters of all samples; those of unfinished shards are not valid."""
        table = parameters.empty(len(self))
        for shard in np.flatnonzero(self.finished):
            rows = self.rows_of(int(shard))
            table[rows.start : rows.stop] = self.read_rows(int(shard))
        return table

    @property
    def valid(self) -> npt.NDArray[np.intp]:
        """Numbers of the samples that are there."""
        return np.flatnonzero(self.table["valid"])

    @cached_property
    def images(self) -> Images:
        """What is recorded of the images when a corpus is begun."""
        count = self.plan.images

        def text(name: str) -> tuple[str, ...]:
            return tuple(decode_text(self.reader(f"images/{name}").rows(0, count)))

        cameras = text("camera") if self.recipe.is_real else (self.recipe.camera,) * count
        split = self.reader("images/split").rows(0, count)
        return Images(text("name"), text("scene"), split, cameras)

    @property
    def rejected(self) -> npt.NDArray[np.uint32]:
        """(images,) patches of each image that were left out for its own noise, as of now."""
        reader = self.reader("images/rejected")
        return np.asarray(reader.rows_or_fill(0, self.plan.images), np.uint32)

    def identity(self) -> str:
        """Return a hash of what the corpus is to hold: its description and its images."""
        text = json.dumps(self.attributes, sort_keys=True) + "\0".join(self.images.names)
        return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()

    def rows_of(self, shard: int) -> range:
        """Return the numbers of a shard's samples."""
        patches, draws = self.plan.patches_of(shard), self.plan.draws
        return range(patches.start * draws, patches.stop * draws)

    def read_rows(self, shard: int) -> npt.NDArray[np.void]:
        """Return a shard's rows of the parameter table."""
        rows = self.rows_of(shard)
        table = parameters.empty(len(rows))
        for parameter in PARAMETERS:
            stored = self.reader(f"params/{parameter.name}").rows(rows.start, rows.stop)
            table[parameter.name] = stored
        return table

    def valid_samples(self, shard: int) -> int:
        """Return how many samples of a finished shard are there."""
        rows = self.rows_of(shard)
        return int(self.reader("params/valid").rows(rows.start, rows.stop).sum())

    def read_facts(self, shard: int) -> dict[int, str]:
        """Return, for each image of a shard, why it could not be used; empty where it could.

        Raises
        ------
        DamagedCorpusError
            If anything that is recorded of these images is not what was written.
        """
        pieces = self.plan.pieces(shard)
        images = range(pieces[0].image, pieces[-1].image + 1)
        facts = {
            name: self.reader(name).rows(images.start, images.stop)
            for name in metadata_specs(self.plan, self.recipe.shading.kept_bytes)
            if name.startswith("images/")
        }
        return dict(zip(images, decode_text(facts["images/problem"]), strict=True))

    def checked_rows(self, samples: range) -> npt.NDArray[np.void]:
        """Return the rows of finished samples.

        Raises
        ------
        DamagedCorpusError
            If one of them is not made yet.
        """
        for sample in samples:
            self._require(sample)
        return self.table[samples.start : samples.stop]

    def arrays(self, sample: int, row: np.void) -> Arrays:
        """Return the arrays of a valid sample whose row is known."""
        if not self.recipe.lazy:
            return {name: self.reader(name)[sample] for name in self.names}
        tile = self.reader(self.developer.tile.name)[sample // self.plan.draws]
        return self.developer.sample(row, tile, self.window(row))

    def stored_arrays(self, sample: int) -> Arrays:
        """Return what is stored of a sample; a lazy corpus's tile with the first draw only."""
        if not self.recipe.lazy:
            return {name: self.reader(name)[sample] for name in self.names}
        if sample % self.plan.draws:
            return {}
        name = self.developer.tile.name
        return {name: self.reader(name)[sample // self.plan.draws]}

    def window(self, row: np.void) -> Window:
        """Return where a sample lies in its frame."""
        ((height, width),) = self.frame_sizes(np.array([row])).tolist()
        return self.developer.window(int(row["y"]), int(row["x"]), height, width)

    def frame_sizes(self, rows: npt.NDArray[np.void]) -> npt.NDArray[np.int64]:
        """Return the (n, 2) height and width of the frames that samples were cut from."""
        return np.asarray(self._frame_sizes[rows["image"]])

    def digest(self) -> bytes:
        """Return the digest of all valid samples, in their order.

        Raises
        ------
        DamagedCorpusError
            If the corpus is not finished or a sample is not what was written.
        """
        if not self.finished.all():
            missing = int((~self.finished).sum())
            raise DamagedCorpusError(
                f"{self.storage.url}: {missing} of {self.plan.shards} shards are not made yet; "
                "run the same synthesize again"
            )
        return digest.combined(self._digests())

    def _digests(self) -> Iterator[bytes]:
        for shard in range(self.plan.shards):
            for sample, row in zip(self.rows_of(shard), self.read_rows(shard), strict=True):
                if row["valid"]:
                    yield digest.sample_digest(row, self.arrays(sample, row))

    def shard_digest(self, shard: int) -> bytes:
        """Return the digest of a shard as it is stored now, to be compared with its manifest."""
        rows = self.read_rows(shard)
        return digest.combined(
            digest.sample_digest(row, self.stored_arrays(sample) if row["valid"] else {})
            for sample, row in zip(self.rows_of(shard), rows, strict=True)
        )

    def intact(self, shard: int) -> bool:
        """Tell whether a finished shard's objects are there and open; no digest is compared."""
        rows = self.rows_of(shard)
        try:
            self.read_rows(shard)
            self.read_facts(shard)
            for sample in (rows.start, rows.stop - self.plan.draws):
                self.stored_arrays(sample)
        except DamagedCorpusError:
            return False
        return True

    def equip(self, developer: AnyDeveloper) -> AnyDeveloper:
        """Return a developer that knows what is recorded of this corpus's lenses."""
        if self.recipe.shading.mode != "file" or not isinstance(developer, Developer):
            return developer
        return replace(developer, own_shading=self.own_shading)

    def own_shading(self, image: int) -> Shading:
        """Return the lens shading that an image's file records.

        Raises
        ------
        DamagedCorpusError
            If it is not what was written.
        """
        if image not in self._own_shadings:
            try:
                kept = Shading.from_bytes(self.reader("images/shading")[image].tobytes())
            except ValueError as error:
                raise DamagedCorpusError(
                    f"{self.storage.url}: images/shading {image} is damaged ({error})"
                ) from error
            self._own_shadings[image] = kept
        return self._own_shadings[image]

    def reader(self, name: str) -> SampleReader:
        """Return the reader of one array."""
        if name not in self._readers:
            try:
                self._readers[name] = SampleReader(self.storage, name)
            except MissingDataError as error:
                raise DamagedCorpusError(f"{error}; the corpus is damaged") from error
        return self._readers[name]

    def _require(self, sample: int) -> None:
        if not self.finished[sample // self.plan.rows_per_shard]:
            raise DamagedCorpusError(
                f"{self.storage.url}: sample {sample} is not made yet; "
                "run the same synthesize again"
            )

    @cached_property
    def _frame_sizes(self) -> npt.NDArray[np.int64]:
        sizes = [
            self.reader(f"images/{name}").rows_or_fill(0, self.plan.images)
            for name in ("height", "width")
        ]
        return np.stack(sizes, axis=1).astype(np.int64)
