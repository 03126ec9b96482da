"""Sources by name: what is asked for is found, or one line says what to do."""

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from catalogs import sources
from catalogs.sources.deadleaves import DeadLeaves
from noisegen import plugins
from noisegen.errors import MissingDataError, RecipeError, UnknownNameError

OWN = ["deadleaves", "folder", "fivek", "div2k", "bsds", "kodak"]
OWN += ["pairs", "polyu", "cc", "renoir", "sidd", "sidd-crops", "sidd-val", "lsrw", "lol"]
OWN += ["rgbnir", "faid", "dvd"]


class Point:
    """An entry point of somebody's package."""

    value = "somebody.sources:ENTRY"

    def __init__(self, name: str, load: Callable[[], Any]) -> None:
        self.name, self.load = name, load


@pytest.fixture
def offer(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Put entry points into the group."""

    def put(*points: Point) -> None:
        def entry_points(group: str, name: str | None = None) -> list[Point]:
            assert group == "noisegen.sources"
            return [p for p in points if name in (None, p.name)]

        monkeypatch.setattr(plugins, "entry_points", entry_points)

    return put


def test_all_of_the_catalogue_is_complete() -> None:
    found, broken = sources.entries()
    assert [page.name for page in found] == sources.names() == OWN
    assert broken == []
    for page in found:
        assert all((page.title, page.licence, page.url, page.size, page.layout))
        assert page.default_per_image == 16


@pytest.mark.parametrize("name", OWN)
def test_every_source_is_picklable_and_says_who_it_is(name: str, tmp_path: Path) -> None:
    source = sources.open(name, tmp_path)
    again = pickle.loads(pickle.dumps(source))
    assert again == source
    page = sources.entry(name)
    for one in (source, again):
        assert (one.name, one.licence, one.default_per_image) == (name, page.licence, 16)


def test_an_unknown_name_gets_a_suggestion() -> None:
    with pytest.raises(UnknownNameError, match=r"'fiveK2' \(did you mean 'fivek'\?\)"):
        sources.open("fiveK2")


def test_a_root_is_needed_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("NOISEGEN_SOURCES", raising=False)
    with pytest.raises(MissingDataError, match=r"--root DIR.*NOISEGEN_SOURCES.*data\.csail"):
        sources.open("fivek")
    monkeypatch.setenv("NOISEGEN_SOURCES", str(tmp_path))
    with pytest.raises(MissingDataError, match=r"no folder .*kodak \(\$NOISEGEN_SOURCES/kodak\)"):
        sources.open("kodak")
    (tmp_path / "kodak").mkdir()
    assert sources.open("kodak").root == str(tmp_path / "kodak")  # type: ignore[attr-defined]
    with pytest.raises(MissingDataError, match="no folder /nowhere; get it from"):
        sources.open("kodak", "/nowhere")
    monkeypatch.setenv("NOISEGEN_SOURCES", "s3://bucket/sets/")
    assert sources.default_root("kodak") == "s3://bucket/sets/kodak"


def test_a_file_is_no_root(tmp_path: Path) -> None:
    (tmp_path / "x.dng").write_bytes(b"x")
    with pytest.raises(MissingDataError, match=r"no folder .*x\.dng"):
        sources.open("folder", tmp_path / "x.dng")


def test_an_unknown_file_system_is_one_line() -> None:
    with pytest.raises(MissingDataError, match="cannot reach nope://x: Protocol not known"):
        sources.open("folder", "nope://x")


def test_options_are_checked(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"did you mean 'split'"):
        sources.open("fivek", tmp_path, splt="all")
    with pytest.raises(RecipeError, match=r"split='dualdn-trian'.*did you mean 'dualdn-train'"):
        sources.open("fivek", tmp_path, split="dualdn-trian")
    with pytest.raises(RecipeError, match="it has: none"):
        sources.open("folder", tmp_path, split="all")


def test_other_packages_sources_are_loaded_when_named(offer: Callable[..., None]) -> None:
    loaded = []

    def load() -> sources.SourceEntry:
        loaded.append(1)
        return sources.SourceEntry(
            name="theirs",
            title="t",
            licence="l",
            url="u",
            size="s",
            layout="l",
            make=lambda root: DeadLeaves(count=1),
            needs_root=False,
        )

    offer(Point("theirs", load), Point("deadleaves", load))
    assert sources.names() == [*OWN, "theirs"]
    assert loaded == []
    assert len(sources.open("theirs").images()) == 1
    # A name of this project cannot be taken over.
    assert sources.entry("deadleaves").title.startswith("Dead leaves")


def test_a_broken_package_is_named_and_skipped(offer: Callable[..., None]) -> None:
    def fail() -> None:
        raise ImportError("no module named theirs\nand more")

    offer(Point("broken", fail), Point("odd", lambda: 7))
    found, broken = sources.entries()
    assert [page.name for page in found] == OWN
    import_error, wrong_type = broken
    assert import_error == (
        "source 'broken' (somebody.sources:ENTRY) cannot be loaded: "
        "ImportError: no module named theirs; mend its package"
    )
    assert wrong_type.startswith("source 'odd'")
    assert "a int where a catalogs.sources.SourceEntry should be" in wrong_type
    with pytest.raises(sources.BrokenSourceError, match=r"'broken'.*cannot be loaded") as caught:
        sources.open("broken")
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_listing_the_catalogue_loads_nothing_heavy() -> None:
    code = (
        "import sys, catalogs.sources as s; s.entries();"
        "heavy = {'torch', 'numba', 'cv2', 'rawpy', 'tifffile', 'dask', 'fsspec'};"
        "print(sorted(heavy & sys.modules.keys()))"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
