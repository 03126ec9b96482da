"""noisegen fit: what it writes and says, on pairs of known noise."""

import re

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

import pipelines
from catalogs import noise_file
from noisegen.cli import main
from noisegen.cli.fit import SHORT
from noisegen.picture import MODELS, PictureNoise, add_noise
from noisegen.random import counter
from pipelines.recipe import Recipe

STD = (0.02, 0.03, 0.04)
SIZE = 200


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Four pairs of white noise on scenes of their own, the even ones twice as strong."""
    folder = tmp_path_factory.mktemp("pairs")
    noise = PictureNoise((0.0,), tuple((s,) for s in STD))
    rng = np.random.default_rng(1)
    for i in range(4):
        clean = rng.integers(90, 166, (SIZE, SIZE, 3), np.uint8)
        noisy = add_noise(clean, noise, counter(1, i), strength=1 + i % 2)
        for half, picture in (("clean", clean), ("noisy", noisy)):
            cv2.imwrite(str(folder / f"{'abcd'[i]}_{half}.png"), picture[..., ::-1])
    return folder


def run(*arguments):
    return CliRunner().invoke(main, ["fit", *map(str, arguments)])


def test_the_commands_are_the_models():
    assert tuple(SHORT) == MODELS


@pytest.mark.parametrize("model", MODELS)
def test_it_writes_what_it_fitted_and_says_so(pairs, tmp_path, model):
    out = tmp_path / "n.toml"
    done = run(model, "--data", pairs, "--scenes", "1/2", "--out", out, "--licence", "CC0")
    assert done.exit_code == 0, done.output
    found = noise_file.load(out)
    assert (found.model, found.licence) == (model, "CC0")
    assert found.fitted_to == f"{pairs.name}: 2 pairs of 2 scenes (part 1 of 2), 0.08 megapixels"
    # σ of n values scatters by σ / √(2n), five of which are allowed; nodes are worse than the whole
    np.testing.assert_allclose(found.noise.std_at([[0.5]] * 3)[:, 0], STD, rtol=0.05)
    if model == "awgn":
        np.testing.assert_allclose(
            np.array(found.noise.std)[:, 0], STD, rtol=5 / np.sqrt(4 * SIZE**2)
        )
    assert found.fitted_to in done.output
    assert "standard deviation (of 255)" in done.output
    assert "warning" not in done.output


def test_all_scenes_have_two_strengths(pairs, tmp_path):
    out = tmp_path / "n.toml"
    assert run("awgn", "--data", pairs, "--out", out).exit_code == 0
    found = noise_file.load(out)
    assert found.licence == "that of the pairs"
    weak, *_, strong = found.noise.strength
    assert strong / weak == pytest.approx(2, rel=5 * np.sqrt(2 / (2 * 3 * SIZE**2)))


def test_a_corpus_can_be_fitted_to(tmp_path):
    recipe = Recipe(source_options={"size": 160}, patch=64, per_image=4, count=12, iso=1600.0)
    pipelines.synthesize(recipe, str(tmp_path / "c.zarr"))
    out = tmp_path / "n.toml"
    done = run("heteroscedastic", "--data", tmp_path / "c.zarr", "--out", out)
    assert done.exit_code == 0, done.output
    found = noise_file.load(out)
    assert found.fitted_to.startswith("c.zarr: 12 pairs of 3 scenes (all)")
    assert found.licence == pipelines.open(tmp_path / "c.zarr").attributes["source"]["licence"]
    arrays = [pipelines.open(tmp_path / "c.zarr")[i].arrays for i in range(12)]
    noise = np.concatenate([(a["noisy"].astype(float) - a["clean"]).ravel() for a in arrays])
    assert 0.5 < 255 * np.mean(found.noise.std) / noise.std() < 2


def test_pairs_that_do_not_fit_together_are_warned_of(pairs, tmp_path):
    folder = tmp_path / "moved"
    folder.mkdir()
    clean = cv2.imread(str(pairs / "a_clean.png"))
    cv2.imwrite(str(folder / "a_clean.png"), clean)
    cv2.imwrite(str(folder / "a_noisy.png"), cv2.imread(str(pairs / "a_noisy.png")) + 20)
    done = run("awgn", "--data", folder, "--out", tmp_path / "n.toml")
    assert "warning: the pairs differ by more than noise" in done.output


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("--scenes", "some"), "'some' is not all, train, val, test or I/N"),
        (("--scenes", "3/2"), "'3/2' is not I/N with I from 1 to N"),
        (("--scenes", "5/5"), "none of its 4 scenes is in part 5 of 5; choose others"),
        (("--data", "nowhere"), "nowhere"),
        (("--out", "nowhere/n.toml"), "nowhere/n.toml: cannot write"),
    ],
)
def test_mistakes_are_one_line(pairs, tmp_path, arguments, line):
    given = {"--data": str(pairs), "--out": str(tmp_path / "n.toml")}
    given |= dict(zip(arguments[::2], arguments[1::2], strict=True))
    done = run("awgn", *(part for item in given.items() for part in item))
    assert done.exit_code in (1, 2)
    assert line in done.output
    assert len(done.output.strip().splitlines()) == 1


def test_what_cannot_be_fitted_names_the_pairs(tmp_path):
    folder = tmp_path / "flat"
    folder.mkdir()
    for half in ("clean", "noisy"):
        cv2.imwrite(str(folder / f"a_{half}.png"), np.full((20, 20, 3), 100, np.uint8))
    out = tmp_path / "n.toml"
    done = run("heteroscedastic-covariance", "--data", folder, "--out", out)
    assert done.exit_code == 2
    assert re.match(rf"noisegen: {re.escape(str(folder))}: only 0 pixels lie clear", done.output)
    assert not out.exists()


def test_an_unknown_model_names_the_nearest():
    done = run("awgm")
    assert done.exit_code == 2
    assert "awgn" in done.output
