"""Weights in files: published and own, and what does not fit."""

import json

import pytest
import torch
from safetensors.torch import save_file

from noisegen import neca
from noisegen.errors import InputError, MissingDataError, UnreadableFileError, WeightsError
from noisegen.neca import Card, CorrelationNet, GainNet, LevelNet, Neca
from noisegen.neca.model import KEY, PARTS, PUBLISHED
from tests.neca.conftest import GAINS, randomised


@pytest.fixture
def published(tmp_path, small):
    """A folder as the authors publish it, of small networks."""
    folder = tmp_path / "S6"
    folder.mkdir()
    for part, net in small.networks.items():
        content = {"epoch": 300, "model_state_dict": net.state_dict()}
        torch.save(content, folder / PUBLISHED[part])
    return folder


def same(ours, theirs):
    a, b = ours.state, theirs.state
    return a.keys() == b.keys() and all(torch.equal(a[n], b[n]) for n in a)


def test_a_published_folder_is_loaded(published, small):
    found = neca.load(published)
    assert same(found, small)
    assert found.card.camera == "S6"
    assert found.card.options == {
        "gain": {"width": 8},
        "level": {"width": 8},
        "correlation": {"width": 4},
    }
    assert not any(net.training for net in found.networks.values())


@pytest.mark.parametrize("wrap", [lambda s: s, lambda s: {f"module.{n}": t for n, t in s.items()}])
def test_bare_weights_and_those_of_several_gpus_are_loaded(published, small, wrap):
    torch.save(wrap(small.level.state_dict()), published / PUBLISHED["level"])
    assert same(neca.load(published), small)


def test_sizes_are_told_by_the_weights(tmp_path):
    other = Neca(
        gain=GainNet(width=5, depth=7, outputs=1),
        level=LevelNet(width=6),
        correlation=CorrelationNet(width=3, stages=5),
    )
    for part, net in other.networks.items():
        torch.save(net.state_dict(), tmp_path / PUBLISHED[part])
    assert same(neca.load(tmp_path), other)


def test_the_correlation_network_alone_is_enough_for_the_simplified_noise(published, small):
    (published / PUBLISHED["gain"]).unlink()
    found = neca.load(published, ["correlation"])
    assert (found.gain, found.level) == (None, None)
    with pytest.raises(MissingDataError, match=r"holds no checkpoint_E\.pth"):
        neca.load(published)


def test_own_file_there_and_back(tmp_path, small):
    path = neca.save(tmp_path, small)
    for place in (tmp_path, path):
        found = neca.load(place)
        assert same(found, small)
        assert found.card == small.card
        assert found.sha256 == small.sha256
    assert neca.load(path, ["correlation"]).gain is None


def test_options_survive_the_file(tmp_path):
    options = {"stages": 3, "activation": "leaky", "padding": "reflect", "final": "exp"}
    correlation = CorrelationNet(width=4, **options)
    neca.save(tmp_path, Neca(correlation))
    found = neca.load(tmp_path, ["correlation"])
    assert found.card.options == {"correlation": {"width": 4} | options}
    with pytest.raises(WeightsError, match="no gain network"):
        neca.load(tmp_path)


def test_half_precision_halves_the_file(tmp_path, small):
    full = neca.save(tmp_path, small).stat().st_size
    half = neca.save(tmp_path, small, torch.float16).stat().st_size
    assert half < 0.7 * full
    found = neca.load(tmp_path)
    assert all(t.dtype == torch.float32 for t in found.state.values())
    for name, tensor in small.state.items():
        assert torch.equal(found.state[name], tensor.half().float())


def test_weights_too_large_for_half_precision_are_refused(tmp_path):
    net = randomised(CorrelationNet(width=1))
    with torch.no_grad():
        net.decoder_head[0].bias[0] = 1e5
    with pytest.raises(WeightsError, match=r"decoder_head\.0\.bias: .*float16"):
        neca.save(tmp_path, Neca(net), torch.float16)


def test_the_hash_is_that_of_what_noise_follows_from(small):
    def changed(**card):
        return Neca(**small.networks, card=small.card.model_copy(update=card)).sha256

    assert changed(licence="other") == small.sha256
    assert changed(gains={100: (0.5,)}) != small.sha256
    networks = small.networks | {"level": randomised(LevelNet(width=8), seed=1)}
    assert Neca(**networks, card=small.card).sha256 != small.sha256
    leaky = CorrelationNet(width=4, activation="leaky")
    leaky.load_state_dict(small.correlation.state_dict())
    assert Neca(**(small.networks | {"correlation": leaky}), card=small.card).sha256 != small.sha256


def test_what_does_not_fit_is_named(published, small):
    level = published / PUBLISHED["level"]
    torch.save(small.gain.state_dict(), level)
    with pytest.raises(
        WeightsError, match=r"checkpoint_G1\.pth: not the level network, without conv1"
    ):
        neca.load(published)
    state = small.level.state_dict()
    torch.save({n: t for n, t in state.items() if n != "conv4.bias"}, level)
    with pytest.raises(WeightsError, match=r"1 missing \(conv4\.bias\)"):
        neca.load(published)
    torch.save(state | {"conv3.weight": torch.zeros(8, 4, 1, 1)}, level)
    with pytest.raises(WeightsError, match=r"conv3\.weight is 8x4x1x1, not 8x8x1x1"):
        neca.load(published)
    torch.save(state | {"conv5.bias": torch.full((3,), torch.nan)}, level)
    with pytest.raises(WeightsError, match=r"1 not finite \(conv5\.bias\)"):
        neca.load(published)
    level.write_bytes(b"not a checkpoint")
    with pytest.raises(UnreadableFileError, match=r"checkpoint_G1\.pth"):
        neca.load(published)


def test_a_program_in_a_checkpoint_is_not_run(published):
    torch.save({"model_state_dict": Card()}, published / PUBLISHED["gain"])
    with pytest.raises(UnreadableFileError, match="it is not run"):
        neca.load(published)


def test_a_place_without_weights_says_what_they_are(tmp_path):
    with pytest.raises(MissingDataError, match="no such folder or file"):
        neca.load(tmp_path / "none")
    with pytest.raises(MissingDataError, match=r"checkpoint_E\.pth.*or with neca\.safetensors"):
        neca.load(tmp_path)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda card: None, "no card"),
        (lambda card: "{", "not a card"),
        (lambda card: "[]", "not a card: Input should be"),
        (lambda card: card | {"speed": 1}, "not a card: speed"),
        (lambda card: card | {"gains": {"100": [-0.1]}}, r"not a card: gains\.100\.0"),
        (lambda card: card | {"gains": {"100": []}}, r"not a card: gains\.100"),
        (lambda card: card | {"options": card["options"] | {"mean": {}}}, "options of mean"),
        (lambda card: card | {"options": {p: {} for p in PARTS[:2]}}, "no correlation network"),
        (
            lambda card: card | {"options": card["options"] | {"level": {"widht": 8}}},
            "did you mean 'width'",
        ),
        (
            lambda card: card | {"options": card["options"] | {"level": {"width": "8"}}},
            "LevelNet width",
        ),
        (
            lambda card: card | {"options": card["options"] | {"level": {"width": 9}}},
            "of another shape",
        ),
    ],
)
def test_spoiled_own_files_are_refused(tmp_path, small, spoil, message):
    card = spoil(json.loads(small.card.to_json()))
    header = None if card is None else {KEY: card if isinstance(card, str) else json.dumps(card)}
    path = tmp_path / "neca.safetensors"
    save_file(small.state, path, header)
    with pytest.raises(WeightsError, match=message):
        neca.load(tmp_path)


def test_gains_lie_between_those_that_were_measured():
    card = Card(camera="c", gains=GAINS)
    assert card.gain_at(100) == pytest.approx(0.012)
    assert card.gain_at(100, 0) == pytest.approx(0.01)
    assert card.gain_at(400, 0.5) == pytest.approx((0.02 * 0.022) ** 0.5)
    assert card.gain_at(200) == pytest.approx((0.012 * card.gain_at(400)) ** 0.5)
    assert card.gain_at(1600) == pytest.approx(0.06)
    assert card.highest_gain == 0.12
    with pytest.raises(
        InputError, match="ISO 1601: the gains of camera c are known from ISO 100 to 1600"
    ):
        card.gain_at(1601)
    with pytest.raises(InputError, match="the card of these weights has no gains by ISO"):
        Card().gain_at(100)
    assert Card(gains={800: [0.2, 0.1], 200: [0.3]}).gains == {200: (0.3,), 800: (0.1, 0.2)}
