"""Tests of networks of mosaics: DualDn's on FiveK, DND's raw track."""

import json

import cv2
import h5py
import numpy as np
import pytest
import scipy.io
import torch
from click.testing import CliRunner

import denoisers
from catalogs.sources.roots import Root
from denoisers import card as cards
from denoisers import protocols
from denoisers.inference.raws import RawRestorer, oriented
from denoisers.protocols.base import Asked
from noisegen import raw
from noisegen.cfa import colors
from noisegen.cli import main
from noisegen.errors import InputError, MissingDataError
from noisegen.isp import color, pipeline
from noisegen.metrics import psnr, to_8bit
from tests.denoisers.test_dnd import mat73
from tests.denoisers.test_raws import SHOT, SMALL, network, shot
from tests.denoisers.test_raws import developed as rendered


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "net.safetensors"
    settings = denoisers.entry("dualdn").check(SMALL).model_dump()
    cards.save(path, network(), cards.Card(model="dualdn", options=settings))
    return path


@pytest.fixture(scope="module")
def fivek(tmp_path_factory):
    """Two raws that DualDn validates on, one of them a portrait, and one that it trains on."""
    root = tmp_path_factory.mktemp("fivek")
    (root / "Raw").mkdir()
    shot(root / "Raw" / "a0371-x.dng", 61, 83, "GBRG", orientation=6)
    shot(root / "Raw" / "a0373-y.dng", 60, 70, "RGGB")
    shot(root / "Raw" / "a0001-z.dng", 60, 70, "RGGB")
    return root


def opened(name, root, **asked):
    return protocols.entry(name).open(Asked(Root(str(root)), **asked))


def test_levels_and_tones_of_fivek(fivek):
    cases = opened("fivek-raw", fivek)
    assert len(cases) == 2 * 9
    assert cases.names[0] == "a0371_K0.0002_alpha0.2"
    assert cases.group(4) == "K = 0.002, α = 0.5"
    assert any("18 of 20 images" in note for note in cases.notes)
    # Specification 1.8: the read noise of the seed.
    wanted = {2e-4: 8.4650787938043e-10, 2e-3: 2.9402253198683055e-07, 2e-2: 1.0212456543135775e-04}
    for number, (K, S) in zip((0, 3, 6), wanted.items(), strict=True):
        told = cases.load(number).frame.shot
        assert float(told.shot) == pytest.approx(K)
        assert float(told.read) == pytest.approx(S, rel=1e-6)
        assert float(told.alpha) == pytest.approx(0.2)


def test_a_raw_of_fivek_is_turned_and_its_noise_is_the_seeds(fivek):
    cases = opened("fivek-raw", fivek)
    portrait, landscape = cases.load(6), cases.load(15)
    # GBRG, a quarter turn clockwise, is RGGB shifted: 83 rows of 61, cut to begin with red.
    assert portrait.noisy.shape[0] > portrait.noisy.shape[1]
    assert landscape.noisy.shape == (60, 70, 3)
    mosaic = landscape.frame.mosaic[0, 0].numpy()
    assert landscape.frame.mosaic.min() >= 0
    clean, noisy = landscape.clean, landscape.noisy
    assert 8 < psnr(to_8bit(noisy), to_8bit(clean)) < 25  # K = 2e-2
    again = cases.load(15)
    np.testing.assert_array_equal(again.frame.mosaic[0, 0].numpy(), mosaic)
    assert landscape.frame.place == (8, 8, 60, 70)


def test_evaluating_on_fivek(fivek, weights, tmp_path):
    out = tmp_path / "out"
    command = ["evaluate", str(weights), "--on", "fivek-raw", "--root", str(fivek)]
    done = CliRunner().invoke(main, [*command, "--out", str(out)])
    assert done.exit_code == 0, done.output
    result = json.loads((out / "results.json").read_text())
    assert result["pictures"] == 18
    assert result["settings"]["demosaic"] == "ahd"
    assert len(result["groups"]) == 9
    for values in (result["mean"], *result["groups"].values()):
        # A network that begins as the ISP of what it is given; the result and the clean picture
        # are rounded, which adds 1/12 each to the mean square of codes.
        square = 255**2 / 10 ** (values["noisy_psnr"] / 10)
        rounding = 10 * np.log10(1 + 1 / 6 / square)
        assert values["psnr"] == pytest.approx(values["noisy_psnr"] - rounding, abs=0.1)
    assert "K = 0.02, α = 0.8" in done.output
    other = CliRunner().invoke(main, [*command, "--demosaic", "bilinear"])
    assert other.exit_code == 0, other.output


CAMERAS = {
    "Nexus6P": ([[2, 3], [1, 2]], [0.4922, 1.0078, 0.6016]),
    "SonyA7R": ([[1, 2], [2, 3]], [0.419, 1.0, 0.6275]),
}
MATRIX = np.array([[0.9, -0.2, -0.1], [-0.4, 1.2, 0.2], [-0.1, 0.2, 0.7]])
SIDE = 24
PLACES = [(row, column) for row in (1, 9, 15, 27) for column in (1, 7, 25, 31, 41)]


@pytest.fixture(scope="module")
def dnd(tmp_path_factory):
    """Two images of two cameras, boxes of 24x24 in frames of 50x64."""
    root = tmp_path_factory.mktemp("dnd")
    rng = np.random.default_rng(0)
    for image in (1, 2):
        mosaic = rng.random((50, 64), np.float32) * np.float32(1.2) - np.float32(0.1)
        mat73(root / "Raw" / f"{image:04d}.mat", Inoisy=mosaic)
    boxes = np.array([(t, l, t + SIDE - 1, l + SIDE - 1) for t, l in PLACES], np.float64)  # noqa: E741
    with h5py.File(root / "info.mat", "w", userblock_size=512) as file:

        def references(key, values):
            made = np.empty((1, len(values)), h5py.ref_dtype)
            for number, value in enumerate(values):
                name = f"#refs#/{key}{number}"
                if isinstance(value, dict):
                    group = file.create_group(name)
                    for field, array in value.items():
                        group.create_dataset(field, data=np.asarray(array).T)
                    made[0, number] = group.ref
                else:
                    made[0, number] = file.create_dataset(name, data=value.T).ref
            file.create_dataset(f"info/{key}", data=made)

        references("boundingboxes", [boxes, boxes])
        references("nlf", [{"a": [[2e-3]], "b": [[1e-4]]}, {"a": [[4e-3]], "b": [[2e-4]]}])
        references(
            "camera",
            [
                {
                    "type": np.array([[ord(c)] for c in name], np.uint16).T,
                    "pattern": np.array(pattern, np.float64),
                    "AsShotNeutral": np.array([neutral]),
                    "ColorMatrix2": MATRIX.reshape(1, 9),
                }
                for name, (pattern, neutral) in CAMERAS.items()
            ],
        )
    return root


def frame_of(root, image):
    with h5py.File(root / "Raw" / f"{image:04d}.mat") as file:
        return file["Inoisy"][()].T.clip(0, 1)


def test_boxes_of_dnd_are_told_their_noise_and_colours(dnd):
    cases = opened("dnd-raw", dnd)
    assert cases.names[0] == "0001_01"
    assert cases.names[-1] == "0002_20"
    assert {cases.group(n) for n in (0, 20)} == set(CAMERAS)
    for number, (K, S, reference) in {
        3: (2e-3, 1e-4, "D65"),
        27: (4e-3, 2e-4, "D50"),
    }.items():
        case = cases.load(number)
        frame = case.frame
        assert float(frame.shot.shot) == pytest.approx(K)
        assert float(frame.shot.read) == pytest.approx(S)
        assert (frame.isp.gamma, frame.isp.reference) == ("2.2", reference)
        top, left = PLACES[number % 20]
        whole = frame_of(dnd, 1 + number // 20)
        box = whole[top - 1 : top - 1 + SIDE, left - 1 : left - 1 + SIDE]
        np.testing.assert_array_equal(frame.own(frame.mosaic)[..., 0], box)
        assert case.noisy.shape == (SIDE, SIDE, 3)


def test_both_tracks_are_written_and_read_back(dnd, weights, tmp_path):
    out = tmp_path / "out"
    command = ["evaluate", str(weights), "--on", "dnd-raw", "--root", str(dnd), "--out", str(out)]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 0, done.output
    for image, (name, (pattern, neutral)) in enumerate(CAMERAS.items(), 1):
        whole = frame_of(dnd, image)
        phase = {"Nexus6P": "GBRG", "SonyA7R": "RGGB"}[name]
        assert np.array_equal(colors(phase) + 1, pattern)
        picture = (
            pipeline.process(
                torch.tensor(whole)[None, None],
                phase,
                1 / torch.tensor([neutral]),
                torch.tensor(color.camera_to_xyz(MATRIX))[None],
                reference="D65" if name == "Nexus6P" else "D50",
                demosaic="ahd",
                gamma="2.2",
            )[0]
            .permute(1, 2, 0)
            .numpy()
        )
        bundles = {
            track: scipy.io.loadmat(out / track / "bundled" / f"{image:04d}.mat")
            for track in ("Raw", "sRGB")
        }
        assert [int(b["israw"].item()) for b in bundles.values()] == [1, 0]
        assert bundles["Raw"]["eval_version"].item() == "1.0"
        for box, (top, left) in enumerate(PLACES):
            rows, columns = slice(top - 1, top - 1 + SIDE), slice(left - 1, left - 1 + SIDE)
            raw_box = bundles["Raw"]["Idenoised"][0, box]
            assert raw_box.dtype == np.float32
            np.testing.assert_allclose(raw_box, whole[rows, columns], atol=1e-6)
            srgb = bundles["sRGB"]["Idenoised"][0, box]
            assert srgb.shape == (SIDE, SIDE, 3)
            np.testing.assert_allclose(srgb, picture[rows, columns], atol=1e-4)
            single = scipy.io.loadmat(out / "sRGB" / f"{image:04d}_{box + 1:02d}.mat")
            np.testing.assert_array_equal(single["Idenoised_crop"], srgb)


def test_surroundings_do_not_change_what_the_isp_gives(dnd):
    # A box in the middle: its surroundings are the frame's.
    case = opened("dnd-raw", dnd, demosaic="bilinear").load(7)
    assert case.frame.isp.demosaic == "bilinear"
    _, picture = RawRestorer(network(), tile=0)(case.frame)
    np.testing.assert_allclose(
        case.frame.own(picture).clip(0, 1), case.noisy, atol=1e-5
    )  # the network begins as the ISP


def refused(*arguments):
    done = CliRunner().invoke(main, ["evaluate", *map(str, arguments)])
    assert done.exit_code == 2, done.output
    return done.output


def test_networks_and_tests_that_do_not_go_together(weights, fivek, dnd, photos, tmp_path):
    own = denoisers.create("dncnn", depth=2, width=4)
    settings = {"depth": 2, "width": 4, "channels": 3, "batch_norm": True}
    cards.save(tmp_path / "d.safetensors", own, cards.Card(model="dncnn", options=settings))
    said = refused(tmp_path / "d.safetensors", "--on", "fivek-raw", "--root", fivek)
    assert "a test of networks of mosaics, such as dualdn; dncnn takes pictures" in said
    said = refused(weights, "--on", "awgn", "--root", photos, "--sigma", 25)
    assert "dualdn takes mosaics, awgn has noisy pictures alone; test it with --on fivek" in said
    said = refused(weights, "--on", "fivek-raw", "--root", fivek, "--self-ensemble")
    assert "a turned mosaic is of another phase" in said
    said = refused(weights, "--on", "dnd-raw", "--root", fivek, "--out", tmp_path / "o")
    assert "info.mat and Raw/0001.mat" in said
    said = refused(weights, "--on", "fivek-raw", "--root", photos)
    assert "no aNNNN-*.dng" in said
    said = refused(
        tmp_path / "d.safetensors", "--on", "awgn", "--root", photos, "--sigma", 25,
        "--demosaic", "ahd",
    )  # fmt: skip
    assert "awgn is of pictures: leave --demosaic away" in said
    assert dnd.exists()


@pytest.fixture
def captures(tmp_path):
    """A portrait with a JPEG of half its size, and a landscape whose JPEG lacks a rim."""
    for name in ("Raw", "ref_sRGB"):
        (tmp_path / name).mkdir()
    shot(tmp_path / "Raw" / "a.dng", 200, 260, "GBRG", orientation=6)
    shot(tmp_path / "Raw" / "b.dng", 180, 220, "RGGB")
    for name, cut in (("a", None), ("b", (slice(2, -3), slice(1, -2)))):
        image = raw.read(tmp_path / "Raw" / f"{name}.dng")
        picture = oriented(rendered(image), image.metadata.orientation)
        warm = np.clip(np.clip(picture, 0, 1) ** 1.2 * [1.0, 0.9, 0.7], 0, 1)
        made = cv2.resize(warm, None, fx=0.5, fy=0.5) if cut is None else warm[cut]
        cv2.imwrite(str(tmp_path / "ref_sRGB" / f"{name}.png"), to_8bit(made)[..., ::-1])
    return tmp_path


def test_real_captures_get_the_colours_of_their_jpegs(captures, weights):
    cases = opened("real-raw", captures)
    assert cases.names == ("a", "b")
    portrait, landscape = cases.load(0), cases.load(1)
    assert portrait.clean.shape == portrait.noisy.shape == (260, 200, 3)
    assert landscape.clean.shape == landscape.noisy.shape == (175, 217, 3)
    assert float(portrait.frame.shot.shot) == pytest.approx(SHOT)
    # The warm picture is the noisy file's own: with its colours they are nearly one.
    assert psnr(to_8bit(landscape.noisy), to_8bit(landscape.clean)) > 35
    assert psnr(to_8bit(portrait.noisy), to_8bit(portrait.clean)) > 24  # half the size, no noise
    restored = RawRestorer(network())(landscape.frame, landscape.reference)
    np.testing.assert_allclose(
        landscape.frame.own(restored.picture).clip(0, 1), landscape.noisy, atol=2e-3
    )
    (captures / "list_file").mkdir()
    (captures / "list_file" / "val_list.txt").write_text("b.dng\n")
    command = ["evaluate", str(weights), "--on", "real-raw", "--root", str(captures)]
    done = CliRunner().invoke(main, [*command, "--out", str(captures / "out")])
    assert done.exit_code == 0, done.output
    found = json.loads((captures / "out" / "results.json").read_text())
    assert [score["name"] for score in found["scores"]] == ["b"]
    assert found["mean"]["psnr"] == pytest.approx(found["mean"]["noisy_psnr"], abs=0.3)


def test_real_captures_that_cannot_be(captures, tmp_path):
    with pytest.raises(MissingDataError, match=r"no Raw/\*\.dng there"):
        opened("real-raw", tmp_path / "ref_sRGB")
    big = np.zeros((181, 220, 3), np.uint8)
    cv2.imwrite(str(captures / "ref_sRGB" / "b.png"), big)
    with pytest.raises(InputError, match="a mosaic of 220x180, smaller than its JPEG of 220x181"):
        opened("real-raw", captures).load(1)
    (captures / "ref_sRGB" / "b.png").unlink()
    with pytest.raises(MissingDataError, match=r"b\.dng: its JPEG ref_sRGB/b\.jpg is not there"):
        opened("real-raw", captures)
