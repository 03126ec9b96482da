"""Room that is asked for ahead changes nothing that is written."""

import os

import pytest

from noisegen.errors import StorageError
from pipelines.store import room
from pipelines.store.storage import LocalStorage

PIECES = [os.urandom(size) for size in (room.LEAST, 100, room.AHEAD + 5, room.LEAST + 1, 3)]


@pytest.fixture
def calls(monkeypatch):
    """Arguments of the calls of the system, which then do nothing."""
    made = []
    monkeypatch.setattr(room, "_fallocate", lambda: lambda *a: made.append(a[1:]) or 0)
    return made


def write(path):
    writer = LocalStorage(path).writer("x")
    for piece in PIECES:
        writer.append([piece[:50], memoryview(piece)[50:]])
    return writer


def test_what_is_written_is_what_comes(tmp_path):
    writer = write(tmp_path)
    assert not (tmp_path / "x").exists()
    writer.commit()
    assert (tmp_path / "x").read_bytes() == b"".join(PIECES)
    state = (tmp_path / "x").stat()
    assert state.st_blocks * 512 < state.st_size + room.LEAST, "the rest is given back"


def test_room_is_asked_for_in_large_steps_and_without_gaps(tmp_path, calls):
    write(tmp_path).commit()
    assert calls == [(1, 0, room.AHEAD), (1, room.AHEAD, room.AHEAD)]
    assert (tmp_path / "x").read_bytes() == b"".join(PIECES)


def test_small_objects_ask_for_nothing(tmp_path, calls):
    LocalStorage(tmp_path).write("x", [bytes(room.LEAST - 1)])
    assert calls == []


@pytest.mark.parametrize("call", [None, lambda *_: -1])
def test_a_system_without_it_is_left_alone(tmp_path, monkeypatch, call):
    asked = []
    monkeypatch.setattr(room, "_fallocate", lambda: asked.append(1) or call)
    write(tmp_path).commit()
    assert len(asked) == 1
    assert (tmp_path / "x").read_bytes() == b"".join(PIECES)


def test_a_full_disk_is_told_by_the_write(tmp_path, monkeypatch):
    def full(fd, parts):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "writev", full)
    writer = LocalStorage(tmp_path).writer("x")
    with pytest.raises(StorageError, match="disk is full"):
        writer.append([PIECES[0]])
    writer.discard()
    assert list(tmp_path.iterdir()) == []
