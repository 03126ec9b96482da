"""Tests of networks with a guide: the Dark Vision Dataset and FAID, plain and as published."""

import json

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

import denoisers
from catalogs.sources.roots import Root
from denoisers import card as cards
from denoisers import protocols
from denoisers.inference.restorer import Restorer
from denoisers.protocols import guided
from denoisers.protocols.base import Asked
from noisegen import rgbir
from noisegen.cli import main
from noisegen.metrics import psnr, saturating_psnr, ssim, ssim_uniform
from noisegen.random import Stream, generator

H, W = 72, 100


def smooth(seed, height, width, channels):
    rng = np.random.default_rng(seed)
    coarse = rng.random((height // 8, width // 8, channels)).astype(np.float32)
    return cv2.resize(coarse, (width, height)).reshape(height, width, channels)


@pytest.fixture(scope="module")
def dark(tmp_path_factory):
    """A Dark Vision Dataset with two small frames for training and for testing."""
    root = tmp_path_factory.mktemp("dvd")
    for half, seed in (("RGB", 1), ("NIR", 5)):
        for number, name in enumerate(("DVD_test/{}/a", "DVD_test/{}/b", "train_raw/{}/c")):
            path = root / f"{name.format(half)}.npy"
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, 900 * smooth(seed + number, H, W, 16))
    return root


@pytest.fixture(scope="module")
def flashes(tmp_path_factory):
    """FAID with one pair of the test list and one for training."""
    root = tmp_path_factory.mktemp("faid")
    for number, key in enumerate(("Objects_012", "Toys_999")):
        for half in ("ambient", "flash"):
            picture = (255 * smooth(number, 64, 96, 3)).astype(np.uint8)
            cv2.imwrite(str(root / f"{key}_{half}.png"), picture)
    return root


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Small networks by the channels of their guides."""
    folder, made = tmp_path_factory.mktemp("weights"), {}
    for channels in (1, 3):
        options = {"width": 8, "widening": 4, "guide_channels": channels}
        checked = denoisers.entry("rffnet").check(options).model_dump()
        made[channels] = folder / f"{channels}.safetensors"
        network = denoisers.create("rffnet", **options)
        cards.save(made[channels], network, cards.Card(model="rffnet", options=checked))
    return made


def asked(root, sigma):
    return Asked(Root(str(root)), sigma)


def evaluated(*arguments):
    done = CliRunner().invoke(main, ["evaluate", *map(str, arguments)])
    assert done.exit_code == 0, done.output
    return done.output


@pytest.mark.parametrize("name", ["dvd", "dvd-rffnet"])
def test_dvd_is_tiles_of_darkened_frames_with_noise_of_their_number(dark, name):
    cases = protocols.entry(name).open(asked(dark, 4.0))
    assert cases.guide_channels == 1
    assert cases.names[:4] == ("a 0,0", "a 32,0", "a 0,144", "a 32,144")
    assert cases.groups == ("a",) * 4 + ("b",) * 4
    assert cases.notes == ("2 frames are not of 2688x1520 pixels: taken whole",)
    for number in (5, 3, 0):
        image = number // 4
        raw, near = (
            np.load(dark / "DVD_test" / half / f"{'ab'[image]}.npy").astype(np.float32)
            for half in ("RGB", "NIR")
        )
        planes = raw.astype(np.float64) * (5 / rgbir.green_mean(raw))
        rng = generator(0, Stream.HELD_OUT_RGBIR, image)
        noisy = rgbir.with_noise(planes, [4.0] * 16, [4.0] * 16, rng)
        top, left = ((0, 0), (32, 0), (0, 144), (32, 144))[number % 4]
        tile = slice(top, top + 256), slice(left, left + 256)
        case = cases.load(number)
        for picture, whole in (
            (case.clean, rgbir.develop(planes)),
            (case.noisy, rgbir.develop(noisy)),
            (case.guide, rgbir.develop_nir(near)),
        ):
            np.testing.assert_allclose(picture, whole[tile], rtol=0, atol=1e-6)


def test_a_frame_of_the_set_is_cut_to_the_published_middle():
    box = guided.MIDDLE
    size = (box.bottom - box.top, box.right - box.left)
    assert size == (1004, 1788)
    boxes = guided.TILES.boxes(*size)
    assert len(boxes) == 28
    assert [b.left for b in boxes[::4]] == [0, 256, 512, 768, 1024, 1280, 1532]
    assert [b.top for b in boxes[:4]] == [0, 256, 512, 748]


@pytest.mark.parametrize("name", ["dvd", "dvd-rffnet"])
def test_dvd_is_scored_over_the_clean_maximum(dark, weights, tmp_path, monkeypatch, name):
    seen = []
    call = Restorer.__call__

    def watched(self, *pictures):
        seen.append(call(self, *pictures))
        return seen[-1]

    monkeypatch.setattr(Restorer, "__call__", watched)
    out = tmp_path / "out"
    evaluated(weights[1], "--on", name, "--root", dark, "--sigma", 8, "--out", out)
    (found,) = [json.loads(p.read_text()) for p in out.glob("*.json")]
    cases = protocols.entry(name).open(asked(dark, 8.0))
    similar = (lambda x, y: ssim_uniform(x, y, 2.0)) if "-" in name else ssim
    signal = saturating_psnr if "-" in name else psnr
    for number, score in enumerate(found["scores"]):
        case = cases.load(number)
        top = case.clean.max()
        clean, noisy, restored = (p / top for p in (case.clean, case.noisy, seen[number]))
        expected = {
            "psnr": signal(restored, clean),
            "ssim": similar(restored, clean),
            "noisy_psnr": signal(noisy, clean),
            "noisy_ssim": similar(noisy, clean),
        }
        for key, value in expected.items():
            assert score[key] == pytest.approx(value, abs=1e-5)
    assert found["settings"]["sigma"] == 8


@pytest.mark.parametrize("name", ["faid", "faid-rffnet"])
def test_faid_is_noised_cut_and_run_by_tiles(flashes, weights, tmp_path, name):
    protocol = protocols.entry(name)
    cases = protocol.open(asked(flashes, 25.0))
    assert (cases.names, cases.groups) == (("Objects_012",), ("Objects",))
    assert cases.notes == ("1 of the set's 256 pairs are there",)
    case = cases.load(0)
    drawn = generator(0, Stream.HELD_OUT_AWGN, 0).standard_normal((64, 96, 3), np.float32)
    noisy = np.clip(case.clean / np.float32(255) + np.float32(25 / 255) * drawn, 0, 1)
    np.testing.assert_allclose(case.noisy, noisy, atol=1e-6)
    np.testing.assert_array_equal(
        case.guide[..., ::-1], cv2.imread(str(flashes / "Objects_012_flash.png"))
    )
    assert protocol.tile == guided.WHOLE
    text = evaluated(weights[3], "--on", name, "--root", flashes, "--sigma", 25, "--bgr")
    assert "mean of 1" in text


def test_faid_s_script_does_not_cut_results(flashes, weights, tmp_path, monkeypatch):
    monkeypatch.setattr(
        Restorer, "restore", lambda self, noisy, *guides: 3 * noisy - 1
    )  # leaves [0, 1] on both sides
    scores = {}
    for name in ("faid", "faid-rffnet"):
        out = tmp_path / name
        evaluated(weights[3], "--on", name, "--root", flashes, "--sigma", 25, "--out", out)
        (found,) = [json.loads(p.read_text()) for p in out.glob("*.json")]
        scores[name] = found["scores"][0]["psnr"]
    case = protocols.entry("faid").open(asked(flashes, 25.0)).load(0)
    clean, restored = case.clean / np.float32(255), 3 * case.noisy - 1
    assert scores["faid"] == pytest.approx(psnr(restored.clip(0, 1), clean), abs=1e-4)
    assert scores["faid-rffnet"] == pytest.approx(psnr(restored, clean), abs=1e-4)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("--on", "dvd"), "dvd puts noise of level σ, 2, 4, 6, 8 as published"),
        (("--on", "faid"), "faid puts white noise on clean pictures"),
        (("--on", "dvd", "--sigma", "4"), "no pair of mosaic (RGB) and near infrared (NIR)"),
        (("--on", "faid", "--sigma", "25"), "takes a guide of 1 channels"),
    ],
)
def test_what_does_not_go_together_is_one_line(flashes, weights, arguments, line):
    done = CliRunner().invoke(
        main, ["evaluate", str(weights[1]), "--root", str(flashes), *arguments]
    )
    assert done.exit_code == 2
    assert line in done.output


def test_another_level_than_the_published_is_noted(dark):
    assert (
        "σ 3 is none of the published test's" in protocols.entry("dvd").open(asked(dark, 3)).notes
    )


def test_the_set_is_ingested_trained_on_and_tested(dark, tmp_path):
    def run(*arguments):
        done = CliRunner().invoke(main, list(map(str, arguments)))
        assert done.exit_code == 0, done.output

    data, out = tmp_path / "dvd.zarr", tmp_path / "run"
    run("ingest", "dvd", "--root", dark, "--patch", 64, "--out", data)
    small = ("options.width=8", "options.widening=4", "validation.count=2", "validation.every=2")
    settings = [word for key in small for word in ("--set", key)]
    run(
        "train", "rffnet", "--preset", "rffnet-small", "--data", data, "--iterations", 2,
        "--batch", 2, "--patch", 32, "--device", "cpu", *settings, "--out", out,
    )  # fmt: skip
    text = evaluated(out, "--on", "dvd-rffnet", "--root", dark, "--sigma", 2)
    assert "mean of 8" in text
