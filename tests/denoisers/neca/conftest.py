"""Small pairs, a small recipe, and the command that learns from them."""

import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner

from denoisers.neca.recipe import parse
from noisegen.cli import main

TINY = {
    "iterations": 4,
    "batch": 2,
    "gain": {"width": 2, "depth": 3},
    "level": {"width": 2},
    "correlation": {"width": 2, "stages": 2},
    "critics": {"width": 1},
    "denoiser": {"width": 2, "depth": 3},
    "validation": {"every": 2, "count": 2, "crop": 96},
}


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Six scenes of two cameras, named as CC's are; noise follows the level and its neighbours."""
    folder = tmp_path_factory.mktemp("pairs")
    rng = np.random.default_rng(7)
    for i in range(6):
        coarse = rng.integers(40, 216, (4, 5, 3)).astype(np.float32)
        clean = cv2.resize(coarse, (112, 104), interpolation=cv2.INTER_CUBIC)
        clean = np.clip(np.rint(clean), 0, 255)
        noise = cv2.GaussianBlur(rng.standard_normal(clean.shape), (3, 3), 0.7)
        noisy = np.clip(np.rint(clean + (2 + i % 2) * np.sqrt(clean / 20) * noise), 0, 255)
        name = f"{'canon' if i < 4 else 'nikon'}_iso{(800, 1600)[i % 2]}_{i}"
        for half, picture in (("mean", clean), ("real", noisy)):
            cv2.imwrite(str(folder / f"{name}_{half}.png"), picture.astype(np.uint8))
    return folder


def recipe_file(folder, **changes):
    path = folder / "tiny.toml"
    path.write_text(parse(TINY | changes).to_toml())
    return path


def run(*arguments, code=0):
    result = CliRunner().invoke(main, ["fit", "neca", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return result


def refused(*arguments, code=2):
    lines = run(*arguments, code=code).stderr.splitlines()
    (line,) = [line for line in lines if line.startswith("noisegen: ")]
    assert line.startswith("noisegen: ")
    return line


@pytest.fixture
def batch(pairs):
    from denoisers.data import Loader, Mixture, open_data

    return Loader(Mixture([open_data(str(pairs))], [1.0]), patch=96, batch=2, seed=1).batch(0)


def weights_of(state, name):
    return torch.cat([p.detach().flatten().clone() for p in state.nets.named[name].parameters()])
