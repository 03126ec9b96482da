"""Tiny trees of pairs, laid out as the published sets are."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from noisegen.cli import main

STD = 12.0
"""Standard deviation of the noise of the noisy halves, in 8-bit levels."""


def picture(seed: int, height: int = 96, width: int = 96) -> np.ndarray:
    """A smooth scene of its own for each seed, (H, W, 3) float64 levels within 40 to 215."""
    rng = np.random.default_rng(seed)
    small = rng.uniform(40, 215, (height // 24 + 2, width // 24 + 2, 3))
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)


def write(path: Path, levels: np.ndarray, bits: int = 8) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    scale, dtype = (1, np.uint8) if bits == 8 else (257, np.uint16)
    codes = np.clip(np.round(levels * scale), 0, 255 * scale).astype(dtype)
    assert cv2.imwrite(str(path), codes[..., ::-1])


@pytest.fixture
def pair() -> Callable[..., None]:
    """Write both halves of a pair; one seed is one scene."""

    def put(noisy: Path, clean: Path, seed: int, size: tuple[int, int] = (96, 96), **how) -> None:
        scene = picture(seed, *size)
        noise = np.random.default_rng(1000 + seed).normal(0, STD, scene.shape)
        write(clean, scene, **how)
        write(noisy, scene + noise, **how)

    return put


@pytest.fixture
def polyu(tmp_path: Path, pair: Callable[..., None]) -> Path:
    """Three scenes of two cameras, two crops each, of which one is larger."""
    root = tmp_path / "polyu"
    shots = ("Canon5D2_5_160_3200_plug", "Canon5D2_5_200_3200_toy", "Sony_3-5_200_1600_door")
    for number, shot in enumerate(shots):
        for crop in (1, 2):
            name = root / f"{shot}_{crop}"
            size = (96, 150) if crop == 2 else (96, 96)
            noisy, clean = (name.with_name(f"{name.name}_{h}.JPG") for h in ("real", "mean"))
            pair(noisy, clean, 2 * number + crop, size)
    return root


@pytest.fixture
def run() -> Callable[..., Result]:
    def invoke(*arguments: object) -> Result:
        result = CliRunner().invoke(main, [str(a) for a in arguments])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
        return result

    return invoke


@pytest.fixture
def refused(run: Callable[..., Result]) -> Callable[..., str]:
    """Run a command that must fail, and return its one line."""

    def invoke(*arguments: object, code: int = 2) -> str:
        result = run(*arguments)
        assert result.exit_code == code, result.output
        lines = result.stderr.strip().splitlines()
        assert len(lines) == 1, result.stderr
        assert "--debug" not in lines[0], "an error that nobody foresaw"
        return str(lines[0])

    return invoke
