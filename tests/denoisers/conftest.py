"""Small corpora and folders that networks are trained on in the tests."""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest

import pipelines
from noisegen import plugins

SOURCE = {"source": "deadleaves", "source_options": {"size": 96}}


def make(path, root=None, **changes):
    """Make a corpus of 12 scenes, two patches of 32 each."""
    recipe = {"patch": 32, "per_image": 2, "count": 24, "iso": 3200.0, **SOURCE, **changes}
    pipelines.synthesize(pipelines.Recipe(**recipe), str(path), root=root)
    return pipelines.open(path)


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    """A stored sRGB corpus."""
    return make(tmp_path_factory.mktemp("stored") / "a.zarr")


@pytest.fixture(scope="session")
def lazy(tmp_path_factory):
    """The same recipe, lazy."""
    return make(tmp_path_factory.mktemp("lazy") / "a.zarr", lazy=True)


@pytest.fixture(scope="session")
def raws(tmp_path_factory):
    """A stored corpus of mosaics."""
    return make(tmp_path_factory.mktemp("raws") / "a.zarr", stage="raw")


@pytest.fixture(scope="session")
def guided(tmp_path_factory):
    """Stored sRGB corpora with near infrared (1) and flash (3), by channels of the guide."""
    folder = tmp_path_factory.mktemp("guided")
    return {n: make(folder / kind, guide=kind) for n, kind in ((1, "nir"), (3, "flash"))}


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    """Five smooth colour pictures of different sizes, one of 16 bits."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(5)
    for i in range(5):
        height, width = 40 + 3 * i, 52 - 2 * i
        coarse = rng.integers(40, 216, (6, 8, 3), np.uint8)
        picture = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
        if i == 4:
            picture = picture * np.uint16(257)
        assert cv2.imwrite(str(folder / f"{'abcde'[i]}.png"), picture[..., ::-1])
    return folder


class Point:
    """An entry point of somebody's package."""

    value = "somebody.models:ENTRY"

    def __init__(self, name: str, load: Callable[[], Any]) -> None:
        self.name, self.load = name, load


@pytest.fixture
def offer(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Put entry points into the group."""

    def put(*points: Point) -> None:
        def entry_points(group: str, name: str | None = None) -> list[Point]:
            assert group == "noisegen.denoisers"
            return [p for p in points if name in (None, p.name)]

        monkeypatch.setattr(plugins, "entry_points", entry_points)

    return put


@pytest.fixture(scope="session")
def odd_photos(tmp_path_factory):
    """Five smooth colour pictures of odd height or width."""
    folder = tmp_path_factory.mktemp("odd")
    rng = np.random.default_rng(6)
    for i in range(5):
        coarse = rng.integers(40, 216, (5, 6, 3), np.uint8)
        size = (41 + i, 30 + i // 2)
        picture = cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC)
        assert cv2.imwrite(str(folder / f"{i}.png"), picture)
    return folder
