"""DND's own files: boxes cut out of frames in MATLAB's version 7.3."""

import json

import cv2
import fsspec
import h5py
import numpy as np
import pytest
import scipy.io
from click.testing import CliRunner

import denoisers
from catalogs.sources.roots import Root
from denoisers import card as cards
from denoisers import protocols
from denoisers.protocols import dnd
from denoisers.protocols.base import Asked
from noisegen.cli import main
from pipelines.frame import perceptual_hash, thumbnail

SIDE = 24
PLACES = [(row, column) for row in (1, 8, 15, 27) for column in (1, 7, 26, 31, 40)]
"""Top and left of the boxes in frames of 50x63, counted from 1; the last ends at the corner."""


def codes(images):
    """Return frames of 8 bits, of another content each."""
    rng = np.random.default_rng(4)
    return {image: rng.integers(0, 256, (50, 63, 3), np.uint8) for image in images}


def listed():
    return np.array([(t, l, t + SIDE - 1, l + SIDE - 1) for t, l in PLACES], np.float64)  # noqa: E741


def mat73(path, **values):
    """Write arrays, and structs of lists as struct arrays, as MATLAB does with -v7.3."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, value in values.items():
            if not isinstance(value, dict):
                file.create_dataset(name, data=value.T, chunks=value.ndim > 2 or None)
                continue
            group = file.create_group(name)
            for key, elements in value.items():
                references = np.empty((1, len(elements)), h5py.ref_dtype)
                for number, element in enumerate(elements):
                    stored = file.create_dataset(f"#refs#/{key}{number}", data=element.T)
                    references[0, number] = stored.ref
                group.create_dataset(key, data=references)
    with path.open("r+b") as stream:
        stream.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM")


def info(root, boxes=None, count=50):
    """Write info.mat; boxes are those of image 7."""
    every = [listed()] * count
    if boxes is not None:
        every[6] = boxes
    sigma = [np.full((20, 1), 0.05)] * count
    mat73(root / "info.mat", info={"boundingboxes": every, "sigma_srgb": sigma})


def frames(root, images=(1, 7), **changed):
    """Write a set, and return the frames' 8-bit codes."""
    found = codes(images)
    for image, picture in found.items():
        values = picture.astype(np.float32) / np.float32(255)
        mat73(root / "images_srgb" / f"{image:04d}.mat", InoisySRGB=values)
    info(root, **changed)
    return found


def opened(root):
    return protocols.entry("dnd").open(Asked(Root(str(root))))


def test_boxes_are_cut_where_they_are_listed(tmp_path):
    found = frames(tmp_path)
    cases = opened(tmp_path)
    assert cases.names == tuple(f"{i:04d}_{b}" for i in (1, 7) for b in range(1, 21))
    assert cases.notes == (
        "2 of DND's 50 images are there",
        "boxes of 24x24 pixels, DND's are 512x512",
    )
    # Backwards, so that both frames are read more than once.
    for number in reversed(range(40)):
        image, (top, left) = (1, 7)[number // 20], PLACES[number % 20]
        case = cases.load(number)
        expected = found[image][top - 1 : top - 1 + SIDE, left - 1 : left - 1 + SIDE]
        assert case.noisy.dtype == np.float32
        assert case.noisy.flags.c_contiguous
        np.testing.assert_array_equal(case.noisy, expected.astype(np.float32) / np.float32(255))
        assert case.clean is None
        # Copies of whole photos are found, not of boxes: the hash is the frame's.
        np.testing.assert_array_equal(
            case.perceptual_hash, perceptual_hash(thumbnail(found[image]))
        )
    assert cases.load(19).noisy[0, 0].tolist() != cases.load(39).noisy[0, 0].tolist()


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """A network of random weights."""
    options = {"depth": 3, "width": 4, "batch_norm": False}
    chosen = denoisers.entry("dncnn").check(options).model_dump()
    model = denoisers.create("dncnn", seed=3, **options).eval()
    path = tmp_path_factory.mktemp("network") / "a.safetensors"
    cards.save(path, model, cards.Card(model="dncnn", options=chosen, origin="a test"))
    return path


def evaluate(path, root, out):
    told = [path, "--on", "dnd", "--root", root, "--device", "cpu", "--tile", 0, "--out", out]
    return CliRunner().invoke(main, ["evaluate", *map(str, told)])


def test_frames_and_png_boxes_are_restored_alike(network, tmp_path):
    """The whole way, to the files for the server; the frames are stored without a loss."""
    found = frames(tmp_path / "frames")
    (tmp_path / "boxes" / "lq").mkdir(parents=True)
    for image, picture in found.items():
        for box, (top, left) in enumerate(PLACES, 1):
            cut = picture[top - 1 : top - 1 + SIDE, left - 1 : left - 1 + SIDE]
            cv2.imwrite(str(tmp_path / "boxes" / "lq" / f"{image:04d}_{box}.png"), cut[..., ::-1])
    for layout in ("frames", "boxes"):
        done = evaluate(network, tmp_path / layout, tmp_path / f"out-{layout}")
        assert done.exit_code == 0, done.output
    for image in found:
        ours, theirs = (
            scipy.io.loadmat(tmp_path / f"out-{layout}" / "bundled" / f"{image:04d}.mat")
            for layout in ("frames", "boxes")
        )
        assert ours["Idenoised"].shape == (1, 20)
        for box in range(20):
            assert ours["Idenoised"][0, box].shape == (SIDE, SIDE, 3)
            np.testing.assert_array_equal(ours["Idenoised"][0, box], theirs["Idenoised"][0, box])
    results = json.loads((tmp_path / "out-frames" / "results.json").read_text())
    assert results["pictures"] == 40


def test_sets_elsewhere_are_read_too(tmp_path):
    frames(tmp_path, (3,))
    remote = fsspec.filesystem("memory")
    remote.put(str(tmp_path), "/dnd-elsewhere", recursive=True)
    try:
        here, there = opened(tmp_path), opened("memory://dnd-elsewhere")
        assert here.names == there.names
        np.testing.assert_array_equal(here.load(4).noisy, there.load(4).noisy)
    finally:
        remote.rm("/dnd-elsewhere", recursive=True)


def test_png_boxes_go_before_frames(tmp_path):
    found = frames(tmp_path, (1,))
    (tmp_path / "lq").mkdir()
    for box in range(1, 21):
        cv2.imwrite(str(tmp_path / "lq" / f"0001_{box}.png"), found[1])
    assert opened(tmp_path).load(0).noisy.dtype == np.uint8


def frame(root, **values):
    frames(root)
    mat73(root / "images_srgb" / "0007.mat", **values)


def without_info(root):
    frames(root)
    (root / "info.mat").unlink()


def text_for_info(root):
    frames(root)
    (root / "info.mat").write_text("no MATLAB file at all" * 20)


def version_5(root):
    frames(root)
    scipy.io.savemat(root / "info.mat", {"info": {"boundingboxes": listed()}})


def other_info(**values):
    def make(root):
        frames(root)
        mat73(root / "info.mat", **values)

    return make


def cut_short(root):
    frames(root)
    path = root / "images_srgb" / "0007.mat"
    path.write_bytes(path.read_bytes()[:1500])


def boxes(number, *box):
    def make(root):
        changed = listed()
        changed[number - 1] = box
        frames(root, boxes=changed)

    return make


ZEROS = np.zeros((50, 63, 3), np.float32)

REFUSED = [
    (without_info, "info.mat is not there, it names the boxes in images_srgb/; add it"),
    (info, r"images_srgb/0001.mat … 0050.mat are not there; add them"),
    (text_for_info, r"cannot read .*info.mat as a MATLAB file of version 7.3 \(HDF5\): "),
    (version_5, r"cannot read .*info.mat as a MATLAB file of version 7.3 \(HDF5\): "),
    (cut_short, r"cannot read .*0007.mat as a MATLAB file of version 7.3 \(HDF5\): "),
    (other_info(nlf=ZEROS), r"info.mat has no info/boundingboxes, it holds nlf"),
    (other_info(info=ZEROS), r"info.mat has no info/boundingboxes, it holds info"),
    (other_info(info={"nlf": [ZEROS]}), r"info.mat has no info/boundingboxes, it holds info"),
    (lambda root: frames(root, count=6), r"images_srgb/0007.mat is none of the 6 images of info"),
    (lambda root: frames(root, (0, 1)), r"images_srgb/0000.mat is none of the 50 images of info"),
    (lambda root: frame(root, Inoisy=ZEROS), r"0007.mat has no InoisySRGB, it holds Inoisy"),
    (lambda root: frame(root, InoisySRGB={"a": [ZEROS]}), "InoisySRGB is a struct, an array"),
    (
        lambda root: frame(root, InoisySRGB=ZEROS[..., 0]),
        "0007.mat: InoisySRGB is 50x63 float32; frames are height x width x 3 of floating point",
    ),
    (lambda root: frame(root, InoisySRGB=ZEROS.astype(np.uint8)), "is 50x63x3 uint8; frames are"),
    (
        lambda root: frames(root, boxes=listed()[:19]),
        "boundingboxes of image 7 are 19x4 float64; they are 20x4 numbers: top, left, bottom",
    ),
    (
        boxes(3, 28, 1, 51, 24),
        r"box 3 \(28, 1, 51, 24\) does not lie in .*0007.mat, which is 50x63",
    ),
    (boxes(20, 1, 0, 24, 23), r"box 20 \(1, 0, 24, 23\) does not lie in"),
    (boxes(1, 9, 1, 8, 24), r"box 1 \(9, 1, 8, 24\) does not lie in"),
    (boxes(1, 1.5, 1, 24.5, 24), r"box 1 \(1.5, 1, 24.5, 24\) does not lie in"),
    (boxes(1, np.nan, 1, 24, 24), r"box 1 \(nan, 1, 24, 24\) does not lie in"),
]


@pytest.mark.parametrize(("make", "line"), REFUSED)
def test_files_that_are_not_those_of_the_set_are_refused(tmp_path, make, line):
    make(tmp_path)
    with pytest.raises((ValueError, OSError), match=line) as caught:
        opened(tmp_path)
    assert "\n" not in str(caught.value)


def test_one_struct_is_no_array_of_them(tmp_path):
    frames(tmp_path)
    mat73(tmp_path / "info.mat", **{"info/boundingboxes": listed()})
    with pytest.raises(ValueError, match="boundingboxes is float64, in a struct array it would be"):
        opened(tmp_path)


def test_a_frame_with_values_that_are_not_finite_is_refused(tmp_path):
    values = ZEROS.copy()
    values[49, 62, 1] = np.inf
    frame(tmp_path, InoisySRGB=values)
    last = PLACES.index((27, 40)) + 1
    with pytest.raises(ValueError, match=f"0007.mat: box {last} has values that are not finite"):
        opened(tmp_path).load(20)


def test_the_command_says_in_one_line_what_is_missing(network, tmp_path):
    without_info(tmp_path / "root")
    done = evaluate(network, tmp_path / "root", tmp_path / "out")
    assert done.exit_code != 0
    assert "root: info.mat is not there, it names the boxes in images_srgb/; add it" in done.output
    assert len(done.output.splitlines()) == 1


def test_all_of_dnd_has_no_note_on_its_number(tmp_path):
    frames(tmp_path, range(1, dnd.IMAGES + 1))
    assert opened(tmp_path).notes == ("boxes of 24x24 pixels, DND's are 512x512",)
