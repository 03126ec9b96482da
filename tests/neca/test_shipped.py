"""The weights that noisegen comes with: they are whole, small, and do what their cards say."""

import tomllib
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

import pipelines
from catalogs.sources.deadleaves import DeadLeaves
from noisegen import neca, random
from noisegen.cli import main
from noisegen.isp.transfer import encode
from noisegen.neca.card import Jpeg
from pipelines.neca import SHIPPED
from pipelines.realism.measures import of_field
from pipelines.realism.noise import noise_field

PHONES = ("G4", "GP", "IP", "N6", "S6")

MOST_BYTES = 5_000_000


def card_of(name):
    return neca.load(SHIPPED / f"{name}.safetensors").card


def test_they_are_small_and_in_the_package():
    files = sorted(SHIPPED.iterdir())
    assert [file.name for file in files] == [f"{name}.safetensors" for name in PHONES]
    assert sum(file.stat().st_size for file in files) < MOST_BYTES
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))
    assert "neca/*.safetensors" in project["tool"]["setuptools"]["package-data"]["catalogs"]


@pytest.mark.parametrize("name", PHONES)
def test_cards_say_what_they_were_trained_on_and_how_they_measure(name):
    card = card_of(name)
    assert card.camera == name
    assert "Apache-2.0" in card.licence
    ((source, identity),) = card.data.items()
    assert "--preset phone-jpeg" in source
    assert f"{name}'s declared noise levels" in source
    assert len(identity) == 64
    assert len(card.gains) >= 3
    assert ("does not vary with ISO" in source) == (name == "IP")
    measured = card.metrics
    assert measured["on held-out dead leaves, KLD nats (Noise Flow)"] < 0.03
    assert measured["on photographs, KLD at each level nats"] < 0.04
    assert measured["on photographs, covariance distance"] < 0.35
    # the teacher's noise goes with texture, which C does not see: photographs have less of it
    ours, theirs = (
        measured[f"on photographs, lag-1 correlation{of}"] for of in ("", " of the teacher")
    )
    assert 0.7 * theirs < ours < theirs
    # the teacher's JPEG (preset phone-jpeg)
    assert card.jpeg == Jpeg(quality=(85, 95), subsampling="4:2:0")
    assert 0.5 <= measured["on photographs, AUC"] <= 1


@pytest.mark.parametrize("name", PHONES)
def test_their_noise_is_as_their_cards_say(name):
    """On scenes of dead leaves that they were not trained on, at the middle of their gains."""
    networks = neca.load(SHIPPED / f"{name}.safetensors")
    sampler, card = neca.Sampler(networks), networks.card
    isos = sorted(card.gains)
    gain = card.gain_at(isos[len(isos) // 2])
    leaves, found, strengths, uncompressed = DeadLeaves(size=160, seed=77), None, [], []
    for number in range(6):
        linear = leaves.read(leaves.ref(number)).pixels
        clean = np.rint(255 * encode(linear, "srgb")).astype(np.uint8)
        # softened, as a camera's pictures are: of finer ones its JPEG takes more than noise
        clean = cv2.GaussianBlur(clean, (0, 0), 1.5)
        level = sampler.level_map(clean, gain)
        noisy = sampler.add_noise(clean, level, random.counter(0, number, 0))
        one = of_field(noise_field(clean, noisy))
        found = one if found is None else found + one
        strengths.append(float((noisy.astype(float) - clean).std()) / 255)
        plain = sampler.add_noise(clean, level, random.counter(0, number, 0), quality=0)
        uncompressed.append(float((plain.astype(float) - clean).std()) / 255)
    lag = float(found.lags(1).mean())
    # photographs have finer parts, of which the JPEG takes what is related to no neighbour
    on_photographs = card.metrics["on photographs, lag-1 correlation"]
    assert on_photographs - 0.03 < lag < on_photographs + 0.2
    # a gain is about the noise's standard deviation, of pictures as they are in the mean
    assert np.mean(strengths) == pytest.approx(gain, rel=0.15)
    # C makes up for what the JPEG takes away
    assert 1.25 < np.mean(uncompressed) / gain < 1.6


def test_noise_of_a_phone_needs_no_raws_and_nothing_to_download(tmp_path, pictures):
    out = tmp_path / "x.zarr"
    done = CliRunner().invoke(
        main,
        [
            "synthesize", "--source", "folder", "--root", str(pictures), "--noise", "neca-w",
            "--camera", "GP", "--patch", "64", "--per-image", "2", "--out", str(out),
        ],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    corpus = pipelines.open(out)
    assert corpus.attributes["noise"]["licence"] == card_of("GP").licence
    assert set(corpus.table["iso"].tolist()) <= set(map(float, card_of("GP").gains))
    noise = corpus[0].arrays["noisy"].astype(float) - corpus[0].arrays["clean"]
    assert noise.std() > 0.5
    done = CliRunner().invoke(
        main,
        [
            "synthesize", "--source", "folder", "--root", str(pictures), "--noise", "neca-s",
            "--camera", "S6", "--patch", "64", "--per-image", "1", "--out", str(tmp_path / "s"),
        ],
    )  # fmt: skip
    assert done.exit_code == 0, done.output


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    rng = np.random.default_rng(2)
    for number in range(2):
        coarse = rng.integers(20, 236, (5, 6, 3)).astype(np.float32)
        picture = cv2.resize(coarse, (120, 100), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(folder / f"p{number}.png"), np.clip(picture, 0, 255).astype(np.uint8))
    return folder
