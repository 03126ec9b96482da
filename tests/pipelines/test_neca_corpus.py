"""Corpora whose noise NeCA's networks draw keep the laws of all corpora."""

import json
import re
import shutil

import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner

import pipelines
from catalogs import cameras
from denoisers.data.open import open_data
from noisegen import neca, random
from noisegen.cli import main
from noisegen.errors import CorpusMismatchError, InputError
from noisegen.jpeg import SUBSAMPLINGS
from noisegen.neca import Card, CorrelationNet, GainNet, LevelNet, Neca, Sampler, Window
from noisegen.neca.card import Jpeg
from noisegen.raw import write_dng
from pipelines import check
from pipelines.execution import check_resources
from pipelines.neca import SHIPPED
from pipelines.recipe import Recipe, read

NO_WEIGHTS = (
    "noisegen: there are no NeCA weights of camera SonyA7S2: fit them to pairs (noisegen fit "
    "neca), or give a folder of published ones with --neca-weights DIR"
)

GAINS = {100: (0.01, 0.02), 400: (0.03,), 1600: (0.06, 0.08)}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Write a folder of small networks and return its path."""
    folder = tmp_path_factory.mktemp("weights")
    draws = torch.Generator().manual_seed(4)
    networks = CorrelationNet(width=4), LevelNet(width=6)
    with torch.no_grad():
        for tensor in (t for net in networks for t in net.parameters()):
            scale = tensor[0].numel() ** -0.5 if tensor.dim() == 4 else 0.1
            tensor.copy_(scale * torch.randn(tensor.shape, generator=draws))
        networks[0].decoder_head[0].weight *= 0.05
        for layer in (networks[0].decoder_head[0], networks[1].conv4, networks[1].conv5):
            layer.bias.zero_()
        networks[1].conv5.weight *= 10  # a level of (10 b)², roughly
    card = Card(camera="S6", gains=GAINS, data={"pairs": "made up"}, licence="CC0", origin="test")
    neca.save(folder, Neca(*networks, card=card))
    return str(folder)


@pytest.fixture
def drawn(made, weights):
    """Make a small corpus of NeCA's noise."""

    def make(name="c.zarr", *, run=None, **changes):
        options = {"noise": "neca-w"} | changes
        return made(name, run={"neca_weights": weights} | (run or {}), **options)

    return make


@pytest.fixture
def pictures(tmp_path):
    """Write a folder of sRGB pictures and return its path."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    rng = np.random.default_rng(2)
    for i, dtype in enumerate((np.uint8, np.uint16)):
        picture = rng.integers(0, np.iinfo(dtype).max + 1, (91, 101, 3), dtype)
        cv2.imwrite(str(folder / f"p{i}.png"), picture[..., ::-1])
    return str(folder)


def folder_recipe(noise="neca-w", **changes):
    return Recipe(
        source="folder", camera="S6", noise=noise, patch=32, per_image=5, draws=2, **changes
    )


@pytest.mark.parametrize("noise", ["neca-w", "neca-s"])
@pytest.mark.parametrize("bits", [8, 16])
def test_a_sample_is_the_crop_of_its_noisy_picture(pictures, weights, tmp_path, noise, bits):
    out = str(tmp_path / "c.zarr")
    recipe = folder_recipe(noise, bits=bits, seed=9)
    pipelines.synthesize(recipe, out, root=pictures, neca_weights=weights)
    corpus, sampler = pipelines.open(out), Sampler(neca.load(weights, ("level", "correlation")))
    assert len(corpus.valid) == 20
    white, noisy = (1 << bits) - 1, {}
    for number in map(int, corpus.valid):
        row, arrays = corpus[number].row, corpus[number].arrays
        image, draw, strength = int(row["image"]), int(row["draw"]), float(row["strength"])
        if (image, draw) not in noisy:
            path = f"{pictures}/{corpus.images.names[image]}"
            source = cv2.imread(path, cv2.IMREAD_UNCHANGED)[..., ::-1]
            clean = np.floor(source / np.iinfo(source.dtype).max * white + 0.5)
            clean = clean.astype(arrays["clean"].dtype)
            level = strength / 255 if noise == "neca-s" else sampler.level_map(clean, strength)
            where = random.counter(9, image, draw)
            noisy[image, draw] = clean, sampler.add_noise(clean, level, where)
        y, x = int(row["y"]), int(row["x"])
        window = Window(y, y + 32, x, x + 32).slices
        for name, whole in zip(("clean", "noisy"), noisy[image, draw], strict=True):
            np.testing.assert_array_equal(arrays[name], whole[window])
    assert len(noisy) == 4
    assert not np.array_equal(noisy[0, 0][1], noisy[0, 1][1])
    assert np.isnan(corpus.table[["gain"]]["gain"]).all()


def test_gains_are_drawn_once_a_picture_and_recorded(drawn):
    listed = drawn("a.zarr").table
    for image in range(3):
        own = listed[listed["image"] == image]
        assert len(np.unique(own["strength"])) == len(np.unique(own["iso"])) == 1
        gains = GAINS[int(own["iso"][0])]
        assert gains[0] * (1 - 1e-9) <= own["strength"][0] <= gains[-1] * (1 + 1e-9)
    ranged = drawn("b.zarr", neca={"gain": (0.02, 0.05)}).table
    assert len(np.unique(ranged["strength"])) == 3
    assert 0.02 <= ranged["strength"].min() < ranged["strength"].max() <= 0.05
    assert np.isnan(ranged["iso"]).all()
    at_iso = drawn("c.zarr", neca={"iso": 400}).table
    np.testing.assert_allclose(at_iso["strength"], 0.03)
    assert (at_iso["iso"] == 400).all()
    between = drawn("d.zarr", neca={"iso": (100, 1600)}).table
    assert len(np.unique(between["iso"])) == 3
    sigmas = drawn("e.zarr", noise="neca-s", neca={"sigma": (5, 50)}).table["strength"]
    assert len(np.unique(sigmas)) == 3
    assert 5 <= sigmas.min() < sigmas.max() <= 50
    assert (drawn("f.zarr", noise="neca-s").table["strength"] == 25).all()


@pytest.fixture(scope="module")
def of_jpegs(weights, tmp_path_factory):
    """The same networks with a card that says that their noise is that of JPEGs."""
    folder = tmp_path_factory.mktemp("of_jpegs")
    loaded = neca.load(weights, ("level", "correlation"))
    jpeg = Jpeg(quality=(60, 80), subsampling="4:2:2")
    card = loaded.card.model_copy(update={"jpeg": jpeg})
    neca.save(folder, Neca(loaded.correlation, loaded.level, card=card))
    return str(folder)


@pytest.mark.parametrize("noise", ["neca-w", "neca-s"])
def test_a_sample_is_the_crop_of_its_picture_s_jpeg(pictures, weights, of_jpegs, tmp_path, noise):
    tables = []
    for place in (weights, of_jpegs):
        out = str(tmp_path / f"{len(tables)}.zarr")
        pipelines.synthesize(folder_recipe(noise, seed=9), out, root=pictures, neca_weights=place)
        corpus = pipelines.open(out)
        tables.append(corpus.table)
    plain, table = tables
    assert not plain["jpeg_quality"].any()
    assert not plain["jpeg_subsampling"].any()
    np.testing.assert_array_equal(plain["strength"], table["strength"])
    assert (table["jpeg_subsampling"] == SUBSAMPLINGS.index("4:2:2")).all()
    sampler, noisy = Sampler(neca.load(of_jpegs, ("level", "correlation"))), {}
    for number in map(int, corpus.valid):
        row, arrays = corpus[number].row, corpus[number].arrays
        image, draw, strength = int(row["image"]), int(row["draw"]), float(row["strength"])
        if (image, draw) not in noisy:
            path = f"{pictures}/{corpus.images.names[image]}"
            source = cv2.imread(path, cv2.IMREAD_UNCHANGED)[..., ::-1]
            clean = np.floor(source / np.iinfo(source.dtype).max * 255 + 0.5).astype(np.uint8)
            level = strength / 255 if noise == "neca-s" else sampler.level_map(clean, strength)
            noisy[image, draw] = sampler.add_noise(
                clean, level, random.counter(9, image, draw), quality=int(row["jpeg_quality"])
            )
        y, x = int(row["y"]), int(row["x"])
        whole = noisy[image, draw][y : y + 32, x : x + 32]
        np.testing.assert_array_equal(arrays["noisy"], whole)
    assert len(noisy) == 4


@pytest.mark.parametrize("bits", [8, 16])
def test_the_jpeg_can_be_left_away(drawn, weights, of_jpegs, bits):
    plain = drawn("plain.zarr", run={"neca_weights": weights}, bits=bits)
    without = drawn("out.zarr", run={"neca_weights": of_jpegs}, bits=bits, neca={"jpeg": False})
    assert not without.table["jpeg_quality"].any()
    for number in map(int, plain.valid[:3]):
        np.testing.assert_array_equal(
            plain[number].arrays["noisy"], without[number].arrays["noisy"]
        )


def test_each_picture_has_a_quality_of_its_own_within_the_card_s(drawn, of_jpegs):
    table = drawn(run={"neca_weights": of_jpegs}, per_image=2, count=24, draws=2).table
    own = [np.unique(table["jpeg_quality"][table["image"] == image]) for image in range(12)]
    assert all(len(found) == 1 for found in own)
    found = np.concatenate(own)
    # all within 8 of 21 qualities: a chance of 14 (8 / 21)^12, one in 7000
    assert 60 <= found.min() <= found.max() <= 80
    assert found.max() - found.min() > 7


def test_noise_of_jpegs_keeps_the_laws_of_corpora(drawn, small, of_jpegs, tmp_path):
    options = {"noise": "neca-w", "patch": 40, "per_image": 5, "draws": 2}
    whole = drawn("a.zarr", run={"neca_weights": of_jpegs, "shard_mb": 64}, **options)
    path = tmp_path / "p.zarr"
    for i in (2, 1):
        pipelines.synthesize(
            small(**options), str(path), part=(i, 2), shard_mb=1, neca_weights=of_jpegs
        )
    parts = pipelines.open(path)
    assert parts.digest() == whole.digest()
    found = check.verify(parts, regenerate=5, neca_weights=of_jpegs)
    assert (found.damaged, found.different, len(found.regenerated)) == ((), (), 5)
    result = CliRunner().invoke(
        main, ["inspect", str(path), "--out", str(tmp_path / "s.png"), "--neca-weights", of_jpegs]
    )
    assert result.exit_code == 0, result.output


def test_networks_with_a_jpeg_are_others(drawn, weights, of_jpegs, tmp_path):
    recipe = drawn(run={"neca_weights": of_jpegs}).recipe
    with pytest.raises(CorpusMismatchError, match="other networks than the recipe's"):
        pipelines.synthesize(recipe, str(tmp_path / "d.zarr"), neca_weights=weights)


def test_stronger_gains_are_noisier(drawn, pixels):
    spread = []
    for gain in (0.01, 0.05):
        pair = pixels(drawn(f"{gain}.zarr", bits=16, neca={"gain": gain}))
        spread.append((pair["noisy"].astype(float) - pair["clean"]).std())
    assert spread[1] > 1.2 * spread[0] > 0


def test_shards_parts_and_a_kill_do_not_matter(drawn, small, weights, tmp_path):
    options = {"noise": "neca-w", "patch": 128, "bits": 16, "per_image": 4, "draws": 2}
    whole = drawn("a.zarr", run={"shard_mb": 64}, **options)
    path = tmp_path / "p.zarr"
    for i in (3, 1, 2):
        pipelines.synthesize(
            small(**options), str(path), part=(i, 3), shard_mb=1, neca_weights=weights
        )
    parts = pipelines.open(path)
    assert parts.plan.shards > whole.plan.shards
    assert parts.digest() == whole.digest()
    (path / "manifest" / "c.1.0").unlink()
    again = pipelines.synthesize(small(**options), str(path), neca_weights=weights)
    assert 0 < again.made < len(parts)
    assert pipelines.open(path).digest() == whole.digest()
    found = check.verify(pipelines.open(path), regenerate=5, neca_weights=weights)
    assert (found.damaged, found.different, len(found.regenerated)) == ((), (), 5)


def test_draws_are_further_noise_of_the_same_patches(drawn, pixels):
    one, three = (pixels(drawn(f"{n}.zarr", draws=n)) for n in (1, 3))
    for name in ("clean", "noisy"):
        np.testing.assert_array_equal(one[name], three[name][::3])
    assert (three["noisy"][0] != three["noisy"][1]).any()


def test_workers_make_what_one_process_makes(drawn, small, weights, tmp_path):
    from distributed import Client, LocalCluster

    options = {"noise": "neca-w", "bits": 16}
    whole = drawn("a.zarr", **options)
    cluster = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0")
    with cluster, Client(cluster) as client:
        out = str(tmp_path / "b.zarr")
        pipelines.synthesize(small(**options), out, client, shard_mb=1, neca_weights=weights)
        with pytest.raises(InputError, match="no worker of this cluster offers GPU=1"):
            check_resources(client, {"GPU": 1})
        check_resources(client, {})
    assert pipelines.open(tmp_path / "b.zarr").digest() == whole.digest()


def test_the_number_of_threads_does_not_matter(drawn):
    before = torch.get_num_threads()
    digests = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        try:
            digests.append(drawn(f"{threads}.zarr").digest())
            assert torch.get_num_threads() == threads
        finally:
            torch.set_num_threads(before)
    assert digests[0] == digests[1]


def test_the_printed_recipe_makes_the_corpus_again_of_the_same_weights(drawn, weights, tmp_path):
    corpus = drawn(draws=2)
    loaded = neca.load(weights, ("level", "correlation"))
    assert corpus.recipe.neca.weights == loaded.sha256
    noise, machine = corpus.attributes["noise"], corpus.attributes["computed_on"]
    assert noise["weights"] == loaded.sha256
    assert (noise["camera"], noise["licence"], noise["origin"]) == ("S6", "CC0", "test")
    assert (machine["torch"], machine["threads"]) == (torch.__version__, 1)
    assert machine["device"]
    (tmp_path / "r.toml").write_text(corpus.recipe.to_toml())
    recipe = read(tmp_path / "r.toml")
    pipelines.synthesize(recipe, str(tmp_path / "again.zarr"), neca_weights=weights)
    assert pipelines.open(tmp_path / "again.zarr").digest() == corpus.digest()
    other = tmp_path / "other"
    other.mkdir()
    stronger = loaded.card.model_copy(update={"gains": {100: (0.1,)}})
    neca.save(other, Neca(loaded.correlation, loaded.level, card=stronger))
    with pytest.raises(CorpusMismatchError, match="other networks than the recipe's"):
        pipelines.synthesize(recipe, str(tmp_path / "x.zarr"), neca_weights=str(other))
    assert not (tmp_path / "x.zarr").exists()


def test_what_is_rendered_is_what_the_chain_renders(drawn, made, pixels, weights, tmp_path):
    clean = pixels(drawn("a.zarr"))["clean"]
    np.testing.assert_array_equal(clean, pixels(made("b.zarr", seed=0))["clean"])
    folder = tmp_path / "raws"
    folder.mkdir()
    mosaic = np.random.default_rng(3).integers(512, 9000, (96, 642), np.uint16)
    write_dng(folder / "a.dng", mosaic, cfa="GRBG", black_level=512, white_level=16383, bits=14)
    out = str(tmp_path / "c.zarr")
    pipelines.synthesize(folder_recipe(), out, root=str(folder), neca_weights=weights)
    assert len(pipelines.open(out).valid) == 10


def test_a_camera_s_folder_is_its_weights_too(weights, pictures, tmp_path):
    out = str(tmp_path / "c.zarr")
    recipe = folder_recipe().model_copy(update={"camera": weights})
    pipelines.synthesize(recipe, out, root=pictures)
    assert pipelines.open(out).recipe.camera == "S6"
    unknown = tmp_path / "unknown"
    unknown.mkdir()
    loaded = neca.load(weights, ("level", "correlation"))
    card = loaded.card.model_copy(update={"camera": "canon-5d2"})
    neca.save(unknown, Neca(loaded.correlation, loaded.level, card=card))
    recipe = recipe.model_copy(update={"camera": str(unknown)})
    pipelines.synthesize(recipe, str(tmp_path / "e.zarr"), root=pictures)
    assert pipelines.open(tmp_path / "e.zarr").recipe.camera == Recipe().camera
    (unknown / "camera.toml").write_text(cameras.load("S6").toml)
    pipelines.synthesize(recipe, str(tmp_path / "d.zarr"), root=pictures)
    assert pipelines.open(tmp_path / "d.zarr").recipe.camera_file == cameras.load("S6").toml


def test_through_the_command_line(weights, pictures, tmp_path):
    out = str(tmp_path / "c.zarr")
    options = ["--source", "folder", "--root", pictures, "--patch", "32", "--per-image", "2"]
    options += ["--noise", "neca-w", "--camera", "S6", "--neca-weights", weights]

    def run(*arguments):
        result = CliRunner().invoke(main, list(arguments))
        assert result.exit_code == 0, result.output
        return result.output

    assert "noise neca-w" in run("synthesize", "--out", out, *options, "--dry-run")
    assert "4 of 4 samples" in run("synthesize", "--out", out, *options, "--set", "neca.iso=400")
    again = ["--root", pictures, "--neca-weights", weights, "--regenerate", "2"]
    assert "2 samples made again, 0 different" in run("verify", out, *again)
    run("inspect", out, "--out", str(tmp_path / "report.html"))
    assert len(run("digest", out).split()[-1]) == 64


@pytest.fixture(scope="module")
def with_gain(weights, tmp_path_factory):
    """The same networks with one that reads gains, about 0.05 off any picture."""
    folder = tmp_path_factory.mktemp("with_gain")
    loaded, draws = neca.load(weights, ("level", "correlation")), torch.Generator().manual_seed(9)
    network = GainNet(width=4, depth=3)
    with torch.no_grad():
        for tensor in network.parameters():
            tensor.copy_(0.02 * torch.rand(tensor.shape, generator=draws))
        network.linear[0][0].bias.fill_(0.05)
    networks = {"correlation": loaded.correlation, "level": loaded.level, "gain": network}
    neca.save(folder, Neca(**networks, card=loaded.card))
    return str(folder)


def test_the_gain_is_read_off_a_noisy_picture(with_gain, pictures, tmp_path):
    rng = np.random.default_rng(6)
    noisy = rng.integers(0, 256, (70, 90, 3), np.uint8)
    photo, out = tmp_path / "noisy.png", str(tmp_path / "c.zarr")
    cv2.imwrite(str(photo), noisy[..., ::-1])
    options = ["--source", "folder", "--root", pictures, "--patch", "32", "--per-image", "2"]
    options += ["--noise", "neca-w", "--camera", "S6", "--neca-weights", with_gain]
    options += ["--set", f"neca.gain_from={photo}"]
    result = CliRunner().invoke(main, ["synthesize", "--out", out, *options])
    assert result.exit_code == 0, result.output
    expected = neca.Sampler(neca.load(with_gain)).gain(noisy)
    corpus = pipelines.open(out)
    assert corpus.recipe.neca.gain_from is None
    assert corpus.recipe.neca.gain == pytest.approx(expected, rel=1e-3)
    np.testing.assert_allclose(corpus.table["strength"], corpus.recipe.neca.gain, rtol=1e-6)
    again = CliRunner().invoke(main, ["synthesize", "--out", out, *options])
    assert "nothing was missing" in again.output
    (tmp_path / "r.toml").write_text(corpus.recipe.to_toml())
    photo.unlink()  # the recipe holds the gain
    pipelines.synthesize(
        read(tmp_path / "r.toml"), str(tmp_path / "d.zarr"), root=pictures, neca_weights=with_gain
    )
    assert pipelines.open(tmp_path / "d.zarr").digest() == corpus.digest()


def test_a_gain_beyond_those_of_the_training_is_refused(with_gain, small, tmp_path):
    loaded = neca.load(with_gain)
    with torch.no_grad():
        loaded.gain.linear[0][0].bias.fill_(0.9)
    neca.save(tmp_path, loaded)
    photo = tmp_path / "a.png"
    cv2.imwrite(str(photo), np.full((32, 32, 3), 90, np.uint8))
    recipe = small(noise="neca-w", neca={"gain_from": str(photo)})
    with pytest.raises(InputError, match=r"a\.png: a gain of 0\.9.* is not one that the networks"):
        pipelines.synthesize(recipe, str(tmp_path / "c.zarr"), neca_weights=str(tmp_path))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--noise", "neca-w", "--camera", "SonyA7S2"], NO_WEIGHTS),
        (["--noise", "neca-w", "--neca-weights", "WEIGHTS", "--set", "neca.gain_from=none.png"],
         "neca.gain_from: there is no picture at none.png"),
        (["--noise", "neca-w", "--neca-weights", "WEIGHTS", "--set", "neca.gain_from=PHOTO"],
         "its card has no gain network"),
        (["--noise", "neca-s", "--set", "neca.gain_from=a.png"], "neca.gain_from: noise neca-s"),
        (["--noise", "neca-w", "--set", "neca.gain=0.1", "--set", "neca.gain_from=a.png"],
         "gain, gain_from: give one of them"),
        (["--noise", "neca-w", "--neca-weights", "nowhere"], "no such folder or file"),
        (["--neca-weights", "WEIGHTS"], "--neca-weights: noise heteroscedastic"),
        (["--noise", "neca-w", "--lazy"], "recipe: lazy: a corpus does not hold the whole"),
        (["--noise", "neca-w", "--tone", "0-1"], "tone: NeCA looks at the whole picture"),
        (["--noise", "neca-w", "--stage", "raw"], "stage: noise neca-w is drawn on the rendered"),
        (["--noise", "neca-w", "--set", "neca.sigma=3"], "neca.sigma: noise neca-w has none"),
        (["--noise", "neca-s", "--set", "neca.gain=0.1"], "neca.gain: noise neca-s has none"),
        (["--noise", "neca-s", "--set", "neca.sigma=0"], "sigma: 0 is not above 0"),
        (["--set", "neca.sigma=3"], "neca: is of noise neca-w and neca-s"),
        (["--noise", "neca-w", "--set", "neca.gain=0.1", "--set", "neca.iso=100"], "gain, iso"),
        (["--noise", "neca-w", "--neca-weights", "WEIGHTS", "--set", "neca.iso=50"],
         "ISO 50: the gains of camera S6 are known from ISO 100 to 1600"),
        (["--noise", "neca-w", "--neca-weights", "WEIGHTS", "--set", "neca.gain=0.3"],
         "neca.gain: 0.3 is far above the gains that these networks were trained at; 0.16"),
        (["--noise", "neca-s", "--neca-weights", "OF_JPEGS", "--bits", "16"],
         "bits: the noise of S6 is that of JPEGs (quality 60 to 80, 4:2:2), which have 8 bits"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_in_one_line(weights, of_jpegs, tmp_path, options, message):
    photo = tmp_path / "photo.png"
    cv2.imwrite(str(photo), np.zeros((32, 32, 3), np.uint8))
    given = {"WEIGHTS": weights, "OF_JPEGS": of_jpegs}
    given |= {"neca.gain_from=PHOTO": f"neca.gain_from={photo}"}
    options = [given.get(option, option) for option in options]
    out = tmp_path / "c.zarr"
    result = CliRunner().invoke(main, ["synthesize", "--out", str(out), *options])
    assert result.exit_code == 2, result.output
    assert message in result.output
    assert result.output.count("\n") == 1
    assert not out.exists()


def test_weights_without_gains_ask_for_one(weights, small, tmp_path):
    bare = tmp_path / "bare"
    shutil.copytree(weights, bare)
    loaded = neca.load(weights, ("level", "correlation"))
    neca.save(bare, Neca(loaded.correlation, loaded.level))
    with pytest.raises(InputError, match="no gains by ISO; give a gain"):
        pipelines.synthesize(
            small(noise="neca-w"), str(tmp_path / "c.zarr"), neca_weights=str(bare)
        )


def test_noise_is_not_drawn_anew_of_a_corpus(drawn, tmp_path):
    corpus = drawn()
    with pytest.raises(InputError, match="drawn on whole pictures, which a corpus does not hold"):
        open_data(str(tmp_path / "c.zarr"), renoise=True)
    row = corpus[0].row
    with pytest.raises(InputError, match="only noisegen synthesize draws it"):
        corpus.developer.sample(row, corpus[0].arrays["clean"], corpus.window(row))
    assert len(open_data(str(tmp_path / "c.zarr"))) == len(corpus)
    with pytest.raises(InputError, match=r"neca\.device: there is no CUDA device"):
        drawn("d.zarr", neca={"device": "cuda"})
    assert json.loads(corpus.recipe.to_json())["neca"]["device"] == "cpu"


@pytest.mark.parametrize(("noise", "off"), [("neca-s", 0.2), ("neca-w", 0.6)])
@pytest.mark.parametrize("out", ["sheet.png", "page.html"])
def test_inspect_draws_the_model_where_its_networks_are_given(
    pictures, weights, tmp_path, noise, off, out
):
    store = str(tmp_path / "c.zarr")
    recipe = folder_recipe(noise, neca={"gain": 0.03} if noise == "neca-w" else {"sigma": 9})
    pipelines.synthesize(recipe, store, root=pictures, neca_weights=weights)
    command = ["inspect", store, "--out", str(tmp_path / out)]
    bare = CliRunner().invoke(main, command)
    assert bare.exit_code == 0, bare.stderr
    assert "R: standard deviation of the noise is" in bare.output  # S6's own made another corpus
    found = CliRunner().invoke(main, [*command, "--neca-weights", weights])
    ratios = re.findall(r": measured variance is ([\d.]+) of the model's", found.output)
    assert len(ratios) == 3
    # 20 patches of 1024 pixels, half of them of the same noise: of NeCA-S 0.2 is 5 standard
    # errors and more. NeCA-W's levels are those of patches, not of their pictures.
    assert np.abs(np.log(np.array(ratios, float))).max() < off


def test_inspect_refuses_networks_that_did_not_make_the_noise(drawn, made, weights, tmp_path):
    command = ["inspect", drawn().storage.url, "--out", str(tmp_path / "s.png"), "--neca-weights"]
    other = CliRunner().invoke(main, [*command, str(SHIPPED / "GP.safetensors")])
    assert other.exit_code == CorpusMismatchError.exit_code
    assert "GP.safetensors holds other networks than the recipe's" in other.stderr
    command[1] = made("plain.zarr").storage.url
    plain = CliRunner().invoke(main, [*command, weights])
    assert plain.exit_code == InputError.exit_code
    assert "is not NeCA's; leave them out" in plain.stderr
