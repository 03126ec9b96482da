"""The corpus store: Zarr v3 arrays written a whole shard at a time and read a row at a time.

What is written opens in zarr, xarray and dask as it is; what Zarr writes in the same layout opens
here.
"""

from pipelines.store.layout import ArraySpec
from pipelines.store.reader import SampleReader, read_spec
from pipelines.store.skeleton import MARK, clean_partials, create, read_attributes, remove
from pipelines.store.storage import Storage, open_store
from pipelines.store.text import decode_text, encode_text
from pipelines.store.writer import ShardBuilder, write_chunk, write_shard

__all__ = [
    "MARK",
    "ArraySpec",
    "SampleReader",
    "ShardBuilder",
    "Storage",
    "clean_partials",
    "create",
    "decode_text",
    "encode_text",
    "open_store",
    "read_attributes",
    "read_spec",
    "remove",
    "write_chunk",
    "write_shard",
]
