"""A skeleton is there at once or not at all, however many make it; nothing foreign is touched."""

import concurrent.futures
import json
import subprocess
import sys
import threading
import time
import uuid

import numpy as np
import pytest
import zarr

from noisegen.errors import CorpusMismatchError, DamagedCorpusError, MissingDataError
from pipelines.store import (
    ArraySpec,
    clean_partials,
    create,
    open_store,
    read_attributes,
    remove,
    write_chunk,
)

SPECS = [
    ArraySpec("clean", (8, 4, 4), "uint16", (1, 4, 4), ("sample", "y", "x"), (4, 4, 4)),
    ArraySpec("params/iso", (8,), "float32", (4,), ("sample",)),
    ArraySpec("params/deep/gain", (8,), "float32", (4,), ("sample",)),
]
ATTRS = {"noisegen": {"schema": 1, "recipe": 'seed = "λ"'}}


@pytest.fixture(params=["folder", "memory"])
def place(request, tmp_path):
    return (
        str(tmp_path / "deep" / "data.zarr")
        if request.param == "folder"
        else f"memory://{uuid.uuid4().hex}/data.zarr"
    )


def tree(path):
    return {p.relative_to(path): p.read_bytes() if p.is_file() else None for p in path.rglob("*")}


def test_all_groups_and_arrays_are_there(place):
    assert create(place, SPECS, ATTRS) is True
    assert create(place, SPECS, ATTRS) is False
    group = zarr.open_group(open_store(place).zarr(), mode="r")
    assert group.attrs.asdict() == ATTRS == read_attributes(place)
    assert sorted(name for name, _ in group.members(max_depth=None)) == [
        "clean",
        "params",
        "params/deep",
        "params/deep/gain",
        "params/iso",
    ]


def test_another_recipe_is_found_not_replaced(place):
    create(place, SPECS, ATTRS)
    assert create(place, SPECS[:1], {"noisegen": {"schema": 2}}) is False
    assert read_attributes(place) == ATTRS


def test_an_empty_folder_is_used_as_it_is(tmp_path):
    inode = tmp_path.stat().st_ino
    assert create(tmp_path, SPECS, ATTRS)
    assert tmp_path.stat().st_ino == inode  # it may have been a mount point
    assert read_attributes(tmp_path) == ATTRS


@pytest.mark.parametrize("keep", [1, 2, 5])
def test_half_a_skeleton_is_completed(tmp_path, keep):
    whole, half = tmp_path / "whole", tmp_path / "half"
    create(whole, SPECS, ATTRS)
    create(half, SPECS, {"noisegen": "another"})
    (half / "zarr.json").unlink()
    for path in sorted(half.rglob("zarr.json"))[keep:]:
        path.write_text("{")
    (half / "clean" / f"zarr.{uuid.uuid4().hex}.partial").write_bytes(b"")
    assert create(half, SPECS, ATTRS)
    found = {path: data for path, data in tree(half).items() if path.suffix != ".partial"}
    assert found == tree(whole)


def test_half_a_skeleton_is_completed_at_a_remote_place():
    url = f"memory://{uuid.uuid4().hex}"
    open_store(url).write("clean/zarr.json", [b"{"])
    assert create(url, SPECS, ATTRS)
    assert zarr.open_array(open_store(url).zarr(), path="clean", mode="r").shape == (8, 4, 4)


@pytest.mark.parametrize("name", ["holiday.jpg", "clean/c.0.0.0", "params/other/zarr.json", ".z"])
def test_foreign_content_is_refused_and_kept(tmp_path, name):
    path = tmp_path / "x" / name
    path.parent.mkdir(parents=True)
    path.write_bytes(b"dear")
    before = tree(tmp_path)
    with pytest.raises(CorpusMismatchError, match=f"it holds {name}"):
        create(tmp_path / "x", SPECS, ATTRS)
    assert tree(tmp_path) == before
    with pytest.raises(CorpusMismatchError):
        remove(tmp_path / "x")
    assert tree(tmp_path) == before


def test_a_foreign_zarr_is_refused_and_kept(place):
    zarr.create_group(open_store(place).zarr(), attributes={"title": "weather"})
    for action in (lambda: create(place, SPECS, ATTRS), lambda: remove(place)):
        with pytest.raises(CorpusMismatchError, match="noisegen did not make"):
            action()
    assert zarr.open_group(open_store(place).zarr(), mode="r").attrs["title"] == "weather"


def test_a_file_is_refused(tmp_path):
    (tmp_path / "x").write_bytes(b"dear")
    with pytest.raises(CorpusMismatchError, match="a file, not a folder"):
        create(tmp_path / "x", SPECS, ATTRS)


def test_reading_what_is_not_there_says_what_to_do(place):
    with pytest.raises(MissingDataError, match="no corpus here; make one with noisegen synth"):
        read_attributes(place)
    create(place, SPECS, ATTRS)
    for root in (b"{", b"\xff\xff", b""):
        open_store(place).write("zarr.json", [root])
        with pytest.raises(DamagedCorpusError, match=r"zarr\.json is damaged"):
            read_attributes(place)
    open_store(place).write("zarr.json", [b"[]"])
    with pytest.raises(CorpusMismatchError):
        read_attributes(place)


def test_removed_is_removed_and_neighbours_stay(place, tmp_path):
    create(place, SPECS, ATTRS)
    write_chunk(open_store(place), SPECS[1], 0, np.ones(4, np.float32))
    remove(place)
    assert list(open_store(place).keys()) == []
    assert not list(tmp_path.rglob("*.partial"))
    assert create(place, SPECS, ATTRS)


def test_contradicting_arrays_are_refused(tmp_path):
    longer = ArraySpec("raw", (9,), "uint8", (9,), ("sample",))
    with pytest.raises(ValueError, match="'sample' is 9 long here and 8 elsewhere"):
        create(tmp_path / "x", [*SPECS, longer], ATTRS)
    with pytest.raises(ValueError, match="one name"):
        create(tmp_path / "x", [SPECS[0], SPECS[0]], ATTRS)
    with pytest.raises(ValueError, match="must hold 'noisegen'"):
        create(tmp_path / "x", SPECS, {})
    assert not (tmp_path / "x").exists()


def test_threads_that_create_together_make_one(tmp_path):
    for turn in range(20):
        place, barrier = tmp_path / str(turn), threading.Barrier(4)

        def one(place=place, barrier=barrier):
            barrier.wait()
            return create(place, SPECS, ATTRS)

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            made = [job.result() for job in [pool.submit(one) for _ in range(4)]]
        assert sorted(made) == [False, False, False, True]
        assert read_attributes(place) == ATTRS
    assert len(list(tmp_path.iterdir())) == 20


CREATE = """
import json, sys, time
from pipelines.store import ArraySpec, create, open_store
spec = ArraySpec("clean", (8, 4, 4), "uint16", (1, 4, 4), ("sample", "y", "x"), (4, 4, 4))
time.sleep(max(0, float(sys.argv[2]) - time.time()))
print(json.dumps(create(sys.argv[1], [spec], {"noisegen": {"maker": sys.argv[3]}})))
"""


def test_processes_that_create_together_make_one(tmp_path):
    place, start = tmp_path / "x", time.time() + 3
    makers = [
        subprocess.Popen(
            [sys.executable, "-c", CREATE, str(place), str(start), str(maker)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for maker in range(3)
    ]
    made = [json.loads(maker.communicate(timeout=60)[0]) for maker in makers]
    assert sorted(made) == [False, False, True]
    assert read_attributes(place) == {"noisegen": {"maker": str(made.index(True))}}
    assert list(tmp_path.iterdir()) == [place]


DIE = """
import sys
from pathlib import Path
from pipelines.store.partials import sibling_folder

folder = sibling_folder(Path(sys.argv[1]))
folder.mkdir()
(folder / "zarr.json").touch()
print(folder)
"""


def test_a_skeleton_whose_maker_died_is_cleaned(tmp_path):
    create(tmp_path / "x", SPECS, ATTRS)
    dead = subprocess.run(
        [sys.executable, "-c", DIE, str(tmp_path / "x")],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    assert clean_partials(tmp_path / "x") == [dead]
    assert list(tmp_path.iterdir()) == [tmp_path / "x"]
