"""Learning from pairs that were in JPEGs: these are found, and all goes through one."""

import cv2
import numpy as np
import pytest
import torch

from denoisers.data import Mixture, open_data
from denoisers.neca import pairs as camera_pairs
from denoisers.neca import statistics
from denoisers.neca.judge import HeldOut
from denoisers.neca.recipe import Compressed, parse
from denoisers.neca.state import State
from denoisers.neca.step import step
from denoisers.training.validation import Middles
from noisegen import jpeg, neca
from noisegen.errors import RecipeError
from noisegen.neca.card import Jpeg
from pipelines.pairs import open_pairs
from tests.denoisers.neca.conftest import TINY, recipe_file, refused, run, weights_of


def write_pairs(folder, qualities, subsampling="4:2:0", dtype=np.uint8):
    """A scene of each quality, whose noisy half was in a JPEG; of none where that is None."""
    folder.mkdir()
    rng = np.random.default_rng(11)
    for i, quality in enumerate(qualities):
        coarse = rng.integers(60, 196, (4, 5, 3)).astype(np.float32)
        clean = np.rint(cv2.resize(coarse, (160, 144), interpolation=cv2.INTER_LINEAR))
        noisy = np.clip(np.rint(clean + rng.normal(0, 7, clean.shape)), 0, 255).astype(np.uint8)
        if quality is not None:
            noisy = jpeg.through_jpeg(noisy, quality, subsampling)
        for half, picture in (("mean", clean), ("real", noisy)):
            scale = np.iinfo(dtype).max // 255
            cv2.imwrite(str(folder / f"canon_iso800_{i}_{half}.png"), picture.astype(dtype) * scale)
    return folder


def test_jpegs_of_pairs_are_found_said_and_land_on_the_card(tmp_path):
    data = write_pairs(tmp_path / "jpegs", [85, 70, 75, 85], "4:2:2")
    command = ["--data", data, "--camera", "canon", "--device", "cpu", "--iterations", "2"]
    said = "JPEGs of quality 70 to 85, 4:2:2: made noise goes through one too\n"
    recipe = recipe_file(tmp_path, jpeg={"quality": "found"})
    found = run(*command, "--recipe", recipe, "--out", tmp_path / "found")
    assert said in found.stderr
    for place in (tmp_path / "found", tmp_path / "found" / "last"):
        assert neca.load(place).card.jpeg == Jpeg(quality=(70, 85), subsampling="4:2:2")
    plain = run(*command, "--recipe", recipe_file(tmp_path), "--out", tmp_path / "plain")
    assert "JPEG" not in plain.stderr
    assert neca.load(tmp_path / "plain").card.jpeg is None
    hashes = [neca.load(tmp_path / name).sha256 for name in ("found", "plain")]
    assert hashes[0] != hashes[1]
    said = said.replace("quality 70 to 85, 4:2:2", "quality 40, 4:4:4")
    asked = run(
        *command, "--recipe", recipe, "--out", tmp_path / "asked", "--set", "jpeg.quality=40",
        "--set", "jpeg.subsampling=4:4:4",
    )  # fmt: skip
    assert said in asked.stderr
    assert neca.load(tmp_path / "asked").card.jpeg == Jpeg(quality=(40, 40), subsampling="4:4:4")


def test_pairs_that_were_in_no_jpeg_have_none(tmp_path):
    found = Compressed(quality="found")

    def of(name, qualities, wanted, **options):
        return camera_pairs.jpeg_of(
            open_pairs(write_pairs(tmp_path / name, qualities, **options)), wanted
        )

    assert of("none", [None] * 3, found) is None
    assert of("few", [80, None, None], found) is None
    half = of("half", [80, None, 90, None], found)
    assert half == Jpeg(quality=(80, 90), subsampling="4:2:0")
    assert of("16", [80, 80], found, dtype=np.uint16) is None
    assert of("off", [80, 80], Compressed()) is None
    wanted = Compressed(quality=(90, 95))
    assert of("own", [80], wanted, subsampling="4:4:4") == Jpeg(
        quality=(90, 95), subsampling="4:4:4"
    )


def test_a_jpeg_of_16_bit_pairs_is_refused(tmp_path):
    data = write_pairs(tmp_path / "deep", [None, None], dtype=np.uint16)
    line = refused(
        "--data", data, "--camera", "canon", "--recipe", recipe_file(tmp_path), "--out",
        tmp_path / "out", "--device", "cpu", "--set", "jpeg.quality=80",
    )  # fmt: skip
    assert "jpeg.quality: a JPEG has 8 bits, and these pictures have 16" in line
    assert not (tmp_path / "out").exists()


def test_pictures_smaller_than_a_block_are_still_refused_in_one_line(tmp_path):
    folder = tmp_path / "tiny"
    folder.mkdir()
    for half, code in (("mean", 90), ("real", 99)):
        cv2.imwrite(str(folder / f"canon_iso800_0_{half}.png"), np.full((5, 6, 3), code, np.uint8))
    line = refused(
        "--data", folder, "--camera", "canon", "--preset", "neca-small", "--out", tmp_path / "out",
        "--device", "cpu",
    )  # fmt: skip
    assert "pair canon_iso800_0 has 6x5 pixels, 96x96 or more are needed" in line


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"quality": 0}, "jpeg.quality: 0 is not from 1 to 100"),
        ({"quality": 101}, "jpeg.quality: 101 is not from 1 to 100"),
        ({"quality": (70, 101)}, "jpeg.quality: 101 is not from 1 to 100"),
        ({"quality": (90, 70)}, "jpeg.quality: the range 90-70 runs backwards"),
        ({"subsampling": "4:2:0"}, "jpeg.subsampling: quality is none; give a quality, or found"),
        ({"quality": 80, "subsampling": "4:1:1"}, "jpeg.subsampling: "),
        ({"quality": "fine"}, "jpeg.quality: "),
    ],
)
def test_bad_tables_of_jpegs_are_refused_in_one_line(table, message):
    with pytest.raises(RecipeError) as error:
        parse({"iterations": 1, "jpeg": table})
    text = str(error.value)
    assert message in text
    assert "\n" not in text
    assert text.count("jpeg.") == 1


@pytest.mark.parametrize("gan", ["wgan-gp", "lsgan"])
def test_all_networks_learn_through_a_jpeg(batch, gan):
    weights = {"statistics": 1.0, "texture": 1.0, "tails": 1.0}
    own = Jpeg(quality=(60, 90), subsampling="4:2:0")
    recipe = parse(TINY | {"gan": gan, "critic_steps": 1, "weights": weights})
    states = [State.begin(recipe, torch.device("cpu")) for _ in range(2)]
    before = {name: weights_of(states[0], name) for name in states[0].nets.named}
    plain, through = (
        step(state, batch, recipe, jpeg) for state, jpeg in zip(states, (None, own), strict=True)
    )
    assert all(np.isfinite(value) for value in through.values())
    assert set(plain) == set(through)
    assert all(not torch.equal(old, weights_of(states[1], n)) for n, old in before.items())
    # P and E learn of maps and numbers, which are in no JPEG
    alike = {name for name in plain if plain[name] == through[name]}
    assert {"level", "gain", "local", "statistics_level", "texture"} <= alike
    drawn = {"statistics_strength", "statistics_covariance", "statistics_spectrum", "tails"}
    assert not (drawn | {"denoiser"}) & alike


def test_noise_is_learned_through_jpegs_of_every_quality_of_the_range(batch, monkeypatch):
    asked = []

    def through(picture, quality, subsampling):
        asked.append((quality, subsampling))
        return real(picture, quality, subsampling)

    real = statistics.through_jpeg
    monkeypatch.setattr(statistics, "through_jpeg", through)
    recipe = parse(TINY | {"joint": False, "weights": {"statistics": 1.0}})
    state = State.begin(recipe, torch.device("cpu"))
    drawn = set()
    for _ in range(12):
        step(state, batch, recipe, Jpeg(quality=(80, 82), subsampling="4:2:2"))
        # both draws, and what the critics see, are of one quality
        assert len(asked) == 3
        (one,) = set(asked)
        drawn.add(one)
        asked.clear()
    assert drawn == {(quality, "4:2:2") for quality in (80, 81, 82)}


def test_held_out_pictures_are_judged_out_of_the_jpeg(tmp_path):
    mixture = Mixture([open_data(str(write_pairs(tmp_path / "a", [75, 75])))], [1.0])
    recipe = parse(TINY | {"measured_gain": True, "joint": False, "scaled_start": True})
    nets = State.begin(recipe, torch.device("cpu")).nets
    middles = Middles(mixture, recipe.validation)
    for own in (None, Jpeg(quality=(70, 81), subsampling="4:4:4")):
        made = []
        held_out = HeldOut(middles, 0, measured_gain=True, jpeg=own)
        held_out.scores(nets, torch.device("cpu"), lambda _, shown, made=made: made.append(shown))
        found = {jpeg.quality_of([one.made for one in made])}
        assert found == ({75} if own else {None})


def test_turned_samples_of_jpegs_whose_colours_are_half_as_wide_are_refused(tmp_path):
    data = write_pairs(tmp_path / "wide", [80, 80], "4:2:2")
    out = tmp_path / "out"
    line = refused(
        "--data", data, "--camera", "canon", "--device", "cpu", "--out", out, "--recipe",
        recipe_file(tmp_path, jpeg={"quality": "found"}, augment=True),
    )  # fmt: skip
    assert "augment: " in line
    assert "set augment = false" in line
    assert not out.exists()
