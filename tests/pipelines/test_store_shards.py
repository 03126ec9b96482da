"""Shards and chunks: ours read by zarr-python, xarray and Dask, theirs by us, all values equal."""

import concurrent.futures
import pickle
import uuid
from pathlib import Path

import dask.array
import numpy as np
import pytest
import xarray
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from noisegen.errors import CorpusMismatchError, MissingDataError
from pipelines.store import (
    ArraySpec,
    SampleReader,
    ShardBuilder,
    compression,
    create,
    open_store,
    write_chunk,
    write_shard,
    writer,
)
from pipelines.store.layout import DTYPES

ATTRS = {"noisegen": {"schema": 1}}


def spec_of(data, *, name="clean", chunk=1, shard=4, compressed=True):
    tail = data.shape[1:]
    return ArraySpec(
        name=name,
        shape=data.shape,
        dtype=data.dtype.name,
        chunk=(chunk, *tail),
        shard=None if shard is None else (shard, *tail),
        dims=("sample", "y", "x", "channel")[: data.ndim],
        attrs={"units": "1", "description": "made up"},
        compressed=compressed,
    )


def store_all(storage, spec, data):
    write = write_chunk if spec.shard is None else write_shard
    for index in range(spec.objects):
        rows = spec.rows_of(index)
        write(storage, spec, index, data[rows.start : rows.stop])


def noise(shape, dtype, seed=0):
    raw = np.random.default_rng(seed).integers(0, 2**63, shape)
    return raw % 2 == 0 if dtype == "bool" else raw.astype(dtype)


@pytest.fixture(params=["folder", "memory"])
def place(request, tmp_path):
    return (
        str(tmp_path / "data.zarr")
        if request.param == "folder"
        else f"memory://{uuid.uuid4().hex}/data.zarr"
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("chunk", "shard"), [(1, 4), (2, 4), (1, 16), (4, 4), (1, None), (4, None), (16, None)]
)
@pytest.mark.parametrize("compressed", [True, False])
def test_ours_is_read_by_zarr_python(tmp_path, dtype, chunk, shard, compressed):
    data = noise((10, 5, 7), dtype)
    spec = spec_of(data, chunk=chunk, shard=shard, compressed=compressed)
    create(tmp_path / "x.zarr", [spec], ATTRS)
    storage = open_store(tmp_path / "x.zarr")
    store_all(storage, spec, data)
    np.testing.assert_array_equal(zarr.open_array(storage.zarr(), path="clean", mode="r")[:], data)
    np.testing.assert_array_equal(SampleReader(storage, "clean").rows(0, 10), data)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("chunk", "shard"), [(1, 4), (2, 4), (1, None), (4, None)])
def test_theirs_is_read_by_us(tmp_path, dtype, chunk, shard):
    data = noise((10, 5, 7), dtype)
    create(tmp_path / "x.zarr", [spec_of(data, chunk=chunk, shard=shard)], ATTRS)
    array = zarr.open_array(
        tmp_path / "x.zarr", path="clean", mode="r+", config={"write_empty_chunks": True}
    )
    array[:] = data
    np.testing.assert_array_equal(SampleReader(tmp_path / "x.zarr", "clean").rows(0, 10), data)


def test_our_shard_is_the_bytes_of_theirs(tmp_path):
    data = noise((4, 64, 64), "uint16") // 16
    spec = spec_of(data)
    for name in "ab":
        create(tmp_path / name, [spec], ATTRS)
    write_shard(open_store(tmp_path / "a"), spec, 0, data)
    zarr.open_array(tmp_path / "b", path="clean", mode="r+")[:] = data
    ours, theirs = ((tmp_path / name / spec.key(0)).read_bytes() for name in "ab")
    assert ours == theirs


@settings(max_examples=25, deadline=None)
@given(
    data=hnp.arrays(
        st.sampled_from(["uint8", "uint16", "float32"]),
        st.tuples(st.integers(1, 9), st.integers(1, 6), st.integers(1, 6), st.just(3)),
        elements=st.integers(0, 255),
    ),
    chunk=st.integers(1, 3),
    slots=st.integers(1, 4),
    compressed=st.booleans(),
)
def test_any_shape_comes_back_both_ways(data, chunk, slots, compressed):
    spec = spec_of(data, chunk=chunk, shard=chunk * slots, compressed=compressed)
    storage = open_store(f"memory://{uuid.uuid4().hex}")
    create(storage, [spec], ATTRS)
    store_all(storage, spec, data)
    np.testing.assert_array_equal(SampleReader(storage, "clean").rows(0, len(data)), data)
    np.testing.assert_array_equal(zarr.open_array(storage.zarr(), path="clean", mode="r")[:], data)


def test_rows_come_in_the_order_asked_for(place):
    data = noise((10, 5, 7, 3), "uint8")
    spec = spec_of(data, chunk=2, shard=4)
    create(place, [spec], ATTRS)
    store_all(open_store(place), spec, data)
    reader = SampleReader(place, "clean")
    order = [9, 0, 3, 3, -1, -10]
    np.testing.assert_array_equal(reader.take(order), data[order])
    np.testing.assert_array_equal(reader[np.int64(4)], data[4])
    np.testing.assert_array_equal(reader.rows(3, 6), data[3:6])
    assert reader.rows(3, 3).shape == (0, 5, 7, 3)
    out = np.empty((2, 5, 7, 3), np.uint8)
    assert reader.take([1, 2], out) is out
    np.testing.assert_array_equal(out, data[1:3])
    assert (len(reader), reader.shape, reader.dtype) == (10, data.shape, data.dtype)
    for row in (10, -11):
        with pytest.raises(IndexError, match="10 rows"):
            reader[row]
    for wrong in (np.empty((2, 5, 7, 3), np.uint16), np.empty((1, 5, 7, 3), np.uint8)):
        with pytest.raises(ValueError, match="out must be"):
            reader.take([1, 2], wrong)


@settings(max_examples=40, deadline=None)
@given(
    dtype=st.sampled_from(["uint8", "uint16"]),
    tail=st.sampled_from([(150, 160), (150, 160, 3), (90, 243, 3)]),
    grain=st.sampled_from([1, 64, 255]),
    kind=st.sampled_from([(1, 2, True), (1, 2, False), (1, None, True), (2, 2, True)]),
    threads=st.booleans(),
    cut=st.tuples(st.integers(1, 90), *(st.floats(0, 1),) * 2),
)
def test_windows_are_cut_out_of_rows(dtype, tail, grain, kind, threads, cut):
    # Steps of `grain` make data that lz4 can do nothing with, little, and all.
    data = noise((2, *tail), dtype) // grain * grain
    chunk, shard, compressed = kind
    spec = spec_of(data, chunk=chunk, shard=shard, compressed=compressed)
    storage = open_store(f"memory://{uuid.uuid4().hex}")
    create(storage, [spec], ATTRS)
    if threads and compressed:
        # Zarr's threads write a chunk's blocks in whatever order they are done.
        zarr.open_array(storage.zarr(), path="clean", mode="r+")[:] = data
    else:
        store_all(storage, spec, data)
    reader = SampleReader(storage, "clean")
    size, *shares = cut
    y, x = (int(share * (n - size)) for share, n in zip(shares, tail, strict=False))
    rows, corners = [1, -2, 1], [(y, x), (0, tail[1] - size), (tail[0] - size, 0)]
    for _ in range(2):  # checksums are compared the first time
        for row, (y, x), got in zip(
            rows, corners, reader.windows(rows, corners, size), strict=True
        ):
            np.testing.assert_array_equal(got, data[row, y : y + size, x : x + size])
    for corner in ((-1, 0), (0, -1), (tail[0] - size + 1, 0), (0, tail[1] - size + 1)):
        with pytest.raises(IndexError, match="no square of"):
            next(reader.windows([0], [corner], size))


def test_a_window_decodes_the_blocks_that_hold_it(tmp_path, monkeypatch):
    data = noise((2, 400, 400, 3), "uint8") // 16 * 16  # 480 kB: eight blocks of 64 kB
    spec = spec_of(data, shard=2)
    create(tmp_path / "x", [spec], ATTRS)
    store_all(open_store(tmp_path / "x"), spec, data)
    decoded = []
    decompress = compression.blosc.decompress

    def counted(frame, out):
        decoded.append(out.nbytes)
        return decompress(frame, out)

    monkeypatch.setattr(compression.blosc, "decompress", counted)
    reader = SampleReader(tmp_path / "x", "clean")
    for _ in range(2):
        (got,) = reader.windows([1], [(100, 30)], 100)  # bytes 120 000 to 240 000
        np.testing.assert_array_equal(got, data[1, 100:200, 30:130])
    assert decoded == [3 << 16] * 2


def test_one_dimensional_rows_are_numbers(place):
    data = noise((10,), "float32")
    spec = spec_of(data, chunk=1, shard=4)
    create(place, [spec], ATTRS)
    store_all(open_store(place), spec, data)
    reader = SampleReader(place, "clean")
    assert reader[7] == data[7]
    np.testing.assert_array_equal(reader.rows(0, 10), data)


def test_opens_in_xarray_and_dask_with_names_and_units(place):
    clean, iso = noise((10, 5, 7, 3), "uint8"), noise((10,), "float32")
    specs = [spec_of(clean), spec_of(iso, name="params/iso", chunk=4, shard=None, compressed=False)]
    create(place, specs, ATTRS)
    storage = open_store(place)
    for spec, data in zip(specs, (clean, iso), strict=True):
        store_all(storage, spec, data)
    # No warnings: pytest turns each into an error.
    with xarray.open_zarr(storage.zarr(), consolidated=False) as opened:
        assert opened.clean.dims == ("sample", "y", "x", "channel")
        assert opened.clean.attrs["units"] == "1"
        assert opened.attrs["noisegen"] == {"schema": 1}
        np.testing.assert_array_equal(opened.clean.values, clean)
    with xarray.open_zarr(storage.zarr(), group="params", consolidated=False) as opened:
        np.testing.assert_array_equal(opened.iso.values, iso)
    lazy = dask.array.from_zarr(storage.zarr(), component="clean")
    np.testing.assert_array_equal(lazy.compute(scheduler="synchronous"), clean)


def test_one_place_opens_by_its_plain_path(tmp_path):
    data = noise((3, 5, 7), "uint16")
    spec = spec_of(data)
    create(f"file://{tmp_path}/x.zarr", [spec], ATTRS)
    store_all(open_store(tmp_path / "x.zarr"), spec, data)
    path = str(tmp_path / "x.zarr")
    np.testing.assert_array_equal(zarr.open_group(path, mode="r")["clean"][:], data)
    np.testing.assert_array_equal(dask.array.from_zarr(path, component="clean").compute(), data)
    with xarray.open_zarr(path, consolidated=False) as opened:
        np.testing.assert_array_equal(opened.clean.values, data)


def test_builder_lets_the_buffer_be_used_again(tmp_path):
    data = noise((4, 5, 7), "uint16")
    for compressed in (True, False):
        spec = spec_of(data, compressed=compressed)
        place = tmp_path / str(compressed)
        create(place, [spec], ATTRS)
        builder = ShardBuilder(open_store(place), spec, 0)
        buffer = np.empty((5, 7), np.uint16)
        for sample in data:
            buffer[:] = sample
            builder.add(buffer[None])
        buffer[:] = 0
        assert builder.finish(durable=True) == (place / spec.key(0)).stat().st_size
        np.testing.assert_array_equal(SampleReader(place, "clean").rows(0, 4), data)


def test_chunks_that_come_together_are_those_that_come_one_by_one(tmp_path, monkeypatch):
    data = noise((4, 5, 7), "uint16")
    spec = spec_of(data)
    shards = []
    for sizes, together in (((4,), 1 << 20), ((1, 3), 200), ((1, 1, 1, 1), 1)):
        monkeypatch.setattr(writer, "TOGETHER", together)
        place = tmp_path / str(len(sizes))
        create(place, [spec], ATTRS)
        with ShardBuilder(open_store(place), spec, 0) as builder:
            for part in np.split(data, np.cumsum(sizes)[:-1]):
                builder.add(part)
            builder.finish()
        shards.append((place / spec.key(0)).read_bytes())
    assert shards[0] == shards[1] == shards[2]


def test_only_whole_shards_of_the_right_kind_are_written(tmp_path):
    data = noise((6, 5, 7), "uint16")
    spec, plain = spec_of(data), spec_of(data, name="plain", shard=None)
    create(tmp_path / "x", [spec, plain], ATTRS)
    storage = open_store(tmp_path / "x")
    with pytest.raises(ValueError, match=r"part 0 is \(4, 5, 7\)"):
        write_shard(storage, spec, 0, data[:3])
    with pytest.raises(IndexError, match="2 shards"):
        write_shard(storage, spec, 2, data[:1])
    with pytest.raises(ValueError, match="write_chunk"):
        write_shard(storage, plain, 0, data[:1])
    with pytest.raises(ValueError, match="write_shard"):
        write_chunk(storage, spec, 0, data[:4])
    with ShardBuilder(storage, spec, 1) as builder:
        with pytest.raises(ValueError, match=r"not .* float64"):
            builder.add(np.zeros((1, 5, 7)))
        with pytest.raises(ValueError, match="C-contiguous"):
            builder.add(np.zeros((1, 7, 5), np.uint16).mT)
        builder.add(data[4:5])
        with pytest.raises(ValueError, match="1 of 2"):
            builder.finish()
        with pytest.raises(ValueError, match="takes 1 more chunks, not 2"):
            builder.add(data[4:6])
        builder.add(data[5:6])
        with pytest.raises(ValueError, match="takes 0 more chunks, not 1"):
            builder.add(data[5:6])
    assert list((tmp_path / "x" / "clean").iterdir()) == [tmp_path / "x" / "clean" / "zarr.json"]


def test_reader_is_shared_by_threads_and_sent_to_processes(place):
    data = noise((64, 8, 8), "uint16")
    spec = spec_of(data, shard=4)
    create(place, [spec], ATTRS)
    store_all(open_store(place), spec, data)
    reader = pickle.loads(pickle.dumps(SampleReader(place, "clean", max_open=2)))
    rows = np.random.default_rng(1).integers(0, 64, 400)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for row, got in zip(rows, pool.map(reader.__getitem__, rows), strict=True):
            np.testing.assert_array_equal(got, data[row])


def test_no_more_than_max_open_files_are_held(tmp_path):
    data = noise((64, 2, 2), "uint16")
    spec = spec_of(data, shard=1)
    create(tmp_path / "x", [spec], ATTRS)
    store_all(open_store(tmp_path / "x"), spec, data)
    reader = SampleReader(tmp_path / "x", "clean", max_open=3)
    reader.rows(0, 64)
    fds = Path("/proc/self/fd")
    if not fds.exists():
        pytest.skip("no /proc here to count open files in")
    held = sum(str(tmp_path) in str(fd.readlink()) for fd in fds.iterdir() if fd.is_symlink())
    assert held == 3


def test_an_array_that_is_not_ours_is_refused_by_name(tmp_path):
    zarr.create_array(tmp_path / "x", name="clean", shape=(4, 4), dtype="uint8", chunks=(1, 4))
    with pytest.raises(CorpusMismatchError, match="open it with zarr"):
        SampleReader(tmp_path / "x", "clean")
    with pytest.raises(MissingDataError, match="no array 'noisy'"):
        SampleReader(tmp_path / "x", "noisy")
