"""What verify and status say of a sound, a damaged and an unfinished corpus, and how it heals."""

import shutil

import pytest
from click.testing import CliRunner

import pipelines
from noisegen.cli import main
from noisegen.errors import DamagedCorpusError
from pipelines import check
from pipelines.build import store
from pipelines.job import Batch
from pipelines.prepare import job_of
from pipelines.recipe import Recipe
from pipelines.shard import batches

# 16-bit patches of 128: four to a shard of a megabyte
RECIPE = Recipe(
    source_options={"size": 160}, patch=128, bits=16, per_image=4, count=12, iso=(100.0, 3200.0)
)
SHARDS = 3
CORNER = "c.1.0.0.0"


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    path = tmp_path_factory.mktemp("check") / "sound.zarr"
    assert pipelines.synthesize(RECIPE, str(path), shard_mb=1).finished
    assert pipelines.open(path).plan.shards == SHARDS
    return path


@pytest.fixture(scope="module")
def digest(sound):
    return pipelines.open(sound).digest()


@pytest.fixture
def corpus(sound, tmp_path):
    return shutil.copytree(sound, tmp_path / "c.zarr")


def again(path):
    return pipelines.synthesize(RECIPE, str(path), shard_mb=1)


def flip(file, at):
    data = bytearray(file.read_bytes())
    data[at] ^= 1
    file.write_bytes(data)


def test_a_sound_corpus_passes(corpus):
    seen = []
    found = check.verify(pipelines.open(corpus), regenerate=5, on_shard=seen.append)
    assert found.checked == SHARDS
    assert found.damaged == found.different == ()
    assert len(set(found.regenerated)) == 5
    assert seen == [0, 1, 2]


@pytest.mark.parametrize("where", ["clean", "noisy"])
@pytest.mark.parametrize("place", [0.1, 0.4, 0.8])
def test_a_flipped_bit_is_found_named_and_mended(corpus, digest, where, place):
    file = corpus / where / CORNER
    flip(file, int(place * file.stat().st_size))
    found = check.verify(pipelines.open(corpus))
    (problem,) = found.damaged
    assert problem[0] == 1
    assert f"{where} shard 1: sample " in problem[1]
    with pytest.raises(DamagedCorpusError, match=where):
        pipelines.open(corpus).digest()

    check.verify(pipelines.open(corpus), forget=True)
    assert pipelines.open(corpus).finished.tolist() == [True, False, True]
    summary = again(corpus)
    assert summary.made == 4
    assert summary.finished
    mended = pipelines.open(corpus)
    assert mended.digest() == digest
    assert check.verify(mended).damaged == ()


@pytest.mark.parametrize("key", ["params/iso/c.1", "params/shot/c.1.0", "params/valid/c.1"])
def test_a_flipped_bit_in_the_parameters_is_found_and_mended_by_a_plain_rerun(corpus, digest, key):
    flip(corpus / key, 3)
    ((shard, line),) = check.verify(pipelines.open(corpus)).damaged
    assert shard == 1
    assert f"{key.rpartition('/')[0]} chunk 1: " in line
    assert again(corpus).made == 4
    assert pipelines.open(corpus).digest() == digest


def test_parameters_exchanged_for_well_formed_others_are_found(corpus):
    shutil.copy(corpus / "params/iso/c.0", corpus / "params/iso/c.1")
    ((shard, line),) = check.verify(pipelines.open(corpus)).damaged
    assert shard == 1
    assert "digest" in line


def torn(file):
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def emptied(file):
    file.write_bytes(b"")


def deleted(file):
    file.unlink()


@pytest.mark.parametrize("damage", [torn, emptied, deleted])
@pytest.mark.parametrize("where", ["clean", "noisy"])
def test_a_torn_or_lost_shard_is_mended_by_a_plain_rerun(corpus, digest, damage, where):
    damage(corpus / where / CORNER)
    assert check.status(pipelines.open(corpus)).damaged == (1,)
    ((shard, line),) = check.verify(pipelines.open(corpus)).damaged
    assert shard == 1
    assert where in line
    summary = again(corpus)
    assert summary.made == 4
    assert summary.finished
    assert pipelines.open(corpus).digest() == digest


def test_a_lost_array_description_is_one_line(corpus):
    (corpus / "noisy" / "zarr.json").unlink()
    found = check.verify(pipelines.open(corpus))
    assert [shard for shard, _ in found.damaged] == [0, 1, 2]
    assert all("noisy" in line and "\n" not in line for _, line in found.damaged)


def exchange_one_sample(path, shard, sample, change):
    """Store a shard again with one sample changed: every checksum and digest is in order."""
    corpus = pipelines.open(path)
    items = list(batches(job_of(corpus, None), shard))
    made = [item.arrays["noisy"] for item in items if isinstance(item, Batch)]
    change([noisy for batch in made for noisy in batch][sample])
    store(corpus.developer, corpus.plan, corpus.storage, shard, items)


def test_a_sample_exchanged_for_a_well_formed_other_is_found_when_made_again(corpus):
    def one_code(noisy):
        noisy[5, 7, 1] ^= 1

    exchange_one_sample(corpus, 1, 2, one_code)
    changed = pipelines.open(corpus)
    assert check.verify(changed).damaged == ()
    found = check.verify(changed, regenerate=12)
    assert found.different == (6,)
    assert found.regenerated == tuple(range(12))


def test_an_old_digest_tells_an_exchanged_sample(corpus):
    entry = (corpus / "manifest" / "c.1.0").read_bytes()
    exchange_one_sample(corpus, 1, 0, lambda noisy: noisy.fill(0))
    (corpus / "manifest" / "c.1.0").write_bytes(entry)
    found = check.verify(pipelines.open(corpus), regenerate=12)
    assert found.damaged == ((1, "its digest is not the recorded one"),)
    # what is known to be damaged is not made again
    assert found.regenerated == (0, 1, 2, 3, 8, 9, 10, 11)
    assert found.different == ()


def test_the_same_samples_are_made_again_each_time(sound):
    first, second = (check.verify(pipelines.open(sound), regenerate=3) for _ in range(2))
    assert first.regenerated == second.regenerated
    assert list(first.regenerated) == sorted(first.regenerated)


@pytest.mark.parametrize("lazy", [False, True])
def test_made_again_it_is_the_same_with_draws_tone_and_low_light(made, lazy):
    options = {"draws": 3, "tone": (0.0, 1.0), "exposure_ratio": (2.0, 50.0), "stage": "both"}
    found = check.verify(made(lazy=lazy, **options), regenerate=36)
    assert found.damaged == found.different == ()
    assert len(found.regenerated) == 36


def test_status_while_it_is_being_made(corpus):
    (corpus / "manifest" / "c.0.0").unlink()
    found = check.status(pipelines.open(corpus))
    assert (found.shards, found.finished, found.damaged) == (3, 2, ())
    assert (found.samples, found.valid) == (12, 8)
    verified = check.verify(pipelines.open(corpus))
    assert verified.checked == 2
    assert verified.damaged == ()
    unfinished = pipelines.open(corpus)
    assert unfinished.valid.tolist() == list(range(4, 12))
    with pytest.raises(DamagedCorpusError, match="sample 0 is not made yet"):
        unfinished[0]
    with pytest.raises(DamagedCorpusError, match="1 of 3 shards are not made yet"):
        unfinished.digest()


def test_the_commands_while_it_is_being_made(corpus):
    (corpus / "manifest" / "c.2.0").unlink()
    result = CliRunner().invoke(main, ["status", str(corpus)])
    assert result.exit_code == 0
    assert "8 of 12 samples" in result.output
    assert "2 finished, 1 missing, 0 damaged" in result.output
    result = CliRunner().invoke(main, ["verify", str(corpus)])
    assert result.exit_code == 0
    assert "2 shards compared, 0 damaged, 1 missing" in result.output


def test_a_damaged_manifest_entry_is_listed_and_mended(corpus, digest):
    flip(corpus / "manifest" / "c.2.0", 4)
    opened = pipelines.open(corpus)
    assert opened.damaged_entries == (2,)
    assert check.status(opened).damaged == (2,)
    assert [s for s, _ in check.verify(opened).damaged] == [2]
    assert again(corpus).made == 4
    assert pipelines.open(corpus).digest() == digest


def test_the_commands_name_the_shard_and_the_remedy(corpus):
    flip(corpus / "noisy" / CORNER, 1000)
    result = CliRunner().invoke(main, ["verify", str(corpus)])
    assert result.exit_code == 1
    assert "shard 1: " in result.output
    assert "--forget" in result.stderr
    result = CliRunner().invoke(main, ["verify", str(corpus), "--forget"])
    assert result.exit_code == 1
    assert "run the same synthesize" in result.stderr
    assert "1 missing, 0 damaged" in CliRunner().invoke(main, ["status", str(corpus)]).output


@pytest.mark.parametrize("name", ["height", "sha256", "problem"])
@pytest.mark.parametrize("damage", [deleted, lambda file: flip(file, 1)])
def test_what_is_recorded_of_the_images_is_checked_and_mended(corpus, digest, name, damage):
    (file,) = (corpus / "images" / name).glob("c.1*")
    before = file.read_bytes()
    damage(file)
    ((shard, line),) = check.verify(pipelines.open(corpus)).damaged
    assert shard == 1
    assert f"images/{name}" in line
    assert again(corpus).made == 4
    assert file.read_bytes() == before
    assert pipelines.open(corpus).digest() == digest


@pytest.mark.parametrize("key", ["name/c.0.0", "scene/c.0.0", "split/c.0"])
@pytest.mark.parametrize("damage", [deleted, lambda file: flip(file, 1)])
def test_names_scenes_and_splits_are_checked_and_mended(corpus, digest, key, damage):
    file = corpus / "images" / key
    before = file.read_bytes()
    damage(file)
    with pytest.raises(DamagedCorpusError, match=f"images/{key.partition('/')[0]}"):
        check.verify(pipelines.open(corpus))
    assert again(corpus).made == 0
    assert file.read_bytes() == before
    assert check.verify(pipelines.open(corpus)).damaged == ()
