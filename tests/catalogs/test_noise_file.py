"""Files of the noise of pictures: what is written is read, what is wrong is one line."""

import dataclasses
import re

import numpy as np
import pytest

from catalogs import noise_file
from noisegen.errors import InputError, MissingDataError, StorageError
from noisegen.picture import MODELS, PictureNoise


def example(model):
    rng = np.random.default_rng(2)
    if model == "awgn":
        return PictureNoise((0.0,), ((0.01,), (0.02,), (1 / 3,)), strength=(0.5, 1.25))
    noise = PictureNoise((0.0, 0.5, 1.0), tuple(map(tuple, rng.uniform(0, 0.1, (3, 3)).tolist())))
    if model == "heteroscedastic":
        return noise
    taps = rng.normal(size=(3, 3, 3, 3))
    taps /= np.sqrt((taps**2).sum((1, 2, 3), keepdims=True))
    kernel = tuple(tuple(tuple(map(tuple, t)) for t in fields) for fields in taps.tolist())
    return dataclasses.replace(noise, kernel=kernel)


@pytest.mark.parametrize("model", MODELS)
def test_what_is_written_is_read(tmp_path, model):
    noise, path = example(model), tmp_path / "n.toml"
    text = noise_file.write(path, model, noise, 'two "pairs"', "CC0 \x7f")
    found = noise_file.load(path)
    assert (found.model, found.fitted_to, found.licence) == (model, 'two "pairs"', "CC0 \x7f")
    assert found.toml == text == path.read_text()
    for field in dataclasses.fields(noise):
        value, wanted = getattr(found.noise, field.name), getattr(noise, field.name)
        np.testing.assert_allclose(value, wanted, rtol=0.6 * 10 ** (1 - noise_file.DIGITS))
    again = noise_file.to_toml(model, found.noise, found.fitted_to, found.licence)
    assert again == text


def test_the_file_reads_well():
    text = noise_file.to_toml("awgn", example("awgn"), "pairs", "mine")
    assert text.splitlines()[1:] == [
        'model = "awgn"',
        'fitted_to = "pairs"',
        'licence = "mine"',
        "",
        "# Strengths of the pictures' noise: quantiles from the least to the greatest.",
        "strength = [0.5, 1.25]",
        "",
        "# Standard deviations of R, G and B.",
        "std = [0.01, 0.02, 0.333333]",
    ]


GOOD = noise_file.to_toml(MODELS[2], example(MODELS[2]), "pairs", "mine")


@pytest.mark.parametrize(
    ("pattern", "replacement", "line"),
    [
        ("model = .*", "model = 3", "the key 'model' is missing, so this is no noise file"),
        ("model = .*", 'model = "heterosedastic"', "did you mean 'heteroscedastic'?"),
        ("licence = .*\n", "", "the key 'licence' is missing"),
        ("licence", "license", "unknown key 'license' (did you mean 'licence'?)"),
        ("fitted_to = .*", 'fitted_to = ""', "fitted_to: string should have at least 1 character"),
        ("strength = .*", "strength = [1, -1]", "strength: numbers above 0 are needed"),
        ("strength = .*", "strength = []", "strength: tuple should have at least 1 item"),
        ("level = .*", "level = [0, 0.5]", "std: R, G and B need 2 standard deviations each"),
        ("level = .*", 'level = "dark"', "level: input should be a valid tuple"),
        ("level = .*", "level = [0, nan, 1]", "level: levels from 0 to 1 are needed"),
        (r"kernel = [\s\S]*", "kernel = [[[[1.0]]]]", "kernel: 3 x 3 tables are needed"),
        (r"kernel = [\s\S]*", "kernel = [", "not a TOML file"),
        (r"kernel = [\s\S]*", "kernel = 1", "kernel: input should be a valid tuple"),
        (
            'model = "heteroscedastic-covariance"',
            'model = "heteroscedastic"',
            "unknown key 'kernel'",
        ),
    ],
)
def test_what_is_wrong_is_one_line(pattern, replacement, line):
    text = re.sub(pattern, replacement, GOOD, count=1)
    assert text != GOOD
    with pytest.raises(InputError) as error:
        noise_file.parse(text, "n.toml")
    assert "n.toml" in str(error.value)
    assert line in str(error.value)
    assert "\n" not in str(error.value)


def test_files_that_are_not_there_or_cannot_be(tmp_path):
    with pytest.raises(MissingDataError, match="'noisegen fit' makes one"):
        noise_file.load(tmp_path / "n.toml")
    (tmp_path / "n.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="cannot be read as a noise file"):
        noise_file.load(tmp_path / "n.toml")
    with pytest.raises(StorageError, match="choose another place"):
        noise_file.write(tmp_path / "no" / "n.toml", "awgn", example("awgn"), "a", "b")
