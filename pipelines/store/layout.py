"""What an array of a corpus is, and how Zarr v3 spells it.

An :class:`ArraySpec` says everything about one array: names, units, chunks, shards, codecs. Every
chunk carries a CRC-32C. Pixels are compressed with blosc (lz4, bit shuffle, level 1): about a
gigapixel a second for 16-bit mosaics, at a better ratio than plain zstd. Pixels are stored channel
last: planes under the same array save 2 % of the bytes and cost a fifth of the encoding speed.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self

import numpy as np

DTYPES = ("bool", "uint8", "uint16", "uint32", "int32", "uint64", "int64", "float32", "float64")

# "." keeps all chunks of an array in one folder: a directory a chunk costs more than the chunk.
SEPARATOR = "."
_BLOSC_LIMIT = 2**31 - 16


@dataclass(frozen=True)
class ArraySpec:
    """One array of a corpus.

    Parameters
    ----------
    name
        Place in the store, such as ``"clean"`` or ``"params/iso"``.
    shape, dtype
        Of the whole array; `dtype` is one of :data:`DTYPES`. Text is stored as UTF-8 bytes, see
        :mod:`pipelines.store.text`.
    chunk
        Shape of one chunk: any number of rows of the first axis, all of the other axes.
    dims
        One name an axis. A name has one length everywhere in a store.
    shard
        Shape of one shard, a whole number of chunks along the first axis, or None: a file a chunk.
    attrs
        What xarray shows: ``units``, ``description``, … Anything JSON can hold.
    fill_value
        What a row that was never made reads as.
    compressed
        Whether chunks go through blosc.

    Raises
    ------
    ValueError
        If the parts do not fit together.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    chunk: tuple[int, ...]
    dims: tuple[str, ...]
    shard: tuple[int, ...] | None = None
    attrs: Mapping[str, Any] = field(default_factory=dict, hash=False)
    fill_value: float | int | bool = 0
    compressed: bool = True

    def __post_init__(self) -> None:
        """Settle the types and refuse what does not fit together."""
        object.__setattr__(self, "dtype", np.dtype(self.dtype).name)
        for name in ("shape", "chunk", "shard"):
            if (lengths := getattr(self, name)) is not None:
                object.__setattr__(self, name, tuple(map(int, lengths)))
        shapes = [self.shape, self.chunk] + ([self.shard] if self.shard else [])
        if self.dtype not in DTYPES:
            raise ValueError(f"{self.name}: dtype {self.dtype} is not one of {', '.join(DTYPES)}")
        if not self.shape or any(len(s) != len(self.dims) or min(s) < 1 for s in shapes):
            raise ValueError(f"{self.name}: shape, chunk, shard and dims must have equal length")
        if len(set(self.dims)) != len(self.dims):
            raise ValueError(f"{self.name}: a dimension name is used twice: {self.dims}")
        if any(s[1:] != self.shape[1:] for s in shapes):
            raise ValueError(f"{self.name}: chunks and shards must hold whole rows of {self.shape}")
        if self.shard and self.shard[0] % self.chunk[0]:
            raise ValueError(f"{self.name}: a shard must hold a whole number of chunks")
        if self.chunk_bytes > _BLOSC_LIMIT:
            raise ValueError(f"{self.name}: a chunk of {self.chunk_bytes} bytes is over 2 GiB")

    @property
    def rows(self) -> int:
        """Length of the first axis."""
        return self.shape[0]

    @cached_property
    def stored(self) -> np.dtype[Any]:
        """The little-endian type on disk."""
        return np.dtype(self.dtype).newbyteorder("<")

    @cached_property
    def chunk_bytes(self) -> int:
        """Size of one decoded chunk."""
        return math.prod(self.chunk) * self.stored.itemsize

    @property
    def object_rows(self) -> int:
        """Rows in one stored object: a shard, or a chunk of an array without shards."""
        return (self.shard or self.chunk)[0]

    @property
    def objects(self) -> int:
        """Number of stored objects."""
        return -(-self.rows // self.object_rows)

    @property
    def slots(self) -> int:
        """Chunks in one shard (1 without shards)."""
        return self.object_rows // self.chunk[0]

    def rows_of(self, index: int) -> range:
        """Return the rows that object `index` holds; the last one may be short.

        Raises
        ------
        IndexError
            If there is no such object.
        """
        if not 0 <= index < self.objects:
            raise IndexError(f"{self.name} has {self.objects} shards or chunks, not {index}")
        first = index * self.object_rows
        return range(first, min(first + self.object_rows, self.rows))

    def key(self, index: int) -> str:
        """Return where object `index` is kept in the store."""
        return f"{self.name}/c.{index}" + f"{SEPARATOR}0" * (len(self.shape) - 1)

    @property
    def metadata_key(self) -> str:
        """Where the array's description is kept in the store."""
        return f"{self.name}/zarr.json"

    def metadata(self) -> dict[str, Any]:
        """Return the array's ``zarr.json``."""
        little = {"name": "bytes", "configuration": {"endian": "little"}}
        crc32c = {"name": "crc32c"}
        codecs: list[dict[str, Any]] = [little if self.stored.itemsize > 1 else {"name": "bytes"}]
        if self.compressed:
            blosc = {"cname": "lz4", "clevel": 1, "shuffle": "bitshuffle", "blocksize": 0}
            blosc["typesize"] = self.stored.itemsize
            codecs.append({"name": "blosc", "configuration": blosc})
        codecs.append(crc32c)
        if self.shard:
            inner = {"chunk_shape": list(self.chunk), "codecs": codecs}
            index = {"index_codecs": [little, crc32c], "index_location": "end"}
            codecs = [{"name": "sharding_indexed", "configuration": inner | index}]
        fill = self.fill_value
        return {
            "zarr_format": 3,
            "node_type": "array",
            "shape": list(self.shape),
            "data_type": self.dtype,
            "chunk_grid": {
                "name": "regular",
                "configuration": {"chunk_shape": list(self.shard or self.chunk)},
            },
            "chunk_key_encoding": {
                "name": "default",
                "configuration": {"separator": SEPARATOR},
            },
            "fill_value": "NaN" if isinstance(fill, float) and math.isnan(fill) else fill,
            "codecs": codecs,
            "attributes": dict(self.attrs),
            "dimension_names": list(self.dims),
        }

    @classmethod
    def from_metadata(cls, name: str, metadata: Mapping[str, Any]) -> Self:
        """Read an array's ``zarr.json``.

        Raises
        ------
        ValueError
            If the array is not stored the way this module stores arrays. Blosc may have been run
            with any settings, as its chunks describe themselves.
        """
        try:
            codecs = metadata["codecs"]
            outer = chunk = tuple(metadata["chunk_grid"]["configuration"]["chunk_shape"])
            sharded = codecs[0]["name"] == "sharding_indexed"
            if sharded:
                inner = codecs[0]["configuration"]
                chunk, codecs = tuple(inner["chunk_shape"]), inner["codecs"]
            spec = cls(
                name=name,
                shape=tuple(metadata["shape"]),
                dtype=metadata["data_type"],
                chunk=chunk,
                dims=tuple(metadata["dimension_names"]),
                shard=outer if sharded else None,
                attrs=metadata.get("attributes", {}),
                fill_value=_number(metadata["fill_value"]),
                compressed=any(codec["name"] == "blosc" for codec in codecs),
            )
            same = _decoding(spec.metadata()) == _decoding(metadata)
        except (KeyError, IndexError, TypeError, AttributeError) as error:
            raise ValueError(f"{name}: its zarr.json is not understood ({error})") from error
        if not same:
            raise ValueError(f"{name}: its codecs or chunk keys are not those of a corpus")
        return spec


def _number(fill: float | int | bool | str) -> float | int | bool:
    return float(fill) if isinstance(fill, str) else fill


def _decoding(metadata: Mapping[str, Any]) -> list[Any]:
    """Return what decides how bytes are found and decoded, without defaults and settings."""

    def names(codecs: list[Any]) -> list[Any]:
        return [
            (codec["name"], codec.get("configuration", {}).get("endian", "little"))
            for codec in codecs
        ]

    codecs, keys = metadata["codecs"], metadata["chunk_key_encoding"]
    found = [keys["name"], keys["configuration"]["separator"], names(codecs)]
    for codec in codecs:
        if codec["name"] == "sharding_indexed":
            inner = codec["configuration"]
            found += [names(inner["codecs"]), names(inner["index_codecs"])]
            found.append(inner.get("index_location", "end"))
    return found
