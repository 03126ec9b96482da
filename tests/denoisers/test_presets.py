"""Every preset trains a step through the command."""

import pytest
from click.testing import CliRunner

import denoisers
from denoisers import card as cards
from denoisers import presets
from denoisers.training import recipe
from noisegen.cli import main

SIZED = [
    pytest.param(name, marks=[] if name.endswith("-small") else pytest.mark.slow)
    for name in presets.names()
]
"""Presets; a step of a network of published size takes seconds."""


@pytest.mark.parametrize("name", SIZED)
def test_every_preset_trains_a_step(name, corpus, raws, guided, photos, tmp_path):
    own = recipe.parse(presets.read(name))
    assert own.preset == name
    page = denoisers.entry(own.model)
    guides = page.guide_channels(page.check(own.options))
    data = raws if own.mosaics else guided[guides] if guides else corpus
    # White noise is drawn on plain pictures, unless a guide belongs to them.
    where = str(photos) if own.awgn is not None and not guides else data.storage.url
    # Of published size DualDn's files are 0.2 GB each.
    more = ["--set", "options.width=8"] if own.mosaics and "small" not in name else []
    if own.model == "dvn":
        teacher = denoisers.create("dvn-recons", **own.options)
        options = denoisers.entry("dvn-recons").check(own.options).model_dump()
        card = cards.Card(model="dvn-recons", options=options)
        cards.save(tmp_path / "t.safetensors", teacher, card)
        more += ["--teacher", str(tmp_path / "t.safetensors")]
    side = "32" if guides else "16"
    done = CliRunner().invoke(
        main,
        [
            "train", own.model, "--preset", name, "--data", where, "--iterations", "1",
            "--batch", "2", "--patch", side, "--set", "validation.count=1",
            "--set", f"validation.crop={side}", "--device", "cpu", "--workers", "0", *more,
            "--out", str(tmp_path / "run"),
        ],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    _, card = cards.load(tmp_path / "run" / "last.safetensors")
    assert card.model == own.model
    if not own.mosaics:
        assert card.options.get("channels", 3) == (1 if name == "adfnet-gray" else 3)
