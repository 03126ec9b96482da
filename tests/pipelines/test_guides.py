"""Guides in corpora: the second picture of a scene, cut where the first is, and nothing else."""

import numpy as np
import pytest

import pipelines
from catalogs import sources
from catalogs.sources import SourceImage
from catalogs.sources.deadleaves import guided_scene
from noisegen.errors import InputError, RecipeError
from noisegen.isp.transfer import decode, encode
from pipelines import check, guides
from pipelines.recipe import Recipe, parse

CHANNELS = {"nir": 1, "flash": 3}


def plainly_encoded(light, bits=8, gamma="srgb"):
    codes = np.rint(encode(light.astype(np.float64), gamma) * ((1 << bits) - 1))
    return codes.astype(np.uint8 if bits == 8 else np.uint16)


@pytest.mark.parametrize("kind", CHANNELS)
@pytest.mark.parametrize(
    "changes",
    [{}, {"bits": 16, "draws": 2}, {"stage": "both"}, {"stage": "raw"}, {"stage": "linear"}],
)
def test_a_samples_guide_is_the_crop_of_its_scenes(made, kind, changes):
    corpus = made(guide=kind, count=6, per_image=3, **changes)
    assert corpus.names[-1] == "guide"
    assert corpus.recipe.guide == kind
    for number in map(int, corpus.valid):
        sample = corpus[number]
        index = int(corpus.images.names[sample.row["image"]][-6:])
        _, second = guided_scene(corpus.recipe.seed, index, (160, 160), kind)
        y, x = int(sample.row["y"]), int(sample.row["x"])
        window = second[y : y + 64, x : x + 64]
        expected = plainly_encoded(window, corpus.recipe.depth)
        assert sample.arrays["guide"].shape == (64, 64, CHANNELS[kind])
        assert sample.arrays["guide"].dtype == expected.dtype
        np.testing.assert_array_equal(sample.arrays["guide"], expected)


def test_guides_do_not_depend_on_shards_or_workers(tmp_path, small):
    recipe = small(guide="nir", count=10)
    found = []
    for name, changes in (("a", {}), ("b", {"shard_mb": 1}), ("c", {"part": (2, 2)})):
        pipelines.synthesize(recipe, str(tmp_path / name), **({"shard_mb": 1} | changes))
        if name == "c":
            pipelines.synthesize(recipe, str(tmp_path / name), part=(1, 2), shard_mb=1)
        found.append(pipelines.open(tmp_path / name).digest())
    assert len(set(found)) == 1


def test_a_guide_is_verified_with_its_sample(made):
    corpus = made(guide="flash", count=4)
    assert check.verify(corpus, regenerate=4).different == ()
    found = check.verify(corpus)
    assert found.damaged == ()
    assert found.checked == corpus.plan.shards


def test_a_corpus_with_guides_opens_in_xarray(made):
    xarray = pytest.importorskip("xarray")
    corpus = made(guide="nir", count=4)
    with xarray.open_zarr(corpus.storage.url, consolidated=False) as data:
        assert data["guide"].dims == ("sample", "y", "x", "guide_channel")
        assert data["guide"].attrs["description"] == "guide (nir), srgb encoding"


def image(pixels, guide):
    return SourceImage("srgb", pixels, bytes(32), guide=guide)


class Frame:
    """As high as a picture is after averaging."""

    def __init__(self, height):
        self.height = height


def test_an_averaged_pictures_guide_is_averaged_in_linear_light():
    rng = np.random.default_rng(3)
    guide = rng.integers(0, 256, (9, 12, 1), np.uint8)
    recipe = Recipe(guide="nir")
    whole = guides.whole(image(np.zeros((9, 12, 3), np.uint8), guide), recipe, Frame(4), "x")
    light = decode(guide[:8] / 255, "srgb").reshape(4, 2, 6, 2, 1).mean((1, 3))
    np.testing.assert_array_equal(whole, plainly_encoded(light))


@pytest.mark.parametrize("gamma", ["srgb", "rec709", "2.2"])
@pytest.mark.parametrize("bits", [8, 16])
def test_codes_are_the_nearest(gamma, bits):
    light = np.linspace(0, 1, 4001, dtype=np.float32).reshape(-1, 1, 1)
    recipe = Recipe(guide="nir", gamma=gamma, bits=bits)
    pixels = np.zeros((4001, 1, 3), np.float32)
    found = guides.whole(image(pixels, light), recipe, Frame(4001), "x")
    expected = plainly_encoded(light, bits, gamma)
    # BT.709's constants leave a step, within which either neighbour may be the nearest.
    assert np.abs(found.astype(int) - expected.astype(int)).max() <= (gamma == "rec709")


def test_codes_of_files_are_kept_or_widened():
    guide = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    pixels = np.zeros((16, 16, 3), np.uint8)
    for bits, expected in ((8, guide), (16, guide * np.uint16(257))):
        recipe = Recipe(guide="nir", bits=bits)
        found = guides.whole(image(pixels, guide), recipe, Frame(16), "x")
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("guide", "line"),
    [
        (None, "its guide is none; 'nir' has 1 channels"),
        (np.zeros((8, 8, 3), np.uint8), "its guide is 8x8x3; 'nir' has 1 channels"),
        (np.zeros((8, 7, 1), np.uint8), "x has 8x8 pixels, its guide 8x7"),
    ],
)
def test_a_guide_that_does_not_fit_is_named(guide, line):
    given = image(np.zeros((8, 8, 3), np.uint8), guide)
    with pytest.raises(InputError, match=line):
        guides.whole(given, Recipe(guide="nir"), Frame(8), "x")


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"lazy": True}, "guide: a guide is stored as it is cut; leave lazy away"),
        ({"finish": {"resize": 2.0}}, "leave finish.resize away"),
        ({"guide": "sonar"}, "guide: .*'nir' or 'flash'"),
    ],
)
def test_what_does_not_go_with_guides_is_one_line(changes, line):
    with pytest.raises(RecipeError, match=line):
        parse({"guide": "nir", **changes})


def test_a_source_without_guides_says_so(tmp_path):
    with pytest.raises(RecipeError, match="source 'folder' has no guide 'nir'; it has none"):
        sources.open("folder", tmp_path, guide="nir")
    recipe = Recipe(source="folder", guide="nir")
    with pytest.raises(RecipeError, match="'folder' has no guide 'nir'"):
        pipelines.synthesize(recipe, str(tmp_path / "c.zarr"), root=str(tmp_path))
