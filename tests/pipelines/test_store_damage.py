"""Damage is found and named, and a write that fails or dies leaves nothing that counts."""

import errno
import os
import subprocess
import sys
import textwrap
import time
import uuid

import numpy as np
import pytest
import zarr

from noisegen.errors import DamagedCorpusError, NoisegenError, StorageError
from pipelines.store import (
    ArraySpec,
    SampleReader,
    clean_partials,
    create,
    open_store,
    write_chunk,
    write_shard,
)

SPEC = ArraySpec(
    name="clean",
    shape=(8, 16, 16),
    dtype="uint16",
    chunk=(1, 16, 16),
    shard=(4, 16, 16),
    dims=("sample", "y", "x"),
)
ISO = ArraySpec("params/iso", (8,), "float32", (4,), ("sample",), compressed=False)
DATA = np.random.default_rng(0).integers(0, 1000, SPEC.shape).astype(np.uint16)


@pytest.fixture
def root(tmp_path):
    path = tmp_path / "data.zarr"
    create(path, [SPEC, ISO], {"noisegen": {}})
    for index in range(2):
        write_shard(open_store(path), SPEC, index, DATA[4 * index : 4 * index + 4])
        write_chunk(open_store(path), ISO, index, np.ones(4, np.float32))
    return path


def readable(reader):
    """Return which rows can be read; whatever can be is what was written."""
    rows = []
    for row in range(len(reader)):
        try:
            np.testing.assert_array_equal(reader[row], DATA[row])
        except DamagedCorpusError:
            continue
        rows.append(row)
    return rows


def flip(path, place):
    data = bytearray(path.read_bytes())
    data[place] ^= 0x10
    path.write_bytes(data)


def test_a_flipped_data_bit_costs_its_own_sample_only(root):
    flip(root / SPEC.key(1), 30)
    reader = SampleReader(root, "clean")
    assert readable(reader) == [0, 1, 2, 3, 5, 6, 7]
    with pytest.raises(DamagedCorpusError, match=r"data.zarr: clean shard 1: sample 4: .*checksum"):
        reader[4]


def test_every_flipped_bit_of_a_shard_is_found(root):
    path = root / SPEC.key(0)
    whole = path.read_bytes()
    for place in range(0, len(whole), 13):
        flip(path, place)
        assert len(readable(SampleReader(root, "clean"))) < 8, place
        path.write_bytes(whole)


def test_a_flipped_bit_outside_of_a_window_is_found_too(tmp_path):
    data = np.random.default_rng(1).integers(0, 16, (2, 400, 400)).astype(np.uint16)
    spec = ArraySpec("clean", data.shape, "uint16", (1, 400, 400), SPEC.dims, (2, 400, 400))
    create(tmp_path, [spec], {"noisegen": {}})
    write_shard(open_store(tmp_path), spec, 0, data)
    flip(tmp_path / spec.key(0), 30)
    reader = SampleReader(tmp_path, "clean")
    with pytest.raises(DamagedCorpusError, match=r"clean shard 0: sample 0: .*checksum"):
        next(reader.windows([0], [(300, 0)], 64))
    np.testing.assert_array_equal(next(reader.windows([1], [(0, 0)], 64)), data[1, :64, :64])


def test_what_is_torn_after_a_first_window_is_found(tmp_path):
    data = np.random.default_rng(1).integers(0, 16, (1, 400, 400)).astype(np.uint16)
    spec = ArraySpec("clean", data.shape, "uint16", (1, 400, 400), SPEC.dims, (1, 400, 400))
    create(tmp_path, [spec], {"noisegen": {}})
    write_shard(open_store(tmp_path), spec, 0, data)
    reader = SampleReader(tmp_path, "clean")
    next(reader.windows([0], [(300, 0)], 64))
    for keep in (20_000, 500, 10, 0):
        os.truncate(tmp_path / spec.key(0), keep)
        with pytest.raises(DamagedCorpusError, match="clean shard 0: sample 0"):
            next(reader.windows([0], [(300, 0)], 64))


def test_a_flipped_index_bit_costs_the_shard(root):
    flip(root / SPEC.key(1), -20)
    reader = SampleReader(root, "clean")
    assert readable(reader) == [0, 1, 2, 3]
    with pytest.raises(DamagedCorpusError, match="clean shard 1: the shard is torn"):
        reader[5]


@pytest.mark.parametrize("keep", [0, 3, 40, 500, -1])
def test_a_torn_shard_is_found(root, keep):
    path = root / SPEC.key(1)
    path.write_bytes(path.read_bytes()[:keep])
    assert readable(SampleReader(root, "clean")) == [0, 1, 2, 3]


def test_a_torn_shard_is_found_at_a_remote_place():
    url = f"memory://{uuid.uuid4().hex}"
    storage = open_store(url)
    create(url, [SPEC], {"noisegen": {}})
    for index in range(2):
        write_shard(storage, SPEC, index, DATA[4 * index : 4 * index + 4])
    whole = storage.read(SPEC.key(1))
    for torn in (whole[:-1], whole[:3], whole[:-40] + whole[-39:]):
        storage.write(SPEC.key(1), [torn])
        assert readable(SampleReader(url, "clean")) == [0, 1, 2, 3]


def test_a_deleted_shard_or_chunk_is_not_read_as_fill(root):
    (root / SPEC.key(1)).unlink()
    with pytest.raises(DamagedCorpusError, match="clean shard 1: the shard is missing"):
        SampleReader(root, "clean").rows(3, 5)
    (root / ISO.key(0)).unlink()
    with pytest.raises(DamagedCorpusError, match=r"params/iso chunk 0: sample 0: .*missing"):
        SampleReader(root, "params/iso").rows(0, 8)


def test_rows_that_are_not_written_yet_may_be_asked_for(root):
    (root / ISO.key(0)).unlink()
    reader = SampleReader(root, "params/iso")
    np.testing.assert_array_equal(reader.rows_or_fill(0, 8), [0] * 4 + [1] * 4)
    np.testing.assert_array_equal(reader.rows_or_fill(3, 5), [0, 1])
    assert reader.rows_or_fill(8, 8).shape == (0,)
    for start, stop in ((-1, 3), (3, 9), (5, 4)):
        with pytest.raises(IndexError, match="8 rows"):
            reader.rows_or_fill(start, stop)
    with pytest.raises(ValueError, match="clean has shards"):
        SampleReader(root, "clean").rows_or_fill(0, 8)
    flip(root / ISO.key(1), 3)
    with pytest.raises(DamagedCorpusError, match="params/iso chunk 1"):
        reader.rows_or_fill(0, 8)


def test_a_chunk_absent_from_its_index_is_not_read_as_fill(root):
    zarr.open_array(root, path="clean", mode="r+", config={"write_empty_chunks": False})[5] = 0
    reader = SampleReader(root, "clean")
    assert readable(reader) == [0, 1, 2, 3, 4, 6, 7]
    with pytest.raises(DamagedCorpusError, match="sample 5: the chunk is missing"):
        reader[5]


def test_a_sound_chunk_of_another_size_is_refused(root):
    small = ArraySpec("clean", (8, 8, 8), "uint16", (1, 8, 8), SPEC.dims, (4, 8, 8))
    write_shard(open_store(root), small, 0, np.ascontiguousarray(DATA[:4, :8, :8]))
    assert readable(SampleReader(root, "clean")) == [4, 5, 6, 7]


def test_a_damaged_description_is_named(root):
    (root / "clean" / "zarr.json").write_text("{")
    with pytest.raises(DamagedCorpusError, match=r"clean/zarr\.json is damaged"):
        SampleReader(root, "clean")


HALF = """
import os, sys, time
import numpy as np
from pipelines.store import open_store, write_shard
from pipelines.store.layout import ArraySpec

whole = os.writev
def half(fd, parts):
    whole(fd, parts[:3])
    print("half", flush=True)
    time.sleep(60)
os.writev = half
spec = ArraySpec("clean", (8, 16, 16), "uint16", (1, 16, 16), ("sample", "y", "x"), (4, 16, 16))
write_shard(open_store(sys.argv[1]), spec, 0, np.zeros((4, 16, 16), np.uint16))
"""


def test_kill_9_leaves_a_partial_file_that_is_cleaned(root):
    (root / SPEC.key(0)).unlink()
    before = set(root.rglob("*"))
    writer = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(HALF), str(root)], stdout=subprocess.PIPE, text=True
    )
    with writer:
        try:
            assert writer.stdout.readline() == "half\n"
            (partial,) = set(root.rglob("*")) - before
            assert partial.name.endswith(".partial")
            assert clean_partials(root) == []  # its writer lives
        finally:
            writer.kill()
    assert readable(SampleReader(root, "clean")) == [4, 5, 6, 7]
    assert clean_partials(root) == [str(partial)]
    assert set(root.rglob("*")) == before
    write_shard(open_store(root), SPEC, 0, DATA[:4])
    assert readable(SampleReader(root, "clean")) == list(range(8))


def test_partial_files_of_others_are_cleaned_when_old(root):
    other = root / "clean" / f"c.0.0.0.elsewhere.1.{uuid.uuid4().hex}.partial"
    zarrs = root / "clean" / f"c.{uuid.uuid4().hex}.partial"
    for path in (other, zarrs):
        path.write_bytes(b"x")
    assert clean_partials(root) == []
    hour_ago = time.time() - 3601
    for path in (other, zarrs):
        os.utime(path, (hour_ago, hour_ago))
    assert sorted(clean_partials(root)) == sorted(map(str, (other, zarrs)))
    assert readable(SampleReader(root, "clean")) == list(range(8))


def test_nothing_is_cleaned_outside_a_corpus(tmp_path):
    download = tmp_path / "film.partial"
    download.write_bytes(b"x")
    os.utime(download, (0, 0))
    assert clean_partials(tmp_path) == []
    assert clean_partials(f"memory://{uuid.uuid4().hex}") == []
    assert download.exists()


@pytest.fixture
def small_disk(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("only root may mount the small disk that this fills")
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("tmpfs cannot be mounted here")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_is_one_line_and_leaves_nothing(small_disk):
    big = ArraySpec("clean", (64, 64, 64), "uint16", (1, 64, 64), SPEC.dims, (64, 64, 64))
    create(small_disk / "x.zarr", [big], {"noisegen": {}})
    before = set(small_disk.rglob("*"))
    block = np.random.default_rng(0).integers(0, 2**16, big.shape).astype(np.uint16)
    with pytest.raises(StorageError, match=r"x\.zarr: cannot write: the disk is full") as caught:
        write_shard(open_store(small_disk / "x.zarr"), big, 0, block)
    assert "\n" not in str(caught.value)
    assert set(small_disk.rglob("*")) == before


def test_short_writes_are_carried_on(root, monkeypatch):
    whole = os.writev

    def seven_bytes(fd, parts):
        return whole(fd, [parts[0][:7]])

    monkeypatch.setattr(os, "writev", seven_bytes)
    write_shard(open_store(root), SPEC, 0, DATA[4:])
    monkeypatch.undo()
    np.testing.assert_array_equal(SampleReader(root, "clean").rows(0, 4), DATA[4:])


def test_more_parts_than_one_call_may_take(tmp_path):
    many = os.sysconf("SC_IOV_MAX") + 10
    spec = ArraySpec("tiny", (many, 2), "uint8", (1, 2), ("sample", "x"), (many, 2))
    create(tmp_path / "x", [spec], {"noisegen": {}})
    data = np.random.default_rng(0).integers(0, 255, spec.shape).astype(np.uint8)
    write_shard(open_store(tmp_path / "x"), spec, 0, data)
    np.testing.assert_array_equal(SampleReader(tmp_path / "x", "tiny").rows(0, many), data)


@pytest.mark.parametrize("verb", ["create", "write", "read"])
def test_a_path_below_a_file_is_one_line(tmp_path, verb):
    (tmp_path / "file").write_bytes(b"")
    storage = open_store(tmp_path / "file" / "x.zarr")
    with pytest.raises(StorageError, match="is a file, not a folder; choose another path"):
        if verb == "create":
            create(storage, [SPEC], {"noisegen": {}})
        elif verb == "write":
            write_shard(storage, SPEC, 0, DATA[:4])
        else:
            SampleReader(storage, "clean")


@pytest.mark.parametrize(
    ("number", "says"),
    [
        (errno.EACCES, "permission denied; choose another path"),
        (errno.EROFS, "read-only; choose another path"),
        (errno.EDQUOT, "quota is used up; free space"),
        (errno.EIO, "Input/output error"),
    ],
)
def test_what_the_system_says_becomes_one_line(root, monkeypatch, number, says):
    def fail(*_):
        raise OSError(number, os.strerror(number))

    before = set(root.rglob("*"))
    monkeypatch.setattr(os, "writev", fail)
    with pytest.raises(StorageError, match=f"data.zarr: cannot write: .*{says}") as caught:
        write_shard(open_store(root), SPEC, 0, DATA[:4])
    assert "\n" not in str(caught.value)
    assert set(root.rglob("*")) == before


def test_a_folder_that_vanished_is_one_line(tmp_path):
    with pytest.raises(StorageError, match="the folder is gone"):
        write_shard(open_store(tmp_path / "x"), SPEC, 0, DATA[:4])


@pytest.mark.parametrize("url", ["nosuch://bucket/x", "s3://bucket/x"])
def test_an_address_without_a_driver_is_one_line(url):
    try:
        open_store(url)
    except NoisegenError as error:
        assert error.exit_code == 2
        assert "driver" in str(error)
    else:
        assert url.startswith("s3")  # the driver is installed here
