"""Made-up raw files: what a test needs is a few tags different from an ordinary DNG."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

Tag = tuple[int, str, int, Any, bool]

IDENTITY = (1, 1, 0, 1, 0, 1, 0, 1, 1, 1, 0, 1, 0, 1, 0, 1, 1, 1)

ORDINARY: dict[int, Tag] = {
    tag[0]: tag
    for tag in (
        (50706, "B", 4, bytes([1, 4, 0, 0]), True),  # DNGVersion
        (50708, "s", 0, "Testcam", True),  # UniqueCameraModel
        (33421, "H", 2, (2, 2), True),  # CFARepeatPatternDim
        (33422, "B", 4, bytes([0, 1, 1, 2]), True),  # CFAPattern
        (50714, "I", 1, 64, True),  # BlackLevel
        (50717, "I", 1, 1023, True),  # WhiteLevel
        (50721, "2i", 9, IDENTITY, True),  # ColorMatrix1
    )
}


@pytest.fixture
def mosaic() -> np.ndarray:
    """A 40x50 mosaic of 10-bit codes."""
    return np.random.default_rng(7).integers(0, 1024, (40, 50)).astype(np.uint16)


@pytest.fixture
def raw_dng(tmp_path: Path) -> Callable[..., Path]:
    """Write an ordinary RGGB DNG with some tags changed, added, or (None) left out."""

    def write(
        pixels: np.ndarray, *changes: Tag, without: tuple[int, ...] = (), **options: Any
    ) -> Path:
        tags = {code: tag for code, tag in ORDINARY.items() if code not in without}
        tags |= {tag[0]: tag for tag in changes}
        path = tmp_path / "made.dng"
        options = {"photometric": 32803, "subfiletype": 0, "metadata": None} | options
        tifffile.imwrite(path, pixels, extratags=list(tags.values()), **options)
        return path

    return write


@pytest.fixture(scope="session")
def raw_folder() -> Path:
    """The folder of real raw files."""
    root = os.environ.get("NOISEGEN_DATA")
    if root is None:
        pytest.skip("NOISEGEN_DATA is not set: no real raw files to read")
    return Path(root) / "raw"
