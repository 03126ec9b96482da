"""Raw files denoised: any phase and size, looked-up noise, tiles, DNGs, other colours."""

import cv2
import numpy as np
import pytest
import rawpy
import torch
from click.testing import CliRunner

import denoisers
from denoisers import card as cards
from denoisers.inference import raws
from denoisers.inference.raw_job import RawJob
from denoisers.inference.raws import Frame, Noise, RawRestorer, noise_of, oriented, unoriented
from noisegen import raw
from noisegen.cfa import PHASES, plane_map
from noisegen.cli import main
from noisegen.errors import InputError, MissingDataError
from noisegen.isp import color, pipeline
from noisegen.metrics import to_8bit
from noisegen.raw import write_dng

BLACK = (64.0, 66.0, 65.0, 63.0)
WHITE = 1023
MATRIX = np.array([[0.9, -0.2, -0.1], [-0.4, 1.2, 0.2], [-0.1, 0.2, 0.7]])
NEUTRAL = (0.5, 1.0, 0.6)
SHOT, READ = 2e-3, 1e-4

SMALL = {"width": 8, "blocks": (1, 1, 1, 1), "refinement": 1, "heads": (1, 1, 2, 2)}


def codes(height, width, phase, noise=1.0, seed=0):
    """A smooth scene of the camera, with its noise."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width] / max(height, width)
    level = 0.1 + 0.5 * rows + 0.2 * np.sin(6 * columns) ** 2
    planes = plane_map(phase, (height, width))
    x = level * np.array([0.5, 1.0, 0.6, 1.0])[planes]
    x = x + noise * np.sqrt(SHOT * x + READ) * rng.standard_normal(x.shape)
    black = np.array(BLACK)[planes]
    return np.rint(x * (WHITE - black) + black).clip(0, WHITE).astype(np.uint16)


def shot(path, height=60, width=82, phase="RGGB", **tags):
    tags = {
        "noise_profile": ([SHOT] * 4, [READ] * 4),
        "as_shot_neutral": NEUTRAL,
        "color_matrix": MATRIX,
        "make": "Maker",
        "model": "Model 1",
        "iso": 800,
        "exposure_time": 0.02,
    } | tags
    made = codes(height, width, phase)
    write_dng(path, made, cfa=phase, black_level=BLACK, white_level=WHITE, bits=10, **tags)
    return path


def network(seed=0, stirred=False, **options):
    """A network that begins as the ISP of what it is given."""
    net = denoisers.create("dualdn", seed=seed, **SMALL, **options).eval()
    if stirred:
        draws = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for parameter in net.parameters():
                parameter += 0.05 * torch.randn(parameter.shape, generator=draws)
    return net


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")

    def made(name, **options):
        path = folder / f"{name}.safetensors"
        settings = denoisers.entry("dualdn").check(SMALL | options).model_dump()
        card = cards.Card(model="dualdn", options=settings)
        cards.save(path, network(**options), card)
        return path

    return made


def developed(image):
    """The file's picture by the ISP alone, at its own phase, not turned."""
    own = image.metadata
    black = np.asarray(own.black_level)[plane_map(own.cfa, own.shape)]
    x = np.clip((image.mosaic - black) / (own.white_level - black), 0, 1)
    picture = pipeline.process(
        torch.tensor(x, dtype=torch.float32)[None, None],
        own.cfa,
        torch.tensor([own.white_balance]),
        torch.tensor(color.camera_to_xyz(own.xyz_to_cam))[None],
        0.0,
        demosaic="ahd",
        gamma="rec709",
    )
    return picture[0].permute(1, 2, 0).numpy()


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize(("size", "tile"), [((60, 82), 64), ((61, 83), 0), ((22, 23), 0)])
def test_every_phase_and_size_comes_out_as_the_isp_has_it(phase, size, tile, tmp_path):
    image = raw.read(shot(tmp_path / "a.dng", *size, phase))
    frame = Frame.of(image, noise_of(image), 0.0)
    restorer = RawRestorer(network(), tile=tile)
    mosaic, picture = restorer(frame)
    assert frame.own(picture).shape == (*size, 3)
    np.testing.assert_allclose(frame.own(picture), developed(image), atol=1e-5)
    torch.testing.assert_close(mosaic, frame.mosaic)


def test_bands_of_the_isp_are_the_whole(tmp_path, monkeypatch):
    image = raw.read(shot(tmp_path / "a.dng", 90, 50, "GBRG"))
    frame = Frame.of(image, noise_of(image), 0.3)
    whole = RawRestorer(network())(frame)
    monkeypatch.setattr(raws, "BAND", 24)
    bands = RawRestorer(network())(frame)
    torch.testing.assert_close(bands.picture, whole.picture, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("domain", ["dual", "raw", "srgb"])
def test_whole_frames_are_what_the_network_makes_of_them(domain, tmp_path):
    image = raw.read(shot(tmp_path / "a.dng", 64, 96))
    net = network(stirred=True, domain=domain)
    frame = Frame.of(image, Noise(SHOT, READ, "given"), 0.4)
    mosaic, picture = RawRestorer(net, tile=0)(frame)
    with torch.no_grad():
        expected = net.restore(frame.mosaic, frame.shot)
    torch.testing.assert_close(mosaic, expected.mosaic)
    torch.testing.assert_close(picture, expected.picture, rtol=1e-4, atol=1e-4)


def test_tiles_are_blended(tmp_path):
    image = raw.read(shot(tmp_path / "a.dng", 96, 128))
    frame = Frame.of(image, Noise(SHOT, READ, "given"), 0.0)
    net = network(stirred=True)
    whole, tiled = (RawRestorer(net, tile=tile)(frame) for tile in (0, 64))
    # Attention sees a tile where it saw the frame; no seam is larger than that difference.
    change = (tiled.picture - whole.picture).abs()
    steps = (tiled.picture - whole.picture).diff(dim=-1).abs()
    assert 0 < change.mean() < 0.1
    assert steps.max() < change.max()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_upright(orientation, weights, tmp_path):
    path = shot(tmp_path / "a.dng", 40, 62, orientation=orientation)
    out = tmp_path / "a.png"
    done = CliRunner().invoke(
        main, ["denoise", str(path), "--model", str(weights("dual")), "--out", str(out)]
    )
    assert done.exit_code == 0, done.output
    assert "noise K = 0.002, S = 0.0001 (profile)" in done.output
    found = cv2.imread(str(out), cv2.IMREAD_UNCHANGED)[..., ::-1]
    upright = {
        1: lambda p: p,
        2: np.fliplr,
        3: lambda p: np.rot90(p, 2),
        4: np.flipud,
        5: lambda p: p.swapaxes(0, 1),
        6: lambda p: np.rot90(p, -1),
        7: lambda p: np.rot90(p, 2).swapaxes(0, 1),
        8: np.rot90,
    }[orientation]
    expected = upright(to_8bit(developed(raw.read(path))))
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).max() <= 1
    array = np.arange(24).reshape(2, 4, 3)
    np.testing.assert_array_equal(unoriented(oriented(array, orientation), orientation), array)


def test_sixteen_bits_and_tiffs(weights, tmp_path):
    path = shot(tmp_path / "a.dng")
    for name in ("a.png", "a.tif"):
        command = ["denoise", str(path), "--model", str(weights("dual")), "--bits", "16"]
        done = CliRunner().invoke(main, [*command, "--out", str(tmp_path / name)])
        assert done.exit_code == 0, done.output
        found = cv2.imread(str(tmp_path / name), cv2.IMREAD_UNCHANGED)
        assert found.dtype == np.uint16


@pytest.mark.parametrize("phase", PHASES)
def test_a_dng_keeps_its_tags_and_opens_elsewhere(phase, weights, tmp_path):
    path = shot(tmp_path / "a.dng", 61, 83, phase, orientation=6)
    out = tmp_path / "b.dng"
    command = ["denoise", str(path), "--model", str(weights("dual")), "--out", str(out)]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 0, done.output
    before, after = raw.read(path), raw.read(out)
    scale = 64  # 1023 * 64 is the last below 65536
    np.testing.assert_array_equal(after.mosaic, before.mosaic.astype(int) * scale)
    old, new = before.metadata, after.metadata
    same = ("cfa", "shape", "orientation", "make", "model", "iso", "exposure_time")
    assert [getattr(old, n) for n in same] == [getattr(new, n) for n in same]
    np.testing.assert_allclose(new.black_level, np.multiply(old.black_level, scale))
    assert new.white_level == old.white_level * scale
    np.testing.assert_allclose(new.as_shot_neutral, NEUTRAL, rtol=1e-5)
    np.testing.assert_allclose(new.xyz_to_cam, MATRIX, atol=1e-5)
    assert new.noise_profile is None
    with rawpy.imread(str(out)) as opened:
        assert opened.postprocess(half_size=True).shape[2] == 3


def test_noise_is_stated_catalogued_estimated_or_given(tmp_path):
    profile = noise_of(raw.read(shot(tmp_path / "a.dng")))
    assert (profile.shot, profile.read, profile.origin) == (
        pytest.approx(SHOT),
        pytest.approx(READ),
        "profile",
    )
    known = {"make": "Google", "model": "Pixel", "iso": 800}
    catalog = noise_of(raw.read(shot(tmp_path / "b.dng", noise_profile=None, **known)))
    assert catalog.origin == "catalog"
    estimate = noise_of(raw.read(shot(tmp_path / "c.dng", 300, 400, noise_profile=None)))
    assert estimate.origin == "estimate"
    assert estimate.shot == pytest.approx(SHOT, rel=0.3)
    with pytest.raises(InputError, match=r"too few flat places .*; give --shot and --read"):
        noise_of(raw.read(shot(tmp_path / "d.dng", 22, 22, noise_profile=None)))


def test_given_noise_is_what_the_networks_are_told(weights, tmp_path):
    path = shot(tmp_path / "a.dng", 22, 22, noise_profile=None)
    command = ["denoise", str(path), "--model", str(weights("dual")), "--out"]
    done = CliRunner().invoke(
        main, [*command, str(tmp_path / "a.png"), "--shot", "0.01", "--read", "1e-3"]
    )
    assert done.exit_code == 0, done.output
    assert "noise K = 0.01, S = 0.001 (given)" in done.output


def test_a_file_without_colours_is_one_line(weights, tmp_path):
    path = shot(tmp_path / "a.dng", color_matrix=None)
    command = ["denoise", str(path), "--model", str(weights("dual")), "--out"]
    done = CliRunner().invoke(main, [*command, str(tmp_path / "a.png")])
    assert done.exit_code == 2
    assert "no colour matrix in the file, and LibRaw knows none" in done.output


def test_a_folder_passes_over_damaged_files(weights, tmp_path):
    folder = tmp_path / "in" / "deep"
    folder.mkdir(parents=True)
    shot(folder / "a.dng")
    (folder / "b.dng").write_bytes(b"no raw")
    command = ["denoise", str(tmp_path / "in"), "--model", str(weights("dual")), "--out"]
    done = CliRunner().invoke(main, [*command, str(tmp_path / "out")])
    assert done.exit_code == 1
    assert "1 of 2 pictures could not be used" in done.output
    assert (tmp_path / "out" / "deep" / "a.png").exists()


def test_colours_of_a_reference(weights, tmp_path):
    path = shot(tmp_path / "a.dng", 200, 230, orientation=6)
    image = raw.read(path)
    plain = np.clip(oriented(developed(image), 6), 0, 1)
    warm = np.clip(plain**1.2 * [1.0, 0.9, 0.7], 0, 1)
    reference = tmp_path / "r.png"
    cv2.imwrite(str(reference), to_8bit(warm[2:-3, 1:-1])[..., ::-1])
    command = ["denoise", str(path), "--model", str(weights("dual")), "--reference", str(reference)]
    found = {}
    for how in ("smooth", "published"):
        out = tmp_path / f"{how}.png"
        done = CliRunner().invoke(main, [*command, "--bgu", how, "--out", str(out)])
        assert done.exit_code == 0, done.output
        found[how] = cv2.imread(str(out))[..., ::-1] / 255
    target = to_8bit(warm[2:-3, 1:-1]) / 255
    assert found["smooth"].shape == target.shape
    before = np.abs(plain[2:-3, 1:-1] - target).mean()
    assert np.abs(found["smooth"] - target).mean() < 0.2 * before
    assert not np.array_equal(found["smooth"], found["published"])


REFUSED = [
    (["--self-ensemble"], "a turned mosaic has another phase"),
    (["--shot", "0.1"], "--shot, --read: give both"),
    (["--shot", "0", "--read", "0"], "--shot, --read: give both, K from 0 to 1"),
    (["--bgu", "smooth"], "--bgu says how --reference is fitted"),
    (["--reference", "none.jpg"], "cannot read none.jpg"),
    (["--bits", "16", "--out", "a.jpg"], "a JPEG has 8 bits"),
    (["--bits", "16", "--out", "a.dng"], "a DNG is written with 16 bits"),
    (["--out", "a.webp"], "pictures are written as .png"),
]


@pytest.mark.parametrize(("arguments", "line"), REFUSED)
def test_what_cannot_be_is_one_line(arguments, line, weights, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = shot(tmp_path / "in.dng")
    out = [] if "--out" in arguments else ["--out", "a.png"]
    command = ["denoise", str(path), "--model", str(weights("dual")), *out, *arguments]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 2, done.output
    assert line in done.output


def test_networks_and_files_that_do_not_go_together(weights, photos, tmp_path):
    path = shot(tmp_path / "a.dng")
    srgb = weights("srgb", domain="srgb")
    done = CliRunner().invoke(
        main, ["denoise", str(path), "--model", str(srgb), "--out", str(tmp_path / "b.dng")]
    )
    assert "a network of domain srgb leaves the mosaic as it is" in done.output
    with pytest.raises(InputError, match="dncnn takes no raws"):
        card = cards.Card(model="dncnn", options={})
        RawJob.prepare(path, tmp_path / "b.png", denoisers.create("dncnn"), card)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(MissingDataError, match=r"no raw file there .*, and no picture"):
        RawJob.prepare(empty, tmp_path / "out", network(), cards.Card(model="dualdn", options={}))
    own = denoisers.create("dncnn", depth=2, width=4)
    settings = {"depth": 2, "width": 4, "channels": 3, "batch_norm": True}
    cards.save(tmp_path / "d.safetensors", own, cards.Card(model="dncnn", options=settings))
    done = CliRunner().invoke(
        main,
        ["denoise", str(photos), "--model", str(tmp_path / "d.safetensors"), "--out",
         str(tmp_path / "out"), "--shot", "0.1"],
    )  # fmt: skip
    assert "--shot is of raws, dncnn is a network of pictures" in done.output


def test_a_reference_that_is_larger_is_refused(tmp_path):
    image = raw.read(shot(tmp_path / "a.dng"))
    with pytest.raises(InputError, match="a mosaic of 82x60, smaller than the reference of 82x61"):
        raws.cropped(image, 61, 82)
    part = raws.cropped(image, 57, 80)
    assert part.metadata.cfa == "BGGR"
    assert part.mosaic.shape == (57, 80)
    assert part.metadata.shape == (57, 80)
