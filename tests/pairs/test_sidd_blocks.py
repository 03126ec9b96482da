"""SIDD's validation blocks out of the MATLAB files of its authors, as a corpus and a source."""

import hashlib

import numpy as np
import pytest
import scipy.io
from click.testing import CliRunner

import catalogs.sources as sources
import pipelines
from catalogs.sources.sidd_blocks import CLEAN, NOISY
from noisegen.cli import main
from noisegen.errors import InputError, MissingDataError, UnreadableFileError
from pipelines.pairs import open_pairs


@pytest.fixture(scope="module")
def blocks():
    """Noisy and clean blocks of three captures: one scene each, the same in both halves."""
    rng = np.random.default_rng(8)
    clean = rng.integers(30, 220, (3, 2, 4, 4, 3)).repeat(16, 2).repeat(16, 3)
    noisy = np.clip(clean + rng.normal(0, 8, clean.shape), 0, 255).round()
    return noisy.astype(np.uint8), clean.astype(np.uint8)


@pytest.fixture
def root(blocks, tmp_path):
    folder = tmp_path / "sidd" / "val"
    folder.mkdir(parents=True)
    for variable, array in zip((NOISY, CLEAN), blocks, strict=True):
        scipy.io.savemat(folder / f"{variable}.mat", {variable: array}, do_compression=True)
    return folder.parent


def test_every_block_is_a_pair(root, blocks):
    source = sources.open_pairs("sidd-val", root=str(root))
    refs = source.pairs()
    assert [ref.name for ref in refs[:3]] == ["0000-0000", "0000-0001", "0001-0000"]
    assert len({ref.scene for ref in refs}) == 3
    pair = source.read_pair(refs[3])
    np.testing.assert_array_equal(pair.noisy, blocks[0][1, 1])
    np.testing.assert_array_equal(pair.clean, blocks[1][1, 1])
    assert pair.sha256 == hashlib.sha256(blocks[1][1, 1].tobytes()).digest()
    assert source.size(refs[3]) == (64, 64)
    (image,) = [i for i in source.images() if i.name == refs[3].name]
    np.testing.assert_array_equal(source.read(image).pixels, pair.clean)


def test_they_are_ingested(root, blocks, tmp_path):
    out = str(tmp_path / "val.zarr")
    command = ["ingest", "sidd-val", "--root", str(root), "--patch", "64", "--out", out]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 0, done.output
    corpus = pipelines.open(out)
    noisy, clean = (array.reshape(6, 64, 64, 3) for array in blocks)
    assert len(corpus.valid) == 6
    for pair in open_pairs(out):
        at = int(pair.name[:4]) * 2 + int(pair.name[5:9])
        np.testing.assert_array_equal(pair.noisy, noisy[at])
        np.testing.assert_array_equal(pair.clean, clean[at])
    scenes = {}
    for scene, split in zip(corpus.images.scenes, corpus.images.split, strict=True):
        assert scenes.setdefault(scene, split) == split, "blocks of a capture are in one split"
    assert "nothing was missing" in CliRunner().invoke(main, command).output


def test_what_is_wrong_with_the_files_is_one_line(root, blocks, tmp_path):
    def refs():
        return sources.open_pairs("sidd-val", root=str(tmp_path / "other")).pairs()

    other = tmp_path / "other"
    other.mkdir()
    with pytest.raises(MissingDataError, match=f"{NOISY}.mat is not there; add it"):
        refs()
    scipy.io.savemat(other / f"{NOISY}.mat", {NOISY: blocks[0]})
    with pytest.raises(MissingDataError, match=f"{CLEAN}.mat is not there; add it"):
        refs()
    scipy.io.savemat(other / f"{CLEAN}.mat", {CLEAN: blocks[1][:2]})
    with pytest.raises(InputError, match="they have one shape"):
        refs()
    scipy.io.savemat(other / f"{CLEAN}.mat", {"blocks": blocks[1]})
    with pytest.raises(InputError, match=f"has no variable {CLEAN}, it holds blocks"):
        refs()
    whole = (root / "val" / f"{CLEAN}.mat").read_bytes()
    (other / f"{CLEAN}.mat").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UnreadableFileError, match="fetch it again"):
        refs()


def test_the_folders_of_sidd_medium_are_another_set(root, tmp_path):
    command = ["ingest", "sidd", "--root", str(root), "--out", str(tmp_path / "x.zarr")]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 2
    assert "the validation set's .mat files are sidd-val" in done.output
