"""Pictures through networks of mosaics, and the exposure rule of Apple's phones."""

import math
import struct

import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner

from denoisers.inference import exif, from_picture, iphone
from denoisers.inference.raws import Noise, developed
from denoisers.models.dualdn import Isp
from noisegen import raw
from noisegen.cli import main
from noisegen.errors import InputError
from noisegen.isp import pipeline
from noisegen.metrics import psnr, to_8bit
from tests.denoisers.test_raws import READ, SHOT, shot, weights

__all__ = ["weights"]

AE_TARGET, APERTURE, BASELINE = 5, 33437, 50730


def smooth(height=90, width=122, dtype=np.uint8):
    rows, columns = np.mgrid[:height, :width] / 100
    waves = [0.45 + 0.3 * np.sin(3 * rows + c) * np.cos(4 * columns - c) for c in range(3)]
    return np.rint(np.stack(waves, -1) * np.iinfo(dtype).max).astype(dtype)


def denoise(source, weights, out, *arguments):
    command = ["denoise", str(source), "--model", str(weights("dual")), "--out", str(out)]
    return CliRunner().invoke(main, [*command, *arguments])


@pytest.mark.parametrize(("dtype", "alpha"), [(np.uint8, "0"), (np.uint16, "0.4")])
def test_a_picture_comes_back_as_it_was_but_for_demosaicing(dtype, alpha, weights, tmp_path):
    path, out = tmp_path / "a.png", tmp_path / "b.png"
    cv2.imwrite(str(path), smooth(dtype=dtype))
    done = denoise(path, weights, out, "--shot", "0.001", "--read", "1e-5", "--alpha", alpha)
    assert done.exit_code == 0, done.output
    assert "a.png is no raw: it is taken back to a mosaic of a stand-in camera" in done.output
    assert "noise K = 0.001, S = 1e-05 (given)" in done.output
    found = cv2.imread(str(out), cv2.IMREAD_UNCHANGED)
    assert found.dtype == dtype
    scale = np.float32(np.iinfo(dtype).max)
    assert psnr(to_8bit(found / scale), to_8bit(smooth(dtype=dtype) / scale)) > 45


def test_the_noise_of_a_picture_is_estimated(weights, tmp_path):
    isp, own = Isp(), from_picture.parameters(Isp(), 0.0)
    picture = smooth(240, 320)
    clean, _ = from_picture.frame(picture, isp, 0.0, Noise(SHOT, READ, "given"), tmp_path)
    x = clean.mosaic[0, 0].numpy()
    draws = np.random.default_rng(0).standard_normal(x.shape)
    noisy = np.clip(x + np.sqrt(SHOT * x + READ) * draws, 0, 1).astype(np.float32)
    with torch.no_grad():
        made = pipeline.render(torch.from_numpy(noisy)[None, None], "RGGB", own, border="reflect")[
            0
        ].permute(1, 2, 0)
    _, found = from_picture.frame(to_8bit(made.numpy()), isp, 0.0, None, tmp_path)
    # Demosaicing has averaged: what is left is less, and far from nothing.
    assert 0.1 * SHOT < found.shot < SHOT
    assert found.origin == "estimate"


def test_the_stand_in_is_developed_to_the_picture(tmp_path):
    isp, picture = Isp(gamma="srgb", demosaic="malvar"), smooth()
    frame, _ = from_picture.frame(picture, isp, -0.3, Noise(SHOT, READ, "given"), tmp_path)
    with torch.no_grad():
        back = frame.own(developed(frame.mosaic, frame.shot, isp))
    assert psnr(to_8bit(back), picture) > 45


def test_a_folder_of_pictures(weights, tmp_path):
    folder = tmp_path / "in" / "deep"
    folder.mkdir(parents=True)
    for name in ("a.png", "b.tif"):
        cv2.imwrite(str(folder / name), smooth())
    (folder / "c.jpg").write_bytes(b"no picture")
    out = tmp_path / "out"
    done = denoise(tmp_path / "in", weights, out, "--shot", "0.001", "--read", "1e-5")
    assert done.exit_code == 1
    assert "(3 such files)" in done.output
    assert "1 of 3 pictures could not be used" in done.output
    assert sorted(p.name for p in (out / "deep").iterdir()) == ["a.png", "b.tif"]


PICTURES_REFUSED = [
    (["--out", "b.dng"], smooth(), "a picture is no mosaic, write a PNG"),
    (["--iphone"], smooth(), "is no raw: leave --iphone away"),
    (["--reference", "r.jpg"], smooth(), "is no raw: leave --reference away"),
    ([], smooth(21, 60), "60x21 pixels; networks of mosaics take 22x22 and more"),
    ([], smooth(24, 24), "too few flat places to estimate its noise; give --shot and --read"),
]


@pytest.mark.parametrize(("arguments", "picture", "line"), PICTURES_REFUSED)
def test_pictures_that_cannot_be(arguments, picture, line, weights, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cv2.imwrite("a.png", picture)
    out = [] if "--out" in arguments else ["--out", "b.png"]
    command = ["denoise", "a.png", "--model", str(weights("dual")), *out, *arguments]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 2, done.output
    assert line in done.output


def entries(order, at, tags):
    """A directory at a place, its values behind it; tags are (tag, kind, count, bytes)."""
    table, rest_at, rest = struct.pack(order + "H", len(tags)), at + 6 + 12 * len(tags), b""
    for tag, kind, count, value in sorted(tags):
        if len(value) > 4:
            value, rest = struct.pack(order + "I", rest_at + len(rest)), rest + value
        table += struct.pack(order + "HHI", tag, kind, count) + value.ljust(4, b"\0")
    return table + bytes(4) + rest


def rational(tag, numerator, denominator, order="<"):
    return tag, 10, 1, struct.pack(order + "ii", numerator, denominator)


def apple(path, without=0, brightness=2):
    """A DNG with an iPhone's tags, without one of them."""

    def kept(*tags):
        return [tag for tag in tags if tag[0] != without]

    shot(path, 60, 82, make="Apple", iso=100)
    notes = kept(
        (AE_TARGET, 9, 1, struct.pack(">i", 180)),
        (6, 9, 1, struct.pack(">i", 120)),
        rational(0x27, 30, 1, ">"),
    )
    made = b"Apple iOS\0\0\1MM" + entries(">", 14, notes)
    camera = kept(
        rational(33434, 1, 50),
        rational(APERTURE, 18, 10),
        (34855, 3, 1, struct.pack("<H", 100)),
        (37500, 7, len(made), made),
        rational(37379, brightness, 1),
    )
    block = b"II*\0" + struct.pack("<I", 8) + entries("<", 8, [(34665, 4, 1, b"\x40\0\0\0")])
    data = exif.into_tiff(path.read_bytes(), block.ljust(64, b"\0") + entries("<", 64, camera))
    own = dict(exif.directory(data))
    own |= {t: exif.Entry(k, n, v) for t, k, n, v in kept(rational(BASELINE, 3, 4))}
    at = len(data) + len(data) % 2
    head = data[:4] + struct.pack("<I", at) + data[8:].ljust(at - 8, b"\0")
    path.write_bytes(head + exif._packed(own, "<", at))
    return path


RATIO = 180 / 120 * math.sqrt((2 * math.log2(1.8) + math.log2(50) - 2) * 0.75)


def test_light_and_noise_of_an_iphone(weights, tmp_path):
    path = apple(tmp_path / "a.dng")
    found = iphone.read(path, path.read_bytes())
    assert found.ratio == pytest.approx(RATIO)
    assert found.signal_to_noise == 30
    own = raw.read(path)
    assert own.metadata.make == "Apple"
    mosaic = np.full((4, 6), 0.1, np.float32)
    bright, noise = found.applied(mosaic, Noise(1.0, 2e-4, "profile"))
    np.testing.assert_allclose(bright, 0.1 * RATIO, rtol=1e-5)
    assert noise.shot == pytest.approx(0.1 * RATIO / 1000 * RATIO)
    assert noise.read == pytest.approx(2e-4 * RATIO)
    dark, _ = iphone.Exposure(0.5, 30).applied(mosaic, Noise(1.0, 2e-4, "profile"))
    np.testing.assert_array_equal(dark, mosaic)
    done = denoise(path, weights, tmp_path / "a.png")
    plain = cv2.imread(str(tmp_path / "a.png")).mean()
    done = denoise(path, weights, tmp_path / "b.png", "--iphone")
    assert done.exit_code == 0, done.output
    assert f"S = {READ * RATIO:.3g} (profile)" in done.output
    assert cv2.imread(str(tmp_path / "b.png")).mean() > 1.2 * plain


IPHONE_REFUSED = [
    ({"without": AE_TARGET}, [], "rule needs AETarget, which the file lacks"),
    ({"without": APERTURE}, [], "rule needs FNumber, which the file lacks"),
    ({"without": BASELINE}, [], "rule needs BaselineExposure, which the file lacks"),
    ({"brightness": 12}, [], "and makes no ratio of it; leave --iphone away"),
    ({}, ["--shot", "0.1", "--read", "0"], "--iphone sets the noise: leave --shot and --read away"),
    ({}, ["--out", "b.dng"], "--iphone brightens the mosaic, write a PNG"),
]


@pytest.mark.parametrize(("tags", "arguments", "line"), IPHONE_REFUSED)
def test_iphones_that_cannot_be(tags, arguments, line, weights, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = apple(tmp_path / "a.dng", **tags)
    out = [] if "--out" in arguments else ["--out", "b.png"]
    command = ["denoise", str(path), "--model", str(weights("dual")), "--iphone"]
    done = CliRunner().invoke(main, [*command, *out, *arguments])
    assert done.exit_code == 2, done.output
    assert line in done.output


def test_raws_of_others_have_no_such_rule(weights, tmp_path):
    done = denoise(shot(tmp_path / "a.dng"), weights, tmp_path / "b.png", "--iphone")
    assert done.exit_code == 2
    assert "made by Maker, not by Apple; leave --iphone away" in done.output
    with pytest.raises(InputError, match="BaselineExposure, ExposureTime"):
        iphone.read(tmp_path, b"no file")
