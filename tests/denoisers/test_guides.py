"""Guides on their way through training, testing and denoising."""

import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner

import denoisers
from denoisers import card as cards
from denoisers.data import Loader, Mixture, open_data
from denoisers.data.turns import turned
from denoisers.evaluation.guides import given
from denoisers.inference.restorer import Restorer
from denoisers.models import dvn
from denoisers.models.rffnet import Restored, loss, terms
from denoisers.protocols.base import Case, Cases
from denoisers.training import recipe
from denoisers.training.objective import misled, on_device
from denoisers.training.run import Run
from denoisers.training.validation import HeldOut
from noisegen.cli import main
from noisegen.errors import InputError, MissingDataError, RecipeError

SMALL = {"width": 8, "widening": 4}

NAMES = ("clean", "noisy", "guide")


def run(*arguments):
    return CliRunner().invoke(main, list(map(str, arguments)))


def refused(*arguments):
    done = run(*arguments)
    assert done.exit_code == 2, done.output
    return done.output.splitlines()[-1]


def saved(path, name, **options):
    options = SMALL | options
    page = denoisers.entry(name)
    made = denoisers.create(name, **options)
    card = cards.Card(model=name, options=page.check(options).model_dump(), origin="a test")
    cards.save(path, made, card)
    return path


def plain(folder):
    """Write a small network without a guide; return its file."""
    path, options = folder / "plain.safetensors", {"depth": 2, "width": 4, "batch_norm": False}
    card = cards.Card(model="dncnn", options=denoisers.entry("dncnn").check(options).model_dump())
    cards.save(path, denoisers.create("dncnn", **options), card)
    return path


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Small networks' files by name and channels of the guide."""
    folder = tmp_path_factory.mktemp("weights")
    return {
        (name, channels): saved(
            folder / f"{name}{channels}.safetensors", name, guide_channels=channels
        )
        for name in ("rffnet", "dvn", "dvn-recons")
        for channels in (1, 3)
    }


@pytest.mark.parametrize("channels", [1, 3])
def test_a_guide_is_cut_and_turned_with_its_picture(guided, channels):
    corpus = guided[channels]
    data = open_data(corpus.storage.url, NAMES)
    assert data.guide_channels == channels
    loader = Loader(Mixture([data], (1,)), patch=16, batch=24, seed=3)
    batch = loader.batch(0)
    assert batch.arrays["guide"].shape == (24, 16, 16, channels)
    seen = set()
    for (_, _, sample), clean, guide in zip(
        batch.items.tolist(), batch.arrays["clean"], batch.arrays["guide"], strict=True
    ):
        whole = data.whole(sample)
        found = [
            (turn, y, x)
            for turn in data.turns
            for y in range(17)
            for x in range(17)
            if np.array_equal(turned(whole["clean"][y : y + 16, x : x + 16], turn), clean)
        ]
        assert found
        assert any(
            np.array_equal(turned(whole["guide"][y : y + 16, x : x + 16], turn), guide)
            for turn, y, x in found
        )
        seen |= {turn for turn, _, _ in found[:1]}
    assert len(seen) > 1  # some were turned


def test_losses_are_one_a_sample():
    final, denoised, clean = torch.rand(3, 4, 3, 16, 16)
    each = loss(None, Restored(final, denoised), {"clean": clean})
    assert each.shape == (4,)
    for i in range(4):
        one = Restored(final[i : i + 1], denoised[i : i + 1])
        torch.testing.assert_close(each[i], loss(None, one, {"clean": clean[i : i + 1]})[0])
    whole = sum(term.mean() for term in terms(Restored(final, denoised), clean).values())
    torch.testing.assert_close(each.mean(), whole)


def test_dvn_asks_its_teacher(guided, weights, tmp_path):
    network = denoisers.create("dvn", **SMALL)
    teacher = denoisers.create("dvn-recons", **SMALL)
    network.learn_from(teacher)
    assert not [n for n in network.state_dict() if "teacher" in n]
    assert not any(p.requires_grad for p in teacher.parameters())
    clean, guide = torch.rand(2, 3, 16, 16), torch.rand(2, 1, 16, 16)
    fused = network(clean, guide)
    found = dvn.loss(network, fused, {"clean": clean, "guide": guide})
    drawn = teacher.reconstruct(clean, guide)
    expected = dvn.terms(fused, clean, guide, drawn.structures, drawn.nir_structures)
    torch.testing.assert_close(found.mean(), sum(t.mean() for t in expected.values()))


def test_a_run_is_another_with_another_teacher(guided, tmp_path):
    first, second = (saved(tmp_path / f"{i}.safetensors", "dvn-recons") for i in "ab")
    options = ("--set", "options.width=8", "--set", "options.widening=4", "--iterations", "1")
    data = ("--data", guided[1].storage.url, "--patch", "16", "--batch", "2", "--workers", "0")
    command = ("train", "dvn", *data, *options, "--out", tmp_path / "run", "--teacher")
    assert run(*command, first).exit_code == 0
    assert run(*command, first).exit_code == 0  # nothing is left to do
    other = denoisers.create("dvn-recons", seed=9, **SMALL)
    _, card = cards.load(first)
    cards.save(first, other, card)
    assert "holds another run, its data.json differs" in refused(*command, first)
    assert "holds another run, its recipe.toml differs" in refused(*command, second)


@pytest.mark.parametrize(
    ("name", "teacher", "line"),
    [
        ("dvn", None, "teacher: DVN learns what structures are from its autoencoder, found none"),
        ("dvn", "rffnet", "from its autoencoder, found RFFNet"),
        ("rffnet", "dvn-recons", "teacher: RFFNet learns from no other network; leave it away"),
    ],
)
def test_a_teacher_that_does_not_fit_is_named(guided, weights, tmp_path, name, teacher, line):
    more = ("--teacher", weights[teacher, 1]) if teacher else ()
    found = refused(
        "train", name, "--data", guided[1].storage.url, "--out", tmp_path / "run",
        "--set", "options.width=8", "--set", "options.widening=4", "--patch", "32", *more,
    )  # fmt: skip
    assert line in found


def test_a_teacher_of_another_width_is_named():
    network = denoisers.create("dvn", **SMALL)
    with pytest.raises(
        RecipeError, match=r"its levels have \(16, 20, 24\) channels, DVN's \(8, 12"
    ):
        network.learn_from(denoisers.create("dvn-recons", width=16, widening=4))


def trained(data, tmp_path, **changes):
    own = recipe.parse(
        {"model": "rffnet", "iterations": 3, "batch": 2, "patch": 32, "options": SMALL}
        | {"validation": {"every": 2, "count": 2, "crop": 32}}
        | changes
    )
    return Run(own, [(data, 1.0)], tmp_path, device="cpu", workers=0)


def test_a_killed_run_with_a_guide_goes_on_to_the_same_weights(guided, tmp_path, monkeypatch):
    url = guided[1].storage.url
    whole = trained(url, tmp_path / "whole").train()
    assert whole.iterations == 3
    stopped = trained(url, tmp_path / "stopped")
    from denoisers.training import loop

    real, calls = loop.step, []

    def step(*arguments):
        if len(calls) == 2:
            raise KeyboardInterrupt
        calls.append(1)
        return real(*arguments)

    monkeypatch.setattr(loop, "step", step)
    with pytest.raises(KeyboardInterrupt):
        stopped.train()
    monkeypatch.setattr(loop, "step", real)
    trained(url, tmp_path / "stopped").train()
    one, two = (cards.load(tmp_path / n / "last.safetensors")[0] for n in ("whole", "stopped"))
    for name, tensor in one.state_dict().items():
        assert torch.equal(two.state_dict()[name], tensor), name


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            {"options": SMALL | {"guide_channels": 3}},
            "its guide has 1 channels, rffnet with guide_",
        ),
        ({"renoise": True}, "noise is drawn anew on pictures without a guide"),
    ],
)
def test_what_does_not_go_with_a_guide_is_named(guided, tmp_path, change, line):
    with pytest.raises(InputError, match=line):
        trained(guided[1].storage.url, tmp_path / "run", **change).train()


def test_data_without_guides_is_named(corpus, photos, tmp_path):
    for where in (corpus.storage.url, str(photos)):
        with pytest.raises(MissingDataError, match=r"guide.*noisegen synthesize --guide nir"):
            trained(where, tmp_path / "run").train()


def pictures(folder, names, size=(41, 53), channels=1):
    folder.mkdir(exist_ok=True)
    draws = np.random.default_rng(4)
    for name in names:
        shape = (*size, 3) if channels == 3 else size
        assert cv2.imwrite(str(folder / name), draws.integers(0, 256, shape, np.uint8))
    return folder


@pytest.mark.parametrize(("name", "channels"), [("rffnet", 1), ("rffnet", 3), ("dvn", 1)])
def test_denoise_takes_a_guide_of_any_size(weights, tmp_path, name, channels):
    noisy = pictures(tmp_path / "noisy", ["a.png", "b.png"], channels=3)
    guide = pictures(tmp_path / "guide", ["a.png", "b.png"], channels=channels)
    model = weights[name, channels]
    one = tmp_path / "one.png"
    done = run(
        "denoise", noisy / "a.png", "--guide", guide / "a.png", "--model", model, "--out", one
    )
    assert done.exit_code == 0, done.output
    done = run("denoise", noisy, "--guide", guide, "--model", model, "--out", tmp_path / "all")
    assert done.exit_code == 0, done.output
    found = cv2.imread(str(tmp_path / "all" / "a.png"))
    np.testing.assert_array_equal(found, cv2.imread(str(one)))
    assert found.shape == (41, 53, 3)
    swapped = pictures(tmp_path / "swapped", ["b.png", "a.png"], channels=channels)
    done = run("denoise", noisy, "--guide", swapped, "--model", model, "--out", tmp_path / "other")
    assert done.exit_code == 0, done.output
    assert not np.array_equal(found, cv2.imread(str(tmp_path / "other" / "a.png")))


def test_denoise_names_a_guide_that_does_not_fit(weights, tmp_path):
    noisy = pictures(tmp_path / "noisy", ["a.png"], channels=3)
    small = pictures(tmp_path / "small", ["a.png"], size=(20, 20))
    colour = pictures(tmp_path / "colour", ["a.png"], channels=3)
    out = ("--out", tmp_path / "out.png", "--model")
    for model, more, line in (
        (weights["rffnet", 1], (), "rffnet takes a guide beside the picture: give --guide FILE"),
        (weights["rffnet", 1], ("--guide", small), "the guide is 20x20 pixels, its picture 53x41"),
        (
            weights["rffnet", 1],
            ("--guide", colour),
            "takes a guide of one channel; give near infra",
        ),
        (weights["rffnet", 1], ("--guide", tmp_path / "no"), "there is no guide"),
        (weights["dvn-recons", 1], (), "dvn-recons takes clean, guide; these are pictures alone"),
    ):
        assert line in refused("denoise", noisy / "a.png", *more, *out, model)
    line = refused("denoise", noisy / "a.png", "--guide", colour, *out, plain(tmp_path))
    assert "dncnn takes pictures alone: leave --guide away" in line


def test_evaluate_gives_the_guide_to_the_network(guided, corpus, weights, tmp_path):
    model, url = weights["rffnet", 1], guided[1].storage.url
    done = run("evaluate", model, "--on", "corpus", "--root", url, "--out", tmp_path / "r")
    assert done.exit_code == 0, done.output
    found = (tmp_path / "r").rglob("*.json")
    assert any(found)
    line = refused("evaluate", model, "--on", "corpus", "--root", corpus.storage.url)
    assert "rffnet takes a guide of 1 channels" in line
    assert "has no guides; test it on a corpus with such guides" in line
    line = refused("evaluate", weights["rffnet", 3], "--on", "corpus", "--root", url)
    assert "has guides of 1 channels" in line


def batch_of(n=12):
    rng = torch.Generator().manual_seed(2)
    names = {"clean": 3, "noisy": 3, "guide": 1}
    return {name: torch.rand(n, c, 8, 8, generator=rng) for name, c in names.items()}


def test_a_share_of_guides_lies_half_of_them_moved():
    batch = batch_of()
    training = recipe.parse(
        {"model": "rffnet", "iterations": 9, "guides": {"wrong": 0.5, "shift": 3}, "seed": 4}
    )
    own = other = moved = 0
    for iteration in range(60):
        found = misled(batch, training, iteration, 0)
        assert found["clean"] is batch["clean"]
        assert torch.equal(found["guide"], misled(batch, training, iteration, 0)["guide"])
        for number, guide in enumerate(found["guide"]):
            alike = [int(i) for i in range(12) if torch.equal(guide, batch["guide"][i])]
            if alike == [number]:
                own += 1
            elif alike:
                other += 1
            else:
                shifts = [(y, x) for y in range(-3, 4) for x in range(-3, 4)]
                assert any(
                    torch.equal(guide, batch["guide"][number].roll(s, (-2, -1))) for s in shifts
                )
                moved += 1
    # Of 720 guides a quarter each is expected, with a standard deviation of 11.6; of 49 shifts one
    # leaves a guide where it is.
    assert abs(other - 180) < 5 * 11.6
    assert abs(moved - 180 * 48 / 49) < 5 * 11.6
    assert own + other + moved == 720


def test_alone_in_its_batch_a_guide_that_lies_is_moved():
    data = {"model": "rffnet", "iterations": 2, "batch": 1, "patch": 32, "options": SMALL}
    training = recipe.parse(data | {"guides": {"wrong": 0.99, "shift": 3}})
    batch = batch_of(1)
    kept = sum(
        torch.equal(misled(batch, training, i, 0)["guide"], batch["guide"]) for i in range(60)
    )
    # One in a hundred is its own, and one of 49 shifts leaves it where it is: 1.8 of 60 are
    # expected, with a standard deviation of 1.3.
    assert kept <= 1.8 + 5 * 1.3


def test_without_guides_they_are_black_in_training_and_validation(guided, tmp_path):
    batch = batch_of(2)
    data = {"model": "rffnet", "iterations": 2, "batch": 2, "patch": 32, "options": SMALL}
    data |= {"validation": {"every": 2, "count": 2}, "guides": {"given": "none"}}
    training = recipe.parse(data)
    assert not misled(batch, training, 0, 0)["guide"].any()
    assert misled(batch, recipe.parse({**data, "guides": {}}), 0, 0) is batch
    seen = []
    train = Run(training, [(guided[1].storage.url, 1)], tmp_path / "run", device="cpu")
    hooked = torch.nn.modules.module.register_module_forward_pre_hook(
        lambda module, inputs: (
            seen.append(inputs[1].abs().max().item()) if type(module).__name__ == "RFFNet" else None
        )
    )
    try:
        train.train()
    finally:
        hooked.remove()
    assert len(seen) >= 4  # two of training, two of validation
    assert set(seen) == {0.0}


def test_what_guides_cannot_be_is_one_line(guided, tmp_path):
    with pytest.raises(RecipeError, match="wrong: there are no guides to be wrong"):
        recipe.parse(
            {"model": "rffnet", "iterations": 1, "guides": {"given": "none", "wrong": 0.1}}
        )
    line = refused(
        "train", "dncnn", "--data", guided[1].storage.url, "--set", "guides.wrong=0.2",
        "--set", "iterations=1", "--out", tmp_path / "r",
    )  # fmt: skip
    assert "guides: dncnn takes none; leave it away" in line


@pytest.mark.parametrize(
    ("how", "of"),
    [
        ("own", lambda guides, number: guides[number]),
        ("none", lambda guides, number: np.zeros_like(guides[number])),
        ("moved", lambda guides, number: np.roll(guides[number], (8, 8), (0, 1))),
        ("other", lambda guides, number: guides[(number + len(guides) // 2) % len(guides)]),
    ],
)
def test_evaluate_gives_the_guide_that_is_asked_for(guided, weights, monkeypatch, how, of):
    corpus = guided[1]
    guides = [corpus[int(n)].arrays["guide"] for n in corpus.valid]
    seen = []
    call = Restorer.__call__

    def watched(self, noisy, guide):
        seen.append(guide)
        return call(self, noisy, guide)

    monkeypatch.setattr(Restorer, "__call__", watched)
    done = run(
        "evaluate", weights["rffnet", 1], "--on", "corpus", "--root", corpus.storage.url,
        "--guide", how,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert len(seen) == len(guides)
    for number, guide in enumerate(seen):
        np.testing.assert_array_equal(guide, of(guides, number))


def test_other_guides_need_other_pictures(guided, tmp_path):
    corpus = guided[1]
    picture, guide = (corpus[0].arrays[name] for name in ("noisy", "guide"))
    case = Case(picture, picture, guide=guide)
    one = Cases("here", ("a",), lambda number: case, guide_channels=1)
    with pytest.raises(InputError, match="here: a has no other picture whose guide"):
        given(one, 0, case, "other")
    line = refused(
        "evaluate", plain(tmp_path), "--on", "corpus", "--root", corpus.storage.url,
        "--guide", "none",
    )  # fmt: skip
    assert "takes no guide: leave --guide away" in line


def test_white_noise_is_cut_where_the_recipe_says_so(guided):
    data = {"model": "rffnet", "iterations": 1, "awgn": 99.0, "patch": 32, "batch": 4}
    loader = Loader(
        Mixture([open_data(guided[1].storage.url, ("clean", "guide"))], (1,)),
        patch=32, batch=4, seed=1,
    )  # fmt: skip
    whole, cut = (
        on_device(loader.batch(0), recipe.parse(data | more), torch.device("cpu"))["noisy"]
        for more in ({}, {"awgn_cut": True})
    )
    assert whole.min() < 0 < 1 < whole.max()
    assert torch.equal(cut, whole.clamp(0, 1))
    held = HeldOut(loader.mixture, recipe.parse(data | {"awgn_cut": True}), ("noisy", "guide"))
    noisy = held.pictures(0)["noisy"]
    assert (noisy.min(), noisy.max()) == (0, 1)
    with pytest.raises(RecipeError, match="awgn_cut: there is no white noise to be cut"):
        recipe.parse({"model": "rffnet", "iterations": 1, "awgn_cut": True})
