"""Test protocols: what networks get, what is compared, what is written for servers."""

import json
import re

import cv2
import numpy as np
import pytest
import scipy.io
import torch
from click.testing import CliRunner

import denoisers
from catalogs.sources.roots import Root
from denoisers import card as cards
from denoisers import protocols
from denoisers.inference.chop import chop
from denoisers.inference.ensemble import self_ensemble
from denoisers.protocols import dnd, matlab, sidd
from denoisers.protocols.base import Asked, Protocol
from noisegen import metrics, plugins
from noisegen.cli import main
from noisegen.errors import StorageError, UnknownNameError

RNG = np.random.default_rng(12)


def save(path, name="dncnn", **options):
    """Save a network of random weights and return it."""
    model = denoisers.create(name, seed=3, **options).eval()
    if name == "dncnn":
        for parameter in model.parameters():
            parameter.data *= 0.5
    if name == "adfnet":  # whose last convolution starts at zero
        draws = torch.Generator().manual_seed(3)
        torch.nn.init.normal_(model.tail.weight, std=0.1, generator=draws)
    chosen = denoisers.entry(name).check(options).model_dump()
    cards.save(path, model, cards.Card(model=name, options=chosen, origin="a test"))
    return model


SMALL = {"depth": 3, "width": 4, "batch_norm": False}


@pytest.fixture(scope="module")
def colour(tmp_path_factory):
    path = tmp_path_factory.mktemp("colour") / "a.safetensors"
    return path, save(path, **SMALL)


@pytest.fixture(scope="module")
def adfnet(tmp_path_factory):
    """A network that takes multiples of 8 and has means over the whole picture."""
    path = tmp_path_factory.mktemp("adfnet") / "a.safetensors"
    return path, save(path, "adfnet", width=8)


def smooth(height, width, channels=3):
    """Return a picture that restored ones can be compared with."""
    coarse = RNG.integers(20, 236, (6, 7, channels), np.uint8)
    picture = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return picture.reshape(height, width, channels)


def evaluate(path, on, root, *arguments):
    """Run the command and return its results."""
    out = root.parent / "out"
    told = [path, "--on", on, "--root", root, "--device", "cpu", "--overwrite", "--out", out]
    done = CliRunner().invoke(main, ["evaluate", *map(str, [*told, *arguments])])
    assert done.exit_code == 0, done.output
    return json.loads((out / "results.json").read_text())


def restored(run, noisy):
    """Run a network as published tests do: (H, W, C) float32 in, cut to [0, 1]."""
    x = torch.from_numpy(np.ascontiguousarray(noisy)).permute(2, 0, 1)[None]
    with torch.no_grad():
        return run(x)[0].permute(1, 2, 0).clamp(0, 1).numpy()


def rounded(values):
    return np.rint(np.clip(values, 0, 1) * np.float32(255)).astype(np.uint8)


def compared(values, clean):
    return {
        "psnr": metrics.psnr(rounded(values), clean),
        "ssim": metrics.ssim(rounded(values), clean),
    }


def assert_scores(scores, expected):
    assert [one["name"] for one in scores] == list(expected)
    for one in scores:
        for key, value in expected[one["name"]].items():
            assert one[key] == pytest.approx(value, abs=1e-5), (one["name"], key)


# White noise


@pytest.mark.parametrize("bgr", [False, True])
@pytest.mark.parametrize("ensemble", [False, True])
def test_white_noise_in_colour_is_the_published_test(adfnet, tmp_path, bgr, ensemble):
    path, net = adfnet
    (tmp_path / "set").mkdir()
    expected = {}
    for name, size in (("2", (41, 56)), ("10", (48, 43))):
        file = str(tmp_path / "set" / f"{name}.png")
        cv2.imwrite(file, smooth(*size))
        clean = cv2.imread(file, cv2.IMREAD_ANYCOLOR)  # blue, green, red
        h, w = size
        generator = torch.Generator().manual_seed(20)
        noise = torch.empty(1, 3, h, w).normal_(0, 25 / 255, generator=generator)
        noisy = clean.astype(np.float32) / np.float32(255) + noise[0].permute(1, 2, 0).numpy()
        given = noisy if bgr else noisy[..., ::-1]
        bottom, right = -h % 8, -w % 8
        given = np.pad(given, ((0, bottom), (0, right), (0, 0)), "reflect")
        run = chop(self_ensemble(net), 4_000_000) if ensemble else net
        found = restored(run, given)[:h, :w]
        found = found if bgr else found[..., ::-1]
        expected[name] = compared(found, clean) | {"noisy_psnr": metrics.psnr(noisy, clean / 255)}
    arguments = ["--bgr"] * bgr + ["--self-ensemble"] * ensemble
    found = evaluate(path, "awgn", tmp_path / "set", "--sigma", 25, *arguments)
    assert_scores(found["scores"], expected)
    assert found["protocol"]["noise_seed"] == 20
    assert found["settings"]["channel_order"] == ("B, G, R" if bgr else "R, G, B")
    for key in ("psnr", "ssim", "noisy_psnr"):
        mean = np.mean([values[key] for values in expected.values() if key in values])
        assert found["mean"][key] == pytest.approx(mean, abs=1e-5)


@pytest.mark.parametrize("in_colour", [False, True])
def test_white_noise_in_grey_is_the_published_test(tmp_path, in_colour):
    path, folder = tmp_path / "g.safetensors", tmp_path / "set"
    net = save(path, "adfnet", width=8, channels=1)
    folder.mkdir()
    file = str(folder / "test001.png")
    cv2.imwrite(file, smooth(47, 58, 3 if in_colour else 1))
    clean = cv2.imread(file, cv2.IMREAD_COLOR)[..., :1]
    generator = torch.Generator().manual_seed(1)
    noise = torch.empty(1, 1, 47, 58).normal_(0, 15 / 255, generator=generator)
    noisy = clean.astype(np.float32) / np.float32(255) + noise[0].permute(1, 2, 0).numpy()
    expected = {"test001": compared(restored(chop(net, 400_000), noisy), clean)}
    found = evaluate(path, "bsd68", folder, "--sigma", 15)
    assert_scores(found["scores"], expected)
    notes = found["notes"]
    assert notes[0] == "1 of the set's 68 pictures are there"
    assert any("blue is tested on" in note for note in notes) == in_colour


def test_tiles_can_be_chosen(adfnet, tmp_path):
    path, _ = adfnet
    (tmp_path / "set").mkdir()
    cv2.imwrite(str(tmp_path / "set" / "a.png"), smooth(64, 72))
    tiles = ([], ["--tile", "0"], ["--tile", "48"])
    found = [evaluate(path, "awgn", tmp_path / "set", "--sigma", 50, *tile) for tile in tiles]
    assert found[0]["scores"] == found[1]["scores"] != found[2]["scores"]
    assert [one["settings"]["tile"] for one in found] == ["whole", "whole", 48]


# SIDD


@pytest.fixture(scope="module")
def blocks():
    """Noisy and clean blocks of two scenes, three of each, 20x24."""
    clean = np.stack([[smooth(20, 24) for _ in range(3)] for _ in range(2)])
    noisy = np.clip(clean + RNG.normal(0, 12, clean.shape), 0, 255).astype(np.uint8)
    return noisy, clean


def store(folder, layout, noisy, clean):
    folder.mkdir(parents=True)
    if layout == "mat":
        scipy.io.savemat(folder / f"{sidd.NOISY}.mat", {sidd.NOISY: noisy})
        scipy.io.savemat(folder / f"{sidd.CLEAN}.mat", {sidd.CLEAN: clean})
        return
    for half, those in (("lq", noisy), ("hq", clean)):
        (folder / half).mkdir()
        for s, b in np.ndindex(those.shape[:2]):
            cv2.imwrite(str(folder / half / f"{s:04d}-{b:04d}.png"), those[s, b][..., ::-1])


@pytest.mark.parametrize("layout", ["mat", "png"])
def test_sidd_validation_in_both_layouts(colour, blocks, tmp_path, layout):
    path, net = colour
    noisy, clean = blocks
    store(tmp_path / "sidd", layout, noisy, clean)
    expected = {}
    for s, b in np.ndindex(noisy.shape[:2]):
        values = restored(net, noisy[s, b].astype(np.float32) / np.float32(255))
        truncated = (values * np.float32(255)).astype(np.uint8)
        gt = clean[s, b]
        mse = np.mean((values.astype(np.float64) - gt / np.float32(255)) ** 2)
        expected[f"{s:04d}-{b:04d}"] = compared(values, gt) | {
            "psnr_float": -10 * np.log10(mse),
            "ssim_truncated": metrics.ssim(truncated, gt),
            "ssim_volume": metrics.ssim_volume(rounded(values), gt),
            "noisy_psnr": metrics.psnr(noisy[s, b], gt),
        }
    found = evaluate(path, "sidd-val", tmp_path / "sidd")
    assert_scores(found["scores"], expected)
    assert list(found["groups"]) == ["scene 0", "scene 1"]
    first = np.mean([expected[f"0000-{b:04d}"]["psnr"] for b in range(3)])
    assert found["groups"]["scene 0"]["psnr"] == pytest.approx(first, abs=1e-5)
    assert len(found["notes"]) == 1


def test_the_sidd_submission_holds_the_restored_blocks(colour, blocks, tmp_path):
    path, net = colour
    noisy, _ = blocks
    (tmp_path / "sidd").mkdir()
    name = sidd.BENCHMARK_NOISY
    scipy.io.savemat(tmp_path / "sidd" / f"{name}.mat", {name: noisy})
    found = evaluate(path, "sidd-benchmark", tmp_path / "sidd")
    out = tmp_path / "out"
    assert found["files"] == [str(out / "SubmitSrgb.mat")]
    assert "mean" not in found
    assert not (out / "report.html").exists()
    content = scipy.io.loadmat(out / "SubmitSrgb.mat")
    submitted = content["DenoisedBlocksSrgb"]
    assert submitted.dtype == object
    assert submitted.shape == (2, 3)
    assert content["TimeMPSrgb"].shape == (1, 1)
    assert content["TimeMPSrgb"][0, 0] > 0
    for s, b in np.ndindex(2, 3):
        values = restored(net, noisy[s, b].astype(np.float32) / np.float32(255))
        assert submitted[s, b].dtype == np.uint8
        np.testing.assert_array_equal(submitted[s, b], rounded(values))
        png = cv2.imread(str(out / "blocks" / f"{s:04d}-{b:04d}.png"), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(png[..., ::-1], submitted[s, b])


# DND


def boxes(folder, images=(1, 7)):
    """Write 20 boxes of 40x40 for each image, and return them."""
    (folder / "lq").mkdir(parents=True)
    found = {}
    for image in images:
        for box in range(1, dnd.BOXES + 1):
            found[image, box] = RNG.integers(0, 256, (40, 40, 3), np.uint8)
            cv2.imwrite(str(folder / "lq" / f"{image:04d}_{box}.png"), found[image, box][..., ::-1])
    return found


def test_the_dnd_submission_holds_the_restored_boxes(colour, tmp_path):
    path, net = colour
    given = boxes(tmp_path / "dnd")
    found = evaluate(path, "dnd", tmp_path / "dnd")
    assert found["notes"] == ["2 of DND's 50 images are there"]
    files = [tmp_path / "out" / "bundled" / f"{image:04d}.mat" for image in (1, 7)]
    assert found["files"] == [str(file) for file in files]
    run = chop(net, 400_000)
    for image, file in zip((1, 7), files, strict=True):
        content = scipy.io.loadmat(file)
        assert content["israw"].tolist() == [[0]]
        assert content["eval_version"].tolist() == ["1.0"]
        assert content["Idenoised"].shape == (1, 20)
        for box in range(20):
            stored = content["Idenoised"][0, box]
            assert stored.dtype == np.float32
            x = given[image, box + 1].astype(np.float32) / np.float32(255)
            np.testing.assert_allclose(stored, restored(run, x), atol=1e-6)
            single = scipy.io.loadmat(tmp_path / "out" / f"{image:04d}_{box + 1:02d}.mat")
            np.testing.assert_array_equal(single["Idenoised_crop"], stored)
            assert single["Idenoised_crop"].dtype == np.float32
            assert single["israw"].tolist() == [[0]]


def test_a_submission_that_is_not_what_was_written_is_an_error(tmp_path, monkeypatch):
    write = scipy.io.savemat

    def damaged(path, values):
        write(path, {name: spoilt(value) for name, value in values.items()})

    def spoilt(value):
        return "1.1" if isinstance(value, str) else value.astype(np.float64)

    values = {"eval_version": "1.0", "x": matlab.cell([np.zeros((2, 2))] * 2, (1, 2))}
    matlab.write(tmp_path / "a.mat", values)
    monkeypatch.setattr(scipy.io, "savemat", damaged)
    with pytest.raises(StorageError, match=r"b.mat: eval_version is not what was written"):
        matlab.write(tmp_path / "b.mat", {"eval_version": "1.0"})
    with pytest.raises(StorageError, match=r"c.mat: Idenoised_crop is not what was written"):
        matlab.write(tmp_path / "c.mat", {"Idenoised_crop": np.ones((4, 4, 3), np.float32)})


# Pairs and corpora


def test_pairs_are_compared_in_8_bits_by_camera(colour, tmp_path):
    path, net = colour
    folder = tmp_path / "pairs"
    folder.mkdir()
    expected = {}
    for name, white in (("d600_iso3200_1", 255), ("d800_iso1600_2", 65535)):
        clean = smooth(24, 30).astype(np.uint16) * (white // 255)
        noisy = np.clip(clean + RNG.normal(0, white / 20, clean.shape), 0, white)
        clean, noisy = (p.astype(np.uint8 if white == 255 else np.uint16) for p in (clean, noisy))
        for half, picture in (("real", noisy), ("mean", clean)):
            cv2.imwrite(str(folder / f"{name}_{half}.png"), picture[..., ::-1])
        values = restored(net, noisy.astype(np.float32) / np.float32(white))
        expected[name] = compared(values, rounded(clean.astype(np.float32) / np.float32(white)))
    found = evaluate(path, "cc", folder)
    assert_scores(found["scores"], expected)
    assert list(found["groups"]) == ["d600", "d800"]
    assert found["notes"] == ["2 of the set's 15 pairs are there"]


def test_a_corpus_is_tested_on_its_samples(colour, corpus, lazy, tmp_path):
    path, net = colour
    root = tmp_path / "a.zarr"
    root.symlink_to(corpus.storage.url)
    found = evaluate(path, "corpus", root)
    assert found["pictures"] == len(corpus.valid) == 24
    sample = corpus[5]
    values = restored(net, sample.arrays["noisy"].astype(np.float32) / np.float32(255))
    expected = compared(values, sample.arrays["clean"])
    assert found["scores"][5]["psnr"] == pytest.approx(expected["psnr"], abs=1e-5)
    (tmp_path / "lazy.zarr").symlink_to(lazy.storage.url)
    assert evaluate(path, "corpus", tmp_path / "lazy.zarr")["scores"] == found["scores"]
    parts = [
        evaluate(path, "corpus", root, "--split", split)["scores"]
        for split in ("train", "val", "test")
        if split in np.array(["train", "val", "test"])[corpus.images.split]
    ]
    names = [one["name"] for part in parts for one in part]
    assert sorted(names) == sorted(one["name"] for one in found["scores"])


# The registry


def test_every_protocol_is_complete():
    for name in protocols.names():
        page = protocols.entry(name)
        assert page.name == name
        assert page.title
        assert page.layout
        assert page.channels in (1, 3)
        assert bool(page.measures) != (page.submission is not None)
        if page.measures:
            assert [measure.key for measure in page.measures[:2]] == ["psnr", "ssim"]


def test_the_docs_name_every_protocol():
    from pathlib import Path

    text = (Path(__file__).parents[2] / "docs" / "evaluate.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ((?:`[\w-]+`(?:, )?)+) \|", text, re.M)
    assert [n for row in rows for n in re.findall(r"`([\w-]+)`", row)] == protocols.names()


def test_an_unknown_protocol_is_told_the_nearest():
    with pytest.raises(UnknownNameError, match=r"'kodak' \(did you mean 'kodak24'\?\); there are"):
        protocols.entry("kodak")


class Point:
    """An entry point of somebody's package."""

    value = "somebody.tests:PAGE"

    def __init__(self, name, load):
        self.name, self.load = name, load


def test_other_packages_offer_protocols(monkeypatch):
    page = protocols.entry("pairs")
    points = [Point("theirs", lambda: page), Point("broken", lambda: 1 / 0), Point("no", dict)]

    def entry_points(group, name=None):
        assert group == "noisegen.protocols"
        return [point for point in points if name in (None, point.name)]

    monkeypatch.setattr(plugins, "entry_points", entry_points)
    assert protocols.names()[-3:] == ["broken", "no", "theirs"]
    assert protocols.entry("theirs") is page
    for name, line in (
        ("broken", r"'broken' \(somebody.tests:PAGE\) cannot be loaded: ZeroDivisionError"),
        ("no", "a dict where a denoisers.protocols.base.Protocol should be; mend its package"),
    ):
        with pytest.raises(protocols.BrokenProtocolError, match=line):
            protocols.entry(name)


# What is refused


def png(path, size=(8, 8)):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), RNG.integers(0, 256, (*size, 3), np.uint8))


def mat(path, **values):
    path.parent.mkdir(parents=True, exist_ok=True)
    scipy.io.savemat(path, values)


def five(*shape, dtype=np.uint8):
    return np.zeros(shape, dtype)


def many(root):
    for number in range(25):
        png(root / f"{number}.png")


def half(root):
    png(root / "lq" / "a.png")
    png(root / "hq" / "a.png")
    png(root / "hq" / "b.png")


def unequal(root):
    mat(root / f"{sidd.NOISY}.mat", **{sidd.NOISY: five(1, 2, 12, 12, 3)})
    mat(root / f"{sidd.CLEAN}.mat", **{sidd.CLEAN: five(1, 2, 12, 13, 3)})


def benchmark(values):
    return lambda root: mat(root / f"{sidd.BENCHMARK_NOISY}.mat", **values)


def text_for_mat(root):
    root.mkdir()
    (root / f"{sidd.BENCHMARK_NOISY}.mat").write_text("no MATLAB file at all" * 20)


def hdf5(root):
    root.mkdir()
    head = b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM"
    (root / f"{sidd.BENCHMARK_NOISY}.mat").write_bytes(head + bytes(512))


def without_box(root):
    boxes(root, (3,))
    (root / "lq" / "0003_12.png").unlink()


def with_box_21(root):
    boxes(root, (3,))
    png(root / "lq" / "0003_21.png")


REFUSED = [
    ("kodak24", many, "25 pictures, the set has 24; give --root the folder of the set alone"),
    ("awgn", lambda root: root.mkdir(), "no picture there"),
    ("awgn", lambda root: None, "cannot reach .*: there is no such folder"),
    ("sidd-val", half, r"b.png is in hq/ and not in lq/"),
    ("sidd-val", lambda root: root.mkdir(), "neither ValidationNoisyBlocksSrgb.mat and"),
    ("sidd-val", unequal, "is 1x2x12x12x3, ValidationGtBlocksSrgb 1x2x12x13x3; they have one"),
    ("sidd-val", lambda root: mat(root / f"{sidd.CLEAN}.mat"), "NoisyBlocksSrgb.mat is not there"),
    ("sidd-benchmark", benchmark({"x": five(2, 2)}), "no variable Benchmark.*, it holds x"),
    (
        "sidd-benchmark",
        benchmark({sidd.BENCHMARK_NOISY: five(2, 3, 8, 8, dtype=np.float64)}),
        "is 2x3x8x8 float64; blocks are scenes x blocks x height x width x 3 uint8",
    ),
    ("sidd-benchmark", text_for_mat, "cannot read .*BenchmarkNoisyBlocksSrgb.mat: "),
    ("sidd-benchmark", hdf5, r"version 7.3 \(HDF5\): save it again with -v7"),
    ("sidd-benchmark", lambda root: root.mkdir(), "BenchmarkNoisyBlocksSrgb.mat is not there"),
    ("dnd", lambda root: root.mkdir(), r"neither info.mat and .* nor boxes lq/0001_1.png … lq"),
    ("dnd", without_box, r"lq/0003_12.png is not there; every image has boxes 1 to 20"),
    ("dnd", with_box_21, r"lq/0003_21.png is no box of DND, they are 1 to 20"),
    ("corpus", lambda root: root.mkdir(), "is no corpus; give --root one, or test .* --on pairs"),
    ("pairs", lambda root: png(root / "a.png"), r"no pair \(pictures there: 1\)"),
]


@pytest.mark.parametrize(("on", "make", "line"), REFUSED)
def test_sets_that_are_not_those_of_the_protocol_are_refused(tmp_path, on, make, line):
    root = tmp_path / "root"
    make(root)
    page = protocols.entry(on)
    with pytest.raises((ValueError, OSError), match=line):
        page.open(Asked(Root(str(root)), 25.0 if page.sigma else None))


def test_more_pairs_than_the_set_has_are_refused(tmp_path):
    for number in range(16):
        for word in ("real", "mean"):
            png(tmp_path / f"{number}_{word}.png")
    with pytest.raises(ValueError, match="16 pairs, the set has 15; give --root the folder"):
        protocols.entry("cc").open(Asked(Root(str(tmp_path))))


def test_a_protocol_is_what_plugins_are_checked_for():
    assert isinstance(protocols.entry("dnd"), Protocol)
