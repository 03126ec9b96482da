"""Folders of raws and pictures made into corpora: what is recorded, and what is skipped."""

import hashlib
import json
import shutil

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

import pipelines
from noisegen import cfa
from noisegen.cli import main
from noisegen.errors import InputError, RunError
from noisegen.isp.transfer import decode, encode
from noisegen.raw import write_dng
from pipelines import check
from pipelines.prepare import splits
from pipelines.recipe import Recipe

BLACK, WHITE = (250, 256, 260, 258), 4095
PROFILE = ((2e-4, 2.1e-4, 2.3e-4, 2.1e-4), (1e-6, 1.1e-6, 1.2e-6, 1.1e-6))
PATCH = 32


def smooth(height, width, bits):
    """Return a smooth picture, far from black and white in every channel."""
    y, x = np.mgrid[:height, :width] / 100
    waves = [0.45 + 0.15 * np.sin(3 * x + 2 * y + phase) for phase in (0.0, 0.7, 1.4)]
    top = (1 << bits) - 1
    return np.round(np.stack(waves, -1) * top).astype(np.uint8 if bits == 8 else np.uint16)


def codes(height, width, seed):
    return np.random.default_rng(seed).integers(0, 4096, (height, width)).astype(np.uint16)


def write_picture(path, picture):
    assert cv2.imwrite(str(path), picture[..., ::-1] if picture.ndim == 3 else picture)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Raws of all phases, with a black level a plane, and pictures of all kinds; odd sizes."""
    root = tmp_path_factory.mktemp("mixed")
    (root / "raws" / "deep").mkdir(parents=True)
    (root / "pictures").mkdir()
    for number, phase in enumerate(cfa.PHASES):
        write_dng(
            root / "raws" / "deep" / f"{phase}.dng",
            codes(61 + number, 80 - number, number),
            cfa=phase,
            black_level=BLACK,
            white_level=WHITE,
            bits=12,
            as_shot_neutral=(0.5, 1.0, 0.625),
            noise_profile=PROFILE,
            iso=400,
        )
    write_picture(root / "pictures" / "eight.png", smooth(64, 96, 8))
    write_picture(root / "pictures" / "odd.tiff", smooth(67, 45, 16))
    write_picture(root / "pictures" / "sixteen.png", smooth(33, 77, 16))
    write_picture(root / "pictures" / "soft.jpg", smooth(64, 64, 8))
    write_picture(root / "grey.png", smooth(40, 50, 8)[..., 0])
    (root / "notes.txt").write_text("not a picture")
    return root


@pytest.fixture(scope="module")
def corpus(root, tmp_path_factory):
    out = tmp_path_factory.mktemp("corpora") / "mixed.zarr"
    recipe = Recipe(
        source="folder",
        stage="both",
        patch=PATCH,
        per_image=3,
        iso=800.0,
        source_noise={"policy": "ignore"},
    )
    summary = pipelines.synthesize(recipe, str(out), root=str(root))
    assert summary.problems == ()
    return pipelines.open(out)


def facts(corpus, name):
    return corpus.reader(f"images/{name}").rows(0, corpus.plan.images)


def rows(corpus, number):
    return corpus.table[corpus.table["image"] == number]


def raws(corpus):
    return [(i, n) for i, n in enumerate(corpus.images.names) if n.endswith(".dng")]


def read_picture(path):
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)[..., ::-1]
    values = picture / np.iinfo(picture.dtype).max
    if path.suffix != ".jpg":
        return values
    height, width = (length // 2 for length in values.shape[:2])
    light = decode(values, "srgb").reshape(height, 2, width, 2, 3).mean(axis=(1, 3))
    return encode(light, "srgb")


def test_every_image_is_used_and_described(corpus, root):
    assert len(corpus.images.names) == 9
    assert corpus.table["valid"].all()
    assert corpus.table["image"].tolist() == np.repeat(np.arange(9), 3).tolist()
    assert corpus.table["index"].tolist() == [0, 1, 2] * 9
    for number, name in enumerate(corpus.images.names):
        data = (root / name).read_bytes()
        assert facts(corpus, "sha256")[number].tobytes() == hashlib.sha256(data).digest()
    sizes = dict(
        zip(
            corpus.images.names,
            zip(facts(corpus, "height"), facts(corpus, "width"), strict=True),
            strict=True,
        )
    )
    assert sizes["raws/deep/BGGR.dng"] == (62, 79)
    assert sizes["pictures/odd.tiff"] == (67, 45)
    assert sizes["grey.png"] == (40, 50)
    assert "notes.txt" not in sizes


def test_patches_lie_in_the_frame_on_the_period_of_the_cfa(corpus):
    image, y, x = (corpus.table[name].astype(int) for name in ("image", "y", "x"))
    assert not (y % 2).any()
    assert not (x % 2).any()
    assert (y + PATCH <= facts(corpus, "height")[image]).all()
    assert (x + PATCH <= facts(corpus, "width")[image]).all()


def test_raws_are_requantised_to_the_levels_of_the_camera(corpus):
    """Google Pixel: black 64, white 1023. The codes in whole numbers, rounded half up."""
    assert (corpus.table["black"] == 64).all()
    assert (corpus.table["white"] == 1023).all()
    for number, name in raws(corpus):
        phase = name.rpartition("/")[2].removesuffix(".dng")
        order = cfa.PHASES.index(phase)
        frame = codes(61 + order, 80 - order, order).astype(np.int64)
        black = np.asarray(BLACK)[cfa.plane_map(phase, frame.shape)]
        span = WHITE - black
        expected = 64 + (2 * (frame - black) * 959 + span) // (2 * span)
        expected = np.clip(expected, 0, 1023)
        for sample in np.flatnonzero(corpus.table["image"] == number):
            row, clean = corpus.table[sample], corpus[int(sample)].arrays["raw_clean"]
            y, x = int(row["y"]), int(row["x"])
            assert cfa.PHASES[row["cfa"]] == phase
            np.testing.assert_array_equal(clean, expected[y : y + PATCH, x : x + PATCH])


def test_raws_keep_their_white_balance_and_state_their_own_noise(corpus):
    for number, _ in raws(corpus):
        for row in rows(corpus, number):
            # gains 1/neutral, the smallest is 1
            np.testing.assert_allclose(row["wb"], (2.0, 1.0, 1.6), rtol=1e-5)
            np.testing.assert_allclose(row["source_shot"], PROFILE[0], rtol=1e-6)
            rounding = 1 / 12 / (row["white"] - row["black"]) ** 2
            np.testing.assert_allclose(row["source_read"], PROFILE[1] + rounding, rtol=1e-6)
    pictures = [i for i, n in enumerate(corpus.images.names) if not n.endswith(".dng")]
    assert np.isnan(corpus.table["source_shot"][np.isin(corpus.table["image"], pictures)]).all()


def test_pictures_come_back_out_of_the_isp(corpus, root):
    for number, name in enumerate(corpus.images.names):
        if name.endswith(".dng"):
            continue
        picture = read_picture(root / name)
        for sample in np.flatnonzero(corpus.table["image"] == number):
            row, clean = corpus.table[sample], corpus[int(sample)].arrays["clean"] / 255
            y, x = int(row["y"]), int(row["x"])
            assert cfa.PHASES[row["cfa"]] == "BGGR"
            error = clean - picture[y : y + PATCH, x : x + PATCH]
            # 10-bit codes of linear light: a step is 1/959, which the encoding and the gains (up
            # to 2.4) and matrix (rows up to 2 in absolute sum) enlarge to some 0.006; the noise
            # of rounding is 1/sqrt(12) of it, 55 dB, and demosaicing adds to it.
            assert 10 * np.log10(1 / np.mean(error**2)) > 40, name


def test_grey_pictures_are_grey(corpus):
    number = corpus.images.names.index("grey.png")
    for sample in np.flatnonzero(corpus.table["image"] == number):
        clean = corpus[int(sample)].arrays["clean"].astype(int)
        assert np.abs(clean - clean.mean(axis=-1, keepdims=True)).max() <= 4


def test_a_mosaic_in_pieces_is_the_same_corpus_when_read_lazily(corpus, root, tmp_path):
    lazy = corpus.recipe.model_copy(update={"lazy": True})
    pipelines.synthesize(lazy, str(tmp_path / "lazy.zarr"), root=str(root))
    assert pipelines.open(tmp_path / "lazy.zarr").digest() == corpus.digest()
    found = check.verify(pipelines.open(tmp_path / "lazy.zarr"), regenerate=9, root=str(root))
    assert found.damaged == found.different == ()


def test_as_shot_takes_each_files_own_levels_and_noise(root, tmp_path):
    recipe = Recipe(source="folder", camera="as-shot", stage="raw", patch=PATCH, per_image=2)
    pipelines.synthesize(recipe, str(tmp_path / "c.zarr"), root=str(root / "raws"))
    corpus = pipelines.open(tmp_path / "c.zarr")
    assert corpus.recipe.noise == "heteroscedastic"
    for sample in range(len(corpus)):
        row, arrays = corpus[sample].row, corpus[sample].arrays
        phase = corpus.images.names[row["image"]].rpartition("/")[2].removesuffix(".dng")
        order, y, x = cfa.PHASES.index(phase), int(row["y"]), int(row["x"])
        assert row["black"].tolist() == list(BLACK)
        assert (row["white"], row["iso"]) == (WHITE, 400)
        for name, expected in zip(("shot", "read"), PROFILE, strict=True):
            np.testing.assert_allclose(row[name], expected, rtol=1e-6)
            np.testing.assert_array_equal(row[name], row[f"source_{name}"])
        frame = codes(61 + order, 80 - order, order)
        np.testing.assert_array_equal(arrays["clean"], frame[y : y + PATCH, x : x + PATCH])


def test_fivek_in_adobes_tree_with_a_split(root, tmp_path):
    photos = tmp_path / "fivek" / "raw_photos" / "HQa1to700" / "photos"
    photos.mkdir(parents=True)
    for number, phase in enumerate(cfa.PHASES, start=1):
        shutil.copy(
            root / "raws" / "deep" / f"{phase}.dng", photos / f"a{number:04d}-jmac_DSC{number}.dng"
        )
    lists = tmp_path / "fivek" / "list_file"
    lists.mkdir()
    (lists / "val_list.txt").write_text("a0002.dng\na0004.dng")
    (lists / "train_list.txt").write_text("a0001.dng\na0002.dng\n")
    arguments = ["synthesize", "--source", "fivek", "--root", str(tmp_path / "fivek")]
    arguments += ["--patch", "32", "--per-image", "2"]
    expected = {
        "all": ["a0001", "a0002", "a0003", "a0004"],
        "dualdn-val": ["a0002", "a0004"],
        "dualdn-train": ["a0001"],
    }
    for split, scenes in expected.items():
        out = tmp_path / f"{split}.zarr"
        result = CliRunner().invoke(main, [*arguments, "--split", split, "--out", str(out)])
        assert result.exit_code == 0, result.output
        assert list(pipelines.open(out).images.scenes) == scenes


def test_a_sidecar_makes_a_mosaic_of_a_headerless_file(tmp_path):
    folder = tmp_path / "sidecars"
    folder.mkdir()
    frame = codes(40, 44, 1) // 4
    sheet = {"cfa": "GRBG", "black_level": 64, "white_level": 1023, "width": 44, "height": 40}
    for name in ("frame.raw", "grey.png"):
        (folder / name).with_suffix(".json").write_text(json.dumps(sheet))
    (folder / "frame.raw").write_bytes(frame.tobytes())
    write_picture(folder / "grey.png", frame)
    recipe = Recipe(source="folder", stage="raw", patch=PATCH, per_image=2)
    pipelines.synthesize(recipe, str(tmp_path / "c.zarr"), root=str(folder))
    corpus = pipelines.open(tmp_path / "c.zarr")
    for sample in range(4):
        row, clean = corpus[sample].row, corpus[sample].arrays["clean"]
        y, x = int(row["y"]), int(row["x"])
        assert cfa.PHASES[row["cfa"]] == "GRBG"
        np.testing.assert_array_equal(clean, frame[y : y + PATCH, x : x + PATCH])


@pytest.fixture
def pictures(tmp_path):
    """Make a folder of so many pictures of 40 x 40, some of them as asked."""

    def make(count, **others):
        folder = tmp_path / "pictures"
        folder.mkdir()
        for number in range(count):
            picture = np.roll(smooth(40, 40, 16), 3 * number, axis=1)
            write_picture(folder / f"p{number:02d}.png", picture)
        for name, data in others.items():
            (folder / f"{name}.png").write_bytes(data)
        return folder

    return make


SMALL = Recipe(source="folder", stage="raw", patch=32, per_image=2, iso=100.0)


def test_a_scene_keeps_its_split_when_files_are_added(pictures, tmp_path):
    folder = pictures(30)
    pipelines.synthesize(SMALL, str(tmp_path / "a.zarr"), root=str(folder))
    for number in range(30):
        shutil.copy(folder / f"p{number:02d}.png", folder / f"a{number:02d}.png")
        shutil.copy(folder / f"p{number:02d}.png", folder / f"p{number:02d}.PNG")
    pipelines.synthesize(SMALL, str(tmp_path / "b.zarr"), root=str(folder))
    first, second = (pipelines.open(tmp_path / f"{n}.zarr").images for n in "ab")
    assert len(second.names) == 90
    before = dict(zip(first.scenes, first.split.tolist(), strict=True))
    after = list(zip(second.scenes, second.split.tolist(), strict=True))
    assert set(before.values()) == {0, 1, 2}
    assert all(before[scene] == split for scene, split in after if scene in before)
    # p00.PNG shows the same scene as p00.png
    assert len(set(after)) == 60


def test_a_tenth_of_the_scenes_each_is_for_validation_and_test():
    found = np.bincount(splits([f"scene {i}" for i in range(20000)]), minlength=3)
    # binomial: sd of a tenth of 20000 is 42.4; five of them fail one time in 1.7 million
    assert abs(found[1] - 2000) < 213
    assert abs(found[2] - 2000) < 213


def test_a_brightened_copy_has_the_same_perceptual_hash(pictures, tmp_path):
    rng = np.random.default_rng(3)
    coarse = cv2.resize(rng.random((6, 7, 3)), (90, 70), interpolation=cv2.INTER_CUBIC)
    picture = np.clip(20000 * coarse, 0, 30000).astype(np.uint16)
    other = picture[:, ::-1]
    variants = {"bright": 2 * picture, "mirrored": other, "plain": picture}
    variants["small"] = cv2.resize(picture, (45, 35), interpolation=cv2.INTER_AREA)
    folder = pictures(0)
    for name, pixels in variants.items():
        write_picture(folder / f"{name}.png", np.ascontiguousarray(pixels))
    pipelines.synthesize(SMALL, str(tmp_path / "c.zarr"), root=str(folder))
    corpus = pipelines.open(tmp_path / "c.zarr")
    hashes = dict(zip(corpus.images.names, facts(corpus, "perceptual_hash"), strict=True))

    def distance(a, b):
        return int(np.unpackbits(hashes[f"{a}.png"] ^ hashes[f"{b}.png"]).sum())

    assert distance("plain", "bright") == 0
    assert distance("plain", "small") <= 6
    assert distance("plain", "mirrored") > 16
    sha256 = facts(corpus, "sha256")
    assert len({s.tobytes() for s in sha256}) == 4


def too_small():
    return cv2.imencode(".png", np.full((20, 90, 3), 100, np.uint8))[1].tobytes()


def test_a_picture_smaller_than_the_patch_is_recorded_and_left_out(pictures, tmp_path):
    folder = pictures(3, narrow=too_small())
    summary = pipelines.synthesize(SMALL, str(tmp_path / "c.zarr"), root=str(folder), max_bad=0.25)
    ((name, line),) = summary.problems
    assert name == "narrow.png"
    assert "20 x 90" in line
    assert "--patch 20" in line
    corpus = pipelines.open(tmp_path / "c.zarr")
    assert corpus.images.names[0] == "narrow.png"
    assert corpus.table["valid"].tolist() == [0, 0, 1, 1, 1, 1, 1, 1]
    assert corpus.valid.tolist() == [2, 3, 4, 5, 6, 7]
    assert facts(corpus, "height").tolist() == [0, 40, 40, 40]
    with pytest.raises(IndexError, match="sample 1 is empty"):
        corpus[1]
    assert check.problems(corpus) == [(name, line)]
    assert check.status(corpus).valid == 6
    # the digest skips what is not there: that of a corpus without the file, but for the numbers
    assert not corpus.reader("clean").rows(0, 2).any()


BAD = b"\x89PNG\r\n\x1a\nnothing more"


@pytest.mark.parametrize("lazy", [False, True])
def test_damaged_pictures_up_to_a_share_are_skipped(pictures, tmp_path, lazy):
    folder = pictures(7, bad1=BAD, bad2=BAD, bad3=BAD)
    recipe = SMALL.model_copy(update={"lazy": lazy, "draws": 2})
    out = str(tmp_path / "c.zarr")
    summary = pipelines.synthesize(recipe, out, root=str(folder), max_bad=0.3)
    assert [name for name, _ in summary.problems] == ["bad1.png", "bad2.png", "bad3.png"]
    assert (summary.samples, summary.planned) == (28, 40)
    assert all(name in summary.text() for name, _ in summary.problems)
    corpus = pipelines.open(out)
    assert len(corpus.valid) == 28
    found = check.verify(corpus, regenerate=28, root=str(folder))
    assert found.damaged == found.different == ()
    assert len(corpus.digest()) == 32


@pytest.mark.parametrize("max_bad", [0.0, 0.29])
def test_more_damaged_pictures_are_refused_also_the_second_time(pictures, tmp_path, max_bad):
    folder = pictures(7, bad1=BAD, bad2=BAD, bad3=BAD)
    out = str(tmp_path / "c.zarr")
    for _ in range(2):
        with pytest.raises(RunError, match=r"bad1\.png"):
            pipelines.synthesize(SMALL, out, root=str(folder), max_bad=max_bad)


def test_mended_pictures_are_used_by_the_next_run(pictures, tmp_path):
    folder = pictures(7, bad1=BAD)
    out = str(tmp_path / "c.zarr")
    with pytest.raises(RunError, match="mend"):
        pipelines.synthesize(SMALL, out, root=str(folder))
    shutil.copy(folder / "p00.png", folder / "bad1.png")
    summary = pipelines.synthesize(SMALL, out, root=str(folder))
    assert summary.finished
    assert summary.samples == 16
    pipelines.synthesize(SMALL, str(tmp_path / "whole.zarr"), root=str(folder))
    assert pipelines.open(out).digest() == pipelines.open(tmp_path / "whole.zarr").digest()


def test_nothing_usable_is_an_error_whatever_is_allowed(pictures, tmp_path):
    folder = pictures(0, bad1=BAD, bad2=BAD)
    with pytest.raises(RunError, match="nothing usable"):
        pipelines.synthesize(SMALL, str(tmp_path / "c.zarr"), root=str(folder), max_bad=1.0)


def test_an_empty_folder_is_named(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty"):
        pipelines.synthesize(SMALL, str(tmp_path / "c.zarr"), root=str(tmp_path / "empty"))
    assert not (tmp_path / "c.zarr").exists()


def test_files_added_in_mid_run_do_not_change_the_corpus(pictures, tmp_path):
    folder = pictures(4)
    recipe = SMALL.model_copy(update={"per_image": 150})  # one image fills a shard of a megabyte
    whole, out = str(tmp_path / "whole.zarr"), str(tmp_path / "c.zarr")
    pipelines.synthesize(recipe, whole, root=str(folder), shard_mb=1)
    pipelines.synthesize(recipe, out, root=str(folder), shard_mb=1, part=(1, 2))
    shutil.copy(folder / "p03.png", folder / "a new one.png")
    summary = pipelines.synthesize(recipe, out, root=str(folder), shard_mb=1)
    assert summary.finished
    assert summary.made == 300
    assert pipelines.open(out).digest() == pipelines.open(whole).digest()


def test_another_file_under_the_same_name_is_found_when_samples_are_made_again(pictures, tmp_path):
    folder = pictures(3)
    pipelines.synthesize(SMALL, str(tmp_path / "c.zarr"), root=str(folder))
    shutil.copy(folder / "p00.png", folder / "p01.png")
    found = check.verify(pipelines.open(tmp_path / "c.zarr"), regenerate=6, root=str(folder))
    assert found.damaged == ()
    assert found.different == (2, 3)


@pytest.mark.parametrize("gamma", ["srgb", "rec709", "2.2"])
def test_a_tone_curve_is_undone_and_done_again(pictures, tmp_path, gamma):
    """A picture's own encoding is undone with the tone that it is rendered with."""
    folder = pictures(4)
    recipe = SMALL.model_copy(
        update={"stage": "srgb", "bits": 16, "tone": (0.2, 0.9), "gamma": gamma}
    )
    pipelines.synthesize(recipe, str(tmp_path / "c.zarr"), root=str(folder))
    corpus = pipelines.open(tmp_path / "c.zarr")
    tones = corpus.table["tone"].reshape(4, 2)
    assert (tones[:, 0] == tones[:, 1]).all(), "one tone an image"
    assert len(set(tones[:, 0])) == 4
    for sample in range(8):
        row, clean = corpus[sample].row, corpus[sample].arrays["clean"] / 65535
        picture = read_picture(folder / corpus.images.names[row["image"]])
        y, x = int(row["y"]), int(row["x"])
        error = np.abs(clean - picture[y : y + 32, x : x + 32])
        # steps of 10-bit linear codes as above; another tone is off by hundredths
        assert np.median(error) < 0.003
