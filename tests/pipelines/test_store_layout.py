"""What an array is: its description is zarr-python's own, and nonsense is refused."""

import json
import math

import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from zarr.codecs import BloscCodec, Crc32cCodec

from pipelines.store import ArraySpec, decode_text, encode_text
from pipelines.store.layout import DTYPES


def pixels(**changes):
    spec = {
        "name": "clean",
        "shape": (10, 6, 4, 3),
        "dtype": "uint16",
        "chunk": (1, 6, 4, 3),
        "dims": ("sample", "y", "x", "channel"),
        "shard": (4, 6, 4, 3),
        "attrs": {"units": "1"},
    }
    return ArraySpec(**(spec | changes))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sharded", [True, False])
@pytest.mark.parametrize("compressed", [True, False])
def test_description_is_what_zarr_python_writes(dtype, sharded, compressed):
    spec = pixels(dtype=dtype, compressed=compressed, shard=(4, 6, 4, 3) if sharded else None)
    blosc = BloscCodec(cname="lz4", clevel=1, shuffle="bitshuffle", typesize=spec.stored.itemsize)
    store = {}
    zarr.create_array(
        zarr.storage.MemoryStore(store),
        name="clean",
        shape=spec.shape,
        dtype=dtype,
        chunks=spec.chunk,
        shards=spec.shard,
        compressors=[blosc, Crc32cCodec()] if compressed else [Crc32cCodec()],
        fill_value=0,
        dimension_names=spec.dims,
        attributes={"units": "1"},
        chunk_key_encoding={"name": "default", "separator": "."},
    )
    theirs = json.loads(store["clean/zarr.json"].to_bytes())
    inner = theirs["codecs"][0]["configuration"] if sharded else {}
    assert theirs.pop("storage_transformers", []) == []
    ours = json.loads(json.dumps(spec.metadata()))
    if dtype == "bool":
        ours["fill_value"] = bool(ours["fill_value"])
    if spec.stored.itemsize == 1:  # some releases name the byte order of single bytes too
        (inner if sharded else theirs)["codecs"][0].pop("configuration", None)
    assert ours == theirs
    assert ArraySpec.from_metadata("clean", theirs) == spec


def test_lengths_of_any_kind_of_integer_are_taken():
    spec = pixels(shape=[np.int64(10), 6, 4, 3], chunk=np.array([1, 6, 4, 3]), shard=[4, 6, 4, 3])
    assert spec == pixels()
    assert json.dumps(spec.metadata())


def test_nan_fill_value_is_spelt_as_the_specification_asks():
    spec = pixels(dtype="float32", fill_value=math.nan)
    assert spec.metadata()["fill_value"] == "NaN"
    assert math.isnan(ArraySpec.from_metadata("clean", spec.metadata()).fill_value)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"dtype": "complex64"}, "dtype complex64"),
        ({"dims": ("sample", "y", "x")}, "equal length"),
        ({"dims": ("sample", "y", "y", "channel")}, "used twice"),
        ({"chunk": (1, 3, 4, 3)}, "whole rows"),
        ({"shard": (4, 6, 2, 3)}, "whole rows"),
        ({"chunk": (3, 6, 4, 3)}, "whole number of chunks"),
        ({"shape": (0, 6, 4, 3)}, "equal length"),
        (
            {
                "shape": (1, 2**15, 2**15, 1),
                "chunk": (1, 2**15, 2**15, 1),
                "shard": None,
            },
            "2 GiB",
        ),
    ],
)
def test_contradictions_are_refused(changes, says):
    with pytest.raises(ValueError, match=says):
        pixels(**changes)


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m["codecs"][0]["configuration"]["codecs"].insert(
            0, {"name": "transpose", "configuration": {"order": [0, 3, 1, 2]}}
        ),
        lambda m: m["codecs"][0]["configuration"]["codecs"].pop(),
        lambda m: m["codecs"][0]["configuration"].update(index_location="start"),
        lambda m: m["codecs"][0]["configuration"]["codecs"][0].update(
            configuration={"endian": "big"}
        ),
        lambda m: m["chunk_key_encoding"]["configuration"].update(separator="/"),
        lambda m: m.pop("codecs"),
        lambda m: m.update(dimension_names=None),
    ],
)
def test_another_encoding_is_refused_rather_than_misread(change):
    metadata = json.loads(json.dumps(pixels().metadata()))
    change(metadata)
    with pytest.raises(ValueError, match="clean"):
        ArraySpec.from_metadata("clean", metadata)


def test_the_last_object_may_be_short():
    spec = pixels()
    assert [len(spec.rows_of(i)) for i in range(spec.objects)] == [4, 4, 2]
    with pytest.raises(IndexError, match="3 shards"):
        spec.rows_of(3)


text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


@given(st.lists(text))
def test_text_comes_back(strings):
    rows = encode_text(strings)
    assert rows.dtype == np.uint8
    assert decode_text(rows) == strings


def test_text_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="3 bytes does not fit into 2"):
        encode_text(["aé"], width=2)
    with pytest.raises(ValueError, match="zero character"):
        encode_text(["a\0"])
