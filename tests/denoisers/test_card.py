"""Own weights: one file with its card, the same network back, or one line."""

import json
import os

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

import denoisers
from denoisers import card as cards
from denoisers import published
from denoisers.card import Card
from noisegen.errors import MissingDataError, StorageError, UnreadableFileError, WeightsError

OPTIONS = {"channels": 1, "width": 8}


def made(**changes):
    values = {
        "model": "adfnet",
        "options": OPTIONS,
        "origin": "run 1",
        "data": {"demo.zarr": "ab" * 32},
        "metrics": {"psnr_db": 30.25},
        "licence": "CC0",
    }
    return Card(**(values | changes))


def test_the_same_network_comes_back(tmp_path):
    net = denoisers.create("adfnet", seed=4, **OPTIONS).to(memory_format=torch.channels_last)
    path = tmp_path / "best.safetensors"
    cards.save(path, net, made())
    for load in (cards.load, published.load):
        again, card = load(path)
        assert card == made()
        assert not again.training
        for name, tensor in net.state_dict().items():
            assert torch.equal(tensor, again.state_dict()[name])
    assert set(card.versions) == {"noisegen", "torch", "numpy", "safetensors"}
    assert [p.name for p in tmp_path.iterdir()] == ["best.safetensors"]


def test_the_card_can_be_read_without_noisegen(tmp_path):
    cards.save(tmp_path / "net.safetensors", denoisers.create("adfnet", **OPTIONS), made())
    with safe_open(tmp_path / "net.safetensors", framework="np") as file:
        card = json.loads(file.metadata()["noisegen"])
    assert card["model"] == "adfnet"
    assert card["data"] == {"demo.zarr": "ab" * 32}


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    path, net = tmp_path / "net.safetensors", denoisers.create("adfnet", **OPTIONS)
    cards.save(path, net, made())
    before = path.read_bytes()

    def fail(fd):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(StorageError, match=r"cannot write .*net\.safetensors: No space left"):
            cards.save(path, net, made(origin="run 2"))
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["net.safetensors"]
    with pytest.raises(StorageError, match="No such file or directory"):
        cards.save(tmp_path / "nowhere" / "net.safetensors", net, made())


def test_what_does_not_hold_together_is_refused(tmp_path):
    path, net = tmp_path / "net.safetensors", denoisers.create("adfnet", **OPTIONS)
    with pytest.raises(MissingDataError, match="there is no file"):
        cards.load(path)
    save_file(net.state_dict(), path)
    with pytest.raises(WeightsError, match=r"no card .* denoisers\.published\.load"):
        cards.load(path)
    cards.save(path, net, made(options=OPTIONS | {"width": 16}))
    with pytest.raises(WeightsError, match=r"head\.weight is 8x1x3x3, not 16x1x3x3"):
        cards.load(path)
    cards.save(path, net, made(options={"depth": 3}))
    with pytest.raises(WeightsError, match=r"its card is of another version .*'depth'"):
        cards.load(path)
    save_file(net.state_dict(), path, {"noisegen": '{"model": "adfnet"}'})
    with pytest.raises(
        WeightsError, match=r"net\.safetensors: not a card: options: Field required"
    ):
        cards.load(path)
    save_file(net.state_dict(), path, {"noisegen": "{"})
    with pytest.raises(WeightsError, match=r"net\.safetensors: not a card: "):
        cards.load(path)
    cards.save(path, net, made(model="adfent"))
    with pytest.raises(WeightsError, match=r"net\.safetensors: unknown model 'adfent'"):
        cards.load(path)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(UnreadableFileError, match="cannot read"):
        cards.load(path)
