import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError, model_validator

from noisegen.errors import MissingDataError, RecipeError
from pipelines import presets, recipe
from pipelines.recipe import Recipe
from pipelines.tables import Table, check_range, first_problem, merged, to_toml
from pipelines.tables.body import Body

RANGES = st.one_of(
    st.none(),
    st.floats(1, 1e5),
    st.tuples(st.floats(1, 100), st.floats(100, 1e5)),
)
RECIPES = st.builds(
    Recipe,
    iso=RANGES,
    exposure_ratio=RANGES,
    seed=st.integers(0, 2**64 - 1),
    patch=st.integers(4, 4096).map(lambda n: 2 * n),
    source=st.text(min_size=1),
    camera_file=st.none() | st.text(),
    source_options=st.dictionaries(st.sampled_from(["split", "size"]), st.integers() | st.text()),
    lazy=st.booleans(),
    body=st.builds(Body, prnu=st.none() | st.floats(0, 0.1), exposure_time=st.floats(1e-6, 3600)),
    bodies=st.integers(1, 2**24 - 1),
)


@given(example=RECIPES)
def test_toml_and_json_give_the_recipe_back(example, tmp_path_factory):
    path = tmp_path_factory.mktemp("recipe") / "r.toml"
    path.write_text(example.to_toml(), encoding="utf-8")
    assert recipe.read(path) == example
    assert recipe.parse(json.loads(example.to_json())) == example
    assert recipe.read(path).sha256 == example.sha256


def test_every_field_changes_the_hash():
    base = Recipe()
    other = {
        "source": "bsds", "source_options": {"split": "val"}, "camera": "S6", "camera_file": "x",
        "noise": "awgn", "iso": 100.0, "gain": 1.0, "stage": "raw", "bits": 16, "lazy": True,
        "patch": 64, "per_image": 3, "count": 9, "draws": 2, "demosaic": "ahd", "gamma": "2.2",
        "tone": 0.5, "border": "published", "without": ("row",), "clip": "published",
        "exposure_ratio": 10.0, "seed": 1, "preset": "published", "finish": {"quality": 90},
        "unprocess": {"exposure": 0.5}, "shading": {"k1": 0.5}, "body": {"prnu": 0.01}, "bodies": 2,
        "select": {"method": "stratified"}, "source_noise": {"policy": "ignore"},
        "dark_frames": {"a b.dng": "0" * 64},
        "noise_file": 'model = "awgn"',
        "guide": "nir",
    }  # fmt: skip
    hashes = {base.sha256} | {Recipe(**{key: value}).sha256 for key, value in other.items()}
    assert len(hashes) == len(other) + 1
    networks = [Recipe(noise="neca-w", neca=table).sha256 for table in ({}, {"gain": 0.1})]
    assert len({*networks}) == 2
    real = {"source": "cc", "camera": "as-shot", "noise": "real"}
    assert Recipe(**real).sha256 != Recipe(**real, stride=64).sha256
    dark = [Recipe(noise="dvd", dvd=table).sha256 for table in ({}, {"gain": 3}, {"sigma": 3})]
    assert len({*dark}) == 3
    told = {"schema_version", "amplify", "neca", "stride", "dvd"}
    untested = set(Recipe.model_fields) - set(other) - told
    assert not untested


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"cuont": 3}, ["'cuont'", "did you mean 'count'?"]),
        ({"patch": 127}, ["patch", "127"]),
        ({"iso": -100}, ["iso", "-100"]),
        ({"iso": [800, 100]}, ["iso", "backwards"]),
        ({"tone": 2}, ["tone", "2"]),
        ({"exposure_ratio": 0.5}, ["exposure_ratio"]),
        ({"amplify": True}, ["amplify", "exposure_ratio"]),
        ({"iso": 100, "gain": 2}, ["iso, gain"]),
        ({"stage": "jpeg"}, ["stage", "jpeg"]),
        ({"schema": 2}, ["schema 2", "upgrade"]),
        ({"stage": "linear", "bits": 8}, ["bits"]),
        ({"stage": "raw", "bits": 16}, ["bits"]),
    ],
)
def test_a_wrong_recipe_is_one_line_that_names_the_key(data, words):
    with pytest.raises(RecipeError) as error:
        recipe.parse(data, where="r.toml")
    line = str(error.value)
    assert line.startswith("r.toml")
    assert "\n" not in line
    assert all(word in line for word in words)


def test_a_missing_or_broken_file_is_named(tmp_path):
    with pytest.raises(MissingDataError, match=r"none\.toml"):
        recipe.read(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("patch = = 3")
    with pytest.raises(RecipeError, match=r"bad\.toml is not TOML"):
        recipe.read(tmp_path / "bad.toml")


def test_json_schema_lists_every_key():
    properties = recipe.json_schema()["properties"]
    assert set(properties) == {f.alias or n for n, f in Recipe.model_fields.items()}
    assert all("description" in p for p in properties.values())


@pytest.mark.parametrize("name", presets.names())
def test_every_preset_is_a_recipe_and_is_recorded(name):
    made = Recipe(preset=name)
    assert made.preset == name
    data = json.loads(made.to_json())
    assert merged(data, presets.read(name)) == data


def test_what_is_given_overrides_the_preset(tmp_path):
    made = Recipe(preset="published", demosaic="malvar")
    assert (made.camera, made.demosaic, made.tone) == ("dualdn", "malvar", (0.0, 1.0))
    path = tmp_path / "printed.toml"
    path.write_text(made.to_toml(), encoding="utf-8")
    assert recipe.read(path) == made
    assert recipe.parse(json.loads(made.to_json())) == made


def test_an_unknown_preset_names_the_nearest():
    with pytest.raises(RecipeError, match=r"unknown preset 'publshed' \(did you mean 'published'"):
        recipe.parse({"preset": "publshed"})


class Inner(Table):
    """A table of two keys."""

    level: float = 0.0
    width: int = 1

    @model_validator(mode="after")
    def _bounds(self):
        check_range("level", self.level, low=0, high=1)
        return self


class Outer(Table):
    """A recipe with a table."""

    inner: Inner = Inner()


@pytest.mark.parametrize(
    ("data", "line"),
    [
        ({"inner": {"levle": 1}}, "unknown key 'inner.levle' (did you mean 'level'?)"),
        ({"inner": {"level": 2}}, "inner.level: 2 is not from 0 to 1"),
        ({"inner": {"width": "wide"}}, "inner.width: "),
        ({"inner": 3}, "inner: "),
        ({"iner": {}}, "unknown key 'iner' (did you mean 'inner'?)"),
    ],
)
def test_a_wrong_key_of_a_table_is_named_with_its_table(data, line):
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate(data)
    assert first_problem(caught.value, Outer).startswith(line)


def test_tables_are_merged_key_by_key():
    assert merged({"a": 1, "t": {"x": 1, "y": 2}}, {"t": {"y": 3}}) == {
        "a": 1,
        "t": {"x": 1, "y": 3},
    }


def test_a_table_is_printed_under_its_name():
    assert to_toml(Outer().model_dump(mode="json")) == "\n[inner]\nlevel = 0.0\nwidth = 1\n"
