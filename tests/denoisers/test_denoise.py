"""Denoising files: tiles, formats, what is kept, what is refused."""

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
import tifffile
import torch
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

import denoisers
from denoisers import card as cards
from denoisers.base import Denoiser
from denoisers.inference import exif, files, metadata
from denoisers.inference.padding import padded
from denoisers.inference.restorer import Restorer
from denoisers.inference.tiles import tiled
from noisegen.cli import main
from noisegen.errors import InputError
from noisegen.metrics import to_8bit

RNG = np.random.default_rng(9)


def network(**options):
    model = denoisers.create("dncnn", depth=3, width=4, batch_norm=False, **options).eval()
    for parameter in model.parameters():
        parameter.data *= 0.3
    return model


def save(path, **options):
    model = network(**options)
    entry = denoisers.entry("dncnn")
    chosen = entry.check({"depth": 3, "width": 4, "batch_norm": False, **options})
    card = cards.Card(
        model="dncnn", options=chosen.model_dump(), variants=(), licence="", origin="a test"
    )
    cards.save(path, model, card)
    return model


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "a.safetensors"
    return path, save(path)


@given(
    height=st.integers(20, 130),
    width=st.integers(20, 130),
    side=st.integers(50, 90),
    overlap=st.integers(24, 25),
)
@settings(max_examples=25)
def test_a_network_that_looks_no_farther_gives_the_same_by_tiles(height, width, side, overlap):
    # Three 3x3 convolutions look 3 pixels far, which is an eighth of the overlap.
    model = network()
    picture = torch.rand((1, 3, height, width), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        whole, tiles = model(picture), tiled(model, side, overlap)(picture)
    torch.testing.assert_close(tiles, whole, rtol=0, atol=1e-6)


def test_seams_are_blended():
    # Tiles that differ by 1 meet in steps of one over what both leave of the overlap, 32 - 2 * 4.
    level = iter(range(100))
    run = tiled(lambda tile: torch.full_like(tile, float(next(level) % 2)), 64, 32)
    out = run(torch.zeros(1, 1, 40, 160))
    assert {out.min().item(), out.max().item()} == {0.0, 1.0}
    assert out.diff(dim=-1).abs().max() <= 1 / (32 - 2 * 4 + 1) + 1e-6


def test_tiles_cannot_overlap_by_more_than_half():
    with pytest.raises(InputError, match="tiles of 63 pixels cannot overlap by 32: give 64"):
        tiled(lambda tile: tile, 63, 32)


class Multiple(Denoiser):
    multiple = 8

    def forward(self, noisy):
        assert noisy.shape[-1] % 8 == noisy.shape[-2] % 8 == 0
        return noisy * 0.5


@pytest.mark.parametrize("tile", [None, 0, 64])
@pytest.mark.parametrize("ensemble", [False, True])
def test_any_size_goes_through(tile, ensemble):
    restorer = Restorer(Multiple(), tile=tile, ensemble=ensemble)
    for size in ((1, 1), (3, 100), (67, 129)):
        picture = RNG.random((*size, 3), np.float32)
        np.testing.assert_allclose(restorer(picture), picture / 2, atol=1e-6)


def expected(model, picture, bits):
    white = np.float32(np.iinfo(picture.dtype).max)
    tensor = torch.from_numpy(picture.astype(np.float32) / white).permute(2, 0, 1)[None]
    with torch.inference_mode():
        out = padded(model, 1)(tensor)[0].permute(1, 2, 0).clamp(0, 1).numpy()
    return to_8bit(out) if bits == 8 else np.rint(out * 65535).astype(np.uint16)


def run(*arguments):
    return CliRunner().invoke(main, ["denoise", *map(str, arguments), "--device", "cpu"])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("ending", ["png", "tif"])
def test_a_file_comes_out_in_its_depth(weights, tmp_path, dtype, ending):
    path, model = weights
    picture = RNG.integers(0, np.iinfo(dtype).max + 1, (37, 41, 3), dtype)
    assert cv2.imwrite(str(tmp_path / f"a.{ending}"), picture[..., ::-1])
    out = tmp_path / f"b.{ending}"
    done = run(tmp_path / f"a.{ending}", "--model", path, "--out", out)
    assert done.exit_code == 0, done.output
    assert done.output.strip().endswith(f"{out}, by dncnn of a test")
    found = cv2.imread(str(out), cv2.IMREAD_UNCHANGED)[..., ::-1]
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, expected(model, picture, found.itemsize * 8))


def test_bits_can_be_chosen(weights, tmp_path):
    picture = RNG.integers(0, 256, (16, 16, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "a.jpg"), picture)
    assert (
        run(
            tmp_path / "a.jpg", "--model", weights[0], "--out", tmp_path / "b.png", "--bits", 16
        ).exit_code
        == 0
    )
    assert cv2.imread(str(tmp_path / "b.png"), cv2.IMREAD_UNCHANGED).dtype == np.uint16


def test_a_folder_becomes_a_folder(weights, tmp_path):
    source = tmp_path / "photos"
    for name in ("a.png", "trip/b.jpg"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(source / name), RNG.integers(0, 256, (20, 24, 3), np.uint8))
    (source / "notes.txt").write_text("no picture")
    done = run(source, "--model", weights[0], "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert "2 pictures" in done.output
    there = sorted(
        p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*.*")
    )
    assert there == ["a.png", "trip/b.jpg"]


def test_a_damaged_file_of_a_folder_does_not_stop_the_others(weights, tmp_path):
    source, out = tmp_path / "photos", tmp_path / "out"
    source.mkdir()
    for name in "abc":
        cv2.imwrite(str(source / f"{name}.png"), RNG.integers(0, 256, (20, 24, 3), np.uint8))
    (source / "b.png").write_bytes((source / "b.png").read_bytes()[:300])
    done = run(source, "--model", weights[0], "--out", out)
    assert done.exit_code == 1
    (line,) = done.output.splitlines()
    assert line.startswith("noisegen: 1 of 3 pictures could not be used, the others are done: ")
    assert f"{source / 'b.png'} is a PNG that was cut short" in line
    assert sorted(path.name for path in out.iterdir()) == ["a.png", "c.png"]


def test_a_run_is_named_by_its_folder(weights, tmp_path):
    save(tmp_path / "last.safetensors")
    cv2.imwrite(str(tmp_path / "a.png"), RNG.integers(0, 256, (8, 8, 3), np.uint8))
    assert run(tmp_path / "a.png", "--model", tmp_path, "--out", tmp_path / "b.png").exit_code == 0


def test_grey_pictures_stay_grey(tmp_path):
    save(tmp_path / "g.safetensors", channels=1)
    grey = RNG.integers(0, 256, (12, 12), np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), grey)
    done = run(
        tmp_path / "a.png", "--model", tmp_path / "g.safetensors", "--out", tmp_path / "b.png"
    )
    assert done.exit_code == 0, done.output
    assert cv2.imread(str(tmp_path / "b.png"), cv2.IMREAD_UNCHANGED).ndim == 2
    cv2.imwrite(str(tmp_path / "c.png"), RNG.integers(0, 256, (12, 12, 3), np.uint8))
    done = run(
        tmp_path / "c.png", "--model", tmp_path / "g.safetensors", "--out", tmp_path / "d.png"
    )
    assert done.exit_code == 2
    assert "is a colour picture, dncnn takes 1 channels" in done.output


# Profiles and EXIF


def exif_block(order, orientation):
    """Return an EXIF block with a maker, an orientation and an ISO-like number."""
    entries = [(0x010F, 2, 4, b"abc\0"), (0x0112, 3, 1, struct.pack(f"{order}HH", orientation, 0))]
    head = b"II*\0" if order == "<" else b"MM\0*"
    body = struct.pack(f"{order}IH", 8, len(entries))
    for tag, kind, count, value in entries:
        body += struct.pack(f"{order}HHI", tag, kind, count) + value
    return head + body + struct.pack(f"{order}I", 0)


ICC = bytes(RNG.integers(0, 256, 140_000, np.uint8))
"""Larger than one segment of a JPEG."""


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("ending", [".png", ".jpg"])
def test_profile_and_exif_are_kept_and_upright(weights, tmp_path, order, ending):
    picture = RNG.integers(0, 256, (16, 24, 3), np.uint8)
    _, encoded = cv2.imencode(ending, picture)
    raw = exif_block(order, 6)
    # `put` sets the orientation upright: for the input the turned one goes back in
    data = metadata.put(encoded.tobytes(), metadata.Metadata(ICC, raw))
    turned = data.replace(exif.upright(raw), raw)
    if ending == ".png":
        old, new = (struct.pack(">I", zlib.crc32(b"eXIf" + b)) for b in (exif.upright(raw), raw))
        turned = turned.replace(old, new)
    assert metadata.read(turned) == metadata.Metadata(ICC, raw)
    (tmp_path / f"a{ending}").write_bytes(turned)
    out = tmp_path / f"b{ending}"
    assert run(tmp_path / f"a{ending}", "--model", weights[0], "--out", out).exit_code == 0
    kept = metadata.read(out.read_bytes())
    assert kept == metadata.Metadata(ICC, exif_block(order, 1))
    # pixels were turned as the EXIF said: a reader that obeys neither sees them upright
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    assert cv2.imread(str(out), flags).shape == (24, 16, 3)


def warned(weights, source, out):
    done = run(source, "--model", weights[0], "--out", out)
    assert done.exit_code == 0, done.output
    return [s for s in done.output.splitlines() if s.startswith("warning: ")]


def test_what_cannot_be_kept_is_said(weights, tmp_path):
    picture = RNG.integers(0, 256, (12, 14, 3), np.uint8)
    source, out = tmp_path / "a.png", tmp_path / "b.png"
    png = cv2.imencode(".png", picture)[1].tobytes()

    def lost(meta, ending=".png"):
        source.write_bytes(metadata.put(png, meta))
        out = tmp_path / f"{len(list(tmp_path.iterdir()))}{ending}"
        lines = [
            line.removeprefix(f"warning: {out} is without ")
            for line in warned(weights, source, out)
        ]
        return lines, metadata.read(out.read_bytes())

    grey, colour = (bytes(16) + name + bytes(200) for name in (b"GRAY", b"RGB "))
    assert lost(metadata.Metadata(colour)) == ([], metadata.Metadata(colour))
    lines = ["the ICC profile, which is for GRAY values"]
    assert lost(metadata.Metadata(grey)) == (lines, metadata.Metadata())
    large = full_block("<", 1) + bytes(65_500)
    lines = [f"the EXIF, {len(large)} bytes and too long for a JPEG; write a PNG or TIFF"]
    assert lost(metadata.Metadata(exif=large), ".jpg") == (lines, metadata.Metadata())
    assert lost(metadata.Metadata(exif=large)) == ([], metadata.Metadata(exif=large))
    damaged = metadata._chunk(b"iCCP", b"icc\0\0nothing")
    source.write_bytes(png[:33] + damaged + png[33:])
    assert warned(weights, source, out) == [
        f"warning: {out} is without the ICC profile, which is damaged"
    ]


def test_other_pages_of_a_tiff_are_said_to_be_lost(weights, tmp_path):
    pages = RNG.integers(0, 256, (3, 12, 14, 3), np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", pages, photometric="rgb")
    out = tmp_path / "b.tif"
    lines = [f"warning: {out} is without its pages 2 to 3"]
    assert warned(weights, tmp_path / "a.tif", out) == lines
    np.testing.assert_array_equal(tifffile.imread(out), expected(weights[1], pages[0], 8))
    with tifffile.TiffWriter(tmp_path / "c.tif") as tiff:  # a smaller copy is no page
        tiff.write(pages[0], photometric="rgb")
        tiff.write(pages[0, ::2, ::2].copy(), photometric="rgb", subfiletype=1)
    assert not warned(weights, tmp_path / "c.tif", tmp_path / "d.tif")


def test_a_profile_goes_from_tiff_to_png_and_back(weights, tmp_path):
    picture = RNG.integers(0, 65536, (10, 12, 3), np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", picture, photometric="rgb", iccprofile=ICC[:500])
    for first, second in (("a.tif", "b.png"), ("b.png", "c.tif")):
        done = run(tmp_path / first, "--model", weights[0], "--out", tmp_path / second)
        assert done.exit_code == 0, done.output
    assert metadata.read((tmp_path / "c.tif").read_bytes()).icc == ICC[:500]
    with tifffile.TiffFile(io.BytesIO((tmp_path / "c.tif").read_bytes())) as tiff:
        assert tiff.pages[0].asarray().dtype == np.uint16


@given(st.binary(max_size=80))
def test_any_exif_comes_through_upright(block):
    for head in (b"", b"II*\0", b"MM\0*"):
        assert len(exif.upright(head + block)) == len(head + block)


def full_block(order, orientation):
    """Return a block with a camera's, a place's and a thumbnail's directory, and what is in it."""
    below = {
        34665: {
            33434: exif.Entry(5, 1, struct.pack(f"{order}II", 1, 60)),
            37500: exif.Entry(7, 7, b"private"),
            40965: exif.Entry(4, 1, b"", {1: exif.Entry(2, 4, b"R98\0")}),
        },
        34853: {1: exif.Entry(2, 2, b"N\0")},
    }
    first = {
        271: exif.Entry(2, 9, b"Nobody's\0"),
        274: exif.Entry(3, 1, struct.pack(f"{order}H", orientation)),
        531: exif.Entry(3, 1, struct.pack(f"{order}H", 1)),  # place of chroma: of a JPEG alone
        **{tag: exif.Entry(4, 1, b"", entries) for tag, entries in below.items()},
    }
    head = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(f"{order}I", 8)
    return head + exif._packed(first, order, 8)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("first", [".jpg", ".png"])
def test_exif_goes_into_a_tiff_and_out_of_it(weights, tmp_path, order, first):
    picture = RNG.integers(0, 256, (16, 24, 3), np.uint8)
    _, encoded = cv2.imencode(first, picture)
    block = full_block(order, 1)
    described = {tag: e for tag, e in exif.directory(block).items() if tag != 531}
    assert described.keys() == {271, 274, 34665, 34853}
    data = metadata.put(encoded.tobytes(), metadata.Metadata(exif=block))
    (tmp_path / f"a{first}").write_bytes(data)
    for source, out in ((f"a{first}", "b.tif"), ("b.tif", "c.png"), ("c.png", "d.jpg")):
        done = run(tmp_path / source, "--model", weights[0], "--out", tmp_path / out)
        assert done.exit_code == 0, done.output
        found = metadata.read((tmp_path / out).read_bytes()).exif
        entries = exif.directory(found)
        assert {tag: entries.get(tag) for tag in described} == described
    with tifffile.TiffFile(tmp_path / "b.tif") as tiff:  # another reader sees the same
        (page,) = tiff.pages
        assert page.tags["Make"].value == "Nobody's"
        assert page.tags["ExifTag"].value["ExposureTime"] == (1, 60)
        assert page.tags["ExifTag"].value["MakerNote"] == b"private"
        assert page.tags["GPSTag"].value["GPSLatitudeRef"] == "N"
        codes = page.asarray()
    np.testing.assert_array_equal(codes, cv2.imread(str(tmp_path / "b.tif"))[..., ::-1])


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("big", [False, True])
def test_a_tiff_comes_out_upright(weights, tmp_path, orientation, big):
    picture = RNG.integers(0, 65536, (10, 14, 3), np.uint16)
    tags = [(274, 3, 1, orientation, True), (272, 2, 0, "Camera", True)]
    tifffile.imwrite(tmp_path / "a.tif", picture, photometric="rgb", bigtiff=big, extratags=tags)
    done = run(tmp_path / "a.tif", "--model", weights[0], "--out", tmp_path / "b.tif")
    assert done.exit_code == 0, done.output
    flipped = {2: picture[:, ::-1], 3: picture[::-1, ::-1], 4: picture[::-1]}
    turned = {5: picture, 6: picture[::-1], 7: picture[::-1, ::-1], 8: picture[:, ::-1]}
    seen = {1: picture, **flipped, **{n: p.swapaxes(0, 1) for n, p in turned.items()}}
    with tifffile.TiffFile(tmp_path / "b.tif") as tiff:
        page = tiff.pages[0]
        assert (page.tags["Orientation"].value, page.tags["Model"].value) == (1, "Camera")
        # what tifffile wrote of the input's shape is no description of the picture
        assert "ImageDescription" not in page.tags
        np.testing.assert_array_equal(page.asarray(), expected(weights[1], seen[orientation], 16))


@given(head=st.sampled_from([b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"]), rest=st.data())
def test_any_block_goes_into_a_tiff(head, rest):
    """Also one of garbage, whose entries are numbers of the tables now and then."""
    known = st.sampled_from([0, 1, 2, 8, 16, 37, 256, 274, 34665, 34853, 40965, 1 << 62])
    numbers = rest.draw(st.lists(known | st.integers(0, 1 << 16), max_size=30))
    sizes = rest.draw(st.lists(st.sampled_from("HIQ"), min_size=30, max_size=30))
    order = exif.order(head)
    words = zip(numbers, sizes, strict=False)
    block = head + b"".join(
        struct.pack(f"{order}{k}", n % (1 << 8 * struct.calcsize(k))) for n, k in words
    )
    width = {256: exif.Entry(3, 1, struct.pack(f"{order}H", 7))}
    plain = exif._head(head, 8) + exif._packed(width, order, 8)
    out = exif.into_tiff(plain, block)
    kept = exif.of_tiff(block)
    assert exif.directory(out) == {**width, **(exif.directory(kept) if kept else {})}
    assert exif.of_tiff(out) == kept


# What is refused

REFUSED = [
    (["nothing.png", "--out", "b.png"], "there is no picture or folder nothing.png"),
    (["a.png", "--out", "b.gif"], "b.gif: pictures are written as .png, .tif"),
    (["a.png", "--out", "a.png", "--overwrite"], "a.png is the picture itself"),
    (["a.png", "--out", "there.png"], "there.png is there already; give another --out"),
    (["a.png", "--out", "b.jpg", "--bits", "16"], "b.jpg: a JPEG has 8 bits"),
    (["a.png", "--out", "b.png", "--device", "cuda"], "no GPU: torch sees none"),
    (["a.png", "--out", "b.png", "--model", "none.pt"], "there is no file none.pt"),
    (["a.png", "--out", "b.png", "--model", "empty"], "empty: no weights there yet"),
    (["empty", "--out", "out"], "empty: no picture there"),
    (["notes.png", "--out", "b.png"], "notes.png is no PNG, JPEG"),
]


@pytest.mark.parametrize(("arguments", "line"), REFUSED)
def test_what_cannot_be_is_one_line(weights, tmp_path, monkeypatch, arguments, line):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for name in ("a.png", "there.png"):
        cv2.imwrite(name, RNG.integers(0, 256, (8, 8, 3), np.uint8))
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.png").write_text("no picture")
    done = CliRunner().invoke(main, ["denoise", "--model", str(weights[0]), *arguments])
    assert done.exit_code == (1 if "notes" in line else 2), done.output
    (last,) = [s for s in done.output.splitlines() if s.startswith("noisegen: ")]
    assert line in last


def test_values_that_are_not_finite_are_refused():
    picture = np.full((8, 8, 3), np.nan, np.float32)
    with pytest.raises(InputError, match="values that are not finite"):
        Restorer(network())(picture)
    with pytest.raises(InputError, match=r"pictures of 3 channels, found \(8, 8, 1\)"):
        Restorer(network())(picture[..., :1])


def test_a_picture_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    from pathlib import Path

    def full(self, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        files.write(tmp_path / "a.png", np.zeros((4, 4, 3), np.float32), 8, metadata.Metadata())
    assert not list(tmp_path.iterdir())
